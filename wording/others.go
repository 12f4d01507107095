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
	o, l := firstReminder(it), clock.Language
	if o == nil {
		return l.say("reminder.asked")
	}
	switch o.Reason {
	case incident.DueUnfed:
		if due, ok := dueTime(o, it); ok {
			return l.say("reminder.due_by", "time", clock.Time(due))
		}
		return l.say("reminder.due")
	case incident.DueActionOverdue:
		return l.say("reminder.overdue", "action", Line(o.Action, nameLimit))
	case incident.DueAllUnknown:
		return l.say("reminder.unknown")
	case incident.DueStillFiring:
		return l.say("reminder.still_firing")
	case incident.DueMailRefused:
		return l.say("reminder.mail_refused")
	case incident.DueUndeliverable, incident.DueUndelivered:
		return l.say("reminder.undelivered")
	}
	return l.say("reminder.asked")
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
func (l *Language) undelivered(it *incident.Item, reason incident.Reason) string {
	var who []string
	for i := range it.Reasons {
		if o := &it.Reasons[i]; o.Reason == reason && !slices.Contains(who, Line(o.Address, nameLimit)) {
			who = append(who, Line(o.Address, nameLimit))
		}
	}
	if reason == incident.DueUndeliverable {
		return l.say("undelivered.opening", "who", l.list(who))
	}
	return l.say("undelivered.message", "who", l.list(who))
}

// overdue says since when an action is overdue.
func overdue(in *incident.Incident, name string, clock Clock) string {
	for i := range in.Actions {
		if a := &in.Actions[i]; a.Name == name && !a.DueAt.IsZero() {
			return clock.Language.say("overdue.since", "action", Line(name, nameLimit), "time", clock.Full(a.DueAt))
		}
	}
	return clock.Language.say("overdue.now", "action", Line(name, nameLimit))
}

