package live_test

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"sitrep/chain/live"
)

// TestAPrometheusIsProvedSound or not, by what it answers.
func TestAPrometheusIsProvedSound(t *testing.T) {
	ago := func(w *world, d time.Duration) string { return w.now.Add(-d).Format(time.RFC3339Nano) }
	each := func(w *world, key string, v any) {
		for i := range w.rules() {
			w.change(i, key, v)
		}
	}
	for _, c := range []struct {
		name string
		do   func(w *world)
		says string // empty: it is sound
	}{
		{"all is well", func(*world) {}, ""},
		{"one rule stands still", func(w *world) { w.change(0, "lastEvaluation", ago(w, time.Hour)) }, ""},
		{"one rule fails", func(w *world) { w.change(0, "health", "err") }, ""},
		{"one rule is new", func(w *world) { w.change(0, "lastEvaluation", time.Time{}.Format(time.RFC3339)) }, ""},
		{"as late as is all right", func(w *world) { each(w, "lastEvaluation", ago(w, 2*time.Minute+30*time.Second)) }, ""},
		{"a long interval", func(w *world) {
			w.groups[0]["interval"] = 3600
			each(w, "lastEvaluation", ago(w, 59*time.Minute))
		}, ""},
		{"nothing is evaluated any more", func(w *world) { each(w, "lastEvaluation", ago(w, 4*time.Minute)) }, "none of its alerting rules was evaluated since 2"},
		{"nothing was ever evaluated", func(w *world) { each(w, "lastEvaluation", time.Time{}.Format(time.RFC3339)) }, "none of its alerting rules was evaluated yet"},
		{"only what records is evaluated", func(w *world) {
			each(w, "lastEvaluation", ago(w, time.Hour))
			r := w.rule("job:errors:ratio", "vector(1)", nil)
			r["type"] = "recording"
			w.groups[0]["rules"] = append(w.rules(), r)
		}, "none of its alerting rules was evaluated since 2"},
		{"all evaluations fail", func(w *world) {
			each(w, "health", "err")
			each(w, "lastError", "out of memory")
		}, "the evaluation of each of its alerting rules fails: out of memory"},
		{"there are no rules", func(w *world) { w.groups = nil }, "it has no alerting rules"},
		{"no Alertmanager", func(w *world) { w.sends = []string{} }, "it sends alerts to no Alertmanager"},
		{"another Alertmanager", func(w *world) { w.sends = []string{"http://127.0.0.1:1/api/v2/alerts"} }, "it sends alerts to 127.0.0.1:1, which by these names is none of alertmanagers"},
		{"another and this", func(w *world) {
			w.sends = []string{"http://127.0.0.1:1/api/v2/alerts", w.alertmanager.URL + "/api/v2/alerts"}
		}, ""},
		{"a member of its cluster", func(w *world) { w.sends, w.members = []string{"http://10.0.0.2:9093/api/v2/alerts"}, 2 }, ""},
		{"a cluster that is not known", func(w *world) {
			w.sends, w.down["/api/v2/status"] = []string{"http://10.0.0.2:9093/api/v2/alerts"}, true
		}, ""},
		{"who does not say where it sends", func(w *world) { w.gone = "/api/v1/alertmanagers" }, ""},
		{"who cannot say where it sends", func(w *world) { w.down["/api/v1/alertmanagers"] = true }, "answered 503 Service Unavailable to /api/v1/alertmanagers"},
		{"it is down", func(w *world) { w.prometheus.Close() }, "connection refused"},
		{"a page to log in", func(w *world) { w.gone = "/api/v1/rules" }, "answered 404 Not Found to /api/v1/rules"},
		{"it stalls", func(w *world) { w.stall() }, "no answer in time"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			c.do(w)
			within := time.Minute
			if c.says == "no answer in time" {
				within = 100 * time.Millisecond
			}
			err := live.NewProbe([]live.Endpoint{{URL: w.prometheus.URL}}, []live.Endpoint{{URL: "http://g.example/api/alertmanager/grafana"}, {URL: w.alertmanager.URL}}, within).Probe(t.Context())
			switch {
			case c.says == "" && err != nil:
				t.Error(err)
			case c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says) || !strings.HasPrefix(err.Error(), `ask Prometheus "`+w.prometheus.URL+`": `)):
				t.Errorf("%v, want %q", err, c.says)
			}
		})
	}
}

// TestEachPrometheusIsProvedSound: of several each must be, and those that are not are named.
func TestEachPrometheusIsProvedSound(t *testing.T) {
	w, other := newWorld(t), newWorld(t)
	other.groups = nil
	dead := httptest.NewServer(nil)
	dead.Close()
	err := live.NewProbe([]live.Endpoint{{URL: w.prometheus.URL}, {URL: other.prometheus.URL}, {URL: dead.URL}}, []live.Endpoint{{URL: w.alertmanager.URL}}, time.Minute).Probe(t.Context())
	if err == nil || strings.Contains(err.Error(), w.prometheus.URL) || !strings.Contains(err.Error(), other.prometheus.URL) || !strings.Contains(err.Error(), dead.URL) {
		t.Error(err)
	}
}
