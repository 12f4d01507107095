//go:build unix

package config_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sitrep/config"
)

// posters loads a config with a webhook of the house and of a team that have that
// http_config, and returns the client of each; those who are posted to are a and b.
func posters(t *testing.T, httpConfig string, files map[string]string) map[string]*http.Client {
	t.Helper()
	all := map[string]string{
		"sitrep.yml": "mail: {directory: outbox, from: incidents@example.org}\npriorities: [{name: P1, inform: [stakeholders], update_every: 2h}]\n" +
			"groups: [{name: support, webhooks: [{url: 'http://a.invalid/', http_config: " + httpConfig + "}]}]\nslo_files: [slos/*.yml]\n",
		"slos/a.yml": team("a") + "on_call: {webhooks: [{url: 'http://b.invalid/', http_config: " + httpConfig + "}]}\n",
	}
	for name, text := range files {
		all[name], all["slos/"+name] = text, text
	}
	c := load(t, write(t, all))
	out := map[string]*http.Client{}
	for _, w := range c.Webhooks() {
		client, err := w.HTTPConfig.NewPoster()
		if err != nil {
			t.Fatal(err)
		}
		out[string(w.URL)] = client
	}
	if len(out) != 2 {
		t.Fatalf("got %d webhooks", len(out))
	}
	return out
}

