package incident

import (
	"cmp"
	"slices"
	"time"
)

// A Situation is all of an incident that changes together: the state, the readers,
// and what the scheduler keeps.
type Situation struct {
	Incident      Incident
	Subscriptions []Subscription // ordered by recipient
	Agenda        Agenda

	recorded []Event  // since the last Finish
	concerns bool     // they can concern readers
	heard    []Event  // those of them that are news as nobody knew before
	over     []span   // the stretches of trouble that ended by them
	failed   []string // recipients of openings that failed for good
	// undecided is set if it was time to decide something, and it could not be.
	undecided bool
}

// A span is a stretch in which something fired.
type span struct{ from, to time.Time }

// Concerns reports whether what was recorded since the last Finish can concern the
// readers or the agenda. One more breach, or one less, of an incident in which
// others fire does not: then the readers need not be there, and Finish need not
// be called.
func (s *Situation) Concerns() bool { return s.concerns }

// LastHeardAt returns when a breach was last heard to fire; zero if never.
func (s *Situation) LastHeardAt() time.Time { return latest(s.Incident.HeardAt, s.Agenda.LastHeardAt) }

// Clone returns a copy that changes by itself.
func (s *Situation) Clone() *Situation {
	c := *s
	c.Subscriptions = slices.Clone(s.Subscriptions)
	for i := range c.Subscriptions {
		c.Subscriptions[i].Owed = slices.Clone(c.Subscriptions[i].Owed)
	}
	return &c
}

// Change makes the events part of the situation: the state, what readers are owed
// because of them, and when the scheduler has to look again. Without events it
// brings the readers in line with the policy. The nudges are for [Situation.Finish].
func (s *Situation) Change(events []Event, nudges []Owed, p *Policy, now time.Time) error {
	if err := s.Record(events...); err != nil {
		return err
	}
	s.Finish(nudges, p, now)
	return nil
}

// Record makes the events part of the state. Finish has to follow, after any
// number of calls.
func (s *Situation) Record(events ...Event) error {
	for _, e := range events {
		lost, trouble, paused := !s.Incident.UnknownSince.IsZero(), s.Incident.TroubleSince, s.paused()
		if err := s.Incident.Apply(e); err != nil {
			return err
		}
		s.note(e)
		goesOn := e.Type == BreachStarted || e.Type == BreachEnded
		if !goesOn {
			// Of breaches that begin and end nobody is owed anything by that alone.
			s.recorded = append(s.recorded, e)
		}
		if !goesOn || lost || s.Incident.State != Open || trouble.IsZero() || !trouble.Equal(s.Incident.TroubleSince) || s.Incident.Breaches.Firing == 0 {
			s.concerns = true
		}
		if !trouble.IsZero() && (e.Type == ResolvedEvent || s.Incident.TroubleSince.IsZero()) {
			s.over = append(s.over, span{trouble, e.Time})
		}
		if e.Type == BreachStarted && lost && (e.Data.From == "" || paused) {
			s.heard = append(s.heard, e)
		}
	}
	return nil
}

// Finish settles who is owed what because of the recorded events. The nudges are
// reminders to the team, or what all who know of the incident are to be told.
func (s *Situation) Finish(nudges []Owed, p *Policy, now time.Time) {
	events := s.recorded
	s.endWaits()
	s.membership(events, p, now)
	for _, e := range events {
		s.owe(e, p)
	}
	for _, e := range s.heard {
		// While nobody knew, a breach is news.
		s.nudge(Owed{Kind: KindUpdate, Reason: DueHeard, At: e.Time})
		s.Agenda.PausedFor = time.Time{}
	}
	for _, n := range nudges {
		s.nudge(n)
	}
	s.schedule(p, now)
	if s.undecided && !s.Agenda.NextAt.After(now) && !s.Agenda.NextAt.IsZero() {
		s.Agenda.NextAt = now.Add(lookAgain)
	}
	s.recorded, s.heard, s.over, s.failed, s.undecided, s.concerns = nil, nil, nil, nil, false, false
}

