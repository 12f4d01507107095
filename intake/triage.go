package intake

import (
	"errors"
	"time"

	"sitrep/incident"
	"sitrep/storage"
)

// A triage finds, on a snapshot, the alerts of a post that say nothing new: nothing is
// written for those.
type triage struct {
	reader    storage.Reader
	catalog   Catalog
	policy    *incident.Policy
	at        time.Time
	incidents map[int64]incident.Incident
}

// sort returns the result of an alert, and whether that is all: nothing is to be
// written.
func (t *triage) sort(a *incident.Alert) (Result, bool, error) {
	b, err := latestBreach(t.reader, a.Fingerprint)
	if err != nil {
		return Result{}, false, err
	}
	sighting := incident.See(a, b, t.at, t.policy)
	switch {
	case sighting == incident.SeenRepeat && !b.Hears(a, t.at, t.policy):
		r, err := t.result(Repeated, b)
		return r, true, err
	case sighting == incident.SeenStale, sighting == incident.SeenDoubt && !b.AskAt.IsZero():
		r, err := t.result(Stale, b)
		return r, true, err
	case b != nil && (b.State != incident.Ended || sighting != incident.SeenNew), sighting == incident.SeenRepeat:
		return Result{}, false, nil
	}
	claim := t.catalog.Lookup(a.Labels)
	switch {
	case claim.Ignored:
		return Result{Result: Ignored}, true, nil
	case claim.Watchdog:
		return t.watchdog(a)
	case claim.SLO == nil:
		return t.unmapped(a)
	}
	return Result{}, false, nil
}

func (t *triage) unmapped(a *incident.Alert) (Result, bool, error) {
	known, err := t.reader.Unmapped(a.Fingerprint)
	switch {
	case errors.Is(err, incident.ErrNotFound):
		return Result{Result: Unmapped}, a.Resolved, nil
	case err != nil:
		return Result{}, false, err
	}
	begin, fact := a.Began(t.at)
	heard := (!fact || known.StartsAt.Equal(begin)) && t.at.Sub(known.HeardAt) < incident.HearEvery(t.policy.UnknownAfter)
	return Result{Result: Unmapped}, !a.Resolved && heard, nil
}

// result names the incident of a breach, and its SLO.
func (t *triage) result(o Outcome, b *incident.Breach) (Result, error) {
	r := Result{Result: o}
	for n := b.Incident; n != 0; {
		in, ok := t.incidents[n]
		if !ok {
			var err error
			if in, err = t.reader.Incident(n); err != nil {
				return r, err
			}
			t.incidents[n] = in
		}
		if n == b.Incident {
			r.SLO = sloOf(&in, t.catalog, b.Labels)
		}
		r.Incident = in.Number
		n = in.MergedInto
	}
	return r, nil
}
