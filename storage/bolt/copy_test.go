package bolt_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"sitrep/incident"
	"sitrep/storage"
	"sitrep/storage/bolt"
)

// copied names the folder with a store that a process of this test copies until it is killed.
const copied = "SITREP_TEST_COPY"

// copyFolder copies the store of a folder, and prints a line for each page.
func copyFolder(ctx context.Context, dir string) error {
	from, err := bolt.OpenReadOnly(ctx, filepath.Join(dir, "from.db"))
	if err != nil {
		return err
	}
	to, err := bolt.Open(ctx, filepath.Join(dir, "to.db"), bolt.Options{Unfinished: true})
	if err != nil {
		return err
	}
	_, err = storage.Copy(ctx, from, to, storage.CopyOptions{Progress: func(p storage.CopyProgress) { fmt.Println(p.Kind) }})
	return errors.Join(err, to.Close(), from.Close())
}

func TestACopyThatWasKilledGoesOn(t *testing.T) {
	dir := t.TempDir()
	from, err := bolt.Open(t.Context(), filepath.Join(dir, "from.db"), bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	const many = 12_000
	err = from.Write(t.Context(), func(tx storage.Tx) error {
		var all []*incident.Breach
		for i := range many {
			all = append(all, &incident.Breach{
				Fingerprint: fmt.Sprint(i % (many / 2)), Ordinal: int64(1 + i/(many/2)), StartsAt: noon, HeardAt: noon, State: incident.BreachFiring, Incident: int64(1 + i%7),
			})
		}
		return tx.PutBreaches(t.Context(), all)
	})
	if err := errors.Join(err, from.Close()); err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(dir, "to.db")
	killed := 0
	for round := 0; ; round++ {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		cmd := exec.CommandContext(ctx, os.Args[0])
		cmd.Env = append(os.Environ(), copied+"="+dir)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		for n, lines := 0, bufio.NewScanner(out); lines.Scan(); n++ {
			if n == 4+round {
				_ = cmd.Process.Kill()
			}
		}
		err = cmd.Wait()
		cancel()
		if err == nil {
			break
		}
		killed++
		db, err := bolt.Open(t.Context(), to, bolt.Options{})
		if err == nil { // it had written the last of it before it was killed
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			break
		}
		if !errors.Is(err, storage.ErrUnfinished) {
			t.Fatalf("opened after %d kills: %v", killed, err)
		}
		if _, err := bolt.OpenReadOnly(t.Context(), to); !errors.Is(err, storage.ErrUnfinished) {
			t.Fatalf("opened to read after %d kills: %v", killed, err)
		}
		if killed > 100 {
			t.Fatal("copying does not end")
		}
	}
	if killed < 2 {
		t.Errorf("killed %d times", killed)
	}
	db, err := bolt.Open(t.Context(), to, bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Check(t.Context()); err != nil {
		t.Error(err)
	}
	err = db.Read(t.Context(), func(r storage.Snapshot) error {
		for i := range many / 2 {
			b, err := storage.LatestBreach(t.Context(), r, fmt.Sprint(i))
			if err != nil || b == nil || b.Ordinal != 2 {
				return fmt.Errorf("the latest breach of %d is %+v, %w", i, b, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
