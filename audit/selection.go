package audit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
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
func (s Selection) find(ctx context.Context, r storage.Snapshot) ([]int64, error) {
	chosen := map[int64]bool{}
	if s.Incident != 0 {
		in, err := storage.IncidentOf(ctx, r, s.Incident)
		if err != nil && !errors.Is(err, incident.ErrNotFound) {
			return nil, err
		}
		if err == nil {
			ok, err := s.selects(ctx, r, &in)
			if err != nil {
				return nil, err
			}
			chosen[in.Number] = ok
		}
	} else if err := eachIncident(ctx, r, func(in *incident.Incident) error {
		ok, err := s.selects(ctx, r, in)
		if ok {
			chosen[in.Number] = true
		}
		return err
	}); err != nil {
		return nil, err
	}
	var numbers []int64
	for n, ok := range chosen {
		if ok {
			numbers = append(numbers, n)
		}
	}
	if len(numbers) == 0 {
		return nil, fmt.Errorf("%s: %w", s, ErrNothing)
	}
	return withMerged(ctx, r, numbers)
}

// selects reports whether the incident is meant by itself.
func (s Selection) selects(ctx context.Context, r storage.Snapshot, in *incident.Incident) (bool, error) {
	end := over(in)
	switch {
	case s.Team != "" && in.Team != s.Team,
		!s.To.IsZero() && !in.OpenedAt.Before(s.To),
		!s.From.IsZero() && !end.IsZero() && end.Before(s.From):
		return false, nil
	case s.Priority == "", in.Priority.Name == s.Priority, in.Highest.Name == s.Priority:
		return true, nil
	}
	events, err := eventsOf(ctx, r, in.Number)
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(events, func(e incident.Event) bool {
		o, d := e.Data.Opening, e.Data.Definition
		return o != nil && o.Priority.Name == s.Priority || d != nil && d.Name == s.Priority
	}), nil
}

// withMerged adds what was merged into incidents, and what they were merged into.
func withMerged(ctx context.Context, r storage.Snapshot, numbers []int64) ([]int64, error) {
	known := map[int64]bool{}
	for len(numbers) > 0 {
		n := numbers[len(numbers)-1]
		numbers = numbers[:len(numbers)-1]
		if known[n] {
			continue
		}
		known[n] = true
		in, err := storage.IncidentOf(ctx, r, n)
		if err != nil {
			return nil, err
		}
		numbers = append(numbers, in.MergedFrom...)
		if in.MergedInto != 0 {
			numbers = append(numbers, in.MergedInto)
		}
	}
	all := make([]int64, 0, len(known))
	for n := range known {
		all = append(all, n)
	}
	slices.SortFunc(all, cmp.Compare)
	return all, nil
}
