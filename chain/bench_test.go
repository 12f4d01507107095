package chain_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/alertmanager/pkg/labels"

	"sitrep/chain"
)

// large returns the files of an organisation: rules for SLOs, as Sloth writes them, and routes of as many teams,
// one of which is sitrep's and comes last.
func large(rules, routes int) (p *chain.Promise, ruleFiles [][]byte, alertmanager []byte) {
	p = &chain.Promise{IDLabels: []string{"sitrep_slo", "sloth_id", "slo"}, UnknownAfter: 5 * time.Hour, ResolveAfter: 10 * time.Minute}
	var file bytes.Buffer
	const perFile = 500
	for i := range rules {
		if i%perFile == 0 {
			file.WriteString("groups:\n- name: g\n  rules:\n")
		}
		id := fmt.Sprintf("slo-%d", i)
		o := chain.SLO{ID: id, Priority: "P1", Place: chain.Place{File: "slos.yml", Line: i + 1, Column: 1}}
		fmt.Fprintf(&file, "  - record: slo:sli_error:ratio_rate5m\n    expr: sum(rate(x{job=\"j%d\"}[5m]))\n    labels: {sloth_id: %s, team: team-%d}\n", i, id, i%routes)
		if i%10 == 0 { // by match
			o.ID = "match-" + id
			m, _ := labels.NewMatcher(labels.MatchEqual, "alertname", "Alert"+id)
			severity, _ := labels.NewMatcher(labels.MatchEqual, "severity", "critical")
			o.Match = []chain.Condition{{Matchers: labels.Matchers{m, severity}}}
		}
		fmt.Fprintf(&file, "  - alert: Alert%s\n    expr: max(slo:sli_error:ratio_rate5m{sloth_id=%q} > 0.1) without (sloth_window)\n    labels: {severity: critical}\n", id, id)
		p.SLOs = append(p.SLOs, o)
		if i%perFile == perFile-1 || i == rules-1 {
			ruleFiles = append(ruleFiles, bytes.Clone(file.Bytes()))
			file.Reset()
		}
	}
	var am bytes.Buffer
	am.WriteString("route:\n  receiver: nobody\n  routes:\n")
	for i := range routes - 1 {
		fmt.Fprintf(&am, "  - matchers: ['team=~\"team-%d|other-%d\"', severity=critical]\n    receiver: nobody\n    continue: true\n    routes: [{matchers: ['namespace=~\"n-%d.*\"'], receiver: nobody}]\n", i, i, i)
	}
	am.WriteString("  - {matchers: ['sloth_id=~\".+\"'], receiver: sitrep}\nreceivers: [{name: nobody}, {name: sitrep, webhook_configs: [{url: 'http://s/alertmanager'}]}]\n")
	return p, ruleFiles, am.Bytes()
}

func checkLarge(p *chain.Promise, ruleFiles [][]byte, alertmanager []byte) *chain.Report {
	rules := &chain.Rules{}
	for i, text := range ruleFiles {
		rules.Parse(fmt.Sprintf("rules-%d.yml", i), text)
	}
	rules.Infer(nil)
	return chain.Check(p, rules, chain.ParseAlertmanager("alertmanager.yml", alertmanager, ""), nil)
}

func TestManyRulesAndRoutes(t *testing.T) {
	r := checkLarge(large(1000, 100))
	if r.Alerts != 1000 || r.Errors() > 0 {
		t.Fatalf("%d alerts, %d errors: %v", r.Alerts, r.Errors(), r.Findings[:min(3, len(r.Findings))])
	}
	for i := range r.SLOs {
		if got := r.SLOs[i].Reached(); got != chain.Always {
			t.Fatalf("%s: %v, %+v", r.SLOs[i].SLO.ID, got, r.SLOs[i].Links)
		}
	}
}

// TestAsManyThatGetLost: no finding costs more than following does.
func TestAsManyThatGetLost(t *testing.T) {
	p, files, am := large(1000, 100)
	am = bytes.ReplaceAll(am, []byte("'sloth_id=~\".+\"'"), []byte("'slo=~\".+\"'"))
	if r := checkLarge(p, files, am); r.Errors() != 1000 {
		t.Errorf("%d errors", r.Errors())
	}
}

// BenchmarkCheckLost is BenchmarkCheck where each alert gets lost, or may: of half of them the team, for
// which the routes before sitrep's ask, cannot be known.
func BenchmarkCheckLost(b *testing.B) {
	p, files, am := large(10_000, 1_000)
	am = bytes.ReplaceAll(am, []byte("    continue: true\n"), nil)
	for i := range files {
		if i%2 == 0 {
			files[i] = bytes.ReplaceAll(files[i], []byte("team: team-"), []byte("other: team-"))
			files[i] = bytes.ReplaceAll(files[i], []byte("record: slo:"), []byte("record: elsewhere:"))
		}
	}
	for b.Loop() {
		checkLarge(p, files, am)
	}
}

// BenchmarkCheck reads and follows 10,000 rules of as many SLOs through 1,000 routes, each with one below it.
func BenchmarkCheck(b *testing.B) {
	p, files, am := large(10_000, 1_000)
	for b.Loop() {
		checkLarge(p, files, am)
	}
}
