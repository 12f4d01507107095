package config_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"sitrep/config"
)

const lookupMain = `
priorities:
  - {name: P1}
  - {name: P2}
slo_files: [slos/*.yml]
slo_labels: [objective]
ignore: ['severity="ticket"', '{alertname="Noise",env!="prod"}']
watchdog: {match: ['alertname="Watchdog"', 'cluster="main"']}
`

const lookupTeam = `
team: shop
on_call: {webhooks: [{url: 'http://127.0.0.1/'}]}
slos:
  - {id: plain, use_case: Plain is broken, priority: P1}
  - {id: other, use_case: Other is broken, priority: P2}
  - {id: slow, use_case: Shop is slow, priority: P2, match: ['alertname="Slow"', 'env=~"prod.*"']}
  - {id: slow-eu, use_case: Shop is slow in Europe, priority: P2, match: ['alertname="Slow"', 'region="eu"']}
  - {id: regional, use_case: A region is down, priority: P1, match: ['alertname="Down"'], incident_per: [zone, region]}
  - {id: pattern, use_case: Something is odd, priority: P2, match: ['alertname=~"Odd.+"', 'env=""'], ignore: ['canary="true"']}
  - {id: 'odd{x="y"}', use_case: The id is odd, priority: P2, match: ['alertname="Id"']}
  - {id: unmapped/x, use_case: The id is odd too, priority: P2}
  - {id: "utf8", use_case: The label is odd, priority: P2, match: ['"odd.name"="🙂"'], incident_per: ["odd.name"]}
`

