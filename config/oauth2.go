package config

import (
	"cmp"
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
	promconfig "github.com/prometheus/common/config"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
	"golang.org/x/sync/singleflight"
)

// tokenTimeout is how long a token server may take to answer.
const tokenTimeout = 30 * time.Second

// OAuth2 says where a token is got that is then shown to a server.
type OAuth2 struct {
	ClientID                 string             `yaml:"client_id,required" show:"name" doc:"The name that the token server knows this client by." eg:"sitrep"`
	ClientSecret             Secret             `yaml:"client_secret" doc:"The secret to it. At most one of client_secret and client_secret_file; neither where tls_config has a certificate to show."`
	ClientSecretFile         string             `yaml:"client_secret_file" show:"name" doc:"A file that holds the secret."`
	TokenURL                 URL                `yaml:"token_url,required" doc:"Where tokens are got." eg:"https://login.example.org/token"`
	Scopes                   []string           `yaml:"scopes" doc:"What the token is to be good for."`
	EndpointParams           map[string]Secret  `yaml:"endpoint_params" doc:"More parameters for the token server, by their name. They are not shown."`
	GrantType                GrantType          `yaml:"grant_type" doc:"client_credentials, which holds where it is not said, or urn:ietf:params:oauth:grant-type:jwt-bearer."`
	ClientCertificateKey     PEM                `yaml:"client_certificate_key" doc:"Of jwt-bearer: the RSA key that signs, as PEM text. Exactly one of client_certificate_key and client_certificate_key_file."`
	ClientCertificateKeyFile string             `yaml:"client_certificate_key_file" show:"name" doc:"Of jwt-bearer: a file that holds the RSA key that signs."`
	ClientCertificateKeyID   string             `yaml:"client_certificate_key_id" doc:"Of jwt-bearer: the id of that key."`
	SignatureAlgorithm       SignatureAlgorithm `yaml:"signature_algorithm" doc:"Of jwt-bearer: RS256, which holds where it is not said, RS384 or RS512."`
	Iss                      string             `yaml:"iss" show:"name" doc:"Of jwt-bearer: who issues the claim; else client_id."`
	Audience                 string             `yaml:"audience" doc:"Of jwt-bearer: whom the claim is meant for; else token_url."`
	Claims                   map[string]Secret  `yaml:"claims" doc:"Of jwt-bearer: more claims, each a text, by their name. They are not shown."`
	TLSConfig                *TLSConfig         `yaml:"tls_config" doc:"How the token server is verified, as everywhere in Prometheus."`
	HTTPProxy                `yaml:",inline"`

	secretFile, keyFile secretFile // what the secret and the key are read again from
}

// A GrantType is a way to get a token.
type GrantType string

// The grant types.
const (
	ClientCredentials GrantType = "client_credentials"
	JWTBearer         GrantType = "urn:ietf:params:oauth:grant-type:jwt-bearer"
)

// A SignatureAlgorithm is a way to sign with an RSA key, such as RS256.
type SignatureAlgorithm string

// same reports whether both get the same tokens.
func (o *OAuth2) same(other *OAuth2) bool {
	if o == nil || other == nil {
		return o == other
	}
	plain := func(o OAuth2) OAuth2 {
		o.TLSConfig, o.secretFile.disk, o.keyFile.disk = nil, nil, nil
		return o
	}
	return reflect.DeepEqual(plain(*o), plain(*other)) && reflect.DeepEqual(o.TLSConfig.prometheus(), other.TLSConfig.prometheus())
}

