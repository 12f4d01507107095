package router

import (
	"errors"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"sitrep/storage"
	"sitrep/storage/bolt"
)

// A process that stood still past its lease, and whose clock was set back meanwhile or stood
// still with it, still finds out before the next step that it lost the lease.
func TestALeaseIsNotHeldLongerByAClockThatIsSetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, err := bolt.Open(t.Context(), filepath.Join(t.TempDir(), "sitrep.db"), bolt.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		d := &Dispatcher{Repo: &storage.Repository{Store: db}}
		g := &keeper{d: d, claim: &storage.Lease{Recipient: "a", Owner: "a", Attempt: 1, Until: now().Add(lease)}, turn: make(chan struct{}, 1)}
		g.left, g.since = lease, time.Now()
		time.Sleep(lease - leaseMargin - time.Second)
		if err := g.check(t.Context()); err != nil {
			t.Errorf("with enough of it left: %v", err)
		}
		time.Sleep(lease)
		g.claim.Until = now().Add(time.Hour) // as it looks by a clock that was set back
		if err := g.check(t.Context()); !errors.Is(err, storage.ErrLost) {
			t.Errorf("past it: %v", err)
		}
	})
}
