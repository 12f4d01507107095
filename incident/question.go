package incident

import "time"

const (
	// askAhead is how long before a scheduled update the Alertmanagers are asked.
	askAhead = time.Minute
	// askDoubted is how soon they are asked again about ends that are not believed.
	askDoubted = time.Minute
)

// answered reports whether the Alertmanagers were asked about all breaches since that time,
// or there are none to ask.
func (s *Situation) answered(p *Policy, since time.Time) bool {
	return !p.Asks || !s.Agenda.AnsweredAt.Before(since)
}

// asksBeforeUpdate reports whether they are to be asked as a scheduled update is near that
// would say "still firing" of what was not heard in the last quarter of the cadence. That
// one breach was heard says nothing of the others.
func (s *Situation) asksBeforeUpdate(p *Policy, at time.Time) bool {
	next := s.updateQuestion(p, at)
	return !next.IsZero() && !at.Before(next)
}

// updateQuestion returns when they are to be asked for that reason, zero if not.
func (s *Situation) updateQuestion(p *Policy, now time.Time) (at time.Time) {
	every := s.Incident.priority(p).UpdateEvery
	if !p.Asks || s.Incident.State != StateOpen || s.Incident.Breaches.Firing == 0 || every <= 0 {
		return at
	}
	for i := range s.Subscriptions {
		sub := &s.Subscriptions[i]
		if sub.Active && informed(sub.Audiences) && sub.CadenceAt.After(now) && s.Agenda.AnsweredAt.Before(sub.CadenceAt.Add(-every/4)) {
			at = earliest(at, sub.CadenceAt.Add(-min(askAhead, every/4)))
		}
	}
	return at
}

// asksForDoubtedEnds reports whether it is time to ask about ends that were not believed while
// the watchdog was away: at once when it is back and there is somebody to ask, else once
// what fires had the time to be heard again.
func (s *Situation) asksForDoubtedEnds(p *Policy, pulses Pulses, at time.Time) bool {
	next := s.doubtedQuestion(p)
	back, ok := pulses.someBack(p)
	if next.IsZero() || at.Before(next) || !ok {
		return false
	}
	return p.Asks || at.Sub(back) >= p.ResolveAfter
}

// doubtedQuestion returns when they are next to be asked for that reason, zero if not.
func (s *Situation) doubtedQuestion(p *Policy) time.Time {
	since := s.Agenda.EndsDoubtedAt
	switch {
	case since.IsZero():
		return since
	case !p.Asks:
		since = since.Add(p.ResolveAfter)
	}
	return latest(since, s.Agenda.AnsweredAt.Add(askDoubted))
}

// nextQuestion returns when Tick has something to ask of an open incident.
func (s *Situation) nextQuestion(p *Policy, now time.Time) time.Time {
	return earliest(s.updateQuestion(p, now), s.doubtedQuestion(p))
}
