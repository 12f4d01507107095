package bolt

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"sitrep/incident"
	"sitrep/storage"
)

// putMany stores n breaches of one incident, from a number on.
func putMany(t *testing.T, db *DB, number int64, from, n int) {
	t.Helper()
	for ; n > 0; n, from = n-min(n, 2000), from+2000 {
		err := db.Write(t.Context(), func(tx storage.Tx) error {
			all := make([]*incident.Breach, min(n, 2000))
			for i := range all {
				all[i] = &incident.Breach{Fingerprint: fmt.Sprintf("%016x", from+i), Incident: number, State: incident.BreachEnded, Priority: strings.Repeat("x", 300)}
			}
			return tx.PutBreaches(t.Context(), all)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func pruneAll(t *testing.T, db *DB, number int64) {
	t.Helper()
	for more := true; more; {
		err := db.Write(t.Context(), func(tx storage.Tx) error {
			n, err := tx.DeleteBreaches(t.Context(), []int64{number}, time.Time{}, 2000)
			more = n > 0
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// What a small commit writes does not grow with the pages that became free.
func TestASmallCommitIsSmallAfterMuchWasDeleted(t *testing.T) {
	t.Parallel()
	pages := 0
	db := openWith(t, Options{}, func(tx *bbolt.Tx) error {
		err := tx.Commit()
		pages = allocated(tx)
		return err
	})
	putMany(t, db, 1, 0, 40_000)
	small := func() int {
		if err := db.Write(t.Context(), putAlive(t.Context(), time.Unix(1, 0))); err != nil {
			t.Fatal(err)
		}
		return pages
	}
	before := small()
	pruneAll(t, db, 1)
	small() // what was deleted last is free only now
	if after := small(); after > 2*before {
		t.Errorf("a small commit wrote %d bytes, and %d after much was deleted", before, after)
	}
}

// listed reports whether the list of free pages is in a file.
func listed(t *testing.T, path string) (is bool) {
	t.Helper()
	b, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true, Timeout: lockTimeout})
	if err != nil {
		t.Fatal(err)
	}
	err = b.View(func(btx *bbolt.Tx) (err error) { is, err = hasFreeList(path, btx); return err })
	if err := errors.Join(err, b.Close()); err != nil {
		t.Fatal(err)
	}
	return is
}

// copyFile copies what is in a file now, as a crash would leave it.
func copyFile(t *testing.T, from string) string {
	t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), "copy.db")
	if err := os.WriteFile(to, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return to
}

// The list of free pages is written at a clean stop, found out after a crash, and in both
// cases the file is one that any bbolt opens.
func TestTheFreePagesAreKnownAfterAStopAndAfterACrash(t *testing.T) {
	t.Parallel()
	db := openWith(t, Options{}, nil)
	putMany(t, db, 1, 0, 4000)
	putMany(t, db, 2, 4000, 10)
	pruneAll(t, db, 1)
	crashed := copyFile(t, db.path)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	stopped := copyFile(t, db.path)
	if listed(t, crashed) || !listed(t, stopped) {
		t.Errorf("after a crash the list is there: %v, after a stop: %v", listed(t, crashed), listed(t, stopped))
	}
	for name, path := range map[string]string{"crashed": crashed, "stopped": stopped} {
		// As one opens it that knows nothing of this.
		b, err := bbolt.Open(copyFile(t, path), 0o600, &bbolt.Options{Timeout: lockTimeout})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		err = b.Update(func(btx *bbolt.Tx) error {
			for err := range btx.Check() {
				t.Errorf("%s: %v", name, err)
			}
			return nil
		})
		if err := errors.Join(err, b.Close()); err != nil {
			t.Errorf("%s: %v", name, err)
		}

		size := func() int64 {
			file, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			return file.Size()
		}
		before := size()
		db, err := Open(t.Context(), path, Options{})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		putMany(t, db, 3, 10_000, 3000) // in the room that became free
		if err := errors.Join(db.Check(t.Context()), db.Close()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if after := size(); after != before {
			t.Errorf("%s: the file grew from %d to %d bytes", name, before, after)
		}
		if !listed(t, path) {
			t.Errorf("%s: after a stop the list is not there", name)
		}
	}
}

// A page that is damaged is found before bbolt looks for the free ones, which would end the
// process.
func TestADamagedFileIsRefusedAfterACrash(t *testing.T) {
	db := openWith(t, Options{}, nil)
	putMany(t, db, 1, 0, 100)
	crashed := copyFile(t, db.path)
	f, err := os.OpenFile(crashed, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	// The number of each page is no longer what it was, but of the head.
	end, err := f.Seek(0, io.SeekEnd)
	for at := int64(2 * 4096); err == nil && at < end; at += 4096 {
		_, err = f.WriteAt([]byte{0xff, 0xff, 0xff, 0xff}, at)
	}
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), crashed, Options{}); !errors.Is(err, storage.ErrDamaged) {
		t.Errorf("it opens: %v", err)
	}
}
