package cli

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// chainFiles puts the files of an organisation whose chains are whole into a folder of its own, and
// makes it the current one.
func chainFiles(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/chain")); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
}

// swap writes another text into a file, instead of one that stands there once.
func swap(t *testing.T, file, old, text string) {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(string(raw), old) != 1 {
		t.Fatalf("%q stands in %s %d times", old, file, strings.Count(string(raw), old))
	}
	if err := os.WriteFile(file, []byte(strings.Replace(string(raw), old, text, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// placeIn returns file:line:column of where a text first stands in a file.
func placeIn(t *testing.T, file, text string) string {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, _, found := strings.Cut(string(raw), text)
	if !found {
		t.Fatalf("%q does not stand in %s", text, file)
	}
	line := strings.Count(before, "\n") + 1
	return fmt.Sprintf("%s:%d:%d", file, line, len(before)-strings.LastIndex(before, "\n"))
}

// checkChain checks the files of chainFiles, and returns what is printed and the exit code.
func checkChain(t *testing.T, more ...string) (string, int) {
	t.Helper()
	var out strings.Builder
	args := append([]string{"check", "sitrep.yml", "--rules", "rules/*.yml", "--alertmanager.config", "alertmanager.yml"}, more...)
	code := Run(t.Context(), args, Environment{Getenv: func(string) string { return "" }, Stdout: &out, Stderr: &out})
	return out.String(), code
}

func TestAWholeChainIsFoundWhole(t *testing.T) {
	chainFiles(t)
	out, code := checkChain(t)
	if want := "sitrep.yml: 2 priorities, 3 groups, 1 team, 2 SLOs\n2 of 2 SLOs: alerts claim it and surely come to sitrep. 5 alerting rules: 1 ignored, 1 no SLO's\n"; code != ExitDone || out != want {
		t.Errorf("exit %d:\n%s\nwant:\n%s", code, out, want)
	}
}

// TestTheSampleIsAWholeChain: what people start from in contrib, with the rules that Sloth makes.
func TestTheSampleIsAWholeChain(t *testing.T) {
	out, code := runIn(t, "check", "../contrib/sitrep.yml", "--rules", "../config/importer/testdata/notifications.rules.yml", "--alertmanager.config", "../contrib/alertmanager.yml")
	if code != ExitDone || !strings.Contains(out, "\n5 of 5 SLOs: alerts claim it and surely come to sitrep. 10 alerting rules: 5 ignored, 0 no SLO's\n") {
		t.Errorf("exit %d: %s", code, out)
	}
}

// TestAnAlertMustComeThroughEachAlertmanager, if there are several.
func TestAnAlertMustComeThroughEachAlertmanager(t *testing.T) {
	chainFiles(t)
	raw, err := os.ReadFile("alertmanager.yml")
	if err != nil {
		t.Fatal(err)
	}
	second := strings.Replace(string(raw), "CheckoutErrors|SearchSlow", "CheckoutErrors", 1)
	if err := os.WriteFile("second.yml", []byte(second), 0o600); err != nil {
		t.Fatal(err)
	}
	out, code := checkChain(t, "--alertmanager.config", "second.yml")
	if code != ExitFailed || !strings.Contains(out, `second.yml:2:3: error: the alert "SearchSlow"`) || !strings.Contains(out, "1 of 2 SLOs") || strings.Contains(out, "alertmanager.yml") {
		t.Errorf("exit %d: %s", code, out)
	}
	if out, code := checkChain(t, "--alertmanager.config", "alertmanager.yml"); code != ExitDone || !strings.Contains(out, "2 of 2 SLOs") {
		t.Errorf("exit %d: %s", code, out)
	}
}

// A spot is where a text stands in a file.
type spot struct{ file, text string }

// TestWaysToBreakAChain breaks the chain in one place each. What is found names the place where it
// can be mended and the other end, and says what is wrong and what would be right.
func TestWaysToBreakAChain(t *testing.T) {
	for _, c := range []struct {
		name, file, old, text string
		severity, kind        string
		at                    spot
		side                  spot
		says                  string // a pattern
		args                  []string
	}{
		{
			name: "an id that no SLO has", file: "slos/shop.yml", old: "id: checkout-availability", text: "id: checkout-availibility",
			severity: "error", kind: "alert_unclaimed", at: spot{"rules/checkout.yml", `max(slo:sli_error:ratio_rate5m{sloth_id="checkout-availability"} > (14.4`},
			side: spot{"slos/shop.yml", "checkout-availibility"}, says: `has sloth_id "checkout-availability", and no SLO has that id; did you mean "checkout-availibility"\?`,
		},
		{
			name: "an SLO that no rule feeds", file: "slos/shop.yml", old: "  - id: search-latency", text: "  - {id: cart-availability, use_case: Carts are lost, priority: P2}\n  - id: search-latency",
			severity: "error", kind: "slo_unfed", at: spot{"slos/shop.yml", "cart-availability"}, says: `no rule raises an alert for SLO "cart-availability"; write the rule`,
		},
		{
			name: "a label that the expression aggregates away", file: "rules/search.yml", old: "sum by (le, env)", text: "sum by (le)",
			severity: "error", kind: "match_impossible", at: spot{"slos/shop.yml", `'env="prod"'`}, side: spot{"rules/search.yml", "histogram_quantile"},
			says: `SLO "search-latency" wants env="prod", and the alert "SearchSlow" has no label env; let the rule set it under labels, keep it in the expression \(by\)`,
		},
		{
			name: "a value that cannot match", file: "rules/search.yml", old: "          team: shop", text: "          team: shop\n          env: production",
			severity: "error", kind: "match_impossible", at: spot{"slos/shop.yml", `'env="prod"'`}, side: spot{"rules/search.yml", "production"}, says: `has env "production"`,
		},
		{
			name: "an alertname that was renamed", file: "rules/search.yml", old: "alert: SearchSlow", text: "alert: SearchTooSlow",
			severity: "error", kind: "match_impossible", at: spot{"slos/shop.yml", `'alertname="SearchSlow"'`}, side: spot{"rules/search.yml", "SearchTooSlow"}, says: `did you mean "SearchTooSlow"\?`,
		},
		{
			name: "a route that takes the alert first", file: "alertmanager.yml", old: "    - matchers: ['alertname=~", text: "    - match: {team: shop}\n      receiver: pager\n    - matchers: ['alertname=~",
			severity: "error", kind: "route_swallows", at: spot{"alertmanager.yml", "match: {team"}, side: spot{"rules/search.yml", "SearchSlow"},
			says: `takes the alert "SearchSlow" of SLO "search-latency" to receiver "pager".*add continue: true`,
		},
		{
			name: "no route to sitrep matches", file: "alertmanager.yml", old: `"CheckoutErrors|SearchSlow"`, text: `"CheckoutErrors"`,
			severity: "error", kind: "route_elsewhere", at: spot{"alertmanager.yml", "receiver: pager"}, side: spot{"alertmanager.yml", `matchers: ['alertname=~`},
			says: `the alert "SearchSlow" of SLO "search-latency" ends here, at receiver "pager"`,
		},
		{
			name: "a webhook that is not sitrep's", file: "alertmanager.yml", old: "9098/alertmanager", text: "9098/alerts",
			severity: "error", kind: "receiver_not_sitrep", at: spot{"alertmanager.yml", "http://sitrep.example.org"}, says: `the path of this webhook is "/alerts"`,
		},
		{
			name: "ends are not sent", file: "alertmanager.yml", old: "send_resolved: true", text: "send_resolved: false",
			severity: "error", kind: "send_resolved_off", at: spot{"alertmanager.yml", "false\n        http"}, side: spot{"rules/checkout.yml", "CheckoutErrors"}, says: `write send_resolved: true`,
		},
		{
			name: "a repeat_interval beyond unknown_after", file: "alertmanager.yml", old: "repeat_interval: 4h", text: "repeat_interval: 12h",
			severity: "error", kind: "repeat_interval_long", at: spot{"alertmanager.yml", "12h"}, side: spot{"slos/shop.yml", "checkout-availability"}, says: `up to 12h1m .* unknown after 5h`,
		},
		{
			name: "a group_interval beyond resolve_after", file: "alertmanager.yml", old: "group_interval: 1m", text: "group_interval: 30m",
			severity: "warning", kind: "group_interval_long", at: spot{"alertmanager.yml", "matchers: ['alertname=~"}, says: `heard up to 30m late`,
		},
		{
			name: "max_alerts", file: "alertmanager.yml", old: "send_resolved: true", text: "max_alerts: 3",
			severity: "error", kind: "max_alerts_cuts", at: spot{"alertmanager.yml", "3\n        http"}, says: `more than 3 alerts`,
		},
		{
			name: "redirects are followed", file: "alertmanager.yml", old: "        http_config: {follow_redirects: false}\n", text: "",
			severity: "warning", kind: "redirects_followed", at: spot{"alertmanager.yml", "http://sitrep"}, says: `follow_redirects: false`,
		},
		{
			name: "another alert mutes it", file: "alertmanager.yml", old: "inhibit_rules:", text: "inhibit_rules:\n  - {source_matchers: [kind=cluster], target_matchers: ['severity=~\"critical|warning\"']}",
			severity: "warning", kind: "alert_inhibited", at: spot{"alertmanager.yml", "{source_matchers"}, side: spot{"rules/search.yml", "ClusterDown"}, says: `while "ClusterDown" fires, the alert "CheckoutErrors" of SLO "checkout-availability" is muted`,
		},
		{
			name: "the route is muted at night", file: "alertmanager.yml", old: "repeat_interval: 4h", text: "repeat_interval: 4h\n      mute_time_intervals: [nights]",
			severity: "error", kind: "route_muted", at: spot{"alertmanager.yml", "[nights]"}, says: `muted in "nights"`,
		},
		{
			name: "no watchdog", file: "rules/search.yml", old: "alert: Watchdog", text: "alert: DeadMansSwitch",
			severity: "error", kind: "watchdog_missing", at: spot{"sitrep.yml", "match: ['alertname=\"Watchdog\"']"}, says: `no rule raises the watchdog`,
		},
		{
			name: "the watchdog goes elsewhere", file: "alertmanager.yml", old: "    - matchers: [alertname=\"Watchdog\"]\n      receiver: sitrep", text: "    - matchers: [alertname=\"Watchdog\"]\n      receiver: pager",
			severity: "error", kind: "watchdog_unrouted", at: spot{"alertmanager.yml", "matchers: [alertname"}, side: spot{"rules/search.yml", "Watchdog"}, says: `goes to receiver "pager"`,
		},
		{
			name: "the watchdog comes too seldom", file: "alertmanager.yml", old: "repeat_interval: 5m", text: "repeat_interval: 4h",
			severity: "error", kind: "watchdog_unrouted", at: spot{"alertmanager.yml", "4h\n    - matchers: ['"}, says: `up to 4h5m .* misses it after 15m`,
		},
		{
			name: "the canary goes elsewhere", file: "sitrep.yml", old: "watchdog:", text: "alertmanagers: [{url: 'http://am.example.org'}]\ncanary: {to: [support]}\nwatchdog:",
			severity: "error", kind: "canary_unrouted", at: spot{"alertmanager.yml", "receiver: pager"}, side: spot{"sitrep.yml", "{to: [support]}"}, says: `the canary goes to receiver "pager"`,
		},
		{
			name: "two SLOs claim one alert", file: "slos/shop.yml", old: "  - id: search-latency", text: "  - {id: any-latency, use_case: All is slow, priority: P2, match: ['alertname=\"SearchSlow\"']}\n  - id: search-latency",
			severity: "error", kind: "alert_claimed_twice", at: spot{"slos/shop.yml", "search-latency"}, side: spot{"slos/shop.yml", "any-latency"}, says: `SLO "search-latency" claims the alert "SearchSlow", and SLO "any-latency" gets it`,
		},
		{
			name: "a group without recipients", file: "sitrep.yml", old: "    email: [sales@example.org]\n", text: "",
			severity: "error", kind: "group_without_readers", at: spot{"sitrep.yml", "sales"}, side: spot{"slos/shop.yml", "search-latency"}, says: `neither addresses nor webhooks`,
		},
		{
			name: "a burn rate without an SLO", file: "rules/search.yml", old: "alert: ClusterDown", text: "alert: CartErrorBudgetBurn",
			severity: "error", kind: "alert_unclaimed", at: spot{"rules/search.yml", "CartErrorBudgetBurn"}, says: `looks like an SLO's, and no SLO claims it`,
		},
		{
			name: "a rule that is no PromQL", file: "rules/search.yml", old: `up{job="kube-apiserver"} == 0`, text: `up{job=`,
			severity: "error", kind: "unreadable", at: spot{"rules/search.yml", `up{job=`}, says: `this is not PromQL`,
		},
		{
			name: "all alerts of an SLO are ignored", file: "sitrep.yml", old: `['sloth_severity="ticket"']`, text: `['sloth_severity=~"ticket|page"']`,
			severity: "error", kind: "slo_unfed", at: spot{"slos/shop.yml", "checkout-availability"}, says: `each alert of SLO "checkout-availability" is ignored`,
		},
		{
			name: "an alert of no SLO that comes to sitrep", file: "alertmanager.yml", old: "    - matchers: [kind=\"cluster\"]\n      receiver: pager", text: "    - matchers: [kind=\"cluster\"]\n      receiver: sitrep",
			severity: "warning", kind: "alert_unclaimed", at: spot{"rules/search.yml", "ClusterDown"}, says: `comes to sitrep, and no SLO claims it`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			chainFiles(t)
			swap(t, c.file, c.old, c.text)
			out, code := checkChain(t, append(c.args, "-o", "json")...)
			var report reportJSON
			if err := json.Unmarshal([]byte(out), &report); err != nil {
				t.Fatal(err, out)
			}
			if code != ExitFailed {
				t.Errorf("exit %d", code)
			}
			if _, code := checkChain(t, append(c.args, "--fail-on", "error")...); (code == ExitFailed) != (c.severity == "error") {
				t.Errorf("--fail-on error: exit %d", code)
			}
			place := func(p placeJSON) string { return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column) }
			found, says := false, regexp.MustCompile(c.says)
			for _, f := range report.Findings {
				if string(f.Kind) != c.kind || string(f.Severity) != c.severity || place(f.placeJSON) != placeIn(t, c.at.file, c.at.text) || !says.MatchString(f.Text+"; "+f.Fix) {
					continue
				}
				found = true
				if c.side.file != "" && !slices.ContainsFunc(f.Sides, func(s sideJSON) bool { return place(s.placeJSON) == placeIn(t, c.side.file, c.side.text) }) {
					t.Errorf("no side is at %s: %v", placeIn(t, c.side.file, c.side.text), f.Sides)
				}
			}
			text, _ := checkChain(t, c.args...)
			if !found {
				t.Errorf("no %s %s at %s that says %q in:\n%s", c.severity, c.kind, placeIn(t, c.at.file, c.at.text), c.says, text)
			}
			if len(report.Findings) > 2 {
				t.Errorf("one break, and much is found:\n%s", text)
			}
		})
	}
}

func TestTheCanaryIsFollowedToSitrep(t *testing.T) {
	for _, c := range []struct{ name, labels, route, says string }{
		{"a route of its own", "", "    - matchers: ['sitrep_canary=~\".+\"']\n      receiver: sitrep\n", ""},
		{"the route of the SLOs", ", labels: {team: canaries}", "    - matchers: [team=\"canaries\"]\n      receiver: sitrep\n      continue: true\n", ""},
		{"another's route", ", labels: {kind: cluster}", "", `the canary goes to receiver "pager"`},
		{"a route that waits for long", "", "    - matchers: ['sitrep_canary=~\".+\"']\n      receiver: sitrep\n      group_wait: 15m\n", "the canary comes back after group_wait, 15m, and is missed after 10m"},
	} {
		t.Run(c.name, func(t *testing.T) {
			chainFiles(t)
			swap(t, "sitrep.yml", "watchdog:", "alertmanagers: [{url: 'http://am.example.org'}]\ncanary: {to: [support]"+c.labels+"}\nwatchdog:")
			swap(t, "alertmanager.yml", "  routes:\n", "  routes:\n"+c.route)
			if out, code := checkChain(t); (code == ExitDone) != (c.says == "") || !strings.Contains(out, c.says) {
				t.Errorf("exit %d: %s", code, out)
			}
		})
	}
}

// TestSpecsStandForTheRulesThatAreMadeOfThem, where those are not there yet.
func TestSpecsStandForTheRulesThatAreMadeOfThem(t *testing.T) {
	const sloth = `version: prometheus/v1
service: checkout
labels: {team: shop}
slos:
  - name: availability
    alerting:
      name: CheckoutErrors
      labels: {severity: critical}
      ticket_alert: {labels: {severity: warning}}
`
	const pyrra = `apiVersion: pyrra.dev/v1alpha1
kind: ServiceLevelObjective
metadata: {name: checkout-availability}
spec: {alerting: {name: CheckoutErrors}, indicator: {ratio: {}}}
`
	for name, text := range map[string]string{"Sloth": sloth, "Pyrra": pyrra} {
		t.Run(name, func(t *testing.T) {
			chainFiles(t)
			if err := os.WriteFile("rules/checkout.yml", []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if out, code := checkChain(t); code != ExitDone || !strings.Contains(out, "2 of 2 SLOs: alerts claim it and surely come to sitrep. 5 alerting rules") {
				t.Errorf("exit %d: %s", code, out)
			}
			swap(t, "slos/shop.yml", "checkout-availability", "basket-availability")
			if out, code := checkChain(t); code != ExitFailed || !strings.Contains(out, `"checkout-availability", and no SLO has that id`) {
				t.Errorf("exit %d: %s", code, out)
			}
		})
	}
	t.Run("specs and rules in one file", func(t *testing.T) {
		chainFiles(t)
		rules, err := os.ReadFile("rules/checkout.yml")
		if err != nil {
			t.Fatal(err)
		}
		other := strings.Replace(sloth, "availability", "speed", 1)
		if err := os.WriteFile("rules/checkout.yml", []byte(string(rules)+"\n---\n"+other), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, code := checkChain(t); code != ExitFailed || !strings.Contains(out, "2 of 2 SLOs") || !strings.Contains(out, `"checkout-speed", and no SLO has that id`) {
			t.Errorf("exit %d: %s", code, out)
		}
	})
}

// TestSpecsThatSayNoAlerts are told from what is no spec at all, and the way out stands beside it.
func TestSpecsThatSayNoAlerts(t *testing.T) {
	for _, c := range []struct{ name, text, at, severity, says string }{
		{
			"OpenSLO", "# ours\napiVersion: openslo/v1\nkind: SLO\nmetadata: {name: checkout-availability}\n", "rules/spec.yml:2:1", "error",
			`OpenSLO does not say what alerts the SLO "checkout-availability" has, so none can be followed from it; name the rules that are made of it, whose alerts have the label sitrep_slo (or sloth_id, or slo) with this id; sitrep import rules/spec.yml writes the SLO itself`,
		},
		{
			"OpenSLO that Sloth reads", "apiVersion: openslo/v1alpha\nkind: SLO\nmetadata: {name: availability}\nspec: {service: checkout, objectives: [{target: 0.9}]}\n", "rules/spec.yml:1:1", "error",
			`(sloth generate -i rules/spec.yml), and those whose alerts have sloth_id "checkout-availability-0", as Sloth makes no alerts of it`,
		},
		{
			"a policy of OpenSLO", "apiVersion: openslo/v1\nkind: AlertPolicy\nmetadata: {name: fast}\n", "rules/spec.yml:1:1", "note",
			"this AlertPolicy of OpenSLO says when to alert, and not with what labels, so no alert can be followed from it; name the rules that are made of it",
		},
		{
			"Sloth, all switched off", "version: prometheus/v1\nservice: a\nslos: [{name: b}]\n", "rules/spec.yml:3:8", "note",
			`"b" is left out: its alerts are switched off`,
		},
		{
			"Sloth of another version", "version: prometheus/v1000\n", "rules/spec.yml", "error",
			"this describes objectives in a version or of a kind that is not known, and the rules that are made of it are another file; name what is made of it: by Sloth with sloth generate, by Pyrra with pyrra generate",
		},
		{"no spec", "a: b\n", "rules/spec.yml", "error", "there are no groups of rules in this file; name the files that Prometheus reads (rule_files)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			chainFiles(t)
			if err := os.WriteFile("rules/spec.yml", []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			out, code := checkChain(t)
			if want := map[string]int{"error": ExitFailed, "note": ExitDone}[c.severity]; code != want || !strings.Contains(out, c.at+": "+c.severity+": ") || !strings.Contains(out, c.says) || !strings.Contains(out, "2 of 2 SLOs") {
				t.Errorf("exit %d: %s", code, out)
			}
		})
	}
}

// TestWarningsOfTheConfigurationFailNoCheck, as serve starts with them: those along the chain do.
func TestWarningsOfTheConfigurationFailNoCheck(t *testing.T) {
	chainFiles(t)
	swap(t, "sitrep.yml", "groups:\n", "groups:\n  - name: nobody\n")
	for _, format := range []string{"text", "json", "junit", "github"} {
		if out, code := checkChain(t, "-o", format); code != ExitDone || !strings.Contains(out, "it informs nobody") || strings.Contains(out, "<failure") {
			t.Errorf("%s: exit %d: %s", format, code, out)
		}
	}
	swap(t, "alertmanager.yml", "group_interval: 1m", "group_interval: 30m")
	for fails, code := range map[string]int{"warning": ExitFailed, "error": ExitDone} {
		out, got := checkChain(t, "-o", "junit", "--fail-on", fails)
		if got != code || strings.Contains(out, "<failure") != (code == ExitFailed) {
			t.Errorf("--fail-on %s: exit %d: %s", fails, got, out)
		}
	}
}

func TestAChainInTheFormatsOfMachines(t *testing.T) {
	chainFiles(t)
	swap(t, "alertmanager.yml", "send_resolved: true", "send_resolved: false")
	swap(t, "slos/shop.yml", "id: checkout-availability", "id: checkout-availibility")
	out, code := checkChain(t, "-o", "github")
	first, _, _ := strings.Cut(out, "\n")
	if want := "::error file=alertmanager.yml,line=21,col=24,title=sitrep send_resolved_off::sitrep is never told that an alert ended (send_resolved: false), so its incidents do not end; write send_resolved: true, or remove the line%0A"; code != ExitFailed || !strings.HasPrefix(first, want) {
		t.Errorf("exit %d: %s", code, first)
	}
	out, code = checkChain(t, "-o", "junit")
	var suite junitSuite
	if err := xml.NewDecoder(strings.NewReader(out)).Decode(&suite); err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err, out)
	}
	if code != ExitFailed || suite.Failures != 3 || suite.Tests != len(suite.Cases) || suite.Cases[0].Name != "checkout-availibility" || len(suite.Cases[0].Failures) != 1 || len(suite.Cases[1].Failures) != 0 {
		t.Errorf("exit %d: %+v", code, suite)
	}
	// A configuration that does not load is said in each of them.
	swap(t, "slos/shop.yml", "priority: P1", "priority: P9")
	for _, format := range []string{"json", "junit", "github"} {
		if out, code := checkChain(t, "-o", format); code != ExitFailed || !strings.Contains(out, "unknown priority") {
			t.Errorf("%s: exit %d: %s", format, code, out)
		}
	}
}

func TestCheckSaysWhatItNeeds(t *testing.T) {
	chainFiles(t)
	if err := os.WriteFile("root.yml", []byte("route: {receiver: a, match: {slo: z}}\nreceivers: [{name: a, webhook_configs: [{url: http://s/alertmanager}]}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"check sitrep.yml --alertmanager.config alertmanager.yml", ExitUsage, "needs the rules"},
		{"check sitrep.yml --rules none/*.yml", ExitFailed, `no file matches --rules="none/*.yml"`},
		{"check sitrep.yml --rules alertmanager.yml", ExitFailed, "there are no groups of rules in this file"},
		{"check sitrep.yml --rules rules/*.yml --alertmanager.config rules/search.yml", ExitFailed, "there is no route in this file"},
		{"check sitrep.yml --rules rules/*.yml --alertmanager.config root.yml", ExitFailed, "the root of the routes has matchers"},
		{"check sitrep.yml --rules rules", ExitFailed, "it is no regular file"},
		{"check sitrep.yml --rules rules/*.yml --alertmanager.config alertmanager.yml --receiver pager", ExitFailed, `receiver "pager" has no webhook to sitrep`},
		{"check sitrep.yml --rules rules/*.yml", ExitDone, "5 alerting rules"},
	} {
		var out strings.Builder
		code := Run(t.Context(), strings.Fields(c.args), Environment{Getenv: func(string) string { return "" }, Stdout: &out, Stderr: &out})
		if code != c.code || !strings.Contains(out.String(), c.want) {
			t.Errorf("%s: exit %d: %s", c.args, code, out.String())
		}
	}
}
