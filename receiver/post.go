// Package receiver takes in what the webhooks of Alertmanager and of Grafana
// alerting post: it decodes the body, cleans each alert, hands them on to be
// committed, and answers what became of each.
//
// What a retry may cure is answered 503 and comes again within a second; a 4xx
// comes again only with the next group_interval and can lose a breach for good, so
// it is kept for what no retry can cure, and each one is counted, logged and
// recorded. Nothing here redirects: Alertmanager follows a redirect as a GET
// without a body and counts that as delivered.
package receiver

import (
	"context"
	"time"

	"sitrep/incident"
)

// An Outcome is what became of one alert.
type Outcome string

// The outcomes.
const (
	Opened   Outcome = "opened"   // a breach began and opened an incident
	Joined   Outcome = "joined"   // a breach began and belongs to an open incident
	Reopened Outcome = "reopened" // a breach began and opened its incident again
	Repeated Outcome = "repeated" // known already, nothing new
	Resolved Outcome = "resolved" // its breach ended
	Stale    Outcome = "stale"    // an old copy that says nothing of now
	Ignored  Outcome = "ignored"  // configured to be none of an SLO's
	Unmapped Outcome = "unmapped" // no SLO claims it
	Invalid  Outcome = "invalid"  // not to be understood; never reaches the intake
)

// outcomes are all outcomes, in the order of the constants.
func outcomes() []Outcome {
	return []Outcome{Opened, Joined, Reopened, Repeated, Resolved, Stale, Ignored, Unmapped, Invalid}
}

// A Post is what one request brings in. Its alerts are valid, in the order of the
// payload, and up to [MaxAlerts]; two of them may be the same alert.
type Post struct {
	Alerts []incident.Alert
	// At is when the request arrived, in UTC and whole microseconds.
	At time.Time
	// Source is who posted: the name of a token, or an address.
	Source string
}

// A Result is what became of one alert.
type Result struct {
	// SLO is the id of the SLO that claims the alert; empty if none does.
	SLO string
	// Incident is the number of its incident, 0 if it has none.
	Incident int64
	Result   Outcome
	// Ambiguous are the ids of further SLOs that claim the alert.
	Ambiguous []string
}

// An Intake turns alerts into breaches and incidents.
type Intake interface {
	// Take commits what the post changes, all of it or nothing, and returns once that
	// is durable, with one result for each alert in the same order. It commits nothing
	// once ctx is done. Every error is answered 503, so that the post comes again:
	// Take must find what an earlier try may have left.
	Take(ctx context.Context, p Post) ([]Result, error)
}
