package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sitrep/app"
	"sitrep/app/apptest"
	"sitrep/storage"
	"sitrep/storage/bolt"
)

// halfCopied begins a copy, and ends after some pages.
func halfCopied(t *testing.T, from, to string) {
	t.Helper()
	a, err := bolt.OpenReadOnly(t.Context(), from)
	if err != nil {
		t.Fatal(err)
	}
	b, err := bolt.Open(t.Context(), to, bolt.Options{Unfinished: true})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	pages := 0
	_, err = storage.Copy(ctx, a, b, storage.CopyOptions{From: from, To: to, Progress: func(storage.CopyProgress) {
		if pages++; pages == 4 {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
	if err := errors.Join(a.Close(), b.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestAStoreIsCopied(t *testing.T) {
	t.Parallel()
	s := newRunning(t, apptest.Organisation+apptest.Access, nil)
	s.Start()
	s.Alert("firing", "send", "a")
	s.Alert("firing", "delay", "b")
	k, a, id, key := s.keeper(), s.auditor(), s.Key().ID(), s.Key().Public()
	file := func(name string) string { return filepath.Join(s.Dir, name) }
	store, copied := file("data/sitrep.db"), file("copies/sitrep.db")

	k.says(1, "it is locked: process", "copy", store, copied)
	k.says(2, "both are the same store", "copy", store, store)
	k.says(1, "no such file", "copy", file("none.db"), copied)
	if _, err := os.Stat(copied); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("something was made: %v", err)
	}
	before := file("before.zip")
	a.says(0, "written", "export", "--output", before)
	o := s.Options
	s.Stop()

	if err := os.MkdirAll(filepath.Dir(copied), 0o700); err != nil {
		t.Fatal(err)
	}
	halfCopied(t, store, copied)
	half := fmt.Sprintf("it is a copy of %q that was begun and is not whole: run sitrep storage copy %q %q again", store, store, copied)
	k.says(1, half, "check", copied)
	k.says(1, half, "backup", "--storage", copied, "--output", file("backup.db"))
	o.Storage = copied
	if service, err := app.New(t.Context(), o, apptest.Logger(&apptest.Buffer{})); !errors.Is(err, storage.ErrUnfinished) || !strings.Contains(err.Error(), half) {
		t.Fatalf("started with a copy that is not whole: %v, %v", service, err)
	}
	k.says(1, half, "copy", copied, file("third.db"))
	out := k.says(0, "had been copied before", "copy", store, copied)
	for _, want := range []string{"incidents up to INC-2", "the key that belongs to it was not copied: " + id, "put a copy of its file at " + copied + ".key"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in %s", want, out)
		}
	}
	k.says(1, "name a store that is empty, or not there", "copy", store, copied)

	// Each verifies, also what was handed out before with what is signed after, and the other
	// way round.
	back := file("back.db")
	k.says(0, "compared", "copy", copied, back)
	for _, path := range []string{store, copied, back} {
		a.says(0, "complete, unchanged", "verify", "--storage", path, "--key", key)
	}
	a.says(0, "complete, unchanged", "verify", before, "--key", key)
	s.Write("checkpoint", string(unpacked(t, before, "checkpoint")))
	a.says(0, "complete, unchanged", "verify", "--storage", copied, "--key", key, "--checkpoint", file("checkpoint"))

	// Without the key it does not start by accident; with it it goes on.
	if service, err := app.New(t.Context(), o, apptest.Logger(&apptest.Buffer{})); err == nil {
		service.Close()
		t.Fatal("started without the key")
	}
	b, err := os.ReadFile(app.KeyBeside(store))
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, app.KeyBeside(copied), b)
	service, err := app.New(t.Context(), o, apptest.Logger(&apptest.Buffer{}))
	if err != nil {
		t.Fatal(err)
	}
	service.Close()
	after := file("after.zip")
	a.says(0, "written", "export", "--storage", copied, "--output", after, "--checkpoint", file("checkpoint"))
	a.says(0, "complete, unchanged", "verify", after, "--key", key, "--checkpoint", file("checkpoint"))
	k.says(1, "name a store that is empty", "copy", store, copied)
}

func TestProgressIsALineEachTenSecondsOrABar(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		p := newProgress(Environment{Stdout: &out, Stderr: &out})
		for i := range 25 {
			p.tell("copied", "breaches", int64(i), 50)
			time.Sleep(time.Second)
		}
		p.end()
		if got, want := out.String(), "copied: 10 of about 50 (breaches)\ncopied: 20 of about 50 (breaches)\n"; got != want {
			t.Errorf("printed %q, want %q", got, want)
		}
		out.Reset()
		p = &progress{w: &out, bar: true}
		p.tell("copied", "deliveries", 25, 100)
		time.Sleep(time.Second)
		p.tell("compared", "records", 60, 50)
		p.end()
		bars := strings.Split(out.String(), "\r")
		if len(bars) != 5 || !strings.HasPrefix(bars[1], "[=======   ") || !strings.HasPrefix(bars[2], "["+strings.Repeat("=", barWidth)+"] compared: 60 of about 50 (records)") || strings.TrimSpace(bars[3]) != "" {
			t.Errorf("drew %q", bars)
		}
	})
}
