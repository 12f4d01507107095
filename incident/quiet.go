package incident

import (
	"slices"
	"time"

	"github.com/prometheus/alertmanager/timeinterval"
)

// longestQuiet is how long quiet times may last without a minute between them, give or
// take a day. What is longer holds nothing back, and a configuration cannot ask for it.
const longestQuiet = 400 * 24 * time.Hour

// quietUntil returns when a message that is due at t may be sent to the reader: t
// itself, or the end of the quiet time that t is in. A reader is quiet only while
// all of its groups are, and never for a priority that one of them exempts.
func (r *Reader) quietUntil(t time.Time, priorities ...string) time.Time {
	// Every step leaves one quiet time of one group.
	end := t.Add(longestQuiet + 24*time.Hour)
	for u := t; u.Before(end); {
		next := u
		for i := range r.groups {
			until := r.groups[i].quietUntil(u, end, priorities)
			if until.Equal(u) {
				return u
			}
			if next.Equal(u) || until.Before(next) {
				next = until
			}
		}
		if next.Equal(u) {
			return u
		}
		u = next
	}
	return t
}

// quietUntil returns the end of the quiet time of the group that u is in, u itself
// if it is in none, and end if it lasts longer than that.
func (g *Group) quietUntil(u, end time.Time, priorities []string) time.Time {
	for u0 := u; ; {
		if !g.quietAt(u, priorities) {
			return u
		}
		if !u.Before(end) {
			return end
		}
		next := g.boundaryAfter(u)
		if !next.After(u) {
			return u0
		}
		u = next
	}
}

// NeverTold returns since when, if ever, the quiet times of the group together leave no
// minute for more than a year in which it could be told of incidents of a priority; of the
// watchdog, if that is empty. It looks at the years from 2025 to 2100, and the time is the
// beginning of the first if it is told of none in the first year.
func (g *Group) NeverTold(priority string) (since time.Time, never bool) {
	exempts := func(q Quiet) bool { return priority != "" && slices.Contains(q.Unless, priority) }
	if !slices.ContainsFunc(g.Quiet, func(q Quiet) bool { return !exempts(q) }) {
		return time.Time{}, false
	}
	first := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	last := time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)
	for since = first; since.Before(last); {
		free, ok := g.freeWithin(since, since.Add(longestQuiet), priority)
		if !ok {
			return since, true
		}
		since = free
	}
	return time.Time{}, false
}

// freeWithin returns a minute after from and not after to in which no quiet time holds a
// priority back; false if there is none.
func (g *Group) freeWithin(from, to time.Time, priority string) (time.Time, bool) {
	// What is free on a day of the week mostly is so on the same day of another.
	const weeks = 56 * 7 * 24 * time.Hour
	if at := from.Add(weeks); !at.After(to) && !g.quietAt(at, []string{priority}) {
		return at, true
	}
	for day := to.Truncate(24 * time.Hour); day.After(from.Add(-24 * time.Hour)); day = day.Add(-24 * time.Hour) {
		end := day.Add(24 * time.Hour)
		for at := day; at.Before(end) && !at.After(to); at = g.boundaryAfter(at) {
			if at.After(from) && !g.quietAt(at, []string{priority}) {
				return at, true
			}
		}
	}
	return time.Time{}, false
}

func (g *Group) quietAt(t time.Time, priorities []string) bool {
	for _, q := range g.Quiet {
		if slices.ContainsFunc(q.Unless, func(p string) bool { return slices.Contains(priorities, p) }) {
			continue
		}
		for _, ti := range q.Times {
			// One with a location of its own goes by that. It is asked about what the clock
			// there shows, in a zone that moves no clocks: else it finds a month with a change
			// of the clock a day too short.
			l := t.In(g.zoneOf(ti))
			ti.Location = nil
			if ti.ContainsTime(time.Date(l.Year(), l.Month(), l.Day(), l.Hour(), l.Minute(), l.Second(), 0, time.UTC)) {
				return true
			}
		}
	}
	return false
}

// zoneOf returns the zone that holds for a quiet time of the group.
func (g *Group) zoneOf(ti timeinterval.TimeInterval) *time.Location {
	if ti.Location != nil && ti.Location.Location != nil {
		return ti.Location.Location
	}
	return g.Location
}

// boundaryAfter returns the next time after t at which a quiet time can begin or
// end: a time of day that one names, or midnight, in the zone that holds for it.
func (g *Group) boundaryAfter(t time.Time) time.Time {
	var next time.Time
	for _, q := range g.Quiet {
		for _, ti := range q.Times {
			loc := g.zoneOf(ti)
			l := t.In(loc)
			minutes := []int{0}
			for _, tr := range ti.Times {
				minutes = append(minutes, tr.StartMinute, tr.EndMinute)
			}
			for day := range 2 {
				for _, m := range minutes {
					at := time.Date(l.Year(), l.Month(), l.Day()+day, m/60, m%60, 0, 0, loc)
					if at.After(t) {
						next = earliest(next, at)
					}
				}
			}
			// A change of the clock moves times of day: look again at each full hour.
			next = earliest(next, t.Truncate(time.Hour).Add(time.Hour))
		}
	}
	return next.UTC()
}
