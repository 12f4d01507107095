package incident

import (
	"slices"
	"time"
)

// quietUntil returns when a message that is due at t may be sent to the reader: t
// itself, or the end of the quiet time that t is in. A reader is quiet only while
// all of its groups are, and never for a priority that one of them exempts.
func (r *Reader) quietUntil(t time.Time, priorities ...string) time.Time {
	// Every step leaves one quiet time of one group. Quiet times that never end, such as
	// all days of the week, would go on for ever: after a year of them it is sent.
	end := t.AddDate(1, 0, 0)
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

func (g *Group) quietAt(t time.Time, priorities []string) bool {
	for _, q := range g.Quiet {
		if slices.ContainsFunc(q.Unless, func(p string) bool { return slices.Contains(priorities, p) }) {
			continue
		}
		for _, ti := range q.Times {
			// One with a location of its own goes by that.
			if ti.ContainsTime(t.In(g.Location)) {
				return true
			}
		}
	}
	return false
}

// boundaryAfter returns the next time after t at which a quiet time can begin or
// end: a time of day that one names, or midnight, in the zone that holds for it.
func (g *Group) boundaryAfter(t time.Time) time.Time {
	var next time.Time
	for _, q := range g.Quiet {
		for _, ti := range q.Times {
			loc := g.Location
			if ti.Location != nil && ti.Location.Location != nil {
				loc = ti.Location.Location
			}
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
