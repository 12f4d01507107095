package wording

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"sitrep/incident"
)

// DigestNamed is how many incidents of a digest a mail names; those beyond are counted.
const DigestNamed = 50

// reminderTitle is what a reminder is about, in its subject.
func reminderTitle(it *incident.Item, clock Clock) string {
	o := firstReminder(it)
	if o == nil {
		return "the team is asked"
	}
	switch o.Reason {
	case incident.DueUnfed:
		if due, ok := dueTime(o, it); ok {
			return "update due by " + clock.Time(due)
		}
		return "update due"
	case incident.DueActionOverdue:
		return "action " + Line(o.Action, nameLimit) + " is overdue"
	case incident.DueAllUnknown:
		return "nobody knows whether it goes on"
	case incident.DueStillFiring:
		return "is resolved, but still fires"
	case incident.DueMailRefused:
		return "the mail server cannot be used"
	case incident.DueUndeliverable, incident.DueUndelivered:
		return "a message could not be delivered"
	}
	return "the team is asked"
}

// firstReminder is the reason that a reminder names first.
func firstReminder(it *incident.Item) *incident.Owed {
	for _, reason := range []incident.Reason{
		incident.DueUnfed, incident.DueAllUnknown, incident.DueStillFiring,
		incident.DueActionOverdue, incident.DueMailRefused, incident.DueUndeliverable, incident.DueUndelivered,
	} {
		for i := range it.Reasons {
			if it.Reasons[i].Reason == reason {
				return &it.Reasons[i]
			}
		}
	}
	return nil
}

// dueTime is when the scheduled update is due that nobody has fed.
func dueTime(o *incident.Owed, it *incident.Item) (time.Time, bool) {
	if !o.DueAt.IsZero() {
		return o.DueAt, true
	}
	return it.NextBy, !it.NextBy.IsZero()
}

// undelivered names all whom a message did not reach, the opening or another as the reason
// says.
func undelivered(it *incident.Item, reason incident.Reason) string {
	var who []string
	for i := range it.Reasons {
		if o := &it.Reasons[i]; o.Reason == reason && !slices.Contains(who, Line(o.Address, nameLimit)) {
			who = append(who, Line(o.Address, nameLimit))
		}
	}
	message := "A message"
	if reason == incident.DueUndeliverable {
		message = "The opening message"
	}
	return fmt.Sprintf("%s to %s was refused for good: please tell them in another way.", message, List(who))
}

// overdue says since when an action is overdue.
func overdue(in *incident.Incident, name string, clock Clock) string {
	for i := range in.Actions {
		if a := &in.Actions[i]; a.Name == name && !a.DueAt.IsZero() {
			return fmt.Sprintf("The action %s is overdue since %s.", Line(name, nameLimit), clock.Full(a.DueAt))
		}
	}
	return fmt.Sprintf("The action %s is overdue.", Line(name, nameLimit))
}

