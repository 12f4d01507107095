package app

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sitrep/config"
	"sitrep/incident"
	"sitrep/incident/incidenttest"
	"sitrep/router"
	"sitrep/router/webhook"
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
	f, err := newInForce(c, "", &lookout{}, nil)
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
		{incident.Breach{Fingerprint: "a"}, incident.VerdictListed},
		{incident.Breach{Fingerprint: "b"}, incident.VerdictNotListed},
		{incident.Breach{Fingerprint: "a", Grafana: true}, incident.VerdictNotListed},
		{incident.Breach{Fingerprint: "b", Grafana: true}, incident.VerdictListed},
	} {
		if got := verdict(&tt.b); got != tt.want {
			t.Errorf("%+v: got %v, want %v", tt.b, got, tt.want)
		}
	}
}

// TestWebhooksArePostedToAsConfigured: each with the http_config of its own entry, and
// whatever goes wrong, no error tells a secret.
func TestWebhooksArePostedToAsConfigured(t *testing.T) {
	asked := map[string]http.Header{} // by path, or by host if it was asked as a proxy
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Host != "" {
			asked[r.URL.Host] = r.Header
			w.WriteHeader(http.StatusProxyAuthRequired)
			return
		}
		asked[r.URL.Path] = r.Header
		switch r.URL.Path {
		case "/moved/classified":
			http.Redirect(w, r, "/there", http.StatusPermanentRedirect)
		case "/token/classified":
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, "classified")
		}
	}))
	defer s.Close()
	proxy := strings.Replace(s.URL, "http://", "http://me:classified@", 1)
	hooks := []struct{ url, settings, err string }{
		{s.URL + "/plain/classified", "", ""},
		{s.URL + "/bearer/classified", ", http_config: {authorization: {credentials: classified}}", ""},
		{s.URL + "/header/classified", ", http_config: {http_headers: {X-Tenant: {values: [shop]}, X-Key: {secrets: [classified]}}}", ""},
		{s.URL + "/moved/classified", ", http_config: {authorization: {credentials: classified}}", "answered 308: redirects are not followed"},
		{s.URL + "/guarded/classified", ", http_config: {oauth2: {client_id: me, client_secret: classified, token_url: '" + s.URL + "/token/classified'}}", "the token server answered 401"},
		{"http://hooks.invalid/classified", ", http_config: {proxy_url: '" + proxy + "'}", "answered 407"},
		{"https://hooks.invalid/classified", ", http_config: {proxy_url: '" + proxy + "'}", "Proxy Authentication Required"},
		{"http://hooks.invalid/classified/too", ", http_config: {proxy_url: 'http://me:classified@127.0.0.1:1'}", "connection refused"},
	}
	text := "priorities: [{name: P1}]\ngroups:\n  - name: sre\n    webhooks:\n"
	for _, h := range hooks {
		text += "      - {url: '" + h.url + "'" + h.settings + "}\n"
	}
	file := filepath.Join(t.TempDir(), "sitrep.yml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	f, err := newInForce(c, "", &lookout{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	ids := map[string]string{}
	for id, h := range c.Webhooks() {
		ids[string(h.URL)] = id
	}
	for _, h := range hooks {
		to := incident.Recipient{ID: ids[h.url], Channel: incident.ChannelWebhook, Address: webhook.Place(h.url)}
		err := f.hooks.Send(t.Context(), router.Envelope{ID: "id", Recipient: to, Body: []byte("{}")}, nil)
		if (err == nil) != (h.err == "") || err != nil && (!strings.Contains(err.Error(), h.err) || strings.Contains(err.Error(), "classified")) {
			t.Errorf("%s: error is %v, want %q", h.url, err, h.err)
		}
	}
	for place, want := range map[string]map[string]string{
		"/plain/classified":  {"Authorization": "", "X-Tenant": "", "Webhook-Id": "id"},
		"/bearer/classified": {"Authorization": "Bearer classified", "X-Tenant": "", "Webhook-Id": "id"},
		"/header/classified": {"Authorization": "", "X-Tenant": "shop", "X-Key": "classified"},
		"/moved/classified":  {"Authorization": "Bearer classified"},
		"hooks.invalid":      {"Proxy-Authorization": "Basic bWU6Y2xhc3NpZmllZA=="},
	} {
		for name, value := range want {
			if got := asked[place].Get(name); got != value {
				t.Errorf("%s was shown %s: %q, want %q", place, name, got, value)
			}
		}
	}
	for _, place := range []string{"/there", "/guarded/classified"} {
		if asked[place] != nil {
			t.Errorf("%s was asked", place)
		}
	}
}

// TestEachWebhookGetsItsFormat: what the configuration says is what a webhook is told in.
func TestEachWebhookGetsItsFormat(t *testing.T) {
	file := filepath.Join(t.TempDir(), "sitrep.yml")
	text := "priorities: [{name: P1}]\ngroups:\n  - name: sre\n    webhooks:\n" +
		"      - {url: 'http://127.0.0.1/json'}\n" +
		"      - {url: 'http://127.0.0.1/slack', format: slack}\n" +
		"      - {url: 'http://127.0.0.1/teams', format: teams}\n" +
		"      - {url: 'http://127.0.0.1/mattermost', format: mattermost}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	f, err := newInForce(c, "", &lookout{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	hooks, _ := f.sender(incident.ChannelWebhook)
	for id, hook := range c.Webhooks() {
		m := incidenttest.Message(incident.KindUpdate)
		m.Recipient = incident.Recipient{ID: id, Channel: incident.ChannelWebhook}
		body, err := hooks.Render(m)
		if err != nil {
			t.Fatal(err)
		}
		mark := map[string]string{"json": `"type":"incident.update"`, "slack": `"blocks":`, "teams": `"AdaptiveCard"`, "mattermost": `"fallback":`}
		for path, want := range mark {
			if is := strings.HasSuffix(string(hook.URL), path); is != strings.Contains(string(body), want) {
				t.Errorf("%s is told %.300s", hook.URL, body)
			}
		}
	}
}
