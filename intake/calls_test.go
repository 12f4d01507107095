package intake_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"sitrep/incident"
	"sitrep/intake"
	"sitrep/storage"
)

// A counted store counts what is asked of it: in an engine over a network each is a wait.
type counted struct {
	storage.Store
	calls []string
}

func (s *counted) note(name string) { s.calls = append(s.calls, name) }

func (s *counted) Read(ctx context.Context, fn func(storage.Snapshot) error) error {
	s.note("begin")
	return s.Store.Read(ctx, func(r storage.Snapshot) error { return fn(countedTx{s: s, r: r}) })
}

func (s *counted) Write(ctx context.Context, fn func(storage.Tx) error) error {
	s.note("begin")
	defer s.note("commit")
	return s.Store.Write(ctx, func(tx storage.Tx) error { return fn(countedTx{s: s, r: tx, tx: tx}) })
}

// A countedTx has those methods that a post needs. Another one panics, as nothing stands
// behind it.
type countedTx struct {
	storage.Tx
	s  *counted
	r  storage.Snapshot
	tx storage.Tx
}

func (t countedTx) LatestBreaches(ctx context.Context, fingerprints []string) (map[string]*incident.Breach, error) {
	t.s.note("LatestBreaches")
	return t.r.LatestBreaches(ctx, fingerprints)
}

func (t countedTx) Unmapped(ctx context.Context, fingerprints []string) (map[string]*incident.UnmappedAlert, error) {
	t.s.note("Unmapped")
	return t.r.Unmapped(ctx, fingerprints)
}

func (t countedTx) IncidentsByNumber(ctx context.Context, numbers []int64) (map[int64]*incident.Incident, error) {
	t.s.note("IncidentsByNumber")
	return t.r.IncidentsByNumber(ctx, numbers)
}

func (t countedTx) LatestOf(ctx context.Context, keys []string) (map[string]int64, error) {
	t.s.note("LatestOf")
	return t.r.LatestOf(ctx, keys)
}

func (t countedTx) Generation(ctx context.Context) (storage.Generation, error) {
	t.s.note("Generation")
	return t.r.Generation(ctx)
}

func (t countedTx) Lock(ctx context.Context, n storage.Needs) error {
	t.s.note("Lock")
	return t.tx.Lock(ctx, n)
}

func (t countedTx) Agendas(ctx context.Context, numbers []int64) (map[int64]incident.Agenda, error) {
	t.s.note("Agendas")
	return t.r.Agendas(ctx, numbers)
}

func (t countedTx) Pulses(ctx context.Context, names ...string) (incident.Pulses, error) {
	t.s.note("Pulses")
	return t.r.Pulses(ctx, names...)
}

func (t countedTx) Subscriptions(ctx context.Context, numbers []int64, recipients ...string) (map[int64][]incident.Subscription, error) {
	t.s.note("Subscriptions")
	return t.r.Subscriptions(ctx, numbers, recipients...)
}

func (t countedTx) NextNumber(ctx context.Context) (int64, error) {
	t.s.note("NextNumber")
	return t.tx.NextNumber(ctx)
}

func (t countedTx) PutIncidents(ctx context.Context, all []*incident.Incident) error {
	t.s.note("PutIncidents")
	return t.tx.PutIncidents(ctx, all)
}

func (t countedTx) AppendEvents(ctx context.Context, events []incident.Event) error {
	t.s.note("AppendEvents")
	return t.tx.AppendEvents(ctx, events)
}

func (t countedTx) PutAgendas(ctx context.Context, all []incident.Agenda) error {
	t.s.note("PutAgendas")
	return t.tx.PutAgendas(ctx, all)
}

func (t countedTx) PutBreaches(ctx context.Context, all []*incident.Breach) error {
	t.s.note("PutBreaches")
	return t.tx.PutBreaches(ctx, all)
}

func (t countedTx) PutSubscriptions(ctx context.Context, put, gone []incident.Subscription) error {
	t.s.note("PutSubscriptions")
	return t.tx.PutSubscriptions(ctx, put, gone)
}

func (t countedTx) PutUnmapped(ctx context.Context, put []*incident.UnmappedAlert, gone []string) error {
	t.s.note("PutUnmapped")
	return t.tx.PutUnmapped(ctx, put, gone)
}

// Whatever a post holds, it asks the same few questions of the store.
func TestAPostAsksInSets(t *testing.T) {
	const limit = 20
	alerts := func(at time.Time, n int, labels func(i int) map[string]string, ended bool) (out []incident.Alert) {
		for i := range n {
			a := incident.Alert{Fingerprint: fmt.Sprintf("%016x", i), StartsAt: at, Labels: labels(i)}
			if ended {
				a.Resolved, a.EndsAt = true, at.Add(time.Minute)
			}
			out = append(out, a)
		}
		return out
	}
	kinds := map[string]func(i int) map[string]string{
		"one SLO":       func(int) map[string]string { return map[string]string{"sloth_id": "a"} },
		"many SLOs":     func(i int) map[string]string { return map[string]string{"sloth_id": "a", "region": fmt.Sprint(i)} },
		"without SLOs":  func(i int) map[string]string { return map[string]string{"alertname": fmt.Sprint(i)} },
		"a bit of both": func(i int) map[string]string { return map[string]string{[]string{"sloth_id", "alertname"}[i%2]: "a"} },
	}
	for name, labels := range kinds {
		for _, n := range []int{1, 100, 1000} {
			t.Run(fmt.Sprint(name, "/", n), func(t *testing.T) {
				d := newDesk(t)
				s := &counted{Store: d.repo.Store}
				d.repo.Store = s
				begin := d.at
				for _, step := range []struct {
					what   string
					after  time.Duration
					alerts []incident.Alert
				}{
					{"new", 0, alerts(begin, n, labels, false)},
					{"repeated at once", time.Second, alerts(begin, n, labels, false)},
					{"repeated an hour later", time.Hour, alerts(begin, n, labels, false)},
					{"resolved", 2 * time.Hour, alerts(begin, n, labels, true)},
					{"anew", 3 * time.Hour, alerts(begin.Add(3*time.Hour-time.Minute), n, labels, false)},
				} {
					s.calls = nil
					if _, err := d.taker.Take(t.Context(), intake.Post{At: begin.Add(step.after), Alerts: step.alerts}); err != nil {
						t.Fatal(err)
					}
					t.Logf("%s: %d calls", step.what, len(s.calls))
					if len(s.calls) > limit {
						t.Errorf("%d alerts, %s: %d calls of the store, more than %d: %v", n, step.what, len(s.calls), limit, s.calls)
					}
				}
			})
		}
	}
}
