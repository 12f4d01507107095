package wording

import (
	"slices"
	"strings"
	"time"

	"sitrep/incident"
)

// A Depth is how much of an event is told, and so to whom.
type Depth int

// The depths. Each tells what the ones before it tell, and more.
const (
	// ForReaders is what happened to the incident, and nothing of how sitrep or its mail
	// server fares.
	ForReaders Depth = iota
	// ForTeam is also why updates were missed, and whose, for those who can mend it.
	ForTeam
	// ForRecord is all that the event holds: which alert a breach is of, what an incident
	// opened as, to whom something was written, links; nothing is shortened.
	ForRecord
)

// A Describer says in one or a few sentences what an event is about, without its time.
// Everybody who puts an event into words does so by one; the zero value is for those
// who are informed.
type Describer struct {
	Depth Depth
	// Nameless leaves out who did it, where that stands beside the sentence.
	Nameless bool
	// Apart leaves out the reason or note and the message, which the caller shows whole.
	Apart bool
	// Time writes the times in it; nil is UTC as in RFC 3339.
	Time func(time.Time) string
	// Language is that of what messages say of events; nil is English. What is for the record
	// alone, and what happened to a single breach, is English.
	Language *Language
}

// Event returns the sentences. Others' text in them is cleaned as by [Line], and still
// to be escaped by who shows it.
func (d Describer) Event(e *incident.Event) string { return d.event(e, nil) }

// event is Event, and where the incident is known, it tells of events of earlier builds
// too whether a priority was raised or lowered.
func (d Describer) event(e *incident.Event, in *incident.Incident) string {
	if d.Apart {
		apart := *e
		apart.Reason = ""
		e = &apart
	}
	data, l := &e.Data, d.Language
	switch e.Type {
	case incident.EventOpened:
		return d.opened(e)
	case incident.EventBreachStarted, incident.EventBreachEnded, incident.EventBreachUnknown:
		return d.breach(e)
	case incident.EventAcknowledged:
		switch {
		case data.Released:
			return l.sentence(d.act(e, "event.given_back"))
		case data.TakenOver:
			return l.sentence(d.act(e, "event.taken_over"))
		}
		return d.because(d.act(e, "event.acknowledged"), e.Reason)
	case incident.EventPriorityChanged:
		key := "event." + priorityVerb(data.From, data.To, in)
		switch {
		case data.Raised:
			key = "event.raised"
		case data.Definition != nil:
			key = "event.lowered"
		}
		return d.explained(d.act(e, key, "from", d.line(data.From, 20), "to", d.line(data.To, 20)), e)
	case incident.EventPhaseChanged:
		if to := d.line(data.EscalatedTo, nameLimit); to != "" {
			return d.because(d.act(e, "event.escalated", "to", to), e.Reason)
		}
		return d.because(d.act(e, "event.phase", "phase", l.phase(incident.Phase(data.To))), e.Reason)
	case incident.EventNoteWritten:
		if d.Apart {
			return d.by(e.Actor, "wrote a note", "A note was written") + "."
		}
		return d.because(d.act(e, "event.noted"), e.Reason)
	case incident.EventUpdateWritten:
		return d.written(e)
	case incident.EventUpdateMissed:
		return d.missed(data)
	case incident.EventActionChanged:
		return d.action(e)
	case incident.EventAudienceChanged:
		groups := d.cleaned(data.Stakeholders)
		if len(groups) == 0 {
			return d.because(d.act(e, "event.no_groups"), e.Reason)
		}
		return d.because(d.act(e, "event.groups", "groups", l.list(groups)), e.Reason)
	case incident.EventResolved:
		over := d.because(d.act(e, "event.resolved"), e.Reason)
		if why := l.why(data); why != "" {
			over += " " + l.sentence(capital(why))
		}
		if message := d.line(data.Message, reasonLimit); message != "" && !d.Apart {
			over += " " + l.say("event.said", "audiences", l.audiences(data.Audiences), "words", l.quote(message))
		}
		return over
	case incident.EventReopened:
		// Why sitrep did it by itself, the sentence says.
		if d.person(e.Actor) == "" {
			return l.sentence(d.act(e, "event.reopened"))
		}
		return d.because(d.act(e, "event.reopened"), e.Reason)
	case incident.EventMerged:
		if data.Into > 0 {
			return d.because(d.act(e, "event.merged", "incident", incident.ID(data.Into)), e.Reason)
		}
		return d.because(d.act(e, "event.merged_from", "incident", d.line(data.From, nameLimit)), e.Reason)
	case incident.EventClosed:
		return d.explained(d.act(e, "event.closed"), e)
	}
	return stop(capital(strings.ReplaceAll(Line(string(e.Type), nameLimit), "_", " ")))
}

// act says what somebody did, or what happened if no person did.
func (d Describer) act(e *incident.Event, key string, pairs ...string) string {
	who := d.person(e.Actor)
	if who != "" && d.Nameless {
		return capital(strings.TrimSpace(d.Language.say(key+".by", pairs...)))
	}
	return d.Language.by(key, who, pairs...)
}

