package web

import "testing"

// A page of the history reads each of its versions in full, so that of large organisations it shows
// fewer: what it reads stays bounded.
func TestAPageOfTheHistoryReadsSoMuchAtMost(t *testing.T) {
	for slos, want := range map[int]int{0: 20, 200: 20, 10_000: 20, 20_000: 10, 100_000: 2, 1_000_000: 1} {
		if got := shownVersions(slos); got != want {
			t.Errorf("with %d SLOs: got %d versions, want %d", slos, got, want)
		}
	}
}
