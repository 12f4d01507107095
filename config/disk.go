package config

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

const (
	// readWithin is how long one load may wait for the file system in all. Files are
	// read in milliseconds; what takes longer hangs, as the mount of a server that is
	// gone does.
	readWithin = 10 * time.Second
	// maxHanging is how many reads may hang at once. Only the kernel can end one.
	maxHanging = 8
	// maxFile is the most that a config file may hold: far more than people write,
	// and little enough to be parsed in a moment.
	maxFile = 1 << 20
	// maxSecret is the most that a secret's or a certificates' file may hold.
	maxSecret = 1 << 20
	// maxTeams is the most that all the teams' files may hold together.
	maxTeams = 32 << 20
	// maxEntries is how many names in folders are looked at for all patterns.
	maxEntries = 100_000
	// maxPattern and maxStars bound a pattern of file names, in bytes and wildcards.
	maxPattern = 1024
	maxStars   = 16
)

// A disk reads files for one load after the other, and waits for none for ever.
type disk struct {
	hanging chan struct{} // one for each read under way
	within  time.Duration // for each load
}

func newDisk() *disk { return &disk{hanging: make(chan struct{}, maxHanging), within: readWithin} }

// A visit is what one load may still ask of the disk.
type visit struct {
	*disk
	ctx     context.Context
	left    time.Duration
	bytes   int64 // of the teams' files
	entries int
}

func (d *disk) visit(ctx context.Context) *visit {
	return &visit{disk: d, ctx: ctx, left: d.within, bytes: maxTeams, entries: maxEntries}
}

// within returns what f returns, which reads something of that name. If it takes
// longer than what is left of the load's time, it is left behind.
func within[T any](v *visit, name string, f func() (T, error)) (none T, err error) {
	hangs := fmt.Errorf("read %q: it hangs, and was given up after %v; look at the mount that it is on", name, v.within)
	if v.left <= 0 {
		return none, hangs
	}
	select {
	case v.hanging <- struct{}{}:
	default:
		return none, fmt.Errorf("read %q: %d reads before it still hang; look at the mounts that the configuration is on", name, maxHanging)
	}
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		defer func() { <-v.hanging }()
		value, err := f()
		done <- result{value, err}
	}()
	begin, timer := time.Now(), time.NewTimer(v.left)
	defer timer.Stop()
	select {
	case r := <-done:
		v.left -= time.Since(begin)
		return r.value, r.err
	case <-timer.C:
	case <-v.ctx.Done():
		hangs = fmt.Errorf("read %q: %w", name, v.ctx.Err())
	}
	v.left = 0
	return none, hangs
}

// A content is what stands in a file.
type content struct {
	name string
	text []byte
	info fs.FileInfo
	err  error // why it could not be read
	// folder is that of a team's file.
	folder folder
}

// A folder is one that files may not lead out of. The zero value is none.
type folder struct {
	name string
	info fs.FileInfo
}

// file reads a file of at most limit bytes.
func (v *visit) file(name string, limit int64) (content, error) {
	return within(v, name, func() (content, error) {
		// Before it is opened: that alone may do something to a device.
		info, err := os.Stat(name)
		if err != nil {
			return content{}, unreadable(name, err)
		}
		if err := mustBeRegular(info, name); err != nil {
			return content{}, err
		}
		f, err := os.OpenFile(name, flags, 0)
		if err != nil {
			return content{}, unreadable(name, err)
		}
		return readAll(f, name, limit)
	})
}

// secret reads a secret's file. If own is not zero, it must lie in that folder of a team's
// file, or below it: the folder that it was, whatever has been put in its place since.
func (v *visit) secret(own folder, name string) (content, error) {
	if own.info == nil {
		return v.file(name, maxSecret)
	}
	return within(v, name, func() (content, error) {
		inner, err := relative(own.name, name)
		if err != nil || !filepath.IsLocal(inner) {
			return content{}, fmt.Errorf("%q lies outside of %q, the folder of the team's file; put it into that folder", name, own.name)
		}
		root, err := os.OpenRoot(own.name)
		if err != nil {
			return content{}, unreadable(own.name, err)
		}
		defer func() { _ = root.Close() }()
		if info, err := root.Stat("."); err != nil || !os.SameFile(info, own.info) {
			return content{}, fmt.Errorf("the folder %q was replaced meanwhile; reload the configuration", own.name)
		}
		return inside(root, inner, name, maxSecret)
	})
}

