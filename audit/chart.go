package audit

import (
	"fmt"
	"math"
	"time"
)

// Charts are drawn as SVG by templates/chart.html: here is where things stand in them.
// Lengths are in the SVG's own units.

// A stacked chart has one bar for each row, of its messages by outcome.
type stacked struct {
	Title, Label  string // Label is for who cannot see the picture
	Width, Height float64
	Rows          []stackedRow
}

type stackedRow struct {
	Name     string
	Y        float64
	Segments []segment
	// Share is what was kept, in words.
	Share string
	Owed  int
}

type segment struct {
	Outcome  Outcome
	X, Width float64
	Count    int
	// Number is shown inside if there is room for it.
	Number string
}

const (
	barLeft   = 130.0
	barWidth  = 470.0
	barHeight = 18.0
	barStep   = 23.0
)

// newStacked makes a chart in which all bars have the scale of the longest.
func newStacked(title string, names []string, tally func(string) Tally) stacked {
	c := stacked{Title: title, Label: title + ":", Width: 760, Height: float64(len(names))*barStep + 8}
	most := 1
	for _, n := range names {
		most = max(most, tally(n).Owed)
	}
	for i, n := range names {
		t := tally(n)
		row := stackedRow{Name: n, Y: float64(i)*barStep + 4, Owed: t.Owed, Share: percent(t)}
		x := barLeft
		for _, s := range []struct {
			outcome Outcome
			n       int
		}{{OnTime, t.OnTime}, {Held, t.Held}, {Late, t.Late}, {Missed, t.Missed}} {
			if s.n == 0 {
				continue
			}
			// What is there at all is seen.
			w := math.Max(barWidth*float64(s.n)/float64(most), 2)
			seg := segment{Outcome: s.outcome, X: x, Width: w, Count: s.n}
			if text := fmt.Sprint(s.n); w > float64(len(text))*7+6 {
				seg.Number = text
			}
			row.Segments = append(row.Segments, seg)
			x += w
		}
		c.Label += fmt.Sprintf(" %s: %d owed, %d on time, %d held, %d late, %d missed.", n, t.Owed, t.OnTime, t.Held, t.Late, t.Missed)
		c.Rows = append(c.Rows, row)
	}
	return c
}

// percent writes what share of a tally was kept. It says 100 % only of all.
func percent(t Tally) string {
	if t.Owed == 0 {
		return "none owed"
	}
	p := math.Floor(t.Kept()*1000) / 10
	if p == 100 || p == math.Trunc(p) {
		return fmt.Sprintf("%.0f %%", p)
	}
	return fmt.Sprintf("%.1f %%", p)
}

// A ranges chart shows medians, 90th percentiles and maxima on a scale of powers.
type ranges struct {
	Title, Label  string
	Width, Height float64
	Ticks         []tick
	Rows          []rangeRow
}

type tick struct {
	X    float64
	Name string
}

type rangeRow struct {
	Name             string
	Y                float64
	Median, P90, Max float64 // places
	Words            string
	None             bool
}

var scale = []struct {
	at   time.Duration
	name string
}{
	{time.Minute, "1 min"},
	{10 * time.Minute, "10 min"},
	{time.Hour, "1 h"},
	{6 * time.Hour, "6 h"},
	{24 * time.Hour, "1 d"},
	{7 * 24 * time.Hour, "7 d"},
	{30 * 24 * time.Hour, "30 d"},
}

const (
	rangeLeft  = 170.0
	rangeWidth = 330.0
)

// place is where a duration in seconds stands on the scale from 10 seconds to 90 days.
func place(seconds float64) float64 {
	low, high := math.Log(10), math.Log((90 * 24 * time.Hour).Seconds())
	share := (math.Log(math.Max(seconds, 10)) - low) / (high - low)
	return rangeLeft + rangeWidth*math.Min(share, 1)
}

func newRanges(title string, names []string, spread func(string) Spread) ranges {
	c := ranges{Title: title, Label: title + ":", Width: 760, Height: float64(len(names))*barStep + 26}
	for _, s := range scale {
		c.Ticks = append(c.Ticks, tick{place(s.at.Seconds()), s.name})
	}
	for i, n := range names {
		s := spread(n)
		row := rangeRow{Name: n, Y: float64(i)*barStep + 24, None: s.Count == 0}
		if row.None {
			row.Words = "none measured"
		} else {
			row.Median, row.P90, row.Max = place(s.Median), place(s.P90), place(s.Max)
			row.Words = fmt.Sprintf("%s · %s · %s", inWords(s.Median), inWords(s.P90), inWords(s.Max))
		}
		c.Label += fmt.Sprintf(" %s: %s.", n, row.Words)
		c.Rows = append(c.Rows, row)
	}
	return c
}

// inWords writes a number of seconds.
func inWords(seconds float64) string {
	return words(time.Duration(seconds * float64(time.Second)))
}