// reminderReport asks the people on call for what is missing: for each reason one
// sentence, one command and one link that end it.
func reminderReport(m *incident.Message, it *incident.Item, clock Clock) *Report {
	in, l := &it.Incident, clock.Language
	r := &Report{
		Notice: l.notice(in.Drill),
		ID:     in.ID(),
		Status: l.status(it),
		Tone:   tone(it),
		Title:  Headline(in),

		language: l,
	}
	id := in.ID()
	update := Entry{Text: l.say("todo.write"), Command: fmt.Sprintf("sitrep incident update %s \"…\"", id), URL: Link(page(m, in.Number) + "#update")}
	done := Section{Heading: l.say("heading.todo")}
	seen := map[string]bool{}
	for i := range it.Reasons {
		o := &it.Reasons[i]
		e := Entry{URL: Link(page(m, in.Number))}
		text := ""
		switch o.Reason {
		case incident.DueUnfed:
			text, e = l.unfed(o, it, clock), update
		case incident.DueAllUnknown:
			text = l.say("ask.unknown")
			e.Text, e.Command = l.say("todo.resolve"), fmt.Sprintf("sitrep incident resolve %s", id)
		case incident.DueStillFiring:
			text = l.say("ask.still_firing")
			e.Text, e.Command = l.say("todo.reopen"), fmt.Sprintf("sitrep incident reopen %s --reason \"…\"", id)
		case incident.DueActionOverdue:
			name := Line(o.Action, nameLimit)
			text = overdue(in, o.Action, clock)
			e.Text, e.Command = l.say("todo.action"), fmt.Sprintf("sitrep incident action %s %s done", id, word(name))
		case incident.DueUndeliverable, incident.DueUndelivered:
			text = l.undelivered(it, o.Reason)
			e.Text = l.say("todo.told")
		case incident.DueMailRefused:
			text = l.say("ask.mail_refused", "time", clock.Full(o.At))
			e.Text, e.URL = l.say("todo.answers"), Link(m.BaseURL+"/status")
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
		r.Facts = append(r.Facts, Fact{Name: l.say("fact.affected"), Value: s})
	}
	r.Facts = append(r.Facts, l.spanFact(in, clock), Fact{Name: l.say("fact.state"), Value: l.state(in)})
	if in.State == incident.StateOpen {
		r.Facts = append(r.Facts, Fact{Name: l.say("fact.on_it"), Value: OnIt(in, clock)})
	}
	if looksInto(m, it) || it.Alerts != nil {
		if e, ok := l.ackEntry(m, it); ok {
			done.Lines = append(done.Lines, e)
		}
		if url := Link(it.Runbook); url != "" {
			done.Lines = append(done.Lines, Entry{Text: l.say("runbook"), URL: url})
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
		r.Sections = append(r.Sections, Section{Heading: l.say("heading.known"), Lines: []Entry{{Text: news}}})
	case news != "":
		r.Facts = append(r.Facts, Fact{Name: l.say("fact.now"), Value: news})
	}
	r.Footer = footer(m, clock)
	if len(r.Lead) > 0 {
		r.Preview = Line(r.Lead[0], 140)
	}
	return r
}

// unfed says that an update is due and nobody has written it.
func (l *Language) unfed(o *incident.Owed, it *incident.Item, clock Clock) string {
	due, ok := dueTime(o, it)
	audiences := l.audiences(it.Audiences)
	var is string
	switch {
	case ok && audiences != "":
		is = l.say("unfed.to_by", "audiences", audiences, "time", clock.Full(due))
	case ok:
		is = l.say("unfed.by", "time", clock.Full(due))
	case audiences != "":
		is = l.say("unfed.to", "audiences", audiences)
	default:
		is = l.say("unfed.now")
	}
	return l.say("ask.unfed", "said", is)
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
	first, l := m.First(), clock.Language
	n := len(m.Items)
	r := &Report{
		Notice:  l.notice(allDrills(m)),
		Status:  statusLine(priorityName(&first.Incident), l.count("incidents", n)),
		Tone:    "quiet", // once all is over
		Title:   l.count("digest.title", n),
		Lead:    []string{l.say("digest.why")},
		Facts:   l.counts(m.Items),
		Preview: l.say("digest.preview", "headline", Headline(&first.Incident)),

		language: l,
		items:    m.Items,
	}
	open := func(it incident.Item) bool { return it.Incident.State == incident.StateOpen }
	goesOn := func(it incident.Item) bool {
		return open(it) && it.Kind != incident.KindLeft || it.Kind == incident.KindReminder
	}
	if i := slices.IndexFunc(m.Items, goesOn); i >= 0 {
		r.Tone = Rank(m.Items[i].Incident.Priority.Rank)
	} else if !slices.ContainsFunc(m.Items, open) {
		r.Status = l.say("digest.over", "status", r.Status)
	}
	if late := earliestLate(m); !late.IsZero() {
		r.Lead = append(r.Lead, l.say("digest.late", "time", clock.Time(late)))
	}
	for i := range m.Items[:min(n, DigestNamed)] {
		it := m.Items[i]
		it.LateSince = time.Time{} // said above
		in := &it.Incident
		is := statusOf(&it)
		if is == "open" && plain(&it) {
			is = "new"
		}
		state := l.drillTag(in.Drill, statusLine(priorityName(in), l.say("status."+is)))
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
func (l *Language) counts(items []incident.Item) []Fact {
	var facts []Fact
	for _, c := range incident.CountItems(items) {
		var parts []string
		add := func(n int, key string) {
			if n > 0 {
				parts = append(parts, l.count(key, n))
			}
		}
		add(c.Open, "count.open")
		add(c.Resolved, "count.resolved")
		add(c.Closed, "count.closed")
		add(c.Merged, "count.merged")
		add(c.Drills, "count.drills")
		facts = append(facts, Fact{Name: Line(c.Priority, 20), Value: strings.Join(parts, l.say("list.comma"))})
	}
	return facts
}

// linkAll leads to the page of all incidents.
func (r *Report) linkAll(m *incident.Message) {
	if url := Link(m.BaseURL + "/"); url != "" {
		l := r.language
		r.Sections = append(r.Sections, Section{Heading: l.say("heading.look"), Lines: []Entry{{Text: l.say("look.all"), URL: url}}, stays: true})
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
	in, l := &it.Incident, clock.Language
	state := l.state(in)
	if in.State == incident.StateOpen && !in.OnIt() {
		state += "; " + OnIt(in, clock)
	}
	lines := []string{l.sentence(l.span(in)+" "+Since(in, clock)) + " " + l.sentence(state)}
	switch {
	case it.Kind == incident.KindLeft:
	case !it.NextBy.IsZero():
		lines = append(lines, l.say("next.update_by", "time", clock.Full(it.NextBy)))
	case in.State == incident.StateOpen && !onCall(m):
		lines = append(lines, l.say("next.update", "next", NextUpdate(it, clock)))
	}
	if s := l.alertNames(it); s != "" {
		lines = append(lines, s)
	}
	news := newStory(m, it, clock)
	for _, s := range lead(m, it, news, clock) {
		lines = append(lines, Line(s, 240))
	}
	if it.NewWord && it.Word != nil {
		lines = append(lines, l.by("brief.wrote", Line(it.Word.By, nameLimit),
			"time", clock.Time(it.Word.At), "words", l.quote(Line(it.Word.Text, 240))))
	} else if it.Kind == incident.KindUpdate && !spoke(it) && !onCall(m) {
		lines = append(lines, strings.TrimSpace(NoNews(it, clock)+" "+Breaches(it, clock)))
	}
	if o := firstReminder(it); it.Kind == incident.KindReminder && o != nil && o.Reason != incident.DueUndeliverable && o.Reason != incident.DueUndelivered {
		line := l.sentence(capital(reminderTitle(it, clock)))
		if o.Reason == incident.DueUnfed {
			line += " " + l.say("brief.write", "command", fmt.Sprintf("sitrep incident update %s \"…\"", in.ID()))
		}
		lines = append(lines, line)
	}
	return lines
}

// watchdogReport says that the alert that always fires went away, or is back.
func watchdogReport(m *incident.Message, clock Clock) *Report {
	l := clock.Language
	r := &Report{Footer: footer(m, clock), language: l}
	w := m.Watchdog
	if w == nil {
		w = &incident.WatchdogNews{}
	}
	r.Title = l.watchdogTitle(w)
	if w.Away {
		r.Status, r.Tone = l.say("watchdog.status_away"), "rank0"
		r.Lead = []string{l.say("watchdog.away")}
		if w.Pulse != "" {
			r.Lead = []string{l.say("watchdog.away_there"), l.say("watchdog.gone", "duration", l.Duration(incident.GoneAfter))}
		}
		heard := l.say("never")
		if !w.HeardAt.IsZero() {
			heard = clock.Full(w.HeardAt)
		}
		r.Facts = []Fact{{Name: l.say("fact.last_heard"), Value: heard, Strong: true}}
		if w.Within > 0 {
			r.Facts = append(r.Facts, Fact{Name: l.say("fact.expected"), Value: l.every(w.Within)})
		}
		r.Sections = []Section{{Heading: l.say("heading.todo"), Lines: []Entry{{Text: l.say("watchdog.help")}}}}
		r.Preview = l.say("watchdog.preview_away", "time", heard)
	} else {
		r.Status, r.Tone = l.say("watchdog.status_back"), ToneOver
		r.Lead = []string{l.say("watchdog.back")}
		if !w.HeardAt.IsZero() {
			r.Facts = []Fact{{Name: l.say("fact.last_heard"), Value: clock.Full(w.HeardAt), Strong: true}}
		}
		r.Preview = l.say("watchdog.preview_back")
	}
	r.linkAll(m)
	return r
}
