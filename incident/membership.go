package incident

import (
	"slices"
	"time"
)

// membership makes the active subscriptions those of the readers. Who joins is
// owed an opening; who leaves by a change of the incident a farewell; who was taken
// out of the configuration nothing.
func (s *Situation) membership(events []*Event, p *Policy, now time.Time) {
	in := &s.Incident
	switch in.State {
	case StateClosed:
		s.farewell(events, now, p.reads)
		return
	case StateResolved:
		// Nobody joins or leaves what is over, but for those taken out of the configuration.
		for i := range s.Subscriptions {
			if sub := &s.Subscriptions[i]; sub.Active && !p.reads(sub) {
				sub.drop()
			}
		}
		return
	}
	joined := DueJoined
	if s.Agenda.Behind && len(s.Subscriptions) == 0 {
		joined = DueOpened // nobody was told, as who opened it did not know who reads
	}
	for _, e := range events {
		switch {
		case e.Type == EventOpened:
			joined = DueOpened
		case e.Type == EventMerged:
			joined = DueMerged
		}
	}
	readers := Readers(in, p)
	for i := range readers {
		r := &readers[i]
		sub := s.subscription(r.Recipient.ID)
		wasActive, wasInformed := sub.Active, informed(sub.Audiences)
		sub.Audiences, sub.Groups = r.Audiences, r.Groups
		if wasActive {
			switch isInformed := informed(sub.Audiences); {
			case wasInformed && !isInformed:
				sub.CadenceAt, sub.NextBy = time.Time{}, time.Time{}
			case !wasInformed && isInformed && sub.Told:
				// One of the team, who knows of it: the scheduled updates begin.
				sub.add(Owed{Kind: KindUpdate, Reason: DueJoined, At: now})
			}
			continue
		}
		sub.Active = true
		if sub.Told {
			// The farewell was not sent: the reader stays.
			sub.Owed = []Owed{{Kind: KindPriority, Reason: DuePriority, At: now}}
			continue
		}
		sub.Owed = []Owed{{Kind: KindOpened, Reason: joined, At: now}}
		sub.ToldSequence, sub.ToldPriority = 0, ""
		s.wait(sub, p)
	}
	reads := make(map[string]bool, len(readers))
	for i := range readers {
		reads[readers[i].Recipient.ID] = true
	}
	for i := range s.Subscriptions {
		sub := &s.Subscriptions[i]
		if !sub.Active || reads[sub.Recipient] {
			continue
		}
		if !p.reads(sub) {
			sub.drop()
			continue
		}
		sub.Active, sub.CadenceAt = false, time.Time{}
		s.leave(sub, DueLeft, now)
	}
}

// stay leaves the active subscriptions as they are, where the policy is not the one in force:
// it may know too few readers, or too many. Those of what was merged away are told so.
func (s *Situation) stay(events []*Event, now time.Time) {
	if s.Incident.State == StateClosed {
		s.farewell(events, now, func(*Subscription) bool { return true })
	}
}

// farewell tells the readers of a merged incident where it goes on, those who still read.
func (s *Situation) farewell(events []*Event, now time.Time, reads func(*Subscription) bool) {
	merged := slices.ContainsFunc(events, func(e *Event) bool { return e.Type == EventMerged && e.Data.Into != 0 })
	for i := range s.Subscriptions {
		sub := &s.Subscriptions[i]
		switch {
		case !merged || !sub.Active:
		case reads(sub):
			sub.Active = false
			s.leave(sub, DueMerged, now)
		default:
			sub.drop()
		}
		sub.CadenceAt = time.Time{}
	}
}

// drop ends a subscription of someone who was taken out of the configuration: nothing
// more is sent, not even a farewell.
func (s *Subscription) drop() {
	s.Active, s.Told, s.Owed, s.CadenceAt = false, false, nil, time.Time{}
}

// leave says farewell to a reader who was told, or should have been.
func (s *Situation) leave(sub *Subscription, why Reason, now time.Time) {
	if !sub.Told && !sub.overdue(now) {
		sub.Owed, sub.WaitUntil = nil, time.Time{}
		return
	}
	sub.Owed, sub.WaitUntil = []Owed{{Kind: KindLeft, Reason: why, At: now}}, time.Time{}
}

// endWaits ends the wait for inform_after of those for whom it was over before the
// trouble was: they are owed the opening then, whatever came after.
func (s *Situation) endWaits(over []span) {
	for _, trouble := range over {
		for i := range s.Subscriptions {
			sub := &s.Subscriptions[i]
			if sub.Told || sub.WaitUntil.IsZero() || !sub.owes(KindOpened) {
				continue
			}
			var owed time.Time
			for _, o := range sub.Owed {
				owed = earliest(owed, o.At)
			}
			at := latest(owed, latest(sub.WaitUntil, trouble.from))
			if at.After(trouble.to) {
				continue
			}
			sub.WaitUntil = time.Time{}
			for k := range sub.Owed {
				sub.Owed[k].At = latest(sub.Owed[k].At, at)
			}
		}
	}
}

// overdue reports whether an opening is owed for longer than promised.
func (s *Subscription) overdue(now time.Time) bool {
	return s.owes(KindOpened) && !s.DueAt.IsZero() && now.Sub(s.DueAt) > Promise
}

// wait makes a reader wait for inform_after, counted from the start of this stretch
// of trouble. The team never waits.
func (s *Situation) wait(sub *Subscription, p *Policy) {
	sub.WaitUntil = time.Time{}
	if slices.Contains(sub.Audiences, AudienceOnCall) {
		return
	}
	if after := s.Incident.priority(p).InformAfter; after > 0 {
		sub.WaitUntil = latest(s.Incident.OpenedAt, s.Incident.ReopenedAt).Add(after)
	}
}
