package router

import (
	"time"

	"sitrep/storage"
)

// now is the time at which a decision is made: UTC and whole microseconds, as it is
// stored.
func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

// again reports whether it is time to do again what was done last at that time and is to be
// done this often: also once the clock was set back behind it.
func again(at, last time.Time, every time.Duration) bool {
	passed := at.Sub(last)
	return passed < 0 || passed >= every
}

// A clock is looked at beside one that nobody sets.
type clock struct {
	at     time.Time // when it was last looked at; zero: never
	steady time.Duration
}

// look returns from what to what it was set since the last look; by nothing the first time.
func (c *clock) look(at time.Time, steady time.Duration) storage.Outage {
	set := storage.Outage{From: at, To: at, Kind: storage.ClockSet}
	if !c.at.IsZero() {
		set.From = c.at.Add(steady - c.steady).Truncate(time.Microsecond)
	}
	c.at, c.steady = at, steady
	return set
}

// shift is by how much the clock was set.
func shift(o storage.Outage) time.Duration { return o.To.Sub(o.From).Abs() }
