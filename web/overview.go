package web

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"slices"

	"sitrep/incident"
	"sitrep/storage"
	"sitrep/wording"
)

// How many incidents a page shows.
const (
	openShown    = 100 // of those that are open, and of any list alone
	earlierShown = 10  // of the resolved and of the closed, below what is open
	cardsShown   = 6   // so many stand as cards, more as lines
	foundCounted = 200 // of each state, of those that have a text; beyond it is "200+"
)

type overviewPage struct {
	layout
	Filter filter
	Silent []pulseInfo // the pulses of the watchdog that are away
	Canary canaryInfo
	Counts []stateCount
	// Lists are that of what is open and those below it, or the one that was asked for.
	Lists []incidentList
	Only  bool // one list, of a state that was asked for or a later page
	Late  int  // of the open ones that are shown: their update is overdue
}

// A filter is what was asked for, and what can be.
type filter struct {
	State, Priority, Team, Text string
	Sort                        string
	Priorities, Teams           []string
	Set                         bool
	query                       url.Values
}

// An incidentList is a list of incidents of one state, or of all.
type incidentList struct {
	State incident.State // empty: of all
	Rows  []row
	Cards bool
	Pick  bool // several of them can be chosen
	All   bool // and are
	// Total is how many fit; 0 if they were not counted to their end.
	Total int
	// Next is the query of the next page, Alone that of the list alone, Choose that of the same
	// with all chosen; empty: there is none.
	Next, Alone, Choose string
}

// A stateCount is how many incidents there are of a state, and of each priority.
type stateCount struct {
	Name  string
	Link  string
	Count int
	More  bool // there are more, which were not counted
	Here  bool
	// Priorities are left out but for what is open.
	Priorities []priorityCount
}

type priorityCount struct {
	Name, Tone, Link string
	Count            int
	Here             bool
}

// A sorting is an order of a list that can be asked for.
type sorting struct {
	Name, Link string
	Here       bool
}

// A row is an incident in a list.
type row struct {
	ID, Title, Priority, Tone string
	Drill, Unmapped           bool
	Team, Service             string
	State                     incident.State
	Phase                     incident.Phase
	Status                    string // in words
	Since                     *moment
	Lasts                     string
	Ended                     *moment
	By                        string  // who is on it; empty: nobody
	Released                  *moment // since when nobody is, as it was given back
	Next                      *moment
	LateSince                 *moment // the promise that was broken; nil: none was
	Into                      string  // the incident that it was merged into
	Note                      string
}

func (h *Handler) toOverview(w http.ResponseWriter, _ *http.Request) error {
	return redirect(w, "./")
}

func (h *Handler) overview(w http.ResponseWriter, r *http.Request) error {
	p := overviewPage{layout: h.layout(r, "Incidents")}
	p.Filter = newFilter(r.URL.Query(), p.policy)
	cursor := p.Filter.query.Get("cursor")
	p.Only = p.Filter.State != "" || cursor != ""
	// Where all are chosen, none comes to them by itself.
	p.Refresh = cursor == "" && !p.Filter.query.Has("choose")
	return h.show(w, r, "overview", &p, func(tx storage.Snapshot) error {
		p.Lists, p.Revision, p.Late = nil, "", 0
		pulses, err := tx.Pulses(r.Context())
		if err != nil {
			return err
		}
		p.Silent, p.Canary = p.pulses(pulses.Away(p.policy, nil)), p.canary(pulses)
		counts, err := tx.CountIncidents(r.Context())
		if err != nil {
			return err
		}
		b := lister{page: &p, tx: tx, tries: h.Repo.Tries(tx, p.clock.Now), counts: counts}
		if err := b.count(r.Context()); err != nil {
			return err
		}
		p.Counts = p.counts(&b)
		if p.Only {
			return b.add(r.Context(), incident.State(p.Filter.State), openShown, cursor)
		}
		for _, state := range []incident.State{incident.StateOpen, incident.StateResolved, incident.StateClosed} {
			limit := earlierShown
			if state == incident.StateOpen {
				limit = openShown
			}
			if err := b.add(r.Context(), state, limit, ""); err != nil {
				return err
			}
		}
		return nil
	})
}

func newFilter(q url.Values, policy *incident.Policy) filter {
	f := filter{
		State: q.Get("state"), Priority: q.Get("priority"), Team: q.Get("team"), Text: q.Get("q"), Sort: q.Get("sort"),
		Priorities: policy.PriorityNames(), Teams: policy.TeamNames(), query: q,
	}
	if !slices.Contains([]string{string(incident.StateOpen), string(incident.StateResolved), string(incident.StateClosed)}, f.State) {
		f.State = ""
	}
	if !slices.Contains(sortings, f.Sort) {
		f.Sort = ""
	}
	// What is gone from the configuration still finds old incidents.
	if f.Priority != "" && !slices.Contains(f.Priorities, f.Priority) {
		f.Priorities = append(f.Priorities, f.Priority)
	}
	if f.Team != "" && !slices.Contains(f.Teams, f.Team) {
		f.Teams = append(f.Teams, f.Team)
	}
	f.Set = f.State != "" || f.Priority != "" || f.Team != "" || f.Text != ""
	return f
}