// relative returns the path of a file from a folder.
func relative(folder, name string) (string, error) {
	if filepath.IsAbs(folder) != filepath.IsAbs(name) {
		var err error
		if folder, err = filepath.Abs(folder); err != nil {
			return "", err
		}
		if name, err = filepath.Abs(name); err != nil {
			return "", err
		}
	}
	return filepath.Rel(folder, name)
}

// flags open a file without waiting for whoever writes into it, if it is a pipe.
const flags = os.O_RDONLY | syscall.O_NONBLOCK

// inside reads a file of a folder. A link may lead to it as long as it stays inside.
func inside(root *os.Root, name, shown string, limit int64) (content, error) {
	info, err := root.Stat(name)
	if err != nil {
		return content{}, escaped(root, name, shown, err)
	}
	if err := mustBeRegular(info, shown); err != nil {
		return content{}, err
	}
	f, err := root.OpenFile(name, flags, 0)
	if err != nil {
		return content{}, escaped(root, name, shown, err)
	}
	return readAll(f, shown, limit)
}

// escaped words an error of a folder's file, and says it if a link leads out.
func escaped(root *os.Root, name, shown string, err error) error {
	if info, lstatErr := root.Lstat(name); lstatErr == nil && info.Mode()&fs.ModeSymlink != 0 &&
		!errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
		return leadsOut(shown)
	}
	if strings.Contains(err.Error(), "escapes") { // os has no name for it
		return leadsOut(shown)
	}
	return unreadable(shown, err)
}

func leadsOut(shown string) error {
	return fmt.Errorf("%q is a link that leads out of its folder; put the file itself there, or a relative link that stays inside", shown)
}

func mustBeRegular(info fs.FileInfo, name string) error {
	switch {
	case info.IsDir():
		return fmt.Errorf("%q is a folder; name a file", name)
	case !info.Mode().IsRegular():
		return fmt.Errorf("%q is a pipe, a device or the like; put a regular file there", name)
	}
	return nil
}

// readAll reads and closes f, which must be a regular file of at most limit bytes.
func readAll(f *os.File, name string, limit int64) (content, error) {
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return content{}, unreadable(name, err)
	}
	if err := mustBeRegular(info, name); err != nil {
		return content{}, err
	}
	text, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return content{}, unreadable(name, err)
	}
	if int64(len(text)) > limit {
		return content{}, fmt.Errorf("%q is larger than %d KiB; split it into several files", name, limit>>10)
	}
	return content{name: name, text: text, info: info}, nil
}

// A pattern is one of slo_files: the folder that it names, and the pattern of what
// is in it, one element for each folder on the way and the last for the files.
type pattern struct {
	folder string
	steps  []string
}

// parsePattern reads a pattern of file names; one that is right is the example.
func parsePattern(text, example string) (pattern, error) {
	if _, err := filepath.Match(text, ""); err != nil {
		return pattern{}, fmt.Errorf("%q is not a pattern of file names (%w); write it as %s", shorten(text), err, example)
	}
	if len(text) > maxPattern || strings.Count(text, "*")+strings.Count(text, "?")+strings.Count(text, "[") > maxStars {
		return pattern{}, fmt.Errorf("%q is longer than %d bytes or has more than %d wildcards; write it as %s", shorten(text), maxPattern, maxStars, example)
	}
	steps := strings.Split(filepath.Clean(text), string(filepath.Separator))
	n := slices.IndexFunc(steps, wild)
	if n < 0 {
		n = len(steps) - 1
	}
	p := pattern{folder: strings.Join(steps[:n], string(filepath.Separator)), steps: steps[n:]}
	switch {
	case p.folder == "" && filepath.IsAbs(text):
		p.folder = string(filepath.Separator)
	case p.folder == "":
		p.folder = "."
	}
	return p, nil
}

