package live_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/alertmanager/pkg/labels"

	"sitrep/chain"
	"sitrep/chain/live"
)

// A world is a Prometheus and an Alertmanager that answer as they are told, and the promise that
// is kept by them. What newWorld makes is whole.
type world struct {
	t  testing.TB
	mu sync.Mutex

	prometheus, alertmanager *httptest.Server
	groups                   []map[string]any
	config                   string            // of Prometheus
	sends                    []string          // URLs; nil: to the Alertmanager
	series                   map[string]bool   // by selector, of those that are not there: false
	up                       map[string]string // by job
	am                       string            // the configuration of Alertmanager
	silences                 []map[string]any
	failing                  map[string]string // of what Prometheus and Alertmanager count, the label and its value
	members                  int
	down                     map[string]bool // paths that are answered 503
	gone                     string          // a path that there is not
	stalled                  chan struct{}   // Prometheus answers once it is closed; nil: at once
	now                      time.Time

	promise chain.Promise
}

const amConfig = `
global: {resolve_timeout: 5m}
route:
  receiver: pager
  routes:
  - receiver: sitrep
    matchers: ['alertname=~"CheckoutErrors|SearchSlow"']
    group_interval: 1m
    repeat_interval: 4h
receivers:
- name: pager
- name: sitrep
  webhook_configs:
  - send_resolved: true
    http_config: {follow_redirects: false}
    url: <secret>
`

func (w *world) rule(name, expr string, set map[string]string) map[string]any {
	return map[string]any{
		"type": "alerting", "name": name, "query": expr, "labels": set, "annotations": map[string]string{}, "health": "ok", "lastError": "",
		"lastEvaluation": w.now.Add(-10 * time.Second).Format(time.RFC3339Nano), "state": "inactive",
	}
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, now: time.Now().UTC(), config: "global:\n  external_labels: {cluster: eu}\n", am: amConfig, members: 1, down: map[string]bool{}, series: map[string]bool{}, up: map[string]string{"shop": "1"}}
	w.groups = []map[string]any{{"name": "shop", "file": "rules/shop.yml", "interval": 60, "rules": []any{
		w.rule("CheckoutErrors", `sum by (job) (rate(errors_total{job="shop"}[5m])) > 0.1`, map[string]string{"sitrep_slo": "checkout"}),
		w.rule("SearchSlow", `max by (job) (slow_seconds{job="shop"}) > 1`, map[string]string{"team": "shop"}),
	}}}
	w.prometheus = httptest.NewServer(http.HandlerFunc(w.answerPrometheus))
	w.alertmanager = httptest.NewServer(http.HandlerFunc(w.answerAlertmanager))
	t.Cleanup(w.prometheus.Close)
	t.Cleanup(w.alertmanager.Close)
	w.promise = newPromise()
	return w
}

// newPromise returns two SLOs, one by a label and one by a matcher.
func newPromise() chain.Promise {
	match, err := labels.ParseMatchers(`{alertname="SearchSlow",cluster="eu"}`)
	if err != nil {
		panic(err)
	}
	groups := []chain.Audience{{Name: "stakeholders", Groups: []chain.Group{{Name: "sales", Recipients: 1, Hears: true}}}}
	return chain.Promise{
		IDLabels: []string{"sitrep_slo"}, UnknownAfter: 5 * time.Hour, ResolveAfter: 10 * time.Minute, Asks: true,
		SLOs: []chain.SLO{
			{Place: chain.Place{File: "slos.yml", Line: 3, Column: 5}, ID: "checkout", Priority: "P1", Audiences: groups},
			{Place: chain.Place{File: "slos.yml", Line: 5, Column: 5}, ID: "search", Priority: "P2", Audiences: groups, Match: []chain.Condition{{Place: chain.Place{File: "slos.yml", Line: 6, Column: 5}, Matchers: match}}},
		},
	}
}

func (w *world) answer(to http.ResponseWriter, path string, v any) {
	w.mu.Lock()
	down := w.down[path]
	w.mu.Unlock()
	if down {
		http.Error(to, "down", http.StatusServiceUnavailable)
		return
	}
	_ = json.NewEncoder(to).Encode(v)
}

func (w *world) answerPrometheus(to http.ResponseWriter, r *http.Request) {
	if w.stalled != nil {
		<-w.stalled
	}
	if r.URL.Path == w.gone {
		http.NotFound(to, r)
		return
	}
	data := func(v any) { w.answer(to, r.URL.Path, map[string]any{"status": "success", "data": v}) }
	switch r.URL.Path {
	case "/api/v1/rules":
		data(map[string]any{"groups": w.groups})
	case "/api/v1/status/config":
		data(map[string]any{"yaml": w.config})
	case "/api/v1/alertmanagers":
		active := []map[string]string{}
		for _, u := range w.sends {
			active = append(active, map[string]string{"url": u})
		}
		if w.sends == nil {
			active = append(active, map[string]string{"url": w.alertmanager.URL + "/api/v2/alerts"})
		}
		data(map[string]any{"activeAlertmanagers": active, "droppedAlertmanagers": []any{}})
	case "/api/v1/query":
		data(map[string]any{"resultType": "vector", "result": w.query(r.URL.Query().Get("query"))})
	default:
		http.NotFound(to, r)
	}
}

