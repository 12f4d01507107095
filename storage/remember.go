package storage

import (
	"context"
	"slices"
	"strings"

	"sitrep/incident"
)

// Remember returns a snapshot that asks for the same once: for who plans many messages, of which
// most are about the same incidents. What it returns is not to be changed, as others get it too. It is
// for one goroutine, and not for a write.
func Remember(r Snapshot) *Remembering {
	return &Remembering{
		Snapshot: r, incidents: map[int64]*incident.Incident{}, agendas: map[int64]incident.Agenda{}, records: map[recordsAfter][]Record{},
		readers: map[string][]incident.Subscription{}, breaches: map[firstOf]BreachPage{},
	}
}

// A Remembering is a snapshot that remembers what was read.
type Remembering struct {
	Snapshot
	pulses     *incident.Pulses
	generation *Generation
	incidents  map[int64]*incident.Incident // nil of one that is not there
	agendas    map[int64]incident.Agenda
	readers    map[string][]incident.Subscription // by incident and recipient; with none, all of the incident
	records    map[recordsAfter][]Record
	breaches   map[firstOf]BreachPage
}

type recordsAfter struct {
	incident, after int64
	limit           int
}

type firstOf struct {
	incident int64
	limit    int
}

func readerOf(number int64, recipient string) string { return incident.ID(number) + " " + recipient }

// Load reads incidents, what belongs to them, and the subscriptions of some readers to them, in sets.
func (r *Remembering) Load(ctx context.Context, numbers []int64, recipients []string) error {
	if _, err := r.IncidentsByNumber(ctx, numbers); err != nil {
		return err
	}
	if _, err := r.Agendas(ctx, numbers); err != nil {
		return err
	}
	return r.loadReaders(ctx, numbers, recipients)
}

// loadReaders reads the subscriptions of some readers to incidents, in one set, so that they are
// there when they are asked for one by one.
func (r *Remembering) loadReaders(ctx context.Context, numbers []int64, recipients []string) error {
	found, err := r.Snapshot.Subscriptions(ctx, numbers, recipients...)
	if err != nil || len(recipients) == 0 {
		return err
	}
	for _, number := range numbers {
		for _, recipient := range recipients {
			r.readers[readerOf(number, recipient)] = nil
		}
		for i := range found[number] {
			r.readers[readerOf(number, found[number][i].Recipient)] = found[number][i : i+1 : i+1]
		}
	}
	return nil
}

// Pulses implements [Snapshot].
func (r *Remembering) Pulses(ctx context.Context, names ...string) (incident.Pulses, error) {
	if len(names) > 0 {
		return r.Snapshot.Pulses(ctx, names...)
	}
	if r.pulses == nil {
		all, err := r.Snapshot.Pulses(ctx)
		if err != nil {
			return nil, err
		}
		r.pulses = &all
	}
	return *r.pulses, nil
}

// Generation implements [Snapshot].
func (r *Remembering) Generation(ctx context.Context) (Generation, error) {
	if r.generation == nil {
		g, err := r.Snapshot.Generation(ctx)
		if err != nil {
			return g, err
		}
		r.generation = &g
	}
	return *r.generation, nil
}

// IncidentsByNumber implements [Snapshot].
func (r *Remembering) IncidentsByNumber(ctx context.Context, numbers []int64) (map[int64]*incident.Incident, error) {
	return remembered(numbers, r.incidents, func(in *incident.Incident) bool { return in != nil }, func(missing []int64) (map[int64]*incident.Incident, error) {
		return r.Snapshot.IncidentsByNumber(ctx, missing)
	})
}

// Agendas implements [Snapshot].
func (r *Remembering) Agendas(ctx context.Context, numbers []int64) (map[int64]incident.Agenda, error) {
	return remembered(numbers, r.agendas, nil, func(missing []int64) (map[int64]incident.Agenda, error) {
		return r.Snapshot.Agendas(ctx, missing)
	})
}

