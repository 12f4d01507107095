package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"sitrep/config"
	"sitrep/incident"
)

// TestAlertmanagersAreAskedAsConfigured: a guarded one is asked with what http_config
// says, and Grafana's about what came from Grafana.
func TestAlertmanagersAreAskedAsConfigured(t *testing.T) {
	guarded := func(prefix, header, want, fingerprint string) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.Header.Get(header) != want:
				w.WriteHeader(http.StatusUnauthorized)
			case r.URL.Path == prefix+"/api/v2/alerts":
				_, _ = io.WriteString(w, `[{"fingerprint":"`+fingerprint+`"}]`)
			default:
				http.NotFound(w, r)
			}
		}))
		t.Cleanup(s.Close)
		return s.URL + prefix
	}
	mimir := guarded("/alertmanager", "X-Scope-OrgID", "tenant", "a")
	grafana := guarded("/api/alertmanager/grafana", "Authorization", "Bearer t0ken", "b")
	file := filepath.Join(t.TempDir(), "sitrep.yml")
	text := "priorities: [{name: P1}]\nalertmanagers:\n" +
		"  - {url: '" + mimir + "', http_config: {http_headers: {X-Scope-OrgID: {values: [tenant]}}}}\n" +
		"  - {url: '" + grafana + "', http_config: {authorization: {credentials: t0ken}}}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	f, err := newInForce(c, "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	verdict, err := f.asker.Ask(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		b    incident.Breach
		want incident.Verdict
	}{
		{incident.Breach{Fingerprint: "a"}, incident.Listed},
		{incident.Breach{Fingerprint: "b"}, incident.NotListed},
		{incident.Breach{Fingerprint: "a", Grafana: true}, incident.NotListed},
		{incident.Breach{Fingerprint: "b", Grafana: true}, incident.Listed},
	} {
		if got := verdict(&tt.b); got != tt.want {
			t.Errorf("%+v: got %v, want %v", tt.b, got, tt.want)
		}
	}
}
