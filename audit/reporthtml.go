package audit

import (
	"bufio"
	"cmp"
	"embed"
	"fmt"
	"html/template"
	"io"
	"maps"
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

// pageTemplates returns the templates with times in a location.
func pageTemplates(loc *time.Location) (*template.Template, error) {
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
		"numbers":  numbers,
		"lateBy":   func(l Lateness) string { return lateBy(l) },
		"shorten":  shorten,
		"headline": wording.Headline,
		"affected": wording.Affected,
		"cause":    func(l Lateness) string { return shorten(cmp.Or(inZone(l.cause, loc), l.Cause)) },
		"row": func(name string, t Tally) any {
			return struct {
				Name string
				Tally
			}{name, t}
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
	UnmappedIDs                     string

	LateCaption, ChangeCaption, ActionCaption, ReturningCaption string
}

type causeCount struct {
	Cause Cause
	Count int
}

// WriteHTML writes the report as one page that asks for nothing else, made to be read
// and to be printed. Long tables are cut; the page says where.
func (rep *Report) WriteHTML(w io.Writer) error {
	t, err := pageTemplates(rep.location)
	if err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	p := reportPage{Report: rep, Promises: rep.Total.Promises()}
	months, priorities, teams := rep.Months(), rep.Priorities(), rep.Teams()
	p.OpeningsByMonth = newStacked("Openings", months, func(m string) Tally { return rep.ByMonth[m].Openings })
	p.UpdatesByMonth = newStacked("Updates", months, func(m string) Tally { return rep.ByMonth[m].Updates })
	p.TeamChart = newStacked("Openings and updates", teams, func(n string) Tally { return rep.ByTeam[n].Promises() })
	for _, n := range priorities {
		p.PriorityRows = append(p.PriorityRows, namedFigures{n, rep.ByPriority[n]})
	}
	for _, n := range teams {
		p.TeamRows = append(p.TeamRows, namedFigures{n, rep.ByTeam[n]})
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
	p.UnmappedIDs = strings.Join(rep.Unmapped.Incidents[:min(len(rep.Unmapped.Incidents), maxRows)], ", ")
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
