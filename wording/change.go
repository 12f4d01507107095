package wording

import (
	"fmt"
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
	who := d.person(e.Actor)
	data := &e.Data
	switch e.Type {
	case incident.EventOpened:
		return d.opened(e, who)
	case incident.EventBreachStarted, incident.EventBreachEnded, incident.EventBreachUnknown:
		return d.breach(e)
	case incident.EventAcknowledged:
		switch {
		case data.Released:
			return d.by(who, "gave the incident back, so nobody is on it", "The incident was given back, so nobody is on it") + "."
		case data.TakenOver:
			return d.by(who, "took the incident over", "The incident was taken over") + "."
		}
		return d.by(who, "acknowledged the incident", "The incident was acknowledged") + d.because(e.Reason)
	case incident.EventPriorityChanged:
		from, to := d.line(data.From, 20), d.line(data.To, 20)
		verb := priorityVerb(data.From, data.To, in)
		switch {
		case data.Raised:
			verb = "raised"
		case data.Definition != nil:
			verb = "lowered"
		}
		return d.by(who, fmt.Sprintf("%s the priority from %s to %s", verb, from, to),
			fmt.Sprintf("The priority was %s from %s to %s", verb, from, to)) + d.explained(e)
	case incident.EventPhaseChanged:
		if to := d.line(data.EscalatedTo, nameLimit); to != "" {
			return d.by(who, "escalated the incident to "+to, "The incident was escalated to "+to) + d.because(e.Reason)
		}
		phase := PhaseName(incident.Phase(data.To))
		return d.by(who, "set the phase to "+phase, "The phase is now "+phase) + d.because(e.Reason)
	case incident.EventNoteWritten:
		if d.Apart {
			return d.by(who, "wrote a note", "A note was written") + "."
		}
		return d.by(who, "noted", "A note") + d.because(e.Reason)
	case incident.EventUpdateWritten:
		return d.written(data, who)
	case incident.EventUpdateMissed:
		return d.missed(data)
	case incident.EventActionChanged:
		return d.action(e, who)
	case incident.EventAudienceChanged:
		groups := d.cleaned(data.Stakeholders)
		if len(groups) == 0 {
			return d.by(who, "removed all groups of stakeholders", "No group of stakeholders is informed any more") + d.because(e.Reason)
		}
		return d.by(who, "set the groups of stakeholders to "+List(groups), "The groups of stakeholders are now "+List(groups)) + d.because(e.Reason)
	case incident.EventResolved:
		over := d.by(who, "resolved the incident", "All alerts have ended: the incident is resolved") + d.because(e.Reason)
		if why := whyOf(data); why != "" {
			over += " " + capital(why) + "."
		}
		if message := d.line(data.Message, reasonLimit); message != "" && !d.Apart {
			over += " To " + AudienceNames(data.Audiences) + ": " + quote(message)
		}
		return over
	case incident.EventReopened:
		// Why sitrep did it by itself, the sentence says.
		reopened := d.by(who, "reopened the incident", "An alert fires: the incident is open again")
		if who == "" {
			return reopened + "."
		}
		return reopened + d.because(e.Reason)
	case incident.EventMerged:
		if data.Into > 0 {
			into := incident.ID(data.Into)
			return d.by(who, "merged the incident into "+into, "The incident was merged into "+into) + d.because(e.Reason)
		}
		from := d.line(data.From, nameLimit)
		return d.by(who, "merged "+from+" into this incident", from+" was merged into this incident") + d.because(e.Reason)
	case incident.EventClosed:
		return d.by(who, "closed the incident", "The incident is closed") + d.explained(e)
	}
	return stop(capital(strings.ReplaceAll(Line(string(e.Type), nameLimit), "_", " ")))
}

func (d Describer) opened(e *incident.Event, who string) string {
	what, as := "the incident", ""
	o := e.Data.Opening
	if o != nil && d.Depth == ForRecord {
		if o.Drill {
			what = "the drill"
		}
		if useCase := d.useCase(o); useCase != "" {
			what += " " + quote(useCase)
		}
		if priority := d.line(o.Priority.Name, 20); priority != "" {
			as = " as " + priority
		}
	}
	if o == nil || !o.Declared {
		who = ""
	}
	return d.by(who, "declared "+what+as, capital(what)+" opened"+as) + d.because(e.Reason)
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
		why = whyOf(data)
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
		return lost + d.explained(e)
	}
	return lost + "."
}