// by is the text for what who did, or that for what happened if no person did.
func (l *Language) by(key, who string, pairs ...string) string {
	if who == "" {
		return l.say(key+".done", pairs...)
	}
	return l.say(key+".by", append(pairs, "who", who)...)
}

func (d Describer) opened(e *incident.Event) string {
	declared := e.Data.Opening != nil && e.Data.Opening.Declared
	if d.Depth == ForRecord {
		return d.openedAs(e, declared)
	}
	if declared {
		return d.because(d.act(e, "event.declared"), e.Reason)
	}
	return d.because(d.Language.say("event.declared.done"), e.Reason)
}

// openedAs says for the record what was opened, and as what.
func (d Describer) openedAs(e *incident.Event, declared bool) string {
	what, as := "the incident", ""
	if o := e.Data.Opening; o != nil {
		if o.Drill {
			what = "the drill"
		}
		if useCase := d.useCase(o); useCase != "" {
			what += " " + d.Language.quote(useCase)
		}
		if priority := d.line(o.Priority.Name, 20); priority != "" {
			as = " as " + priority
		}
	}
	opened := capital(what) + " opened" + as
	if declared {
		opened = d.by(e.Actor, "declared "+what+as, opened)
	}
	return d.because(opened, e.Reason)
}

// useCase is what an incident is about, and which of its SLO's it is.
func (d Describer) useCase(o *incident.Opening) string {
	useCase := d.line(o.UseCase, titleLimit)
	if where := values(o.Labels); where != "" && useCase != "" {
		useCase += " (" + where + ")"
	}
	return useCase
}

// breach says what became of a breach.
func (d Describer) breach(e *incident.Event) string {
	data := &e.Data
	from := incident.BreachState(data.From)
	when := func(word string, at time.Time) string {
		if d.Depth < ForRecord || at.IsZero() {
			return ""
		}
		return word + d.at(at)
	}
	alert := d.beside("alert ", data.Fingerprint)
	priority := d.beside("SLO priority ", data.Priority)
	why := ""
	if d.Depth == ForRecord {
		why = d.Language.why(data)
	}
	switch {
	case e.Type == incident.EventBreachStarted && from == incident.BreachFiring:
		return "A breach that fires had begun earlier" + when(", at ", data.StartsAt) + brackets(alert) + "."
	case e.Type == incident.EventBreachEnded && from == incident.BreachUnknown:
		return "A breach that was unknown has ended" + when(", at ", data.EndsAt) + brackets(alert, why) + "."
	case e.Type == incident.EventBreachEnded:
		return "A breach ended" + when(" at ", data.EndsAt) + brackets(alert, why) + "."
	case e.Type == incident.EventBreachStarted && from == incident.BreachEnded:
		return "A breach that had ended fires again" + brackets(alert, when("since ", data.StartsAt), priority, why) + "."
	case e.Type == incident.EventBreachStarted && from == incident.BreachUnknown:
		return "A breach that was unknown was heard again: it fires" + brackets(alert, when("since ", data.StartsAt), priority, why) + "."
	case e.Type == incident.EventBreachStarted:
		return "A breach started" + when(" at ", data.StartsAt) + brackets(alert, priority) + "."
	}
	lost := "Nobody knows any more whether a breach still fires"
	if !data.HeardAt.IsZero() {
		lost += "; it was last heard " + d.at(data.HeardAt)
	}
	if lost += brackets(alert); d.Depth == ForRecord {
		return d.explained(lost, e)
	}
	return lost + "."
}

// written says that somebody wrote something, and for the record to whom.
func (d Describer) written(e *incident.Event) string {
	if d.Depth < ForRecord && !d.Apart {
		return d.because(d.act(e, "event.wrote"), e.Data.Message)
	}
	to := ""
	if len(e.Data.Audiences) > 0 && d.Depth == ForRecord {
		to = " to " + d.Language.audiences(e.Data.Audiences)
	}
	wrote := d.by(e.Actor, "wrote"+to, "The team wrote"+to)
	switch {
	case !d.Apart:
		return d.because(wrote, e.Data.Message)
	case to == "":
		return wrote + " an update."
	}
	return wrote + ":"
}

// missed says which scheduled updates did not go out.
func (d Describer) missed(data *incident.Data) string {
	to, cause, l := "", "", d.Language
	if d.Depth >= ForTeam {
		cause = d.line(d.cause(data.Cause), reasonLimit)
		if data.Audience != "" {
			to = l.audience(data.Audience)
		}
	}
	if d.Depth == ForRecord && to != "" {
		to = "at least one reader of " + to
	}
	due, n := d.at(data.DueAt), int(data.Missed)
	var s string
	switch {
	case n > 1 && to != "":
		s = l.count("missed.updates_to", n, "audience", to, "time", due)
	case n > 1:
		s = l.count("missed.updates", n, "time", due)
	case to != "":
		s = l.say("missed.one_to", "audience", to, "time", due)
	default:
		s = l.say("missed.one", "time", due)
	}
	switch {
	case data.Cause.Kind == incident.CauseNoneFound && d.Depth >= ForTeam, cause == "" && d.Depth == ForRecord:
		return l.say("missed.no_cause", "said", s)
	case cause == "":
		return l.sentence(s)
	}
	return stop(l.say("sentence.because", "said", s, "reason", cause))
}

