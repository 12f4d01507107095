package router

import "time"

// now is the time at which a decision is made: UTC and whole microseconds, as it is
// stored.
func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }
