package router

import (
	"testing"
	"time"
)

func TestAClockThatIsSetBackIsNoticed(t *testing.T) {
	at := time.Date(2026, 6, 16, 10, 0, 0, 0, time.UTC)
	var s steady
	for i, step := range []struct {
		wall   time.Duration // by which the clock goes on
		steady time.Duration
		back   bool
	}{
		{0, 0, true}, // it may have been, before
		{time.Minute, time.Minute, false},
		{time.Minute, time.Minute + 500*time.Millisecond, false}, // it is slow
		{-2 * time.Hour, time.Second, true},
		{time.Second, time.Second, false},
		{5 * time.Hour, time.Second, false}, // set forth
		{0, time.Minute, true},
	} {
		at = at.Add(step.wall)
		if got := s.look(at, s.elapsed+step.steady); got != step.back {
			t.Errorf("step %d: set back %v", i, got)
		}
	}
}
