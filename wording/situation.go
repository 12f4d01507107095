package wording

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"sitrep/incident"
)

// Since says since when the trouble lasts, and how long that is; of what is over,
// from when to when.
func Since(in *incident.Incident, clock Clock) string {
	start := Began(in)
	if Span(in) == "Lasted" {
		end := Over(in)
		return fmt.Sprintf("%s to %s (%s)", clock.Time(start), clock.Full(end), Duration(end.Sub(start)))
	}
	if !in.ReopenedAt.IsZero() {
		return fmt.Sprintf("%s; first at %s", clock.Full(in.ReopenedAt), clock.Time(start))
	}
	if lasts := clock.Now.Sub(start); lasts >= time.Minute {
		return fmt.Sprintf("%s (for %s)", clock.Full(start), Duration(lasts))
	}
	return clock.Full(start)
}

// Span is the word for what Since says.
func Span(in *incident.Incident) string {
	if in.State == incident.StateOpen || in.MergedInto > 0 {
		return "Since"
	}
	return "Lasted"
}

// Began is when the trouble began, as far as it is known.
func Began(in *incident.Incident) time.Time { return cmp.Or(in.StartedAt, in.OpenedAt) }

// Over is when the trouble was over, as far as it is known.
func Over(in *incident.Incident) time.Time { return cmp.Or(in.EndedAt, in.ResolvedAt, in.ClosedAt) }

// State says where the incident stands: state and phase.
func State(in *incident.Incident) string {
	switch {
	case in.MergedInto > 0:
		return "Merged into " + incident.ID(in.MergedInto)
	case in.State == incident.StateClosed:
		return "Closed"
	case in.State == incident.StateResolved:
		return "Resolved, phase: " + PhaseName(in.Phase)
	}
	s := "Open, phase: " + PhaseName(in.Phase)
	switch to := Line(in.EscalatedTo, nameLimit); {
	case to == "":
	case in.Phase == incident.PhaseEscalation:
		s += " to " + to
	default:
		s += ", escalated to " + to
	}
	return s
}

// OnIt says who is on it, or that nobody is. Audiences are told no name: see
// [incident.Incident.ForAudiences].
func OnIt(in *incident.Incident, clock Clock) string {
	who := Line(in.AcknowledgedBy, nameLimit)
	since := clock.Time(cmp.Or(in.OnItAt, in.AcknowledgedAt))
	switch {
	case in.AcknowledgedAt.IsZero():
		return "nobody has acknowledged it yet"
	case !in.OnIt():
		return "nobody, since it was given back at " + clock.Time(in.ReleasedAt)
	case who == "":
		return "the team, since " + since
	case !in.TakenOverAt.IsZero():
		return who + ", who took it over at " + clock.Time(in.TakenOverAt)
	}
	return who + ", since " + since
}

// NextUpdate says by when the reader of an item is told again, as what follows
// the words "next update": "by 16:03 CEST", or that none is scheduled and why.
func NextUpdate(it *incident.Item, clock Clock) string {
	switch {
	case it.Kind == incident.KindLeft:
		return "none, this is the last message to you about " + it.Incident.ID()
	case !it.NextBy.IsZero():
		return "by " + clock.Full(it.NextBy)
	case it.Incident.State != incident.StateOpen:
		return "none is scheduled, as the incident is " + string(it.Incident.State)
	case it.Paused:
		return "none is scheduled while nobody knows whether the trouble goes on"
	}
	return "none is scheduled"
}

// Breaches says how many breaches fire and when that was last heard, or since when
// nobody knows. Of no breaches it says "". To readers they are alerts: a breach would
// be one of security.
func Breaches(it *incident.Item, clock Clock) string {
	in := &it.Incident
	n := in.Breaches
	switch {
	case n.Total == 0:
		return ""
	case n.Firing > 0:
		still := "still firing"
		if plain(it) || it.Kind == incident.KindReopened {
			still = "firing"
		}
		s := fmt.Sprintf("%s %s", Count(n.Firing, "alert"), still)
		if !it.LastHeardAt.IsZero() {
			s += ", last heard " + clock.Time(it.LastHeardAt)
		}
		if n.Unknown > 0 {
			s += fmt.Sprintf("; of %d more nobody knows", n.Unknown)
		}
		return s + "."
	case n.Unknown > 0:
		since := ""
		if !in.UnknownSince.IsZero() {
			since = " since " + clock.Time(in.UnknownSince)
		}
		s := fmt.Sprintf("Unknown%s: nobody can tell whether %s still fire", since, Count(n.Unknown, "alert"))
		if n.Unknown == 1 {
			s = fmt.Sprintf("Unknown%s: nobody can tell whether the alert still fires", since)
		}
		if !it.LastHeardAt.IsZero() {
			s += ", last heard " + clock.Time(it.LastHeardAt)
		}
		return s + "."
	}
	s, at := "The alert has ended", ", at "
	if n.Total > 1 {
		s, at = fmt.Sprintf("All %d alerts have ended", n.Total), ", the last at "
		if n.Total == 2 {
			s = "Both alerts have ended"
		}
	}
	if in.State == incident.StateOpen && !in.EndedAt.IsZero() {
		s += at + clock.Time(in.EndedAt)
		if in.ResolveAfter > 0 && !in.Declared {
			s += fmt.Sprintf("; the incident resolves when that holds for %s", Duration(in.ResolveAfter))
		}
	}
	return s + "."
}

