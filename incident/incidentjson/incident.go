package incidentjson

import (
	"net/url"
	"strings"
	"time"

	"sitrep/incident"
)

// An Incident is an incident and where it stands.
type Incident struct {
	ID          string              `json:"id"`
	Number      int64               `json:"number"`
	SLO         string              `json:"slo"` // empty: of unmapped alerts, or declared without one
	UseCase     string              `json:"use_case"`
	SLI         string              `json:"sli"`
	Service     string              `json:"service"`
	Team        string              `json:"team"`
	Labels      map[string]string   `json:"labels"` // of incident_per, with their values
	Priority    string              `json:"priority"`
	SLOPriority string              `json:"slo_priority"`
	Audiences   []incident.Audience `json:"audiences"` // those that its priority informs
	State       incident.State      `json:"state"`
	Phase       incident.Phase      `json:"phase"`
	EscalatedTo string              `json:"escalated_to"`
	StartedAt   *time.Time          `json:"started_at"`
	EndedAt     *time.Time          `json:"ended_at"`
	OpenedAt    *time.Time          `json:"opened_at"`
	// AcknowledgedAt is when somebody was on it for the first time. AcknowledgedBy is who is
	// now; empty if nobody is, or its reader is in an audience: they are told no name.
	AcknowledgedAt *time.Time `json:"acknowledged_at"`
	AcknowledgedBy string     `json:"acknowledged_by"`
	// ReleasedAt is since when nobody is on it any more; null else.
	ReleasedAt   *time.Time   `json:"released_at"`
	ResolvedAt   *time.Time   `json:"resolved_at"`
	ClosedAt     *time.Time   `json:"closed_at"`
	Breaches     BreachCounts `json:"breaches"`
	Drill        bool         `json:"drill"`
	Declared     bool         `json:"declared"` // by a person
	MergedInto   *string      `json:"merged_into"`
	MergedFrom   []string     `json:"merged_from"`
	Previous     *string      `json:"previous"`       // the earlier incident of the same SLO
	LastUpdateAt *time.Time   `json:"last_update_at"` // when a message about it last went out
	NextUpdateAt *time.Time   `json:"next_update_at"` // the earliest time by which a reader is told
	// UpdateLateSince is the earliest promise to a reader that was broken and is still to be
	// kept; left out if none was.
	UpdateLateSince *time.Time `json:"update_late_since,omitempty"`
	Sequence        int64      `json:"sequence"`
	Actions         []Action   `json:"actions"`
	Links           []Link     `json:"links"`
}

// BreachCounts are the numbers of an incident's breaches.
type BreachCounts struct {
	Firing      int        `json:"firing"`
	Total       int        `json:"total"`
	Unknown     int        `json:"unknown"`
	LastHeardAt *time.Time `json:"last_heard_at"`
}

// An Action is a duty that the incident's priority brought.
type Action struct {
	Name   string               `json:"name"`
	State  incident.ActionState `json:"state"`
	DueAt  *time.Time           `json:"due_at"` // null until resolved, or without limit
	Link   string               `json:"link"`
	Reason string               `json:"reason"`
}

// A Link leads to more. Its URL is always an http or https URL.
type Link struct {
	Name string `json:"name"`
	URL  string `json:"url"`
}

// Extras are what the incident itself does not know.
type Extras struct {
	LastHeardAt  time.Time // when a breach was last heard to fire; zero: never
	LastUpdateAt time.Time // when a message about it last went out; zero: never
	NextUpdateAt time.Time // the earliest time by which a reader is told; zero: none
	// UpdateLateSince is the earliest promise that was broken and is still to be kept; zero: none.
	UpdateLateSince time.Time
	// BaseURL is where sitrep's pages are, without a slash at the end; empty: no link
	// to them.
	BaseURL string
	// Links follow those to the incident's page and to its runbook. Those that are no
	// http or https URL are left out.
	Links []Link
}

// FromIncident returns the form of an incident.
func FromIncident(in *incident.Incident, x Extras) Incident {
	return Incident{
		ID:             in.ID(),
		Number:         in.Number,
		SLO:            in.SLO,
		UseCase:        in.UseCase,
		SLI:            in.SLI,
		Service:        in.Service,
		Team:           in.Team,
		Labels:         object(in.Labels),
		Priority:       in.Priority.Name,
		SLOPriority:    in.SLOPriority,
		Audiences:      list[incident.Audience](in.Priority.Inform),
		State:          in.State,
		Phase:          in.Phase,
		EscalatedTo:    in.EscalatedTo,
		StartedAt:      when(in.StartedAt),
		EndedAt:        when(in.EndedAt),
		OpenedAt:       when(in.OpenedAt),
		AcknowledgedAt: when(in.AcknowledgedAt),
		AcknowledgedBy: in.AcknowledgedBy,
		ReleasedAt:     when(in.ReleasedAt),
		ResolvedAt:     when(in.ResolvedAt),
		ClosedAt:       when(in.ClosedAt),
		Breaches: BreachCounts{
			Firing:      in.Breaches.Firing,
			Total:       in.Breaches.Total,
			Unknown:     in.Breaches.Unknown,
			LastHeardAt: when(x.LastHeardAt),
		},
		Drill:           in.Drill,
		Declared:        in.Declared,
		MergedInto:      name(in.MergedInto),
		MergedFrom:      names(in.MergedFrom),
		Previous:        name(in.Previous),
		LastUpdateAt:    when(x.LastUpdateAt),
		NextUpdateAt:    when(x.NextUpdateAt),
		UpdateLateSince: when(x.UpdateLateSince),
		Sequence:        in.Sequence,
		Actions:         actions(in.Actions),
		Links:           links(in, x),
	}
}

// PageURL returns where an incident's page is under the base URL of sitrep.
func PageURL(base string, number int64) string {
	return strings.TrimRight(base, "/") + "/incidents/" + incident.ID(number)
}

// WebURL reports whether s is an absolute http or https URL: the only ones that a
// stranger may put into a link.
func WebURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}

func actions(in []incident.Action) []Action {
	out := make([]Action, 0, len(in))
	for _, a := range in {
		out = append(out, Action{Name: a.Name, State: a.State, DueAt: when(a.DueAt), Link: a.Link, Reason: a.Reason})
	}
	return out
}

// links are where to look: the incident's page, its runbook, the incident before
// or after it, and the caller's.
func links(in *incident.Incident, x Extras) []Link {
	all := []Link{{Name: "runbook", URL: in.Runbook}}
	if x.BaseURL != "" {
		all = []Link{{Name: "incident", URL: PageURL(x.BaseURL, in.Number)}, all[0]}
		if in.MergedInto != 0 {
			all = append(all, Link{Name: "merged into " + incident.ID(in.MergedInto), URL: PageURL(x.BaseURL, in.MergedInto)})
		}
		if in.Previous != 0 {
			all = append(all, Link{Name: "previous incident " + incident.ID(in.Previous), URL: PageURL(x.BaseURL, in.Previous)})
		}
	}
	out := make([]Link, 0, len(all)+len(x.Links))
	for _, l := range append(all, x.Links...) {
		if WebURL(l.URL) {
			out = append(out, l)
		}
	}
	return out
}
