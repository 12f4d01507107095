package receiver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"sitrep/incident"
	"sitrep/storage"
)

// Breaches turns alerts into breaches, and breaches into incidents. One post is
// one transaction; a post without news is none.
type Breaches struct {
	Door    *storage.Door
	Catalog func() Catalog // in force
	Log     *slog.Logger
}

var _ Intake = (*Breaches)(nil)

// Take implements Intake. What a snapshot shows to be no news is not written; the
// rest is decided again inside the transaction.
func (b *Breaches) Take(ctx context.Context, p Post) ([]Result, error) {
	at := p.At.UTC().Truncate(time.Microsecond)
	catalog, policy := b.Catalog(), b.Door.Policy()
	results := make([]Result, len(p.Alerts))
	var news []int
	err := b.Door.Store.Read(ctx, func(r storage.Reader) error {
		news = news[:0]
		t := triage{reader: r, catalog: catalog, policy: policy, at: at, incidents: map[int64]incident.Incident{}}
		for i := range p.Alerts {
			result, known, err := t.sort(&p.Alerts[i])
			if err != nil {
				return err
			}
			if known {
				results[i] = result
			} else {
				news = append(news, i)
			}
		}
		return nil
	})
	if err != nil || len(news) == 0 {
		return results, err
	}
	var logs []func()
	err = b.Door.Change(ctx, at, func(c *storage.Change) error {
		logs = logs[:0]
		t := taking{Change: c, catalog: catalog, log: b.Log, logs: &logs}
		for _, i := range news {
			result, err := t.take(&p.Alerts[i])
			if err != nil {
				return err
			}
			results[i] = result
		}
		return t.watchdogGone()
	})
	if err != nil {
		return nil, err
	}
	for _, log := range logs {
		log()
	}
	return results, nil
}

// Fires lets a breach begin whose end was heard before its firing, once it is known
// that it fires, or nobody can deny it. It does nothing if that is settled already.
func (b *Breaches) Fires(ctx context.Context, at time.Time, key incident.BreachKey) error {
	at = at.UTC().Truncate(time.Microsecond)
	var logs []func()
	err := b.Door.Change(ctx, at, func(c *storage.Change) error {
		logs = logs[:0]
		known, err := c.Tx.Breach(key)
		if err != nil || known.DoubtedAt.IsZero() || known.Incident != 0 {
			return err
		}
		known.AskedAt, known.DoubtedAt = at, time.Time{}
		if err := c.Tx.PutBreach(&known); err != nil {
			return err
		}
		t := taking{Change: c, catalog: b.Catalog(), log: b.Log, logs: &logs}
		a := incident.Alert{
			Fingerprint: known.Fingerprint, StartsAt: known.StartsAt,
			Labels: known.Labels, Annotations: known.Annotations, GeneratorURL: known.GeneratorURL,
		}
		_, err = t.begin(&a, &known, nil)
		return err
	})
	if err != nil {
		return fmt.Errorf("begin breach %q: %w", key.Fingerprint, err)
	}
	for _, log := range logs {
		log()
	}
	return nil
}

// hearEvery is how often it is noted that a breach, or the watchdog, was heard,
// when silence counts after this long.
func hearEvery(silence time.Duration) time.Duration { return silence / 4 }

// farAhead is how much later than its arrival an alert can begin by clocks that go
// a little wrong.
const farAhead = time.Hour

// sight finds what is known of an alert that arrived at at, and what it says about
// that.
func sight(r storage.Reader, a *incident.Alert, at time.Time, asks bool) (same, latest *incident.Breach, s incident.Sighting, err error) {
	b, err := r.LatestBreach(a.Fingerprint)
	switch {
	case errors.Is(err, incident.ErrNotFound):
		return nil, nil, incident.See(a, nil, nil, asks), nil
	case err != nil:
		return nil, nil, "", err
	}
	latest = &b
	if b.StartsAt.Equal(a.StartsAt) {
		same = latest
	} else if a.StartsAt.Before(b.StartsAt) {
		old, err := r.Breach(a.Key())
		if err != nil && !errors.Is(err, incident.ErrNotFound) {
			return nil, nil, "", err
		}
		if err == nil {
			same = &old
		}
	}
	s = incident.See(a, same, latest, asks)
	if s == incident.SeenStale && same == nil && latest.StartsAt.After(at.Add(farAhead)) && !a.StartsAt.After(at.Add(farAhead)) {
		// A clock went wrong when the latest began. What comes since then is no old copy.
		return nil, latest, incident.See(a, nil, nil, asks), nil
	}
	return same, latest, s, nil
}

// sloOf returns the id of the SLO that an alert of the incident belongs to: the
// incident's, unless others were merged into it.
func sloOf(in *incident.Incident, c Catalog, a *incident.Alert) string {
	if len(in.MergedFrom) > 0 {
		if claim := c.Lookup(a.Labels); claim.SLO != nil {
			return claim.SLO.ID
		}
	}
	return in.SLO
}

// A triage finds the alerts of a post that say nothing new.
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
	same, latest, sighting, err := sight(t.reader, a, t.at, t.policy.Asks)
	if err != nil {
		return Result{}, false, err
	}
	switch sighting {
	case incident.SeenRepeat:
		if t.at.Sub(same.HeardAt) >= hearEvery(t.policy.UnknownAfter) {
			return Result{}, false, nil
		}
		r, err := t.result(Repeated, same, a)
		return r, true, err
	case incident.SeenStale:
		if same == nil {
			same = latest
		}
		r, err := t.result(Stale, same, a)
		return r, true, err
	case incident.SeenDoubt:
		if same.DoubtedAt.IsZero() {
			return Result{}, false, nil
		}
		r, err := t.result(Stale, same, a)
		return r, true, err
	case incident.SeenNew, incident.SeenEndFirst:
		claim := t.catalog.Lookup(a.Labels)
		switch {
		case claim.Ignored:
			return Result{Result: Ignored}, true, nil
		case claim.Watchdog:
			return t.watchdog(a)
		case claim.SLO == nil:
			return t.unmapped(a)
		}
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
	heard := known.StartsAt.Equal(a.StartsAt) && t.at.Sub(known.HeardAt) < hearEvery(t.policy.UnknownAfter)
	return Result{Result: Unmapped}, !a.Resolved && heard, nil
}

// result names the incident of a breach, and its SLO.
func (t *triage) result(o Outcome, b *incident.Breach, a *incident.Alert) (Result, error) {
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
			r.SLO = sloOf(&in, t.catalog, a)
		}
		r.Incident = in.Number
		n = in.MergedInto
	}
	return r, nil
}