// oauth2 reads the secrets of an oauth2 section, and checks it.
func (s *source) oauth2(path string, o *OAuth2) {
	if o == nil {
		return
	}
	s.tls(join(path, "tls_config"), o.TLSConfig)
	s.httpProxy(path, o.HTTPProxy)
	if o.GrantType == JWTBearer {
		s.jwtBearer(path, o)
		return
	}
	for _, key := range []string{
		"client_certificate_key", "client_certificate_key_file", "client_certificate_key_id", "signature_algorithm", "iss", "audience", "claims",
	} {
		if at := join(path, key); s.has(at) && !s.broken(join(path, "grant_type")) {
			s.errorf(at, "it is for another grant type; add grant_type: %s, or remove it", JWTBearer)
		}
	}
	secret := s.has(join(path, "client_secret")) || s.has(join(path, "client_secret_file"))
	if t := o.TLSConfig; secret || t == nil || t.Cert.text() == "" && t.CertFile == "" {
		o.ClientSecret = s.either(path, "client_secret", o.ClientSecret, o.ClientSecretFile)
		if o.ClientSecretFile != "" {
			o.secretFile = s.file(o.ClientSecretFile, oneLine)
		}
	}
}

// jwtBearer reads the key that signs, and checks what goes with it.
func (s *source) jwtBearer(path string, o *OAuth2) {
	for _, key := range []string{"client_secret", "client_secret_file"} {
		if at := join(path, key); s.has(at) {
			s.errorf(at, "it is for the grant type %s, and this one has client_certificate_key; remove it", ClientCredentials)
		}
	}
	at := s.oneWay(path, "client_certificate_key")
	switch at {
	case "":
		return
	case join(path, "client_certificate_key_file"):
		o.ClientCertificateKey = PEM{Secret(s.secret(at, o.ClientCertificateKeyFile, wholePEM))}
		o.keyFile = s.file(o.ClientCertificateKeyFile, wholePEM)
	default:
		s.exposed(at)
	}
	if key := o.ClientCertificateKey.text(); key != "" && !isRSAKey(key) {
		s.errorf(at, "it is no private RSA key as PEM text; make one with: openssl genrsa 3072")
	}
}

// isRSAKey reports whether a text is a private RSA key that can be used without a
// passphrase.
func isRSAKey(text string) bool {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return false
	}
	if _, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return true
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	_, ok := key.(*rsa.PrivateKey)
	return err == nil && ok
}

// transport returns a transport that shows a token with each request.
func (o *OAuth2) transport(base http.RoundTripper) (*tokenTransport, error) {
	tokens, err := o.Tokens()
	if err != nil {
		return nil, err
	}
	return &tokenTransport{base: base, tokens: tokens}, nil
}

// Tokens get access tokens from a token server, each only when the one before expires, is
// refused, or was got by a secret that has changed since. They are safe for concurrent use.
type Tokens struct {
	o      *OAuth2
	client *http.Client
	flight singleflight.Group

	mu          sync.Mutex // guards what follows
	source      oauth2.TokenSource
	secret, key Secret // by which source was made
}

// Tokens returns what gets tokens. No question to the token server takes longer than 30 s.
func (o *OAuth2) Tokens() (*Tokens, error) {
	c := promconfig.DefaultHTTPClientConfig
	c.TLSConfig, c.ProxyConfig = o.TLSConfig.prometheus(), o.HTTPProxy.prometheus()
	client, err := promconfig.NewClientFromConfig(c, "sitrep")
	if err != nil {
		return nil, err
	}
	client.Timeout = tokenTimeout
	return &Tokens{o: o, client: client}, nil
}

// AccessToken returns the text of a token, but not the one that was refused, if that is
// not empty, unless the token server gives no other.
func (t *Tokens) AccessToken(ctx context.Context, refused string) (string, error) {
	token, err := t.get(ctx)
	if err == nil && refused != "" && token.AccessToken == refused {
		t.mu.Lock()
		t.source = nil
		t.mu.Unlock()
		token, err = t.get(ctx)
	}
	if err != nil {
		return "", err
	}
	return token.AccessToken, nil
}

