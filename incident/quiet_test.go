package incident_test

import (
	"testing"
	"time"

	"github.com/prometheus/alertmanager/timeinterval"

	"sitrep/incident"
	"sitrep/incident/incidenttest"
)

// TestQuietTimesAreKept looks at when one who is quiet is told of an incident that opens.
func TestQuietTimesAreKept(t *testing.T) {
	day := func(year int, month time.Month, d, hour int) time.Time {
		return time.Date(year, month, d, hour, 0, 0, 0, incidenttest.Berlin())
	}
	for _, tc := range []struct {
		name      string
		quiet     timeinterval.TimeInterval
		opens, at time.Time
	}{
		{
			"the last of a month with a change of the clock is its last day",
			timeinterval.TimeInterval{DaysOfMonth: []timeinterval.DayOfMonthRange{{InclusiveRange: timeinterval.InclusiveRange{Begin: -1, End: -1}}}},
			day(2027, 3, 31, 12), day(2027, 4, 1, 0),
		},
		{
			"and the day before is not",
			timeinterval.TimeInterval{DaysOfMonth: []timeinterval.DayOfMonthRange{{InclusiveRange: timeinterval.InclusiveRange{Begin: -1, End: -1}}}},
			day(2027, 3, 30, 12), day(2027, 3, 30, 12),
		},
		{
			"a whole leap year",
			timeinterval.TimeInterval{Years: []timeinterval.YearRange{{InclusiveRange: timeinterval.InclusiveRange{Begin: 2028, End: 2028}}}},
			day(2028, 1, 1, 0), day(2029, 1, 1, 0),
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := policy()
			p.Groups[1].Quiet = []incident.Quiet{{Times: []timeinterval.TimeInterval{tc.quiet}}}
			w := newWorld(t, p)
			w.now = tc.opens.UTC()
			w.open("P3")
			if got := w.s.Subscription("email:support@example.org").DueAt; !got.Equal(tc.at) {
				t.Errorf("it is told at %s, want %s", got.In(incidenttest.Berlin()), tc.at)
			}
		})
	}
}
