package router

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"sitrep/incident"
	"sitrep/storage"
)

// A subject is what a delivery is about: an incident, of a digest that of the highest
// priority, or a pulse of the watchdog or the canary.
type subject struct {
	incident int64
	ofPulse  bool
	pulse    string
}

func subjectOf(d *incident.Delivery) subject {
	if d.OfPulse() {
		return subject{ofPulse: true, pulse: d.Pulse()}
	}
	return subject{incident: d.Incident}
}

func subjectOfCover(c *incident.Cover) subject {
	return subject{incident: c.Incident, ofPulse: c.OfPulse(), pulse: c.Pulse}
}

// id names it in an id and in logs.
func (s subject) id() string {
	switch {
	case s.ofPulse && s.pulse == incident.CanaryPulse:
		return "canary"
	case s.ofPulse:
		return "watchdog"
	}
	return incident.ID(s.incident)
}

// An expectation is since when this process knows that there is a watchdog. One that comes with a new
// configuration is given its time, as one is at a start.
type expectation struct {
	there bool
	by    []string
	at    time.Time
}

func (e *expectation) since(w *incident.Watchdog, started, at time.Time) time.Time {
	if e.at.IsZero() {
		at = started
	}
	if there := w.Within > 0; e.at.IsZero() || there != e.there || !slices.Equal(w.By, e.by) {
		*e = expectation{there, w.By, at}
	}
	return e.at
}

// watchdog notes which pulses went away, and tells the watchdog's groups; and it gives up
// those of which nothing more is to be known. What the watchdog is, is said by the
// configuration in force.
func (s *Scheduler) watchdog(ctx context.Context, at time.Time) error {
	if s.outdated {
		return nil
	}
	policy := s.Repo.Policy()
	since := s.expected.since(&policy.Watchdog, s.Started, at)
	var gone, over []incident.Pulse
	for _, p := range s.view.pulses.In(policy) {
		if _, went := p.Check(policy, since, at); went || p.Untold != "" {
			gone = append(gone, p)
		}
	}
	for _, p := range s.view.pulses {
		if p.Name != incident.CanaryPulse && p.Over(policy, at) {
			over = append(over, p)
		}
	}
	log := s.Log.With(slog.String("component", "scheduler"))
	for _, p := range gone {
		went := false
		err := s.Repo.Change(ctx, at, func(c *storage.Change) error {
			pulse, err := c.Pulse(p.Labels)
			if went = false; err != nil || pulse.Name != p.Name {
				return err
			}
			why := pulse.Untold
			if pulse, went = pulse.Check(c.Policy, since, at); went {
				why = incident.DueWatchdogAway
			}
			if why == "" {
				return nil
			}
			return c.PutPulse(pulse, why)
		})
		if err != nil {
			return err
		}
		if went {
			log.Warn("watchdog is away: ends of breaches are not believed", slog.String("pulse", p.Name), slog.Duration("within", policy.Watchdog.Within))
		}
	}
	for _, p := range over {
		given := false
		err := s.Repo.Change(ctx, at, func(c *storage.Change) error {
			pulse, err := storage.PulseOf(ctx, c.Tx, p.Name)
			if given = err == nil && pulse.Over(c.Policy, at); !given {
				return err
			}
			return c.Tx.PutPulses(ctx, nil, []string{p.Name})
		})
		if err != nil {
			return err
		}
		if given {
			log.Warn("pulse of the watchdog is given up: ends of its breaches are believed", slog.String("pulse", p.Name), slog.Time("away", p.AwaySince))
		}
	}
	return nil
}