// link returns the query of the same page with some values set, or left out if they are empty,
// from its beginning.
func (f *filter) link(values ...string) string {
	q := url.Values{}
	for _, name := range []string{"state", "priority", "team", "q", "sort"} {
		if v := f.query.Get(name); v != "" {
			q.Set(name, v)
		}
	}
	for i := 0; i+1 < len(values); i += 2 {
		if q.Del(values[i]); values[i+1] != "" {
			q.Set(values[i], values[i+1])
		}
	}
	return "?" + q.Encode()
}

// Sortings are the orders that the list can be in.
func (p *overviewPage) Sortings() []sorting {
	var all []sorting
	now := cmp.Or(p.Filter.Sort, p.Filter.order(incident.State(p.Filter.State), p.Only))
	for _, name := range sortings {
		all = append(all, sorting{name, p.Filter.link("sort", name), name == now})
	}
	return all
}

// Open is how many are open that fit, as far as that is known.
func (p *overviewPage) Open() int { return max(p.Lists[0].Total, len(p.Lists[0].Rows)) }

// Nothing reports whether no list has an incident.
func (p *overviewPage) Nothing() bool {
	return !slices.ContainsFunc(p.Lists, func(l incidentList) bool { return len(l.Rows) > 0 })
}

// counts says how many there are of each state, of the team and with the text that were asked for.
func (p *overviewPage) counts(b *lister) []stateCount {
	f := &p.Filter
	var all []stateCount
	for _, state := range []incident.State{incident.StateOpen, incident.StateResolved, incident.StateClosed} {
		s := stateCount{
			Name: string(state), Link: f.link("state", string(state), "priority", "", "sort", ""),
			More: b.uncounted[state], Here: f.State == string(state) && f.Priority == "",
		}
		of := map[string]int{}
		for _, c := range b.fitting {
			if c.State == state && (f.Team == "" || c.Team == f.Team) {
				s.Count += c.Count
				of[c.Priority] += c.Count
			}
		}
		if state == incident.StateOpen {
			for _, name := range priorityNames(p.policy, b.fitting) {
				if of[name] == 0 {
					continue
				}
				tone := "over"
				if q, ok := p.policy.Priority(name); ok {
					tone = wording.Rank(q.Rank)
				}
				s.Priorities = append(s.Priorities, priorityCount{
					wording.Line(name, 20), tone, f.link("state", "open", "priority", name, "sort", ""), of[name],
					f.State == "open" && f.Priority == name,
				})
			}
		}
		all = append(all, s)
	}
	return all
}

// lines are the rows of incidents.
func (l *layout) lines(ctx context.Context, tx storage.Snapshot, tries *storage.Tries, list []incident.Incident) ([]row, error) {
	situations, err := storage.SituationsOf(ctx, tx, list)
	if err != nil {
		return nil, err
	}
	if err := tries.Note(ctx, situations...); err != nil {
		return nil, err
	}
	lines := make([]row, len(situations))
	for i, s := range situations {
		lines[i] = l.row(s)
	}
	return lines, nil
}

func (l *layout) row(s *incident.Situation) row {
	in := &s.Incident
	line := row{
		ID: in.ID(), Title: wording.Headline(in), Priority: wording.Line(in.Priority.Name, 20), Tone: tone(in),
		Drill: in.Drill, Unmapped: in.Unmapped,
		Team: wording.Line(in.Team, 80), Service: wording.Line(in.Service, 80),
		State: in.State, Phase: in.Phase, Status: wording.State(in), By: wording.Line(in.AcknowledgedBy, 80),
	}
	began := wording.Began(in)
	line.Since = l.at(began)
	if in.State != incident.StateOpen {
		ended := wording.Over(in)
		line.Ended, line.Lasts = l.at(ended), wording.Duration(ended.Sub(began))
		switch {
		case in.MergedInto != 0: // its breaches are the other's
			line.Into = incident.ID(in.MergedInto)
		case in.Breaches.Firing > 0:
			line.Note = "breaches still fire"
		}
		return line
	}
	line.Lasts = wording.Duration(l.clock.Now.Sub(began))
	if !in.OnIt() {
		line.By, line.Released = "", l.at(in.ReleasedAt)
	}
	if in.Breaches.Firing == 0 && in.Breaches.Unknown > 0 {
		line.Note = "unknown whether it goes on"
	}
	next, late := s.NextUpdate(l.policy)
	line.Next, line.LateSince = l.at(next), l.at(late)
	return line
}

// tone is the class of the colour of an incident.
func tone(in *incident.Incident) string {
	if in.State != incident.StateOpen {
		return "over"
	}
	return wording.Rank(in.Priority.Rank)
}
