package audit

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"sitrep/incident"
	"sitrep/storage"
)

// ErrNothing is a selection that selects nothing.
var ErrNothing = errors.New("nothing found")

// A Selection says which incidents are meant; empty fields select all. With an
// incident come those that were merged into it, and the one that it was merged into.
type Selection struct {
	Incident int64
	// From and To select what was open at some time of the span; To is not part of it.
	From, To time.Time
	Team     string
	// Priority selects what had it at some time.
	Priority string
}

// String says it in words, as "incidents of team web from 1 July 2026, 00:00 UTC on".
func (s Selection) String() string {
	if s == (Selection{}) {
		return "all incidents"
	}
	text := "incidents"
	if s.Incident != 0 {
		text = incident.ID(s.Incident)
	}
	if s.Team != "" {
		text += " of team " + s.Team
	}
	if s.Priority != "" {
		text += " with priority " + s.Priority
	}
	switch {
	case !s.From.IsZero() && !s.To.IsZero():
		text += " from " + moment(s.From) + " up to " + moment(s.To)
	case !s.From.IsZero():
		text += " from " + moment(s.From) + " on"
	case !s.To.IsZero():
		text += " up to " + moment(s.To)
	}
	return text
}

// moment writes the end of a span, with as much of the time as there is.
func moment(t time.Time) string {
	t = t.UTC()
	clock := "15:04"
	if t.Second() != 0 || t.Nanosecond() != 0 {
		clock = "15:04:05.999999999"
	}
	return t.Format("2 January 2006, " + clock + " UTC")
}

// find returns the numbers of the incidents that are meant, in order. The error is
// ErrNothing if there are none.
func (s Selection) find(ctx context.Context, p *past) ([]int64, error) {
	chosen := map[int64]bool{}
	var related []int64 // what was merged with one of those
	choose := func(some []incident.Incident) error {
		for i := range some {
			ok, err := s.selects(ctx, p, &some[i])
			if err != nil {
				return err
			}
			if ok {
				chosen[some[i].Number] = true
				related = append(related, mergedWith(&some[i])...)
			}
		}
		return ctx.Err()
	}
	if s.Incident != 0 {
		some, err := p.incidentsOf(ctx, s.Incident)
		if err == nil {
			err = choose(some)
		}
		if err != nil {
			return nil, err
		}
	} else if err := p.eachIncident(ctx, choose); err != nil {
		return nil, err
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("%s: %w", s, ErrNothing)
	}
	for len(related) > 0 {
		n := related[0]
		if related = related[1:]; chosen[n] {
			continue
		}
		chosen[n] = true
		some, err := p.incidentsOf(ctx, n)
		if err != nil {
			return nil, err
		}
		if len(some) == 0 {
			return nil, storage.NotFound("incident", incident.ID(n))
		}
		related = append(related, mergedWith(&some[0])...)
	}
	return slices.Sorted(maps.Keys(chosen)), nil
}

// mergedWith returns what was merged into an incident, and what it was merged into.
func mergedWith(in *incident.Incident) []int64 {
	if in.MergedInto == 0 {
		return in.MergedFrom
	}
	return append(slices.Clone(in.MergedFrom), in.MergedInto)
}

// selects reports whether the incident is meant by itself.
func (s Selection) selects(ctx context.Context, p *past, in *incident.Incident) (bool, error) {
	end := over(in)
	switch {
	case s.Team != "" && in.Team != s.Team,
		!s.To.IsZero() && !in.OpenedAt.Before(s.To),
		!s.From.IsZero() && !end.IsZero() && end.Before(s.From):
		return false, nil
	case s.Priority == "", in.Priority.Name == s.Priority, in.Highest.Name == s.Priority:
		return true, nil
	}
	events, err := read(ctx, p.Store, func(r storage.Snapshot) ([]incident.Event, error) { return p.events(ctx, r, in.Number) })
	return slices.ContainsFunc(events, func(e incident.Event) bool {
		o, d := e.Data.Opening, e.Data.Definition
		return o != nil && o.Priority.Name == s.Priority || d != nil && d.Name == s.Priority
	}), err
}
