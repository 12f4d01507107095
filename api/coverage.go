package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	"sitrep/chain"
	"sitrep/chain/live"
	"sitrep/incident"
	"sitrep/internal/access"
	"sitrep/internal/coverage"
	"sitrep/storage"
)

// Whether the promises reach from the rules to the mailboxes.
type (
	// CoveragePage is a page of the chains of SLOs, with what is about all of them.
	CoveragePage struct {
		Chains    []Chain        `json:"chains"`
		Next      string         `json:"next"`
		CheckedAt *time.Time     `json:"checked_at"` // null: not yet
		States    map[string]int `json:"states"`     // chains by state, as they were then
		Sources   []ChainSource  `json:"sources"`
		Findings  []ChainFinding `json:"findings"` // about no SLO alone
	}
	// A ChainSource is a Prometheus or an Alertmanager that is asked.
	ChainSource struct {
		Program    string     `json:"program"`
		URL        string     `json:"url"`
		AnsweredAt *time.Time `json:"answered_at"` // null: nothing that counts
		Error      string     `json:"error"`       // empty: it answered when it was last asked
	}
	// A Chain is how far the promise of an SLO reaches.
	Chain struct {
		SLO           string      `json:"slo"`
		Team          string      `json:"team"`
		Priority      string      `json:"priority"`
		State         live.State  `json:"state"` // the worst of its links
		Links         []ChainLink `json:"links"` // in the order of the way
		Alerts        []string    `json:"alerts"`
		LastIncident  *string     `json:"last_incident"`
		LastClaimedAt *time.Time  `json:"last_claimed_at"`
		Recipients    int         `json:"recipients"`
		LastToldAt    *time.Time  `json:"last_told_at"`
	}
	// A ChainLink is one stage of a chain.
	ChainLink struct {
		Stage    chain.Stage    `json:"stage"`
		State    live.State     `json:"state"`
		Findings []ChainFinding `json:"findings"`
	}
	// A ChainFinding is one thing that breaks a chain, or can.
	ChainFinding struct {
		Kind     chain.Kind     `json:"kind"`
		Severity chain.Severity `json:"severity"`
		Text     string         `json:"text"`
		Fix      string         `json:"fix"`
		Place    string         `json:"place"`
		Sides    []ChainSide    `json:"sides"`
	}
	// A ChainSide is another place that a finding speaks of.
	ChainSide struct {
		Place string `json:"place"`
		Text  string `json:"text"`
	}
)

func (h *Handler) coverageRoute() Route {
	return Route{
		Method: http.MethodGet, Path: "/api/v1/coverage", Role: access.Viewer,
		Summary: "Whether the promise of each SLO reaches from its rule to the mailbox, as it was found in the last minutes.",
		Query: append([]Parameter{
			{Name: "team", Summary: "the name of the team"},
			{Name: "state", Summary: "how it is with the chain", Values: texts(live.States()...)},
		}, paging...),
		Answer: CoveragePage{}, Handler: h.listCoverage,
	}
}

func (h *Handler) listCoverage(w http.ResponseWriter, r *http.Request) error {
	policy, report, team, state := h.Repo.Policy(), h.Coverage(), r.URL.Query().Get("team"), live.State(r.URL.Query().Get("state"))
	if err := misspelt(&storage.IncidentQuery{Team: team}, policy); err != nil {
		return err
	}
	var asked []*incident.SLO
	for i := range policy.SLOs {
		if s := &policy.SLOs[i]; team == "" || s.Team == team {
			asked = append(asked, s)
		}
	}
	beside, err := json.Marshal(besideChains(report, stranger(r)))
	if err != nil {
		return fmt.Errorf("encode the answer: %w", err)
	}
	return h.answerPageWith(w, r, "chains", string(beside), func(tx storage.Snapshot, s *sheet, cursor string) (string, error) {
		return fill(s, cursor, func(limit int, cursor string) ([]Chain, string, error) {
			at := 0
			if cursor != "" {
				if at = slices.IndexFunc(asked, func(s *incident.SLO) bool { return s.ID == cursor }); at < 0 {
					return nil, "", invalid("cursor %q: there is no such page, perhaps not any more; begin anew", cursor)
				}
			}
			to := min(at+limit, len(asked))
			rows, err := coverage.Rows(r.Context(), tx, policy, report, asked[at:to])
			next := ""
			if to < len(asked) {
				next = asked[to].ID
			}
			list := []Chain{}
			for i := range rows {
				if state == "" || rows[i].State == state {
					list = append(list, chainForm(&rows[i]))
				}
			}
			return list, next, err
		})
	})
}

// besideChains is what stands beside the chains of a page.
func besideChains(r *coverage.Report, stranger bool) any {
	states, sources := map[string]int{}, []ChainSource{}
	for _, s := range live.States() {
		states[string(s)] = r.Counts[s]
	}
	for i := range r.Sources {
		s := &r.Sources[i]
		sources = append(sources, ChainSource{s.Program, s.Name, when(s.AnsweredAt), coverage.WhyUnanswered(s, stranger)})
	}
	return map[string]any{"checked_at": when(r.At), "states": states, "sources": sources, "findings": findingForms(r.GeneralFor(stranger))}
}

func chainForm(row *coverage.Row) Chain {
	out := Chain{
		SLO: row.SLO.ID, Team: row.SLO.Team, Priority: row.SLO.Priority, State: row.State, Links: []ChainLink{}, Alerts: notNil(row.Alerts),
		Recipients: row.Readers, LastToldAt: when(row.Told),
	}
	for _, l := range row.Links {
		out.Links = append(out.Links, ChainLink{l.Stage, l.State, findingForms(l.Findings)})
	}
	if c := row.Claim; c != nil {
		id := incident.ID(c.Incident)
		out.LastIncident, out.LastClaimedAt = &id, when(c.At)
	}
	return out
}

func findingForms(list []chain.Finding) []ChainFinding {
	out := []ChainFinding{}
	for i := range list {
		f := &list[i]
		form := ChainFinding{Kind: f.Kind, Severity: f.Severity, Text: f.Text, Fix: f.Fix, Place: f.Place.String(), Sides: []ChainSide{}}
		for _, s := range f.Sides {
			form.Sides = append(form.Sides, ChainSide{s.Place.String(), s.Text})
		}
		out = append(out, form)
	}
	return out
}
