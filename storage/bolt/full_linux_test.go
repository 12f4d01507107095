package bolt_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"sitrep/storage"
	"sitrep/storage/bolt"
)

// smallDisk returns a folder on a file system of its own.
func smallDisk(t *testing.T, bytes int) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("none", dir, "tmpfs", 0, fmt.Sprintf("size=%d", bytes)); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("mount: %v", err)
		}
		t.Skipf("a small disk needs root: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return dir
}

func TestARealFullDisk(t *testing.T) {
	dir := smallDisk(t, 4<<20)
	path, ballast := filepath.Join(dir, "sitrep.db"), filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 2<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := bolt.Open(t.Context(), path, bolt.Options{Fatal: func(err error) { t.Errorf("fatal: %v", err) }})
	if err != nil {
		t.Fatal(err)
	}
	closed := false
	defer func() {
		if !closed {
			db.Close()
		}
	}()
	stored := int64(0)
	var full error
	for full == nil && stored < 1000 {
		in, list := post(1, stored+1, noon)
		if full = store(t.Context(), db, in, list, noon); full == nil {
			stored++
		}
	}
	if !errors.Is(full, storage.ErrUnavailable) {
		t.Fatalf("after %d posts: %v", stored, full)
	}
	for _, word := range []string{path, "no space left", "free space: "} {
		if !strings.Contains(full.Error(), word) {
			t.Errorf("the error does not say %q: %v", word, full)
		}
	}
	t.Logf("%d posts, then: %v", stored, full)
	if n := countBreaches(t, db); n != int(stored)*alertsPerWrite {
		t.Errorf("%d breaches while full", n)
	}
	in, list := post(1, stored+1, noon)
	if err := store(t.Context(), db, in, list, noon); !errors.Is(err, storage.ErrUnavailable) {
		t.Errorf("again: %v", err)
	}

	trouble := func() error {
		info, err := db.Info(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return info.Trouble
	}
	if err := db.Probe(t.Context()); !errors.Is(err, storage.ErrUnavailable) || !errors.Is(trouble(), storage.ErrUnavailable) {
		t.Errorf("probe while full: %v, %v", err, trouble())
	}

	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if err := db.Probe(t.Context()); err != nil || trouble() != nil {
		t.Errorf("probe with room: %v, %v", err, trouble())
	}
	if err := store(t.Context(), db, in, list, noon); err != nil {
		t.Fatalf("with room: %v", err)
	}
	stored++
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	closed = true
	again, err := bolt.Open(t.Context(), path, bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if n := countBreaches(t, again); n != int(stored)*alertsPerWrite {
		t.Errorf("%d breaches after reopening", n)
	}
	if err := again.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestADiskTooSmallForAStore(t *testing.T) {
	dir := smallDisk(t, 12<<10)
	path := filepath.Join(dir, "sitrep.db")
	db, err := bolt.Open(t.Context(), path, bolt.Options{})
	if err == nil {
		db.Close()
		t.Fatal("no error")
	}
	if !errors.Is(err, syscall.ENOSPC) || strings.Contains(err.Error(), "\n") {
		t.Errorf("open: %v", err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 0 {
		t.Errorf("left behind: %v", entries)
	}
}