// stall lets Prometheus answer nothing until the test is over.
func (w *world) stall() {
	w.stalled = make(chan struct{})
	w.t.Cleanup(func() { close(w.stalled) })
}

// query answers what live asks for.
func (w *world) query(q string) []map[string]any {
	out := []map[string]any{}
	sample := func(name, value, v string) {
		out = append(out, map[string]any{"metric": map[string]string{name: value}, "value": []any{1, v}})
	}
	switch {
	case q == "max by (job) (up)":
		for job, up := range w.up {
			sample("job", job, up)
		}
	case strings.HasPrefix(q, "sum by (alertmanager)") && w.failing["alertmanager"] != "":
		sample("alertmanager", w.failing["alertmanager"], "7.2")
	case strings.HasPrefix(q, "sum by (instance)") && w.failing["instance"] != "":
		sample("instance", w.failing["instance"], "7.2")
	case strings.Contains(q, "label_replace"):
		for part := range strings.SplitSeq(q, " or ") {
			selector, rest, _ := strings.Cut(strings.TrimPrefix(part, "label_replace(count("), `), "n", "`)
			n, _, _ := strings.Cut(rest, `"`)
			if there, said := w.series[selector]; there || !said {
				sample("n", n, "3")
			}
		}
	}
	return out
}

func (w *world) answerAlertmanager(to http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/api/v2/status":
		peers := []map[string]string{}
		for i := range w.members {
			peers = append(peers, map[string]string{"address": fmt.Sprintf("10.0.0.%d:9094", i+1)})
		}
		w.answer(to, r.URL.Path, map[string]any{"config": map[string]string{"original": w.am}, "cluster": map[string]any{"status": "ready", "peers": peers}})
	case "/api/v2/silences":
		w.answer(to, r.URL.Path, append([]map[string]any{}, w.silences...))
	default:
		http.NotFound(to, r)
	}
}

func (w *world) watcher() *live.Watcher {
	return live.New([]live.Endpoint{{URL: w.prometheus.URL + "/"}}, []live.Endpoint{{URL: w.alertmanager.URL}}, live.Files{}, nil)
}

func (w *world) look() *live.Result { return w.watcher().Look(w.t.Context(), &w.promise, w.now) }

// rules returns the rules, to be changed.
func (w *world) rules() []any { return w.groups[0]["rules"].([]any) }

func (w *world) change(i int, key string, v any) { w.rules()[i].(map[string]any)[key] = v }

// links says how it is with the stages of a chain.
func links(c *live.Chain) string {
	var out []string
	for _, l := range c.Links {
		out = append(out, string(l.State))
	}
	return strings.Join(out, " ")
}

func TestWholeChainsAreFoundWhole(t *testing.T) {
	r := newWorld(t).look()
	for i := range r.Chains {
		if c := &r.Chains[i]; c.State != live.Whole || links(c) != "whole whole whole whole" || len(c.Alerts) != 1 {
			t.Errorf("%s: %s: %+v", c.SLO.ID, links(c), c)
		}
	}
	if len(r.Report.Findings) > 0 || len(r.Sources) != 2 || r.Sources[0].Error != "" || r.Sources[0].AnsweredAt.IsZero() {
		t.Errorf("%+v\n%+v", r.Report.Findings, r.Sources)
	}
}

// TestGrafanasOwnAlertmanagerIsSaidNotToBeFollowed: what no rule of a Prometheus raises may be
// Grafana's, so that is not known, and no chain is broken by it.
func TestGrafanasOwnAlertmanagerIsSaidNotToBeFollowed(t *testing.T) {
	w := newWorld(t)
	w.groups[0]["rules"] = w.rules()[1:]
	const grafana = "https://grafana.example/api/alertmanager/grafana"
	r := live.New([]live.Endpoint{{URL: w.prometheus.URL}}, []live.Endpoint{{URL: w.alertmanager.URL}, {URL: grafana}}, live.Files{}, nil).Look(t.Context(), &w.promise, w.now)
	if got := links(&r.Chains[0]); got != "unknown unknown unknown whole" || links(&r.Chains[1]) != "whole whole whole whole" {
		t.Errorf("%s, %s", got, links(&r.Chains[1]))
	}
	unfed, said := false, false
	for _, f := range r.Report.Findings {
		unfed = unfed || f.Kind == chain.KindUnfed && f.Severity == chain.Note && f.SLO == "checkout" && strings.HasSuffix(f.Text, "; if it is one of Grafana's own rules, that is not followed")
		said = said || f.Kind == chain.KindGrafana && f.Severity == chain.Note && f.Place.File == grafana
	}
	if !unfed || !said || r.Report.Errors()+r.Report.Warnings() > 0 || len(r.Sources) != 2 {
		t.Errorf("%+v", r.Report.Findings)
	}
}

