package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// write writes a file in one go: it is there whole, or as it was before. The name - is
// standard output.
func write(name string, stdout io.Writer, fill func(io.Writer) error) error {
	if name == "-" {
		return fill(stdout)
	}
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() && !info.IsDir() {
		// A pipe or a device is written to as it is.
		f, err := os.OpenFile(name, os.O_WRONLY, 0)
		if err != nil {
			return fmt.Errorf("write %q: %w", name, err)
		}
		return errors.Join(fill(f), f.Close())
	}
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*")
	if err != nil {
		return fmt.Errorf("write %q: %w", name, err)
	}
	defer os.Remove(f.Name())
	if err := errors.Join(fill(f), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), name); err != nil {
		return fmt.Errorf("write %q: %w", name, err)
	}
	return nil
}

// placeFile makes a file that is whole on disk before it is in its place: it is filled
// under another name, and looked at by check, whose error leaves nothing behind. Unless it
// may replace one, the error is fs.ErrExist if a file is there.
func placeFile(path string, replace bool, fill func(io.Writer) error, check func(made string) error) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*") // 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	err = fill(f)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := check(f.Name()); err != nil {
		return err
	}
	if replace {
		err = os.Rename(f.Name(), path)
	} else {
		err = linkOrRename(f.Name(), path)
	}
	if err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// linkOrRename puts a file in its place, if none is there.
func linkOrRename(from, to string) error {
	err := os.Link(from, to)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return err
	}
	// The file system knows no links.
	if _, there := os.Lstat(to); !errors.Is(there, fs.ErrNotExist) {
		return fs.ErrExist
	}
	return os.Rename(from, to)
}

// same reports whether two names are of one file.
func same(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}
