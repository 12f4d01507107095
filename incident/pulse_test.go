package incident_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"sitrep/incident"
)

// watched is a policy with a watchdog that is heard every quarter of an hour.
func watched(by ...string) *incident.Policy {
	p := policy()
	p.Watchdog = incident.Watchdog{Within: 15 * time.Minute, By: by, Groups: []string{"support"}}
	return p
}

// pulse is one of cluster, heard a number of minutes after t0, and away since then if so.
func pulse(p *incident.Policy, cluster string, heard int, away bool) incident.Pulse {
	q := p.Watchdog.Pulse(map[string]string{"cluster": cluster})
	q.HeardAt = t0.Add(time.Duration(heard) * time.Minute)
	if away {
		q.AwaySince = q.HeardAt
	}
	return q
}

func TestThePulseHasAName(t *testing.T) {
	long := strings.Repeat("ü", 100)
	for _, c := range []struct {
		by     []string
		labels map[string]string
		want   string
	}{
		{nil, map[string]string{"cluster": "eu"}, ""},
		{[]string{"cluster"}, map[string]string{"cluster": "eu", "severity": "none"}, `cluster="eu"`},
		{[]string{"cluster"}, nil, `cluster=""`},
		{[]string{"cluster", "odd.name"}, map[string]string{"cluster": "a\"b\n", "odd.name": "x"}, `cluster="a\"b\n", "odd.name"="x"`},
		{[]string{"cluster"}, map[string]string{"cluster": long}, `cluster="` + long[:48] + `…`},
	} {
		w := incident.Watchdog{By: c.by}
		got := w.Pulse(c.labels)
		if got.Name != c.want && !(c.labels["cluster"] == long && strings.HasPrefix(got.Name, c.want) && len(got.Name) < 90) {
			t.Errorf("%q, want %q", got.Name, c.want)
		}
		for _, name := range c.by {
			if got.Labels[name] != c.labels[name] {
				t.Errorf("labels %v", got.Labels)
			}
		}
	}
	w := incident.Watchdog{By: []string{"cluster"}}
	if a, b := w.Pulse(map[string]string{"cluster": long + "a"}), w.Pulse(map[string]string{"cluster": long + "b"}); a.Name == b.Name {
		t.Errorf("two values have one name, %q", a.Name)
	}
}

func TestABreachIsDoubtedByItsOwnPulse(t *testing.T) {
	one, by, two := watched(), watched("cluster"), watched("cluster", "region")
	for _, c := range []struct {
		name   string
		p      *incident.Policy
		pulses incident.Pulses
		labels map[string]string
		want   string // the cluster that doubts, or none
	}{
		{"no watchdog", policy(), incident.Pulses{{AwaySince: t0}}, nil, "none"},
		{"one pulse that is there", one, incident.Pulses{{HeardAt: t0}}, nil, "none"},
		{"one pulse that is away", one, incident.Pulses{{AwaySince: t0}}, map[string]string{"cluster": "eu"}, ""},
		{"its own is away", by, incident.Pulses{pulse(by, "eu", 0, true), pulse(by, "us", 9, false)}, map[string]string{"cluster": "eu"}, "eu"},
		{"another is away", by, incident.Pulses{pulse(by, "eu", 0, true), pulse(by, "us", 9, false)}, map[string]string{"cluster": "us"}, "none"},
		{"its own was never heard", by, incident.Pulses{pulse(by, "eu", 0, true)}, map[string]string{"cluster": "asia"}, "none"},
		{"it has no cluster: any", by, incident.Pulses{pulse(by, "us", 9, true), pulse(by, "eu", 5, true)}, nil, "eu"},
		{"it has one label of two: any", two, incident.Pulses{{Name: "x", Labels: map[string]string{"cluster": "eu", "region": "1"}, AwaySince: t0}}, map[string]string{"cluster": "us"}, "eu"},
		{"a pulse of a configuration before", by, incident.Pulses{{AwaySince: t0}}, nil, "none"},
		{"a pulse of other labels", one, incident.Pulses{pulse(by, "eu", 0, true), {HeardAt: t0}}, nil, "none"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := "none"
			if q, doubts := c.pulses.Doubting(c.p, c.labels); doubts {
				got = q.Labels["cluster"]
			}
			if got != c.want {
				t.Errorf("doubted by %q, want %q", got, c.want)
			}
		})
	}
}