// TestWaysToBreakAChainThatRuns breaks the chains in one place each.
func TestWaysToBreakAChainThatRuns(t *testing.T) {
	for _, tt := range []struct {
		name             string
		do               func(w *world)
		kind             chain.Kind
		says             string
		checkout, search string // the states of their stages
	}{
		{
			"the rule is gone", func(w *world) { w.groups[0]["rules"] = w.rules()[1:] },
			chain.KindUnfed, `no rule raises an alert for SLO "checkout"`, "broken unknown unknown whole", "whole whole whole whole",
		},
		{
			"its label was renamed", func(w *world) { w.change(0, "labels", map[string]string{"sitrep_slo": "chekout"}) },
			chain.KindUnclaimed, `has sitrep_slo "chekout", and no SLO has that id`, "broken unknown unknown whole", "whole whole whole whole",
		},
		{
			"the label that Prometheus adds is another's", func(w *world) { w.config = "global:\n  external_labels: {cluster: us}\n" },
			chain.KindMismatch, `wants cluster="eu", and the alert "SearchSlow" has cluster "us"`, "whole whole whole whole", "broken unknown unknown whole",
		},
		{
			"its evaluation fails", func(w *world) {
				w.change(0, "health", "err")
				w.change(0, "lastError", "many-to-many matching not allowed")
			},
			chain.KindFailing, `the evaluation of the alert "CheckoutErrors" fails: many-to-many`, "broken whole whole whole", "whole whole whole whole",
		},
		{
			"it is evaluated no more", func(w *world) { w.change(1, "lastEvaluation", w.now.Add(-time.Hour).Format(time.RFC3339Nano)) },
			chain.KindStale, `the alert "SearchSlow" was last evaluated at`, "whole whole whole whole", "broken whole whole whole",
		},
		{
			"its metric was renamed", func(w *world) {
				w.series[`errors_total{job="shop"}`], w.series[`{__name__="errors_total"}`] = false, false
			},
			chain.KindNoSeries, `no series is there of the metrics that the alert "CheckoutErrors" looks at`, "broken whole whole whole", "whole whole whole whole",
		},
		{
			"its series lack a label", func(w *world) { w.series[`errors_total{job="shop"}`] = false },
			chain.KindNoSeries, `nothing is there now that the alert "CheckoutErrors" looks at`, "doubtful whole whole whole", "whole whole whole whole",
		},
		{
			"its targets are down", func(w *world) { w.up["shop"] = "0" },
			chain.KindTargets, `all targets of the job "shop" are down`, "broken whole whole whole", "broken whole whole whole",
		},
		{
			"Prometheus sends to nobody", func(w *world) { w.sends = []string{} },
			chain.KindUnsent, "it sends alerts to no Alertmanager", "whole broken whole whole", "whole broken whole whole",
		},
		{
			"Prometheus sends to another", func(w *world) { w.sends = []string{"http://192.0.2.7:9093/api/v2/alerts"} },
			chain.KindUnsent, "it sends alerts to 192.0.2.7:9093", "whole doubtful whole whole", "whole doubtful whole whole",
		},
		{
			"Prometheus cannot send", func(w *world) { w.failing = map[string]string{"alertmanager": "http://192.0.2.7:9093/api/v2/alerts"} },
			chain.KindUnsent, "in the last 10 minutes alerts could not be sent to 192.0.2.7:9093", "whole doubtful whole whole", "whole doubtful whole whole",
		},
		{
			"Alertmanager cannot hand over", func(w *world) { w.failing = map[string]string{"instance": "alertmanager:9093"} },
			chain.KindHooks, "failed to hand over webhooks about 7 times", "whole whole whole whole", "whole whole whole whole",
		},
		{
			"Prometheus drops it on the way", func(w *world) {
				w.config += "alerting:\n  alert_relabel_configs:\n  - {source_labels: [team], regex: shop, action: drop}\n"
			},
			chain.KindRelabelled, `drop the alert "SearchSlow"`, "whole whole whole whole", "whole broken whole whole",
		},
		{
			"Prometheus keeps others alone", func(w *world) {
				w.config += "alerting:\n  alertmanagers:\n  - alert_relabel_configs:\n    - {source_labels: [alertname, team], separator: '/', regex: 'SearchSlow/.*', action: keep}\n"
			},
			chain.KindRelabelled, `drop the alert "CheckoutErrors"`, "whole broken whole whole", "whole whole whole whole",
		},
		{
			"Prometheus takes a label away that the SLO wants", func(w *world) {
				w.config += "alerting:\n  alert_relabel_configs:\n  - {regex: cluster, action: labeldrop}\n"
			},
			chain.KindMismatch, `wants cluster="eu", and the alert "SearchSlow" has no label cluster`, "whole whole whole whole", "broken unknown unknown whole",
		},
		{
			"Prometheus does more to labels than is followed", func(w *world) {
				w.config += "alerting:\n  alert_relabel_configs:\n  - {target_label: zone, replacement: a}\n"
			},
			chain.KindRelabelled, "action replace), and that is not followed", "whole whole whole whole", "whole whole whole whole",
		},
		{
			"a route takes it first", func(w *world) {
				w.am = strings.Replace(w.am, "  routes:\n", "  routes:\n  - {receiver: pager, matchers: ['team=\"shop\"']}\n", 1)
			},
			chain.KindSwallowed, `takes the alert "SearchSlow" of SLO "search" to receiver "pager"`, "whole whole whole whole", "whole whole broken whole",
		},
		{
			"no route leads to sitrep", func(w *world) { w.am = strings.Replace(w.am, "|SearchSlow", "", 1) },
			chain.KindElsewhere, `ends here, at receiver "pager"`, "whole whole whole whole", "whole whole broken whole",
		},
		{
			"no receiver is sitrep's", func(w *world) { w.am = strings.ReplaceAll(w.am, "sitrep", "incidents") },
			chain.KindReceiver, "no receiver has a webhook to sitrep", "whole whole broken whole", "whole whole broken whole",
		},
		{
			"ends are not sent", func(w *world) { w.am = strings.Replace(w.am, "send_resolved: true", "send_resolved: false", 1) },
			chain.KindResolved, "sitrep is never told that an alert ended", "whole whole broken whole", "whole whole broken whole",
		},
		{
			"a silence mutes it", func(w *world) {
				w.silences = []map[string]any{
					{"id": "a", "status": map[string]string{"state": "active"}, "endsAt": "2030-01-02T03:04:05Z", "matchers": []any{map[string]any{"name": "alertname", "value": "Search.*", "isRegex": true, "isEqual": true}}},
					{"id": "b", "status": map[string]string{"state": "expired"}, "endsAt": "2020-01-02T03:04:05Z", "matchers": []any{map[string]any{"name": "alertname", "value": "CheckoutErrors", "isRegex": false}}},
				}
			},
			chain.KindSilenced, `a silence mutes the alert "SearchSlow" of SLO "search" until 2030-01-02 03:04:05 UTC`, "whole whole whole whole", "whole whole doubtful whole",
		},
		{
			"nobody would be told", func(w *world) { w.promise.SLOs[0].Audiences = []chain.Audience{{Name: "stakeholders"}} },
			chain.KindUntold, `nobody of the audience stakeholders would be told of SLO "checkout"`, "whole whole whole broken", "whole whole whole whole",
		},
		{
			"Prometheus does not answer", func(w *world) { w.down["/api/v1/rules"] = true },
			chain.KindUnanswered, "this Prometheus does not answer: answered 503", "unknown unknown unknown whole", "unknown unknown unknown whole",
		},
		{
			"Alertmanager does not answer", func(w *world) { w.down["/api/v2/status"] = true },
			chain.KindUnanswered, "this Alertmanager does not answer: answered 503", "whole whole unknown whole", "whole whole unknown whole",
		},
		{
			"the silences are not known", func(w *world) { w.down["/api/v2/silences"] = true },
			chain.KindUnanswered, "its silences are not known", "whole whole whole whole", "whole whole whole whole",
		},
		{
			"where Prometheus sends is not known", func(w *world) { w.down["/api/v1/alertmanagers"] = true },
			chain.KindUnanswered, "where it sends alerts is not known", "whole unknown whole whole", "whole unknown whole whole",
		},
		{
			"a cluster of which one is asked", func(w *world) { w.members = 3 },
			chain.KindMember, "its cluster has 3 members, and 1 is asked", "whole whole whole whole", "whole whole whole whole",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			tt.do(w)
			r := w.look()
			found := false
			for i := range r.Report.Findings {
				f := &r.Report.Findings[i]
				found = found || f.Kind == tt.kind && strings.Contains(f.Text, tt.says)
			}
			if !found {
				t.Errorf("%s %q is not among %+v", tt.kind, tt.says, r.Report.Findings)
			}
			if got := links(&r.Chains[0]); got != tt.checkout {
				t.Errorf("checkout: %s, want %s", got, tt.checkout)
			}
			if got := links(&r.Chains[1]); got != tt.search {
				t.Errorf("search: %s, want %s", got, tt.search)
			}
		})
	}
}