func wild(step string) bool { return strings.ContainsAny(step, "*?[") }

// files reads the files that the pattern matches, sorted by name. Those that cannot
// be read have an error of their own. An error of all is one of a folder.
func (v *visit) files(p pattern) ([]content, error) {
	return within(v, p.folder, func() ([]content, error) {
		root, err := os.OpenRoot(p.folder)
		if err != nil {
			return nil, unreadable(p.folder, err)
		}
		defer func() { _ = root.Close() }()
		return v.walk(root, p.folder, p.steps)
	})
}

// walk reads what the steps match in a folder and below it.
func (v *visit) walk(root *os.Root, dir string, steps []string) ([]content, error) {
	names, err := v.matching(root, dir, steps[0])
	if err != nil {
		return nil, err
	}
	info, err := root.Stat(".")
	if err != nil {
		return nil, unreadable(dir, err)
	}
	var all []content
	for _, name := range names {
		shown := filepath.Join(dir, name)
		if len(steps) == 1 {
			if v.bytes <= 0 {
				return nil, fmt.Errorf("the files of the teams hold more than %d MiB together; let slo_files name fewer", maxTeams>>20)
			}
			c, err := inside(root, name, shown, maxFile)
			c.name, c.err, c.folder = shown, err, folder{dir, info}
			v.bytes -= int64(len(c.text))
			all = append(all, c)
			continue
		}
		below, err := v.below(root, name, shown, steps[1:], names)
		if err != nil {
			return nil, err
		}
		all = append(all, below...)
	}
	return all, nil
}

// below reads what the steps match below one of the matching folders. What is no
// folder is passed over.
func (v *visit) below(root *os.Root, name, shown string, steps, matching []string) ([]content, error) {
	info, err := root.Lstat(name)
	if err != nil {
		return nil, unreadable(shown, err)
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		// Such as Kubernetes's links to what is in ..data, but not to a neighbour.
		to, err := root.Readlink(name)
		if err != nil {
			return nil, unreadable(shown, err)
		}
		first, _, _ := strings.Cut(filepath.Clean(to), string(filepath.Separator))
		if !filepath.IsLocal(to) || slices.Contains(matching, first) {
			return nil, leadsOut(shown)
		}
		if info, err = root.Stat(name); err != nil {
			return nil, escaped(root, name, shown, err)
		}
	}
	if !info.IsDir() {
		return nil, nil
	}
	sub, err := root.OpenRoot(name)
	if err != nil {
		return nil, escaped(root, name, shown, err)
	}
	defer func() { _ = sub.Close() }()
	return v.walk(sub, shown, steps)
}

// matching lists the names in a folder that a step matches, sorted; without wildcards,
// the step if it is there. Kubernetes's names that begin with .. are not meant by a
// wildcard.
func (v *visit) matching(root *os.Root, folder, step string) ([]string, error) {
	if !wild(step) {
		if _, err := root.Lstat(step); errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		} else if err != nil {
			return nil, unreadable(filepath.Join(folder, step), err)
		}
		return []string{step}, nil
	}
	dir, err := root.Open(".")
	if err != nil {
		return nil, unreadable(folder, err)
	}
	defer func() { _ = dir.Close() }()
	names, err := dir.Readdirnames(v.entries + 1)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, unreadable(folder, err)
	}
	if v.entries -= len(names); v.entries < 0 {
		return nil, fmt.Errorf("%q: the folders that slo_files name hold more than %d names together; let them name fewer", folder, maxEntries)
	}
	slices.Sort(names)
	return slices.DeleteFunc(names, func(name string) bool {
		ok, err := filepath.Match(step, name)
		return err != nil || !ok || strings.HasPrefix(name, "..")
	}), nil
}

// unreadable words an error of the file system, keeping its kind.
func unreadable(name string, err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	return fmt.Errorf("read %q: %w", name, err)
}

// advise adds to an error of reading a file what to do about it.
func advise(err error, missing string) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return err.Error() + "; " + missing
	case errors.Is(err, fs.ErrPermission):
		return err.Error() + "; let the user that runs sitrep read it"
	}
	return err.Error()
}
