package bolt_test

import (
	"compress/gzip"
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"sitrep/incident"
	"sitrep/storage"
	"sitrep/storage/bolt"
)

// A store that sitrep wrote when it found breaches by fingerprint and startsAt is brought up:
// its incident is there, of each fingerprint one breach goes on, and nothing older waits for
// an answer. In it, of one fingerprint the first of two breaches is doubted; another's clock
// was two hours ahead, and what began since is older by its startsAt, and fires.
func TestTheBreachesOfAnOlderStoreAreBroughtUp(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sitrep.db")
	unpack(t, "testdata/version2.db.gz", path)
	db := openAt(t, path)
	defer db.Close()
	if err := db.Check(t.Context()); err != nil {
		t.Error(err)
	}
	at := time.Date(2026, 6, 16, 10, 6, 0, 0, time.UTC)
	mustRead(t, db, func(r storage.Snapshot) error {
		in, err := storage.IncidentOf(t.Context(), r, 1)
		if err != nil {
			return err
		}
		if in.Key != "a" || in.State != incident.StateOpen || in.Breaches.Firing != 3 || !in.ChangedAt.Equal(at) {
			t.Errorf("incident %+v", in)
		}
		for fingerprint, ordinal := range map[string]int64{"0000000000000001": 1, "0000000000000002": 1, "0000000000000003": 0} {
			if b, err := storage.LatestBreach(t.Context(), r, fingerprint); err != nil || b == nil || b.State != incident.BreachFiring || b.Ordinal != ordinal {
				t.Errorf("the latest of %s: %+v, %v", fingerprint, b, err)
			}
		}
		if asked, err := r.DueBreaches(t.Context(), storage.BreachesToAsk, at.AddDate(9, 0, 0), 9); err != nil || len(asked) != 0 {
			t.Errorf("to be asked about: %+v, %v", asked, err)
		}
		silent, err := r.DueBreaches(t.Context(), storage.BreachesSilent, at.AddDate(9, 0, 0), 9)
		if len(silent) != 3 {
			t.Errorf("not known to have ended: %+v", silent)
		}
		return err
	})
}

// What is no longer the latest, and had not ended, is not counted for ever.
func TestAnOlderBreachThatHadNotEndedEndsWhenTheStoreIsBroughtUp(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sitrep.db")
	db := openAt(t, path)
	in := incident.Incident{
		Number: 1, Sequence: 1, Key: "a", State: incident.StateOpen, Priority: incident.Priority{Name: "P1"},
		Breaches: incident.Counts{Firing: 1, Unknown: 1, Total: 2},
	}
	older := incident.Breach{Fingerprint: "a", StartsAt: noon, HeardAt: noon, State: incident.BreachUnknown, Incident: 1}
	latest := incident.Breach{Fingerprint: "a", Ordinal: 1, StartsAt: noon.Add(time.Minute), HeardAt: noon.Add(time.Minute), State: incident.BreachFiring, Incident: 1}
	mustWrite(t, db, func(tx storage.Tx) error {
		if err := tx.PutIncidents(t.Context(), []*incident.Incident{&in}); err != nil {
			return err
		}
		if err := tx.AppendEvents(t.Context(), []incident.Event{{Incident: 1, Sequence: 1, Type: incident.EventOpened, Time: noon, Data: incident.Data{Opening: &incident.Opening{Key: "a"}}}}); err != nil {
			return err
		}
		if err := tx.PutBreaches(t.Context(), []*incident.Breach{&older}); err != nil {
			return err
		}
		return tx.PutBreaches(t.Context(), []*incident.Breach{&latest})
	})
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	bolt.MakeOlder(t, path, older, latest)
	db = openAt(t, path)
	defer db.Close()
	if err := db.Check(t.Context()); err != nil {
		t.Error(err)
	}
	mustRead(t, db, func(r storage.Snapshot) error {
		got, err := storage.IncidentOf(t.Context(), r, 1)
		if got.Breaches != (incident.Counts{Firing: 1, Total: 2}) || got.Sequence != 2 {
			t.Errorf("incident %+v", got)
		}
		if b, err := storage.LatestBreach(t.Context(), r, "a"); err != nil || b == nil || b.State != incident.BreachFiring {
			t.Errorf("the latest %+v, %v", b, err)
		}
		if events, err := storage.EventsOf(t.Context(), r, 1, 1, 9); err != nil || len(events) != 1 || events[0].Type != incident.EventBreachEnded || events[0].Data.Why != incident.WhyUnseen {
			t.Errorf("events %+v, %v", events, err)
		}
		if silent, err := r.DueBreaches(t.Context(), storage.BreachesSilent, noon.AddDate(1, 0, 0), 9); err != nil || len(silent) != 1 {
			t.Errorf("not known to have ended: %+v, %v", silent, err)
		}
		return err
	})
}

func mustRead(t testing.TB, db *bolt.DB, fn func(storage.Snapshot) error) {
	t.Helper()
	if err := db.Read(context.Background(), fn); err != nil {
		t.Fatal(err)
	}
}

// unpack writes what a file holds that is compressed.
func unpack(t *testing.T, from, to string) {
	t.Helper()
	f, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, b, 0o600); err != nil {
		t.Fatal(err)
	}
}
