package receiver

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"sitrep/incident"
	"sitrep/storage"
)

// remapPage is how many unmapped alerts are looked up in one go.
const remapPage = 200

// Remap looks up all firing alerts that no SLO claimed again, after the
// configuration changed, and moves those that are now claimed or ignored, each in a
// transaction of its own.
func (b *Breaches) Remap(ctx context.Context, at time.Time) error {
	at = at.UTC().Truncate(time.Microsecond)
	silence := b.Door.Policy().UnknownAfter
	moved := 0
	for cursor := ""; ; {
		var page []incident.UnmappedAlert
		err := b.Door.Store.Read(ctx, func(r storage.Reader) (err error) {
			page, cursor, err = r.UnmappedAlerts(remapPage, cursor)
			return err
		})
		if err != nil {
			return err
		}
		for i := range page {
			claim := b.Catalog().Lookup(page[i].Labels)
			nothing := claim.SLO == nil && !claim.Ignored && !claim.Watchdog
			if nothing || claim.SLO != nil && claim.SLO.Unmapped && page[i].Incident != 0 {
				continue
			}
			if page[i].Incident == 0 && at.Sub(page[i].HeardAt) > silence {
				continue // nobody knows whether it fires; if it does, it is looked up when it is heard
			}
			done, err := b.remap(ctx, at, &page[i])
			if err != nil {
				return err
			}
			if done {
				moved++
			}
		}
		if cursor == "" {
			break
		}
	}
	if moved > 0 {
		b.Log.Info("alerts without an SLO have one now", slog.String("component", "receiver"), slog.Int("alerts", moved))
	}
	return nil
}

// remap moves one alert, unless it was resolved or moved meanwhile, and reports whether
// it did. Its breach in the incident of unmapped alerts ends there; one that is not known
// to fire stays what it is.
func (b *Breaches) remap(ctx context.Context, at time.Time, seen *incident.UnmappedAlert) (moved bool, err error) {
	var logs []func()
	err = b.Door.Change(ctx, at, func(c *storage.Change) error {
		logs, moved = logs[:0], false
		u, err := c.Tx.Unmapped(seen.Fingerprint)
		switch {
		case errors.Is(err, incident.ErrNotFound):
			return nil
		case err != nil:
			return err
		case !u.StartsAt.Equal(seen.StartsAt) || u.Incident != seen.Incident:
			return nil
		}
		t := taking{Change: c, catalog: b.Catalog(), log: b.Log, logs: &logs}
		a := incident.Alert{Fingerprint: u.Fingerprint, StartsAt: u.StartsAt, Labels: u.Labels, Annotations: u.Annotations}
		var known *incident.Breach
		switch breach, err := c.Tx.Breach(a.Key()); {
		case err == nil:
			known = &breach
		case !errors.Is(err, incident.ErrNotFound):
			return err
		}
		if known != nil {
			if known.State != incident.Firing {
				return nil
			}
			s, err := t.Follow(known.Incident)
			if err != nil {
				return err
			}
			events := s.Incident.End(t.Stamp(incident.Scheduler), known, at)
			events[0].Reason = "the alert has an SLO now, or is ignored"
			if err := t.Record(s, events...); err != nil {
				return err
			}
			known.Incident, known.State, known.Priority = 0, incident.Ended, ""
			if err := c.Tx.PutBreach(known); err != nil {
				return err
			}
		}
		if result, err := t.begin(&a, known, nil); err != nil || result.Result == Unmapped {
			return err
		}
		moved = true
		return t.forgetUnmapped(u.Fingerprint)
	})
	if err != nil {
		return false, err
	}
	for _, log := range logs {
		log()
	}
	return moved, nil
}
