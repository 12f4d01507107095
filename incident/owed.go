package incident

import (
	"slices"
	"time"
)

// A Reason is why a message is owed.
type Reason string

// The reasons.
const (
	DueOpened        Reason = "opened"           // it opened, and the reader is told from the start
	DueJoined        Reason = "joined"           // the reader joins an incident that others know
	DueCadence       Reason = "cadence"          // the priority's interval is over
	DueWritten       Reason = "written"          // a person wrote an update
	DuePriority      Reason = "priority_changed" // it was raised or lowered
	DueLeft          Reason = "left"             // the reader no longer belongs to an audience
	DueMerged        Reason = "merged"           // the reader is told of the incident that goes on instead
	DueResolved      Reason = "resolved"         // it is over
	DueReopened      Reason = "reopened"         // it is back
	DueUnfed         Reason = "unfed"            // a scheduled update is near, and no person has written (on_call)
	DueActionOverdue Reason = "action_overdue"   // (on_call)
	DueAllUnknown    Reason = "all_unknown"      // nobody knows whether it still fires (on_call)
	DueStillFiring   Reason = "still_firing"     // resolved by hand, and breaches fire (on_call)
	DueUndeliverable Reason = "undeliverable"    // an opening failed for good (on_call)
	DueUndelivered   Reason = "undelivered"      // another message failed for good (on_call)
	DueMailRefused   Reason = "mail_refused"     // the mail server cannot be used, or refuses all (on_call, by webhook)
	DuePaused        Reason = "paused"           // scheduled updates pause; the last one says so
	DueMoved         Reason = "moved"            // the promised update comes later, as a quiet time is new
	DueWatchdogAway  Reason = "watchdog_away"
	DueWatchdogBack  Reason = "watchdog_back"
	DueCanary        Reason = "canary"        // the canary's alert came back, and its mail is the rest
	DueCanaryFailed  Reason = "canary_failed" // a run did not arrive in time
	DueCanaryBack    Reason = "canary_back"   // a run arrived, after some that failed
	DueHeard         Reason = "heard"         // a breach was heard while all were unknown
)

// Owed is one thing that a reader is to be told.
type Owed struct {
	Kind   Kind   `json:"kind"`
	Reason Reason `json:"reason"`
	// At is when it became owed.
	At time.Time `json:"at"`
	// DueAt is when the scheduled update is due, of DueUnfed.
	DueAt time.Time `json:"due_at,omitzero"`
	// Action is the name of the action, of DueActionOverdue.
	Action string `json:"action,omitempty"`
	// Address is whom a message did not reach, of DueUndeliverable and DueUndelivered.
	Address string `json:"address,omitempty"`
	// Refused is how often it was refused before, of an opening or an end that comes again.
	Refused int `json:"refused,omitempty"`
}

// same reports whether both are about the same, whenever each became owed.
func (o Owed) same(p Owed) bool {
	return o.Kind == p.Kind && o.Reason == p.Reason && o.DueAt.Equal(p.DueAt) && o.Action == p.Action && o.Address == p.Address && o.Refused == p.Refused
}

// rides reports whether it only goes along with the reader's next message: a mailbox of the
// team is not written to for the sake of each message that failed.
func (o Owed) rides(recipient string) bool {
	return o.Reason == DueUndelivered && !byWebhook(recipient)
}

// stale reports whether it reminds of a scheduled update whose time has come.
func (o Owed) stale(now time.Time) bool {
	return o.Reason == DueUnfed && !o.DueAt.IsZero() && !now.Before(o.DueAt)
}

// owe notes what an event means for each reader who stays.
func (s *Situation) owe(e *Event, p *Policy) {
	for i := range s.Subscriptions {
		sub := &s.Subscriptions[i]
		if !sub.Active {
			continue
		}
		switch e.Type {
		case EventPriorityChanged, EventMerged:
			s.owePriority(sub, e, p)
		case EventUpdateWritten:
			s.oweWords(sub, e, p)
		case EventResolved:
			sub.oweEnd(e)
		case EventReopened:
			s.oweReopening(sub, e, p)
		}
	}
}

// owePriority is for a priority that changed, by a merge too.
func (s *Situation) owePriority(sub *Subscription, e *Event, p *Policy) {
	if s.Incident.State == StateResolved || e.Data.Definition == nil {
		return
	}
	if s.waits(sub, e.Time) {
		s.wait(sub, p)
		for k := range sub.Owed {
			sub.Owed[k].At = latest(sub.Owed[k].At, e.Time)
		}
	} else if sub.Told || sub.owes(KindOpened) {
		// The opening may be under way, and not say so.
		sub.add(Owed{Kind: KindPriority, Reason: DuePriority, At: e.Time})
	}
}

