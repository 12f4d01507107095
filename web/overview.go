package web

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"sitrep/incident"
	"sitrep/storage"
	"sitrep/wording"
)

// How many incidents a page shows.
const (
	openShown    = 500
	earlierShown = 25
)

type overviewPage struct {
	layout
	Filter  filter
	Open    []row
	Late    int // of the open ones: their update is overdue
	More    bool
	Silent  []pulseInfo // the pulses of the watchdog that are away
	Earlier []row
	Next    string // the query of the next page; empty: this is the last
	// Only is set if one list is shown: of a state that was asked for, or a later page.
	Only bool
}

// A filter is what was asked for, and what can be.
type filter struct {
	State, Priority, Team, Text string
	Priorities, Teams           []string
	Set                         bool
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
	By                        string // who acknowledged it
	Next                      *moment
	LateSince                 *moment // the promise that was broken; nil: none was
	Note                      string
}

func (h *Handler) toOverview(w http.ResponseWriter, _ *http.Request) error {
	return redirect(w, "./")
}

func (h *Handler) overview(w http.ResponseWriter, r *http.Request) error {
	p := overviewPage{layout: h.layout(r, "Incidents")}
	q := r.URL.Query()
	p.Filter = newFilter(q, p.policy)
	query := storage.IncidentQuery{
		State: incident.State(p.Filter.State), Priority: p.Filter.Priority, Team: p.Filter.Team, Text: p.Filter.Text,
		Limit: earlierShown, Cursor: q.Get("cursor"),
	}
	p.Only = query.State != "" || query.Cursor != ""
	p.Refresh = query.Cursor == ""
	return h.show(w, r, "overview", &p, func(tx storage.Snapshot) error {
		p.Open, p.Earlier, p.Next, p.Revision, p.Late, p.Silent = nil, nil, "", "", 0, nil
		pulses, err := tx.Pulses(r.Context())
		if err != nil {
			return err
		}
		p.Silent = p.pulses(pulses.Away(p.policy, nil))
		tries := h.Repo.Tries(tx, p.clock.Now)
		if !p.Only {
			if err := p.findOpen(r.Context(), tx, tries, query); err != nil {
				return err
			}
		}
		found, next, err := tx.Incidents(r.Context(), query)
		if err != nil {
			return err
		}
		if !p.Only {
			found = slices.DeleteFunc(found, func(in incident.Incident) bool { return in.State == incident.StateOpen })
		}
		if p.Earlier, err = p.lines(r.Context(), tx, tries, found); err != nil {
			return err
		}
		if next != "" {
			q.Set("cursor", next)
			p.Next = "?" + q.Encode()
		}
		return nil
	})
}

func newFilter(q url.Values, policy *incident.Policy) filter {
	f := filter{State: q.Get("state"), Priority: q.Get("priority"), Team: q.Get("team"), Text: q.Get("q"), Priorities: policy.PriorityNames(), Teams: policy.TeamNames()}
	if !slices.Contains([]string{string(incident.StateOpen), string(incident.StateResolved), string(incident.StateClosed)}, f.State) {
		f.State = ""
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

// findOpen finds what is open: the highest priority first, then what opened first.
func (p *overviewPage) findOpen(ctx context.Context, tx storage.Snapshot, tries *storage.Tries, query storage.IncidentQuery) error {
	query.State, query.Limit = incident.StateOpen, openShown
	found, next, err := tx.Incidents(ctx, query)
	if err != nil {
		return err
	}
	p.More = next != ""
	slices.SortStableFunc(found, func(a, b incident.Incident) int {
		return cmp.Or(last(a.Drill)-last(b.Drill), a.Priority.Rank-b.Priority.Rank, int(a.Number-b.Number))
	})
	lines, err := p.lines(ctx, tx, tries, found)
	if err != nil {
		return err
	}
	for i, line := range lines {
		if line.LateSince != nil {
			p.Late++
		}
		p.Open = append(p.Open, line)
		p.Revision += line.ID + "." + strconv.FormatInt(found[i].Sequence, 10) + " "
	}
	return nil
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
		if in.Breaches.Firing > 0 {
			line.Note = "breaches still fire"
		}
		return line
	}
	line.Lasts = wording.Duration(l.clock.Now.Sub(began))
	if in.Breaches.Firing == 0 && in.Breaches.Unknown > 0 {
		line.Note = "unknown whether it goes on"
	}
	next, late := s.NextUpdate(l.policy)
	line.Next, line.LateSince = l.at(next), l.at(late)
	return line
}

// last orders what is so behind what is not.
func last(is bool) int {
	if is {
		return 1
	}
	return 0
}

// tone is the class of the colour of an incident.
func tone(in *incident.Incident) string {
	if in.State != incident.StateOpen {
		return "over"
	}
	return wording.Rank(in.Priority.Rank)
}
