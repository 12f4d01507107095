package cli

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// runs serves the rules and the Alertmanager of chainFiles as if they ran, to whoever has a token.
func runs(t *testing.T, token string) (prometheus, alertmanager *httptest.Server) {
	t.Helper()
	guarded := func(answer func(path string) any) *httptest.Server {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if token != "" && r.Header.Get("Authorization") != "Bearer "+token {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			v := answer(r.URL.Path)
			if v == nil {
				http.NotFound(w, r)
				return
			}
			_ = json.NewEncoder(w).Encode(v)
		}))
		t.Cleanup(srv.Close)
		return srv
	}
	alertmanager = guarded(func(path string) any {
		switch path {
		case "/api/v2/status":
			raw, err := os.ReadFile("alertmanager.yml")
			if err != nil {
				t.Error(err)
			}
			return map[string]any{"config": map[string]string{"original": strings.Replace(string(raw), "http://sitrep.example.org:9098/alertmanager", "<secret>", 1)}}
		case "/api/v2/silences":
			return []any{}
		}
		return nil
	})
	prometheus = guarded(func(path string) any {
		if path != "/api/v1/rules" { // as one that knows no more, behind a proxy
			return nil
		}
		var groups []any
		for _, file := range []string{"rules/checkout.yml", "rules/search.yml"} {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Error(err)
			}
			var doc struct {
				Groups []struct {
					Name  string
					Rules []struct {
						Record, Alert, Expr string
						Labels              map[string]string
					}
				}
			}
			if err := yaml.Unmarshal(raw, &doc); err != nil {
				t.Error(err)
			}
			for _, g := range doc.Groups {
				var rules []any
				for _, r := range g.Rules {
					kind := "alerting"
					if r.Record != "" {
						kind = "recording"
					}
					rules = append(rules, map[string]any{"type": kind, "name": r.Record + r.Alert, "query": r.Expr, "labels": r.Labels, "health": "ok", "lastEvaluation": time.Now()})
				}
				groups = append(groups, map[string]any{"name": g.Name, "file": file, "interval": 30, "rules": rules})
			}
		}
		return map[string]any{"status": "success", "data": map[string]any{"groups": groups}}
	})
	return prometheus, alertmanager
}

func TestCheckFollowsWhatRuns(t *testing.T) {
	chainFiles(t)
	prometheus, alertmanager := runs(t, "let-me-in")
	if err := os.WriteFile("token", []byte("let-me-in\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const whole = "2 of 2 SLOs: alerts claim it and surely come to sitrep. 5 alerting rules: 1 ignored, 1 no SLO's\n"
	live := []string{"check", "sitrep.yml", "--prometheus", prometheus.URL, "--alertmanager", alertmanager.URL}
	check := func(code int, want string, more ...string) {
		t.Helper()
		if out, got := runIn(t, append(append([]string{}, live...), more...)...); got != code || !strings.Contains(out, want) || strings.Contains(out, "let-me-in") {
			t.Errorf("%q: exit %d, want %d and %q:\n%s", more, got, code, want, out)
		}
	}
	check(ExitFailed, "answered 401 Unauthorized to /api/v1/rules; give it credentials")
	check(ExitDone, whole, "--token-file", "token")
	check(ExitUsage, "use one of them", "--token-file", "token", "--user", "ada")
	check(ExitUsage, `"http://g.example/api/alertmanager/grafana/" is Grafana's own Alertmanager, which is not followed`, "--alertmanager", "http://g.example/api/alertmanager/grafana/")
	check(ExitUsage, `--prometheus: "localhost:9090" is no http or https URL`, "--prometheus", "localhost:9090")

	// What the configuration says of a URL holds here, too; --live asks all that it names.
	raw, err := os.ReadFile("sitrep.yml")
	if err != nil {
		t.Fatal(err)
	}
	auth := ", http_config: {authorization: {credentials_file: token}}}]\n"
	text := string(raw) + "\nprometheus: [{url: " + prometheus.URL + auth + "alertmanagers: [{url: " + alertmanager.URL + "/" + auth
	if err := os.WriteFile("sitrep.yml", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	check(ExitDone, whole)
	live = []string{"check", "sitrep.yml", "--live"}
	check(ExitDone, whole)
	check(ExitDone, `"reached": "always"`, "-o", "json")
	swap(t, "alertmanager.yml", `"CheckoutErrors|SearchSlow"`, `"CheckoutErrors"`)
	check(ExitFailed, `the alert "SearchSlow" of SLO "search-latency" ends here, at receiver "pager"`)
	check(ExitFailed, alertmanager.URL+"/#/status:2:3: error:")
	check(ExitFailed, `receiver "pager" has no webhook to sitrep`, "--receiver", "pager")
	// Files and what runs go together.
	live = []string{"check", "sitrep.yml", "--rules", "rules/*.yml", "--alertmanager", alertmanager.URL}
	check(ExitFailed, `the alert "SearchSlow" of SLO "search-latency" ends here`)
	live = []string{"check", "sitrep.yml", "--alertmanager", alertmanager.URL}
	check(ExitUsage, "needs the rules whose alerts are followed")
}
