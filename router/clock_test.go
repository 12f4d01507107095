package router

import (
	"testing"
	"time"
)

func TestAClockThatWasSetBackKeepsNothingFromBeingDoneAgain(t *testing.T) {
	last := time.Date(2026, 6, 16, 10, 0, 0, 0, time.UTC)
	for passed, want := range map[time.Duration]bool{0: false, 59 * time.Second: false, time.Minute: true, time.Hour: true, -time.Second: true, -time.Hour: true} {
		if got := again(last.Add(passed), last, time.Minute); got != want {
			t.Errorf("after %v: %v", passed, got)
		}
	}
	if !again(last, time.Time{}, time.Hour) {
		t.Error("never done, and not due")
	}
}
