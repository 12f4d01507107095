package incident

import "time"

// A BreachState says whether an alert of an SLO is still firing.
type BreachState string

// The states of a breach. No code but this package's gives a breach one.
const (
	BreachFiring  BreachState = "firing"  // its alert fires, as far as is known
	BreachEnded   BreachState = "ended"   // its alert ended
	BreachUnknown BreachState = "unknown" // nothing was heard of it for too long, or its end is not believed
)

// A Breach is one stretch in which an alert of an SLO fires. Of one fingerprint only the
// latest breach can fire; those before have ended.
type Breach struct {
	Fingerprint string `json:"fingerprint"`
	// Ordinal counts the breaches of a fingerprint, in the order in which they were heard
	// of. Those of files that came from before there were ordinals have 0.
	Ordinal int64 `json:"ordinal,omitempty"`
	// StartsAt is its beginning: the earliest startsAt that a sender gave it, or when it
	// was first heard where that was no fact.
	StartsAt time.Time `json:"starts_at"`
	// SaidStartsAt and SaidEndsAt are what the sender said where that was no fact: in the
	// future, or years back; else zero.
	SaidStartsAt time.Time `json:"said_starts_at,omitzero"`
	SaidEndsAt   time.Time `json:"said_ends_at,omitzero"`
	// EndsAt is when it ended. Of one that fires or is unknown it is an end that did not
	// hold or was not believed.
	EndsAt time.Time `json:"ends_at,omitzero"`
	// EndedBefore is when the breach before it ended; zero if there was none.
	EndedBefore time.Time `json:"ended_before,omitzero"`
	// LaterEnd is the latest end that was reported after it had ended: a firing that began
	// no later can be a late copy.
	LaterEnd time.Time   `json:"later_end,omitzero"`
	State    BreachState `json:"state"`
	// Incident is the number of the incident that it belongs to; 0 for one that had
	// ended before its firing was ever seen.
	Incident int64 `json:"incident,omitempty"`
	// Priority is the SLO priority that held when the breach occurred.
	Priority    string            `json:"priority,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
	// GeneratorURL is where the alert comes from, an http or https URL or empty.
	GeneratorURL string `json:"generator_url,omitempty"`
	// HeardAt is when it was last noted as heard to fire: see HearEvery.
	HeardAt time.Time `json:"heard_at,omitzero"`
	// ListedSince is set while nothing but what Alertmanagers list says that it fires.
	ListedSince time.Time `json:"listed_since,omitzero"`
	// AskAt is when the Alertmanagers are to be asked about it; zero: once it was quiet
	// for too long.
	AskAt time.Time `json:"ask_at,omitzero"`
	// AskedAt is when the Alertmanagers were last asked about it, or would have been.
	AskedAt time.Time `json:"asked_at,omitzero"`
	// EndHeardAt is when sitrep heard that it ended.
	EndHeardAt time.Time `json:"end_heard_at,omitzero"`
	// Grafana is set if it came from Grafana's own Alertmanager, which alone can say
	// whether it fires.
	Grafana bool `json:"grafana,omitempty"`
}

// QuietSince is since when nothing was heard or asked of a breach that is not
// known to have ended.
func (b *Breach) QuietSince() time.Time { return latest(b.HeardAt, b.AskedAt) }

// lastEnd is the latest end that was reported of it; zero if none was.
func (b *Breach) lastEnd() time.Time { return latest(b.EndsAt, b.LaterEnd) }

// said is the startsAt that it goes by: what the sender said.
func (b *Breach) said() time.Time {
	if !b.SaidStartsAt.IsZero() {
		return b.SaidStartsAt
	}
	return b.StartsAt
}

// An Alert is one entry of Alertmanager's webhook, cleaned: valid UTF-8 without
// control characters, times in UTC and whole microseconds.
type Alert struct {
	Fingerprint  string
	StartsAt     time.Time // as the sender said; zero if it did not
	EndsAt       time.Time // zero while firing
	Resolved     bool      // its own status, not the group's
	Labels       map[string]string
	Annotations  map[string]string
	GeneratorURL string
	Grafana      bool // it came from Grafana's own Alertmanager
}

// longAgo is how far back a startsAt is still a fact: nobody lets an alert of an SLO fire
// for longer.
const longAgo = 366 * 24 * time.Hour

// Began returns when an alert began that arrived at that time, and whether what its
// sender said of it is a fact: it is none in the future, or years back.
func (a *Alert) Began(arrived time.Time) (at time.Time, fact bool) {
	return factOf(a.StartsAt, arrived)
}

// end says the same of when a resolved alert ended.
func (a *Alert) end(arrived time.Time) (at time.Time, fact bool) { return factOf(a.EndsAt, arrived) }

func factOf(said, arrived time.Time) (at time.Time, fact bool) {
	if said.After(arrived) || said.Before(arrived.Add(-longAgo)) {
		return arrived, false
	}
	return said, true
}

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
