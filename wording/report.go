package wording

import (
	_ "embed"
	"fmt"
	"strings"
	"text/template"
	"time"

	"sitrep/incident"
)

// A Report is a message as its channels lay it out, from the top. Its strings are
// clean, but not escaped.
type Report struct {
	// Notice says that it is a drill; else empty.
	Notice string
	// ID is the incident's name, empty if it is not about one.
	ID string
	// Status is priority and state in a few words. Tone is the class of its colour:
	// rank0 to rank4, over, quiet.
	Status, Tone string
	Title        string // what is broken
	Subtitle     string // who is affected
	// Lead are the sentences that say why this message comes now.
	Lead     []string
	Facts    []Fact    // what a reader looks for first
	Sections []Section // what else there is, by what it is about
	// Briefs are the incidents of a digest.
	Briefs []Brief
	Footer []string // why the reader gets it, and which zone times are in
	// Preview is what a list of mails shows beside the subject.
	Preview string

	language *Language
	items    []incident.Item // of a digest
}

// A Fact is one line that is looked for by its name.
type Fact struct {
	Name, Value string
	Strong      bool

	joined bool // the value goes on where the name ends
}

// A Section is what belongs together, under a heading.
type Section struct {
	Heading string
	Lines   []Entry

	stays bool // whatever is left out elsewhere
}

// An Entry is one thing that a section says. Any of its fields may be empty.
type Entry struct {
	When    string
	Text    string
	Says    string // what an alert says of itself, in one line
	Small   string // particulars, in one line
	Quote   string // a person's words, in lines
	Command string // for a shell
	URL     string // http or https
	Button  bool   // the text is what to do first, and leads to the URL
}

// A Brief is an incident in a few lines.
type Brief struct {
	Status, Tone string
	ID, Title    string
	Lines        []string
	URL          string
}

//go:embed templates/report.txt.tmpl
var textSource string

var textTemplate = template.Must(template.New("report.txt").Parse(textSource))

// Text returns the report as plain text, with long lines and a line break at the
// end.
func (r *Report) Text() (string, error) {
	var b strings.Builder
	if err := textTemplate.Execute(&b, r); err != nil {
		return "", fmt.Errorf("write report %q as text: %w", r.Title, err)
	}
	return b.String(), nil
}

// Language is the tag of the language that it is in, such as "de".
func (r *Report) Language() string { return r.language.Tag() }

// LinkTooLong is what is said in place of a link that is longer than a channel takes.
func (r *Report) LinkTooLong() string { return r.language.say("cut.link") }

// Line returns the fact as one line, such as "State: open" or "Next update by 16:03
// CEST".
func (f Fact) Line() string {
	if f.joined {
		return f.Name + " " + f.Value
	}
	return f.Name + ": " + f.Value
}

// QuoteLines returns the person's words line by line.
func (e Entry) QuoteLines() []string { return strings.Split(e.Quote, "\n") }

// Compose puts into words what a message says. The message has at least one item,
// or is the watchdog's or the canary's. What would make it too long for a mail is left out.
func Compose(m *incident.Message) *Report { return ComposeWhole(m).Within(inMail) }

// ComposeWhole is [Compose] for a channel with a room of its own, which takes what is
// [Report.Within] that.
func ComposeWhole(m *incident.Message) *Report {
	m = m.ForReader()
	clock := clockOf(m)
	switch m.Kind {
	case incident.KindWatchdog:
		return watchdogReport(m, clock)
	case incident.KindCanary:
		return canaryReport(m, clock)
	case incident.KindDigest:
		return digestReport(m, clock)
	}
	it := *m.First()
	it.Kind = m.Kind
	if m.Kind == incident.KindReminder {
		return reminderReport(m, &it, clock)
	}
	return incidentReport(m, &it, clock)
}

// incidentReport is the report of one incident: opened, update, priority, left,
// resolved or reopened.
func incidentReport(m *incident.Message, it *incident.Item, clock Clock) *Report {
	in, l := &it.Incident, clock.Language
	news := newStory(m, it, clock)
	team := teamSection(m, it, news, clock)
	r := &Report{
		Notice:   l.notice(in.Drill),
		ID:       in.ID(),
		Status:   l.status(it),
		Tone:     tone(it),
		Title:    Headline(in),
		Subtitle: subtitle(in),
		Lead:     lead(m, it, news, clock),
		Facts:    facts(m, it, news, clock),

		language: l,
	}
	if known := knownPriority(it); it.Kind == incident.KindPriority && known != "" && known != in.Priority.Name {
		r.Status = statusLine(l.say("status.was", "priority", priorityName(in), "before", Line(known, 20)), l.say("status."+statusOf(it)))
	}
	add := func(s Section) {
		if len(s.Lines) > 0 {
			r.Sections = append(r.Sections, s)
		}
	}
	if it.NewWord {
		add(team)
	}
	add(l.todoSection(m, it))
	add(alertSection(m, it, clock))
	happened := Section{Heading: l.say("heading.new"), Lines: news.lines}
	if it.First {
		happened.Heading = l.say("heading.so_far")
	}
	add(happened)
	if !it.NewWord {
		add(team)
	}
	add(planSection(it, clock))
	add(actionSection(it, clock))
	add(l.linkSection(m, it))
	r.Footer = footer(m, clock)
	r.Preview = preview(it, r.Lead, clock)
	return r
}

