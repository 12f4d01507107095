package incident

import "time"

// A BreachState says whether an alert of an SLO is still firing.
type BreachState string

// The states of a breach.
const (
	Firing  BreachState = "firing"
	Ended   BreachState = "ended"
	Unknown BreachState = "unknown" // nothing was heard of it for too long
)

// A BreachKey tells breaches apart. The fingerprint alone is the alert; the same
// alert firing later is another breach.
type BreachKey struct {
	Fingerprint string
	StartsAt    time.Time // UTC, microseconds
}

// A Breach is one firing of an alert of an SLO.
type Breach struct {
	Fingerprint string    `json:"fingerprint"`
	StartsAt    time.Time `json:"starts_at"`
	// EndsAt is when it ended, as Alertmanager said. Of one that fires or is unknown it is
	// an earlier end, which did not hold or was not believed: copies of that say nothing.
	EndsAt time.Time   `json:"ends_at,omitzero"`
	State  BreachState `json:"state"`
	// Incident is the number of the incident that it belongs to; 0 for one that had
	// ended before its firing was ever seen.
	Incident int64 `json:"incident,omitempty"`
	// Priority is the SLO priority that held when the breach occurred.
	Priority    string            `json:"priority,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
	// GeneratorURL is where the alert comes from, an http or https URL or empty.
	GeneratorURL string `json:"generator_url,omitempty"`
	// HeardAt is when it was last heard to fire, up to a quarter of unknown_after ago.
	HeardAt time.Time `json:"heard_at,omitzero"`
	// DoubtedAt is set when a firing came for a breach that had ended, and
	// Alertmanager is yet to be asked which holds.
	DoubtedAt time.Time `json:"doubted_at,omitzero"`
	// AskedAt is when the Alertmanagers were last asked about it, or would have been.
	AskedAt time.Time `json:"asked_at,omitzero"`
	// EndHeardAt is when sitrep heard that it ended.
	EndHeardAt time.Time `json:"end_heard_at,omitzero"`
	// Grafana is set if it came from Grafana's own Alertmanager, which alone can say
	// whether it fires.
	Grafana bool `json:"grafana,omitempty"`
}

// Key returns what tells the breach apart.
func (b *Breach) Key() BreachKey { return BreachKey{b.Fingerprint, b.StartsAt} }

// QuietSince is since when nothing was heard or asked of a breach that is not
// known to have ended.
func (b *Breach) QuietSince() time.Time {
	if b.AskedAt.After(b.HeardAt) {
		return b.AskedAt
	}
	return b.HeardAt
}

// An Alert is one entry of Alertmanager's webhook, cleaned: valid UTF-8 without
// control characters, times in UTC and whole microseconds.
type Alert struct {
	Fingerprint  string
	StartsAt     time.Time
	EndsAt       time.Time // zero while firing
	Resolved     bool      // its own status, not the group's
	Labels       map[string]string
	Annotations  map[string]string
	GeneratorURL string
	Grafana      bool // it came from Grafana's own Alertmanager
}

// Key returns what tells its breach apart.
func (a *Alert) Key() BreachKey { return BreachKey{a.Fingerprint, a.StartsAt} }

// An UnmappedAlert is a firing alert that no SLO claims.
type UnmappedAlert struct {
	Fingerprint string            `json:"fingerprint"`
	StartsAt    time.Time         `json:"starts_at"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations,omitempty"`
	FirstSeenAt time.Time         `json:"first_seen_at"`
	HeardAt     time.Time         `json:"heard_at"`
	Incident    int64             `json:"incident,omitempty"`
}
