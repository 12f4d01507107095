// Package storagetest is the contract of storage.Store as tests, each rule once. An
// engine runs all of it, under the race detector.
//
// Engines may compare leases and due times with their own clock. So what is due here
// was due before the test began or is not for a day, and leases last for hours or for
// a microsecond.
package storagetest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"sitrep/incident"
	"sitrep/storage"
)

// An Engine opens the stores that the rules are tried on.
type Engine struct {
	// Open returns an empty store, which is closed when the test ends.
	Open func(t *testing.T) storage.Store
	// Again opens a store once more that Open returned, as another process does at the same
	// time; it is closed when the test ends. Nil if an engine lets only one process have a
	// store: then what two of them do is done by one.
	Again func(t *testing.T, s storage.Store) storage.Store
	// Copied looks at more of a store that nobody holds a lease of, and of a copy of it, than is
	// seen from outside: all by which things are found. Nil if there is nothing to look at.
	Copied func(t *testing.T, s, copied storage.Store)
	// Foreign returns an empty store of another engine, which is closed when the test ends. Nil if
	// that engine's tests try copies from one to the other.
	Foreign func(t *testing.T) storage.Store
	// Groups are those of the rules that are checked; none is all, and a model beside them.
	Groups []string
}

// both opens an empty store, twice if it can be.
func (e Engine) both(t *testing.T) (store, other storage.Store) {
	store = e.Open(t)
	if e.Again == nil {
		return store, store
	}
	return store, e.Again(t, store)
}

// Run checks all rules.
func Run(t *testing.T, e Engine) {
	t.Helper()
	for _, group := range []struct {
		name  string
		rules []rule
	}{
		{"transactions", transactionRules},
		{"incidents", incidentRules},
		{"events", eventRules},
		{"breaches", breachRules},
		{"agendas", agendaRules},
		{"subscriptions", subscriptionRules},
		{"claims", claimRules},
		{"writes together", togetherRules},
		{"watchdog", watchdogRules},
		{"deliveries", deliveryRules},
		{"log", logRules},
		{"configurations", configRules},
		{"journals", journalRules},
		{"retention", retentionRules},
		{"jobs", jobRules},
		{"replicas", replicaRules},
		{"log-ins", loginRules},
		{"two writers", writerRules},
		{"a queue of two writers", queueWriterRules},
		{"pruning", pruneRules},
		{"forgetting", forgetRules},
		{"copies", copyRules},
	} {
		if len(e.Groups) > 0 && !slices.Contains(e.Groups, group.name) {
			continue
		}
		t.Run(group.name, func(t *testing.T) {
			for _, r := range group.rules {
				t.Run(r.name, func(t *testing.T) { r.test(newFixture(t, e)) })
			}
		})
	}
	if len(e.Groups) == 0 {
		t.Run("claims equal a model", func(t *testing.T) { checkModel(t, e) })
	}
}

// A rule is one sentence of the contract.
type rule struct {
	name string
	test func(f *fixture)
}

// A fixture is a store with helpers around it.
type fixture struct {
	*testing.T
	store storage.Store
	// other is the same store, opened again where the engine can.
	other storage.Store
	// fresh opens another store, which is empty.
	fresh func() storage.Store
	// copied is that of the engine.
	copied func(t *testing.T, s, copied storage.Store)
	// foreign opens an empty store of another engine; nil if there is none.
	foreign func() storage.Store
	// now is whole microseconds, UTC, and not after the time of any clock.
	now time.Time
}

func newFixture(t *testing.T, e Engine) *fixture {
	store, other := e.both(t)
	f := &fixture{
		T: t, store: store, other: other, fresh: func() storage.Store { return e.Open(t) }, copied: e.Copied,
		now: time.Now().UTC().Truncate(time.Microsecond),
	}
	if e.Foreign != nil {
		f.foreign = func() storage.Store { return e.Foreign(t) }
	}
	return f
}

