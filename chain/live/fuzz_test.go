package live_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"sitrep/chain/live"
)

// An answering is an HTTP client that is answered the same, by path.
type answering map[string]string

func (a answering) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Status: "200 OK", Header: http.Header{}, Body: io.NopCloser(strings.NewReader(a[r.URL.Path])), Request: r}, nil
}

// FuzzLook: whatever a Prometheus and an Alertmanager answer, or what is taken for one, looking ends
// and says something, and so does asking for the canary.
func FuzzLook(f *testing.F) {
	f.Add(
		`{"data": {"groups": [{"name": "g", "file": "f", "interval": 60, "rules": [{"type": "alerting", "name": "A", "query": "max by (job) (errors{job=\"shop\"}) > 0", "labels": {"sitrep_slo": "checkout"}, "health": "ok", "lastEvaluation": "2026-07-23T14:00:00Z"}, {"type": "recording", "name": "errors", "query": "up"}]}]}}`,
		`{"data": {"yaml": "global: {external_labels: {cluster: eu}}\nalerting: {alert_relabel_configs: [{action: labeldrop, regex: a.*}]}\n"}}`,
		`{"status": "success", "data": {"resultType": "vector", "result": [{"metric": {"job": "shop"}, "value": [1, "1"]}]}}`,
		`{"config": {"original": "route: {receiver: sitrep}\nreceivers: [{name: sitrep, webhook_configs: [{url: <secret>}]}]\n"}, "cluster": {"status": "ready", "peers": [{"address": "10.0.0.1:9094"}]}}`,
		`[{"id": "1", "status": {"state": "active"}, "matchers": [{"name": "alertname", "value": "A", "isRegex": true}]}]`,
	)
	f.Fuzz(func(t *testing.T, rules, config, query, status, silences string) {
		client := &http.Client{Transport: answering{
			"/api/v1/rules": rules, "/api/v1/status/config": config, "/api/v1/query": query, "/api/v2/status": status, "/api/v2/silences": silences,
			"/api/v1/alertmanagers": `{"data": {"activeAlertmanagers": [{"url": "http://127.0.0.1:9093/api/v2/alerts"}]}}`,
		}}
		prometheis, alertmanagers := []live.Endpoint{{URL: "http://127.0.0.1:9090", Client: client}}, []live.Endpoint{{URL: "http://127.0.0.1:9093", Client: client}}
		w := newPromise()
		r := live.New(prometheis, alertmanagers, live.Files{}, nil).Look(t.Context(), &w, time.Date(2026, 7, 23, 14, 1, 0, 0, time.UTC))
		for _, f := range r.Report.Findings {
			if f.Text == "" || f.Kind == "" || f.Severity == "" || f.Place.File == "" {
				t.Errorf("%+v", f)
			}
		}
		if len(r.Chains) != len(w.SLOs) {
			t.Errorf("%d chains", len(r.Chains))
		}
		if err := live.NewProbe(prometheis, alertmanagers, time.Minute).Probe(t.Context()); err != nil && err.Error() == "" {
			t.Error("an error without words")
		}
	})
}