// reminderReport asks the people on call for what is missing: for each reason one
// sentence, one command and one link that end it.
func reminderReport(m *incident.Message, it *incident.Item, clock Clock) *Report {
	in := &it.Incident
	r := &Report{
		Notice: notice(in.Drill),
		ID:     in.ID(),
		Status: status(it),
		Tone:   tone(it),
		Title:  Headline(in),
	}
	id := in.ID()
	update := Entry{Text: "Write it with this command, or on the page:", Command: fmt.Sprintf("sitrep incident update %s \"…\"", id), URL: Link(page(m, in.Number) + "#update")}
	done := Section{Heading: "What to do"}
	seen := map[string]bool{}
	for i := range it.Reasons {
		o := &it.Reasons[i]
		e := Entry{URL: Link(page(m, in.Number))}
		text := ""
		switch o.Reason {
		case incident.DueUnfed:
			text = "An update"
			if len(it.Audiences) > 0 {
				text += " to " + AudienceNames(it.Audiences)
			}
			if due, ok := dueTime(o, it); ok {
				text += " is due by " + clock.Full(due)
			} else {
				text += " is due"
			}
			text += ", and nobody has written it yet. Without your words it says that there is no news from the team."
			e = update
		case incident.DueAllUnknown:
			text = "Nobody knows whether this goes on. Please look, and say what you see."
			e.Text, e.Command = "If it is over, resolve it:", fmt.Sprintf("sitrep incident resolve %s", id)
		case incident.DueStillFiring:
			text = "It was resolved by hand, and alerts still fire."
			e.Text, e.Command = "If it is not over, reopen it:", fmt.Sprintf("sitrep incident reopen %s --reason \"…\"", id)
		case incident.DueActionOverdue:
			name := Line(o.Action, nameLimit)
			text = overdue(in, o.Action, clock)
			e.Text, e.Command = "When it is done:", fmt.Sprintf("sitrep incident action %s %s done", id, word(name))
		case incident.DueUndeliverable, incident.DueUndelivered:
			text = undelivered(it, o.Reason)
			e.Text = "Who was told what:"
		case incident.DueMailRefused:
			text = "The mail server cannot be used, or refuses all messages, since " + clock.Full(o.At) + ": mailboxes are not told. Please tell readers in another way, and look at what it answers."
			e.Text, e.URL = "What it answers:", Link(m.BaseURL+"/status")
		default:
			continue
		}
		if !slices.Contains(r.Lead, text) {
			r.Lead = append(r.Lead, text)
		}
		if key := e.Command + " " + e.URL; !seen[key] {
			seen[key] = true
			done.Lines = append(done.Lines, e)
		}
	}
	if s := Affected(in); s != "" {
		r.Facts = append(r.Facts, Fact{"Affected", s, false})
	}
	r.Facts = append(r.Facts, Fact{Span(in), Since(in, clock), false}, Fact{"State", State(in), false})
	if in.State == incident.StateOpen {
		r.Facts = append(r.Facts, Fact{"On it", OnIt(in, clock), false})
	}
	if looksInto(m, it) || it.Alerts != nil {
		if e, ok := ackEntry(m, it); ok {
			done.Lines = append(done.Lines, e)
		}
		if url := Link(it.Runbook); url != "" {
			done.Lines = append(done.Lines, Entry{Text: "Runbook", URL: url})
		}
	}
	r.Sections = []Section{done}
	if s := alertSection(m, it, clock); len(s.Lines) > 0 {
		r.Sections = append(r.Sections, s)
	}
	news := strings.TrimSpace(Breaches(it, clock))
	switch {
	case in.State == incident.StateOpen:
		news = strings.TrimSpace(NoNews(it, clock) + " " + news)
		r.Sections = append(r.Sections, Section{Heading: "What readers know", Lines: []Entry{{Text: news}}})
	case news != "":
		r.Facts = append(r.Facts, Fact{"Now", news, false})
	}
	r.Footer = footer(m, clock)
	if len(r.Lead) > 0 {
		r.Preview = Line(r.Lead[0], 140)
	}
	return r
}

// word quotes a name for a shell, if it must be.
func word(s string) string {
	for _, c := range s {
		if !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.", c) {
			return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
		}
	}
	return s
}

// digestReport tells about many incidents, the highest priority first, and has a brief of as many
// as can be named.
func digestReport(m *incident.Message, clock Clock) *Report {
	first := m.First()
	n := len(m.Items)
	r := &Report{
		Notice:  notice(allDrills(m)),
		Status:  priorityName(&first.Incident) + " · " + Count(n, "incident"),
		Tone:    "quiet", // once all is over
		Title:   "Where " + Count(n, "incident") + " stand",
		Lead:    []string{"More messages were due within a minute than go out one by one: this one stands for the rest, the highest priority first."},
		Facts:   counts(m.Items),
		Preview: "The highest: " + Headline(&first.Incident),
		items:   m.Items,
	}
	open := func(it incident.Item) bool { return it.Incident.State == incident.StateOpen }
	goesOn := func(it incident.Item) bool {
		return open(it) && it.Kind != incident.KindLeft || it.Kind == incident.KindReminder
	}
	if i := slices.IndexFunc(m.Items, goesOn); i >= 0 {
		r.Tone = Rank(m.Items[i].Incident.Priority.Rank)
	} else if !slices.ContainsFunc(m.Items, open) {
		r.Status += ", all over"
	}
	if late := earliestLate(m); !late.IsZero() {
		r.Lead = append(r.Lead, fmt.Sprintf("It should have come by %s, and could not be handed over until now.", clock.Time(late)))
	}
	for i := range m.Items[:min(n, DigestNamed)] {
		it := m.Items[i]
		it.LateSince = time.Time{} // said above
		in := &it.Incident
		state := status(&it)
		if plain(&it) {
			state = strings.Replace(state, "· Open", "· New", 1)
		}
		if in.Drill {
			state = "DRILL " + state
		}
		url := page(m, in.Number)
		if o := firstReminder(&it); it.Kind == incident.KindReminder && o != nil && o.Reason == incident.DueUnfed {
			url += "#update"
		} else if it.Alerts != nil && in.State == incident.StateOpen && !in.OnIt() {
			url += ackAnchor
		}
		r.Briefs = append(r.Briefs, Brief{
			Status: state, Tone: tone(&it), ID: in.ID(), Title: Headline(in),
			Lines: briefLines(m, &it, clock), URL: Link(url),
		})
	}
	r.linkAll(m)
	r.Footer = footer(m, clock)
	return r
}

