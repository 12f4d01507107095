package chain_test

import (
	"os"
	"testing"

	"sitrep/chain"
)

// FuzzCheck: whatever stands in the files of others, the check ends and says something of a place
// in one of them.
func FuzzCheck(f *testing.F) {
	routes, err := os.ReadFile("testdata/routes.yml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(recorded, string(routes))
	f.Add("groups: [{rules: [{alert: A, expr: 'a and on () b or absent(c)', labels: {slo: x}}]}]", "route: {receiver: a, routes: [{matchers: ['a=~\"\"'], mute_time_intervals: [x]}]}\nreceivers: [{name: a, webhook_configs: [{url: /alertmanager}]}]\ninhibit_rules: [{}]")
	f.Add(recorded+"      - {alert: A, expr: up, labels: {slo: x}}\n", "route: {receiver: a, match: {slo: z}}")
	f.Fuzz(func(t *testing.T, rules, alertmanager string) {
		r := &chain.Rules{}
		r.Parse("rules.yml", []byte(rules))
		r.Infer(map[string]string{"cluster": "eu"})
		p := &chain.Promise{IDLabels: []string{"slo"}, SLOs: []chain.SLO{{ID: "x"}, {ID: "y"}}, Watchdog: &chain.Watchdog{}}
		for _, f := range chain.Check(p, r, chain.ParseAlertmanager("alertmanager.yml", []byte(alertmanager), ""), nil).Findings {
			if f.Text == "" || f.Kind == "" || f.Severity == "" {
				t.Errorf("%+v", f)
			}
		}
	})
}
