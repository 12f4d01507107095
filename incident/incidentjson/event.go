package incidentjson

import (
	"time"

	"sitrep/incident"
	"sitrep/wording"
)

// An Event is one thing that happened to an incident.
type Event struct {
	Incident string             `json:"incident"`
	Sequence int64              `json:"sequence"`
	Time     *time.Time         `json:"time"`
	Type     incident.EventType `json:"type"`
	Actor    incident.Actor     `json:"actor"`
	// Reason is what a person wrote, else data.why in words; empty if there is neither.
	Reason string    `json:"reason"`
	Config string    `json:"config"` // the hash of the configuration in force
	Data   EventData `json:"data"`
}

// EventData are an event's particulars. Just those that its type brings are there;
// durations are written as in the configuration, such as 20m.
type EventData struct {
	Opening     *Opening            `json:"opening,omitempty"`
	Fingerprint string              `json:"fingerprint,omitempty"`
	StartsAt    *time.Time          `json:"starts_at,omitempty"`
	EndsAt      *time.Time          `json:"ends_at,omitempty"`
	HeardAt     *time.Time          `json:"heard_at,omitempty"`
	Priority    string              `json:"priority,omitempty"`
	From        string              `json:"from,omitempty"`
	To          string              `json:"to,omitempty"`
	EscalatedTo string              `json:"escalated_to,omitempty"`
	TakenOver   bool                `json:"taken_over,omitempty"` // from another who was on it
	Released    bool                `json:"released,omitempty"`   // nobody is on it any more
	Message     string              `json:"message,omitempty"`
	Audiences   []incident.Audience `json:"audiences,omitempty"`
	Audience    incident.Audience   `json:"audience,omitempty"`
	// Why is the reason that sitrep gives for what no person did, in a code.
	Why    incident.Why `json:"why,omitempty"`
	DueAt  *time.Time   `json:"due_at,omitempty"`
	Missed int          `json:"missed,omitempty"`
	// Cause is in words why updates were missed, and CauseKind in a code. Of kind down,
	// DownFrom and DownTo are when sitrep was down, or what the clock showed before and after
	// it was set.
	Cause        string             `json:"cause,omitempty"`
	CauseKind    incident.CauseKind `json:"cause_kind,omitempty"`
	DownFrom     *time.Time         `json:"down_from,omitempty"`
	DownTo       *time.Time         `json:"down_to,omitempty"`
	Action       string             `json:"action,omitempty"`
	Link         string             `json:"link,omitempty"`
	Actions      []Action           `json:"actions,omitempty"`
	Stakeholders []string           `json:"stakeholders,omitempty"`
	ResolveAfter string             `json:"resolve_after,omitempty"`
	Into         *string            `json:"into,omitempty"`
	Breaches     *incident.Counts   `json:"breaches,omitempty"`
	StartedAt    *time.Time         `json:"started_at,omitempty"`
	EndedAt      *time.Time         `json:"ended_at,omitempty"`
}

// An Opening is what an incident was about when it opened.
type Opening struct {
	SLO          string            `json:"slo"`
	UseCase      string            `json:"use_case"`
	Affects      string            `json:"affects,omitempty"`
	SLI          string            `json:"sli"`
	Service      string            `json:"service"`
	Team         string            `json:"team"`
	Labels       map[string]string `json:"labels"`
	Stakeholders []string          `json:"stakeholders"`
	Priority     string            `json:"priority"`
	SLOPriority  string            `json:"slo_priority"`
	ResolveAfter string            `json:"resolve_after"`
	Drill        bool              `json:"drill"`
	Declared     bool              `json:"declared"`
	Unmapped     bool              `json:"unmapped"`
	Previous     *string           `json:"previous"`
}

// FromEvent returns the form of an event.
func FromEvent(e *incident.Event) Event {
	d := &e.Data
	data := EventData{
		Fingerprint:  d.Fingerprint,
		StartsAt:     when(d.StartsAt),
		EndsAt:       when(d.EndsAt),
		HeardAt:      when(d.HeardAt),
		Priority:     d.Priority,
		From:         d.From,
		To:           d.To,
		EscalatedTo:  d.EscalatedTo,
		TakenOver:    d.TakenOver,
		Released:     d.Released,
		Message:      d.Message,
		Audiences:    d.Audiences,
		Audience:     d.Audience,
		Why:          d.Why,
		DueAt:        when(d.DueAt),
		Missed:       d.Missed,
		Cause:        wording.Cause(d.Cause, nil),
		CauseKind:    d.Cause.Kind,
		DownFrom:     when(d.Cause.From),
		DownTo:       when(d.Cause.To),
		Action:       d.Action,
		Link:         d.Link,
		Actions:      actions(d.Actions),
		Stakeholders: d.Stakeholders,
		ResolveAfter: Duration(d.ResolveAfter),
		Into:         name(d.Into),
		Breaches:     d.Breaches,
		StartedAt:    when(d.StartedAt),
		EndedAt:      when(d.EndedAt),
	}
	if o := d.Opening; o != nil {
		data.Opening = &Opening{
			SLO:          o.SLO,
			UseCase:      o.UseCase,
			Affects:      o.Affects,
			SLI:          o.SLI,
			Service:      o.Service,
			Team:         o.Team,
			Labels:       object(o.Labels),
			Stakeholders: list[string](o.Stakeholders),
			Priority:     o.Priority.Name,
			SLOPriority:  o.SLOPriority,
			ResolveAfter: Duration(o.ResolveAfter),
			Drill:        o.Drill,
			Declared:     o.Declared,
			Unmapped:     o.Unmapped,
			Previous:     name(o.Previous),
		}
	}
	return Event{
		Incident: incident.ID(e.Incident),
		Sequence: e.Sequence,
		Time:     when(e.Time),
		Type:     e.Type,
		Actor:    e.Actor,
		Reason:   wording.Reason(e),
		Config:   e.Config,
		Data:     data,
	}
}

// FromEvents returns the forms of events, never nil.
func FromEvents(events []incident.Event) []Event {
	out := make([]Event, 0, len(events))
	for i := range events {
		out = append(out, FromEvent(&events[i]))
	}
	return out
}