// TestPosters posts as webhooks are.
func TestPosters(t *testing.T) {
	var got *http.Request
	var body string
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got, body = r, string(b)
		if r.URL.Path == "/moved" {
			http.Redirect(w, r, "/there", http.StatusTemporaryRedirect)
		}
	})
	plain := httptest.NewServer(handler)
	defer plain.Close()
	guarded := httptest.NewUnstartedServer(handler)
	guarded.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	guarded.StartTLS()
	defer guarded.Close()
	shown := guarded.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(shown.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	certificate := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: shown.Certificate[0]}))
	tokens := server(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"access_token": "t0ken", "token_type": "Bearer", "expires_in": 3600}`)
	})
	files := map[string]string{
		"token": "s3cret\n", "ca.pem": certificate, "cert.pem": certificate, "key.pem": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})),
	}
	for _, tt := range []struct {
		name, settings, url string
		header, value       string // that is shown
		status              int
	}{
		{"headers", "{http_headers: {X-Tenant: {values: [one]}}}", plain.URL, "X-Tenant", "one", 200},
		{"a header of a file", "{http_headers: {X-Tenant: {files: [token]}}}", plain.URL, "X-Tenant", "s3cret", 200},
		{"a bearer token", "{authorization: {credentials_file: token}}", plain.URL, "Authorization", "Bearer s3cret", 200},
		{"a token of a server", "{oauth2: {client_id: sitrep, client_secret_file: token, token_url: '" + tokens.URL + "'}}", plain.URL, "Authorization", "Bearer t0ken", 200},
		{"a client certificate", "{tls_config: {ca_file: ca.pem, cert_file: cert.pem, key_file: key.pem, server_name: example.com}}", guarded.URL, "", "", 200},
		{"a proxy", "{proxy_url: '" + plain.URL + "'}", "http://target.invalid/", "", "", 200},
		{"a redirect", "{}", plain.URL + "/moved", "", "", 307},
		{"a redirect that is not followed, in so many words", "{follow_redirects: false}", plain.URL + "/moved", "", "", 307},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for who, client := range posters(t, tt.settings, files) {
				got, body = nil, ""
				resp, err := client.Post(tt.url, "application/json", strings.NewReader("news"))
				if err != nil {
					t.Fatal(err)
				}
				_ = resp.Body.Close()
				if resp.StatusCode != tt.status || body != "news" || got.Header.Get(tt.header) != tt.value || got.URL.Path == "/there" {
					t.Errorf("%s: answered %d, after %v %v", who, resp.StatusCode, got.URL, got.Header)
				}
				if tt.url == guarded.URL && len(got.TLS.PeerCertificates) == 0 {
					t.Error("no certificate was shown")
				}
			}
		})
	}
}

// TestPostersReadLittle: one who answers without end is not listened to.
func TestPostersReadLittle(t *testing.T) {
	s := server(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Long", strings.Repeat("x", 300<<10))
	})
	var none *config.HTTPClient
	client, err := none.NewPoster()
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Post(s.URL, "text/plain", nil)
	if err == nil {
		_ = resp.Body.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "the answer is longer than 256 KiB") {
		t.Errorf("error is %v", err)
	}
}

// TestTeamCannotSendItselfTheHousesFiles: what an http_config of a team names, and so
// shows to a server of the team's choice, lies in the folder of the team's file.
func TestTeamCannotSendItselfTheHousesFiles(t *testing.T) {
	const ledger = "PRIVATE+KEY+sitrep+af85b1be+AQ5f8a9bu/05cpyCsfxZLgZzM7k1mpQmUt0oX+/WfSv9"
	files := map[string]string{
		"sitrep.yml": strings.Replace(fmt.Sprintf(houseOfSLOs, "teams/*/*.yml"), "name: support,", "name: support, webhooks: [{url_file: teams/pay/hook}],", 1) +
			"access: {tokens: [{name: bot, role: admin, token_file: teams/pay/admin}]}\n",
		"sitrep.db.key": ledger, "secrets/hook": secret, "teams/pay/own": "the-teams-own", "teams/pay/below/own": "the-teams-own", "teams/ship/own": secret,
		"teams/pay/admin": strings.Repeat(secret, 3), "teams/pay/ledger": ledger, "teams/pay/hook": "http://c.invalid/" + secret,
	}
	const out, link = "the folder of the team's file; put it into that folder", "is a link that leads out of its folder"
	for _, c := range []struct{ name, file, says string }{
		{"its own", "own", ""},
		{"below its own", "below/own", ""},
		{"its own, the long way", "../pay/own", ""},
		{"a link to its own", "near", ""},
		{"the key of the ledger", "../../sitrep.db.key", out},
		{"a secret of the house", "../../secrets/hook", out},
		{"a neighbour's", "../ship/own", out},
		{"an absolute path", "/etc/hostname", out},
		{"a link to the key of the ledger", "far", link},
		{"a link to the folder of the house", "house/sitrep.db.key", link},
		{"what the main file names in its folder", "admin", "is what the main file names as access.tokens[0].token_file"},
		{"what a group uses in its folder", "hook", "is what the main file names as groups[0].webhooks[0].url_file"},
		{"the key of a ledger in its folder", "ledger", "holds the key of a ledger"},
		{"what is not there", "none", "no such file"},
	} {
		for _, use := range []string{
			"{authorization: {credentials_file: %s}}", "{basic_auth: {username: me, password_file: %s}}", "{basic_auth: {username_file: %s, password: p}}",
			"{http_headers: {X-Pass: {files: [%s]}}}", "{oauth2: {client_id: me, token_url: 'http://t.invalid/', client_secret_file: %s}}",
		} {
			t.Run(c.name, func(t *testing.T) {
				files["teams/pay/a.yml"] = team("a") + "on_call: {webhooks: [{url: 'http://b.invalid/', http_config: " + fmt.Sprintf(use, c.file) + "}]}\n"
				path := write(t, files)
				for name, target := range map[string]string{"near": "own", "far": "../../sitrep.db.key", "house": "../.."} {
					if err := os.Symlink(target, filepath.Join(filepath.Dir(path), "teams/pay", name)); err != nil {
						t.Fatal(err)
					}
				}
				_, err := config.Load(path)
				switch {
				case c.says == "" && err != nil:
					t.Error(err)
				case c.says == "":
				case err == nil:
					t.Errorf("%s: loaded", use)
				case !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), ledger):
					t.Errorf("%s: error is %v, want %s", use, err, c.says)
				}
			})
		}
	}
	for _, key := range []string{"ca_file", "cert_file", "key_file"} {
		files["teams/pay/a.yml"] = team("a") + "on_call: {webhooks: [{url: 'http://b.invalid/', http_config: {tls_config: {" + key + ": ../../sitrep.db.key}}}]}\n"
		if _, err := config.Load(write(t, files)); err == nil || !strings.Contains(err.Error(), out) {
			t.Errorf("%s: error is %v", key, err)
		}
	}
}

// TestTeamCannotSwapItsSecret: the secret of oauth2 is read again when it changes, and is
// then, too, nothing but a file of the team's folder.
func TestTeamCannotSwapItsSecret(t *testing.T) {
	var secrets []string
	tokens := server(t, func(w http.ResponseWriter, r *http.Request) {
		if _, password, ok := r.BasicAuth(); ok { // it is tried in another way, too
			secrets = append(secrets, password)
		}
		w.WriteHeader(http.StatusUnauthorized)
	})
	path := write(t, map[string]string{
		"sitrep.yml": fmt.Sprintf(houseOfSLOs, "teams/*/*/*.yml"), "secrets/token": secret, "teams/pay/slos/token": "first",
		"teams/pay/slos/a.yml": team("a") + "on_call: {webhooks: [{url: 'http://b.invalid/', http_config: {oauth2: {client_id: me, token_url: '" + tokens.URL + "', client_secret_file: token}}}]}\n",
	})
	house := filepath.Dir(path)
	own := filepath.Join(house, "teams/pay/slos")
	c := load(t, path)
	var client *http.Client
	for _, w := range c.Webhooks() {
		var err error
		if client, err = w.HTTPConfig.NewPoster(); err != nil {
			t.Fatal(err)
		}
	}
	ask := func(want string) {
		t.Helper()
		secrets = nil
		if _, err := client.Post("http://b.invalid/", "text/plain", nil); err == nil {
			t.Fatal("no token, and no error")
		}
		if len(secrets) == 0 || strings.Join(secrets, "") != strings.Repeat(want, len(secrets)) {
			t.Errorf("shown %q, want %q", secrets, want)
		}
	}
	must := func(errs ...error) {
		t.Helper()
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
	}
	ask("first")
	must(os.WriteFile(filepath.Join(own, "token"), []byte("second"), 0o600))
	ask("second")
	must(os.Remove(filepath.Join(own, "token")), os.Symlink("../../../secrets/token", filepath.Join(own, "token")))
	ask("first") // what was loaded
	must(os.RemoveAll(own), os.Symlink("../../secrets", own))
	ask("first")
}
