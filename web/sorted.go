package web

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"sitrep/incident"
	"sitrep/storage"
)

// sortings are the orders of a list that can be asked for.
var sortings = []string{"priority", "newest", "oldest", "team"}

// order is the order that a list has if none was asked for: what is open by its priority,
// what is over by when it came.
func (f *filter) order(state incident.State, only bool) string {
	if state == incident.StateOpen || state == "" && !only {
		return "priority"
	}
	return "newest"
}

// A lister makes the lists of a page out of one snapshot.
type lister struct {
	page   *overviewPage
	tx     storage.Snapshot
	tries  *storage.Tries
	counts []storage.IncidentCount
	// fitting are those of counts that have the text that was asked for; all, if none was. Of the
	// states in uncounted there are more.
	fitting   []storage.IncidentCount
	uncounted map[incident.State]bool
}

// count finds how many incidents of each state have the text that was asked for.
func (b *lister) count(ctx context.Context) error {
	f := &b.page.Filter
	if b.fitting, b.uncounted = b.counts, nil; f.Text == "" {
		return nil
	}
	b.fitting, b.uncounted = nil, map[incident.State]bool{}
	for _, state := range []incident.State{incident.StateOpen, incident.StateResolved, incident.StateClosed} {
		found, next, err := b.tx.Incidents(ctx, storage.IncidentQuery{State: state, Team: f.Team, Text: f.Text, Limit: foundCounted})
		if err != nil {
			return err
		}
		for i := range found {
			b.fitting = append(b.fitting, storage.IncidentCount{State: state, Priority: found[i].Priority.Name, Team: found[i].Team, Count: 1})
		}
		b.uncounted[state] = next != ""
	}
	return nil
}

// add adds the page of a list that begins at a cursor.
func (b *lister) add(ctx context.Context, state incident.State, limit int, cursor string) error {
	p, f := b.page, &b.page.Filter
	l := incidentList{State: state, Pick: p.CanAct && state != incident.StateClosed && state != "", All: f.query.Get("choose") == "all"}
	l.Pick = l.Pick && (p.Only || state == incident.StateOpen)
	sort := f.order(state, p.Only)
	if p.Only || state == incident.StateOpen {
		sort = cmp.Or(f.Sort, sort)
	}
	found, next, err := b.sorted(ctx, storage.IncidentQuery{State: state, Priority: f.Priority, Team: f.Team, Text: f.Text, Limit: limit}, sort, cursor)
	if err != nil {
		return err
	}
	if sort == "priority" && cursor == "" && next == "" {
		// Drills come last, where all can be seen at once.
		slices.SortStableFunc(found, func(a, b incident.Incident) int { return last(a.Drill) - last(b.Drill) })
	}
	if l.Rows, err = p.lines(ctx, b.tx, b.tries, found); err != nil {
		return err
	}
	for i, line := range l.Rows {
		if state != incident.StateOpen {
			break
		}
		if line.LateSince != nil {
			p.Late++
		}
		p.Revision += line.ID + "." + strconv.FormatInt(found[i].Sequence, 10) + " "
	}
	l.Cards = state == incident.StateOpen && len(l.Rows) <= cardsShown && cursor == "" && next == ""
	if !b.uncounted[state] && (state != "" || f.Text == "") {
		for _, c := range b.fitting {
			if (state == "" || c.State == state) && (f.Priority == "" || c.Priority == f.Priority) && (f.Team == "" || c.Team == f.Team) {
				l.Total += c.Count
			}
		}
	}
	alone := f.link("state", string(state))
	switch {
	case next == "":
	case p.Only, state == incident.StateOpen:
		l.Next = alone + "&cursor=" + url.QueryEscape(next)
	default:
		l.Alone = f.link("state", string(state), "sort", "")
	}
	if l.Pick && len(l.Rows) > 1 && !l.All {
		l.Choose = alone + "&choose=all"
		if cursor != "" {
			l.Choose += "&cursor=" + url.QueryEscape(cursor)
		}
	}
	p.Lists = append(p.Lists, l)
	return nil
}

// sorted returns a page of a list in an order. By priority and by team it is one list of the
// store after the other, each asked for what is still missing: the cursor says how far the page
// got in one, and in which.
func (b *lister) sorted(ctx context.Context, q storage.IncidentQuery, sort, cursor string) (found []incident.Incident, next string, err error) {
	inner, at, _ := strings.Cut(cursor, ":")
	names, from := []string{""}, 0
	set := func(q *storage.IncidentQuery, _ string) {}
	switch {
	case sort == "priority" && q.Priority == "":
		names = priorityNames(b.page.policy, b.counts)
		set = func(q *storage.IncidentQuery, name string) { q.Priority = name }
	case sort == "team" && q.Team == "":
		names = teamNames(b.counts)
		set = func(q *storage.IncidentQuery, name string) { q.Team, q.NoTeam = name, name == "" }
	}
	if cursor != "" {
		if from = slices.Index(names, at); from < 0 {
			return nil, "", badCursor(cursor)
		}
	}
	q.OldestFirst = sort != "newest"
	left := q.Limit
	for i, name := range names[from:] {
		of := q
		if set(&of, name); !b.any(&of) {
			continue
		}
		if of.Limit = left; left == 0 {
			of.Limit = 1 // is there one more?
		}
		if i == 0 {
			of.Cursor = inner
		}
		page, more, err := b.tx.Incidents(ctx, of)
		switch {
		case err != nil:
			return nil, "", err
		case left == 0 && len(page) > 0:
			return found, ":" + name, nil
		}
		found = append(found, page...)
		left = q.Limit - len(found)
		if more != "" {
			return found, more + ":" + name, nil
		}
	}
	return found, "", nil
}

// badCursor is the error for a cursor that did not come with a page before.
func badCursor(cursor string) error {
	return &incident.Problem{Kind: incident.ErrInvalid, Text: fmt.Sprintf("the page %q is none of this list; begin with its first", cursor)}
}

// any reports whether there are incidents that fit a query but for its text.
func (b *lister) any(q *storage.IncidentQuery) bool {
	return slices.ContainsFunc(b.counts, func(c storage.IncidentCount) bool {
		return (q.State == "" || c.State == q.State) && (q.Priority == "" || c.Priority == q.Priority) &&
			(q.Team == "" || c.Team == q.Team) && (!q.NoTeam || c.Team == "")
	})
}

// priorityNames are those of the configuration, the highest first, and then those that only
// incidents have.
func priorityNames(p *incident.Policy, counts []storage.IncidentCount) []string {
	names := p.PriorityNames()
	gone := map[string]bool{}
	for _, c := range counts {
		if !slices.Contains(names, c.Priority) {
			gone[c.Priority] = true
		}
	}
	return append(slices.Clone(names), slices.Sorted(maps.Keys(gone))...)
}

// teamNames are the teams that have incidents, in order; last what has no team.
func teamNames(counts []storage.IncidentCount) []string {
	names := map[string]bool{}
	for _, c := range counts {
		names[c.Team] = true
	}
	sorted := slices.Sorted(maps.Keys(names))
	if len(sorted) > 0 && sorted[0] == "" {
		sorted = append(sorted[1:], "")
	}
	return sorted
}

// last orders what is so behind what is not.
func last(is bool) int {
	if is {
		return 1
	}
	return 0
}
