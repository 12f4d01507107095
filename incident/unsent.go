package incident

import "time"

// RefusedFor is for how long a message that failed for good counts as [Unsent], unless
// something is handed over to its recipient before.
const RefusedFor = 7 * 24 * time.Hour

// Unsent are the messages that should have been handed over by now and were not. A message
// is one for each incident that its recipient was to be told of, and for each pulse of the
// watchdog.
type Unsent struct {
	// Waiting wait beyond their promise, or were tried in vain and are tried again.
	Waiting int
	// Refused failed for good, and nothing was handed over to their recipients since.
	Refused int
	// Recipients is to how many both were to go.
	Recipients int
	// More is set if there are more of all that, as not all were looked at.
	More bool
	// Since is when the first of them was due; zero if there are none.
	Since time.Time
	// LastError is what was said at the last attempt, with addresses; empty if none was made.
	LastError string
}

// Any reports whether there are some.
func (u *Unsent) Any() bool { return u.Waiting+u.Refused > 0 }

// StillRefused reports whether a message that failed for good counts as [Unsent] at now. Its
// recipient was last handed something at sentAt, zero for never.
func (d *Delivery) StillRefused(sentAt, now time.Time) bool {
	return d.State == DeliveryFailed && now.Sub(d.FinishedAt) < RefusedFor && !sentAt.After(d.FinishedAt)
}
