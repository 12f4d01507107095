package router_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"sitrep/incident"
	"sitrep/incident/incidenttest"
	"sitrep/internal/command"
	"sitrep/router/routertest"
	"sitrep/storage"
	"sitrep/storage/postgres"
	"sitrep/storage/postgres/postgrestest"
)

// A bubbled store has the clock of the bubble, as those who use it do. Time stands still there
// while a database is waited for.
type bubbled struct{ storage.Store }

func (bubbled) Clock(context.Context) (time.Time, error) {
	return time.Now().UTC().Truncate(time.Microsecond), nil
}

// onDatabase returns what opens a new database.
func onDatabase(t *testing.T) func(context.Context) (storage.Store, error) {
	t.Helper()
	url := postgrestest.Database(t)
	if _, err := postgres.Migrate(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	return func(ctx context.Context) (storage.Store, error) {
		db, err := postgres.Open(ctx, url, postgres.Options{})
		return bubbled{db}, err
	}
}

// Two processes on one database tell each reader each thing once: openings, updates, a priority
// that falls, ends, and after both were stopped for a while.
func TestTwoReplicasOnADatabase(t *testing.T) {
	open := onDatabase(t)
	p := policy()
	p.Groups[1].Recipients = incidenttest.Mails("s1", "s2", "s3")
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, routertest.Options{Policy: p, Open: open, Poll: time.Minute})
		w.Start()
		w.StartReplica(routertest.Process{Owner: "b"})
		one, two := w.Alert("p1", "a"), w.Alert("p2", "b")
		w.Post(one, two)
		w.Pass(10 * time.Minute)
		w.Do(1, command.Priority{Priority: "P2", Reason: "it is not that bad"})
		w.Pass(2 * time.Hour)
		w.Restart(20 * time.Minute)
		w.StartReplica(routertest.Process{Owner: "b"})
		w.Pass(10 * time.Minute)
		w.Resolve(one, two)
		w.Pass(15 * time.Minute)

		type told struct {
			to       string
			incident int64
			kind     incident.Kind
			at       time.Time
		}
		seen, kinds := map[told]bool{}, map[incident.Kind]bool{}
		for _, m := range w.Mails() {
			for i := range m.Items {
				it := told{m.To, m.Items[i].Incident.Number, m.Items[i].Kind, m.Taken.Truncate(5 * time.Minute)}
				if seen[it] {
					t.Errorf("told twice: %+v", it)
				}
				seen[it], kinds[it.kind] = true, true
			}
		}
		for _, kind := range []incident.Kind{incident.KindOpened, incident.KindResolved} {
			if !kinds[kind] {
				t.Errorf("nobody was told of %s: %v", kind, kinds)
			}
		}
		if tries := w.Attempts(); len(tries) != len(w.Deliveries()) {
			t.Errorf("%d attempts of %d messages", len(tries), len(w.Deliveries()))
		}
		for number := int64(1); number <= 2; number++ {
			if in := w.Situation(number).Incident; in.State != incident.StateResolved {
				t.Errorf("%s is %s", in.ID(), in.State)
			}
		}
	})
}
