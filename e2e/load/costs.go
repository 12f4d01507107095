package main

import (
	"fmt"
	"strconv"
	"strings"
)

// A column is a thing that costs something.
type column int

// The columns of the page's costs: what one process needs with a file, and one with a database and
// that database.
const (
	fileCPU      column = iota // ms
	replicaCPU                 // ms
	databaseCPU                // ms
	databaseWAL                // KiB
	fileKept                   // KiB
	databaseKept               // KiB
	columns
)

// A unit is what a column is in, and what its sum of a day is called.
type unit struct {
	title, sum string
	per        float64 // units of a cost in one of the sum
}

var units = [columns]unit{
	fileCPU:      {"file: CPU, ms", "with a file: CPU of sitrep, minutes a day", 60_000},
	replicaCPU:   {"database: CPU of sitrep, ms", "with a database: CPU of all processes, minutes a day", 60_000},
	databaseCPU:  {"CPU of the database, ms", "CPU of the database, minutes a day", 60_000},
	databaseWAL:  {"WAL, KiB", "WAL, MiB a day", 1 << 10},
	fileKept:     {"kept in a file, KiB", "kept in a file, GiB a year", (1 << 20) / 365.},
	databaseKept: {"in a database, KiB", "kept in a database, GiB a year", (1 << 20) / 365.},
}

// A kind is something that costs.
type kind int

// The kinds of the page's costs, in the order of its rows.
const (
	ofAlert kind = iota
	ofRepeat
	ofIncident
	ofMail
	ofView
	ofLoading
	ofProcess
	kinds
)

var kindNames = [kinds]string{
	ofAlert:    "an alert, from firing to its end",
	ofRepeat:   "an alert posted again",
	ofIncident: "an incident, with seven commands of people",
	ofMail:     "a mail",
	ofView:     "a page looked at",
	ofLoading:  "a configuration loaded, for each SLO",
	ofProcess:  "a process, idle for a day",
}

// costs are what one of each kind costs.
type costs [kinds][columns]float64

// An example is an organisation as somebody who runs sitrep knows it.
type example struct {
	name                                                 string
	slos, incidents, alerts, repeats, mails, views, load float64
	processes                                            float64
}

// examples are those of the page.
var examples = []example{
	{"small: 20 teams, 200 SLOs, one process", 200, 2, 10, 5, 11, 500, 2, 1},
	{"large: 10,000 teams, 100,000 SLOs, three processes", 100_000, 822, 10, 5, 11, 50_000, 10, 3},
}

// A question is a number that an example answers, and its letter in the formulas.
type question struct {
	letter, what string
	of           func(*example) float64
}

var questions = []question{
	{"S", "SLOs", func(e *example) float64 { return e.slos }},
	{"I", "incidents a day", func(e *example) float64 { return e.incidents }},
	{"A", "alerts of an incident", func(e *example) float64 { return e.alerts }},
	{"R", "times that an alert is posted again while it fires", func(e *example) float64 { return e.repeats }},
	{"M", "mails and webhooks of an incident", func(e *example) float64 { return e.mails }},
	{"V", "pages looked at in a day, by all", func(e *example) float64 { return e.views }},
	{"L", "times a day that a changed configuration is loaded", func(e *example) float64 { return e.load }},
	{"N", "processes", func(e *example) float64 { return e.processes }},
}

// A count says how many of a kind there are in a day: the product of the answers to these letters.
var counts = [kinds]string{ofAlert: "I A", ofRepeat: "I A R", ofIncident: "I", ofMail: "I M", ofView: "V", ofLoading: "L S", ofProcess: "N"}

// count returns how many of a kind an example has in a day. Each process loads a configuration, and it
// is kept once.
func (e *example) count(k kind, c column) float64 {
	n := 1.0
	for letter := range strings.FieldsSeq(counts[k]) {
		for _, q := range questions {
			if q.letter == letter {
				n *= q.of(e)
			}
		}
	}
	if k == ofLoading && c == replicaCPU {
		n *= e.processes
	}
	return n
}

// sum returns what an example costs, in the unit of the column's sum.
func (c *costs) sum(e *example, of column) float64 {
	sum := 0.0
	for k := range kinds {
		sum += e.count(k, of) * c[k][of]
	}
	return sum / units[of].per
}

// written is a cost as the page has it.
func (c *costs) written(k kind, of column) string {
	digits := 3
	for f := c[k][of]; f >= 1 && digits > 0; f /= 10 {
		digits--
	}
	return strconv.FormatFloat(c[k][of], 'f', digits, 64)
}

// read returns costs as they are written: what is computed of them, whoever has the page computes, too.
func (c *costs) read() (out costs, err error) {
	for k := range kinds {
		for of := range columns {
			if out[k][of], err = strconv.ParseFloat(c.written(k, of), 64); err != nil {
				return out, err
			}
		}
	}
	return out, nil
}

// table is that of the costs.
func (c *costs) table() string {
	var b strings.Builder
	b.WriteString("| of | in a day |")
	for of := range columns {
		fmt.Fprintf(&b, " %s |", units[of].title)
	}
	b.WriteString("\n|---|---|" + strings.Repeat("---|", int(columns)) + "\n")
	for k := range kinds {
		fmt.Fprintf(&b, "| %s | %s |", kindNames[k], strings.ReplaceAll(counts[k], " ", " × "))
		for of := range columns {
			fmt.Fprintf(&b, " %s |", c.written(k, of))
		}
		b.WriteString("\n")
	}
	return b.String()
}

// exampleTable is that of the examples: what they say of themselves, and what they come to.
func (c *costs) exampleTable() string {
	var b strings.Builder
	b.WriteString("| | |")
	for i := range examples {
		fmt.Fprintf(&b, " %s |", examples[i].name)
	}
	b.WriteString("\n|---|---|" + strings.Repeat("---|", len(examples)) + "\n")
	for _, q := range questions {
		fmt.Fprintf(&b, "| %s | %s |", q.letter, q.what)
		for i := range examples {
			fmt.Fprintf(&b, " %s |", thousands(q.of(&examples[i])))
		}
		b.WriteString("\n")
	}
	for of := range columns {
		fmt.Fprintf(&b, "| | %s |", units[of].sum)
		for i := range examples {
			fmt.Fprintf(&b, " %s |", digits3(c.sum(&examples[i], of)))
		}
		b.WriteString("\n")
	}
	return b.String()
}

// thousands writes a whole number with commas.
func thousands(f float64) string {
	s := strconv.FormatFloat(f, 'f', 0, 64)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// digits3 writes a number with three digits that count, or as a whole one.
func digits3(f float64) string {
	switch {
	case f >= 100:
		return thousands(f)
	case f >= 10:
		return strconv.FormatFloat(f, 'f', 1, 64)
	}
	return strconv.FormatFloat(f, 'f', 2, 64)
}
