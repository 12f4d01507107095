package incidentjson

import (
	"time"

	"sitrep/incident"
)

// A Breach is one firing of an alert of an SLO. Its labels and annotations are
// strangers' text.
type Breach struct {
	Fingerprint  string               `json:"fingerprint"`
	StartsAt     *time.Time           `json:"starts_at"`
	EndsAt       *time.Time           `json:"ends_at"`
	State        incident.BreachState `json:"state"`
	Priority     string               `json:"priority"` // the SLO priority that held when it occurred
	Labels       map[string]string    `json:"labels"`
	Annotations  map[string]string    `json:"annotations"`
	GeneratorURL string               `json:"generator_url"`
	HeardAt      *time.Time           `json:"heard_at"`
}

// FromBreach returns the form of a breach.
func FromBreach(b *incident.Breach) Breach {
	form := Breach{
		Fingerprint:  b.Fingerprint,
		StartsAt:     when(b.StartsAt),
		State:        b.State,
		Priority:     b.Priority,
		Labels:       object(b.Labels),
		Annotations:  object(b.Annotations),
		GeneratorURL: b.GeneratorURL,
		HeardAt:      when(b.HeardAt),
	}
	if b.State == incident.BreachEnded {
		form.EndsAt = when(b.EndsAt)
	}
	return form
}

// An UnmappedAlert is a firing alert that no SLO claims.
type UnmappedAlert struct {
	Fingerprint string            `json:"fingerprint"`
	StartsAt    *time.Time        `json:"starts_at"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	FirstSeenAt *time.Time        `json:"first_seen_at"`
	HeardAt     *time.Time        `json:"heard_at"`
	Incident    *string           `json:"incident"` // null where unmapped alerts open none
	// DidYouMean is the id of the SLO that was probably meant by one of its labels; empty if
	// there is none. Whoever knows the SLOs sets it.
	DidYouMean string `json:"did_you_mean"`
}

// FromUnmapped returns the form of an unmapped alert.
func FromUnmapped(a *incident.UnmappedAlert) UnmappedAlert {
	return UnmappedAlert{
		Fingerprint: a.Fingerprint,
		StartsAt:    when(a.StartsAt),
		Labels:      object(a.Labels),
		Annotations: object(a.Annotations),
		FirstSeenAt: when(a.FirstSeenAt),
		HeardAt:     when(a.HeardAt),
		Incident:    name(a.Incident),
	}
}
