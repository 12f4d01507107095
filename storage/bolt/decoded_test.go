package bolt

import (
	"context"
	"errors"
	"path/filepath"
	"reflect"
	"testing"

	"sitrep/incident"
	"sitrep/storage"
)

// What is kept decoded in a write is what its file says: of each function of a group what those
// before it stored, and nothing of one that failed, or that changed what it had read and kept
// it to itself.
func TestAFunctionOfAGroupReadsWhatThoseBeforeItStored(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sitrep.db")
	if err := create(path); err != nil {
		t.Fatal(err)
	}
	db, err := open(t.Context(), path, false, Options{})
	if err != nil {
		t.Fatal(err)
	}
	db.use(Options{Fatal: func(err error) { t.Error(err) }})
	defer db.bolt.Close()
	ctx := t.Context()
	read := func(r storage.Snapshot) (incident.Incident, incident.Agenda) {
		t.Helper()
		in, err := storage.IncidentOf(ctx, r, 1)
		if err != nil && !errors.Is(err, incident.ErrNotFound) {
			t.Fatal(err)
		}
		agendas, err := r.Agendas(ctx, []int64{1})
		if err != nil {
			t.Fatal(err)
		}
		return in, agendas[1]
	}
	put := func(tx storage.Tx, in incident.Incident, a incident.Agenda) error {
		if err := tx.PutIncidents(ctx, []*incident.Incident{&in}); err != nil {
			return err
		}
		return tx.PutAgendas(ctx, []incident.Agenda{a})
	}
	broken := errors.New("broken")
	// Each that goes on counts one further, in both.
	step := func(fail error, store bool) func(storage.Tx) error {
		return func(tx storage.Tx) error {
			in, a := read(tx)
			in.Number, in.State, in.Reopenings, in.Key = 1, incident.StateOpen, in.Reopenings+1, "a"
			a.Incident, a.Generation = 1, a.Generation+1
			if !store {
				return fail
			}
			if err := put(tx, in, a); err != nil {
				return err
			}
			if again, agenda := read(tx); again.Reopenings != in.Reopenings || agenda.Generation != a.Generation {
				t.Errorf("it reads %d and %d after it stored %d", again.Reopenings, agenda.Generation, in.Reopenings)
			}
			return fail
		}
	}
	w := writer{db: db, limit: defaultGather}
	want := 0
	var jobs []*job
	add := func(fn func(storage.Tx) error) {
		jobs = append(jobs, &job{ctx: ctx, fn: fn, done: make(chan result, 1)})
	}
	for range 4 {
		add(step(nil, true))
		add(step(nil, false))
		add(step(broken, false))
		add(step(nil, true))
		add(step(broken, true))
		add(func(tx storage.Tx) error {
			_ = step(nil, true)(tx)
			panic("it goes no further")
		})
		want += 2
	}
	add(func(tx storage.Tx) error {
		if in, a := read(tx); in.Reopenings != want || a.Generation != int64(want) {
			t.Errorf("the last of them reads %d and %d, want %d", in.Reopenings, a.Generation, want)
		}
		return nil
	})
	w.waiting = append(w.waiting, jobs...)
	for len(w.waiting) > 0 {
		if !w.group() {
			t.Fatal("the writer does not go on")
		}
	}
	err = db.Read(context.Background(), func(r storage.Snapshot) error {
		if in, a := read(r); in.Reopenings != want || a.Generation != int64(want) {
			t.Errorf("stored are %d and %d, want %d", in.Reopenings, a.Generation, want)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// A subscription that was decoded before is a copy of its own to each who reads it.
func TestWhatIsKeptOfASubscriptionIsNotChangedByWhoReadsIt(t *testing.T) {
	db, err := Open(t.Context(), filepath.Join(t.TempDir(), "sitrep.db"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	ctx := t.Context()
	put := incident.Subscription{
		Incident: 1, Recipient: "email:a@example.org", Reader: 1, Audiences: []incident.Audience{incident.AudienceManagement}, Groups: []string{"board"},
		Owed: []incident.Owed{{Kind: incident.KindOpened, Reason: incident.DueOpened}},
	}
	if err := db.Write(ctx, func(tx storage.Tx) error { return tx.PutSubscriptions(ctx, []incident.Subscription{put}, nil) }); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		err := db.Read(ctx, func(r storage.Snapshot) error {
			all, err := r.Subscriptions(ctx, []int64{1}, put.Recipient)
			if err != nil {
				return err
			}
			if got := all[1]; len(got) != 1 || !reflect.DeepEqual(got[0], put) {
				t.Errorf("read %+v, stored %+v", got, put)
				return nil
			}
			s := &all[1][0]
			s.Owed[0].Kind, s.Audiences[0], s.Groups[0] = incident.KindLeft, incident.AudienceOnCall, "x"
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
