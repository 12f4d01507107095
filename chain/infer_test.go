package chain_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"sitrep/chain"
)

// shown writes what is known of labels: name=value, several values with |, ? for any, and … if
// there may be others. Labels that are known to be absent are left out.
func shown(l chain.Labels) string {
	var parts []string
	for _, n := range slices.Sorted(maps.Keys(l.Named)) {
		v := l.Named[n]
		switch {
		case n == "alertname" || !v.Any && len(v.Of) == 1 && v.Of[0] == "" && !l.Open:
		case v.Any && l.Open:
		case v.Any:
			parts = append(parts, n+"=?")
		default:
			parts = append(parts, n+"="+strings.Join(v.Of, "|"))
		}
	}
	if l.Open {
		parts = append(parts, "…")
	}
	return strings.Join(parts, " ")
}

const recorded = `
groups:
  - name: recorded
    labels: {team: web}
    rules:
      - {record: "slo:errors:ratio5m", expr: 'sum by (job) (rate(x{job="api"}[5m]))', labels: {slo: api-errors}}
      - {record: "slo:errors:ratio5m", expr: 'sum by (job) (rate(x{job="db"}[5m]))', labels: {slo: db-errors}}
      - {record: twice, expr: 'max without (job) (slo:errors:ratio5m{slo="db-errors"})'}
`

func TestWhatLabelsAnExpressionGives(t *testing.T) {
	for _, c := range []struct{ expr, labels, want string }{
		{`up == 0`, ``, `…`},
		{`up{job="a"} == 0`, ``, `job=a …`},
		{`up{job=~"a|b",env=~"pro.*",x!="y"} == 0`, ``, `job=a|b …`},
		{`sum(rate(x{job="a"}[5m])) > 1`, ``, ``},
		{`sum by (job, region) (rate(x{job="a"}[5m])) > 1`, ``, `job=a region=?`},
		{`sum without (job) (x{job="a",env="b"}) > 1`, ``, `env=b job= …`},
		{`topk(3, x{job="a"})`, ``, `job=a …`},
		{`count_values("version", build_info)`, ``, `version=?`},
		{`1 < sum by (job) (x)`, ``, `job=?`},
		{`(a{s="1"} > 1 and b{s="1",t="2"} > 1) or (a{s="3",t="2"} > 2)`, ``, `s=1|3 t=2 …`},
		{`a{s="1"} and on () b{t="2"}`, ``, `s=1 …`},
		{`a{s="1"} unless b{t="2"}`, ``, `s=1 …`},
		{`a{s="1"} and ignoring (t) sum by (s, t) (b{t="2"})`, ``, `s=1`},
		{`a{s="1"} / on (s) b{t="2"} > 1`, ``, `s=1`},
		{`sum by (s, u) (a) / ignoring (u) sum by (s) (b{s="1"})`, ``, `s=1`},
		{`a{s="1"} * on (s) group_left (owner) b{owner="x"}`, ``, `owner=x s=1 …`},
		{`a{s="1"} * on (s) group_right (owner) b{owner="x",s="1"}`, ``, `s=1 …`},
		{`absent(x{job="a",env=~"p.*"})`, ``, `job=a`},
		{`absent_over_time(x{job="a"}[5m]) == 1`, ``, `job=a`},
		{`vector(1)`, ``, ``},
		{`vector(time()) - 5 > 3`, ``, ``},
		{`label_replace(sum(x), "slo", "checkout", "", "") > 1`, ``, `slo=checkout`},
		{`label_replace(sum by (a) (x), "slo", "$1", "a", "(.*)") > 1`, ``, `a=? slo=?`},
		{`label_replace(sum by (a) (x), "slo", "one", "a", "b") > 1`, ``, `a=? slo=|one`},
		{`label_join(sum by (a) (x), "slo", "-", "a") > 1`, ``, `a=? slo=?`},
		{`histogram_quantile(0.9, sum by (le, job) (rate(x_bucket{job="a"}[5m]))) > 1`, ``, `job=a`},
		{`max_over_time(x{job="a"}[5m:1m]) > 1`, ``, `job=a …`},
		{`slo:errors:ratio5m{slo="api-errors"} > 1`, ``, `job=api slo=api-errors team=web`},
		{`slo:errors:ratio5m > 1`, ``, `job=api|db slo=api-errors|db-errors team=web`},
		{`twice > 1`, ``, `slo=db-errors team=web`},
		{`sum(x) > 1`, `{slo: a, empty: ""}`, `slo=a`},
		{`sum by (job) (x{job="a"}) > 1`, `{service: "{{ $labels.job }}", other: "x-{{ $value }}"}`, `job=a other=? service=a`},
		{`sum(x) > 1`, `{service: "{{ $labels.job }}"}`, ``},
		{`sum by (job) (x{job="a"}) > 1`, `{service: "{{ .Labels.job }}"}`, `job=a service=a`},
	} {
		labels := c.labels
		if labels == "" {
			labels = "{}"
		}
		r := &chain.Rules{}
		r.Parse("recorded.yml", []byte(recorded))
		r.Parse("rules.yml", fmt.Appendf(nil, "groups: [{name: g, rules: [{alert: A, expr: %q, labels: %s}]}]", c.expr, labels))
		r.Infer(nil)
		if len(r.Findings) > 0 || len(r.Alerts) != 1 {
			t.Errorf("%s: %v", c.expr, r.Findings)
			continue
		}
		if got := shown(r.Alerts[0].Labels); got != c.want {
			t.Errorf("%s %s:\n got %s\nwant %s", c.expr, c.labels, got, c.want)
		}
	}
}

