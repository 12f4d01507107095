package docs_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// A provider is one of OpenID Connect, where whoever comes is logged in at once.
type provider struct {
	*httptest.Server
	key *rsa.PrivateKey

	mu     sync.Mutex
	person string
	groups []string
	codes  map[string]url.Values // what was asked, by the code that was given
}

func newProvider(t *testing.T) *provider {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p := &provider{key: key, codes: map[string]url.Values{}}
	mux := http.NewServeMux()
	answer := func(w http.ResponseWriter, v any) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(v)
	}
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]any{
			"issuer": p.URL, "authorization_endpoint": p.URL + "/auth", "token_endpoint": p.URL + "/token", "jwks_uri": p.URL + "/keys",
			"id_token_signing_alg_values_supported": []string{"RS256"}, "response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"},
		})
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]any{"keys": []any{map[string]string{
			"kty": "RSA", "kid": "1", "alg": "RS256", "use": "sig",
			"n": base64.RawURLEncoding.EncodeToString(key.N.Bytes()), "e": base64.RawURLEncoding.EncodeToString(big.NewInt(int64(key.E)).Bytes()),
		}}})
	})
	mux.HandleFunc("/auth", func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		code := rand.Text()
		p.codes[code] = r.URL.Query()
		http.Redirect(w, r, r.URL.Query().Get("redirect_uri")+"?"+url.Values{"code": {code}, "state": {r.URL.Query().Get("state")}}.Encode(), http.StatusFound)
	})
	mux.HandleFunc("/token", func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		asked, ok := p.codes[r.FormValue("code")]
		if !ok {
			http.Error(w, "no such code", http.StatusBadRequest)
			return
		}
		claims := map[string]any{
			"iss": p.URL, "aud": "sitrep", "sub": "00u-" + p.person, "iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(),
			"email": p.person + "@example.org", "email_verified": true, "preferred_username": p.person, "groups": p.groups,
		}
		if nonce := asked.Get("nonce"); nonce != "" {
			claims["nonce"] = nonce
		}
		answer(w, map[string]any{"access_token": "a", "token_type": "Bearer", "expires_in": 3600, "id_token": p.sign(claims)})
	})
	p.Server = httptest.NewServer(mux)
	t.Cleanup(p.Close)
	return p
}

