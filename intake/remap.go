package intake

import (
	"context"
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
func (i *Intake) Remap(ctx context.Context, at time.Time) error {
	at = at.UTC().Truncate(time.Microsecond)
	silence := i.Repo.Policy().UnknownAfter
	moved := 0
	for cursor := ""; ; {
		var page []incident.UnmappedAlert
		err := i.Repo.Store.Read(ctx, func(r storage.Snapshot) (err error) {
			page, cursor, err = r.UnmappedAlerts(ctx, remapPage, cursor)
			return err
		})
		if err != nil {
			return err
		}
		for k := range page {
			claim := i.Catalog().Lookup(page[k].Labels)
			nothing := claim.SLO == nil && !claim.Ignored && !claim.Watchdog
			if nothing || claim.SLO != nil && claim.SLO.Unmapped && page[k].Incident != 0 {
				continue
			}
			if page[k].Incident == 0 && at.Sub(page[k].HeardAt) > silence {
				continue // nobody knows whether it fires; if it does, it is looked up when it is heard
			}
			done, err := i.remap(ctx, at, &page[k])
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
		i.Log.Info("alerts without an SLO have one now", slog.String("component", "intake"), slog.Int("alerts", moved))
	}
	return nil
}

// remap moves one alert, unless it was resolved or moved meanwhile, and reports whether
// it did. Its breach in the incident of unmapped alerts ends there; one that is not known
// to fire stays what it is.
func (i *Intake) remap(ctx context.Context, at time.Time, seen *incident.UnmappedAlert) (moved bool, err error) {
	err = i.change(ctx, at, func(t *batch) error {
		moved = false
		if err := t.prepare([]incident.Alert{{Fingerprint: seen.Fingerprint, Labels: seen.Labels}}, []int{0}, func(*incident.Alert) bool { return false }); err != nil {
			return err
		}
		u, err := t.Unmapped(seen.Fingerprint)
		switch {
		case err != nil || u == nil:
			return err
		case !u.StartsAt.Equal(seen.StartsAt) || u.Incident != seen.Incident:
			return nil
		}
		a := incident.Alert{Fingerprint: u.Fingerprint, StartsAt: u.StartsAt, Labels: u.Labels, Annotations: u.Annotations}
		b, err := t.LatestBreach(u.Fingerprint)
		if err != nil {
			return err
		}
		if b != nil && b.Incident != 0 && u.Incident != 0 {
			if b.State != incident.BreachFiring {
				return nil
			}
			in, err := incident.Follow(t, b.Incident)
			if err != nil {
				return err
			}
			a = alertOf(b, heard{})
			if err := t.RecordBreach(in, b, in.Leave(t.Stamp(incident.ActorScheduler), b)); err != nil {
				return err
			}
		} else if b != nil && b.State != incident.BreachEnded {
			return nil
		} else {
			if b != nil {
				if err := t.supersede(b, incident.ActorScheduler); err != nil {
					return err
				}
			}
			first := incident.NewBreach(&a, b, u.FirstSeenAt)
			b = &first
		}
		if result, err := t.join(b, heard{alert: &a}, nil); err != nil || result.Result == OutcomeUnmapped {
			return err
		}
		moved = true
		return t.DeleteUnmapped(u.Fingerprint)
	})
	return moved, err
}
