package wording

import (
	"fmt"
	"strings"
	"time"

	"sitrep/incident"
)

// Change says in one or a few sentences what an event is about, without its time.
// Times in it are in loc, with the day where it is not that of the event.
func Change(e incident.Event, loc *time.Location) string {
	return change(&e, nil, Clock{e.Time, loc})
}

// change is Change for a reader at another time. Where the incident is known, it
// tells whether a priority was raised or lowered.
func change(e *incident.Event, in *incident.Incident, clock Clock) string {
	d := &e.Data
	who := person(e.Actor)
	switch e.Type {
	case incident.Opened:
		if d.Opening != nil && d.Opening.Declared && who != "" {
			return who + " declared the incident" + because(e.Reason)
		}
		return "The incident opened" + because(e.Reason)
	case incident.BreachStarted:
		switch incident.BreachState(d.From) {
		case incident.Ended:
			return "A breach that had ended fires again."
		case incident.Unknown:
			return "A breach that was unknown was heard again: it fires."
		}
		return "A breach started."
	case incident.BreachEnded:
		if incident.BreachState(d.From) == incident.Unknown {
			return "A breach that was unknown has ended."
		}
		return "A breach ended."
	case incident.BreachUnknown:
		if d.HeardAt.IsZero() {
			return "Nobody knows any more whether a breach still fires."
		}
		return fmt.Sprintf("Nobody knows any more whether a breach still fires; it was last heard %s.", clock.Time(d.HeardAt))
	case incident.Acknowledged:
		return by(who, "acknowledged the incident", "The incident was acknowledged") + because(e.Reason)
	case incident.PriorityChanged:
		from, to := Line(d.From, 20), Line(d.To, 20)
		verb := priorityVerb(d.From, d.To, in)
		switch {
		case d.Raised:
			verb = "raised"
		case d.Definition != nil:
			verb = "lowered"
		}
		return by(who, fmt.Sprintf("%s the priority from %s to %s", verb, from, to),
			fmt.Sprintf("The priority was %s from %s to %s", verb, from, to)) + explained(e)
	case incident.PhaseChanged:
		if to := Line(d.EscalatedTo, nameLimit); to != "" {
			return by(who, "escalated the incident to "+to, "The incident was escalated to "+to) + because(e.Reason)
		}
		phase := PhaseName(incident.Phase(d.To))
		return by(who, "set the phase to "+phase, "The phase is now "+phase) + because(e.Reason)
	case incident.UpdateWritten:
		return by(who, "wrote", "The team wrote") + because(d.Message)
	case incident.UpdateMissed:
		return missed(d, clock)
	case incident.ActionChanged:
		return actionChange(e, who)
	case incident.AudienceChanged:
		groups := cleaned(d.Stakeholders)
		if len(groups) == 0 {
			return by(who, "removed all groups of stakeholders", "No group of stakeholders is informed any more") + because(e.Reason)
		}
		return by(who, "set the groups of stakeholders to "+list(groups), "The groups of stakeholders are now "+list(groups)) + because(e.Reason)
	case incident.ResolvedEvent:
		return by(who, "resolved the incident", "All alerts have ended: the incident is resolved") + because(e.Reason)
	case incident.Reopened:
		return by(who, "reopened the incident", "An alert fires: the incident is open again") + personal(e)
	case incident.Merged:
		if d.Into > 0 {
			into := incident.ID(d.Into)
			return by(who, "merged the incident into "+into, "The incident was merged into "+into) + because(e.Reason)
		}
		from := Line(d.From, nameLimit)
		return by(who, "merged "+from+" into this incident", from+" was merged into this incident") + because(e.Reason)
	case incident.ClosedEvent:
		closed := by(who, "closed the incident", "The incident is closed")
		if strings.HasPrefix(e.Reason, "merged into INC-") {
			return stop(closed + ": " + Line(e.Reason, reasonLimit))
		}
		return closed + explained(e)
	}
	return stop(capital(strings.ReplaceAll(Line(string(e.Type), nameLimit), "_", " ")))
}

// missed says which scheduled updates did not go out.
func missed(d *incident.Data, clock Clock) string {
	to := ""
	if d.Audience != "" {
		to = " to " + AudienceName(d.Audience)
	}
	s := fmt.Sprintf("The update%s that was due at %s did not go out in time", to, clock.Time(d.DueAt))
	if d.Missed > 1 {
		s = fmt.Sprintf("%d updates%s did not go out in time, the first due at %s", d.Missed, to, clock.Time(d.DueAt))
	}
	switch cause := Line(d.Cause, reasonLimit); cause {
	case "":
		return s + "."
	case incident.CauseNoneFound:
		return s + ", for no known cause."
	default:
		return stop(s + ": " + incident.CauseTimes(cause, clock.Time))
	}
}

func actionChange(e *incident.Event, who string) string {
	name := Line(e.Data.Action, nameLimit)
	switch incident.ActionState(e.Data.To) {
	case incident.ActionDone:
		return by(who, "completed the action "+name, "The action "+name+" is done") + because(e.Reason)
	case incident.ActionWaived:
		return by(who, "waived the action "+name, "The action "+name+" is waived") + because(e.Reason)
	}
	return by(who, "set the action "+name+" to due", "The action "+name+" is due") + because(e.Reason)
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
func person(a incident.Actor) string {
	switch {
	case !a.Person():
		return ""
	case a == incident.Forgotten:
		return "Someone"
	}
	return Line(string(a), nameLimit)
}

// by says who did something, or what happened if no person did.
func by(who, did, happened string) string {
	if who == "" {
		return happened
	}
	return who + " " + did
}

// because ends a sentence with a person's words, if there are any.
func because(reason string) string {
	if s := Line(reason, reasonLimit); s != "" {
		return ": " + quote(s)
	}
	return "."
}

// explained ends a sentence with the reason of an event: a person's in quotation marks.
func explained(e *incident.Event) string {
	if s := Line(e.Reason, reasonLimit); s != "" && !e.Actor.Person() {
		return stop(": " + s)
	}
	return because(e.Reason)
}

// personal ends a sentence with a person's words. Why sitrep did it by itself, the
// sentence says.
func personal(e *incident.Event) string {
	if e.Actor.Person() {
		return because(e.Reason)
	}
	return "."
}

func cleaned(names []string) []string {
	out := make([]string, 0, len(names))
	for _, name := range names {
		if s := Line(name, nameLimit); s != "" {
			out = append(out, s)
		}
	}
	return out
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
			parts = append(parts, count(n, "alert")+" "+what)
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
		return list(parts) + "."
	}
	return "Since the last message " + list(parts) + "."
}

func ofBreach(t incident.EventType) bool {
	return t == incident.BreachStarted || t == incident.BreachEnded || t == incident.BreachUnknown
}
