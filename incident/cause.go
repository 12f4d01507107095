package incident

import "time"

// A CauseKind says what made a message late.
type CauseKind string

// The kinds of causes.
const (
	CauseNoneFound CauseKind = "none_found" // nothing is on record that explains it
	CauseDown      CauseKind = "down"       // no sitrep ran, or none could write
	CauseClock     CauseKind = "clock_set"  // the clock was set past the time at which it was due
	CauseSaid      CauseKind = "said"       // attempts before failed
)

// A Cause is why a message was handed over late, or a scheduled update was missed. Of one
// that was in time it is zero. What it says in words is for others.
type Cause struct {
	Kind CauseKind `json:"kind,omitempty"`
	// From and To are when sitrep was down, of CauseDown, and what the clock showed before and
	// after it was set, of CauseClock.
	From time.Time `json:"from,omitzero"`
	To   time.Time `json:"to,omitzero"`
	// Said is what was said when the last attempt failed, of CauseSaid. Mail servers repeat
	// the address in what they say, so it may name somebody.
	Said string `json:"said,omitempty"`
}
