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
	start, l := Began(in), clock.Language
	if lasted(in) {
		end := Over(in)
		return l.say("since.to", "start", clock.Time(start), "end", clock.Full(end), "duration", l.Duration(end.Sub(start)))
	}
	if !in.ReopenedAt.IsZero() {
		return l.say("since.again", "reopened", clock.Full(in.ReopenedAt), "start", clock.Time(start))
	}
	if lasts := clock.Now.Sub(start); lasts >= time.Minute {
		return l.say("since.for", "start", clock.Full(start), "duration", l.Duration(lasts))
	}
	return clock.Full(start)
}

// Span is the English word for what Since says.
func Span(in *incident.Incident) string { return In(english).span(in) }

func (l *Language) span(in *incident.Incident) string {
	if lasted(in) {
		return l.say("fact.lasted")
	}
	return l.say("fact.since")
}

// lasted reports whether the trouble is over.
func lasted(in *incident.Incident) bool {
	return in.State != incident.StateOpen && in.MergedInto == 0
}

// Began is when the trouble began, as far as it is known.
func Began(in *incident.Incident) time.Time { return cmp.Or(in.StartedAt, in.OpenedAt) }

// Over is when the trouble was over, as far as it is known.
func Over(in *incident.Incident) time.Time { return cmp.Or(in.EndedAt, in.ResolvedAt, in.ClosedAt) }

// State says in English where the incident stands: state and phase.
func State(in *incident.Incident) string { return In(english).state(in) }

func (l *Language) state(in *incident.Incident) string {
	phase := l.phase(in.Phase)
	switch {
	case in.MergedInto > 0:
		return l.say("state.merged", "incident", incident.ID(in.MergedInto))
	case in.State == incident.StateClosed:
		return l.say("state.closed")
	case in.State == incident.StateResolved:
		return l.say("state.resolved", "phase", phase)
	}
	switch to := Line(in.EscalatedTo, nameLimit); {
	case to == "":
		return l.say("state.open", "phase", phase)
	case in.Phase == incident.PhaseEscalation:
		return l.say("state.escalation", "phase", phase, "to", to)
	default:
		return l.say("state.escalated", "phase", phase, "to", to)
	}
}

// OnIt says who is on it, or that nobody is. Audiences are told no name: see
// [incident.Incident.ForAudiences].
func OnIt(in *incident.Incident, clock Clock) string {
	who, l := Line(in.AcknowledgedBy, nameLimit), clock.Language
	since := clock.Time(cmp.Or(in.OnItAt, in.AcknowledgedAt))
	switch {
	case in.AcknowledgedAt.IsZero():
		return l.say("on_it.nobody")
	case !in.OnIt():
		return l.say("on_it.given_back", "time", clock.Time(in.ReleasedAt))
	case who == "":
		return l.say("on_it.team", "time", since)
	case !in.TakenOverAt.IsZero():
		return l.say("on_it.taken_over", "who", who, "time", clock.Time(in.TakenOverAt))
	}
	return l.say("on_it.who", "who", who, "time", since)
}

// NextUpdate says by when the reader of an item is told again, as what follows
// the words "next update": "by 16:03 CEST", or that none is scheduled and why.
func NextUpdate(it *incident.Item, clock Clock) string {
	l := clock.Language
	switch {
	case it.Kind == incident.KindLeft:
		return l.say("next.last", "incident", it.Incident.ID())
	case !it.NextBy.IsZero():
		return l.say("next.by", "time", clock.Full(it.NextBy))
	case it.Incident.State == incident.StateResolved:
		return l.say("next.resolved")
	case it.Incident.State == incident.StateClosed:
		return l.say("next.closed")
	case it.Paused:
		return l.say("next.paused")
	}
	return l.say("next.none")
}

