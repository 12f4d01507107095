package config_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// certificate makes a certificate that signs itself, good for client and server.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"mail.example.org"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	bytes, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: bytes}))
}

// TestTLSConfigConnects connects with what was read at load, after the files are
// gone: a reload takes over all of it or nothing.
func TestTLSConfigConnects(t *testing.T) {
	cert, key := certificate(t)
	pair, err := tls.X509KeyPair([]byte(cert), []byte(key))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(cert))
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "welcome")
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool}
	server.StartTLS()
	defer server.Close()

	indent := func(text string) string {
		return "|\n          " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n          ")
	}
	for name, settings := range map[string]string{
		"files":  "\n        ca_file: ca.pem\n        cert_file: cert.pem\n        key_file: key.pem\n",
		"inline": "\n        ca: " + indent(cert) + "\n        cert: " + indent(cert) + "\n        key: " + indent(key) + "\n",
	} {
		t.Run(name, func(t *testing.T) {
			path := write(t, map[string]string{
				"sitrep.yml": "priorities: [{name: P1}]\nalertmanagers:\n  - url: " + server.URL +
					"\n    http_config:\n      tls_config:\n        server_name: mail.example.org\n        min_version: TLS12" + settings,
				"ca.pem": cert, "cert.pem": cert, "key.pem": key,
			})
			c := load(t, path)
			if err := os.RemoveAll(filepath.Dir(path)); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(c.Canonical()), "BEGIN") {
				t.Errorf("a key is in the canonical form: %s", c.Canonical())
			}
			client, err := c.Alertmanagers[0].HTTPConfig.New()
			if err != nil {
				t.Fatal(err)
			}
			direct := &http.Client{Transport: &http.Transport{TLSClientConfig: c.Alertmanagers[0].HTTPConfig.TLSConfig.Client()}}
			for _, client := range []*http.Client{client, direct} {
				resp, err := client.Get(server.URL)
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				if err != nil || string(body) != "welcome" {
					t.Errorf("got %q: %v", body, err)
				}
				client.CloseIdleConnections()
			}
		})
	}
}