func (d Describer) action(e *incident.Event) string {
	name := d.line(e.Data.Action, nameLimit) + brackets(d.beside("", e.Data.Link))
	key := "event.action_due"
	switch incident.ActionState(e.Data.To) {
	case incident.ActionDone:
		key = "event.action_done"
	case incident.ActionWaived:
		key = "event.action_waived"
	}
	return d.because(d.act(e, key, "action", name), e.Reason)
}

// priorityVerb says in which direction a priority went, if the incident's highest
// priority tells.
func priorityVerb(from, to string, in *incident.Incident) string {
	switch {
	case in == nil || from == to:
	case to == in.Highest.Name:
		return "raised"
	case from == in.Highest.Name:
		return "lowered"
	}
	return "changed"
}

// person returns the name of a person, or "" of anything else.
func (d Describer) person(a incident.Actor) string {
	switch {
	case !a.Person():
		return ""
	case a == incident.Forgotten:
		return d.Language.say("someone")
	}
	return d.line(string(a), nameLimit)
}

// by says for the record who did something, unless that stands beside it, or what happened if
// no person did.
func (d Describer) by(a incident.Actor, did, happened string) string {
	switch who := d.person(a); {
	case who == "":
		return happened
	case d.Nameless:
		return capital(did)
	default:
		return who + " " + did
	}
}

// because ends a sentence with a person's words, if there are any.
func (d Describer) because(said, reason string) string {
	if s := d.line(reason, reasonLimit); s != "" {
		return d.Language.say("sentence.because", "said", said, "reason", d.Language.quote(s))
	}
	return d.Language.sentence(said)
}

// explained ends a sentence with the reason of an event: a person's in quotation marks.
func (d Describer) explained(said string, e *incident.Event) string {
	why := d.Language.why(&e.Data)
	if why == "" && !e.Actor.Person() {
		why = e.Reason // of an earlier build
	}
	if why = d.line(why, reasonLimit); why != "" {
		return stop(d.Language.say("sentence.because", "said", said, "reason", why))
	}
	return d.because(said, e.Reason)
}

func (d Describer) cleaned(names []string) []string {
	out := make([]string, 0, len(names))
	for _, name := range names {
		if s := d.line(name, nameLimit); s != "" {
			out = append(out, s)
		}
	}
	return out
}

// line is Line, but shortens nothing for the record.
func (d Describer) line(s string, limit int) string {
	if d.Depth == ForRecord {
		limit = max(limit, len(s))
	}
	return Line(s, limit)
}

func (d Describer) at(t time.Time) string {
	if d.Time == nil {
		return t.UTC().Format(time.RFC3339)
	}
	return d.Time(t)
}

// beside is a detail for the record; "" if it is not for that, or there is none.
func (d Describer) beside(name, value string) string {
	if value = d.line(value, nameLimit); value == "" || d.Depth < ForRecord {
		return ""
	}
	return name + value
}

// brackets puts details into brackets, those that there are.
func brackets(details ...string) string {
	details = slices.DeleteFunc(details, func(s string) bool { return s == "" })
	if len(details) == 0 {
		return ""
	}
	return " (" + strings.Join(details, ", ") + ")"
}

// breaches sums up what happened to breaches since the reader's last message, as
// far as the state of the incident does not say it anyway.
func (l *Language) breaches(it *incident.Item) string {
	in, n := &it.Incident, it.Breaches
	switch {
	case it.First && it.Kind == incident.KindOpened, it.Kind == incident.KindReopened:
		return ""
	case it.Kind == incident.KindResolved:
		// That they have ended is what it says first.
		return ""
	}
	if in.Breaches.Firing == 0 && in.Breaches.Unknown > 0 {
		n.Unknown = 0
	}
	var parts []string
	add := func(n int, first, next string) {
		switch {
		case n == 0:
		case len(parts) == 0:
			parts = append(parts, l.count(first, n))
		default:
			parts = append(parts, l.count(next, n))
		}
	}
	add(n.Started, "tally.started", "")
	add(n.Ended, "tally.ended", "tally.also_ended")
	add(n.Unknown, "tally.unknown", "tally.also_unknown")
	switch {
	case len(parts) == 0:
		return ""
	case it.First:
		return l.sentence(l.list(parts))
	}
	return l.say("tally.since", "said", l.list(parts))
}

func ofBreach(t incident.EventType) bool {
	return t == incident.EventBreachStarted || t == incident.EventBreachEnded || t == incident.EventBreachUnknown
}
