package incidenttest

import (
	"sync"
	"time"
	_ "time/tzdata" // tests need no zones of the machine
)

// Noon is a Tuesday in summer, at noon in [Berlin].
var Noon = time.Date(2026, 6, 16, 10, 0, 0, 0, time.UTC)

// Berlin is where the organisation is.
func Berlin() *time.Location {
	l, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		panic(err) // the zones are compiled in
	}
	return l
}

// A Clock stands still until a test lets time pass. Many goroutines may read it.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock returns a clock that stands at that time.
func NewClock(at time.Time) *Clock { return &Clock{now: at} }

// Now returns the time that it shows.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Pass lets time pass.
func (c *Clock) Pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}
