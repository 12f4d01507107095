package incident

import (
	"slices"
	"time"
)

// Delivered notes that a message was handed over at that time. It returns the
// events that follow from it, for Change: scheduled updates that were missed, with
// the cause.
func (s *Situation) Delivered(recipient string, c Cover, at time.Time, cause string, p *Policy) []Event {
	sub := s.Subscription(recipient)
	if sub == nil {
		return nil
	}
	if c.Kind == KindReminder {
		// A reminder leaves the scheduled updates as they are, and tells of no opening.
		sub.settle(c)
		return nil
	}
	missed := s.missed(sub, at, cause, p)
	sub.settle(c)
	sub.ToldAt = at
	sub.WaitUntil = time.Time{}
	sub.CadenceAt, sub.CadenceHeld, sub.NextBy = c.NextDueAt, c.NextHeld, c.NextBy
	if c.Kind == KindLeft {
		sub.Told, sub.ToldSequence, sub.ToldPriority = false, 0, ""
		if sub.Active {
			sub.Owed = []Owed{{Kind: KindOpened, Reason: DueJoined, At: at}}
		}
		return missed
	}
	sub.Told, sub.ToldSequence, sub.ToldPriority = true, c.Sequence, c.Priority
	if !sub.Active && !sub.owes(KindLeft) && s.Incident.State != Resolved {
		// The reader left while it was told.
		reason := DueLeft
		if s.Incident.MergedInto != 0 {
			reason = DueMerged
		}
		if _, ok := p.reads(sub); !ok {
			sub.Told = false // taken out of the configuration
		} else if s.Incident.State == Open || s.Incident.MergedInto != 0 {
			sub.Owed = []Owed{{Kind: KindLeft, Reason: reason, At: at}}
		}
		sub.CadenceAt = time.Time{}
	}
	return missed
}

// refusedBefore is the detail of an opening that comes again after it was refused.
const refusedBefore = "refused before"

// Undelivered notes that a message failed for good. It is not tried again; an
// opening comes with the next scheduled update while the incident is open. It returns a reminder to the team
// if it was an opening, the first time.
func (s *Situation) Undelivered(recipient string, c Cover, at time.Time, address string) (nudges []Owed) {
	sub := s.Subscription(recipient)
	if sub == nil {
		return nil
	}
	sub.settle(c)
	if c.Kind == KindReminder {
		return nil
	}
	sub.CadenceAt, sub.CadenceHeld, sub.NextBy = c.NextDueAt, c.NextHeld, time.Time{}
	if c.Kind == KindOpened && sub.Active && !sub.Told {
		// Without a cadence, the team's own address gets it again after a quarter of a day.
		again := c.NextDueAt
		if again.IsZero() {
			again = at.Add(6 * time.Hour)
		}
		sub.WaitUntil = time.Time{}
		sub.Owed = slices.DeleteFunc(sub.Owed, func(o Owed) bool { return o.Kind == KindOpened })
		if s.Incident.State == Open {
			sub.Owed = append(sub.Owed, Owed{Kind: KindOpened, Reason: DueJoined, At: again, Detail: refusedBefore})
		}
		if slices.ContainsFunc(c.Owed, func(o Owed) bool { return o.Detail == refusedBefore }) {
			return nil // the team knows
		}
		s.failed = append(s.failed, recipient) // it need not be told of itself
		return []Owed{{Kind: KindReminder, Reason: DueUndeliverable, At: at, Detail: address}}
	}
	return nil
}

// settle removes what the message told. What came while it was sent stays owed.
func (s *Subscription) settle(c Cover) {
	s.HeldUntil = time.Time{}
	s.Owed = slices.DeleteFunc(s.Owed, func(o Owed) bool {
		return slices.ContainsFunc(c.Owed, func(d Owed) bool {
			return o.Kind == d.Kind && o.Reason == d.Reason && o.Detail == d.Detail && o.At.Equal(d.At)
		})
	})
}

// missed returns an event if scheduled updates were not handed over before the next
// was due, or at all before it resolved. One event speaks for all readers of an
// audience.
func (s *Situation) missed(sub *Subscription, at time.Time, cause string, p *Policy) []Event {
	every := s.Incident.priority(p).UpdateEvery
	if sub.CadenceAt.IsZero() || every <= 0 || !informed(sub.Audiences) || s.Incident.State == Closed {
		return nil
	}
	r, ok := p.reader(sub)
	if !ok {
		return nil
	}
	due := r.quietUntil(sub.CadenceAt, s.exempt(sub)...)
	n := int(at.Sub(due) / every)
	if s.Incident.State == Resolved {
		// The message tells of the end, so that the update that was due is missed too.
		end, promised := earliest(at, s.Incident.ResolvedAt), due.Add(Promise)
		if sub.CadenceAt.Equal(due) && !sub.NextBy.IsZero() {
			promised = sub.NextBy
		}
		n = 0
		if end.After(promised) {
			n = 1 + int(end.Sub(due)/every)
		}
	}
	audience := sub.Audiences[0]
	if n < 1 || due.Sub(s.Agenda.MissedFor[audience]) < every {
		return nil
	}
	mf := map[Audience]time.Time{audience: due}
	for a, t := range s.Agenda.MissedFor {
		if a != audience {
			mf[a] = t
		}
	}
	s.Agenda.MissedFor = mf
	stamp := Stamp{At: at, Actor: Scheduler, Config: p.Hash}
	return s.Incident.next(stamp, Event{Type: UpdateMissed, Data: Data{DueAt: due, Missed: n, Audience: audience, Cause: cause}})
}
