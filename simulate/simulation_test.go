package simulate_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sitrep/config"
	"sitrep/contrib"
	"sitrep/intake"
	"sitrep/simulate"
)

// at is in the working hours of everybody.
var at = time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)

// sample is the configuration of the sample organisation.
func sample(t *testing.T) *config.Config {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, contrib.Sample); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(filepath.Join(dir, "sitrep.yml"))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestWhatAlertsWouldDo(t *testing.T) {
	c := sample(t)
	payload := func(alerts ...string) string {
		return fmt.Sprintf(`{"version":"4","groupKey":"g","status":"firing","receiver":"sitrep","alerts":[%s]}`, strings.Join(alerts, ","))
	}
	alert := func(status, slo, startsAt string) string {
		return fmt.Sprintf(`{"status":%q,"labels":{"alertname":"Burn","sitrep_slo":%q},"fingerprint":%q,"startsAt":%q,"endsAt":%q}`,
			status, slo, "f-"+slo, startsAt, map[string]string{"resolved": "2026-03-02T09:59:00Z"}[status])
	}
	const began = "2026-03-02T09:58:00Z"
	for _, tt := range []struct {
		name, payload string
		results       []intake.Outcome
		priorities    []string
	}{
		{"an alert of an SLO opens an incident", payload(alert("firing", "notifications-send-availability", began)), []intake.Outcome{intake.OutcomeOpened}, []string{"P1"}},
		{
			"those of two SLOs open two",
			payload(alert("firing", "notifications-send-availability", began), alert("firing", "notifications-delivery-latency", began)),
			[]intake.Outcome{intake.OutcomeOpened, intake.OutcomeOpened},
			[]string{"P1", "P2"},
		},
		{"one that is no SLO's opens what the sample has for those", payload(alert("firing", "nobody's", began)), []intake.Outcome{intake.OutcomeUnmapped}, []string{"P3"}},
		{"a wrong time is invalid, and holds up no other", payload(alert("firing", "x", "yesterday"), alert("firing", "notifications-send-availability", began)), []intake.Outcome{intake.OutcomeInvalid, intake.OutcomeOpened}, []string{"P1"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sim, err := simulate.Run(t.Context(), c, []byte(tt.payload), at)
			if err != nil {
				t.Fatal(err)
			}
			var results []intake.Outcome
			invalid := false
			for _, a := range sim.Alerts {
				results = append(results, a.Result)
				invalid = invalid || a.Result == intake.OutcomeInvalid
			}
			var priorities []string
			for _, in := range sim.Incidents {
				priorities = append(priorities, in.Priority)
				if len(in.Readers) == 0 || len(in.Readers[0].Messages) == 0 {
					t.Errorf("nobody is told of incident %d", in.Number)
				}
			}
			if fmt.Sprint(results) != fmt.Sprint(tt.results) || fmt.Sprint(priorities) != fmt.Sprint(tt.priorities) || sim.Invalid() != invalid {
				t.Errorf("results %v, incidents of %v, invalid %v", results, priorities, sim.Invalid())
			}
			if text := sim.Text(); !strings.HasPrefix(text, fmt.Sprint(len(tt.results))+" alert") {
				t.Errorf("told as %.200s", text)
			}
		})
	}
}

func TestWhatIsNoPayloadIsAnError(t *testing.T) {
	for _, body := range []string{"", "{}", `{"version":"3","alerts":[]}`} {
		if _, err := simulate.Run(t.Context(), sample(t), []byte(body), at); err == nil || !strings.Contains(err.Error(), "the alerts are refused with 4") {
			t.Errorf("%q: %v", body, err)
		}
	}
}

// TestTheSameComesOfTheSame: nothing is kept from one simulation to the next.
func TestTheSameComesOfTheSame(t *testing.T) {
	c := sample(t)
	var texts []string
	for range 2 {
		sim, err := simulate.Run(t.Context(), c, contrib.Alert, at)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, sim.Text())
	}
	if texts[0] != texts[1] || !strings.Contains(texts[0], "Told, while it goes on") {
		t.Errorf("first\n%s\nthen\n%s", texts[0], texts[1])
	}
}
