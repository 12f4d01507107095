package incident

import "time"

// Promise is how long after it became due a message may be handed over: an opening
// within a minute, and a scheduled update within a minute of its time.
const Promise = time.Minute

// PauseAfter is how long all breaches of an incident may be unknown before its
// scheduled updates pause.
const PauseAfter = 24 * time.Hour

// NextDue returns when the reader of a message that was due at due and went out at
// sent is owed the next.
//
// It counts from due, so that small delays do not add up over a night, but leaves
// half an interval after a late message: after an hour without a mail server the
// managers get one update and then some quiet.
func NextDue(due, sent time.Time, every time.Duration) time.Time {
	next, half := due.Add(every), sent.Add(every/2)
	if half.After(next) {
		return half
	}
	return next
}

// PromisedBy returns the time that a message names for the next, which is due at
// due: a minute later, rounded up to the minute.
func PromisedBy(due time.Time) time.Time {
	by := due.Add(Promise)
	if t := by.Truncate(time.Minute); t.Before(by) {
		return t.Add(time.Minute)
	}
	return by
}

// earliest returns the earlier of two times, of which a zero one does not count.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || (!b.IsZero() && b.Before(a)) {
		return b
	}
	return a
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
