package wiki

import (
	"fmt"
	"strings"
	"time"

	"github.com/prometheus/alertmanager/timeinterval"

	"sitrep/incident"
)

// quiet says when a quiet time is, such as "22:00 to 24:00, Saturday and Sunday,
// but for P1".
func quiet(q incident.Quiet) string {
	var all []string
	for _, ti := range q.Times {
		all = append(all, interval(ti))
	}
	text := strings.Join(all, "; ")
	if len(q.Unless) > 0 {
		text += ", but for " + strings.Join(lines(q.Unless), ", ")
	}
	return text
}

func interval(ti timeinterval.TimeInterval) string {
	var parts []string
	add := func(ranges []string) {
		if len(ranges) > 0 {
			parts = append(parts, strings.Join(ranges, " and "))
		}
	}
	var times, weekdays, days, months, years []string
	for _, t := range ti.Times {
		times = append(times, clock(t.StartMinute)+" to "+clock(t.EndMinute))
	}
	for _, r := range ti.Weekdays {
		weekdays = append(weekdays, span(time.Weekday(r.Begin).String(), time.Weekday(r.End).String()))
	}
	for _, r := range ti.DaysOfMonth {
		days = append(days, "day "+span(day(r.Begin), day(r.End)))
	}
	for _, r := range ti.Months {
		months = append(months, span(time.Month(r.Begin).String(), time.Month(r.End).String()))
	}
	for _, r := range ti.Years {
		years = append(years, span(fmt.Sprint(r.Begin), fmt.Sprint(r.End)))
	}
	add(times)
	add(weekdays)
	add(days)
	add(months)
	add(years)
	if ti.Location != nil && ti.Location.Location != nil {
		parts = append(parts, "in "+ti.Location.String())
	}
	if len(parts) == 0 {
		return "always"
	}
	return strings.Join(parts, ", ")
}

func span(from, to string) string {
	if from == to {
		return from
	}
	return from + " to " + to
}

// day writes a day of the month; negative ones count from its end.
func day(n int) string {
	if n == -1 {
		return "the last"
	}
	if n < 0 {
		return fmt.Sprintf("%d before the end", -n-1)
	}
	return fmt.Sprint(n)
}

func clock(minute int) string { return fmt.Sprintf("%02d:%02d", minute/60, minute%60) }
