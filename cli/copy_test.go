package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
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
	"sitrep/storage/postgres"
	"sitrep/storage/postgres/postgrestest"
)

// halfCopied begins a copy, and ends after some pages.
func halfCopied(t *testing.T, from, to string) {
	t.Helper()
	a, err := bolt.OpenReadOnly(t.Context(), from)
	if err != nil {
		t.Fatal(err)
	}
	b, err := (&storageCLI{to: to}).openTo(t.Context())
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

func TestAStoreIsCopiedToPostgreSQLAndBack(t *testing.T) {
	t.Parallel()
	database, err := url.Parse(postgrestest.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	const secret = "not-to-be-shown"
	database.User = url.UserPassword(database.User.Username(), secret)
	at, shownAs := database.String(), database.Redacted()

	s := newRunning(t, apptest.Organisation+apptest.Access, nil)
	s.Start()
	s.Alert("firing", "send", "a")
	s.Alert("firing", "delay", "b")
	k, a, id, key := s.keeper(), s.auditor(), s.Key().ID(), s.Key().Public()
	file := func(name string) string { return filepath.Join(s.Dir, name) }
	store, before, back := file("data/sitrep.db"), file("before.zip"), file("back.db")
	a.says(0, "written", "export", "--output", before)
	s.Write("checkpoint", string(unpacked(t, before, "checkpoint")))
	s.Stop()

	halfCopied(t, store, at)
	if db, err := postgres.Open(t.Context(), at, postgres.Options{}); !errors.Is(err, storage.ErrUnfinished) || !strings.Contains(err.Error(), "run sitrep storage copy") {
		t.Fatalf("opened a copy that is not whole: %v, %v", db, err)
	}
	out := k.says(0, "had been copied before", "copy", store, at)
	for _, want := range []string{shownAs, "incidents up to INC-2", "the key that belongs to it was not copied: " + id, "at the place that evidence.key_file says"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in %s", want, out)
		}
	}
	out += k.says(1, "name a store that is empty, or not there", "copy", store, at)
	db, err := postgres.Open(t.Context(), at, postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	seen := func(ago time.Duration) {
		t.Helper()
		now, err := db.Clock(t.Context())
		if err == nil {
			err = db.Write(t.Context(), func(tx storage.Tx) error {
				return tx.PutAlive(t.Context(), storage.Replica{Owner: "x", Instance: "replica-1:9098", SeenAt: now.Add(-ago).Truncate(time.Microsecond)})
			})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	seen(0)
	out += k.says(1, "a sitrep, replica-1:9098, had it open at ", "copy", at, back)
	seen(3 * time.Minute)
	out += k.says(0, "compared", "copy", at, back)
	if strings.Contains(out, secret) {
		t.Errorf("the password is in %s", out)
	}
	a.says(0, "complete, unchanged", "verify", "--storage", back, "--key", key, "--checkpoint", file("checkpoint"))
	after := file("after.zip")
	a.says(0, "written", "export", "--storage", back, "--output", after, "--checkpoint", file("checkpoint"))
	a.says(0, "complete, unchanged", "verify", after, "--key", key, "--checkpoint", file("checkpoint"))
	a.says(0, "complete, unchanged", "verify", before, "--key", key)

	a.says(0, "complete, unchanged", "verify", "--storage", at, "--key", key, "--checkpoint", file("checkpoint"))
	k.says(2, "name a file, or the URL of a PostgreSQL database", "copy", store, "mysql://"+database.Host)
}

// What a sitrep is asked for is waited for, and then counted.
func TestAnAnswerIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said, got bytes.Buffer
		to, end := newProgress(Environment{Stdout: &said, Stderr: &said}).answer(&got)
		time.Sleep(25 * time.Second)
		to.Expect(3 << 20)
		for range 3 {
			_, _ = to.Write(make([]byte, 1<<20))
			time.Sleep(8 * time.Second)
		}
		end()
		time.Sleep(time.Minute)
		want := "waiting for the answer: 10s\nwaiting for the answer: 20s\nreceived: 2.0 MiB of about 3.0 MiB\n"
		if said.String() != want || got.Len() != 3<<20 {
			t.Errorf("said %q, want %q; got %d bytes", said.String(), want, got.Len())
		}

		// Nothing is said beside what a program reads, and nothing goes on after an error.
		said.Reset()
		p := newProgress(Environment{Stdout: &said, Stderr: &said})
		p.none = true
		_, end = p.answer(&got)
		time.Sleep(time.Minute)
		end()
		if said.Len() > 0 {
			t.Errorf("said %q", said.String())
		}
	})
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