func TestAnEndIsConfirmedByItsOwnPulse(t *testing.T) {
	one, by := watched(), watched("cluster")
	end := t0.Add(time.Minute)
	eu := map[string]string{"cluster": "eu"}
	for _, c := range []struct {
		name   string
		p      *incident.Policy
		pulses incident.Pulses
		labels map[string]string
		want   bool
	}{
		{"no watchdog", policy(), nil, nil, true},
		{"never heard", one, nil, nil, false},
		{"never heard of that value", by, nil, eu, true},
		{"heard before", by, incident.Pulses{pulse(by, "eu", 0, false)}, eu, false},
		{"heard since", by, incident.Pulses{pulse(by, "eu", 2, false)}, eu, true},
		{"heard since, and away soon", by, incident.Pulses{pulse(by, "eu", 2, true)}, eu, false},
		{"heard for long since, and away", by, incident.Pulses{pulse(by, "eu", 17, true)}, eu, true},
		{"another is away", by, incident.Pulses{pulse(by, "eu", 2, false), pulse(by, "us", 0, true)}, eu, true},
		{"it has no cluster, and one was not heard", by, incident.Pulses{pulse(by, "eu", 2, false), pulse(by, "us", 0, false)}, nil, false},
		{"it has no cluster, and all were heard", by, incident.Pulses{pulse(by, "eu", 2, false), pulse(by, "us", 3, false)}, nil, true},
	} {
		if got := c.pulses.Confirms(c.p, c.labels, end); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

// TestAPulseOfManyAlerts: of replicas and clusters that share a pulse, one that ends is
// no outage while another is heard.
func TestAPulseOfManyAlerts(t *testing.T) {
	p := watched()
	at := func(minute int) time.Time { return t0.Add(time.Duration(minute) * time.Minute) }
	var q incident.Pulse
	hear := func(alert string, minute int, back bool) {
		t.Helper()
		var is bool
		if q, is = q.Hear(p, alert, at(minute)); is != back {
			t.Errorf("%s heard at minute %d: back %v", alert, minute, is)
		}
	}
	end := func(alert string, ended, minute int, gone bool) {
		t.Helper()
		before := maps.Clone(q.HeardBy)
		var is bool
		next, is := q.End(p, alert, at(ended), at(minute))
		if is != gone || !maps.Equal(before, q.HeardBy) {
			t.Errorf("%s ended at minute %d: gone %v, the one before is now %v", alert, minute, is, q.HeardBy)
		}
		q = next
	}
	hear("a", 0, false)
	hear("b", 1, false)
	end("a", 2, 3, false)
	hear("a", 4, false)
	end("a", 2, 5, false) // a late copy
	end("b", 5, 6, false)
	end("b", 5, 7, false) // again
	end("a", 7, 8, true)
	if q.AwaySince.IsZero() || q.Sequence != 1 {
		t.Errorf("away %+v", q)
	}
	end("a", 7, 9, false)
	hear("b", 10, true)
	hear("a", 11, false)
	hear("b", 20, false)
	end("b", 21, 30, true) // a was not heard for long
	hear("b", 31, true)
	if got := slices.Collect(maps.Keys(q.HeardBy)); !slices.Equal(got, []string{"b"}) || q.Sequence != 4 {
		t.Errorf("heard by %v, sequence %d", got, q.Sequence)
	}

	by := watched("cluster")
	if never, gone := by.Watchdog.Pulse(map[string]string{"cluster": "eu"}).End(by, "a", at(1), at(1)); gone || !never.AwaySince.IsZero() {
		t.Error("what was never heard is away")
	}
}

func TestAPulseIsGivenUp(t *testing.T) {
	one, by := watched(), watched("cluster")
	for _, c := range []struct {
		name  string
		p     *incident.Policy
		q     incident.Pulse
		after time.Duration
		want  bool
	}{
		{"it is there", by, pulse(by, "eu", 0, false), 30 * 24 * time.Hour, false},
		{"away for less than a week", by, pulse(by, "eu", 0, true), incident.GoneAfter - 1, false},
		{"away for a week", by, pulse(by, "eu", 0, true), incident.GoneAfter, true},
		{"the only one, never", one, incident.Pulse{AwaySince: t0}, 1000 * time.Hour, false},
		{"of a configuration before", one, pulse(by, "eu", 0, false), 0, true},
		{"of one without the label", by, incident.Pulse{HeardAt: t0}, 0, true},
		{"there is no watchdog any more", policy(), incident.Pulse{HeardAt: t0}, 0, true},
	} {
		if got := c.q.Over(c.p, t0.Add(c.after)); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

func TestWhatTheConfigurationKnowsOfPulses(t *testing.T) {
	one, by := watched(), watched("cluster")
	eu := pulse(by, "eu", 0, false)
	if got := (incident.Pulses{eu}).In(one); len(got) != 1 || got[0].Name != "" || !got[0].HeardAt.IsZero() {
		t.Errorf("never heard: %+v", got)
	}
	if _, gone := (incident.Pulse{}).Check(one, t0, t0.Add(16*time.Minute)); !gone {
		t.Error("one that was never heard is not missed")
	}
	if got := (incident.Pulses{}).In(by); len(got) != 0 {
		t.Errorf("with by, never heard: %+v", got)
	}
	if got := (incident.Pulses{eu, {HeardAt: t0}}).In(by); len(got) != 1 || got[0].Name != eu.Name {
		t.Errorf("with by: %+v", got)
	}
	all := incident.Pulses{eu}
	if got := all.Of(by, map[string]string{"cluster": "eu", "x": "y"}); !got.HeardAt.Equal(t0) {
		t.Errorf("of eu: %+v", got)
	}
	if got := all.Of(by, map[string]string{"cluster": "us"}); !got.HeardAt.IsZero() || got.Name != `cluster="us"` {
		t.Errorf("of us: %+v", got)
	}
}
