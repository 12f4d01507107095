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
			if err := b.remap(ctx, at, &page[i]); err != nil {
				return err
			}
			moved++
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

// remap moves one alert. Its breach in the incident of unmapped alerts ends there.
func (b *Breaches) remap(ctx context.Context, at time.Time, u *incident.UnmappedAlert) error {
	var logs []func()
	err := b.Door.Change(ctx, at, func(c *storage.Change) error {
		logs = logs[:0]
		t := taking{Change: c, catalog: b.Catalog(), log: b.Log, logs: &logs}
		a := incident.Alert{Fingerprint: u.Fingerprint, StartsAt: u.StartsAt, Labels: u.Labels, Annotations: u.Annotations}
		known, err := c.Tx.Breach(a.Key())
		switch {
		case errors.Is(err, incident.ErrNotFound):
			result, err := t.begin(&a, nil, nil)
			if err != nil || result.Result == Unmapped {
				return err
			}
			return t.forgetUnmapped(u.Fingerprint)
		case err != nil:
			return err
		}
		if known.Incident != 0 && known.State != incident.Ended {
			s, err := t.Follow(known.Incident)
			if err != nil {
				return err
			}
			events := s.Incident.End(t.Stamp(incident.Scheduler), &known, at)
			events[0].Reason = "the alert has an SLO now, or is ignored"
			if err := t.Record(s, events...); err != nil {
				return err
			}
		}
		known.Incident, known.State, known.Priority = 0, incident.Ended, ""
		if err := c.Tx.PutBreach(&known); err != nil {
			return err
		}
		if result, err := t.begin(&a, &known, nil); err != nil || result.Result == Unmapped {
			return err
		}
		return t.forgetUnmapped(u.Fingerprint)
	})
	if err != nil {
		return err
	}
	for _, log := range logs {
		log()
	}
	return nil
}
