package bolt_test

import (
	"path/filepath"
	"testing"
	"time"

	"sitrep/storage"
	"sitrep/storage/bolt"
)

// Who opens the file is alone with it: what is to be done now and then is due at once, as it
// is at each start.
func TestJobsEndWithTheirProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sitrep.db")
	for _, end := range []bool{false, true, false} {
		db := openAt(t, path)
		j := storage.Job{Name: "prune", Owner: noon.String(), Lease: time.Hour, Every: time.Hour}
		if end {
			j.Owner = "another"
		}
		mustWrite(t, db, func(tx storage.Tx) error {
			taken, err := tx.TakeJob(t.Context(), j, noon)
			if err != nil || !taken {
				t.Errorf("taken %v, %v", taken, err)
			}
			if end {
				return tx.EndJob(t.Context(), j, noon)
			}
			return nil
		})
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	db, err := bolt.OpenReadOnly(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Check(t.Context()); err != nil {
		t.Error(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// A build that knows of no generation loads configurations too, before and in between.
func TestTheGenerationOfAStoreThatAnotherBuildHad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sitrep.db")
	load := func(hash string, minute int) storage.Loading {
		return storage.Loading{Hash: hash, At: noon.Add(time.Duration(minute) * time.Minute), Actor: "start"}
	}
	want := func(db *bolt.DB, number int64, hash string, minute int) {
		t.Helper()
		mustRead(t, db, func(r storage.Snapshot) error {
			g, err := r.Generation(t.Context())
			if w := (storage.Generation{Number: number, Hash: hash, At: load(hash, minute).At}); g != w {
				t.Errorf("in force %+v, want %+v", g, w)
			}
			return err
		})
	}
	if err := openAt(t, path).Close(); err != nil {
		t.Fatal(err)
	}
	bolt.LoadAsBefore(t, path, load("a", 5))
	bolt.LoadAsBefore(t, path, load("b", 3)) // by a clock that was set back
	old, err := bolt.OpenReadOnly(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	want(old, 2, "b", 3)
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	db := openAt(t, path)
	want(db, 2, "b", 3)
	mustWrite(t, db, func(tx storage.Tx) error {
		return tx.PutConfig(t.Context(), load("c", 9), storage.Config{Hash: "c", Body: []byte("c")})
	})
	want(db, 3, "c", 9)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	bolt.LoadAsBefore(t, path, load("a", 10))
	db = openAt(t, path)
	defer db.Close()
	want(db, 4, "a", 10)
	if err := db.Check(t.Context()); err != nil {
		t.Error(err)
	}
}
