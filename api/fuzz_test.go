package api_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// FuzzRequest asks with whatever path, query and body: the answer is JSON or a problem in
// JSON, and never a fault of the service.
func FuzzRequest(f *testing.F) {
	fx := newFixture(f)
	fx.undocumented = true
	fx.breach("send", "a")
	for _, s := range []struct{ method, path, query, body string }{
		{"GET", "incidents", "limit=1", ""},
		{"GET", "incidents", "cursor=MQ&limit=1001", ""},
		{"GET", "incidents", "state=open&q=%ff%00&team=%0a", ""},
		{"GET", "incidents/INC-1", "", ""},
		{"GET", "incidents/INC-99999999999999999999", "", ""},
		{"GET", "incidents/INC-1/events", "limit=1&cursor=1", ""},
		{"GET", "incidents/INC-1/breaches", "cursor=x", ""},
		{"GET", "incidents/INC-1/deliveries", "cursor=%00", ""},
		{"GET", "deliveries", "state=failed&cursor=AAAA&incident=INC-1", ""},
		{"GET", "slos", "team=a;b", ""},
		{"GET", "audit/report", "from=2026-01-01&to=x&format=csv", ""},
		{"POST", "incidents/INC-1/priority", "preview=true", `{"priority":"P1","reason":"r"}`},
		{"POST", "incidents/INC-1/updates", "preview=true", `{"message":"\ud800","audiences":["x"]}`},
		{"POST", "incidents/INC-1/merge", "preview=true", `{"into":"INC-1","reason":"` + strings.Repeat("w", 9000) + `"}`},
		{"POST", "incidents", "preview=true", `{"slo":"send","reason":"r"}`},
		{"POST", "incidents/INC-1/actions/..%2f", "preview=true", `{"state":"done","link":"javascript:x"}`},
		{"POST", "incidents/INC-1/phase", "preview=true", `[`},
		{"POST", "incidents/INC-1/resolve", "preview=true", `{"note":1}{}`},
	} {
		f.Add(s.method == "POST", s.path, s.query, s.body)
	}
	f.Fuzz(func(t *testing.T, post bool, path, query, body string) {
		method, token := http.MethodGet, "viewer"
		if post {
			method, token = http.MethodPost, "responder"
			query += "&preview=true" // what it asks for is not done
		}
		r := httptest.NewRequestWithContext(t.Context(), method, "/api/v1/x", strings.NewReader(body))
		target, err := r.URL.Parse("/api/v1/" + path)
		if err != nil || target.Host != r.URL.Host {
			return
		}
		r.URL = target
		r.URL.RawQuery = query
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		fx.http.ServeHTTP(w, r)
		kind := w.Header().Get("Content-Type")
		if w.Code >= 500 && w.Code != http.StatusServiceUnavailable {
			t.Errorf("%s %q?%q %q: %d %s", method, path, query, body, w.Code, w.Body)
		}
		if strings.Contains(kind, "json") && !json.Valid(w.Body.Bytes()) || w.Code >= 400 && kind != "application/problem+json" {
			t.Errorf("%s %q?%q: %d %s %.300q", method, path, query, w.Code, kind, w.Body)
		}
	})
}
