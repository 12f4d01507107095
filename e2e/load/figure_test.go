package main

import (
	"math"
	"testing"
)

// The table says of each figure what it is, what it shall be, and whether it is, by what stands there.
func TestFigureTable(t *testing.T) {
	got := figureTable([]figure{
		atLeast("alerts/s ÷ others", 1.996, 2, ""),
		atLeast("mails/s ÷ raw", 0.2949, 0.3, ""),
		atMost("a page", 100.4, 100, "ms"),
		atMost("written", 60.07, 60, "KiB"),
		atMost("deadlocks", 0, 0, ""),
		atMost("a look", 0.0312, 1, "ms"),
		atLeast("openings", 1234.5, 500, "/s"),
		atMost("nothing ÷ nothing", math.NaN(), 1, ""),
		tested("round trips", 6, "TestTrips"),
	})
	const want = `| figure | measured | goal | |
|---|---|---|---|
| alerts/s ÷ others | 2.00 | ≥ 2 | reached |
| mails/s ÷ raw | 0.29 | ≥ 0.30 | not yet |
| a page | 100 ms | ≤ 100 ms | reached |
| written | 60.1 KiB | ≤ 60 KiB | not yet |
| deadlocks | 0 | ≤ 0 | reached |
| a look | 0.031 ms | ≤ 1 ms | reached |
| openings | 1,234 /s | ≥ 500 /s | reached |
| nothing ÷ nothing | - | ≤ 1 | not yet |
| round trips | tested | ≤ 6 | by ` + "`TestTrips`" + ` |
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
