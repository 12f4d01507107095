package incident

import (
	"maps"
	"slices"
	"time"
)

// An Outcome is what became of a message to a reader.
type Outcome struct {
	Recipient string
	Cover     Cover
	At        time.Time
	// Refused is set if it failed for good, by Address; else it was handed over.
	Refused bool
	Address string
}

// Delivered says that a message was handed over at that time. Scheduled updates that
// were missed before are events, with the cause.
func (s *Situation) Delivered(recipient string, c Cover, at time.Time, cause Cause, p *Policy) News {
	news := News{Outcomes: []Outcome{{Recipient: recipient, Cover: c, At: at}}}
	sub := s.Subscription(recipient)
	if sub == nil || c.Kind == KindReminder {
		return news
	}
	missed, ok := s.missed(sub, at, cause, p)
	if !ok {
		return news
	}
	agenda := s.Agenda
	if agenda.MissedFor = maps.Clone(agenda.MissedFor); agenda.MissedFor == nil {
		agenda.MissedFor = map[Audience]time.Time{}
	}
	agenda.MissedFor[missed.Data.Audience] = missed.Data.DueAt
	news.Events, news.Agenda = s.Incident.next(Stamp{At: at, Actor: ActorScheduler, Config: p.Hash}, missed), &agenda
	return news
}

// Undelivered says that a message failed for good. It is not tried again; an opening
// comes with the next scheduled update while the incident is open, and the end stays owed
// until it was refused three times, a day apart. The team hears of it: of an opening at
// once, the first time; of all else by webhook at once, by mail with its next message.
func (s *Situation) Undelivered(recipient string, c Cover, at time.Time, address string) News {
	return News{Outcomes: []Outcome{{Recipient: recipient, Cover: c, At: at, Refused: true, Address: address}}}
}

// again reports whether it is to come again, at a time of its own.
func (o Owed) again() bool { return o.Refused > 0 }

// endAgain is how much later the end is told again that was refused, and endTries how often
// it is told in all.
const (
	endAgain = 24 * time.Hour
	endTries = 3
)

// applyOutcomes notes in the subscriptions what became of messages. It returns reminders to the
// team of what was refused, and by whom: who refused need not be told of that.
func (s *Situation) applyOutcomes(outcomes []Outcome, p *Policy) (reminders []Owed, refused []string) {
	for i := range outcomes {
		o := &outcomes[i]
		sub := s.Subscription(o.Recipient)
		if sub == nil {
			continue
		}
		sub.told(o.Cover)
		if !o.Refused && !byWebhook(o.Recipient) {
			s.Agenda.MailWaits = false
		}
		switch {
		case o.Cover.Kind == KindReminder:
			// It leaves the scheduled updates as they are, and tells of no opening.
		case !o.Refused:
			s.told(sub, o, p)
		case s.refused(sub, o):
			reason := DueUndelivered
			if o.Cover.Kind == KindOpened {
				reason = DueUndeliverable
			}
			reminders = append(reminders, Owed{Kind: KindReminder, Reason: reason, At: o.At, Address: o.Address})
			refused = append(refused, o.Recipient)
		}
	}
	return reminders, refused
}

// told is for a message that was handed over.
func (s *Situation) told(sub *Subscription, o *Outcome, p *Policy) {
	c := &o.Cover
	sub.ToldAt = o.At
	sub.WaitUntil = time.Time{}
	sub.CadenceAt, sub.CadenceDeferred, sub.NextBy = c.NextDueAt, c.NextDeferred, c.NextBy
	if c.Kind == KindLeft {
		sub.Told, sub.ToldSequence, sub.ToldPriority = false, 0, ""
		if sub.Active {
			sub.Owed = []Owed{{Kind: KindOpened, Reason: DueJoined, At: o.At}}
		}
		return
	}
	sub.Told, sub.ToldSequence, sub.ToldPriority = true, c.Sequence, c.Priority
	if !sub.Active && !sub.owes(KindLeft) && s.Incident.State != StateResolved {
		// The reader left while it was told.
		reason := DueLeft
		if s.Incident.MergedInto != 0 {
			reason = DueMerged
		}
		if !p.reads(sub) {
			sub.Told = false // taken out of the configuration
		} else if s.Incident.State == StateOpen || s.Incident.MergedInto != 0 {
			sub.Owed = []Owed{{Kind: KindLeft, Reason: reason, At: o.At}}
		}
		sub.CadenceAt = time.Time{}
	}
}

// refused is for a message that failed for good. It reports whether the team is to be
// reminded.
func (s *Situation) refused(sub *Subscription, o *Outcome) bool {
	c := &o.Cover
	sub.CadenceAt, sub.CadenceDeferred, sub.NextBy = c.NextDueAt, c.NextDeferred, time.Time{}
	if c.Kind == KindResolved {
		return sub.refusedEnd(o)
	}
	if c.Kind != KindOpened || !sub.Active || sub.Told {
		return !c.Again()
	}
	// Without a cadence, the team's own address gets it again after a quarter of a day.
	again := c.NextDueAt
	if again.IsZero() {
		again = o.At.Add(6 * time.Hour)
	}
	sub.WaitUntil = time.Time{}
	sub.Owed = slices.DeleteFunc(sub.Owed, func(o Owed) bool { return o.Kind == KindOpened })
	if s.Incident.State == StateOpen {
		sub.Owed = append(sub.Owed, Owed{Kind: KindOpened, Reason: DueJoined, At: again, Refused: 1})
	}
	return !c.Again() // then the team knows
}

// refusedEnd keeps the end owed, a day later, until it was refused three times. It reports
// whether the team is to be reminded: the first time.
func (s *Subscription) refusedEnd(o *Outcome) bool {
	before := 0
	for _, owed := range o.Cover.Owed {
		if owed.Kind == KindResolved {
			before = owed.Refused
		}
	}
	if before+1 < endTries && s.Active {
		s.Owed = append(s.Owed, Owed{Kind: KindResolved, Reason: DueResolved, At: o.At.Add(endAgain), Refused: before + 1})
	}
	return before == 0 && s.Active
}

// told removes what the message told. What came while it was sent stays owed.
func (s *Subscription) told(c Cover) {
	s.DeferredUntil = time.Time{}
	s.Owed = slices.DeleteFunc(s.Owed, func(o Owed) bool {
		return slices.ContainsFunc(c.Owed, func(d Owed) bool {
			return o.same(d) && o.At.Equal(d.At)
		})
	})
}

// missed returns an event if scheduled updates were not handed over before the next
// was due, or at all before it resolved. One event speaks for all readers of an
// audience.
func (s *Situation) missed(sub *Subscription, at time.Time, cause Cause, p *Policy) (Event, bool) {
	every := s.Incident.priority(p).UpdateEvery
	if sub.CadenceAt.IsZero() || every <= 0 || !informed(sub.Audiences) || s.Incident.State == StateClosed {
		return Event{}, false
	}
	r, ok := p.reader(sub)
	if !ok {
		return Event{}, false
	}
	due := r.quietUntil(sub.CadenceAt, s.exempt(sub)...)
	n := int(at.Sub(due) / every)
	if s.Incident.State == StateResolved {
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
		return Event{}, false
	}
	return Event{Type: EventUpdateMissed, Data: Data{DueAt: due, Missed: n, Audience: audience, Cause: cause}}, true
}
