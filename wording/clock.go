package wording

import (
	"fmt"
	"strings"
	"time"
)

// A Clock writes times as a reader sees them who reads at Now in Location.
type Clock struct {
	Now      time.Time
	Location *time.Location
}

// Time returns t as "15:58", with the day if it is not today and the zone if it is
// not that of Now, as around a change of the clocks.
func (c Clock) Time(t time.Time) string {
	_, now := c.Now.In(c.Location).Zone()
	if _, offset := t.In(c.Location).Zone(); offset != now {
		return c.Full(t)
	}
	return c.hands(t)
}

// Full returns t as "15:58 CEST", with the day if it is not today.
func (c Clock) Full(t time.Time) string {
	return c.hands(t) + " " + c.zone(t)
}

func (c Clock) hands(t time.Time) string {
	t, now := t.In(c.Location), c.Now.In(c.Location)
	switch {
	case t.Year() != now.Year():
		return t.Format("Mon 2 Jan 2006, 15:04")
	case t.YearDay() != now.YearDay():
		return t.Format("Mon 2 Jan, 15:04")
	}
	return t.Format("15:04")
}

func (c Clock) zone(t time.Time) string {
	name, offset := t.In(c.Location).Zone()
	if name == "" || strings.ContainsAny(name, "+-") {
		return utc(offset)
	}
	return Line(name, 10)
}

// Zones says which zone the times are in, such as "Europe/Berlin (CEST is UTC+2)",
// for the zones in force at now and at each of the times.
func (c Clock) Zones(times ...time.Time) string {
	var parts []string
	seen := map[string]bool{}
	for _, t := range append([]time.Time{c.Now}, times...) {
		zone := c.zone(t)
		_, offset := t.In(c.Location).Zone()
		if t.IsZero() || seen[zone] {
			continue
		}
		seen[zone] = true
		if zone != utc(offset) {
			zone += " is " + utc(offset)
		}
		parts = append(parts, zone)
	}
	zones := strings.Join(parts, ", ")
	name := c.Location.String()
	if name == "" || name == "Local" || name == zones || len(parts) > 0 && strings.HasPrefix(zones, name+" ") {
		return zones
	}
	return fmt.Sprintf("%s (%s)", Line(name, 60), zones)
}

func utc(offset int) string {
	if offset == 0 {
		return "UTC"
	}
	sign := '+'
	if offset < 0 {
		sign, offset = '-', -offset
	}
	hours, minutes := offset/3600, offset%3600/60
	if minutes == 0 {
		return fmt.Sprintf("UTC%c%d", sign, hours)
	}
	return fmt.Sprintf("UTC%c%d:%02d", sign, hours, minutes)
}

// Duration returns d in words with its two largest units, such as "2 hours 5
// minutes", rounded down. Seconds are named only below a minute.
func Duration(d time.Duration) string {
	switch {
	case d < time.Second:
		return "less than a second"
	case d < time.Minute:
		return Count(int(d/time.Second), "second")
	case d < time.Hour:
		return Count(int(d/time.Minute), "minute")
	case d < 24*time.Hour:
		return units(int(d/time.Hour), "hour", int(d%time.Hour/time.Minute), "minute")
	}
	return units(int(d/(24*time.Hour)), "day", int(d%(24*time.Hour)/time.Hour), "hour")
}

func units(n int, unit string, m int, smaller string) string {
	if m == 0 {
		return Count(n, unit)
	}
	return Count(n, unit) + " " + Count(m, smaller)
}

// Count returns n and the noun, with an s unless n is 1.
func Count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