// pulseDraft plans the message about a pulse of the watchdog or the canary.
func (d *Dispatcher) pulseDraft(ctx context.Context, r storage.Snapshot, pulse, recipient string, at time.Time) (*draft, error) {
	policy := d.Repo.Policy()
	dr := &draft{}
	p, err := storage.PulseOf(ctx, r, pulse)
	if err != nil {
		return nil, err
	}
	n, err := noticeOf(ctx, r, pulse, recipient)
	if err != nil {
		return nil, err
	}
	planned, reads, ok := n.Plan(policy, p, at)
	behind, err := d.Repo.Behind(ctx, r)
	if err != nil {
		return nil, err
	}
	switch {
	case reads:
	case behind:
		dr.left = true
	default:
		dr.idlePulses = append(dr.idlePulses, pulse)
	}
	if !ok {
		return dr, nil
	}
	dr.notice = &n
	m := &dr.message
	m.Kind, m.At, m.BaseURL = planned.Cover.Kind, at, policy.ExternalURL
	m.Recipient, m.Location, m.Language = planned.Reader.Recipient, planned.Reader.Location, planned.Reader.Language
	m.Audiences, m.Group = planned.Reader.Audiences, planned.Reader.Groups[0]
	if m.Canary = planned.Cover.Canary; m.Kind == incident.KindWatchdog {
		m.Watchdog = &incident.WatchdogNews{Pulse: p.Name, Labels: p.Labels, Away: !p.AwaySince.IsZero(), HeardAt: p.HeardAt, Within: policy.Watchdog.Within}
		if m.Watchdog.Away {
			m.Watchdog.HeardAt = p.AwaySince
		}
	}
	del := &dr.delivery
	del.Sequence, del.DueAt, del.Promised = p.Sequence, planned.Cover.DueAt, planned.Cover.Promised
	del.Covers = []incident.Cover{planned.Cover}
	dr.fill(at)
	return dr, nil
}

// noticeOf returns what a recipient is owed about a pulse, nothing if there is no notice.
func noticeOf(ctx context.Context, r storage.Snapshot, pulse, recipient string) (incident.Notice, error) {
	notices, err := r.Notices(ctx, pulse)
	if i := slices.IndexFunc(notices, func(n incident.Notice) bool { return n.Recipient == recipient }); i >= 0 {
		return notices[i], err
	}
	return incident.Notice{Pulse: pulse, Recipient: recipient}, err
}

// beginNotice notes that a message about a pulse is under way.
func beginNotice(ctx context.Context, tx storage.Tx, d *incident.Delivery) error {
	if !d.OfPulse() {
		return nil
	}
	n, err := noticeOf(ctx, tx, d.Pulse(), d.Recipient)
	if err != nil {
		return err
	}
	n.Begin()
	return tx.PutNotices(ctx, []incident.Notice{n}, nil)
}

// recordNotice notes what became of a message about a pulse. Of one that was given up
// meanwhile nothing is noted.
func recordNotice(ch *storage.Change, before why, outages outages, del *incident.Delivery, cover *incident.Cover, at time.Time) (err error) {
	if del.State == incident.DeliveryDelivered {
		if del.Cause, err = cause(before, outages, nil, *cover, at); err != nil {
			return err
		}
	}
	notices, err := ch.Tx.Notices(ch.Context(), cover.Pulse)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(notices, func(n incident.Notice) bool { return n.Recipient == del.Recipient })
	if i < 0 {
		return nil
	}
	notices[i].ApplyOutcome(del, cover, at)
	if err := ch.Tx.PutNotices(ch.Context(), notices[i:i+1], nil); err != nil || cover.Pulse != incident.CanaryPulse {
		return err
	}
	return recordCanary(ch, del, cover, at)
}

// skipIdlePulses notes that somebody is not told of pulses any more.
func (d *Dispatcher) skipIdlePulses(ctx context.Context, recipient string, pulses []string) error {
	if len(pulses) == 0 {
		return nil
	}
	return d.Repo.Change(ctx, now(), func(ch *storage.Change) error {
		for _, pulse := range pulses {
			n, err := noticeOf(ctx, ch.Tx, pulse, recipient)
			if err != nil {
				return err
			}
			if n.Leave() {
				if err := ch.Tx.PutNotices(ctx, []incident.Notice{n}, nil); err != nil {
					return err
				}
			}
		}
		return nil
	})
}
