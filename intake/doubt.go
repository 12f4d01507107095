package intake

import (
	"context"
	"fmt"
	"time"

	"sitrep/incident"
	"sitrep/storage"
)

// Disbelieve makes unknown what ended in the incident since the pulse that speaks for it was
// last heard, once that is away: when Prometheus dies, all that fires is reported as ended
// some minutes later. It does so part by part, each in a transaction of its own.
func (i *Intake) Disbelieve(ctx context.Context, at time.Time, number int64) error {
	doubted, err := i.disbelieved(ctx, number)
	for err == nil && len(doubted) > 0 {
		part := doubted[:min(atOnce, len(doubted))]
		doubted = doubted[len(part):]
		err = i.change(ctx, at, func(t *batch) error {
			if err := t.Prepare(storage.Needs{Fingerprints: part, Incidents: []int64{number}}); err != nil {
				return err
			}
			s, err := t.Incident(number)
			if err != nil || s.Incident.State != incident.StateOpen {
				return err
			}
			pulses, err := t.Pulses()
			if err != nil {
				return err
			}
			for _, fingerprint := range part {
				b, err := t.LatestBreach(fingerprint)
				if err != nil {
					return err
				}
				if !s.Incident.Has(b) || !b.Disbelieved(t.Policy, pulses) {
					continue // it fires anew, so that the one that ended is over
				}
				if err := t.RecordBreach(&s.Incident, b, s.Incident.Lose(t.Stamp(incident.ActorScheduler), b, incident.WhyWatchdogAway)); err != nil {
					return err
				}
				if err := t.DoubtEnds(&s.Incident); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err != nil {
		return fmt.Errorf("doubt what ended in %s: %w", incident.ID(number), err)
	}
	return nil
}

// disbelieved returns the fingerprints of breaches of an incident that ended and are not
// believed to have, on a snapshot.
func (i *Intake) disbelieved(ctx context.Context, number int64) (fingerprints []string, err error) {
	policy := i.Repo.Policy()
	err = i.Repo.Store.Read(ctx, func(r storage.Snapshot) error {
		fingerprints = nil
		in, err := storage.IncidentOf(ctx, r, number)
		if err != nil || in.State != incident.StateOpen {
			return err
		}
		pulses, err := r.Pulses(ctx)
		if err != nil || len(pulses.Away(policy, nil)) == 0 {
			return err
		}
		return storage.EachBreach(ctx, r, &in, func(b *incident.Breach) error {
			if b.Disbelieved(policy, pulses) {
				fingerprints = append(fingerprints, b.Fingerprint)
			}
			return nil
		})
	})
	return fingerprints, err
}