// Breaches says how many breaches fire and when that was last heard, or since when
// nobody knows. Of no breaches it says "". To readers they are alerts: a breach would
// be one of security.
func Breaches(it *incident.Item, clock Clock) string {
	in, l := &it.Incident, clock.Language
	n := in.Breaches
	heard := func(s string) string {
		if it.LastHeardAt.IsZero() {
			return s
		}
		return l.say("breaches.heard", "said", s, "time", clock.Time(it.LastHeardAt))
	}
	s := ""
	switch {
	case n.Total == 0:
		return ""
	case n.Firing > 0:
		if plain(it) || it.Kind == incident.KindReopened {
			s = l.count("breaches.firing", n.Firing)
		} else {
			s = l.count("breaches.still_firing", n.Firing)
		}
		if s = heard(s); n.Unknown > 0 {
			s = l.count("breaches.more_unknown", n.Unknown, "said", s)
		}
	case n.Unknown > 0 && in.UnknownSince.IsZero():
		s = heard(l.count("breaches.unknown", n.Unknown))
	case n.Unknown > 0:
		s = heard(l.count("breaches.unknown_since", n.Unknown, "time", clock.Time(in.UnknownSince)))
	default:
		s = l.ended(in, clock)
	}
	return l.sentence(s)
}

// ended says that all alerts of an incident have ended, and of one that is open, when.
func (l *Language) ended(in *incident.Incident, clock Clock) string {
	s := l.count("breaches.ended", in.Breaches.Total)
	if in.Breaches.Total == 2 {
		s = l.say("breaches.both_ended")
	}
	if in.State != incident.StateOpen || in.EndedAt.IsZero() {
		return s
	}
	if in.Breaches.Total > 1 {
		s = l.say("breaches.last_at", "said", s, "time", clock.Time(in.EndedAt))
	} else {
		s = l.say("breaches.at", "said", s, "time", clock.Time(in.EndedAt))
	}
	if in.ResolveAfter > 0 && !in.Declared {
		s = l.say("breaches.resolves", "said", s, "duration", l.Duration(in.ResolveAfter))
	}
	return s
}

// sentence ends a sentence.
func (l *Language) sentence(s string) string { return l.say("sentence.end", "said", s) }

// NoNews says since when the team has written nothing to this reader.
func NoNews(it *incident.Item, clock Clock) string {
	if it.Word != nil {
		return clock.Language.say("no_news.since", "time", clock.Time(it.Word.At))
	}
	return clock.Language.say("no_news.opened", "time", clock.Time(it.Incident.OpenedAt))
}

// Action says how an action stands.
func Action(a *incident.Action, clock Clock) string {
	name, l := Line(a.Name, nameLimit), clock.Language
	switch {
	case a.State != incident.ActionDue:
		s := l.say("action.done", "action", name)
		if a.State == incident.ActionWaived {
			s = l.say("action.waived", "action", name)
		}
		if reason := Line(a.Reason, reasonLimit); reason != "" {
			s = l.say("action.because", "said", s, "reason", l.quote(reason))
		}
		return s
	case a.DueAt.IsZero() && a.Within > 0:
		return l.say("action.due_within", "action", name, "duration", l.Duration(a.Within))
	case a.DueAt.IsZero():
		return l.say("action.due", "action", name)
	case a.DueAt.Before(clock.Now):
		return l.say("action.overdue", "action", name, "time", clock.Full(a.DueAt))
	}
	return l.say("action.due_by", "action", name, "time", clock.Full(a.DueAt))
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
func (l *Language) status(it *incident.Item) string {
	return statusLine(priorityName(&it.Incident), l.say("status."+statusOf(it)))
}

func statusLine(priority, state string) string { return strings.TrimSpace(priority + " · " + state) }

// statusOf is the word for the state of an item.
func statusOf(it *incident.Item) string {
	in := &it.Incident
	switch {
	case it.Kind == incident.KindReminder:
		return "reminder"
	case it.Kind == incident.KindLeft && in.MergedInto > 0:
		return "merged"
	case it.Kind == incident.KindLeft:
		return "last"
	case in.State == incident.StateResolved:
		return "resolved"
	case in.State == incident.StateClosed:
		return "closed"
	case it.Kind == incident.KindReopened:
		return "again"
	case in.Breaches.Firing == 0 && in.Breaches.Unknown > 0:
		return "unknown"
	}
	return "open"
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
