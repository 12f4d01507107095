package cli

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"sitrep/api"
	"sitrep/incident"
	"sitrep/incident/incidentjson"
	"sitrep/wording"
)

// A table is what a command prints for people: lines whose cells are aligned.
type table struct {
	w     *tabwriter.Writer
	clock wording.Clock
}

// print prints what fn writes, with times as the clock on the wall shows them.
func (c *incidentCLI) print(fn func(*table)) error {
	var b bytes.Buffer
	t := &table{tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0), wording.Clock{Now: c.now(), Location: location(c.env)}}
	fn(t)
	if err := t.w.Flush(); err != nil {
		return err
	}
	for line := range strings.Lines(b.String()) {
		if _, err := fmt.Fprintln(c.env.Stdout, strings.TrimRight(line, " \n")); err != nil {
			return err
		}
	}
	return nil
}

// location is the time zone of who reads.
func location(env Environment) *time.Location {
	if name := env.Getenv("TZ"); name != "" {
		if loc, err := time.LoadLocation(strings.TrimPrefix(name, ":")); err == nil {
			return loc
		}
	}
	return time.Local
}

// row writes cells. What they hold is others' text: what could move the cursor of a
// terminal or turn the direction of writing is taken out.
func (t *table) row(cells ...string) {
	for i := range cells {
		cells[i] = wording.Line(cells[i], 400)
	}
	fmt.Fprintln(t.w, strings.Join(cells, "\t"))
}

// line writes one line that has no cells.
func (t *table) line(format string, args ...any) {
	fmt.Fprintln(t.w, wording.Line(fmt.Sprintf(format, args...), 2000))
}

// at writes a time and how far away it is; nothing if it is not set.
func (t *table) at(at *time.Time) string {
	if at == nil {
		return "-"
	}
	return fmt.Sprintf("%s (%s)", t.clock.Time(*at), t.far(*at))
}

// far writes how far away a time is.
func (t *table) far(at time.Time) string {
	d := t.clock.Now.Sub(at)
	switch {
	case d < 0 && d > -time.Minute, d >= 0 && d < time.Minute:
		return "now"
	case d < 0:
		return "in " + short(-d)
	}
	return short(d) + " ago"
}

// by writes until when something was promised.
func (t *table) by(at *time.Time) string {
	if at == nil {
		return "-"
	}
	if d := t.clock.Now.Sub(*at); d >= time.Minute {
		return fmt.Sprintf("%s (%s late)", t.clock.Time(*at), short(d))
	}
	return t.at(at)
}

// next writes by when the next update comes, and by how much it is late.
func (t *table) next(in *incidentjson.Incident) string {
	if in.NextUpdateAt == nil || in.UpdateLateSince == nil {
		return t.by(in.NextUpdateAt)
	}
	return fmt.Sprintf("%s (%s late)", t.clock.Time(*in.NextUpdateAt), short(t.clock.Now.Sub(*in.UpdateLateSince)))
}

// short writes a duration by its two largest units, such as 2h5m.
func short(d time.Duration) string {
	d = d.Round(time.Minute)
	switch {
	case d >= 24*time.Hour:
		d = d.Truncate(time.Hour)
	case d < time.Minute:
		return "0m"
	}
	return incidentjson.Duration(d)
}

// incidents writes a list of incidents.
func (c *incidentCLI) incidents(t *table, all []incidentjson.Incident) {
	if len(all) == 0 {
		t.line("No incidents.")
		return
	}
	t.row("ID", "PRIORITY", "STATE", "PHASE", "OPENED", "BREACHES", "NEXT UPDATE BY", "TEAM", "USE CASE")
	for i := range all {
		in := &all[i]
		t.row(in.ID, tag(in), string(in.State), string(in.Phase), t.at(in.OpenedAt), counts(in.Breaches), t.next(in), in.Team, headline(in))
	}
}

// tag is the priority, marked where it is a drill.
func tag(in *incidentjson.Incident) string {
	if in.Drill {
		return "DRILL " + in.Priority
	}
	return in.Priority
}

// headline is what is broken, as messages name it.
func headline(in *incidentjson.Incident) string {
	return wording.Headline(&incident.Incident{Number: in.Number, UseCase: in.UseCase, Labels: in.Labels})
}

func counts(b incidentjson.BreachCounts) string {
	text := fmt.Sprintf("%d of %d firing", b.Firing, b.Total)
	if b.Total == 0 {
		return "none"
	}
	if b.Unknown > 0 {
		text += fmt.Sprintf(", %d unknown", b.Unknown)
	}
	return text
}

