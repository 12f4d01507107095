package router

import (
	"context"
	"crypto/rand"
	"log/slog"
	"slices"
	"strings"
	"time"

	"sitrep/incident"
	"sitrep/storage"
)

// A Poster posts the canary's alert to Alertmanagers.
type Poster interface {
	// Post posts the alert of a run, which fires until then. Taken is how many took it; the
	// error names those that did not.
	Post(ctx context.Context, run string, began, until time.Time) (taken int, err error)
}

// longFailure is how many bytes are kept of why a canary could not be posted.
const longFailure = 1000

// canary begins a run once it is due, posts its alert until that is back, and tells the canary's
// readers when a run did not arrive in time. What the canary is, is said by the configuration in
// force.
func (s *Scheduler) canary(ctx context.Context, at time.Time) error {
	if s.outdated {
		return nil
	}
	policy := s.Repo.Policy()
	seen := incident.Pulse{Name: incident.CanaryPulse}
	if i := slices.IndexFunc(s.view.pulses, func(p incident.Pulse) bool { return p.Name == incident.CanaryPulse }); i >= 0 {
		if seen = s.view.pulses[i]; seen.Over(policy, at) {
			return s.Repo.Store.Write(ctx, func(tx storage.Tx) error { return tx.PutPulses(ctx, nil, []string{seen.Name}) })
		}
	}
	id := rand.Text()
	if !seen.PassCanary(policy, id, s.Started, at).Changed {
		return nil
	}
	var step incident.CanaryStep
	err := s.Repo.Change(ctx, at, func(c *storage.Change) error {
		pulse, err := c.CanaryPulse()
		if err != nil {
			return err
		}
		if step = pulse.PassCanary(c.Policy, id, s.Started, at); !step.Changed {
			return nil
		}
		return c.PutPulse(step.Pulse, step.Why)
	})
	if err != nil {
		return err
	}
	if step.Failed {
		run := step.Pulse.Run
		s.Log.Warn("the canary did not arrive", slog.String("component", "scheduler"), slog.String("stage", string(run.Stage)), slog.Duration("within", policy.Canary.Within), slog.String("err", run.Error))
	}
	if step.Post {
		s.post(ctx, step.Pulse.Run, policy.Canary.Within)
	}
	return nil
}

// post posts the alert of a run in the background. What a process that ends leaves unposted, the
// next post makes up for.
func (s *Scheduler) post(ctx context.Context, run *incident.CanaryRun, within time.Duration) {
	var poster Poster
	if s.Poster != nil {
		poster = s.Poster()
	}
	if poster == nil || !s.posting.CompareAndSwap(false, true) {
		return
	}
	s.asking.Go(func() {
		defer s.posting.Store(false)
		log := s.Log.With(slog.String("component", "scheduler"))
		taken, err := poster.Post(ctx, run.ID, run.PostedAt, now().Add(within))
		if ctx.Err() != nil {
			return
		}
		failure := ""
		if err != nil {
			log.Warn("an Alertmanager did not take the canary", slog.Any("err", err))
			if taken == 0 {
				failure = strings.ToValidUTF8(err.Error()[:min(len(err.Error()), longFailure)], "")
			}
		}
		err = s.Repo.Change(ctx, now(), func(c *storage.Change) error {
			pulse, err := c.CanaryPulse()
			if err != nil {
				return err
			}
			pulse, news := pulse.PostedCanary(run.ID, failure)
			if !news {
				return nil
			}
			return c.PutPulse(pulse, "")
		})
		if err != nil && ctx.Err() == nil {
			log.Warn("noting how the canary was posted failed", slog.Any("err", err))
			s.Metrics.SchedulerErrors.Inc()
		}
	})
}

// recordCanary notes what became of a mail of the canary.
func recordCanary(ch *storage.Change, del *incident.Delivery, cover *incident.Cover, at time.Time) error {
	pulse, err := ch.CanaryPulse()
	if err != nil {
		return err
	}
	pulse, why, changed := pulse.MailedCanary(del, cover, at)
	if !changed {
		return nil
	}
	if !pulse.Run.ArrivedAt.IsZero() {
		// The record of the last mail says when the run arrived.
		news := *cover.Canary
		news.ArrivedAt = pulse.Run.ArrivedAt
		for i := range del.Covers {
			del.Covers[i].Canary = &news
		}
	}
	return ch.PutPulse(pulse, why)
}
