package config_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// client loads a config with that http_config, takes its files away, as a reload
// takes over all of it or nothing, and returns the client.
func client(t *testing.T, httpConfig string, files map[string]string) *http.Client {
	t.Helper()
	all := map[string]string{"sitrep.yml": "priorities: [{name: P1}]\nalertmanagers: [{url: 'http://a:1', http_config: " + httpConfig + "}]\n"}
	for name, text := range files {
		all[name] = text
	}
	path := write(t, all)
	c := load(t, path)
	if err := os.RemoveAll(filepath.Dir(path)); err != nil {
		t.Fatal(err)
	}
	client, err := c.Alertmanagers[0].HTTPConfig.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.CloseIdleConnections)
	return client
}

// get returns what is at a URL, and its status.
func get(t *testing.T, client *http.Client, url string) (string, int) {
	t.Helper()
	resp, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body), resp.StatusCode
}

// server serves until the test ends.
func server(t *testing.T, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return s
}

func TestHTTPClientShows(t *testing.T) {
	var got http.Header
	s := server(t, func(_ http.ResponseWriter, r *http.Request) { got = r.Header })
	tests := []struct {
		name, settings string
		want           http.Header
	}{
		{"nothing", "{}", http.Header{}},
		{"a name and a password", "{basic_auth: {username: ada, password: s3cret}}", http.Header{"Authorization": {"Basic YWRhOnMzY3JldA=="}}},
		{
			"a name and a password of files", "{basic_auth: {username_file: name, password_file: password}}",
			http.Header{"Authorization": {"Basic YWRhOnMzY3JldA=="}},
		},
		{"a token", "{authorization: {credentials: t0ken}}", http.Header{"Authorization": {"Bearer t0ken"}}},
		{"a token of a file, and its scheme", "{authorization: {type: ApiKey, credentials_file: password}}", http.Header{"Authorization": {"ApiKey s3cret"}}},
		{
			"headers", "{http_headers: {X-Scope-OrgID: {values: [tenant]}, x-pass: {values: [one], secrets: [two], files: [password]}}}",
			http.Header{"X-Scope-Orgid": {"tenant"}, "X-Pass": {"one", "two", "s3cret"}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			get(t, client(t, tt.settings, map[string]string{"name": "ada\n", "password": "s3cret\n"}), s.URL)
			got.Del("User-Agent")
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestHTTPClientFollowsRedirects(t *testing.T) {
	s := server(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			http.Redirect(w, r, "/there", http.StatusFound)
		}
	})
	for settings, want := range map[string]int{"{}": 200, "{follow_redirects: false}": 302} {
		if _, status := get(t, client(t, settings, nil), s.URL); status != want {
			t.Errorf("%s: got status %d, want %d", settings, status, want)
		}
	}
}

func TestHTTPClientSpeaksHTTP2(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) }))
	s.EnableHTTP2 = true
	s.StartTLS()
	defer s.Close()
	for settings, want := range map[string]string{"": "HTTP/2.0", ", enable_http2: false": "HTTP/1.1"} {
		if got, _ := get(t, client(t, "{tls_config: {insecure_skip_verify: true}"+settings+"}", nil), s.URL); got != want {
			t.Errorf("%q: got %s, want %s", settings, got, want)
		}
	}
}

// TestHTTPClientGoesThroughTheProxy: hosts that nobody knows can only be reached by it.
func TestHTTPClientGoesThroughTheProxy(t *testing.T) {
	behind := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "behind") }))
	defer behind.Close()
	direct := server(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "direct") })
	var header http.Header
	proxy := server(t, func(w http.ResponseWriter, r *http.Request) {
		header = r.Header
		if r.Method == http.MethodConnect {
			tunnel(t, w, behind.Listener.Addr().String())
			return
		}
		_, _ = io.WriteString(w, "proxied "+r.URL.Host)
	})
	t.Setenv("HTTP_PROXY", proxy.URL)
	withPassword := strings.Replace(proxy.URL, "http://", "http://ada:s3cret@", 1)
	const shown = "Basic YWRhOnMzY3JldA=="
	tests := []struct {
		name, settings, url, want string
		header, value             string // that the proxy is shown
	}{
		{"proxy_url", "{proxy_url: '" + withPassword + "'}", "http://target.invalid", "proxied target.invalid", "Proxy-Authorization", shown},
		{"proxy_url leads to what is near, too", "{proxy_url: '" + proxy.URL + "'}", direct.URL, "proxied " + direct.Listener.Addr().String(), "", ""},
		{"no_proxy", "{proxy_url: '" + proxy.URL + "', no_proxy: 'other.invalid,127.0.0.1'}", direct.URL, "direct", "", ""},
		{"no_proxy of others", "{proxy_url: '" + proxy.URL + "', no_proxy: other.invalid}", "http://target.invalid", "proxied target.invalid", "", ""},
		{"the environment", "{proxy_from_environment: true}", "http://target.invalid", "proxied target.invalid", "", ""},
		{"not the environment", "{}", direct.URL, "direct", "", ""},
		{
			"TLS through it",
			"{proxy_url: '" + withPassword + "', proxy_connect_header: {x-pass: [one]}, tls_config: {insecure_skip_verify: true}}",
			"https://target.invalid", "behind", "X-Pass", "one",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			header = http.Header{}
			if got, _ := get(t, client(t, tt.settings, nil), tt.url); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if got := header.Get(tt.header); got != tt.value {
				t.Errorf("the proxy was shown %s: %q, want %q", tt.header, got, tt.value)
			}
		})
	}
}

