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

	"sitrep/intake"
)

// An Intake turns alerts into breaches and incidents.
type Intake interface {
	// Take commits what the post changes, all of it or nothing, and returns once that
	// is durable, with one result for each alert in the same order. It commits nothing
	// once ctx is done. Every error is answered 503, so that the post comes again:
	// Take must find what an earlier try may have left. A post has up to [MaxAlerts].
	Take(ctx context.Context, p intake.Post) ([]intake.Result, error)
}