// each runs fn for each number below n at the same time, half of them with each of the two.
func (f *fixture) each(n int, fn func(i int, s storage.Store)) {
	f.Helper()
	var wg sync.WaitGroup
	begin := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-begin
			fn(i, []storage.Store{f.store, f.other}[i%2])
		})
	}
	close(begin)
	wg.Wait()
}

// writeEach runs fn in n writes at the same time, half of them of each of the two, that must
// succeed.
func (f *fixture) writeEach(n int, fn func(i int, tx storage.Tx) error) {
	f.Helper()
	f.each(n, func(i int, s storage.Store) {
		ctx, cancel := context.WithTimeout(f.Context(), patience)
		defer cancel()
		if err := s.Write(ctx, func(tx storage.Tx) error { return fn(i, tx) }); err != nil {
			f.Errorf("write %d: %v", i, err)
		}
	})
}

// patience is how long writers are waited for until they wait for each other.
const patience = time.Minute

// write runs fn in a write that must succeed.
func (f *fixture) write(fn func(storage.Tx) error) {
	f.Helper()
	if err := f.store.Write(f.Context(), fn); err != nil {
		f.Fatalf("write: %v", err)
	}
}

// read runs fn in a read that must succeed: of what the one wrote by the other.
func (f *fixture) read(fn func(storage.Snapshot) error) {
	f.Helper()
	if err := f.other.Read(f.Context(), fn); err != nil {
		f.Fatalf("read: %v", err)
	}
}

// put stores incidents.
func (f *fixture) put(all ...*incident.Incident) {
	f.Helper()
	f.write(func(tx storage.Tx) error {
		for _, in := range all {
			if err := tx.PutIncidents(f.Context(), []*incident.Incident{in}); err != nil {
				return err
			}
		}
		return nil
	})
}

func (f *fixture) equal(what string, got, want any) {
	f.Helper()
	if !reflect.DeepEqual(got, want) {
		f.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}

func (f *fixture) fails(what string, err, want error) {
	f.Helper()
	if !errors.Is(err, want) {
		f.Errorf("%s: error %v, want %v", what, err, want)
	}
}

// newIncident returns an open incident with all kinds of fields set.
func (f *fixture) newIncident(number int64) *incident.Incident {
	return &incident.Incident{
		Number: number, Sequence: 1, Key: fmt.Sprintf("slo-%d", number), SLO: fmt.Sprintf("slo-%d", number),
		UseCase: "Application cannot notify its users", Service: "notifications", Team: "blue",
		Labels: map[string]string{"region": "eu"}, Stakeholders: []string{"support"},
		State: incident.StateOpen, Phase: incident.PhaseInitialDiagnosis,
		Priority:    incident.Priority{Name: "P1", Inform: []incident.Audience{incident.AudienceManagement}, UpdateEvery: 2 * time.Hour},
		Highest:     incident.Priority{Name: "P1"},
		SLOPriority: "P1", Actions: []incident.Action{{Name: "hotfix", State: incident.ActionDue}},
		Breaches: incident.Counts{Firing: 1, Total: 1}, StartedAt: f.now.Add(-time.Minute), OpenedAt: f.now,
		ResolveAfter: 10 * time.Minute,
		Words:        map[incident.Audience]incident.Word{incident.AudienceManagement: {Text: "we look", At: f.now, By: "ada"}},
	}
}

// newBreach returns a firing breach.
func (f *fixture) newBreach(fingerprint string, number int64) *incident.Breach {
	return &incident.Breach{
		Fingerprint: fingerprint, StartsAt: f.now.Add(-time.Hour), State: incident.BreachFiring, Incident: number, Priority: "P1",
		Labels: map[string]string{"alertname": "Down", "instance": fingerprint}, Annotations: map[string]string{"summary": "it is \"down\""},
		GeneratorURL: "https://prometheus.example/graph", HeardAt: f.now,
	}
}

func cancelled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}