// TestRulesOfARunningPrometheus come without files, and mean the same.
func TestRulesOfARunningPrometheus(t *testing.T) {
	r := &chain.Rules{}
	r.Record("slo:errors:ratio5m", `sum by (job) (rate(x{job="api"}[5m]))`, map[string]string{"slo": "api-errors"})
	at := chain.Place{File: "http://prometheus.example:9090"}
	r.Add(&chain.Rule{Place: at, ExprPlace: at, Name: "A", Expr: "slo:errors:ratio5m > 1", Static: map[string]chain.Static{"severity": {Value: "page", Place: at}}})
	r.Add(&chain.Rule{Place: at, Name: "B", Expr: "(("})
	r.Infer(nil)
	if got, want := shown(r.Alerts[0].Labels), "job=api severity=page slo=api-errors"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if len(r.Findings) != 1 || r.Findings[0].Place != at {
		t.Errorf("%v", r.Findings)
	}
}

func TestExternalLabelsFillWhatIsMissing(t *testing.T) {
	r := &chain.Rules{}
	r.Parse("rules.yml", []byte(`groups: [{name: g, rules: [{alert: A, expr: 'sum by (region) (x)', labels: {cluster: own}}]}]`))
	r.Infer(map[string]string{"cluster": "eu", "site": "one"})
	if got, want := shown(r.Alerts[0].Labels), "cluster=own region=? site=one"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestRuleFilesOfOthersAreBounded(t *testing.T) {
	bomb := "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
	for i := range 8 {
		c, next := 'a'+rune(i), 'b'+rune(i)
		bomb += fmt.Sprintf("%c: &%c [*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c]\n", next, next, c, c, c, c, c, c, c, c, c, c)
	}
	for name, text := range map[string]string{
		"many":     "groups:\n- name: g\n  rules:\n" + strings.Repeat("  - {alert: a, expr: up}\n", 130_000),
		"aliases":  bomb + "groups: *i\n",
		"itself":   "groups: &a [*a]\n",
		"deep":     "groups: " + strings.Repeat("[", 200) + strings.Repeat("]", 200),
		"long":     "groups: " + strings.Repeat(" ", 9<<20),
		"brackets": "groups: [{name: g, rules: [{alert: a, expr: '" + strings.Repeat("(", 10_000) + "1" + strings.Repeat(")", 10_000) + "'}]}]",
		"no YAML":  "groups: [",
		"a spec":   "version: prometheus/v1\nservice: x\n",
		"empty":    "",
	} {
		r := &chain.Rules{}
		r.Parse("rules.yml", []byte(text))
		r.Infer(nil)
		if len(r.Findings) == 0 || len(r.Findings) > 3 {
			t.Errorf("%s: %d findings", name, len(r.Findings))
		}
		for _, f := range r.Findings {
			if f.Severity != chain.Error || len(f.Text) > 500 {
				t.Errorf("%s: %s", name, &f)
			}
		}
	}
}
