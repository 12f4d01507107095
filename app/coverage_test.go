package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sitrep/app/apptest"
)

// prometheusOf serves the API of a Prometheus with a rule for the SLO send, and says whom it sends to.
func prometheusOf(t *testing.T, alertmanager string, before func(http.ResponseWriter, *http.Request) bool) *httptest.Server {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !before(w, r) {
			return
		}
		var data any
		switch r.URL.Path {
		case "/api/v1/rules":
			data = map[string]any{"groups": []any{map[string]any{"name": "g", "file": "r.yml", "interval": 15, "rules": []any{map[string]any{
				"type": "alerting", "name": "SendFails", "query": "vector(0) > 1", "labels": map[string]string{"sitrep_slo": "send"}, "health": "ok", "lastEvaluation": time.Now(),
			}}}}}
		case "/api/v1/status/config":
			data = map[string]string{"yaml": "global: {}\n"}
		case "/api/v1/alertmanagers":
			data = map[string]any{"activeAlertmanagers": []any{map[string]string{"url": alertmanager + "/api/v2/alerts"}}}
		default:
			data = map[string]any{"resultType": "vector", "result": []any{}}
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"status": "success", "data": data})
	}))
	t.Cleanup(srv.Close)
	return srv
}

// alertmanagerOf serves the API of an Alertmanager that sends all to the receiver incidents.
func alertmanagerOf(t *testing.T) *httptest.Server {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/v2/status" {
			_, _ = w.Write([]byte("[]"))
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"config": map[string]string{
			"original": "route: {receiver: incidents, group_interval: 1m}\nreceivers: [{name: incidents, webhook_configs: [{url: <secret>, http_config: {follow_redirects: false}}]}]\n",
		}})
	}))
	t.Cleanup(srv.Close)
	return srv
}

// TestCoverageOfTheRunningService: it asks with the credentials of the configuration, shows what
// was found, and what cannot be known once nobody answers; a reload looks at once.
func TestCoverageOfTheRunningService(t *testing.T) {
	am := alertmanagerOf(t)
	var refuses atomic.Bool
	prometheus := prometheusOf(t, am.URL, func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("Authorization") != "Bearer "+apptest.ViewerToken {
			w.WriteHeader(http.StatusUnauthorized)
			return false
		}
		if refuses.Load() {
			w.WriteHeader(http.StatusBadGateway)
		}
		return !refuses.Load()
	})
	config := apptest.Organisation + apptest.Access + fmt.Sprintf(`
prometheus: [{url: %s, http_config: {authorization: {credentials_file: secrets/viewer}}}]
alertmanagers: [{url: %s, receiver: incidents}]
`, prometheus.URL, am.URL)
	s := apptest.New(t, config, nil)
	s.Start()
	var body string
	seen := func(want ...string) bool {
		_, body = s.Ask(apptest.ViewerToken, "GET", "/api/v1/coverage", "")
		for _, w := range want {
			if !strings.Contains(body, w) {
				return false
			}
		}
		return true
	}
	s.Until("the chain of send is whole, and that of delay is broken", func() bool {
		return seen(`"slo":"send","team":"notifications","priority":"P1","state":"whole"`, `"slo":"delay","team":"notifications","priority":"P2","state":"broken"`, `no rule raises an alert for SLO`)
	})
	if metrics := s.Scrape(); !strings.Contains(metrics, `sitrep_chain_broken{chain="delay"} 1`) || !strings.Contains(metrics, `sitrep_chains{state="whole"} 1`) || !strings.Contains(metrics, `sitrep_chain_findings{kind="slo_unfed"} 1`) {
		t.Error(metrics)
	}
	if _, page := s.Ask(apptest.ViewerToken, "GET", "/coverage", ""); !strings.Contains(page, "SendFails") {
		t.Error(page)
	}
	refuses.Store(true)
	if code, answer := s.Ask(apptest.AdminToken, "POST", "/-/reload", ""); code != http.StatusOK {
		t.Fatalf("%d: %s", code, answer)
	}
	s.Until("what was answered before counts on", func() bool {
		return seen(`"slo":"send","team":"notifications","priority":"P1","state":"whole"`, "answered 502 Bad Gateway")
	})
	s.Write("sitrep.yml", strings.Replace(config, prometheus.URL, prometheus.URL+"/another", 1))
	if code, answer := s.Ask(apptest.AdminToken, "POST", "/-/reload", ""); code != http.StatusOK {
		t.Fatalf("%d: %s", code, answer)
	}
	s.Until("what another does not answer is not known", func() bool {
		return seen(`"slo":"send","team":"notifications","priority":"P1","state":"unknown"`, "answered 502 Bad Gateway")
	})
	if metrics := s.Scrape(); !strings.Contains(metrics, `sitrep_chains_unanswered_total{program="Prometheus"} 2`) || strings.Contains(metrics, `sitrep_chain_broken{`) {
		t.Error(metrics)
	}
	if strings.Contains(body, apptest.ViewerToken) || strings.Contains(s.Log.String(), apptest.ViewerToken) {
		t.Error("the token is shown")
	}
}

// TestNoPageWaitsForWhoIsAsked: one that never answers delays neither pages nor the end.
func TestNoPageWaitsForWhoIsAsked(t *testing.T) {
	asked := make(chan struct{}, 100)
	prometheus := prometheusOf(t, "", func(_ http.ResponseWriter, r *http.Request) bool {
		asked <- struct{}{}
		<-r.Context().Done()
		return false
	})
	s := apptest.New(t, apptest.Organisation+fmt.Sprintf("\nprometheus: [{url: %s}]\n", prometheus.URL), nil)
	s.Start()
	<-asked
	for _, path := range []string{"/coverage", "/slos", "/api/v1/coverage", "/metrics"} {
		if code, body := s.Ask("", "GET", path, ""); code != http.StatusOK {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
	s.Stop() // does not wait for it either, or the test would not end
}
