package cli

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
)

func TestHealthyAsksByTLS(t *testing.T) {
	t.Parallel()
	code := 200
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/-/healthy" {
			t.Errorf("asked for %s", r.URL.Path)
		}
		w.WriteHeader(code)
	})
	plain, secure, mutual := httptest.NewServer(handler), httptest.NewTLSServer(handler), httptest.NewUnstartedServer(handler)
	defer plain.Close()
	defer secure.Close()
	// The client shows the certificate of the server, which it trusts.
	pool := x509.NewCertPool()
	pool.AddCert(secure.Certificate())
	mutual.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert, ClientCAs: pool, MinVersion: tls.VersionTLS12}
	mutual.StartTLS()
	defer mutual.Close()

	dir := t.TempDir()
	ca := writeFile(t, filepath.Join(dir, "ca.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw}))
	key, err := x509.MarshalPKCS8PrivateKey(secure.TLS.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	keyFile := writeFile(t, filepath.Join(dir, "key.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))
	_, port, err := net.SplitHostPort(secure.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		url  string
		more []string
		exit int
		says string
	}{
		"without TLS":                        {plain.URL, nil, 0, ""},
		"by TLS on this machine":             {secure.URL, nil, 0, ""},
		"by TLS though http was said":        {"http://localhost:" + port, nil, 0, ""},
		"with what to trust":                 {secure.URL, []string{"--tls.ca-file", ca}, 0, ""},
		"with another name":                  {secure.URL, []string{"--tls.ca-file", ca, "--tls.server-name", "sitrep.internal"}, 1, "certificate"},
		"with another name, not verified":    {secure.URL, []string{"--tls.server-name", "sitrep.internal", "--tls.insecure-skip-verify"}, 0, ""},
		"a certificate is wanted":            {mutual.URL, nil, 1, "certificate"},
		"a certificate is wanted, and shown": {mutual.URL, []string{"--tls.cert-file", ca, "--tls.key-file", keyFile}, 0, ""},
		"a file that is missing":             {secure.URL, []string{"--tls.ca-file", filepath.Join(dir, "none")}, 1, "none"},
		"no URL":                             {"nowhere", nil, 2, "is no URL"},
	} {
		t.Run(name, func(t *testing.T) {
			out, errOut, exit := (&shell{}).run(append([]string{"healthy", "--url", tt.url}, tt.more...)...)
			if exit != tt.exit || !strings.Contains(out+errOut, tt.says) {
				t.Errorf("exit %d, %s%s", exit, out, errOut)
			}
		})
	}
	code = 503
	if _, errOut, exit := (&shell{vars: map[string]string{"SITREP_URL": "http://127.0.0.1:" + port}}).run("healthy"); exit != 1 || !strings.Contains(errOut, "503") {
		t.Errorf("exit %d, %s", exit, errOut)
	}
}

func TestHealthy(t *testing.T) {
	status := http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/-/healthy" {
			t.Errorf("asked for %q", r.URL.Path)
		}
		w.WriteHeader(status)
	}))
	if _, errOut, code := (&shell{}).run("healthy", "--url", server.URL+"/"); code != ExitDone {
		t.Errorf("healthy: exit %d, %s", code, errOut)
	}
	sh := &shell{vars: map[string]string{"SITREP_URL": server.URL}}
	if _, errOut, code := sh.run("healthy"); code != ExitDone {
		t.Errorf("healthy by SITREP_URL: exit %d, %s", code, errOut)
	}
	status = http.StatusServiceUnavailable
	if _, _, code := sh.run("healthy"); code != ExitFailed {
		t.Errorf("unhealthy: exit %d", code)
	}
	server.Close()
	if _, _, code := sh.run("healthy"); code != ExitFailed {
		t.Errorf("nobody there: exit %d", code)
	}
}
