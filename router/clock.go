package router

import "time"

// now is the time at which a decision is made: UTC and whole microseconds, as it is
// stored.
func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

// again reports whether it is time to do again what was done last at that time and is to be
// done this often: also once the clock was set back behind it.
func again(at, last time.Time, every time.Duration) bool {
	passed := at.Sub(last)
	return passed < 0 || passed >= every
}
