package intake

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"sitrep/incident"
	"sitrep/storage"
)

// A triage finds, on a snapshot, the alerts of a post that say nothing new: nothing is
// written for those.
type triage struct {
	catalog   Catalog
	policy    *incident.Policy
	at        time.Time
	breaches  map[string]*incident.Breach // the latest, by fingerprint
	incidents map[int64]*incident.Incident
	alerts    map[string]*incident.UnmappedAlert
	pulses    func() (incident.Pulses, error)
}

// newTriage loads what is known of the alerts.
func newTriage(ctx context.Context, r storage.Snapshot, c Catalog, p *incident.Policy, at time.Time, alerts []incident.Alert) (*triage, error) {
	t := &triage{catalog: c, policy: p, at: at, pulses: sync.OnceValues(func() (incident.Pulses, error) { return r.Pulses(ctx) })}
	fingerprints := make([]string, len(alerts))
	for i := range alerts {
		fingerprints[i] = alerts[i].Fingerprint
	}
	var err error
	if t.breaches, err = r.LatestBreaches(ctx, fingerprints); err != nil {
		return nil, err
	}
	if t.alerts, err = r.Unmapped(ctx, fingerprints); err != nil {
		return nil, err
	}
	var numbers []int64
	for _, b := range t.breaches {
		numbers = append(numbers, b.Incident)
	}
	slices.Sort(numbers)
	if t.incidents, err = storage.IncidentsFollowed(ctx, r, slices.Compact(numbers)); err != nil {
		return nil, err
	}
	return t, nil
}

// sort returns the result of an alert, and whether that is all: nothing is to be
// written.
func (t *triage) sort(a *incident.Alert) (Result, bool, error) {
	b := t.breaches[a.Fingerprint]
	sighting := incident.See(a, b, t.at, t.policy)
	switch {
	case sighting == incident.SeenRepeat && !b.Hears(a, t.at, t.policy):
		r, err := t.result(OutcomeRepeated, b)
		return r, true, err
	case sighting == incident.SeenStale, sighting == incident.SeenDoubt && !b.AskAt.IsZero():
		r, err := t.result(OutcomeStale, b)
		return r, true, err
	case b != nil && (b.State != incident.BreachEnded || sighting != incident.SeenNew), sighting == incident.SeenRepeat:
		return Result{}, false, nil
	}
	claim := t.catalog.Lookup(a.Labels)
	switch {
	case claim.Canary:
		return t.canary(a)
	case claim.Ignored:
		return Result{Result: OutcomeIgnored}, true, nil
	case claim.Watchdog:
		return t.watchdog(a)
	case claim.SLO == nil:
		r, known := t.unmapped(a)
		return r, known, nil
	}
	return Result{}, false, nil
}

func (t *triage) unmapped(a *incident.Alert) (Result, bool) {
	known := t.alerts[a.Fingerprint]
	if known == nil {
		return Result{Result: OutcomeUnmapped}, a.Resolved
	}
	begin, fact := a.Began(t.at)
	heard := (!fact || known.StartsAt.Equal(begin)) && t.at.Sub(known.HeardAt) < incident.HearEvery(t.policy.UnknownAfter)
	return Result{Result: OutcomeUnmapped}, !a.Resolved && heard
}

// result names the incident of a breach, and its SLO.
func (t *triage) result(o Outcome, b *incident.Breach) (Result, error) {
	r := Result{Result: o}
	for n := b.Incident; n != 0; {
		in := t.incidents[n]
		if in == nil {
			return r, fmt.Errorf("find the incident of the breach of %q: there is no %s: %w", b.Fingerprint, incident.ID(n), storage.ErrDamaged)
		}
		if n == b.Incident {
			r.SLO = sloOf(in, t.catalog, b.Labels)
		}
		r.Incident = in.Number
		n = in.MergedInto
	}
	return r, nil
}