// NoNews says since when the team has written nothing to this reader.
func NoNews(it *incident.Item, clock Clock) string {
	if it.Word != nil {
		return fmt.Sprintf("No news from the team since %s.", clock.Time(it.Word.At))
	}
	return fmt.Sprintf("No news from the team since %s, when the incident opened.", clock.Time(it.Incident.OpenedAt))
}

// Action says how an action stands.
func Action(a *incident.Action, clock Clock) string {
	name := Line(a.Name, nameLimit)
	reason := Line(a.Reason, reasonLimit)
	switch {
	case a.State != incident.ActionDue && reason != "":
		return fmt.Sprintf("%s: %s, %s", name, a.State, quote(reason))
	case a.State != incident.ActionDue:
		return fmt.Sprintf("%s: %s", name, a.State)
	case a.DueAt.IsZero() && a.Within > 0:
		return fmt.Sprintf("%s: due within %s after resolving", name, Duration(a.Within))
	case a.DueAt.IsZero():
		return name + ": due"
	case a.DueAt.Before(clock.Now):
		return fmt.Sprintf("%s: overdue since %s", name, clock.Full(a.DueAt))
	}
	return fmt.Sprintf("%s: due by %s", name, clock.Full(a.DueAt))
}

// Affected says who is affected, else the service that is, and where, as far as the SLO
// and its labels tell; empty if they do not.
func Affected(in *incident.Incident) string {
	var parts []string
	if s := cmp.Or(Line(in.Affects, labelsLimit), Line(in.Service, nameLimit)); s != "" {
		parts = append(parts, s)
	}
	for _, name := range slices.Sorted(maps.Keys(in.Labels)) {
		parts = append(parts, Line(name, nameLimit)+" "+Line(in.Labels[name], nameLimit))
	}
	return Line(strings.Join(parts, ", "), labelsLimit+nameLimit)
}

// status is the line on top: priority and state in a word or two.
func status(it *incident.Item) string {
	in := &it.Incident
	state := "Open"
	switch {
	case it.Kind == incident.KindReminder:
		state = "Reminder"
	case it.Kind == incident.KindLeft && in.MergedInto > 0:
		state = "Merged"
	case it.Kind == incident.KindLeft:
		state = "Last message to you"
	case in.State == incident.StateResolved:
		state = "Resolved"
	case in.State == incident.StateClosed:
		state = "Closed"
	case it.Kind == incident.KindReopened:
		state = "Open again"
	case in.Breaches.Firing == 0 && in.Breaches.Unknown > 0:
		state = "Open, unknown whether it goes on"
	}
	return strings.TrimSpace(priorityName(in) + " · " + state)
}

// Rank is the class of the colour of a priority.
func Rank(n int) string { return fmt.Sprintf("rank%d", min(max(n, 0), 4)) }

// ToneOver is the tone of what is over; the others are quiet, and that of a rank.
const ToneOver = "over"

// tone is the class of the colour of the status line.
func tone(it *incident.Item) string {
	switch {
	case it.Kind == incident.KindLeft:
		return "quiet"
	case it.Incident.State != incident.StateOpen && it.Kind != incident.KindReminder:
		return ToneOver
	}
	return Rank(it.Incident.Priority.Rank)
}

// Colour is the colour behind a status, by its tone, as #rrggbb.
func Colour(tone string) string {
	switch tone {
	case Rank(0):
		return "#b3261e"
	case Rank(1):
		return "#a84300"
	case Rank(2):
		return "#f2b824"
	case Rank(3):
		return "#a9cdf5"
	case ToneOver:
		return "#1a7f37"
	}
	return "#57606a"
}

// Sign is the emoji that stands before a status, by its tone: the circle of its colour.
func Sign(tone string) string {
	switch tone {
	case Rank(0):
		return "🔴"
	case Rank(1):
		return "🟠"
	case Rank(2):
		return "🟡"
	case Rank(3):
		return "🔵"
	case ToneOver:
		return "🟢"
	}
	return "⚪"
}
