package storage

import (
	"context"
	"time"
)

// LoginFailuresKept is how long after the last of them failed log-ins count.
const LoginFailuresKept = 15 * time.Minute

// LoginFailures are how often somebody failed to log in, and when last.
type LoginFailures struct {
	Count  int       `json:"count"`
	LastAt time.Time `json:"last_at"`
}

// A LoginReader reads who failed to log in.
type LoginReader interface {
	// LoginFailures returns the failures of those, named by a hash; who has none that count
	// at now is left out. In a write each is locked until the end, also one without any, in the
	// order of their names.
	LoginFailures(ctx context.Context, who []string, now time.Time) (map[string]LoginFailures, error)
}

// A LoginWriter counts who failed to log in.
type LoginWriter interface {
	// CountLogins adds to the failures of each of those how often it failed, the last time at
	// that time; those before that no longer count are left out. It forgets those who succeeded,
	// and with each call some whose failures no longer count: there are never many more than
	// were counted in LoginFailuresKept. They are locked by name until the end of the
	// transaction, which does nothing else.
	CountLogins(ctx context.Context, failed map[string]int, succeeded []string, at time.Time) error
}