// get returns a token, or an error as soon as the context ends. Who waits at the same
// time shares one question.
func (t *Tokens) get(ctx context.Context) (*oauth2.Token, error) {
	select {
	case r := <-t.flight.DoChan("", func() (any, error) { return t.current().Token() }):
		if r.Err != nil {
			return nil, tokenError(r.Err)
		}
		return r.Val.(*oauth2.Token), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// current returns the source of tokens, made anew if the secret or the key has changed.
func (t *Tokens) current() oauth2.TokenSource {
	secret, key := t.o.secretFile.current(t.o.ClientSecret), t.o.keyFile.current(t.o.ClientCertificateKey.Secret)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.source == nil || secret != t.secret || key != t.key {
		t.source, t.secret, t.key = t.o.source(t.client, secret, key), secret, key
	}
	return t.source
}

// source returns what asks the token server, by that secret or key.
func (o *OAuth2) source(client *http.Client, secret, key Secret) oauth2.TokenSource {
	ctx := context.WithValue(context.Background(), oauth2.HTTPClient, client)
	params := url.Values{}
	for name, value := range o.EndpointParams {
		params.Set(name, string(value))
	}
	if o.GrantType != JWTBearer {
		c := clientcredentials.Config{
			ClientID: o.ClientID, ClientSecret: string(secret), TokenURL: string(o.TokenURL), Scopes: o.Scopes, EndpointParams: params,
		}
		return c.TokenSource(ctx)
	}
	j := promconfig.JwtGrantTypeConfig{
		Iss: cmp.Or(o.Iss, o.ClientID), Subject: o.ClientID, PrivateKey: []byte(key), PrivateKeyID: o.ClientCertificateKeyID,
		SigningAlgorithm: jwt.SigningMethodRS256, TokenURL: string(o.TokenURL), Audience: o.Audience, Scopes: o.Scopes, EndpointParams: params,
		PrivateClaims: map[string]any{},
	}
	switch o.SignatureAlgorithm {
	case "RS384":
		j.SigningAlgorithm = jwt.SigningMethodRS384
	case "RS512":
		j.SigningAlgorithm = jwt.SigningMethodRS512
	}
	for name, value := range o.Claims {
		j.PrivateClaims[name] = string(value)
	}
	return j.TokenSource(ctx)
}

// A tokenTransport shows a token with each request. Prometheus's own gets its tokens
// without any timeout, so that a token server which says nothing would hold up
// every request for ever.
type tokenTransport struct {
	base   http.RoundTripper
	tokens *Tokens
}

// RoundTrip shows the token to the host that was meant, never to one that a redirect
// leads to.
func (t *tokenTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	if redirectedAway(req) {
		return t.base.RoundTrip(req)
	}
	token, err := t.tokens.get(req.Context())
	if err != nil {
		if req.Body != nil {
			_ = req.Body.Close()
		}
		return nil, fmt.Errorf("get a token: %w", err)
	}
	req = req.Clone(req.Context())
	token.SetAuthHeader(req)
	return t.base.RoundTrip(req)
}

// CloseIdleConnections closes those to the server.
func (t *tokenTransport) CloseIdleConnections() {
	(&http.Client{Transport: t.base}).CloseIdleConnections()
}

// tokenError returns err on one line, without the URL and what a server wrote into a
// page.
func tokenError(err error) error {
	var refused *oauth2.RetrieveError
	var u *url.Error
	switch {
	case errors.As(err, &refused) && refused.ErrorCode != "":
		return fmt.Errorf("the token server answered %s: %q", refused.Response.Status, shorten(refused.ErrorCode))
	case errors.As(err, &refused):
		return fmt.Errorf("the token server answered %s", refused.Response.Status)
	case errors.As(err, &u):
		return u.Err
	}
	return err
}

// redirectedAway reports whether a redirect led the request to another host, or led
// over one.
func redirectedAway(req *http.Request) bool {
	for r := req; r.Response != nil && r.Response.Request != nil; r = r.Response.Request {
		if r.URL.Host != r.Response.Request.URL.Host {
			return true
		}
	}
	return false
}
