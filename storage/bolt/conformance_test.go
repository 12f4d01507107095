package bolt_test

import (
	"path/filepath"
	"testing"

	"sitrep/storage"
	"sitrep/storage/bolt"
	"sitrep/storage/storagetest"
)

func TestStore(t *testing.T) {
	storagetest.Run(t, storagetest.Engine{
		Open:   func(t *testing.T) storage.Store { return open(t, bolt.Options{}) },
		Copied: func(t *testing.T, s, copied storage.Store) { bolt.SameBuckets(t, s.(*bolt.DB), copied.(*bolt.DB)) },
	})
}

// open returns a new store, which is closed when the test ends.
func open(t testing.TB, o bolt.Options) *bolt.DB {
	t.Helper()
	db, err := bolt.Open(t.Context(), filepath.Join(t.TempDir(), "sitrep.db"), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}
