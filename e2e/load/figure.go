package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// A figure is something that was measured, and what it shall be.
type figure struct {
	name  string
	value float64
	goal  float64
	unit  string // of both; empty: it is a ratio or a count
	most  bool   // the goal is the most that it may be, and not the least
	test  string // a test sees to it, and it was not measured
}

// atLeast returns a figure that shall be at least its goal.
func atLeast(name string, value, goal float64, unit string) figure {
	return figure{name: name, value: value, goal: goal, unit: unit}
}

// atMost returns a figure that shall be at most its goal.
func atMost(name string, value, goal float64, unit string) figure {
	return figure{name: name, value: value, goal: goal, unit: unit, most: true}
}

// tested returns a figure that a test sees to.
func tested(name string, goal float64, test string) figure {
	return figure{name: name, goal: goal, most: true, test: test}
}

// reached reports whether the goal is, by the value as it is written.
func (f figure) reached() bool {
	value, err := strconv.ParseFloat(strings.ReplaceAll(number(f.value), ",", ""), 64)
	switch {
	case err != nil:
		return false
	case f.most:
		return value <= f.goal
	}
	return value >= f.goal
}

// row is that of the figure in the table.
func (f figure) row() string {
	sign, measured, is := "≥", number(f.value)+f.in(), "not yet"
	if f.most {
		sign = "≤"
	}
	if f.reached() {
		is = "reached"
	}
	if f.test != "" {
		measured, is = "tested", "by `"+f.test+"`"
	}
	return fmt.Sprintf("| %s | %s | %s %s | %s |\n", f.name, measured, sign, number(f.goal)+f.in(), is)
}

// in is the unit behind a number.
func (f figure) in() string {
	if f.unit == "" {
		return ""
	}
	return " " + f.unit
}

// figureTable is that of figures.
func figureTable(all []figure) string {
	var b strings.Builder
	b.WriteString("| figure | measured | goal | |\n|---|---|---|---|\n")
	for _, f := range all {
		b.WriteString(f.row())
	}
	return b.String()
}

// number writes what was measured: a whole number as one, and else with three digits that count.
func number(f float64) string {
	switch {
	case math.IsNaN(f) || math.IsInf(f, 0):
		return "-"
	case f == math.Trunc(f):
		return thousands(f)
	case f < 0.1:
		return strconv.FormatFloat(f, 'f', 3, 64)
	}
	return digits3(f)
}
