package incident

import (
	"slices"
	"time"
)

// News is what became of an incident since its situation was made: all that one
// transaction brings. The rules give it, and it takes effect by [Reconcile].
type News struct {
	// Events are in order, and follow on the state.
	Events []Event
	// Outcomes are of messages to different readers. They count as before the events.
	Outcomes []Outcome
	// Nudges are reminders to the team, and what all who know of the incident are to be
	// told.
	Nudges []Owed
	// Agenda is as the events and nudges were noted in it; nil if none was.
	Agenda *Agenda
	// Undecided is set if it was time to decide something, and it could not be.
	Undecided bool
	// Ask is set if the Alertmanagers are to be asked about all breaches before that.
	Ask bool
	// Behind is set if the policy is not the one in force. Then who reads along stays as it
	// is, and the agenda says that readers are to be reconciled.
	Behind bool
}

// Add makes what came later part of the news.
func (n *News) Add(later News) {
	if len(n.Events) == 0 {
		n.Events = slices.Clip(later.Events)
	} else {
		// Of those that follow on one another there are mostly more.
		if cap(n.Events)-len(n.Events) < len(later.Events) {
			n.Events = slices.Grow(n.Events, max(len(later.Events), len(n.Events), 15))
		}
		n.Events = append(n.Events, later.Events...)
	}
	n.Outcomes = append(n.Outcomes, later.Outcomes...)
	n.Nudges = append(n.Nudges, later.Nudges...)
	if later.Agenda != nil {
		n.Agenda = later.Agenda
	}
	n.Undecided, n.Ask, n.Behind = n.Undecided || later.Undecided, n.Ask || later.Ask, n.Behind || later.Behind
}

// Concerns reports whether the news can concern the readers, or when the rules look
// again. One more breach, or one less, of an incident in which others fire does not:
// then the state alone changes, and neither the readers nor [Reconcile] are needed.
func (n *News) Concerns(was *Situation) bool {
	if len(n.Outcomes)+len(n.Nudges) > 0 || n.Undecided {
		return true
	}
	s := Situation{Incident: was.Incident, Agenda: was.Agenda}
	c, err := s.follow(n.Events)
	return err != nil || c.concerns
}

// Reconcile returns the situation that the news leads to: the state, what each reader
// is owed because of it and when, and when the rules have to look again. Without news
// it brings the readers in line with the policy. What it is given stays as it is.
//
// All events of one moment belong into one call. Who reads along, and what they are
// told, follows from the state after the last of them: who would have joined and left
// in between is told nothing. The error is that of an event that does not follow on
// the state, as of [Incident.Apply].
func Reconcile(was *Situation, news News, p *Policy, now time.Time) (*Situation, error) {
	s := was.Clone()
	if news.Agenda != nil {
		s.Agenda = *news.Agenda
	}
	reminders, refused := s.applyOutcomes(news.Outcomes, p)
	c, err := s.follow(news.Events)
	if err != nil {
		return nil, err
	}
	s.Agenda.Incident = s.Incident.Number
	s.endWaits(c.over)
	if news.Behind {
		s.stay(c.told, now)
	} else {
		s.membership(c.told, p, now)
	}
	s.Agenda.Behind = news.Behind
	for _, e := range c.told {
		// Where the clock was set back, history goes on later than now, and what is owed is
		// owed now all the same.
		due := *e
		due.Time = earliest(e.Time, now)
		s.owe(&due, p)
	}
	s.ask()
	for _, e := range c.heard {
		// While nobody knew, a breach is news.
		s.nudge(Owed{Kind: KindUpdate, Reason: DueHeard, At: earliest(e.Time, now)})
		s.Agenda.PausedFor = time.Time{}
	}
	for _, o := range reminders {
		s.nudge(o, refused...)
	}
	for _, o := range news.Nudges {
		s.nudge(o)
	}
	s.schedule(p, now)
	if news.Behind {
		s.Agenda.NextAt = now // for those whose policy is in force
	}
	if next := s.Agenda.NextAt; news.Undecided && !next.IsZero() && !next.After(now) {
		s.Agenda.NextAt = now.Add(lookAgain)
	}
	return s, nil
}

// ReconcileReader is [Reconcile] where all that happened is that messages about the incident
// were handed over to one reader: the situation has that reader alone, and so has the one that
// is returned. The others are as they were, and the rules look again no later than they would
// have; too early does no harm. It reports false if more follows from the news: then all
// readers are needed.
func ReconcileReader(was *Situation, news News, p *Policy, now time.Time) (*Situation, bool) {
	if len(news.Events)+len(news.Nudges) > 0 || news.Undecided || news.Ask || news.Behind ||
		was.Agenda.Behind || was.Incident.State == StateClosed || len(was.Subscriptions) != 1 {
		return nil, false
	}
	for i := range news.Outcomes {
		if o := &news.Outcomes[i]; o.Refused || o.Recipient != was.Subscriptions[0].Recipient {
			return nil, false
		}
	}
	s := was.Clone()
	if news.Agenda != nil {
		s.Agenda = *news.Agenda
	}
	look := s.Agenda.NextAt
	s.applyOutcomes(news.Outcomes, p)
	s.schedule(p, now)
	s.Agenda.NextAt = earliest(look, s.Agenda.NextAt)
	return s, true
}

// lookAgain is how soon the rules look again at what they could not decide.
const lookAgain = 15 * time.Second

// A course is what a row of events did to an incident.
type course struct {
	// told are the events that can be news to readers by themselves; heard are breaches
	// that are, as nobody knew before whether any fires.
	told, heard []*Event
	over        []span // the stretches of trouble that ended
	concerns    bool   // it can concern readers, or the agenda
}

// A span is a stretch in which something fired.
type span struct{ from, to time.Time }

// follow makes the events part of the state, one by one.
func (s *Situation) follow(events []Event) (course, error) {
	in, c := &s.Incident, course{}
	for i := range events {
		e := &events[i]
		lost, paused, trouble := !in.UnknownSince.IsZero(), s.Paused(), in.TroubleSince
		if err := in.Apply(*e); err != nil {
			return c, err
		}
		// Of breaches that begin and end nobody is owed anything by that alone.
		goesOn := e.Type == EventBreachStarted || e.Type == EventBreachEnded
		if !goesOn {
			c.told = append(c.told, e)
		}
		if !goesOn || lost || in.State != StateOpen || trouble.IsZero() || !trouble.Equal(in.TroubleSince) || in.Breaches.Firing == 0 {
			c.concerns = true
		}
		if !trouble.IsZero() && (e.Type == EventResolved || in.TroubleSince.IsZero()) {
			c.over = append(c.over, span{trouble, e.Time})
		}
		if e.Type == EventBreachStarted && lost && (e.Data.From == "" || paused) {
			c.heard = append(c.heard, e)
		}
		if e.Type == EventMerged && e.Data.Breaches != nil && e.Data.Breaches.Unknown > 0 {
			// Some may be ends that were not believed; if none is, one question shows it.
			s.Agenda.EndsDoubtedAt = latest(s.Agenda.EndsDoubtedAt, e.Time)
		}
		if e.Type == EventReopened {
			// The time for its actions starts anew when it resolves.
			s.Agenda.RemindedActions = nil
		}
	}
	return c, nil
}