// tunnel connects a client that asked for it with the address.
func tunnel(t *testing.T, w http.ResponseWriter, address string) {
	far, err := net.Dial("tcp", address)
	if err != nil {
		t.Error(err)
		return
	}
	defer func() { _ = far.Close() }()
	near, buffered, err := w.(http.Hijacker).Hijack()
	if err != nil {
		t.Error(err)
		return
	}
	defer func() { _ = near.Close() }()
	_, _ = io.WriteString(near, "HTTP/1.1 200 OK\r\n\r\n")
	go func(r *bufio.Reader) {
		_, _ = io.Copy(far, r)
		_ = far.Close()
	}(buffered.Reader)
	_, _ = io.Copy(near, far)
}

// TestHTTPClientGetsATokenByItsSecret: one token serves several requests, and no
// other host is shown it.
func TestHTTPClientGetsATokenByItsSecret(t *testing.T) {
	var asked atomic.Int32
	tokens := server(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		name, password, _ := r.BasicAuth()
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		want := url.Values{"grant_type": {"client_credentials"}, "scope": {"alerts read"}, "resource": {"am"}}
		if name != "sitrep" || password != "s3cret" || !reflect.DeepEqual(r.PostForm, want) {
			t.Errorf("the token server was told %q, %q and %v", name, password, r.PostForm)
		}
		grant(w)
	})
	var other http.Header
	away := server(t, func(_ http.ResponseWriter, r *http.Request) { other = r.Header })
	s := server(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/away" {
			http.Redirect(w, r, away.URL, http.StatusTemporaryRedirect)
			return
		}
		_, _ = io.WriteString(w, r.Header.Get("Authorization")+" "+r.Header.Get("X-Scope-OrgID"))
	})
	c := client(t, "{http_headers: {X-Scope-OrgID: {values: [tenant]}}, oauth2: {client_id: sitrep, client_secret_file: secret, token_url: '"+tokens.URL+
		"/token', scopes: [alerts, read], endpoint_params: {resource: am}}}", map[string]string{"secret": "s3cret\n"})
	for range 2 {
		if got, _ := get(t, c, s.URL); got != "Bearer t0ken tenant" {
			t.Errorf("the server was shown %q", got)
		}
	}
	get(t, c, s.URL+"/away")
	if got := other.Get("Authorization"); got != "" {
		t.Errorf("another host was shown %q", got)
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("%d tokens were got", n)
	}
}

// grant answers with a token.
func grant(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"access_token": "t0ken", "token_type": "Bearer", "expires_in": 3600})
}

func TestHTTPClientGetsATokenByItsSignature(t *testing.T) {
	text := rsaKey()
	block, _ := pem.Decode([]byte(text))
	key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	var algorithm string
	var claims jwt.MapClaims
	tokens := server(t, func(w http.ResponseWriter, r *http.Request) {
		claims = jwt.MapClaims{}
		token, err := jwt.ParseWithClaims(r.PostFormValue("assertion"), claims, func(*jwt.Token) (any, error) { return &key.PublicKey, nil })
		if err != nil {
			t.Error(err)
			return
		}
		algorithm, _ = token.Header["alg"].(string)
		grant(w)
	})
	s := server(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Header.Get("Authorization")) })
	always := "{oauth2: {client_id: sitrep, grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', client_certificate_key_file: key, token_url: '" + tokens.URL + "'"
	tests := []struct {
		more, algorithm, iss, aud string
		role                      any
	}{
		{"", "RS256", "sitrep", tokens.URL, nil},
		{", signature_algorithm: RS512, iss: robot, audience: am, claims: {role: reader}", "RS512", "robot", "am", "reader"},
	}
	for _, tt := range tests {
		for form, text := range map[string]string{
			"PKCS 1": text, "PKCS 8": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})),
		} {
			if got, _ := get(t, client(t, always+tt.more+"}}", map[string]string{"key": text}), s.URL); got != "Bearer t0ken" {
				t.Errorf("%s: the server was shown %q", form, got)
			}
			if algorithm != tt.algorithm || claims["iss"] != tt.iss || claims["aud"] != tt.aud || claims["sub"] != "sitrep" || claims["role"] != tt.role {
				t.Errorf("%s: the token server was told %s and %v", form, algorithm, claims)
			}
		}
	}
}

