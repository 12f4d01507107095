package simulate_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sitrep/config"
	"sitrep/simulate"
)

func TestAMistypedIDIsAskedAbout(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"sitrep.yml": "priorities: [{name: P1}]\nslo_files: [slos.yml]\n",
		"slos.yml":   "team: t\nslos: [{id: checkout-availability, use_case: x, priority: P1}]\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err := config.Load(filepath.Join(dir, "sitrep.yml"))
	if err != nil {
		t.Fatal(err)
	}
	sim, err := simulate.Run(t.Context(), c, []byte(`{"version":"4","alerts":[{"status":"firing","fingerprint":"a","labels":{"alertname":"Burn","sitrep_slo":"chekout-availability"},
		"startsAt":"2026-01-01T00:00:00Z"}]}`), time.Date(2026, 1, 1, 0, 1, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	if text := sim.Text(); !strings.Contains(text, `sitrep_slo is "chekout-availability": did you mean "checkout-availability"?`) || sim.Alerts[0].DidYouMean != "checkout-availability" {
		t.Error(text)
	}
}