// written says that somebody wrote something, and to whom.
func (d Describer) written(data *incident.Data, who string) string {
	to := ""
	if len(data.Audiences) > 0 && d.Depth == ForRecord {
		to = " to " + AudienceNames(data.Audiences)
	}
	wrote := d.by(who, "wrote"+to, "The team wrote"+to)
	switch {
	case !d.Apart:
		return wrote + d.because(data.Message)
	case to == "":
		return wrote + " an update."
	}
	return wrote + ":"
}

// missed says which scheduled updates did not go out.
func (d Describer) missed(data *incident.Data) string {
	to, cause := "", ""
	if d.Depth >= ForTeam {
		cause = d.line(Cause(data.Cause, d.at), reasonLimit)
		if data.Audience != "" {
			to = " to " + AudienceName(data.Audience)
		}
	}
	if d.Depth == ForRecord {
		if to != "" {
			to = " to at least one reader of" + strings.TrimPrefix(to, " to")
		}
	}
	s := fmt.Sprintf("The update%s that was due at %s did not go out in time", to, d.at(data.DueAt))
	if data.Missed > 1 {
		s = fmt.Sprintf("%d updates%s did not go out in time, the first due at %s", data.Missed, to, d.at(data.DueAt))
	}
	switch {
	case data.Cause.Kind == incident.CauseNoneFound && d.Depth >= ForTeam, cause == "" && d.Depth == ForRecord:
		return s + ", for no known cause."
	case cause == "":
		return s + "."
	}
	return stop(s + ": " + cause)
}

func (d Describer) action(e *incident.Event, who string) string {
	name := d.line(e.Data.Action, nameLimit) + brackets(d.beside("", e.Data.Link))
	switch incident.ActionState(e.Data.To) {
	case incident.ActionDone:
		return d.by(who, "completed the action "+name, "The action "+name+" is done") + d.because(e.Reason)
	case incident.ActionWaived:
		return d.by(who, "waived the action "+name, "The action "+name+" is waived") + d.because(e.Reason)
	}
	return d.by(who, "set the action "+name+" to due", "The action "+name+" is due") + d.because(e.Reason)
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
func person(a incident.Actor) string { return Describer{}.person(a) }

func (d Describer) person(a incident.Actor) string {
	switch {
	case !a.Person():
		return ""
	case a == incident.Forgotten:
		return "Someone"
	}
	return d.line(string(a), nameLimit)
}

func (d Describer) by(who, did, happened string) string {
	if who != "" && d.Nameless {
		return capital(did)
	}
	return by(who, did, happened)
}

// by says who did something, or what happened if no person did.
func by(who, did, happened string) string {
	if who == "" {
		return happened
	}
	return who + " " + did
}

// because ends a sentence with a person's words, if there are any.
func (d Describer) because(reason string) string {
	if s := d.line(reason, reasonLimit); s != "" {
		return ": " + quote(s)
	}
	return "."
}

// explained ends a sentence with the reason of an event: a person's in quotation marks.
func (d Describer) explained(e *incident.Event) string {
	why := whyOf(&e.Data)
	if why == "" && !e.Actor.Person() {
		why = e.Reason // of an earlier build
	}
	if why = d.line(why, reasonLimit); why != "" {
		return stop(": " + why)
	}
	return d.because(e.Reason)
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
func breaches(it *incident.Item) string {
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
	add := func(n int, what string) {
		switch {
		case n == 0:
		case len(parts) == 0:
			parts = append(parts, Count(n, "alert")+" "+what)
		default:
			parts = append(parts, fmt.Sprintf("%d %s", n, what))
		}
	}
	add(n.Started, "started")
	add(n.Ended, "ended")
	add(n.Unknown, "became unknown")
	if len(parts) == 0 {
		return ""
	}
	if it.First {
		return List(parts) + "."
	}
	return "Since the last message " + List(parts) + "."
}

func ofBreach(t incident.EventType) bool {
	return t == incident.EventBreachStarted || t == incident.EventBreachEnded || t == incident.EventBreachUnknown
}
