package webhook

import (
	"errors"
	"time"

	"sitrep/incident"
	"sitrep/incident/incidentjson"
	"sitrep/router"
	"sitrep/wording"
)

// A body is what is posted.
type body struct {
	Type      string    `json:"type"`      // incident. and the kind of the message
	Timestamp time.Time `json:"timestamp"` // when the message was made; of a repetition, too
	Data      data      `json:"data"`      // the facts
}

// data are the facts of a message: of one incident, of the incidents of a digest,
// of the watchdog, or of the canary.
type data struct {
	// The incident as it is now: an incidentjson.Incident where the reader reads of it on call, else a
	// forAudiences.
	Incident     any                  `json:"incident,omitempty"`
	Incidents    []any                `json:"incidents,omitempty"` // of a digest the first 100, the highest priority first
	Total        int                  `json:"total,omitempty"`     // of a digest, how many incidents it is about
	Counts       []count              `json:"counts,omitempty"`    // of a digest, how many of each priority are open, resolved, closed, merged and drills
	URL          string               `json:"url,omitempty"`       // of a digest, where all incidents are
	Watchdog     *watchdog            `json:"watchdog,omitempty"`  // of one about the watchdog: which pulse went away or is back
	Canary       *canary              `json:"canary,omitempty"`    // of one about the canary: how its run went
	Audience     incident.Audience    `json:"audience"`            // by which the reader reads
	Group        string               `json:"group"`               // by which the reader reads; of those on call the team
	Sequence     *int64               `json:"sequence,omitempty"`  // of the incident's latest event; what has a lower one is older. Of a digest, each incident has its own
	Changes      []incidentjson.Event `json:"changes"`             // the events since the reader's last message that it may see, oldest first
	Message      string               `json:"message"`             // the same in plain text, as a mail has it
	NextUpdateAt *time.Time           `json:"next_update_at"`      // by when the reader hears again, if nothing happens before; null: no more is promised
	// The alerts that fire or are unknown, the five that began last. Only if the reader is on call and the
	// message is about one incident.
	Alerts []alert `json:"alerts,omitzero"`
	// Where it says what to do: an http or https URL, or "". Where alerts is.
	Runbook *string `json:"runbook,omitempty"`
}

// mostIncidents is how many incidents the body of a digest has; those beyond are counted.
const mostIncidents = router.DigestNamed

// A count is how many incidents of a priority a digest is about, by their state.
type count struct {
	Priority string `json:"priority"`
	Open     int    `json:"open"`
	Resolved int    `json:"resolved"`
	Closed   int    `json:"closed"`
	Merged   int    `json:"merged"`
	Drills   int    `json:"drills"` // in whatever state
}

// A forAudiences is an incident as audiences may know it: it has no acknowledged_by and no
// escalated_to, and its actions have no reason.
type forAudiences struct {
	incidentjson.Incident
	// These take the places of the fields of that name above, and are never there.
	AcknowledgedBy *string  `json:"acknowledged_by,omitempty"`
	EscalatedTo    *string  `json:"escalated_to,omitempty"`
	Actions        []action `json:"actions"`
}

// An action is one whose reason stays inside.
type action struct {
	incidentjson.Action
	Reason *string `json:"reason,omitempty"` // never there
}

// An alert is one that fires or is unknown: of those of the incident, the five that
// began last, the latest first. How many there are, the incident's breaches count. Its
// texts are strangers', clean, in one line each, and cut.
type alert struct {
	Name     string               `json:"name"`
	Summary  string               `json:"summary"` // or its description; "" without
	URL      string               `json:"url"`     // where it comes from: http or https, or ""
	State    incident.BreachState `json:"state"`   // firing or unknown
	Labels   map[string]string    `json:"labels"`  // up to four, that tell it from the others
	StartsAt *time.Time           `json:"starts_at"`
	HeardAt  *time.Time           `json:"heard_at"` // when it was last heard to fire
}

// A watchdog says whether the alert that always fires is there.
type watchdog struct {
	// Pulse tells apart several, such as cluster="eu"; it is left out, with the labels, if
	// there is one.
	Pulse   string            `json:"pulse,omitempty"`
	Labels  map[string]string `json:"labels,omitempty"`
	Away    bool              `json:"away"`
	HeardAt *time.Time        `json:"heard_at"` // null: never
	Within  string            `json:"within"`
}