// TestHTTPClientShowsItsCertificateToTheTokenServer: then it needs no secret, and the
// token server can be behind a proxy of its own.
func TestHTTPClientShowsItsCertificateToTheTokenServer(t *testing.T) {
	cert, key := certificate(t)
	pair, err := tls.X509KeyPair([]byte(cert), []byte(key))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(cert))
	tokens := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { grant(w) }))
	tokens.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool}
	tokens.StartTLS()
	defer tokens.Close()
	proxy := server(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect || r.Host != "login.invalid:443" {
			t.Errorf("the proxy was asked for %s %s", r.Method, r.Host)
		}
		tunnel(t, w, tokens.Listener.Addr().String())
	})
	s := server(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Header.Get("Authorization")) })
	c := client(t, "{oauth2: {client_id: sitrep, token_url: 'https://login.invalid', proxy_url: '"+proxy.URL+
		"', tls_config: {ca_file: cert, cert_file: cert, key_file: key, server_name: mail.example.org}}}", map[string]string{"cert": cert, "key": key})
	if got, _ := get(t, c, s.URL); got != "Bearer t0ken" {
		t.Errorf("the server was shown %q", got)
	}
}

// TestTokenServerDoesNotHoldUpARequest, and what it says breaks no line and tells no
// secret.
func TestTokenServerDoesNotHoldUpARequest(t *testing.T) {
	tests := []struct {
		name    string
		handler http.HandlerFunc
		want    string
	}{
		{"it says nothing", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "context deadline exceeded"},
		{"it refuses", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, `{"error":"invalid_client","error_description":"s3cret"}`)
		}, `get a token: the token server answered 401 Unauthorized: "invalid_client"`},
		{"it breaks", func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "s3cret\nand more", http.StatusBadGateway)
		}, "get a token: the token server answered 502 Bad Gateway"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			stop := make(chan struct{})
			tokens := server(t, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body) // only then the end of the connection is seen
				ctx, cancel := context.WithCancel(r.Context())
				defer cancel()
				go func() { <-stop; cancel() }()
				tt.handler(w, r.WithContext(ctx))
			})
			defer close(stop)
			reached := false
			s := server(t, func(http.ResponseWriter, *http.Request) { reached = true })
			c := client(t, "{oauth2: {client_id: sitrep, client_secret: s3cret, token_url: '"+tokens.URL+"/s3cret'}}", nil)
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL, strings.NewReader("body"))
			if err != nil {
				t.Fatal(err)
			}
			resp, err := c.Do(req)
			if err == nil {
				_ = resp.Body.Close()
				t.Fatal("there is no error")
			}
			var outer *url.Error
			if !errors.As(err, &outer) || !strings.Contains(outer.Err.Error(), tt.want) || strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "\n") {
				t.Errorf("the error reads %q", err)
			}
			if reached {
				t.Error("the server was reached without a token")
			}
		})
	}
}

// TestTwoWaysToShowWhoAsks keeps them apart wherever an http_config stands.
func TestTwoWaysToShowWhoAsks(t *testing.T) {
	ways := map[string]string{
		"basic_auth": "{username: a, password: b}", "authorization": "{credentials: a}", "oauth2": "{client_id: a, client_secret: b, token_url: 'http://t'}",
	}
	for first, a := range ways {
		for second, b := range ways {
			if first == second {
				continue
			}
			path := write(t, map[string]string{"sitrep.yml": fmt.Sprintf("priorities: [{name: P1}]\nalertmanagers: [{url: 'http://a:1', http_config: {%s: %s, %s: %s}}]\n", first, a, second, b)})
			if got := report(filepath.Dir(path)); strings.Count(got, "\n") != 1 || !strings.HasSuffix(got, "; keep one\n") {
				t.Errorf("%s and %s: got %s", first, second, got)
			}
		}
	}
}
