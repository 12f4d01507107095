package audit

import (
	"bufio"
	"cmp"
	"embed"
	"fmt"
	"html/template"
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"sitrep/incident"
	"sitrep/wording"
)

// PagePolicy is the Content-Security-Policy under which the pages of this package are
// whole: they have no script and ask for nothing.
const PagePolicy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

//go:embed templates/*.html
var templateFiles embed.FS

// maxRows is how many rows a table of the page has at most. CSV and JSON have all.
const maxRows = 200

// pageTemplates returns the templates with times in a location, and links to sitrep's pages at a
// URL; empty: without.
func pageTemplates(loc *time.Location, base string) (*template.Template, error) {
	funcs := template.FuncMap{
		"add":      func(a, b float64) float64 { return a + b },
		"middle":   func(x, width float64) float64 { return x + width/2 },
		"percent":  percent,
		"inWords":  inWords,
		"between":  func(from, to time.Time) string { return words(to.Sub(from)) },
		"stamp":    func(t time.Time) string { return t.In(loc).Format(pageTime) },
		"day":      func(t time.Time) string { return t.In(loc).Format("2 January 2006") },
		"last":     func(t time.Time) string { return t.Add(-time.Microsecond).In(loc).Format("2 January 2006") },
		"audience": func(a incident.Audience) string { return strings.ReplaceAll(string(a), "_", " ") },
		"audiences": func(list []incident.Audience) string {
			return audiences(list)
		},
		"incidentURL": func(id string) string {
			if base == "" {
				return ""
			}
			return base + "/incidents/" + id
		},
		"numbers":  numbers,
		"lateBy":   func(l Lateness) string { return lateBy(l) },
		"shorten":  shorten,
		"headline": wording.Headline,
		"affected": wording.Affected,
		"cause":    func(l Lateness) string { return shorten(cmp.Or(inZone(l.cause, loc), l.Cause)) },
		"rest":     func(n int) int { return n - 10 },
		"by": func(by string, rows []namedFigures) any {
			return struct {
				By   string
				Rows []namedFigures
			}{by, rows}
		},
		"row": func(name string, t Tally, messages string) any {
			return struct {
				Name string
				Tally
				Messages string
			}{name, t, messages}
		},
	}
	return template.New("").Funcs(funcs).ParseFS(templateFiles, "templates/*.html")
}

// numbers writes sequence numbers, the first of many.
func numbers(list []int64) string {
	const most = 8
	var b strings.Builder
	for i, n := range list[:min(len(list), most)] {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprint(&b, n)
	}
	if len(list) > most {
		fmt.Fprintf(&b, " … %d", list[len(list)-1])
	}
	return b.String()
}

func lateBy(l Lateness) string {
	if l.SentAt.IsZero() {
		return "waiting"
	}
	return words(l.SentAt.Sub(l.Promised)) + " late"
}

// shorten cuts what a mail server said to what fits into a table.
func shorten(s string) string {
	const most = 160
	if len(s) <= most {
		return s
	}
	cut := most
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}

// A named part of the figures is a row of a table.
type namedFigures struct {
	Name    string
	Figures *Figures
	// Incidents is the name of the rows with its incidents; empty if none is shown. OnCall is where
	// its messages to those on call are; empty: nowhere.
	Incidents, OnCall string
}

// An openedGroup are the incidents of a priority that opened.
type openedGroup struct {
	Name, Priority string
	Rows           []openedIncident
}

// A reportPage is what templates/report.html shows.
type reportPage struct {
	*Report
	Promises                        Tally
	OpeningsByMonth, UpdatesByMonth stacked
	TeamChart                       stacked
	PriorityRows, TeamRows          []namedFigures
	Times                           []ranges
	LevelChart                      ranges
	Causes                          []causeCount
	LateRows                        []Lateness
	ChangeRows                      []PriorityChange
	ActionRows                      []OpenAction
	ReturningRows                   []Returning
	UnmappedIDs                     []string
	Opened                          []openedGroup
	URL                             string
	Messages                        string // where all messages are that were due; empty: nowhere
	Hidden                          bool   // the messages are not for whoever reads this

	OpenedCaption, LateCaption, ChangeCaption, ActionCaption, ReturningCaption string
}

type causeCount struct {
	Cause Cause
	Count int
}

