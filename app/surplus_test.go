package app_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"sitrep/app/apptest"
)

// TestLabelsThatTheConfigurationLooksAtSurviveTheCut posts an alert with more labels
// than are kept, whose SLO is known by a label that a reload makes an id.
func TestLabelsThatTheConfigurationLooksAtSurviveTheCut(t *testing.T) {
	s := apptest.New(t, apptest.Organisation+apptest.Access, nil)
	var surplus strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&surplus, `"l%d":"v",`, i)
	}
	post := func(label, fingerprint string) string {
		body := strings.Replace(apptest.AlertBody("firing", "send", fingerprint), `{"alertname":"Burn"`, "{"+surplus.String()+`"alertname":"Burn"`, 1)
		code, answer := s.Ask(apptest.ReceiverToken, "POST", "/alertmanager", strings.Replace(body, "sitrep_slo", label, 1))
		if code != http.StatusOK {
			t.Fatalf("answer %d %s", code, answer)
		}
		_, answer, _ = strings.Cut(answer, `"alerts":[`)
		return answer
	}
	if answer := post("sitrep_slo", "00000000000000aa"); !strings.Contains(answer, `"slo":"send","incident":"INC-1","result":"opened"`) {
		t.Errorf("by its own label: %s", answer)
	}
	if answer := post("zone_objective", "00000000000000ab"); !strings.Contains(answer, `"result":"unmapped"`) {
		t.Errorf("by a label that is none: %s", answer)
	}
	s.Write("sitrep.yml", apptest.Organisation+apptest.Access+"slo_labels: [zone_objective]\n")
	if code, body := s.Ask(apptest.AdminToken, "POST", "/-/reload", ""); code != http.StatusOK {
		t.Fatalf("reload: %d %s", code, body)
	}
	if answer := post("zone_objective", "00000000000000ab"); !strings.Contains(answer, `"slo":"send","incident":"INC-1","result":"joined"`) {
		t.Errorf("by a label that is one now: %s", answer)
	}
	if text := s.Scrape(); !strings.Contains(text, "sitrep_alerts_cut_total 3\n") {
		t.Error("not counted as cut")
	}
}
