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

// A Prober finds out how each Prometheus fares that evaluates rules of SLOs.
type Prober interface {
	// Probe returns an error that says of each what is wrong there; nil if all evaluate rules, and
	// send alerts to an Alertmanager that is configured.
	Probe(ctx context.Context) error
}

// longFailure is how many bytes are kept of why a canary could not be posted, and of what is wrong
// with Prometheus.
const longFailure = 1000

// canary begins a run once it is due, posts its alert until that is back, has Prometheus asked until
// it is sound, and tells the canary's readers when a run did not arrive in time. What the canary is, is said by the configuration in
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
	if step.Ask {
		s.prove(ctx, step.Pulse.Run.ID)
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
		taken, err := poster.Post(ctx, run.ID, run.PostedAt, now().Add(within))
		if ctx.Err() != nil {
			return
		}
		failure := ""
		if err != nil {
			s.Log.Warn("an Alertmanager did not take the canary", slog.String("component", "scheduler"), slog.Any("err", err))
			if taken == 0 {
				failure = kept(err)
			}
		}
		s.noteCanary(ctx, func(p incident.Pulse, _ time.Time) (incident.Pulse, incident.Reason, bool) {
			p, news := p.PostedCanary(run.ID, failure)
			return p, "", news
		})
	})
}

// prove has each Prometheus asked in the background, for a run. While nobody is configured to be
// asked any more, nothing is wrong with them.
func (s *Scheduler) prove(ctx context.Context, run string) {
	if !s.proving.CompareAndSwap(false, true) {
		return
	}
	s.asking.Go(func() {
		defer s.proving.Store(false)
		failure := ""
		if s.Prober != nil {
			if prober := s.Prober(); prober != nil {
				if err := prober.Probe(ctx); err != nil {
					s.Log.Warn("the canary found a Prometheus that is not sound", slog.String("component", "scheduler"), slog.Any("err", err))
					failure = kept(err)
				}
			}
		}
		if ctx.Err() != nil {
			return
		}
		s.noteCanary(ctx, func(p incident.Pulse, at time.Time) (incident.Pulse, incident.Reason, bool) {
			return p.ProvedCanary(run, failure, at)
		})
	})
}

// kept returns what is kept of an error.
func kept(err error) string {
	return strings.ToValidUTF8(err.Error()[:min(len(err.Error()), longFailure)], "")
}

// noteCanary stores what was found out about a run, if that is news.
func (s *Scheduler) noteCanary(ctx context.Context, news func(incident.Pulse, time.Time) (incident.Pulse, incident.Reason, bool)) {
	at := now()
	err := s.Repo.Change(ctx, at, func(c *storage.Change) error {
		pulse, err := c.CanaryPulse()
		if err != nil {
			return err
		}
		pulse, why, changed := news(pulse, at)
		if !changed {
			return nil
		}
		return c.PutPulse(pulse, why)
	})
	if err != nil && ctx.Err() == nil {
		s.Log.Warn("noting how the canary fares failed", slog.String("component", "scheduler"), slog.Any("err", err))
		s.Metrics.SchedulerErrors.Inc()
	}
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
