package config

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"

	promconfig "github.com/prometheus/common/config"
)

// An HTTPClient says how a server is spoken to: Prometheus's http_config, with the
// same keys. It shows the server at most one of BasicAuth, Authorization and OAuth2.
type HTTPClient struct {
	HTTPHeaders     map[string]HTTPHeader `yaml:"http_headers" doc:"Headers of each request, by their name."`
	BasicAuth       *BasicAuth            `yaml:"basic_auth" doc:"The name and password to show. At most one of basic_auth, authorization and oauth2."`
	Authorization   *Authorization        `yaml:"authorization" doc:"The Authorization header to show. At most one of basic_auth, authorization and oauth2."`
	OAuth2          *OAuth2               `yaml:"oauth2" doc:"Where to get a token to show. At most one of basic_auth, authorization and oauth2."`
	TLSConfig       *TLSConfig            `yaml:"tls_config" doc:"How the server is verified, as everywhere in Prometheus."`
	HTTPProxy       `yaml:",inline"`
	FollowRedirects bool `yaml:"follow_redirects" show:"always" doc:"Whether redirects are followed; true where it is not said, but for webhooks and the witness, whose redirects are never followed."`
	EnableHTTP2     bool `yaml:"enable_http2" show:"always" doc:"Whether HTTP/2 may be spoken; true where it is not said."`
}

// HTTPHeader is what one header of a request says, each value on a line of its own.
type HTTPHeader struct {
	Values  []string `yaml:"values" doc:"Its values, which are shown; what is secret goes into secrets or files."`
	Secrets []Secret `yaml:"secrets" doc:"Values that are not shown."`
	Files   []string `yaml:"files" show:"name" doc:"Files that hold one value each."`

	read []Secret // what stands in the files
}

// BasicAuth is a name and a password that are shown to a server.
type BasicAuth struct {
	Username     string `yaml:"username" show:"name" doc:"The name. Exactly one of username and username_file." eg:"sitrep"`
	UsernameFile string `yaml:"username_file" show:"name" doc:"A file that holds the name."`
	Password     Secret `yaml:"password" doc:"The password. Exactly one of password and password_file."`
	PasswordFile string `yaml:"password_file" show:"name" doc:"A file that holds the password."`

	name string // whichever of the two it is
}

// Authorization is an Authorization header that is shown to a server.
type Authorization struct {
	Type            string `yaml:"type" doc:"The scheme." eg:"Bearer"`
	Credentials     Secret `yaml:"credentials" doc:"The credentials. Exactly one of credentials and credentials_file."`
	CredentialsFile string `yaml:"credentials_file" show:"name" doc:"A file that holds the credentials."`
}

// HTTPProxy says which proxy leads to a server.
type HTTPProxy struct {
	ProxyURL             Secret              `yaml:"proxy_url" show:"origin" doc:"The proxy; http, https or socks5. Its name and password, if any, are not shown." eg:"http://proxy.example:3128"`
	NoProxy              string              `yaml:"no_proxy" doc:"Hosts, domains and networks that are reached without the proxy, with commas between them."`
	ProxyFromEnvironment bool                `yaml:"proxy_from_environment" doc:"Go by HTTP_PROXY, HTTPS_PROXY and NO_PROXY of the environment instead."`
	ProxyConnectHeader   map[string][]Secret `yaml:"proxy_connect_header" doc:"Headers that the proxy is shown when it is asked for a connection, by their name."`
}

// New returns a client that keeps to the settings; of nil, one that keeps to the
// defaults. It has no timeout. Nothing in it is left to be read from a file.
func (h *HTTPClient) New() (*http.Client, error) { return h.client() }

