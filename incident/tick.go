package incident

import (
	"slices"
	"time"
)

// Tick returns what time alone brings: events, and reminders to the team, and it
// notes them in the agenda. Give both to Change. Confirmed is set if the watchdog
// confirms the ends of its breaches, see [Pulses.Confirms].
func (s *Situation) Tick(p *Policy, confirmed bool, at time.Time) (events []Event, nudges []Owed) {
	in := &s.Incident
	stamp := Stamp{At: at, Actor: Scheduler, Config: p.Hash}
	switch in.State {
	case Open:
		if !in.byHand() && in.ended() && !at.Before(in.EndedHeardAt.Add(in.ResolveAfter)) && confirmed {
			return in.next(stamp, in.resolution(at, "")), nil
		}
		if !in.UnknownSince.IsZero() && !s.paused() && !at.Before(in.UnknownSince.Add(PauseAfter)) {
			s.Agenda.PausedFor = in.UnknownSince
			nudges = append(nudges, Owed{Kind: KindUpdate, Reason: DuePaused, At: at})
		}
		for s.reminds(p) {
			next := s.nextUpdate()
			if next.IsZero() || at.Before(next.Add(-p.RemindBefore)) {
				break
			}
			s.Agenda.RemindedFor = s.lastUpdate(next.Add(p.RemindBefore))
			if at.Before(next) {
				nudges = append(nudges, Owed{Kind: KindReminder, Reason: DueUnfed, At: at, Detail: next.Format(time.RFC3339)})
				break
			}
			// It is overdue, and no reminder helps; there may be one that is near.
		}
	case Resolved:
		if len(in.Actions) == 0 && in.Breaches.Firing == 0 && !at.Before(in.ResolvedAt.Add(p.ReopenWithin)) {
			return in.next(stamp, Event{Type: ClosedEvent, Reason: "no action is due"}), nil
		}
		if every := in.priority(p).UpdateEvery; in.Breaches.Firing > 0 && every > 0 && !at.Before(latest(in.ResolvedAt, s.Agenda.RemindedFiringAt).Add(every)) {
			s.Agenda.RemindedFiringAt = at
			nudges = append(nudges, Owed{Kind: KindReminder, Reason: DueStillFiring, At: at})
		}
		for _, a := range in.Actions {
			if a.State == ActionDue && !a.DueAt.IsZero() && !at.Before(a.DueAt) && !slices.Contains(s.Agenda.RemindedActions, a.Name) {
				s.Agenda.RemindedActions = append(slices.Clone(s.Agenda.RemindedActions), a.Name)
				nudges = append(nudges, Owed{Kind: KindReminder, Reason: DueActionOverdue, At: at, Detail: a.Name})
			}
		}
	}
	s.undecided = len(nudges) == 0
	return nil, nudges
}

// nextUpdate returns the earliest scheduled update of which the team was not
// reminded. One that is overdue because its reader cannot be reached does not hide
// those of others.
func (s *Situation) nextUpdate() time.Time {
	var next time.Time
	for i := range s.Subscriptions {
		if sub := &s.Subscriptions[i]; sub.Active && informed(sub.Audiences) && sub.CadenceAt.After(s.Agenda.RemindedFor) {
			next = earliest(next, sub.CadenceAt)
		}
	}
	return next
}

// lastUpdate returns the latest scheduled update up to that time. After an outage
// each reader's has a time of its own, and one reminder speaks for those near.
func (s *Situation) lastUpdate(by time.Time) time.Time {
	var last time.Time
	for i := range s.Subscriptions {
		if sub := &s.Subscriptions[i]; sub.Active && informed(sub.Audiences) && !sub.CadenceAt.After(by) {
			last = latest(last, sub.CadenceAt)
		}
	}
	return last
}

// stale reports whether it reminds of a scheduled update whose time has come.
func (o Owed) stale(now time.Time) bool {
	if o.Reason != DueUnfed {
		return false
	}
	due, err := time.Parse(time.RFC3339, o.Detail)
	return err == nil && !now.Before(due)
}
