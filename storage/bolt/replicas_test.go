package bolt

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"sitrep/storage"
)

// Who holds the file is the only one: who had it before is known by when that was alone.
func TestWhoHadTheStoreBeforeIsForgotten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sitrep.db")
	for _, owner := range []string{"first", "second"} {
		db, err := Open(t.Context(), path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		err = db.Write(t.Context(), func(tx storage.Tx) error {
			alive, err := tx.Alive(t.Context())
			if err != nil || alive.IsZero() != (owner == "first") {
				t.Errorf("%s: alive %v, %v", owner, alive, err)
			}
			if err := tx.PutAlive(t.Context(), storage.Replica{Owner: owner, SeenAt: noon}); err != nil {
				return err
			}
			all, err := tx.Replicas(t.Context())
			if len(all) != 1 || all[0].Owner != owner {
				t.Errorf("%s: %+v", owner, all)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// Strangers who fail to log in for hours fill no store.
func TestFailedLoginsThatNoLongerCountGo(t *testing.T) {
	db, err := Open(t.Context(), filepath.Join(t.TempDir(), "sitrep.db"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	const each = 10 // a minute
	at, most := noon, 0
	for range 4 * 60 {
		at = at.Add(time.Minute)
		failed := map[string]int{}
		for range each {
			failed[fmt.Sprintf("%016x", rand.Uint64())] = 1
		}
		err := db.Write(t.Context(), func(tx storage.Tx) error { return tx.CountLogins(t.Context(), failed, nil, at) })
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		err = db.view(func(r *reader) error {
			return r.ascend(bMeta, []byte(loginPrefix), nil, func(_, _ []byte) (bool, error) { n++; return true, nil })
		})
		if err != nil {
			t.Fatal(err)
		}
		most = max(most, n)
	}
	if counted := each * int(storage.LoginFailuresKept/time.Minute); most > 2*counted {
		t.Errorf("up to %d are kept, and %d count", most, counted)
	}
}