// counts says how many incidents of each priority are open, resolved and so on.
func counts(items []incident.Item) []Fact {
	var facts []Fact
	for _, c := range incident.CountItems(items) {
		var parts []string
		add := func(n int, what string) {
			if n > 0 {
				parts = append(parts, fmt.Sprintf("%d %s", n, what))
			}
		}
		add(c.Open, "open")
		add(c.Resolved, "resolved")
		add(c.Closed, "closed")
		add(c.Merged, "merged")
		if c.Drills > 0 {
			parts = append(parts, Count(c.Drills, "drill"))
		}
		facts = append(facts, Fact{Name: Line(c.Priority, 20), Value: strings.Join(parts, ", ")})
	}
	return facts
}

// linkAll leads to the page of all incidents.
func (r *Report) linkAll(m *incident.Message) {
	if url := Link(m.BaseURL + "/"); url != "" {
		r.Sections = append(r.Sections, Section{Heading: "Where to look", Lines: []Entry{{Text: "All incidents", URL: url}}, stays: true})
	}
}

// earliestLate is when the first of what a digest tells should have come, zero if
// nothing is late.
func earliestLate(m *incident.Message) (late time.Time) {
	for i := range m.Items {
		if t := m.Items[i].LateSince; !t.IsZero() && (late.IsZero() || t.Before(late)) {
			late = t
		}
	}
	return late
}

// briefLines say how an incident of a digest stands, and the most important news.
func briefLines(m *incident.Message, it *incident.Item, clock Clock) []string {
	in := &it.Incident
	state := State(in)
	if in.State == incident.StateOpen && !in.OnIt() {
		state += "; " + OnIt(in, clock)
	}
	lines := []string{Span(in) + " " + Since(in, clock) + ". " + state + "."}
	if !it.NextBy.IsZero() {
		lines = append(lines, "Next update "+NextUpdate(it, clock)+".")
	} else if in.State == incident.StateOpen && !onCall(m) && it.Kind != incident.KindLeft {
		lines = append(lines, "Next update: "+NextUpdate(it, clock)+".")
	}
	if s := alertNames(it); s != "" {
		lines = append(lines, s)
	}
	news := newStory(m, it, clock)
	for _, s := range lead(m, it, news, clock) {
		lines = append(lines, Line(s, 240))
	}
	if it.NewWord && it.Word != nil {
		lines = append(lines, fmt.Sprintf("%s at %s: %s", by(Line(it.Word.By, nameLimit), "wrote", "The team wrote"),
			clock.Time(it.Word.At), quote(Line(it.Word.Text, 240))))
	} else if it.Kind == incident.KindUpdate && !spoke(it) && !onCall(m) {
		lines = append(lines, strings.TrimSpace(NoNews(it, clock)+" "+Breaches(it, clock)))
	}
	if o := firstReminder(it); it.Kind == incident.KindReminder && o != nil && o.Reason != incident.DueUndeliverable && o.Reason != incident.DueUndelivered {
		line := capital(reminderTitle(it, clock)) + "."
		if o.Reason == incident.DueUnfed {
			line += fmt.Sprintf(" Write it on the page, or with: sitrep incident update %s \"…\"", in.ID())
		}
		lines = append(lines, line)
	}
	return lines
}

// watchdogReport says that the alert that always fires went away, or is back.
func watchdogReport(m *incident.Message, clock Clock) *Report {
	r := &Report{Footer: footer(m, clock)}
	w := m.Watchdog
	if w == nil {
		w = &incident.WatchdogNews{}
	}
	r.Title = watchdogTitle(w)
	if w.Away {
		r.Status, r.Tone = "Watchdog · Away", "rank0"
		r.Lead = []string{"Until they are back, new trouble may go unseen, and alerts that end are not believed: they count as unknown."}
		if w.Pulse != "" {
			r.Lead = []string{
				"Until they are back, new trouble there may go unseen, and its alerts that end are not believed: they count as unknown.",
				"Once that has lasted " + Duration(incident.GoneAfter) + ", it counts as gone for good.",
			}
		}
		heard := "never"
		if !w.HeardAt.IsZero() {
			heard = clock.Full(w.HeardAt)
		}
		r.Facts = []Fact{{"Last heard", heard, true}}
		if w.Within > 0 {
			r.Facts = append(r.Facts, Fact{"Expected", "every " + Duration(w.Within), false})
		}
		r.Sections = []Section{{Heading: "What to do", Lines: []Entry{{Text: "See whether Prometheus and Alertmanager run, and whether Alertmanager reaches sitrep."}}}}
		r.Preview = "The watchdog alert was last heard: " + heard + "."
	} else {
		r.Status, r.Tone = "Watchdog · Back", ToneOver
		r.Lead = []string{"The alert that always fires was heard again. Alerts that end are believed again."}
		if !w.HeardAt.IsZero() {
			r.Facts = []Fact{{"Last heard", clock.Full(w.HeardAt), true}}
		}
		r.Preview = "The watchdog alert is back."
	}
	r.linkAll(m)
	return r
}
