package e2e_test

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"
	"time"
)

// TestGrafana: what Grafana alerting posts is taken, and its SLO found by the label that
// Grafana sets.
func TestGrafana(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{slos: `
team: notifications
on_call: {email: [oncall@example.org]}
stakeholders: [support]
slos:
  - {id: register-availability, use_case: Application cannot register, sli: availability, priority: P1}
`})
	recorded, err := os.ReadFile("testdata/grafana-unified-firing.json")
	check(t, err)
	post := func(status string, startsAt, endsAt time.Time) {
		t.Helper()
		var body map[string]any
		check(t, json.Unmarshal(recorded, &body))
		a := body["alerts"].([]any)[0].(map[string]any)
		a["status"], a["startsAt"] = status, startsAt
		if !endsAt.IsZero() {
			body["status"], a["endsAt"] = status, endsAt
		}
		raw, err := json.Marshal(body)
		check(t, err)
		answer, err := w.Alerts(raw)
		check(t, err)
		if !bytes.Contains(answer, []byte(`"slo":"register-availability"`)) || !bytes.Contains(answer, []byte(`"incident":"INC-1"`)) {
			t.Errorf("%s: got the answer %s", status, answer)
		}
	}
	zone := time.FixedZone("", 2*60*60)
	start := time.Now().Add(-time.Minute).In(zone).Truncate(time.Microsecond)
	post("firing", start, time.Time{})
	w.told("opened")
	if in := w.incidents()["register-availability"]; !in.StartedAt.Equal(start) || in.Breaches.Firing != 1 {
		t.Errorf("got %+v, want one breach that fires since %s", in, start)
	}
	post("resolved", start, time.Now().In(zone))
	w.told("opened", "resolved")
}
