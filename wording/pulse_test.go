package wording_test

import (
	"strings"
	"testing"
	"time"

	"sitrep/incident"
	"sitrep/wording"
)

func TestAPulseInWords(t *testing.T) {
	for _, c := range []struct {
		labels map[string]string
		want   string
	}{
		{nil, ""},
		{map[string]string{"cluster": "eu"}, "cluster eu"},
		{map[string]string{"region": "north", "cluster": "eu"}, "cluster eu, region north"},
		{map[string]string{"cluster": ""}, "no cluster"},
		{map[string]string{"cluster": "e\r\nu\u202e"}, "cluster e u"},
		{map[string]string{"cluster": strings.Repeat("x", 100)}, "cluster " + strings.Repeat("x", 59) + "…"},
	} {
		if got := wording.Pulse(c.labels); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

func TestWhichPulsesAreSilent(t *testing.T) {
	clock := wording.Clock{Now: noon, Location: time.UTC}
	w := incident.Watchdog{By: []string{"cluster"}}
	var many incident.Pulses
	for _, name := range []string{"eu", "us", "asia", "lab", "shop"} {
		p := w.Pulse(map[string]string{"cluster": name})
		p.AwaySince = noon.Add(-time.Hour)
		many = append(many, p)
	}
	for _, c := range []struct {
		away incident.Pulses
		want string
	}{
		{nil, ""},
		{incident.Pulses{{AwaySince: noon.Add(-time.Hour)}}, "Silent since 11:00. Until it is back, alerts that end are not believed."},
		{many[:1], "Silent: cluster eu since 11:00. Until it is back, its alerts that end are not believed."},
		{many[:2], "Silent: cluster eu since 11:00; cluster us since 11:00. Until they are back, their alerts that end are not believed."},
		{many, "Silent: cluster eu since 11:00; cluster us since 11:00; cluster asia since 11:00; 2 others. Until they are back, their alerts that end are not believed."},
	} {
		if got := wording.Silent(c.away, clock); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

func TestTheSubjectNamesThePulse(t *testing.T) {
	news := &incident.WatchdogNews{Pulse: `cluster="eu"`, Labels: map[string]string{"cluster": "e\nu"}}
	m := &incident.Message{Kind: incident.KindWatchdog, At: noon, Location: time.UTC, Watchdog: news}
	if got := wording.Subject(m); got != "[watchdog] Alerts arrive again (cluster e u)" {
		t.Errorf("%q", got)
	}
	news.Away = true
	if got := wording.Subject(m); got != "[watchdog] Alerts have stopped arriving (cluster e u)" {
		t.Errorf("%q", got)
	}
}
