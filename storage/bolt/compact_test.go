package bolt_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"sitrep/incident"
	"sitrep/storage"
	"sitrep/storage/bolt"
)

// compacted names the file of a store that a process of a test compacts until it is killed.
const compacted = "SITREP_TEST_COMPACTED_STORE"

// compactUntilKilled compacts a store, again and again, and prints a line when it begins and
// with all progress.
func compactUntilKilled(ctx context.Context, path string) error {
	for {
		fmt.Println("begins")
		_, err := bolt.Compact(ctx, path, bolt.CompactOptions{Progress: func(comparing bool, _, _ int64) { fmt.Println(comparing) }})
		if err != nil {
			return err
		}
	}
}

// wasteful returns the path of a closed store with n posts, most of which were deleted.
func wasteful(t *testing.T, n int64) string {
	t.Helper()
	path := filled(t, n)
	db := openAt(t, path)
	mustWrite(t, db, func(tx storage.Tx) error {
		_, err := tx.DeleteBreaches(t.Context(), []int64{1}, noon.Add(time.Duration(n-1)*time.Minute), 1<<30)
		return err
	})
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func dumpOf(t *testing.T, path string) string {
	t.Helper()
	db, err := bolt.OpenReadOnly(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Check(t.Context()); err != nil {
		t.Error(err)
	}
	return dump(t, db)
}

func TestAStoreIsCompacted(t *testing.T) {
	path := wasteful(t, 60)
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link.db")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	left := filepath.Join(filepath.Dir(path), ".sitrep.db.compact-1") // by one that was killed
	if err := os.WriteFile(left, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	want := dumpOf(t, path)
	var steps []string
	done, err := bolt.Compact(t.Context(), link, bolt.CompactOptions{Progress: func(comparing bool, done, total int64) {
		if len(steps) == 0 || steps[len(steps)-1] != fmt.Sprint(comparing) {
			steps = append(steps, fmt.Sprint(comparing))
		}
		if done < 1 || total < 1<<20 {
			t.Errorf("%d of %d", done, total)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.Stat(path)
	if err != nil || file.Size() != done.After || done.After > done.Before/2 || file.Mode().Perm() != 0o640 {
		t.Errorf("%+v, %v, %d bytes, mode %v", done, err, file.Size(), file.Mode())
	}
	if info, err := os.Lstat(link); err != nil || info.Mode().Type() != os.ModeSymlink {
		t.Errorf("the link is %v, %v", info, err)
	}
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 {
		t.Errorf("beside the store there are %v, %v", entries, err)
	}
	if strings.Join(steps, " ") != "false true" {
		t.Errorf("progress %q", steps)
	}
	if dumpOf(t, path) != want {
		t.Error("what is in it has changed")
	}
	// It goes on where it was: no number is given twice.
	db := openAt(t, path)
	in, list := post(1, 61, noon.Add(61*time.Minute))
	if err := store(t.Context(), db, in, list, noon.Add(61*time.Minute)); err != nil {
		t.Fatal(err)
	}
	if err := db.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

// What keeps a store from being compacted leaves it as it was.
func TestAStoreThatIsNotCompactedIsAsItWas(t *testing.T) {
	t.Parallel()
	path := wasteful(t, 30)
	before := read(t, path)
	same := func() {
		t.Helper()
		if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 || !bytes.Equal(read(t, path), before) {
			t.Errorf("the file is another, or beside it there are %v, %v", entries, err)
		}
	}
	reader, err := bolt.OpenReadOnly(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bolt.Compact(t.Context(), path, bolt.CompactOptions{}); !errors.Is(err, bolt.ErrLocked) {
		t.Errorf("while it is open: %v", err)
	}
	if err := reader.Close(); err != nil {
		t.Fatal(err)
	}
	same()

	// None can open it meanwhile, and who leaves in between leaves nothing.
	for _, at := range []bool{false, true} {
		ctx, cancel := context.WithCancel(t.Context())
		_, err = bolt.Compact(ctx, path, bolt.CompactOptions{Progress: func(comparing bool, _, _ int64) {
			if comparing == at && ctx.Err() == nil {
				cancel()
				if _, err := bolt.OpenReadOnly(t.Context(), path); !errors.Is(err, bolt.ErrLocked) {
					t.Errorf("meanwhile it opens: %v", err)
				}
			}
		}})
		cancel()
		if !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
		same()
	}

	if _, err := bolt.Compact(t.Context(), filepath.Join(t.TempDir(), "none.db"), bolt.CompactOptions{}); err == nil {
		t.Error("a file that is not there is compacted")
	}
	// A value that is damaged is not copied as if it were sound.
	b, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = b.Update(func(btx *bbolt.Tx) error {
		return btx.Bucket([]byte("agendas")).Put([]byte("x"), []byte("no checksum"))
	})
	if err := errors.Join(err, b.Close()); err != nil {
		t.Fatal(err)
	}
	before = read(t, path)
	if _, err := bolt.Compact(t.Context(), path, bolt.CompactOptions{}); !errors.Is(err, storage.ErrDamaged) {
		t.Errorf("a damaged store: %v", err)
	}
	same()
}

func TestAKillWhileCompactingLeavesAWholeStore(t *testing.T) {
	t.Parallel()
	path := wasteful(t, 40)
	want := dumpOf(t, path)
	for round := range 8 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		cmd := exec.CommandContext(ctx, os.Args[0])
		cmd.Env = append(os.Environ(), compacted+"="+path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// In each round it has come a little further.
		lines := bufio.NewScanner(out)
		for n := 0; n <= round && lines.Scan(); {
			n++
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		cancel()
		if dumpOf(t, path) != want {
			t.Fatalf("round %d: what is in it has changed", round)
		}
	}
	if _, err := bolt.Compact(t.Context(), path, bolt.CompactOptions{}); err != nil {
		t.Error(err)
	}
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 {
		t.Errorf("beside the store there are %v, %v", entries, err)
	}
}

// What finds breaches by their fingerprints is made anew from the breaches.
func TestWhatFindsBreachesIsRebuilt(t *testing.T) {
	t.Parallel()
	path := filled(t, 30)
	again := openAt(t, path)
	mustWrite(t, again, func(tx storage.Tx) error { // a later breach of one of them, and one of another kind
		page, _, err := tx.Breaches(t.Context(), 1, 1, "")
		if err != nil {
			return err
		}
		b := page[0]
		b.Ordinal++
		return tx.PutBreaches(t.Context(), []*incident.Breach{&b, {Fingerprint: "a text", Incident: 1, State: incident.BreachEnded}})
	})
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
	want := dumpOf(t, path)
	b, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = b.Update(func(btx *bbolt.Tx) error {
		return btx.Bucket([]byte("breach_recent")).Put([]byte("runs"), []byte("damaged"))
	})
	if err := errors.Join(err, b.Close()); err != nil {
		t.Fatal(err)
	}
	db, err := bolt.OpenReadOnly(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Check(t.Context()); !errors.Is(err, storage.ErrDamaged) {
		t.Errorf("the check says %v", err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := bolt.Compact(t.Context(), path, bolt.CompactOptions{}); !errors.Is(err, storage.ErrDamaged) {
		t.Errorf("compacted as it is: %v", err)
	}
	if _, err := bolt.Compact(t.Context(), path, bolt.CompactOptions{Rebuild: true}); err != nil {
		t.Fatal(err)
	}
	if dumpOf(t, path) != want {
		t.Error("what is found has changed")
	}
}
