package bolt_test

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"sitrep/incident"
	"sitrep/storage"
)

// A store of the form before what is due was found by its urgency is brought up: a reader to whom
// three things are due is leased with all that is due by then, and the most urgent counts.
func TestWhatIsDueInAnOlderStoreIsFoundByItsUrgency(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sitrep.db")
	unpack(t, "testdata/version6.db.gz", path)
	db := openAt(t, path)
	defer db.Close()
	if err := db.Check(t.Context()); err != nil {
		t.Error(err)
	}
	at := noon.Add(150 * time.Minute)
	mustRead(t, db, func(r storage.Snapshot) error {
		waiting, err := r.Waiting(t.Context(), at, 9)
		want := storage.Waiting{Recipient: "a", Since: noon.Add(time.Hour), Urgency: incident.MostUrgent}
		if len(waiting) != 1 || waiting[0] != want {
			t.Errorf("waiting %+v, want %+v", waiting, want)
		}
		return err
	})
	mustWrite(t, db, func(tx storage.Tx) error {
		leases, err := tx.TakeLeases(t.Context(), at, "x", time.Minute, []string{"a"})
		if err != nil || len(leases) != 1 {
			t.Fatalf("leases %+v, %v", leases, err)
		}
		var numbers []int64
		for _, s := range leases[0].Subscriptions {
			numbers = append(numbers, s.Incident)
		}
		if !slices.Equal(numbers, []int64{1, 2}) {
			t.Errorf("leased with %v", numbers)
		}
		return nil
	})
}