func (l *Language) notice(drill bool) string {
	if drill {
		return l.say("drill.notice")
	}
	return ""
}

func subtitle(in *incident.Incident) string {
	return stop(Line(in.Priority.Summary, titleLimit))
}

// onCall reports whether the reader is on call and nothing else. One who is in an
// audience too is told what that is told, and in addition what helps on call.
func onCall(m *incident.Message) bool {
	return len(m.Audiences) > 0 && m.Audiences[0] == incident.AudienceOnCall
}

// facts are what a reader looks for first.
func facts(m *incident.Message, it *incident.Item, news *story, clock Clock) []Fact {
	in, l := &it.Incident, clock.Language
	var list []Fact
	add := func(key, value string) {
		if value != "" {
			list = append(list, Fact{Name: l.say(key), Value: value})
		}
	}
	add("fact.affected", Affected(in))
	list = append(list, l.spanFact(in, clock))
	add("fact.state", l.state(in))
	if !onCall(m) || !it.NextBy.IsZero() {
		list = append(list, Fact{
			Name: l.say("fact.next"), Value: NextUpdate(it, clock), Strong: !it.NextBy.IsZero(),
			joined: !it.NextBy.IsZero() && it.Kind != incident.KindLeft,
		})
	}
	if goesOn := in.State == incident.StateOpen || in.Breaches.Firing+in.Breaches.Unknown > 0; goesOn && in.MergedInto == 0 && !news.noNews {
		add("fact.now", Breaches(it, clock))
	}
	add("fact.monitoring", Silent(it.Silent, clock))
	if in.State == incident.StateOpen {
		add("fact.on_it", OnIt(in, clock))
	}
	return list
}

// spanFact says since when it lasts, or how long it did.
func (l *Language) spanFact(in *incident.Incident, clock Clock) Fact {
	return Fact{Name: l.span(in), Value: Since(in, clock), joined: !lasted(in)}
}

// preview is what stands beside the subject in a list of mails.
func preview(it *incident.Item, lead []string, clock Clock) string {
	var parts []string
	l := clock.Language
	switch {
	case it.NewWord && it.Word != nil:
		parts = append(parts, l.quote(Line(it.Word.Text, 90)))
	case len(lead) > 0:
		parts = append(parts, Line(lead[0], 110))
	default:
		parts = append(parts, l.say("preview.since", "status", l.status(it), "time", clock.Full(Began(&it.Incident))))
		if shown := l.Alerts(it); len(shown) > 0 {
			parts = append(parts, stop(Line(strings.TrimSuffix(shown[0].Name+": "+shown[0].Summary, ": "), 110)))
		}
	}
	if it.Kind != incident.KindLeft && !it.NextBy.IsZero() {
		parts = append(parts, l.say("next.update_by", "time", clock.Full(it.NextBy)))
	}
	return strings.Join(parts, " ")
}

// footer says why the reader gets this, and what the times are.
func footer(m *incident.Message, clock Clock) []string {
	group, l := Line(m.Group, nameLimit), clock.Language
	var why string
	switch {
	case m.Kind == incident.KindWatchdog:
		why = l.say("footer.watchdog", "group", group)
	case m.Kind == incident.KindCanary:
		why = l.say("footer.canary", "group", group)
	case onCall(m):
		why = l.say("footer.on_call", "team", group)
	case m.Kind == incident.KindLeft:
		why = l.say("footer.left", "audiences", l.audiences(m.Audiences), "group", group)
	case len(m.Items) != 1 || len(m.First().Audiences) == 0:
		why = l.say("footer.audience", "audiences", l.audiences(m.Audiences), "group", group)
	default:
		it := m.First()
		pairs := []string{
			"audiences", l.audiences(m.Audiences), "group", group,
			"priority", priorityName(&it.Incident), "informed", l.audiences(it.Audiences),
		}
		if every := it.Incident.Priority.UpdateEvery; every > 0 && it.Incident.State == incident.StateOpen {
			why = l.say("footer.informs_every", append(pairs, "every", l.every(every))...)
		} else {
			why = l.say("footer.informs", pairs...)
		}
	}
	lines := []string{why}
	if len(m.Items) == 1 && m.First().Incident.Unmapped {
		lines = append(lines, l.say("footer.unmapped"))
	}
	times := []time.Time{}
	for i := range m.Items {
		it := &m.Items[i]
		times = append(times, Began(&it.Incident), it.NextBy)
	}
	return append(lines, l.say("footer.times", "zones", clock.Zones(times...)))
}