// NewPoster returns a client that keeps to the settings and is for posts of which none
// may go out twice, or elsewhere: it follows no redirect, and opens a connection for
// each request, as a kept one that died meanwhile makes an outcome unknown for nothing.
// Of an answer and all that belongs to it, at most 256 KiB are read. It has no timeout.
func (h *HTTPClient) NewPoster() (*http.Client, error) {
	client, err := h.client(promconfig.WithKeepAlivesDisabled(), promconfig.WithDialContextFunc(dialShort))
	if err != nil {
		return nil, err
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return client, nil
}

// maxAnswer is how much is read from a connection for one request, the certificates of
// the other side and what its proxy says included.
const maxAnswer = 256 << 10

// dialShort opens a connection from which at most maxAnswer bytes are read.
func dialShort(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &shortConn{c, maxAnswer}, nil
}

// A shortConn is a connection from which only so many bytes are read.
type shortConn struct {
	net.Conn
	left int
}

var errLongAnswer = fmt.Errorf("the answer is longer than %d KiB", maxAnswer>>10)

func (c *shortConn) Read(b []byte) (int, error) {
	if c.left <= 0 {
		return 0, errLongAnswer
	}
	n, err := c.Conn.Read(b[:min(len(b), c.left)])
	c.left -= n
	return n, err
}

func (h *HTTPClient) client(options ...promconfig.HTTPClientOption) (*http.Client, error) {
	client, err := promconfig.NewClientFromConfig(h.prometheus(), "sitrep", options...)
	if err != nil {
		return nil, err
	}
	if h != nil && h.OAuth2 != nil {
		if client.Transport, err = h.OAuth2.transport(client.Transport); err != nil {
			return nil, fmt.Errorf("oauth2: %w", err)
		}
	}
	return client, nil
}

// prometheus returns the same settings in Prometheus's terms, but for OAuth2.
func (h *HTTPClient) prometheus() promconfig.HTTPClientConfig {
	c := promconfig.DefaultHTTPClientConfig
	if h == nil {
		return c
	}
	c.FollowRedirects, c.EnableHTTP2 = h.FollowRedirects, h.EnableHTTP2
	c.TLSConfig, c.ProxyConfig = h.TLSConfig.prometheus(), h.HTTPProxy.prometheus()
	if b := h.BasicAuth; b != nil {
		c.BasicAuth = &promconfig.BasicAuth{Username: b.name, Password: promconfig.Secret(b.Password)}
	}
	if a := h.Authorization; a != nil {
		c.Authorization = &promconfig.Authorization{Type: a.Type, Credentials: promconfig.Secret(a.Credentials)}
	}
	if len(h.HTTPHeaders) > 0 {
		c.HTTPHeaders = &promconfig.Headers{Headers: map[string]promconfig.Header{}}
		for name, header := range h.HTTPHeaders {
			to := promconfig.Header{Values: header.Values}
			for _, s := range slices.Concat(header.Secrets, header.read) {
				to.Secrets = append(to.Secrets, promconfig.Secret(s))
			}
			c.HTTPHeaders.Headers[name] = to
		}
	}
	return c
}

func (p HTTPProxy) prometheus() promconfig.ProxyConfig {
	c := promconfig.ProxyConfig{NoProxy: p.NoProxy, ProxyFromEnvironment: p.ProxyFromEnvironment}
	if u, err := url.Parse(string(p.ProxyURL)); err == nil && p.ProxyURL != "" {
		c.ProxyURL.URL = u
	}
	if len(p.ProxyConnectHeader) > 0 {
		c.ProxyConnectHeader = promconfig.ProxyHeader{}
		for name, values := range p.ProxyConnectHeader {
			for _, v := range values {
				name := http.CanonicalHeaderKey(name)
				c.ProxyConnectHeader[name] = append(c.ProxyConnectHeader[name], promconfig.Secret(v))
			}
		}
	}
	return c
}

// same reports whether both speak to a server in the same way, as posters.
func (h *HTTPClient) same(other *HTTPClient) bool {
	a, b := h.prometheus(), other.prometheus()
	a.FollowRedirects, b.FollowRedirects = false, false
	none := &HTTPClient{}
	return reflect.DeepEqual(a, b) && cmp.Or(h, none).OAuth2.same(cmp.Or(other, none).OAuth2)
}

// poster reads and checks the http_config of something that is posted to.
func (s *source) poster(path string, h *HTTPClient) {
	if h == nil {
		return
	}
	s.httpClient(path, h)
	if at := join(path, "follow_redirects"); h.FollowRedirects && s.has(at) {
		s.errorf(at, "redirects are not followed here, as what is posted is for this place and no other; use the URL that it leads to, and remove this")
	}
	h.FollowRedirects = false
	for name := range h.HTTPHeaders {
		if strings.HasPrefix(strings.ToLower(name), "webhook-") {
			s.errorf(join(join(path, "http_headers"), name), "this header is part of what is signed; remove it")
		}
	}
}

// httpClient reads the secrets and certificates that an http_config names, and
// checks it.
func (s *source) httpClient(path string, h *HTTPClient) {
	if h == nil {
		return
	}
	var shown []string
	for _, key := range []string{"basic_auth", "authorization", "oauth2"} {
		if s.has(join(path, key)) {
			shown = append(shown, key)
		}
	}
	if len(shown) > 1 {
		s.errorf(path, "it has %s; keep one", strings.Join(shown, " and "))
	}
	if b := h.BasicAuth; b != nil {
		path := join(path, "basic_auth")
		b.name = b.Username
		if s.oneWay(path, "username") == join(path, "username_file") {
			b.name = s.secret(join(path, "username_file"), b.UsernameFile, oneLine)
		}
		b.Password = s.either(path, "password", b.Password, b.PasswordFile)
	}
	if a := h.Authorization; a != nil {
		if strings.EqualFold(a.Type, "basic") {
			s.errorf(join(path, "authorization.type"), "the scheme %q is what basic_auth is for; use that", a.Type)
		}
		a.Credentials = s.either(join(path, "authorization"), "credentials", a.Credentials, a.CredentialsFile)
	}
	s.oauth2(join(path, "oauth2"), h.OAuth2)
	s.tls(join(path, "tls_config"), h.TLSConfig)
	s.httpProxy(path, h.HTTPProxy)
	s.httpHeaders(join(path, "http_headers"), h.HTTPHeaders)
}

// httpHeaders reads the values of headers that stand in files, and checks them all.
func (s *source) httpHeaders(path string, headers map[string]HTTPHeader) {
	s.headerNames(path, slices.Sorted(maps.Keys(headers)))
	for name, h := range headers {
		path := join(path, name)
		switch _, reserved := promconfig.ReservedHeaders[http.CanonicalHeaderKey(name)]; {
		case strings.EqualFold(name, "Authorization"):
			s.errorf(path, "this header is what authorization, basic_auth and oauth2 are for; use one of them")
		case reserved:
			s.errorf(path, "this header cannot be set here, as it belongs to the request itself; remove it")
		}
		if len(h.Values)+len(h.Secrets)+len(h.Files) == 0 && !s.brokenWithin(path) {
			s.errorf(path, "it has no value; add values, secrets or files")
		}
		for i := range h.Secrets {
			s.exposed(elem(join(path, "secrets"), i))
		}
		for i, file := range h.Files {
			h.read = append(h.read, Secret(s.secret(elem(join(path, "files"), i), file, oneLine)))
		}
		headers[name] = h
	}
}

// headerNames reports names that no header can have, and those that are one name
// written in two ways.
func (s *source) headerNames(path string, names []string) {
	seen := once{}
	for _, name := range names {
		at := join(path, name)
		if _, err := parseHeader(name); err != nil {
			s.errorf(at, "%v", err)
		}
		if before, ok := seen.repeated(name, at); ok {
			s.errorf(at, "it is the same header as %s; put the values of both into one", before)
		}
	}
}

func (s *source) httpProxy(path string, p HTTPProxy) {
	urlAt, exceptAt, headerAt := join(path, "proxy_url"), join(path, "no_proxy"), join(path, "proxy_connect_header")
	if p.ProxyURL != "" {
		if err := checkProxyURL(string(p.ProxyURL)); err != nil {
			s.errorf(urlAt, "%v", err)
		} else if u, err := url.Parse(string(p.ProxyURL)); err == nil && u.User != nil {
			s.exposed(urlAt)
		}
	}
	none := !s.has(urlAt) && !p.ProxyFromEnvironment
	switch {
	case s.has(urlAt) && p.ProxyFromEnvironment:
		s.errorf(path, "it has both proxy_url and proxy_from_environment; keep one")
	case s.has(exceptAt) && p.ProxyFromEnvironment:
		s.errorf(exceptAt, "with proxy_from_environment the environment says what goes without the proxy; remove it, or use proxy_url")
	case s.has(exceptAt) && none:
		s.errorf(exceptAt, "there is no proxy; add proxy_url, or remove this")
	}
	if s.has(headerAt) && none {
		s.errorf(headerAt, "there is no proxy; add proxy_url or proxy_from_environment, or remove this")
	}
	s.headerNames(headerAt, slices.Sorted(maps.Keys(p.ProxyConnectHeader)))
	for name, values := range p.ProxyConnectHeader {
		for i := range values {
			s.exposed(elem(join(headerAt, name), i))
		}
	}
}

// checkProxyURL accepts the URL of a proxy, which may hold a name and a password, so
// that it must not be repeated in the error.
func checkProxyURL(text string) error {
	if u := parseURL(text, "http", "https", "socks5", "socks5h"); u == nil || u.Port() != "" && !validPort(u.Port()) {
		return errors.New("it is not the URL of a proxy; write it as http://proxy.example:3128")
	}
	return nil
}
