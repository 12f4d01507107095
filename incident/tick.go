package incident

import (
	"slices"
	"time"
)

// Tick returns what time alone brings: events, and reminders to the team, with the
// agenda in which they are noted. Confirmed is set if the watchdog, whose pulses those are,
// confirms the ends of its breaches, see [Pulses.Confirms].
func (s *Situation) Tick(p *Policy, pulses Pulses, confirmed bool, at time.Time) News {
	in, agenda := &s.Incident, s.Agenda
	stamp := Stamp{At: at, Actor: ActorScheduler, Config: p.Hash}
	var nudges []Owed
	ask := false
	switch in.State {
	case StateOpen:
		if !in.byHand() && in.ended() && !at.Before(in.EndedHeardAt.Add(in.ResolveAfter)) && confirmed {
			if s.answered(p, in.EndedHeardAt.Add(in.ResolveAfter)) {
				e := in.resolution(at, "")
				if p.Asks && agenda.Unanswered {
					e.Data.Why = WhyNobodyAsked
				}
				return News{Events: in.next(stamp, e)}
			}
			ask = true
		}
		ask = ask || s.asksBeforeUpdate(p, at) || s.asksForDoubtedEnds(p, pulses, at)
		if !in.UnknownSince.IsZero() && !s.Paused() && !at.Before(in.UnknownSince.Add(PauseAfter)) {
			agenda.PausedFor = in.UnknownSince
			nudges = append(nudges, Owed{Kind: KindUpdate, Reason: DuePaused, At: at})
		}
		for s.reminds(p) {
			next := s.nextUpdate(agenda.RemindedFor)
			if next.IsZero() || at.Before(next.Add(-p.RemindBefore)) {
				break
			}
			agenda.RemindedFor = s.lastUpdate(next.Add(p.RemindBefore))
			if at.Before(next) {
				nudges = append(nudges, Owed{Kind: KindReminder, Reason: DueUnfed, At: at, DueAt: next})
				break
			}
			// It is overdue, and no reminder helps; there may be one that is near.
		}
	case StateResolved:
		if len(in.Actions) == 0 && in.Breaches.Firing == 0 && !at.Before(in.ResolvedAt.Add(p.ReopenWithin)) {
			return News{Events: in.next(stamp, Event{Type: EventClosed, Data: Data{Why: WhyNothingDue}})}
		}
		if every := in.priority(p).UpdateEvery; in.Breaches.Firing > 0 && every > 0 && !at.Before(latest(in.ResolvedAt, agenda.RemindedFiringAt).Add(every)) {
			agenda.RemindedFiringAt = at
			nudges = append(nudges, Owed{Kind: KindReminder, Reason: DueStillFiring, At: at})
		}
		for _, a := range in.Actions {
			if a.State == ActionDue && !a.DueAt.IsZero() && !at.Before(a.DueAt) && !slices.Contains(agenda.RemindedActions, a.Name) {
				agenda.RemindedActions = append(slices.Clone(agenda.RemindedActions), a.Name)
				nudges = append(nudges, Owed{Kind: KindReminder, Reason: DueActionOverdue, At: at, Action: a.Name})
			}
		}
	}
	return News{Nudges: nudges, Agenda: &agenda, Undecided: len(nudges) == 0, Ask: ask}
}

// nextUpdate returns the earliest scheduled update after that of which the team was
// last reminded. One that is overdue because its reader cannot be reached does not hide
// those of others.
func (s *Situation) nextUpdate(reminded time.Time) time.Time {
	var next time.Time
	for i := range s.Subscriptions {
		if sub := &s.Subscriptions[i]; sub.Active && informed(sub.Audiences) && sub.CadenceAt.After(reminded) {
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