// oweWords is for what a person wrote.
func (s *Situation) oweWords(sub *Subscription, e *Event, p *Policy) {
	if len(e.Data.Audiences) >= len(s.Incident.priority(p).Inform) {
		sub.Owed = slices.DeleteFunc(sub.Owed, func(o Owed) bool { return o.Reason == DueUnfed })
	}
	if !slices.ContainsFunc(e.Data.Audiences, func(a Audience) bool { return slices.Contains(sub.Audiences, a) }) {
		return
	}
	if s.waits(sub, e.Time) {
		sub.WaitUntil, sub.Owed = time.Time{}, []Owed{{Kind: KindOpened, Reason: DueWritten, At: e.Time}}
	} else if sub.Told || sub.owes(KindOpened) {
		sub.add(Owed{Kind: KindUpdate, Reason: DueWritten, At: e.Time})
	}
}

// oweEnd is for an incident that resolved.
func (s *Subscription) oweEnd(e *Event) {
	waiting := !s.WaitUntil.IsZero()
	s.WaitUntil = time.Time{}
	switch {
	case s.Told:
		s.Owed = append(s.only(KindPriority, KindUpdate, KindReopened), Owed{Kind: KindResolved, Reason: DueResolved, At: e.Time})
	case waiting || !s.owes(KindOpened):
		s.Owed = nil
	default:
		// An opening that was refused, and was to come again, is told with the end.
		for k := range s.Owed {
			s.Owed[k].At = earliest(s.Owed[k].At, e.Time)
		}
		s.add(Owed{Kind: KindResolved, Reason: DueResolved, At: e.Time})
	}
}

// oweReopening is for an incident that is back.
func (s *Situation) oweReopening(sub *Subscription, e *Event, p *Policy) {
	if sub.Told {
		sub.Owed = append(sub.only(KindPriority, KindUpdate), Owed{Kind: KindReopened, Reason: DueReopened, At: e.Time})
	} else if !sub.owes(KindOpened) || sub.owes(KindResolved) {
		sub.Owed = []Owed{{Kind: KindOpened, Reason: DueReopened, At: e.Time}}
		if !e.Actor.Person() {
			s.wait(sub, p)
		}
	}
}

// ask asks the team, once, when nobody knows whether anything fires: whether the last
// that fired became unknown, or it ended and others are.
func (s *Situation) ask() {
	since := s.Incident.UnknownSince
	if since.IsZero() || s.Agenda.RemindedUnknown.Equal(since) {
		return
	}
	s.Agenda.RemindedUnknown = since
	if s.Incident.State == StateOpen {
		s.nudge(Owed{Kind: KindReminder, Reason: DueAllUnknown, At: since})
	}
}

// nudge reminds the team, or tells those who know of the incident, but for some
// recipients.
func (s *Situation) nudge(o Owed, but ...string) {
	for i := range s.Subscriptions {
		sub := &s.Subscriptions[i]
		if !sub.Active || slices.Contains(but, sub.Recipient) || o.Reason == DueMailRefused && !byWebhook(sub.Recipient) {
			continue
		}
		if o.Kind == KindReminder && slices.Contains(sub.Audiences, AudienceOnCall) || o.Kind != KindReminder && sub.Told {
			sub.add(o)
		}
	}
}

// waits reports whether inform_after is not over for the reader at that time.
func (s *Situation) waits(sub *Subscription, at time.Time) bool {
	if sub.WaitUntil.IsZero() {
		return false
	}
	due := s.owedAt(sub)
	return due.IsZero() || due.After(at)
}

// add notes what is owed. Of each that is about the same the first and the latest are
// kept: the first says since when, and the latest is still owed when a message that
// was under way has told the first.
func (s *Subscription) add(o Owed) {
	n, last := 0, 0
	for i, have := range s.Owed {
		if have.same(o) {
			if have.At.Equal(o.At) {
				return
			}
			n, last = n+1, i
		}
	}
	if n > 1 {
		s.Owed[last] = o
		return
	}
	s.Owed = append(s.Owed, o)
}

func (s *Subscription) owes(k Kind) bool {
	return slices.ContainsFunc(s.Owed, func(o Owed) bool { return o.Kind == k })
}

// only returns what is owed of those kinds.
func (s *Subscription) only(kinds ...Kind) []Owed {
	var out []Owed
	for _, o := range s.Owed {
		if slices.Contains(kinds, o.Kind) {
			out = append(out, o)
		}
	}
	return out
}