// Subscriptions implements [Snapshot].
func (r *Remembering) Subscriptions(ctx context.Context, numbers []int64, recipients ...string) (map[int64][]incident.Subscription, error) {
	asked := recipients
	if len(asked) == 0 {
		asked = []string{""}
	}
	known := func(number int64) bool {
		for _, recipient := range asked {
			if _, ok := r.readers[readerOf(number, recipient)]; !ok {
				return false
			}
		}
		return true
	}
	missing := slices.DeleteFunc(slices.Clone(numbers), known)
	if len(missing) > 0 && len(recipients) > 0 {
		if err := r.loadReaders(ctx, missing, recipients); err != nil {
			return nil, err
		}
	} else if len(missing) > 0 {
		found, err := r.Snapshot.Subscriptions(ctx, missing)
		if err != nil {
			return nil, err
		}
		for _, number := range missing {
			r.readers[readerOf(number, "")] = found[number]
		}
	}
	all := make(map[int64][]incident.Subscription, len(numbers))
	for _, number := range numbers {
		if all[number] != nil {
			continue
		}
		for _, recipient := range asked {
			if subs := r.readers[readerOf(number, recipient)]; len(subs) > 0 {
				all[number] = append(all[number], subs...)
			}
		}
		if len(asked) > 1 {
			slices.SortFunc(all[number], func(a, b incident.Subscription) int { return strings.Compare(a.Recipient, b.Recipient) })
		}
	}
	return all, nil
}

// RecordsSince implements [Snapshot].
func (r *Remembering) RecordsSince(ctx context.Context, after map[int64]int64, limit int) (map[int64][]Record, error) {
	missing := map[int64]int64{}
	for number, sequence := range after {
		if _, ok := r.records[recordsAfter{number, sequence, limit}]; !ok {
			missing[number] = sequence
		}
	}
	if len(missing) > 0 {
		found, err := r.Snapshot.RecordsSince(ctx, missing, limit)
		if err != nil {
			return nil, err
		}
		for number, sequence := range missing {
			r.records[recordsAfter{number, sequence, limit}] = found[number]
		}
	}
	all := make(map[int64][]Record, len(after))
	for number, sequence := range after {
		if some := r.records[recordsAfter{number, sequence, limit}]; len(some) > 0 {
			all[number] = some
		}
	}
	return all, nil
}

// FirstBreaches implements [Snapshot].
func (r *Remembering) FirstBreaches(ctx context.Context, numbers []int64, limit int) (map[int64]BreachPage, error) {
	missing := slices.DeleteFunc(slices.Clone(numbers), func(number int64) bool {
		_, ok := r.breaches[firstOf{number, limit}]
		return ok
	})
	if len(missing) > 0 {
		found, err := r.Snapshot.FirstBreaches(ctx, missing, limit)
		if err != nil {
			return nil, err
		}
		for _, number := range missing {
			r.breaches[firstOf{number, limit}] = found[number]
		}
	}
	all := make(map[int64]BreachPage, len(numbers))
	for _, number := range numbers {
		if page := r.breaches[firstOf{number, limit}]; len(page.Breaches) > 0 {
			all[number] = page
		}
	}
	return all, nil
}

// remembered returns what is known of numbers, after what is not known was read. What there is not is
// left out.
func remembered[V any](numbers []int64, known map[int64]V, there func(V) bool, read func([]int64) (map[int64]V, error)) (map[int64]V, error) {
	var missing []int64
	for _, n := range numbers {
		if _, ok := known[n]; !ok {
			missing = append(missing, n)
		}
	}
	if len(missing) > 0 {
		found, err := read(missing)
		if err != nil {
			return nil, err
		}
		for _, n := range missing {
			known[n] = found[n]
		}
	}
	all := make(map[int64]V, len(numbers))
	for _, n := range numbers {
		if v := known[n]; there == nil || there(v) {
			all[n] = v
		}
	}
	return all, nil
}