// sign returns claims as a token.
func (p *provider) sign(claims map[string]any) string {
	payload, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	text := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"RS256","kid":"1","typ":"JWT"}`)) + "." + base64.RawURLEncoding.EncodeToString(payload)
	sum := sha256.Sum256([]byte(text))
	sig, err := rsa.SignPKCS1v15(rand.Reader, p.key, crypto.SHA256, sum[:])
	if err != nil {
		panic(err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(sig)
}

func (p *provider) becomes(person string, groups ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.person, p.groups = person, groups
}

// certificate returns one for a name, signed by itself, and its key.
func certificate(t *testing.T, name string) (cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})
}

// needed returns the path of a program that a machine may lack.
func needed(t *testing.T, path string) string {
	t.Helper()
	found, err := exec.LookPath(path)
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	found, err = filepath.Abs(found)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// runs starts a program, and returns what it says once the test is over. It ends with the test.
func runs(t *testing.T, dir string, command ...string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	var said bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = dir, &said, &said, 5*time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s said:\n%s", filepath.Base(command[0]), &said)
		}
	})
}

// block returns the only block of a page in a language.
func block(t *testing.T, page, language string) string {
	t.Helper()
	all := regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(page, -1)
	if len(all) != 1 {
		t.Fatalf("%d blocks of %s", len(all), language)
	}
	return all[0][1]
}

// replaced returns a text with other values in it, all of which must be there.
func replaced(t *testing.T, text string, pairs ...string) string {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(text, pairs[i]) {
			t.Fatalf("there is no %s", pairs[i])
		}
		text = strings.ReplaceAll(text, pairs[i], pairs[i+1])
	}
	return text
}

// TestBehindNginxIsAsThePageSays runs the three files of the page, with other addresses and paths.
func TestBehindNginxIsAsThePageSays(t *testing.T) {
	t.Parallel()
	nginx, proxy := needed(t, "/usr/sbin/nginx"), needed(t, "../.cache/oauth2-proxy")
	program := built(t)
	page := read(t, "tutorials/behind-nginx.md")
	people := newProvider(t)
	dir := t.TempDir()
	front, back, asker := free(t), free(t), free(t)
	cert, key := certificate(t, "sitrep.example.org")
	sample := read(t, "../contrib/sitrep.yml")
	for name, text := range map[string]string{
		"sitrep.yml": sample + block(t, page, "yaml"), "slos/notifications.yml": read(t, "../contrib/slos/notifications.yml"),
		"secrets/alertmanager": "a-token-of-alertmanager", "secrets/deploy-bot": "a-token-of-a-program",
		"client-secret": "secret", "cookie-secret": base64.URLEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32)),
		"cert.pem": string(cert), "key.pem": string(key),
		"oauth2-proxy.cfg": replaced(t, block(t, page, "toml"), "https://login.example.org", people.URL, "/etc/oauth2-proxy/", dir+"/", "127.0.0.1:4180", asker),
		"nginx.conf": "daemon off; master_process off; pid nginx.pid; error_log stderr;\nevents {}\nhttp {\naccess_log off;\nclient_body_temp_path tmp; proxy_temp_path tmp; fastcgi_temp_path tmp; uwsgi_temp_path tmp; scgi_temp_path tmp;\n" +
			replaced(t, block(t, page, "nginx"), "listen 443 ssl", "listen "+front+" ssl", "/etc/ssl/sitrep.pem", dir+"/cert.pem", "/etc/ssl/sitrep.key", dir+"/key.pem",
				"127.0.0.1:9098", back, "127.0.0.1:4180", asker) + "}\n",
	} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	runs(t, dir, program, "serve", "--config.file=sitrep.yml", "--web.listen-address="+back, "--web.external-url=https://sitrep.example.org")
	runs(t, dir, proxy, "--config=oauth2-proxy.cfg")
	runs(t, dir, nginx, "-p", dir, "-c", "nginx.conf")

	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(cert)
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots},
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if address == "sitrep.example.org:443" {
				address = front
			}
			return new(net.Dialer).DialContext(ctx, network, address)
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	// A browser has cookies and follows redirects; a program does neither.
	browser := func() *http.Client {
		jar, err := cookiejar.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		return &http.Client{Transport: transport, Jar: jar, Timeout: time.Minute}
	}
	script := &http.Client{Transport: transport, Timeout: time.Minute, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	ask := func(c *http.Client, method, path, body string, headers ...string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, "https://sitrep.example.org"+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(headers); i += 2 {
			req.Header.Set(headers[i], headers[i+1])
		}
		resp, err := c.Do(req)
		if err != nil {
			return 0, err.Error()
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, resp.Header.Get("Location") + string(text)
	}
	const alertmanager, bot = "Bearer a-token-of-alertmanager", "Bearer a-token-of-a-program"
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		code, text := ask(script, "GET", "/-/ready", "", "Authorization", bot)
		if code == http.StatusOK {
			if code, text = ask(script, "GET", "/", ""); code == http.StatusFound { // oauth2-proxy answers, too
				break
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("not ready: %d %s", code, text)
		}
	}

	// Programs.
	if code, text := ask(script, "POST", "/alertmanager", read(t, "../contrib/alert.json"), "Authorization", alertmanager, "Content-Type", "application/json"); code != 200 {
		t.Fatalf("an alert: %d %s", code, text)
	}
	for name, c := range map[string]struct {
		headers []string
		code    int
		text    string
	}{
		"nobody":                        {nil, 302, people.URL + "/auth?"},
		"nobody who says who he is":     {[]string{"X-Forwarded-User", "ada", "X-Forwarded-Groups", "sre-leads"}, 302, people.URL + "/auth?"},
		"nobody by other spellings":     {[]string{"X_Forwarded_User", "ada", "X-Auth-Request-Preferred-Username", "ada"}, 302, people.URL + "/auth?"},
		"a wrong token":                 {[]string{"Authorization", "Bearer wrong"}, 401, ""},
		"a wrong token with a name":     {[]string{"Authorization", "Bearer wrong", "X-Forwarded-User", "ada"}, 401, ""},
		"a program":                     {[]string{"Authorization", bot}, 200, "INC-1"},
		"a program that claims a group": {[]string{"Authorization", bot, "X-Forwarded-User", "ada", "X-Forwarded-Groups", "sre-leads"}, 200, "INC-1"},
	} {
		if code, text := ask(script, "GET", "/api/v1/incidents", "", c.headers...); code != c.code || !strings.Contains(text, c.text) {
			t.Errorf("%s: %d %s", name, code, text)
		}
	}

	// People: by the provider, and back to the page that they asked for.
	people.becomes("ada", "sre", "everybody")
	ada := browser()
	// The API, as its answer to a query tells whether all of that came back.
	if code, text := ask(ada, "GET", "/api/v1/incidents?state=open&priority=P5", ""); code != 400 && (code != 200 || strings.Contains(text, "INC-1")) {
		t.Fatalf("ada is answered %d %s", code, text)
	}
	if code, text := ask(ada, "GET", "/incidents/INC-1", ""); code != 200 || !strings.Contains(text, "You are ada (responder)") || !strings.Contains(text, "INC-1") {
		t.Fatalf("ada is answered %d %s", code, text)
	}
	if code, text := ask(ada, "GET", "/", "", "X-Forwarded-User", "eve", "X-Forwarded-Groups", "sre-leads"); code != 200 || !strings.Contains(text, "You are ada (responder)") {
		t.Errorf("ada with headers of her own: %d %s", code, text)
	}
	note := func(c *http.Client, origin string) int {
		code, _ := ask(c, "POST", "/api/v1/incidents/INC-1/notes", `{"text":"db-7 is full"}`, "Content-Type", "application/json", "Origin", origin)
		return code
	}
	if code := note(ada, "https://evil.example"); code != http.StatusForbidden {
		t.Errorf("a page of another site posts: %d", code)
	}
	if code := note(ada, "https://sitrep.example.org"); code != http.StatusOK && code != http.StatusCreated {
		t.Errorf("a page of sitrep posts: %d", code)
	}
	if code, text := ask(script, "GET", "/api/v1/incidents/INC-1/events", "", "Authorization", bot); code != 200 || strings.Count(text, `"actor":"ada"`) != 1 {
		t.Errorf("the events are %d %s", code, text)
	}
	people.becomes("bob", "everybody")
	bob := browser()
	if code, text := ask(bob, "GET", "/", ""); code != 200 || !strings.Contains(text, "You are bob (viewer)") {
		t.Errorf("bob is answered %d %s", code, text)
	}
	if code := note(bob, "https://sitrep.example.org"); code != http.StatusForbidden {
		t.Errorf("a viewer writes a note: %d", code)
	}
	// What the page tells to try is what was tried.
	for _, line := range []string{"302 to the log-in", "the same: nginx drops it", "401 of sitrep"} {
		if !strings.Contains(page, line) {
			t.Errorf("the page does not say %q", line)
		}
	}
}