// incident writes all of one incident.
func (c *incidentCLI) incident(t *table, in *incidentjson.Incident) {
	t.line("%s [%s] %s", in.ID, tag(in), headline(in))
	field := func(name, value string) {
		if value != "" && value != "-" {
			t.row(name, value)
		}
	}
	field("state", string(in.State)+", "+string(in.Phase))
	field("escalated to", in.EscalatedTo)
	if in.SLOPriority != "" && in.SLOPriority != in.Priority {
		field("priority", in.Priority+" (of its SLO: "+in.SLOPriority+")")
	}
	field("informs", joined(in.Audiences))
	field("SLO", in.SLO)
	field("SLI", in.SLI)
	field("service", in.Service)
	field("team", in.Team)
	for _, name := range sortedKeys(in.Labels) {
		field(name, in.Labels[name])
	}
	field("started", t.at(in.StartedAt))
	field("opened", t.at(in.OpenedAt))
	if in.AcknowledgedAt != nil {
		field("acknowledged", t.at(in.AcknowledgedAt))
		if in.ReleasedAt != nil {
			field("given back", t.at(in.ReleasedAt))
		}
		field("on it", in.AcknowledgedBy)
	}
	field("breaches", counts(in.Breaches))
	field("last heard", t.at(in.Breaches.LastHeardAt))
	field("ended", t.at(in.EndedAt))
	field("resolved", t.at(in.ResolvedAt))
	field("closed", t.at(in.ClosedAt))
	if in.MergedInto != nil {
		field("merged into", *in.MergedInto)
	}
	field("merged from", strings.Join(in.MergedFrom, ", "))
	if in.Previous != nil {
		field("previous", *in.Previous)
	}
	field("last update", t.at(in.LastUpdateAt))
	field("next update by", t.next(in))
	field("sequence", fmt.Sprint(in.Sequence))
	for _, a := range in.Actions {
		text := string(a.State)
		if a.DueAt != nil && a.State == incident.ActionDue {
			text += " by " + t.by(a.DueAt)
		}
		field("action "+a.Name, strings.Join(nonEmpty(text, a.Link, a.Reason), ", "))
	}
	for _, l := range in.Links {
		field(l.Name, l.URL)
	}
}

// done says where an incident stands after a command.
func (c *incidentCLI) done(t *table, in *incidentjson.Incident) {
	text := fmt.Sprintf("%s [%s] is %s", in.ID, tag(in), in.State)
	switch {
	case in.MergedInto != nil:
		text += ", merged into " + *in.MergedInto
	case in.State == incident.StateOpen:
		text += ", " + string(in.Phase)
	}
	if in.NextUpdateAt != nil {
		text += "; next update by " + t.next(in)
	}
	var due []string
	for _, a := range in.Actions {
		if a.State == incident.ActionDue {
			due = append(due, a.Name)
		}
	}
	if len(due) > 0 && in.State == incident.StateResolved {
		text += "; to be done before closing: " + strings.Join(due, ", ")
	}
	t.line("%s", text)
}

// previewed says what a command would bring about.
func (c *incidentCLI) previewed(t *table, p *api.Preview) {
	t.line("Nothing was changed. This would happen:")
	readers := func(what string, all []api.PreviewReader) {
		for _, r := range all {
			t.row("  "+what, r.Recipient, r.Group, string(r.Audience))
		}
	}
	readers("joins", p.Joins)
	readers("leaves", p.Leaves)
	for _, m := range p.Messages {
		t.row("  is told", m.Recipient, string(m.Kind), t.at(m.DueAt))
	}
	if len(p.Joins)+len(p.Leaves)+len(p.Messages) == 0 {
		t.line("  nobody gets a message by this")
	}
	audiences := func(all []incident.Audience) string {
		if len(all) == 0 {
			return "nobody"
		}
		return wording.AudienceNames(all)
	}
	for _, l := range p.Later {
		t.line("With their next message %s read:", audiences(l.Audiences))
		for _, line := range l.Lines {
			t.line("  %s", line)
		}
		if len(l.Lines) == 0 {
			t.line("  nothing of it")
		}
	}
	if p.NextUpdateAt != nil {
		t.line("Next update by %s", t.by(p.NextUpdateAt))
	}
	c.renderings(t, p, audiences)
}

// renderings shows what the messages of a preview say, each once.
func (c *incidentCLI) renderings(t *table, p *api.Preview, audiences func([]incident.Audience) string) {
	var seen []api.PreviewRendered
	for _, m := range p.Messages {
		if m.Rendered == nil || slices.ContainsFunc(seen, func(r api.PreviewRendered) bool { return reflect.DeepEqual(r, *m.Rendered) }) {
			continue
		}
		r := *m.Rendered
		seen = append(seen, r)
		t.line("")
		t.line("--- To %s: %s", audiences(r.Audiences), m.Kind)
		if r.Subject != "" {
			t.line("Subject: %s", r.Subject)
			t.line("")
		}
		for line := range strings.Lines(r.Text) {
			t.line("%s", strings.TrimRight(line, "\r\n"))
		}
	}
}

func (c *incidentCLI) breaches(t *table, all []incidentjson.Breach) {
	if len(all) == 0 {
		t.line("No breaches.")
		return
	}
	t.row("FINGERPRINT", "STATE", "PRIORITY", "STARTED", "ENDED", "LAST HEARD", "LABELS")
	for i := range all {
		b := &all[i]
		var labels []string
		for _, name := range sortedKeys(b.Labels) {
			labels = append(labels, fmt.Sprintf("%s=%q", name, b.Labels[name]))
		}
		t.row(b.Fingerprint, string(b.State), b.Priority, t.at(b.StartsAt), t.at(b.EndsAt), t.at(b.HeardAt), strings.Join(labels, " "))
	}
}

func (c *incidentCLI) deliveries(t *table, all []incidentjson.Delivery) {
	if len(all) == 0 {
		t.line("No messages.")
		return
	}
	t.row("INCIDENT", "KIND", "RECIPIENT", "GROUP", "AUDIENCE", "DUE", "SENT", "STATE", "ERROR")
	for i := range all {
		d := &all[i]
		t.row(strings.Join(d.Incidents, " "), string(d.Kind), d.Recipient, d.Group, string(d.Audience), t.at(d.DueAt), t.at(d.SentAt), string(d.State), d.Error)
	}
}
