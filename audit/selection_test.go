package audit_test

import (
	"testing"
	"time"

	"sitrep/audit"
)

func TestSelectionInWords(t *testing.T) {
	berlin := time.FixedZone("CET", 3600)
	from, to := time.Date(2026, 11, 25, 0, 0, 0, 0, berlin), time.Date(2026, 12, 1, 8, 30, 5, 0, time.UTC)
	for _, c := range []struct {
		s    audit.Selection
		want string
	}{
		{audit.Selection{}, "all incidents"},
		{audit.Selection{Incident: 7}, "INC-7"},
		{audit.Selection{Team: "pay"}, "incidents of team pay"},
		{audit.Selection{Priority: "P1"}, "incidents with priority P1"},
		{audit.Selection{From: from}, "incidents from 24 November 2026, 23:00 UTC on"},
		{audit.Selection{To: to}, "incidents up to 1 December 2026, 08:30:05 UTC"},
		{audit.Selection{To: to.Add(time.Microsecond)}, "incidents up to 1 December 2026, 08:30:05.000001 UTC"},
		{audit.Selection{Team: "pay", Priority: "P1", From: from, To: to}, "incidents of team pay with priority P1 from 24 November 2026, 23:00 UTC up to 1 December 2026, 08:30:05 UTC"},
		{audit.Selection{Incident: 7, Team: "pay", From: from}, "INC-7 of team pay from 24 November 2026, 23:00 UTC on"},
	} {
		if got := c.s.String(); got != c.want {
			t.Errorf("%+v:\n got %s\nwant %s", c.s, got, c.want)
		}
	}
}