// WriteHTML writes the report as one page that asks for nothing else, made to be read
// and to be printed. Long tables are cut; the page says where.
func (rep *Report) WriteHTML(w io.Writer) error {
	t, err := pageTemplates(rep.location, rep.url)
	if err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	p := reportPage{Report: rep, Promises: rep.Total.Promises(), URL: rep.url, Hidden: rep.hidden}
	due := url.Values{"from": {rep.From.UTC().Format(time.RFC3339)}, "to": {rep.To.UTC().Format(time.RFC3339)}}
	if rep.url != "" {
		p.Messages = rep.url + "/deliveries?" + due.Encode()
	}
	opened := rep.opened[:min(len(rep.opened), maxRows)]
	if p.OpenedCaption = plural(len(opened), "incident", "incidents"); len(rep.opened) > maxRows {
		p.OpenedCaption = fmt.Sprintf("The first %d of %d incidents", maxRows, len(rep.opened))
	}
	anchors := map[string]string{}
	for i := range opened {
		if name := opened[i].Highest.Name; anchors[name] == "" {
			anchors[name] = fmt.Sprint("opened-", len(p.Opened)+1)
			p.Opened = append(p.Opened, openedGroup{Name: anchors[name], Priority: name})
		}
		group := &p.Opened[len(p.Opened)-1]
		group.Rows = append(group.Rows, opened[i])
	}
	months, priorities, teams := rep.Months(), rep.Priorities(), rep.Teams()
	p.OpeningsByMonth = newStacked("Openings", months, func(m string) Tally { return rep.ByMonth[m].Openings })
	p.UpdatesByMonth = newStacked("Updates", months, func(m string) Tally { return rep.ByMonth[m].Updates })
	p.TeamChart = newStacked("Openings and updates", teams, func(n string) Tally { return rep.ByTeam[n].Promises() })
	for _, n := range priorities {
		p.PriorityRows = append(p.PriorityRows, namedFigures{Name: n, Figures: rep.ByPriority[n], Incidents: anchors[n]})
	}
	for _, n := range teams {
		row := namedFigures{Name: n, Figures: rep.ByTeam[n], Incidents: "incidents"}
		if rep.url != "" && n != NoTeam {
			due.Set("group", n)
			row.OnCall = rep.url + "/deliveries?" + due.Encode()
		}
		p.TeamRows = append(p.TeamRows, row)
	}
	for _, measured := range []struct {
		title string
		of    func(*Figures) Spread
	}{
		{"Until somebody acknowledged", func(f *Figures) Spread { return f.Acknowledge }},
		{"Until it was resolved", func(f *Figures) Spread { return f.Resolve }},
		{"Until it was closed", func(f *Figures) Spread { return f.Close }},
		{"How long the trouble was", func(f *Figures) Spread { return f.Trouble }},
	} {
		p.Times = append(p.Times, newRanges(measured.title, priorities, func(n string) Spread { return measured.of(rep.ByPriority[n]) }))
	}
	p.LevelChart = newRanges("How long incidents stayed at a priority", slices.Sorted(maps.Keys(rep.Levels)), func(n string) Spread { return *rep.Levels[n] })
	p.Causes = causeCounts(&rep.Total)
	p.LateRows, p.LateCaption = cut(rep.Late, "message, those to the teams on call among them", "messages, those to the teams on call among them")
	p.ChangeRows, p.ChangeCaption = cut(rep.Changes, "change", "changes")
	p.ActionRows, p.ActionCaption = cut(rep.Actions, "action that is not done", "actions that are not done")
	p.ReturningRows, p.ReturningCaption = cut(rep.Returning, "SLO or use case", "SLOs and use cases")
	p.UnmappedIDs = rep.Unmapped.Incidents[:min(len(rep.Unmapped.Incidents), maxRows)]
	out := bufio.NewWriter(w)
	if err := t.ExecuteTemplate(wording.Shown(out), "report", p); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

// cut returns the first rows, and a caption that says of how many.
func cut[T any](rows []T, one, many string) ([]T, string) {
	if len(rows) <= maxRows {
		return rows, plural(len(rows), one, many)
	}
	return rows[:maxRows], fmt.Sprintf("The first %d of %d %s; the JSON has all", maxRows, len(rows), many)
}

func causeCounts(f *Figures) []causeCount {
	sum := map[Cause]int{}
	for _, t := range []*Tally{&f.Openings, &f.Updates} {
		for c, n := range t.Causes {
			sum[c] += n
		}
	}
	var list []causeCount
	for c, n := range sum {
		list = append(list, causeCount{c, n})
	}
	slices.SortFunc(list, func(a, b causeCount) int { return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Cause, b.Cause)) })
	return list
}
