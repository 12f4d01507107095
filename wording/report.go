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

	items []incident.Item // of a digest
}

// A Fact is one line that is looked for by its name.
type Fact struct {
	Name, Value string
	Strong      bool
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

// Line returns the fact as one line, such as "State: open" or "Next update by 16:03
// CEST".
func (f Fact) Line() string {
	if f.Name == "Since" || strings.HasPrefix(f.Value, "by ") {
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
	clock := Clock{m.At, m.Location}
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
	in := &it.Incident
	news := newStory(m, it, clock)
	team := teamSection(m, it, news, clock)
	r := &Report{
		Notice:   notice(in.Drill),
		ID:       in.ID(),
		Status:   status(it),
		Tone:     tone(it),
		Title:    Headline(in),
		Subtitle: subtitle(in),
		Lead:     lead(m, it, news, clock),
		Facts:    facts(m, it, news, clock),
	}
	if known := knownPriority(it); it.Kind == incident.KindPriority && known != "" && known != in.Priority.Name {
		r.Status = strings.Replace(r.Status, " · ", ", was "+Line(known, 20)+" · ", 1)
	}
	add := func(s Section) {
		if len(s.Lines) > 0 {
			r.Sections = append(r.Sections, s)
		}
	}
	if it.NewWord {
		add(team)
	}
	add(todoSection(m, it))
	add(alertSection(m, it, clock))
	happened := Section{Heading: "What is new", Lines: news.lines}
	if it.First {
		happened.Heading = "What happened so far"
	}
	add(happened)
	if !it.NewWord {
		add(team)
	}
	add(planSection(it, clock))
	add(actionSection(it, clock))
	add(linkSection(m, it))
	r.Footer = footer(m, clock)
	r.Preview = preview(it, r.Lead, clock)
	return r
}

func notice(drill bool) string {
	if drill {
		return "This is a DRILL. Nothing is really broken."
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
	in := &it.Incident
	var list []Fact
	add := func(name, value string, strong bool) {
		if value != "" {
			list = append(list, Fact{name, value, strong})
		}
	}
	add("Affected", Affected(in), false)
	add(Span(in), Since(in, clock), false)
	add("State", State(in), false)
	if !onCall(m) || !it.NextBy.IsZero() {
		add("Next update", NextUpdate(it, clock), !it.NextBy.IsZero())
	}
	if goesOn := in.State == incident.StateOpen || in.Breaches.Firing+in.Breaches.Unknown > 0; goesOn && in.MergedInto == 0 && !news.noNews {
		add("Now", Breaches(it, clock), false)
	}
	add("Monitoring", Silent(it.Silent, clock), false)
	if in.State == incident.StateOpen {
		add("On it", OnIt(in, clock), false)
	}
	return list
}

// preview is what stands beside the subject in a list of mails.
func preview(it *incident.Item, lead []string, clock Clock) string {
	var parts []string
	switch {
	case it.NewWord && it.Word != nil:
		parts = append(parts, quote(Line(it.Word.Text, 90)))
	case len(lead) > 0:
		parts = append(parts, Line(lead[0], 110))
	default:
		parts = append(parts, status(it)+" since "+clock.Full(Began(&it.Incident))+".")
		if shown := Alerts(it); len(shown) > 0 {
			parts = append(parts, stop(Line(strings.TrimSuffix(shown[0].Name+": "+shown[0].Summary, ": "), 110)))
		}
	}
	if it.Kind != incident.KindLeft && !it.NextBy.IsZero() {
		parts = append(parts, "Next update "+NextUpdate(it, clock)+".")
	}
	return strings.Join(parts, " ")
}

// footer says why the reader gets this, and what the times are.
func footer(m *incident.Message, clock Clock) []string {
	group := Line(m.Group, nameLimit)
	var why string
	switch {
	case m.Kind == incident.KindWatchdog:
		why = fmt.Sprintf("You get this because the group %s is told about the watchdog.", group)
	case m.Kind == incident.KindCanary:
		why = fmt.Sprintf("You get this because the group %s gets the canary: an alert of sitrep's own that shows whether alerts arrive and mails go out.", group)
	case onCall(m):
		why = fmt.Sprintf("You get this because you are on call for the team %s.", group)
	default:
		why = fmt.Sprintf("You get this as %s (%s).", AudienceNames(m.Audiences), group)
		if m.Kind == incident.KindLeft {
			why = fmt.Sprintf("You got these messages as %s (%s).", AudienceNames(m.Audiences), group)
		}
		if it := m.First(); len(m.Items) == 1 && m.Kind != incident.KindLeft && len(it.Audiences) > 0 {
			why = fmt.Sprintf("You get this as %s (%s): %s informs %s", AudienceNames(m.Audiences), group,
				priorityName(&it.Incident), AudienceNames(it.Audiences))
			if every := it.Incident.Priority.UpdateEvery; every > 0 && it.Incident.State == incident.StateOpen {
				why += ", at least every " + Duration(every)
			}
			why += "."
		}
	}
	lines := []string{why}
	if len(m.Items) == 1 && m.First().Incident.Unmapped {
		lines = append(lines, "No SLO claims the alert behind this incident, so it has the priority of unmapped alerts.")
	}
	times := []time.Time{}
	for i := range m.Items {
		it := &m.Items[i]
		times = append(times, Began(&it.Incident), it.NextBy)
	}
	return append(lines, "Times are "+clock.Zones(times...)+".")
}