// lookAgain is how soon the rules look again at what they could not decide.
const lookAgain = 15 * time.Second

// note keeps what the agenda says of an event.
func (s *Situation) note(e Event) {
	if e.Type == Reopened {
		// Their time starts anew when it resolves.
		s.Agenda.RemindedActions = nil
	}
	s.Agenda.Incident = s.Incident.Number
}

// waits reports whether inform_after is not over for the reader at that time.
func (s *Situation) waits(sub *Subscription, at time.Time) bool {
	if sub.WaitUntil.IsZero() {
		return false
	}
	due := s.owedAt(sub)
	return due.IsZero() || due.After(at)
}

// owe notes what an event means for each reader who stays.
func (s *Situation) owe(e Event, p *Policy) {
	for i := range s.Subscriptions {
		sub := &s.Subscriptions[i]
		if !sub.Active {
			continue
		}
		switch e.Type {
		case PriorityChanged, Merged:
			if s.Incident.State == Resolved || e.Data.Definition == nil {
				break
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
		case UpdateWritten:
			if len(e.Data.Audiences) >= len(s.Incident.priority(p).Inform) {
				sub.Owed = slices.DeleteFunc(sub.Owed, func(o Owed) bool { return o.Reason == DueUnfed })
			}
			if !slices.ContainsFunc(e.Data.Audiences, func(a Audience) bool { return slices.Contains(sub.Audiences, a) }) {
				break
			}
			if s.waits(sub, e.Time) {
				sub.WaitUntil, sub.Owed = time.Time{}, []Owed{{Kind: KindOpened, Reason: DueWritten, At: e.Time}}
			} else if sub.Told || sub.owes(KindOpened) {
				sub.add(Owed{Kind: KindUpdate, Reason: DueWritten, At: e.Time})
			}
		case ResolvedEvent:
			waiting := !sub.WaitUntil.IsZero()
			sub.WaitUntil = time.Time{}
			switch {
			case sub.Told:
				sub.Owed = append(sub.only(KindPriority, KindUpdate, KindReopened), Owed{Kind: KindResolved, Reason: DueResolved, At: e.Time})
			case waiting || !sub.owes(KindOpened):
				sub.Owed = nil
			default:
				// An opening that was refused, and was to come again, is told with the end.
				for k := range sub.Owed {
					sub.Owed[k].At = earliest(sub.Owed[k].At, e.Time)
				}
				sub.add(Owed{Kind: KindResolved, Reason: DueResolved, At: e.Time})
			}
		case Reopened:
			if sub.Told {
				sub.Owed = append(sub.only(KindPriority, KindUpdate), Owed{Kind: KindReopened, Reason: DueReopened, At: e.Time})
			} else if !sub.owes(KindOpened) || sub.owes(KindResolved) {
				sub.Owed = []Owed{{Kind: KindOpened, Reason: DueReopened, At: e.Time}}
				if !e.Actor.Person() {
					s.wait(sub, p)
				}
			}
		case BreachUnknown:
			if s.Incident.State == Open && s.Incident.Breaches.Firing == 0 && slices.Contains(sub.Audiences, OnCall) && !s.Agenda.RemindedUnknown.Equal(s.Incident.UnknownSince) {
				sub.add(Owed{Kind: KindReminder, Reason: DueAllUnknown, At: e.Time})
			}
		}
	}
	if e.Type == BreachUnknown && s.Incident.Breaches.Firing == 0 {
		s.Agenda.RemindedUnknown = s.Incident.UnknownSince
	}
}

// nudge reminds the team, or tells those who know of the incident.
func (s *Situation) nudge(o Owed) {
	for i := range s.Subscriptions {
		sub := &s.Subscriptions[i]
		if !sub.Active || o.Reason == DueUndeliverable && slices.Contains(s.failed, sub.Recipient) {
			continue
		}
		if o.Kind == KindReminder && slices.Contains(sub.Audiences, OnCall) || o.Kind != KindReminder && sub.Told {
			sub.add(o)
		}
	}
}

// schedule sets when each message is due, and when the rules have to look again.
func (s *Situation) schedule(p *Policy, now time.Time) {
	for i := range s.Subscriptions {
		sub := &s.Subscriptions[i]
		sub.Owed = slices.DeleteFunc(sub.Owed, func(o Owed) bool { return o.stale(now) })
		due, from := s.due(sub, p, now)
		if (len(sub.Owed) > 0 || due.After(sub.NextBy)) && s.moved(sub, p, now) {
			sub.add(Owed{Kind: KindUpdate, Reason: DueMoved, At: now})
			due, from = s.due(sub, p, now)
		}
		if due.Before(now) && sub.DueAt.After(now) {
			// It was held back until now, and is due because of what has changed.
			sub.HeldUntil = now
			_, from = s.due(sub, p, now)
		}
		sub.DueAt = from
	}
	s.Agenda.NextAt = s.nextLook(p, now)
}

// moved reports whether a quiet time that is new moves a promised update beyond its
// promise. A message now can say so, and promise another time.
func (s *Situation) moved(sub *Subscription, p *Policy, now time.Time) bool {
	if s.Incident.State != Open || !sub.Active || !sub.Told || !sub.NextBy.After(now) || sub.CadenceAt.IsZero() || sub.owes(KindUpdate) {
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
		at = earliest(at, o.At)
	}
	if !at.IsZero() && !sub.WaitUntil.IsZero() {
		if in.TroubleSince.IsZero() {
			// It is over before anybody was to be told; a new breach would change that.
			return time.Time{}
		}
		at = latest(at, latest(sub.WaitUntil, in.TroubleSince))
	}
	if in.State == Open && sub.Active {
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
	due = latest(r.quietUntil(at, exempt...), sub.HeldUntil)
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

// paused reports whether scheduled updates pause as nobody knows for long whether it
// goes on.
func (s *Situation) paused() bool {
	return !s.Agenda.PausedFor.IsZero() && s.Agenda.PausedFor.Equal(s.Incident.UnknownSince)
}

// nextLook returns when Tick has something to do.
func (s *Situation) nextLook(p *Policy, now time.Time) time.Time {
	in, next := &s.Incident, time.Time{}
	switch in.State {
	case Open:
		if !in.byHand() && in.ended() {
			next = earliest(next, in.EndedHeardAt.Add(in.ResolveAfter))
		}
		if !in.UnknownSince.IsZero() && !s.paused() {
			next = earliest(next, in.UnknownSince.Add(PauseAfter))
		}
		next = earliest(next, s.nextQuestion(p, now))
		if update := s.nextUpdate(); s.reminds(p) && !update.IsZero() {
			next = earliest(next, update.Add(-p.RemindBefore))
		}
	case Resolved:
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

// subscription returns the reader's, a new one if there is none yet.
func (s *Situation) subscription(recipient string) *Subscription {
	i, ok := slices.BinarySearchFunc(s.Subscriptions, recipient, func(sub Subscription, id string) int { return cmp.Compare(sub.Recipient, id) })
	if !ok {
		s.Subscriptions = slices.Insert(s.Subscriptions, i, Subscription{
			Incident: s.Incident.Number, Recipient: recipient, Reader: len(s.Subscriptions) + 1,
		})
	}
	return &s.Subscriptions[i]
}

// Subscription returns the reader's subscription, nil if there is none.
func (s *Situation) Subscription(recipient string) *Subscription {
	i, ok := slices.BinarySearchFunc(s.Subscriptions, recipient, func(sub Subscription, id string) int { return cmp.Compare(sub.Recipient, id) })
	if !ok {
		return nil
	}
	return &s.Subscriptions[i]
}

// add notes what is owed. Of each kind, reason and detail the first and the latest are
// kept: the first says since when, and the latest is still owed when a message that
// was under way has told the first.
func (s *Subscription) add(o Owed) {
	n, last := 0, 0
	for i, have := range s.Owed {
		if have.Kind == o.Kind && have.Reason == o.Reason && have.Detail == o.Detail {
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
