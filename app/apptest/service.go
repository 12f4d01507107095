// Package apptest runs the service of a small organisation behind HTTP, for tests that look
// at it from outside.
package apptest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"sitrep/app"
	"sitrep/ledger"
)

// A Service is one with a store of its own, behind HTTP.
type Service struct {
	*app.Service             // nil once it was stopped
	Options      app.Options // of what it is made
	Dir          string      // of the configuration, and of all that it names
	Server       *httptest.Server
	Log          *Buffer

	t *testing.T
}

// New makes the service of a configuration, with the files that it names, and those of the
// organisation. It does not send: that is for Start. It ends with the test at the latest.
func New(t *testing.T, config string, files map[string]string) *Service {
	t.Helper()
	return NewLogged(t, config, files, Logger)
}

// NewLogged is New with a logger of its own, which logTo makes; it is given what Log keeps.
func NewLogged(t *testing.T, config string, files map[string]string, logTo func(io.Writer) *slog.Logger) *Service {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(AdaPassword), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	s := &Service{t: t, Dir: t.TempDir(), Log: &Buffer{}}
	all := map[string]string{
		"sitrep.yml": config, "slos.yml": SLOs,
		"secrets/receiver": ReceiverToken, "secrets/viewer": ViewerToken, "secrets/auditor": AuditorToken, "secrets/responder": ResponderToken, "secrets/admin": AdminToken,
		"secrets/ada": string(hash),
	}
	for name, text := range files {
		all[name] = text
	}
	for name, text := range all {
		s.Write(name, text)
	}
	// The handler is made once the address is known, as links lead there.
	s.Server = httptest.NewUnstartedServer(nil)
	at := "http://" + s.Server.Listener.Addr().String()
	s.Options = app.Options{
		Config: filepath.Join(s.Dir, "sitrep.yml"), Storage: filepath.Join(s.Dir, "data", "sitrep.db"), ExternalURL: at,
		Die: func() { t.Error("the store gave up") },
	}
	if s.Service, err = app.New(t.Context(), s.Options, logTo(s.Log)); err != nil {
		t.Fatal(err)
	}
	if s.Server.Config.Handler, err = s.Handler(); err != nil {
		t.Fatal(err)
	}
	s.Server.Start()
	t.Cleanup(s.Stop)
	return s
}

// Stop stops the service, once.
func (s *Service) Stop() {
	if s.Service != nil {
		s.Server.Close()
		s.Close()
		s.Service = nil
	}
}

// Key is the key of the ledger, as it stands in its file beside the store.
func (s *Service) Key() *ledger.Key {
	s.t.Helper()
	key, err := ledger.LoadKey(app.KeyBeside(s.Options.Storage))
	if err != nil {
		s.t.Fatal(err)
	}
	return key
}

// Write writes a file of the service's folder.
func (s *Service) Write(name, text string) {
	s.t.Helper()
	path := filepath.Join(s.Dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// Ask makes a request with a token, if it is not empty, and returns the status, and the
// headers and the body in one text, with "\r\n\n" between.
func (s *Service) Ask(token, method, path, body string) (int, string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, s.Server.URL+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	client := *s.Server.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := client.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp.StatusCode, HeaderText(resp.Header) + string(b)
}

// HeaderText writes headers as Ask returns them.
func HeaderText(h http.Header) string {
	var b bytes.Buffer
	_ = h.Write(&b) // into memory
	return b.String() + "\n"
}

// Alert posts one alert of an SLO as Alertmanager does: firing or resolved.
func (s *Service) Alert(status, slo, fingerprint string) {
	s.t.Helper()
	code, body := s.Ask(ReceiverToken, "POST", "/alertmanager", AlertBody(status, slo, fingerprint))
	if code != http.StatusOK {
		s.t.Fatalf("alert of %s: %d %s", slo, code, body)
	}
}

// AlertBody is the payload of Alert.
func AlertBody(status, slo, fingerprint string) string {
	ends := "0001-01-01T00:00:00Z"
	if status == "resolved" {
		ends = "2026-01-02T04:00:00Z"
	}
	return fmt.Sprintf(`{"version":"4","groupKey":"g","truncatedAlerts":0,"status":%[1]q,"receiver":"sitrep","groupLabels":{},"commonLabels":{},
"commonAnnotations":{},"externalURL":"http://alertmanager.example.org","alerts":[{"status":%[1]q,"labels":{"alertname":"Burn","instance":%[3]q,"sitrep_slo":%[2]q},
"annotations":{"summary":"s"},"startsAt":"2026-01-02T03:00:00Z","endsAt":%[4]q,"generatorURL":"","fingerprint":%[3]q}]}`, status, slo, fingerprint, ends)
}

// Scrape returns what Prometheus gets, after the headers.
func (s *Service) Scrape() string {
	s.t.Helper()
	code, text := s.Ask(ReceiverToken, "GET", "/metrics", "")
	if code != 200 {
		s.t.Fatalf("GET /metrics: %d %s", code, text)
	}
	_, text, _ = strings.Cut(text, "\r\n\n")
	return text
}

// Until waits until done returns true; the test fails if that takes half a minute.
func (s *Service) Until(what string, done func() bool) {
	s.t.Helper()
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	deadline := time.After(30 * time.Second)
	for !done() {
		select {
		case <-look.C:
		case <-deadline:
			s.t.Fatalf("waited in vain: %s\n%s", what, s.Log)
		}
	}
}

// Restart starts a service on what another left, and stops it.
func Restart(t *testing.T, o app.Options, log io.Writer) {
	t.Helper()
	s, err := app.New(t.Context(), o, Logger(log))
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
}