// A canary says how a run of the canary went.
type canary struct {
	PostedAt     *time.Time           `json:"posted_at"`
	HeardAt      *time.Time           `json:"heard_at"`      // null: the alert did not come back
	ArrivedAt    *time.Time           `json:"arrived_at"`    // null: no mail was handed over yet
	FailedAt     *time.Time           `json:"failed_at"`     // null: it did not fail
	Stage        incident.CanaryStage `json:"stage"`         // of one that failed: prometheus, post, route or mail; else ""
	FailingSince *time.Time           `json:"failing_since"` // when the first of the runs was posted that failed in a row
	Within       string               `json:"within"`
}

// render returns the bytes of a message in the format JSON.
func render(m *incident.Message) ([]byte, error) {
	if err := tellable(m); err != nil {
		return nil, err
	}
	about, err := facts(m)
	if err != nil {
		return nil, err
	}
	return encode(body{Type: "incident." + string(m.Kind), Timestamp: m.At.UTC(), Data: about})
}

// tellable returns an error if a message is about nothing.
func tellable(m *incident.Message) error {
	switch {
	case m.Kind == incident.KindWatchdog && m.Watchdog == nil:
		return errors.New("no news of the watchdog")
	case m.Kind == incident.KindCanary && m.Canary == nil:
		return errors.New("no news of the canary")
	case !m.Kind.OfPulse() && len(m.Items) == 0:
		return errors.New("no incident")
	}
	return nil
}

// facts returns what m says, which has an incident or news of the watchdog.
func facts(m *incident.Message) (data, error) {
	m = m.ForReader()
	text, err := wording.Text(m)
	if err != nil {
		return data{}, err
	}
	d := data{Group: m.Group, Changes: []incidentjson.Event{}, Message: text}
	if len(m.Audiences) > 0 {
		d.Audience = m.Audiences[0]
	}
	if w := m.Watchdog; m.Kind == incident.KindWatchdog {
		d.Watchdog = &watchdog{Pulse: w.Pulse, Labels: w.Labels, Away: w.Away, HeardAt: when(w.HeardAt), Within: incidentjson.Duration(w.Within)}
		return d, nil
	}
	if c := m.Canary; m.Kind == incident.KindCanary {
		d.Canary = &canary{when(c.PostedAt), when(c.HeardAt), when(c.ArrivedAt), when(c.FailedAt), c.Stage, when(c.FailingSince), incidentjson.Duration(c.Within)}
		return d, nil
	}
	var next time.Time
	for i := range m.Items[:min(len(m.Items), mostIncidents)] {
		it := &m.Items[i]
		d.Incidents = append(d.Incidents, form(it, incidentjson.Extras{
			LastHeardAt: it.LastHeardAt,
			// This message is the latest, and to its reader its promise is the one that counts.
			LastUpdateAt: m.At,
			NextUpdateAt: it.NextBy,
			BaseURL:      m.BaseURL,
		}))
		d.Changes = append(d.Changes, incidentjson.FromEvents(it.Changes)...)
		if next.IsZero() || !it.NextBy.IsZero() && it.NextBy.Before(next) {
			next = it.NextBy
		}
	}
	d.NextUpdateAt = when(next)
	if m.Kind == incident.KindDigest {
		d.Total, d.URL = len(m.Items), wording.Link(m.BaseURL+"/")
		for _, c := range incident.CountItems(m.Items) {
			d.Counts = append(d.Counts, count(c))
		}
	} else {
		d.Incident, d.Incidents = d.Incidents[0], nil
		d.Sequence = &m.First().Incident.Sequence
		if m.ToOnCall() {
			runbook := wording.Link(m.First().Runbook)
			d.Alerts, d.Runbook = alerts(m.First()), &runbook
		}
	}
	return d, nil
}

// form returns the incident of an item as its reader may know it.
func form(it *incident.Item, x incidentjson.Extras) any {
	full := incidentjson.FromIncident(&it.Incident, x)
	if it.OnCall {
		return full
	}
	f := forAudiences{Incident: full, Actions: []action{}}
	for _, a := range full.Actions {
		f.Actions = append(f.Actions, action{Action: a})
	}
	return f
}

// alerts are those that the message names, never nil.
func alerts(it *incident.Item) []alert {
	list := []alert{}
	for _, a := range wording.Alerts(it) {
		list = append(list, alert{Name: a.Name, Summary: a.Summary, URL: a.URL, State: a.State, Labels: a.Labels, StartsAt: when(a.StartsAt), HeardAt: when(a.HeardAt)})
	}
	return list
}

// when returns a time in UTC, or nil if it is not set.
func when(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
