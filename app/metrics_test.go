package app_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"sitrep/app/apptest"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

func TestMetricsAreAsPrometheusAdvises(t *testing.T) {
	s := apptest.New(t, apptest.Organisation+apptest.Access, nil)
	s.Alert("firing", "send", "a")
	text := s.Scrape()
	problems, err := promlint.New(bytes.NewReader([]byte(text))).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	for line := range strings.Lines(text) {
		name, ok := strings.CutPrefix(line, "# TYPE ")
		if ok && !strings.HasPrefix(name, "sitrep_") && !strings.HasPrefix(name, "go_") && !strings.HasPrefix(name, "process_") {
			t.Errorf("a metric of no known prefix: %s", name)
		}
		// An incident or an address must never be a label.
		if strings.HasPrefix(line, "sitrep_") && (strings.Contains(line, "INC-") || strings.Contains(line, "@example.org")) {
			t.Errorf("too many series are possible: %s", line)
		}
	}
}

func TestPulsesThatAreAwayAreCounted(t *testing.T) {
	s := apptest.New(t, apptest.Organisation+apptest.Access+"watchdog: {match: ['alertname=\"Watchdog\"'], by: [cluster]}\n", nil)
	for i, c := range []struct{ status, cluster string }{{"firing", "eu"}, {"firing", "us"}, {"resolved", "eu"}} {
		end := "0001-01-01T00:00:00Z"
		if c.status == "resolved" {
			end = time.Now().UTC().Format(time.RFC3339Nano)
		}
		code, got := s.Ask(apptest.ReceiverToken, "POST", "/alertmanager", fmt.Sprintf(`{"version":"4","alerts":[{"status":%q,"fingerprint":%q,
			"labels":{"alertname":"Watchdog","cluster":%q},"startsAt":"2026-01-01T00:00:00Z","endsAt":%q}]}`, c.status, c.cluster, c.cluster, end))
		if code != 200 {
			t.Fatalf("answered %d %s", code, got)
		}
		if want := fmt.Sprintf("sitrep_watchdog_away %d\n", i/2); !strings.Contains(s.Scrape(), want) {
			t.Errorf("no %q after %s %s", want, c.cluster, c.status)
		}
	}
}

func TestWhatHappensToIncidentsIsCounted(t *testing.T) {
	s := apptest.New(t, apptest.Organisation+apptest.Access, nil)
	want := func(line string) {
		t.Helper()
		if text := s.Scrape(); !strings.Contains(text, line+"\n") {
			t.Errorf("no %q among the metrics", line)
		}
	}
	// Before anything happened each series is there.
	want(`sitrep_priority_changes_total{from="P1",to="P2"} 0`)
	want(`sitrep_priority_changes_total{from="P3",to="P1"} 0`)
	want(`sitrep_incident_events_total{type="merged"} 0`)
	s.Alert("firing", "send", "a")
	want(`sitrep_incident_events_total{type="opened"} 1`)
	want(`sitrep_incident_events_total{type="breach_started"} 1`)
	for range 2 {
		// The second is refused, and none is carried out by a preview.
		s.Ask(apptest.ResponderToken, "POST", "/api/v1/incidents/INC-1/priority", `{"priority":"P2","reason":"r"}`)
		s.Ask(apptest.ResponderToken, "POST", "/api/v1/incidents/INC-1/priority?preview=true", `{"priority":"P3","reason":"r"}`)
	}
	want(`sitrep_priority_changes_total{from="P1",to="P2"} 1`)
	want(`sitrep_priority_changes_total{from="P2",to="P3"} 0`)
	want(`sitrep_incident_events_total{type="priority_changed"} 1`)
	// A reload that brings another priority brings its series.
	s.Write("sitrep.yml", strings.Replace(apptest.Organisation, "  - name: P3\n", "  - name: P4\n", 1)+apptest.Access)
	if code, body := s.Ask(apptest.AdminToken, "POST", "/-/reload", ""); code != 200 {
		t.Fatalf("reload: %d %s", code, body)
	}
	want(`sitrep_priority_changes_total{from="P4",to="P1"} 0`)
}
