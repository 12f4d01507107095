package wording

import (
	"fmt"
	"strings"
	"time"

	"sitrep/incident"
)

// A Clock writes times as a reader sees them who reads at Now in Location, and Language.
type Clock struct {
	Now      time.Time
	Location *time.Location
	Language *Language // nil: English
}

// clockOf is the clock of the reader of a message.
func clockOf(m *incident.Message) Clock { return Clock{m.At, m.Location, In(m.Language)} }

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
	t, now, l := t.In(c.Location), c.Now.In(c.Location), c.Language.orEnglish()
	switch {
	case t.Year() != now.Year():
		return l.date(t, l.year)
	case t.YearDay() != now.YearDay():
		return l.date(t, l.day)
	}
	return l.date(t, l.hours)
}

func (c Clock) zone(t time.Time) string {
	name, offset := t.In(c.Location).Zone()
	if name == "" || strings.ContainsAny(name, "+-") {
		return utc(offset)
	}
	if own, ok := c.Language.orEnglish().zones[name]; ok {
		return own
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
			zone = c.Language.say("zone.is", "zone", zone, "offset", utc(offset))
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

// Duration returns d in English words, as [Language.Duration] does.
func Duration(d time.Duration) string { return In(english).Duration(d) }

// Duration returns d in words with its two largest units, such as "2 hours 5
// minutes", rounded down. Seconds are named only below a minute.
func (l *Language) Duration(d time.Duration) string {
	switch {
	case d < time.Second:
		return l.say("duration.none")
	case d < time.Minute:
		return l.count("duration.second", int(d/time.Second))
	case d < time.Hour:
		return l.count("duration.minute", int(d/time.Minute))
	case d < 24*time.Hour:
		return l.units("duration.hour", int(d/time.Hour), "duration.minute", int(d%time.Hour/time.Minute))
	}
	return l.units("duration.day", int(d/(24*time.Hour)), "duration.hour", int(d%(24*time.Hour)/time.Hour))
}

func (l *Language) units(unit string, n int, smaller string, m int) string {
	if m == 0 {
		return l.count(unit, n)
	}
	return l.say("duration.and", "larger", l.count(unit, n), "smaller", l.count(smaller, m))
}

// every says that something happens again and again after d, such as "every 2 hours".
func (l *Language) every(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d >= day && d%day < time.Hour:
		return l.count("every.day", int(d/day))
	case d >= time.Hour && d < day && d%time.Hour < time.Minute:
		return l.count("every.hour", int(d/time.Hour))
	case d >= time.Minute && d < time.Hour:
		return l.count("every.minute", int(d/time.Minute))
	}
	return l.say("every.other", "duration", l.Duration(d))
}

// Count returns n and the noun, with an s unless n is 1: for what is no message, which is
// English.
func Count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
