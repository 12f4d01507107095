package api

import (
	"net/http"
	"time"

	"sitrep/incident"
	"sitrep/incident/incidentjson"
	"sitrep/internal/access"
	"sitrep/storage"
)

// What the configuration says, and the alerts that it says nothing about.
type (
	// Priorities are all priorities, the highest first.
	Priorities struct {
		Priorities []Priority `json:"priorities"`
	}
	// A Priority is one of the organisation's classes of incidents.
	Priority struct {
		Name        string              `json:"name"`
		Rank        int                 `json:"rank"` // 0 is the highest
		Summary     string              `json:"summary"`
		Criteria    []string            `json:"criteria"`
		Actions     []ActionRule        `json:"actions"`
		Inform      []incident.Audience `json:"inform"`
		UpdateEvery string              `json:"update_every"` // such as 2h
		InformAfter string              `json:"inform_after"` // "" is at once
	}
	// An ActionRule is a duty that a priority brings.
	ActionRule struct {
		Name   string `json:"name"`
		Within string `json:"within"` // after resolving; "" is without limit
	}
	// SLOs are all SLOs in the order of the files.
	SLOs struct {
		SLOs []SLO `json:"slos"`
	}
	// An SLO is a team's objective.
	SLO struct {
		ID           string   `json:"id"`
		UseCase      string   `json:"use_case"`
		Affects      string   `json:"affects"` // who is affected, in plain words; or empty
		SLI          string   `json:"sli"`
		Service      string   `json:"service"`
		Team         string   `json:"team"`
		Priority     string   `json:"priority"`
		Runbook      string   `json:"runbook"`
		Stakeholders []string `json:"stakeholders"`
		// LastIncident is the latest that an alert of it opened or fired in, and LastClaimedAt
		// when that opened; null: it never claimed an alert.
		LastIncident  *string    `json:"last_incident"`
		LastClaimedAt *time.Time `json:"last_claimed_at"`
	}
	// UnmappedPage is a page of firing alerts that no SLO claims.
	UnmappedPage struct {
		Alerts []incidentjson.UnmappedAlert `json:"alerts"`
		Next   string                       `json:"next"`
	}
)

func (h *Handler) catalog() []Route {
	return []Route{
		h.coverageRoute(),
		{
			Method: http.MethodGet, Path: "/api/v1/priorities", Role: access.Viewer,
			Summary: "The priorities, the highest first.", Answer: Priorities{}, Handler: h.listPriorities,
		},
		{
			Method: http.MethodGet, Path: "/api/v1/slos", Role: access.Viewer,
			Summary: "The SLOs, in the order of the files.",
			Query:   []Parameter{{Name: "team", Summary: "the name of the team"}},
			Answer:  SLOs{}, Handler: h.listSLOs,
		},
		{
			Method: http.MethodGet, Path: "/api/v1/unmapped", Role: access.Viewer,
			Summary: "Firing alerts that no SLO claims.", Query: paging, Answer: UnmappedPage{}, Handler: h.listUnmapped,
		},
		{
			Method: http.MethodGet, Path: "/api/v1/status", Role: access.Viewer,
			Summary: "How sitrep itself fares.", Answer: Status{}, Handler: h.status,
		},
		{
			Method: http.MethodGet, Path: "/api/v1/openapi.json", Role: access.Viewer,
			Summary: "This description of the API, as OpenAPI 3.1.", Answer: map[string]any{}, Handler: h.openAPI,
		},
	}
}

func (h *Handler) listPriorities(w http.ResponseWriter, r *http.Request) error {
	return answerAll(w, r, "priorities", func(yield func(Priority) bool) {
		for _, p := range h.Repo.Policy().Priorities {
			form := Priority{
				Name: p.Name, Rank: p.Rank, Summary: p.Summary,
				Criteria: notNil(p.Criteria), Inform: notNil(p.Inform), Actions: []ActionRule{},
				UpdateEvery: incidentjson.Duration(p.UpdateEvery), InformAfter: incidentjson.Duration(p.InformAfter),
			}
			for _, a := range p.Actions {
				form.Actions = append(form.Actions, ActionRule{a.Name, incidentjson.Duration(a.Within)})
			}
			if !yield(form) {
				return
			}
		}
	})
}

func (h *Handler) listSLOs(w http.ResponseWriter, r *http.Request) error {
	policy, team := h.Repo.Policy(), r.URL.Query().Get("team")
	if err := misspelt(&storage.IncidentQuery{Team: team}, policy); err != nil {
		return err
	}
	var asked []*incident.SLO
	for i := range policy.SLOs {
		if s := &policy.SLOs[i]; team == "" || s.Team == team {
			asked = append(asked, s)
		}
	}
	var claims map[string]storage.Claim
	err := h.read(r.Context(), func(tx storage.Snapshot) (err error) {
		claims, err = storage.LastClaims(r.Context(), tx, asked)
		return err
	})
	if err != nil {
		return err
	}
	return answerAll(w, r, "slos", func(yield func(SLO) bool) {
		for _, s := range asked {
			form := SLO{
				ID: s.ID, UseCase: s.UseCase, Affects: s.Affects, SLI: s.SLI, Service: s.Service, Team: s.Team,
				Priority: s.Priority, Runbook: s.Runbook, Stakeholders: notNil(s.Stakeholders),
			}
			if c, ok := claims[s.ID]; ok {
				id := incident.ID(c.Incident)
				form.LastIncident, form.LastClaimedAt = &id, when(c.At)
			}
			if !yield(form) {
				return
			}
		}
	})
}

func (h *Handler) listUnmapped(w http.ResponseWriter, r *http.Request) error {
	return h.answerPage(w, r, "alerts", nil, func(tx storage.Snapshot, s *sheet, cursor string) (string, error) {
		return fill(s, cursor, func(limit int, cursor string) ([]incidentjson.UnmappedAlert, string, error) {
			alerts, next, err := tx.UnmappedAlerts(r.Context(), limit, cursor)
			list := forms(alerts, incidentjson.FromUnmapped)
			for i := range list {
				_, list[i].DidYouMean = h.Nearest(alerts[i].Labels)
			}
			return list, next, err
		})
	})
}

// forms returns the JSON forms of items, never nil.
func forms[T, F any](items []T, form func(*T) F) []F {
	out := make([]F, len(items))
	for i := range items {
		out[i] = form(&items[i])
	}
	return out
}

// notNil returns items, or an empty list where there is none: [] in JSON, not null.
func notNil[T any](items []T) []T {
	if items == nil {
		return []T{}
	}
	return items
}
