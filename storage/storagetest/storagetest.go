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
	"testing"
	"time"

	"sitrep/incident"
	"sitrep/storage"
)

// Run checks all rules. Open returns an empty store, which it closes when the test
// ends.
func Run(t *testing.T, open func(t *testing.T) storage.Store) {
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
		{"watchdog", watchdogRules},
		{"deliveries", deliveryRules},
		{"log", logRules},
		{"journals", journalRules},
		{"retention", retentionRules},
		{"pruning", pruneRules},
		{"forgetting", forgetRules},
	} {
		t.Run(group.name, func(t *testing.T) {
			for _, r := range group.rules {
				t.Run(r.name, func(t *testing.T) { r.test(newFixture(t, open(t))) })
			}
		})
	}
	t.Run("claims equal a model", func(t *testing.T) { checkModel(t, open) })
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
	// now is whole microseconds, UTC, and not after the time of any clock.
	now time.Time
}

func newFixture(t *testing.T, s storage.Store) *fixture {
	return &fixture{t, s, time.Now().UTC().Truncate(time.Microsecond)}
}

// write runs fn in a write that must succeed.
func (f *fixture) write(fn func(storage.Tx) error) {
	f.Helper()
	if err := f.store.Write(f.Context(), fn); err != nil {
		f.Fatalf("write: %v", err)
	}
}

// read runs fn in a read that must succeed.
func (f *fixture) read(fn func(storage.Reader) error) {
	f.Helper()
	if err := f.store.Read(f.Context(), fn); err != nil {
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
		State: incident.Open, Phase: incident.InitialDiagnosis,
		Priority:    incident.Priority{Name: "P1", Inform: []incident.Audience{incident.Management}, UpdateEvery: 2 * time.Hour},
		Highest:     incident.Priority{Name: "P1"},
		SLOPriority: "P1", Actions: []incident.Action{{Name: "hotfix", State: incident.ActionDue}},
		Breaches: incident.Counts{Firing: 1, Total: 1}, StartedAt: f.now.Add(-time.Minute), OpenedAt: f.now,
		ResolveAfter: 10 * time.Minute,
		Words:        map[incident.Audience]incident.Word{incident.Management: {Text: "we look", At: f.now, By: "ada"}},
	}
}

// newBreach returns a firing breach.
func (f *fixture) newBreach(fingerprint string, number int64) *incident.Breach {
	return &incident.Breach{
		Fingerprint: fingerprint, StartsAt: f.now.Add(-time.Hour), State: incident.Firing, Incident: number, Priority: "P1",
		Labels: map[string]string{"alertname": "Down", "instance": fingerprint}, Annotations: map[string]string{"summary": "it is \"down\""},
		GeneratorURL: "https://prometheus.example/graph", HeardAt: f.now,
	}
}

func cancelled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}
