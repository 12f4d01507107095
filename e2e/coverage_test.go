package e2e_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"sitrep/e2e/rig"
)

// chainView is a chain as GET /api/v1/coverage has it.
type chainView struct {
	SLO   string `json:"slo"`
	State string `json:"state"`
	Links []struct {
		Stage    string `json:"stage"`
		State    string `json:"state"`
		Findings []struct {
			Kind string `json:"kind"`
			Text string `json:"text"`
		} `json:"findings"`
	} `json:"links"`
	LastClaimedAt *time.Time `json:"last_claimed_at"`
	LastToldAt    *time.Time `json:"last_told_at"`
}

// TestCoverageFollowsWhatRuns: with a real Prometheus and a real Alertmanager a chain that carries
// an alert from the rule to the mailbox is shown whole, and what breaks one is found where it is.
func TestCoverageFollowsWhatRuns(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{slos: `
team: notifications
on_call: {email: [oncall@example.org]}
stakeholders: [support]
slos:
  - {id: register, use_case: Application cannot register, sli: availability, priority: P1}
  - {id: send, use_case: Application cannot notify, sli: latency, priority: P1, match: ['alertname="SendSlow"', 'cluster="eu"']}
`})
	const routes = `
route:
  receiver: pager
  group_wait: 300ms
  group_interval: 1s
  repeat_interval: 1h
  routes: [{receiver: sitrep, matchers: ['%s']}]
receivers:
  - name: pager
  - name: sitrep
    webhook_configs: [{url: '%s/alertmanager', http_config: {follow_redirects: false, authorization: {credentials: %s}}}]
`
	amConfig := func(matcher string) string { return fmt.Sprintf(routes, matcher, w.URL(), rig.ReceiverToken) }
	built, err := programs()
	check(t, err)
	am, err := rig.NewAlertmanager(built.alertmanager, t.TempDir(), amConfig(`team="notifications"`))
	check(t, err)
	check(t, am.Start())
	t.Cleanup(am.Kill)
	p, err := rig.NewPrometheus(t.TempDir(), fmt.Sprintf(`
global: {evaluation_interval: 1s, scrape_interval: 1s, external_labels: {cluster: eu}}
rule_files: [rules.yml]
alerting: {alertmanagers: [{static_configs: [{targets: ['%s']}]}]}
scrape_configs: []
`, am.Address))
	if err != nil {
		if os.Getenv("CI") == "" {
			t.Skip(err)
		}
		t.Fatal(err)
	}
	rules := func(register string) string {
		return fmt.Sprintf(`
groups:
  - name: notifications
    rules:
      - {record: 'register:errors:ratio', expr: vector(0.2), labels: {job: register}}
      - {alert: RegisterErrors, expr: '%s', labels: {sitrep_slo: register, team: notifications}}
      - {alert: SendSlow, expr: vector(0) > 1, labels: {team: notifications}}
`, register)
	}
	const fires = `max by (job) (register:errors:ratio{job="register"}) > 0.1`
	check(t, p.Write("rules.yml", rules(fires)))
	check(t, p.Start())
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() {
			t.Logf("Prometheus logged at last:\n%s", p.Log())
		}
	})

	check(t, w.Write("sitrep.yml", w.config(settings{more: fmt.Sprintf("prometheus: [{url: '%s'}]\nalertmanagers: [{url: '%s'}]\n", p.URL(), am.URL())})))
	var page struct {
		Chains  []chainView `json:"chains"`
		Sources []struct {
			Program string `json:"program"`
			Error   string `json:"error"`
		} `json:"sources"`
	}
	// A reload looks at once; what runs needs a moment to be what the test made it.
	until := func(what string, done func(register, send *chainView) bool) {
		t.Helper()
		asked := time.Time{}
		w.eventually(what, func() bool {
			if time.Since(asked) > 2*time.Second {
				asked = time.Now()
				w.Reload()
			}
			page.Chains, page.Sources = nil, nil
			check(t, w.Get("/api/v1/coverage", &page))
			return len(page.Chains) == 2 && done(&page.Chains[0], &page.Chains[1])
		})
		if t.Failed() {
			t.Logf("%+v", page)
		}
	}
	found := func(c *chainView, stage, state, kind string) bool {
		for _, l := range c.Links {
			for _, f := range l.Findings {
				if l.Stage == stage && l.State == state && f.Kind == kind {
					return true
				}
			}
		}
		return false
	}
	until("the alert came all the way, and both chains are whole", func(register, send *chainView) bool {
		return register.State == "whole" && send.State == "whole" && register.LastClaimedAt != nil && register.LastToldAt != nil && send.LastClaimedAt == nil
	})
	if got := w.mail.To(onCall); len(got) == 0 {
		t.Error("the chain is whole, and the team got no mail")
	}
	text, err := w.Text("/coverage")
	check(t, err)
	if !strings.Contains(text, "2 found") || !strings.Contains(text, "2 whole") {
		t.Errorf("the page: %s", text)
	}

	check(t, am.Silence("alertname", "SendSlow"))
	until("a silence is found", func(register, send *chainView) bool {
		return register.State == "whole" && found(send, "route", "doubtful", "alert_silenced")
	})
	check(t, am.Reload(amConfig(`alertname="SendSlow"`)))
	until("a route that is gone is found", func(register, _ *chainView) bool {
		return found(register, "route", "broken", "route_elsewhere")
	})
	check(t, am.Reload(amConfig(`team="notifications"`)))
	check(t, p.Write("rules.yml", rules(`max by (job) (register:errors:renamed{job="register"}) > 0.1`)))
	p.Reload()
	until("a metric that was renamed is found", func(register, _ *chainView) bool {
		return found(register, "rule", "broken", "series_missing")
	})
	check(t, p.Write("rules.yml", rules(`register:errors:ratio * on() group_left() vector(1) * on() group_right() {__name__=~"register.*|ALERTS.*"} > 0`)))
	p.Reload()
	until("an evaluation that fails is found", func(register, _ *chainView) bool {
		return found(register, "rule", "broken", "rule_failing")
	})
	check(t, p.Write("rules.yml", "groups: []\n"))
	p.Reload()
	until("a rule that is gone is found", func(register, send *chainView) bool {
		return found(register, "rule", "broken", "slo_unfed") && found(send, "rule", "broken", "slo_unfed")
	})
	w.eventually("the metrics say so", func() bool { return w.metric(`sitrep_chain_broken{chain="register"}`) == 1 })
	am.Kill()
	p.Kill()
	until("who does not answer is said, and what it said counts on", func(register, _ *chainView) bool {
		return len(page.Sources) == 2 && page.Sources[0].Error != "" && page.Sources[1].Error != "" && register.State == "broken"
	})
}