func TestLookup(t *testing.T) {
	plain := write(t, map[string]string{"sitrep.yml": lookupMain, "slos/shop.yml": lookupTeam})
	c := load(t, plain)
	unmapped := load(t, write(t, map[string]string{
		"sitrep.yml":    lookupMain + "unmapped: {priority: P2}\n",
		"slos/shop.yml": lookupTeam,
	}))

	tests := []struct {
		name   string
		config *config.Config
		labels string
		want   string
	}{
		{"our own label", c, "sitrep_slo=plain", "plain"},
		{"Sloth's label", c, "sloth_id=plain", "plain"},
		{"Pyrra's label", c, "slo=plain", "plain"},
		{"Grafana's label", c, "grafana_slo_uuid=plain", "plain"},
		{"a label of slo_labels", c, "objective=plain", "plain"},
		{"a label that is none", c, "id=plain", "nobody"},
		{"a value that is no id is passed over", c, "sitrep_slo=nonsense sloth_id=plain", "plain"},
		{"an empty value is passed over", c, "sitrep_slo= sloth_id=plain", "plain"},
		{"the labels are tried in their order, whatever the file's", c, "sitrep_slo=other sloth_id=plain", "other, not plain"},
		{"two labels that agree are not ambiguous", c, "sitrep_slo=plain sloth_id=plain slo=plain", "plain"},
		{"an id label goes before match", c, "sloth_id=plain alertname=Slow env=prod", "plain"},
		{"no id and no match", c, "alertname=Else", "nobody"},
		{"no labels", c, "", "nobody"},
		{"all matchers hold", c, "alertname=Slow env=prod-1", "slow"},
		{"one matcher does not hold", c, "alertname=Slow env=test", "nobody"},
		{"the second one's matchers hold", c, "alertname=Slow env=test region=eu", "slow-eu"},
		{"the first in file order gets it", c, "alertname=Slow env=prod region=eu", "slow, not slow-eu"},
		{"an SLO with match needs it, also by its id", c, "sloth_id=slow alertname=Slow env=test", "nobody"},
		{"an SLO with match by its id", c, "sloth_id=slow alertname=Slow env=prod", "slow"},
		{"an SLO whose match fails leaves the alert to the next label", c, "sitrep_slo=slow sloth_id=plain", "plain"},
		{"no equality matcher", c, "alertname=Oddity", "pattern"},
		{"an empty matcher asks for the label to be missing", c, "alertname=Oddity env=prod", "nobody"},
		{"an incident for each value", c, "alertname=Down region=eu zone=a", `regional as regional{region="eu",zone="a"}`},
		{"a value that needs quoting", c, `alertname=Down region=a",zone="b zone=`, `regional as regional{region="a\",zone=\"b",zone=""}`},
		{"a value that is missing", c, "alertname=Down", `regional as regional{region="",zone=""}`},
		{"an id that looks like a key with values", c, "alertname=Id", `odd{x="y"} as "odd{x=\"y\"}"`},
		{"an id that looks like an unmapped alert's key", c, "slo=unmapped/x", `unmapped/x as "unmapped/x"`},
		{"a label with an odd name", c, "odd.name=🙂", `utf8 as utf8{"odd.name"="🙂"}`},
		{"ignored", c, "sloth_id=plain severity=ticket", "ignored"},
		{"ignored only if all matchers of one text match", c, "sloth_id=plain alertname=Noise env=prod", "plain"},
		{"ignored as all matchers of one text match", c, "sloth_id=plain alertname=Noise env=test", "ignored"},
		{"ignored by its SLO", c, "alertname=Oddity canary=true", "pattern, ignored"},
		{"another SLO's ignore does not count", c, "sloth_id=plain canary=true", "plain"},
		{"the watchdog", c, "alertname=Watchdog cluster=main", "watchdog"},
		{"the watchdog of another cluster", c, "alertname=Watchdog cluster=other", "nobody"},
		{"the canary, whatever else it is", c, "sitrep_canary=x sloth_id=plain alertname=Watchdog cluster=main", "canary"},
		{"no canary without an id", c, "sitrep_canary= sloth_id=plain", "plain"},
		{"unmapped with a priority", unmapped, "alertname=Else", "stand-in P2 as unmapped/Else"},
		{"unmapped without a name", unmapped, "x=y", "stand-in P2 as unmapped/"},
		{"mapped all the same", unmapped, "sloth_id=plain", "plain"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tell(tt.config.Lookup(parse(tt.labels))); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func parse(text string) map[string]string {
	set := map[string]string{}
	for _, f := range strings.Split(text, " ") {
		if name, value, ok := strings.Cut(f, "="); ok {
			set[name] = value
		}
	}
	return set
}

// tell says in words what a match is.
func tell(m config.Match) string {
	var out []string
	switch {
	case m.Canary && m.Ignored:
		return "canary"
	case m.Watchdog:
		out = append(out, "watchdog")
	case m.SLO == nil && !m.Ignored:
		out = append(out, "nobody")
	case m.SLO != nil && m.SLO.Unmapped:
		out = append(out, "stand-in "+m.SLO.Priority+" as "+m.SLO.Key)
	case m.SLO != nil && m.SLO.Key != m.SLO.ID:
		out = append(out, m.SLO.ID+" as "+m.SLO.Key)
	case m.SLO != nil:
		out = append(out, m.SLO.ID)
	}
	for _, id := range m.Ambiguous {
		out = append(out, "not "+id)
	}
	if m.Ignored {
		out = append(out, "ignored")
	}
	return strings.Join(out, ", ")
}

// TestLookupNamesAllOthers has five SLOs claim one alert, by every way of finding.
func TestLookupNamesAllOthers(t *testing.T) {
	team := "team: shop\non_call: {webhooks: [{url: 'http://127.0.0.1/'}]}\nslos:\n"
	for i, match := range []string{`a="1"`, `a=~"1"`, `b="2"`, `a="1",c!="9"`, `b="2",a="1"`} {
		team += fmt.Sprintf("  - {id: s%d, use_case: It is broken, priority: P1, match: ['%s']}\n", i, match)
	}
	c := load(t, write(t, map[string]string{"sitrep.yml": lookupMain, "slos/shop.yml": team}))
	for range 50 { // maps are walked in another order each time
		if got, want := tell(c.Lookup(parse("a=1 b=2"))), "s0, not s1, not s2, not s3, not s4"; got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
	}
}

func TestLooksAtNamesAllThatLookupDependsOn(t *testing.T) {
	c := load(t, write(t, map[string]string{"sitrep.yml": lookupMain, "slos/shop.yml": lookupTeam}))
	for label, want := range map[string]bool{
		"sitrep_slo": true, "sloth_id": true, "slo": true, "grafana_slo_uuid": true, // ids
		"objective": true,                    // slo_labels
		"severity":  true, "alertname": true, // ignore
		"cluster": true,                                   // watchdog
		"env":     true, "region": true, "odd.name": true, // match
		"zone":   true, // incident_per
		"canary": true, // an SLO's ignore
		"":       false, "instance": false, "id": false, "Alertname": false,
	} {
		if got := c.LooksAt(label); got != want {
			t.Errorf("%q: %v, want %v", label, got, want)
		}
	}
	bare := load(t, write(t, map[string]string{"sitrep.yml": "priorities: [{name: P1}]\nunmapped: {priority: P1}\n"}))
	if !bare.LooksAt("alertname") || !bare.LooksAt("slo") || bare.LooksAt("env") {
		t.Error("a config without SLOs looks at the alert's name and at its ids alone")
	}
	if allocs := testing.AllocsPerRun(100, func() { c.LooksAt("instance") }); allocs > 0 {
		t.Errorf("%v allocations", allocs)
	}
}

func TestLookupLabelsAreKept(t *testing.T) {
	c := load(t, write(t, map[string]string{"sitrep.yml": lookupMain, "slos/shop.yml": lookupTeam}))
	a := c.Lookup(parse("alertname=Down region=eu zone=a")).SLO
	b := c.Lookup(parse("alertname=Down region=us")).SLO
	if want := map[string]string{"region": "eu", "zone": "a"}; !maps.Equal(a.Labels, want) {
		t.Errorf("labels %v, want %v", a.Labels, want)
	}
	if want := map[string]string{"region": "us", "zone": ""}; !maps.Equal(b.Labels, want) {
		t.Errorf("labels %v, want %v", b.Labels, want)
	}
	i := slices.IndexFunc(c.Policy().SLOs, func(s incidentSLO) bool { return s.ID == "regional" })
	if s := c.Policy().SLOs[i]; s.Labels != nil || s.Key != "regional" {
		t.Errorf("the policy's SLO got key %q and labels %v of an alert", s.Key, s.Labels)
	}
}

// many writes a config of n SLOs, half of them known by their id and half by
// match, in files of at most 1,000, and returns its path.
func many(t testing.TB, n int) string {
	files := map[string]string{"sitrep.yml": lookupMain}
	for from := 0; from < n; from += 1000 {
		var b strings.Builder
		fmt.Fprintf(&b, "team: team%d\non_call: {webhooks: [{url: 'http://127.0.0.1/%d'}]}\nslos:\n", from, from)
		for i := from; i < min(from+1000, n); i++ {
			fmt.Fprintf(&b, "  - {id: slo-%d, use_case: It is broken, priority: P1", i)
			if i%2 == 1 {
				fmt.Fprintf(&b, `, match: ['env="prod"', 'alertname="Alert%d"', 'job=~"j.*"']`, i)
			}
			b.WriteString("}\n")
		}
		files[fmt.Sprintf("slos/%05d.yml", from)] = b.String()
	}
	return write(t, files)
}

func alert(kind string, n int) map[string]string {
	set := map[string]string{
		"alertname": "Alert0", "env": "prod", "job": "j1", "severity": "page", "instance": "10.0.0.1:9090",
		"namespace": "shop", "pod": "shop-5d9f", "cluster": "eu-1",
	}
	switch kind {
	case "label":
		set["sloth_id"] = fmt.Sprintf("slo-%d", n-2)
	case "match":
		set["alertname"] = fmt.Sprintf("Alert%d", n-1)
	}
	return set
}

func BenchmarkLookup(b *testing.B) {
	for _, n := range []int{10, 10_000} {
		c := load(b, many(b, n))
		for _, kind := range []string{"label", "match"} {
			b.Run(fmt.Sprintf("%d/%s", n, kind), func(b *testing.B) {
				set := alert(kind, n)
				if c.Lookup(set).SLO == nil {
					b.Fatal("nothing found")
				}
				b.ReportAllocs()
				for b.Loop() {
					c.Lookup(set)
				}
			})
		}
	}
}

// TestLookupCostDoesNotGrow counts the SLOs that are looked at, of 10 and of
// 10,000.
func TestLookupCostDoesNotGrow(t *testing.T) {
	for _, n := range []int{10, 10_000} {
		c := load(t, many(t, n))
		for _, kind := range []string{"label", "match", "neither"} {
			set := alert(kind, n)
			want := 1
			if kind == "neither" {
				want = 0
			}
			if got := config.Examined(c, set); got != want {
				t.Errorf("%d SLOs, by %s: looked at %d of them, want %d", n, kind, got, want)
			}
			if allocs := testing.AllocsPerRun(100, func() { c.Lookup(set) }); allocs > 0 {
				t.Errorf("%d SLOs, by %s: %v allocations", n, kind, allocs)
			}
		}
	}
}

func TestNearestNamesTheIDThatWasMeant(t *testing.T) {
	c := load(t, write(t, map[string]string{
		"sitrep.yml": "priorities: [{name: P1}]\nslo_labels: [objective]\nslo_files: [slos.yml]\n",
		"slos.yml":   "team: t\nslos:\n  - {id: checkout-availability, use_case: x, priority: P1}\n  - {id: checkout-latency, use_case: x, priority: P1}\n",
	}))
	for _, tt := range []struct {
		set       map[string]string
		label, id string
	}{
		{map[string]string{"sitrep_slo": "chekout-availability"}, "sitrep_slo", "checkout-availability"},
		{map[string]string{"sitrep_slo": "Checkout-Latency"}, "sitrep_slo", "checkout-latency"},
		{map[string]string{"sitrep_slo": "something else", "objective": "checkout_latency"}, "objective", "checkout-latency"},
		{map[string]string{"sloth_id": "checkout-latencies"}, "sloth_id", "checkout-latency"},
		{map[string]string{"sitrep_slo": "checkout-latency"}, "", ""}, // it is one: its matchers do not hold
		{map[string]string{"sitrep_slo": ""}, "", ""},
		{map[string]string{"alertname": "checkout-latenc"}, "", ""},
		{map[string]string{"sitrep_slo": "node-disk-full"}, "", ""},
	} {
		if label, id := c.Nearest(tt.set); label != tt.label || id != tt.id {
			t.Errorf("%v: %q is %q, want %q is %q", tt.set, label, id, tt.label, tt.id)
		}
	}
}
