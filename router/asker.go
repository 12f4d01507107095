package router

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"sitrep/incident"
	"sitrep/storage"
)

// A Verdict says what the Alertmanagers know of a breach.
type Verdict int

// The verdicts.
const (
	CannotTell Verdict = iota // not all answered, or one may not have been told yet
	StillFiring
	NotReported
)

// An Asker asks the Alertmanagers which alerts fire.
type Asker interface {
	// Ask returns what each breach is known to be, given when it was last heard.
	Ask(ctx context.Context) (func(b *incident.Breach) Verdict, error)
}

// ask looks for breaches that were quiet for too long, and for those that fired
// although they had ended, and asks about them in the background.
func (s *Scheduler) ask(ctx context.Context, at time.Time) error {
	if at.Sub(s.askedAt) < askEvery {
		return nil
	}
	policy := s.Door.Policy()
	var silent, doubted []incident.Breach
	err := s.Door.Store.Read(ctx, func(r storage.Reader) (err error) {
		if silent, err = r.SilentBreaches(at.Add(-policy.UnknownAfter), batch); err != nil {
			return err
		}
		doubted, err = r.DoubtedBreaches(batch)
		return err
	})
	if err != nil || len(silent)+len(doubted) == 0 {
		return err
	}
	select {
	case s.isAsking <- struct{}{}:
	default:
		return nil // still asking
	}
	s.askedAt = at
	s.asking.Add(1)
	go func() {
		defer s.asking.Done()
		defer func() { <-s.isAsking }()
		if err := s.askAbout(ctx, silent, doubted); err != nil && ctx.Err() == nil {
			s.Log.Warn("asking about quiet breaches failed, it is tried again", slog.String("component", "scheduler"), slog.Any("err", err))
			s.Metrics.SchedulerErrors.Inc()
		}
	}()
	return nil
}

func (s *Scheduler) askAbout(ctx context.Context, silent, doubted []incident.Breach) error {
	verdict := func(*incident.Breach) Verdict { return CannotTell }
	if asker := s.Asker(); asker != nil {
		v, err := asker.Ask(ctx)
		if err != nil {
			s.Log.Warn("an Alertmanager did not answer", slog.String("component", "scheduler"), slog.Any("err", err))
		}
		if v != nil {
			verdict = v
		}
	}
	var failed error
	for _, b := range append(silent, doubted...) {
		if err := s.conclude(ctx, b.Key(), verdict); err != nil {
			failed = errors.Join(failed, fmt.Errorf("conclude on breach %q: %w", b.Fingerprint, err))
		}
	}
	return failed
}

// conclude makes an answer part of the incident. The breach is read again: it may
// have been heard of meanwhile.
func (s *Scheduler) conclude(ctx context.Context, key incident.BreachKey, verdict func(*incident.Breach) Verdict) error {
	fires := false
	err := s.Door.Change(ctx, now(), func(c *storage.Change) error {
		fires = false
		b, err := c.Tx.Breach(key)
		if err != nil {
			return err
		}
		if b.Incident == 0 && !b.DoubtedAt.IsZero() {
			v, err := believed(c, &b, verdict(&b))
			if fires = err == nil && v != NotReported; err != nil || fires {
				return err
			}
			b.AskedAt, b.DoubtedAt = c.At, time.Time{}
			return c.Tx.PutBreach(&b)
		}
		stamp := c.Stamp(incident.Scheduler)
		doubted := !b.DoubtedAt.IsZero()
		if b.Incident == 0 || b.State == incident.Ended && !doubted {
			return nil
		}
		if !doubted && c.At.Sub(b.QuietSince()) < c.Policy.UnknownAfter {
			return nil
		}
		first, err := c.Incident(b.Incident)
		if err != nil {
			return err
		}
		sit, err := c.Follow(b.Incident)
		if err != nil {
			return err
		}
		in := &sit.Incident
		v, err := believed(c, &b, verdict(&b))
		if err != nil {
			return err
		}
		b.AskedAt, b.DoubtedAt = c.At, time.Time{}
		switch {
		case doubted && v == NotReported:
			// It was a late copy: it stays ended.
		case doubted, v == StillFiring:
			// Losing a breach is worse than one message too many.
			if v == StillFiring {
				b.HeardAt = c.At
				sit.Agenda.LastHeardAt = c.At
			}
			if b.State == incident.Firing {
				break
			}
			slo := first.Incident.AsSLO(c.Policy)
			priority, ok := c.Policy.Priority(slo.Priority)
			if !ok && len(c.Policy.Priorities) > 0 {
				// Its own is gone; the one that took its place, or the lowest.
				priority = c.Policy.Priorities[min(first.Incident.Priority.Rank, len(c.Policy.Priorities)-1)]
				slo.Priority = priority.Name
			}
			if b.State == incident.Ended {
				if sit, err = c.Goes(sit); err != nil {
					return err
				}
				in = &sit.Incident
			}
			if in.State == incident.Closed || in.State == incident.Resolved && b.State == incident.Ended && !in.Reopens(c.At, c.Policy) {
				if sit, _, err = c.IncidentFor(slo, incident.Scheduler); err != nil {
					return err
				}
				in = &sit.Incident
			}
			if err := c.Record(sit, in.Begin(stamp, &b, priority, c.Policy)...); err != nil {
				return err
			}
			b.Incident, b.State, b.HeardAt, b.EndHeardAt = in.Number, incident.Firing, c.At, time.Time{}
		case v == NotReported:
			if err := c.Record(sit, in.End(stamp, &b, c.At)...); err != nil {
				return err
			}
			b.State, b.EndsAt, b.EndHeardAt = incident.Ended, c.At, c.At
		case b.State == incident.Firing:
			if err := c.Record(sit, in.Lose(stamp, &b, "nothing was heard of it for "+c.Policy.UnknownAfter.String())...); err != nil {
				return err
			}
			b.State = incident.Unknown
		}
		return c.Tx.PutBreach(&b)
	})
	if err == nil && fires {
		return s.Fires(ctx, now(), key)
	}
	return err
}

// believed returns what is to be made of a verdict on a breach: while the pulse of the
// watchdog that speaks for it is away, Alertmanager hears of nothing.
func believed(c *storage.Change, b *incident.Breach, v Verdict) (Verdict, error) {
	if v != NotReported {
		return v, nil
	}
	pulses, err := c.Pulses()
	if err != nil {
		return v, err
	}
	if _, doubted := pulses.Doubting(c.Policy, b.Labels); doubted {
		return CannotTell, nil
	}
	return v, nil
}
