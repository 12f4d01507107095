package audit

import (
	"cmp"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"sitrep/wording"
)

// WriteJSON writes the report as JSON.
func (rep *Report) WriteJSON(w io.Writer) error {
	b, err := json.MarshalIndent(rep, "", "  ")
	if err == nil {
		_, err = w.Write(append(wording.EscapeJSON(b), '\n'))
	}
	if err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

// csvColumns are the columns of the CSV after month, team and priority.
var csvColumns = []struct {
	name  string
	value func(*Figures) string
}{
	{"incidents", func(f *Figures) string { return strconv.Itoa(f.Incidents) }},
	{"openings_owed", func(f *Figures) string { return strconv.Itoa(f.Openings.Owed) }},
	{"openings_on_time", func(f *Figures) string { return strconv.Itoa(f.Openings.OnTime) }},
	{"openings_held", func(f *Figures) string { return strconv.Itoa(f.Openings.Held) }},
	{"openings_late", func(f *Figures) string { return strconv.Itoa(f.Openings.Late) }},
	{"openings_missed", func(f *Figures) string { return strconv.Itoa(f.Openings.Missed) }},
	{"updates_owed", func(f *Figures) string { return strconv.Itoa(f.Updates.Owed) }},
	{"updates_on_time", func(f *Figures) string { return strconv.Itoa(f.Updates.OnTime) }},
	{"updates_held", func(f *Figures) string { return strconv.Itoa(f.Updates.Held) }},
	{"updates_late", func(f *Figures) string { return strconv.Itoa(f.Updates.Late) }},
	{"updates_missed", func(f *Figures) string { return strconv.Itoa(f.Updates.Missed) }},
	{"on_call_owed", func(f *Figures) string { return strconv.Itoa(f.OnCall.Owed) }},
	{"on_call_late", func(f *Figures) string { return strconv.Itoa(f.OnCall.Late) }},
	{"on_call_missed", func(f *Figures) string { return strconv.Itoa(f.OnCall.Missed) }},
	{"time_to_acknowledge_median_seconds", func(f *Figures) string { return seconds(f.Acknowledge, f.Acknowledge.Median) }},
	{"time_to_acknowledge_p90_seconds", func(f *Figures) string { return seconds(f.Acknowledge, f.Acknowledge.P90) }},
	{"time_to_resolve_median_seconds", func(f *Figures) string { return seconds(f.Resolve, f.Resolve.Median) }},
	{"time_to_resolve_p90_seconds", func(f *Figures) string { return seconds(f.Resolve, f.Resolve.P90) }},
	{"time_to_close_median_seconds", func(f *Figures) string { return seconds(f.Close, f.Close.Median) }},
	{"time_to_close_p90_seconds", func(f *Figures) string { return seconds(f.Close, f.Close.P90) }},
	{"length_of_trouble_median_seconds", func(f *Figures) string { return seconds(f.Trouble, f.Trouble.Median) }},
	{"length_of_trouble_p90_seconds", func(f *Figures) string { return seconds(f.Trouble, f.Trouble.P90) }},
	{"priority_raised", func(f *Figures) string { return strconv.Itoa(f.Raised) }},
	{"priority_lowered", func(f *Figures) string { return strconv.Itoa(f.Lowered) }},
	{"reopenings", func(f *Figures) string { return strconv.Itoa(f.Reopenings) }},
	{"actions_done", func(f *Figures) string { return strconv.Itoa(f.Actions.Done) }},
	{"actions_waived", func(f *Figures) string { return strconv.Itoa(f.Actions.Waived) }},
	{"actions_open", func(f *Figures) string { return strconv.Itoa(f.Actions.Open) }},
	{"actions_overdue", func(f *Figures) string { return strconv.Itoa(f.Actions.Overdue) }},
}

// seconds is empty where nothing was measured: none is not the same as at once.
func seconds(s Spread, v float64) string {
	if s.Count == 0 {
		return ""
	}
	return strconv.FormatFloat(v, 'f', -1, 64)
}

// WriteCSV writes a row for each month, team and priority. Counts may be added up
// over rows, medians and percentiles may not.
func (rep *Report) WriteCSV(w io.Writer) error {
	out := csv.NewWriter(w)
	header := []string{"month", "team", "priority"}
	for _, c := range csvColumns {
		header = append(header, c.name)
	}
	// An error stays with the writer, for the end.
	_ = out.Write(header)
	cells := slices.SortedFunc(maps.Keys(rep.cells), func(a, b cell) int {
		return cmp.Or(cmp.Compare(a.month, b.month), cmp.Compare(a.team, b.team), cmp.Compare(a.priority, b.priority))
	})
	for _, c := range cells {
		row := []string{c.month, harmless(c.team), harmless(c.priority)}
		for _, column := range csvColumns {
			row = append(row, column.value(rep.cells[c]))
		}
		_ = out.Write(row)
	}
	out.Flush()
	if err := out.Error(); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

// harmless keeps a spreadsheet from taking a text for a formula, which begins with a sign,
// a wide one where people write such, and maybe after spaces.
func harmless(s string) string {
	s = wording.Line(s, longestCell)
	first, _ := utf8.DecodeRuneInString(s)
	if s != "" && strings.ContainsRune("=+-@\uff1d\uff0b\uff0d\uff20", first) {
		return "'" + s
	}
	return s
}

// longestCell is how many characters of a name a cell has.
const longestCell = 1000

// Write writes the report as json, csv or html.
func (rep *Report) Write(w io.Writer, format string) error {
	switch format {
	case "json":
		return rep.WriteJSON(w)
	case "csv":
		return rep.WriteCSV(w)
	case "html":
		return rep.WriteHTML(w)
	}
	return fmt.Errorf("no format %q; use json, csv or html", format)
}
