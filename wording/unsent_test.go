package wording_test

import (
	"testing"
	"time"

	"sitrep/incident"
	"sitrep/wording"
)

func TestUnsent(t *testing.T) {
	clock := wording.Clock{Now: time.Date(2026, 3, 2, 15, 0, 0, 0, time.UTC), Location: time.UTC}
	since := clock.Now.Add(-time.Hour)
	for _, tt := range []struct {
		unsent incident.Unsent
		want   string
	}{
		{incident.Unsent{}, ""},
		{incident.Unsent{Waiting: 1, Recipients: 1, Since: since}, "1 message to 1 recipient is not handed over; the first was due 14:00."},
		{
			incident.Unsent{Waiting: 12, Recipients: 7, Since: since.Add(-24 * time.Hour), LastError: "421\r\n try later"},
			"12 messages to 7 recipients are not handed over; the first was due Sun 1 Mar, 14:00. The last error: 421 try later",
		},
		{incident.Unsent{Refused: 2, Recipients: 1, Since: since, LastError: "550"}, "2 messages to 1 recipient failed for good; the first was due 14:00. The last error: 550"},
		{
			incident.Unsent{Waiting: 1, Refused: 2, Recipients: 3, Since: since},
			"1 message is not handed over and 2 messages failed for good, to 3 recipients; the first was due 14:00.",
		},
		{
			incident.Unsent{Waiting: 1000, Recipients: 400, More: true, Since: since},
			"At least 1000 messages to at least 400 recipients are not handed over; the first was due 14:00.",
		},
	} {
		if got := wording.Unsent(&tt.unsent, clock); got != tt.want {
			t.Errorf("%+v:\n%q, want\n%q", tt.unsent, got, tt.want)
		}
	}
}
