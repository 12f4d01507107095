package incident

import (
	"slices"
	"time"
)

// setBack is by how much what is owed has to lie in the future to say that the clock was
// set back, and not only that two changes crossed.
const setBack = 5 * time.Minute

// schedule sets when each message is due, and when the rules have to look again.
func (s *Situation) schedule(p *Policy, now time.Time) {
	for i := range s.Subscriptions {
		sub := &s.Subscriptions[i]
		if s.Agenda.Behind && !p.reads(sub) {
			continue // those whose policy is in force know when
		}
		sub.Owed = slices.DeleteFunc(sub.Owed, func(o Owed) bool {
			return o.stale(now) || s.Incident.State == StateClosed && o.rides(sub.Recipient)
		})
		for k := range sub.Owed {
			if o := &sub.Owed[k]; o.At.Sub(now) > setBack && !o.again() {
				o.At = now
			}
		}
		due, from := s.due(sub, p, now)
		if (len(sub.Owed) > 0 || due.After(sub.NextBy)) && s.moved(sub, p, now) {
			sub.add(Owed{Kind: KindUpdate, Reason: DueMoved, At: now})
			due, from = s.due(sub, p, now)
		}
		if !due.IsZero() && due.Before(now) && !from.After(now) && sub.DueAt.After(now) {
			// It was held back until now, and is due because of what has changed.
			sub.DeferredUntil = now
			_, from = s.due(sub, p, now)
		}
		sub.DueAt = from
		sub.Urgency = s.urgency(sub, p)
	}
	s.Agenda.NextAt = s.nextLook(p, now)
}

// moved reports whether a quiet time that is new moves a promised update beyond its
// promise. A message now can say so, and promise another time.
func (s *Situation) moved(sub *Subscription, p *Policy, now time.Time) bool {
	if s.Incident.State != StateOpen || !sub.Active || !sub.Told || !sub.NextBy.After(now) || sub.CadenceAt.IsZero() || sub.owes(KindUpdate) {
		return false
	}
	r, ok := p.reader(sub)
	if !ok {
		return false
	}
	exempt := s.exempt(sub)
	return r.quietUntil(sub.CadenceAt, exempt...).After(sub.NextBy) && r.quietUntil(now, exempt...).Equal(now)
}

// owedAt returns when the reader's next message is due, quiet times aside; zero if
// none is.
func (s *Situation) owedAt(sub *Subscription) time.Time {
	in := &s.Incident
	var at time.Time
	for _, o := range sub.Owed {
		if !o.rides(sub.Recipient) {
			at = earliest(at, o.At)
		}
	}
	if !at.IsZero() && !sub.WaitUntil.IsZero() {
		if in.TroubleSince.IsZero() {
			// It is over before anybody was to be told; a new breach would change that.
			return time.Time{}
		}
		at = latest(at, latest(sub.WaitUntil, in.TroubleSince))
	}
	if in.State == StateOpen && sub.Active {
		at = earliest(at, sub.CadenceAt)
	}
	return at
}

// due returns when the reader's next message is due, after any quiet time, and from
// when on it can be sent: that is later if it could not be handed over and a quiet
// time has begun meanwhile. If that began within the promise, the quiet time held it
// back, and its end is the due time. With the zero time as now, from is due.
func (s *Situation) due(sub *Subscription, p *Policy, now time.Time) (due, from time.Time) {
	at := s.owedAt(sub)
	if at.IsZero() {
		return at, at
	}
	r, ok := p.reader(sub)
	if !ok {
		return time.Time{}, time.Time{}
	}
	exempt := s.exempt(sub)
	due = latest(r.quietUntil(at, exempt...), sub.DeferredUntil)
	if !due.Before(now) {
		return due, due
	}
	from = due
	quiet := r.quietUntil(now, exempt...)
	if quiet.After(now) {
		from = quiet
	}
	last := due.Add(Promise)
	if end := r.quietUntil(last, exempt...); end.After(last) && (quiet.After(now) || !now.Before(end)) {
		due = end
	}
	return due, from
}

// exempt are the priorities by which a quiet time is judged: the incident's now,
// and the one that the reader knows of, so that no promise made for that is moved
// in silence.
func (s *Situation) exempt(sub *Subscription) []string {
	if sub.ToldPriority == "" {
		return []string{s.Incident.Priority.Name}
	}
	return []string{s.Incident.Priority.Name, sub.ToldPriority}
}

// nextLook returns when Tick has something to do.
func (s *Situation) nextLook(p *Policy, now time.Time) time.Time {
	in, next := &s.Incident, time.Time{}
	switch in.State {
	case StateOpen:
		if !in.byHand() && in.ended() {
			next = earliest(next, in.EndedHeardAt.Add(in.ResolveAfter))
		}
		if !in.UnknownSince.IsZero() && !s.Paused() {
			next = earliest(next, in.UnknownSince.Add(PauseAfter))
		}
		next = earliest(next, s.nextQuestion(p, now))
		if update := s.nextUpdate(s.Agenda.RemindedFor); s.reminds(p) && !update.IsZero() {
			next = earliest(next, update.Add(-p.RemindBefore))
		}
	case StateResolved:
		if every := in.priority(p).UpdateEvery; in.Breaches.Firing > 0 && every > 0 {
			next = earliest(next, latest(in.ResolvedAt, s.Agenda.RemindedFiringAt).Add(every))
		}
		if len(in.Actions) == 0 && in.Breaches.Firing == 0 {
			next = earliest(next, in.ResolvedAt.Add(p.ReopenWithin))
		}
		for _, a := range in.Actions {
			if a.State == ActionDue && !a.DueAt.IsZero() && !slices.Contains(s.Agenda.RemindedActions, a.Name) {
				next = earliest(next, a.DueAt)
			}
		}
	}
	return next
}

// reminds reports whether the team is reminded before scheduled updates.
func (s *Situation) reminds(p *Policy) bool {
	every := s.Incident.priority(p).UpdateEvery
	return p.RemindBefore > 0 && p.RemindBefore < every
}

// ended reports whether it had breaches and all have ended.
func (in *Incident) ended() bool {
	return in.Breaches.Total > 0 && in.Breaches.Firing+in.Breaches.Unknown == 0 && !in.EndedHeardAt.IsZero()
}
