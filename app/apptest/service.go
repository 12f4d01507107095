package main

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
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// The secrets of the organisation below. None may ever be shown.
const (
	viewerToken    = "viewer-token-2f61c0"
	responderToken = "responder-token-91be7d"
	adminToken     = "admin-token-c44a10"
	receiverToken  = "receiver-token-77d3fe"
	adaPassword    = "ada-password-5e3b8c"
)

// organisation is the config of a small one, which knows a token for each role and
// the user ada.
const organisation = `
timezone: Europe/Berlin
mail: {directory: outbox, from: Incident updates <incidents@example.org>}
priorities:
  - name: P1
    summary: Severe customer impact
    criteria: [A core use case is broken for most customers]
    actions: [hotfix, {name: postmortem, within: 5d}]
    inform: [management, stakeholders]
    update_every: 2h
  - name: P2
    summary: Affects the work of some customers
    inform: [stakeholders]
    update_every: 4h
  - name: P3
    summary: Small
management: [board]
groups:
  - name: board
    email: [cto@example.org]
  - name: support
    email: [support@example.org]
slo_files: [slos.yml]
`

const organisationAccess = `
access:
  tokens:
    - {name: alertmanager, role: receiver, token_file: secrets/receiver}
    - {name: grafana, role: viewer, token_file: secrets/viewer}
    - {name: bob, role: responder, token_file: secrets/responder}
    - {name: ops, role: admin, token_file: secrets/admin}
  users:
    - {name: ada, role: responder, password_file: secrets/ada}
`

const organisationSLOs = `
team: notifications
on_call: {email: [oncall@example.org]}
stakeholders: [support]
slos:
  - {id: send, use_case: Application cannot notify its users, sli: availability, service: notifications, priority: P1, runbook: 'https://runbooks.example/send'}
  - {id: delay, use_case: Notifications arrive with a delay, sli: latency, service: notifications, priority: P2}
`

// A testService is a service with a store of its own, behind HTTP.
type testService struct {
	*service
	t      *testing.T
	dir    string
	server *httptest.Server
	log    *syncBuffer
}

// newTestService makes the service of a config, with the files that it names, and
// those of the organisation. It does not send: that is for start.
func newTestService(t *testing.T, config string, files map[string]string) *testService {
	t.Helper()
	return newLoggedService(t, config, files, logTo)
}

// newLoggedService is newTestService with a log of its own.
func newLoggedService(t *testing.T, config string, files map[string]string, logTo func(io.Writer) *slog.Logger) *testService {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(adaPassword), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	s := &testService{t: t, dir: t.TempDir(), log: &syncBuffer{}}
	all := map[string]string{
		"sitrep.yml": config, "slos.yml": organisationSLOs,
		"secrets/receiver": receiverToken, "secrets/viewer": viewerToken, "secrets/responder": responderToken, "secrets/admin": adminToken,
		"secrets/ada": string(hash),
	}
	for name, text := range files {
		all[name] = text
	}
	for name, text := range all {
		s.write(name, text)
	}
	// The handler is made once the address is known, as links lead there.
	s.server = httptest.NewUnstartedServer(nil)
	at := "http://" + s.server.Listener.Addr().String()
	log := logTo(s.log)
	s.service, err = newService(t.Context(), options{
		config: filepath.Join(s.dir, "sitrep.yml"), storage: filepath.Join(s.dir, "data", "sitrep.db"), external: at,
		die: func() { t.Error("the store gave up") },
	}, log)
	if err != nil {
		t.Fatal(err)
	}
	if s.server.Config.Handler, err = s.handler(); err != nil {
		t.Fatal(err)
	}
	s.server.Start()
	t.Cleanup(s.finish)
	return s
}

// finish stops the service, once.
func (s *testService) finish() {
	if s.service != nil {
		s.server.Close()
		s.close()
		s.service = nil
	}
}

func (s *testService) write(name, text string) {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// ask makes a request with a token, and returns the status and the body.
func (s *testService) ask(token, method, path, body string) (int, string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, s.server.URL+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	client := *s.server.Client()
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
	return resp.StatusCode, headerText(resp.Header) + string(b)
}

func headerText(h http.Header) string {
	var b bytes.Buffer
	_ = h.Write(&b) // into memory
	return b.String() + "\n"
}

// alert posts one alert of an SLO as Alertmanager does.
func (s *testService) alert(status, slo, fingerprint string) {
	s.t.Helper()
	code, body := s.ask(receiverToken, "POST", "/alertmanager", alertBody(status, slo, fingerprint))
	if code != http.StatusOK {
		s.t.Fatalf("alert of %s: %d %s", slo, code, body)
	}
}

func alertBody(status, slo, fingerprint string) string {
	ends := "0001-01-01T00:00:00Z"
	if status == "resolved" {
		ends = "2026-01-02T04:00:00Z"
	}
	return fmt.Sprintf(`{"version":"4","groupKey":"g","truncatedAlerts":0,"status":%[1]q,"receiver":"sitrep","groupLabels":{},"commonLabels":{},
"commonAnnotations":{},"externalURL":"http://alertmanager.example.org","alerts":[{"status":%[1]q,"labels":{"alertname":"Burn","instance":%[3]q,"sitrep_slo":%[2]q},
"annotations":{"summary":"s"},"startsAt":"2026-01-02T03:00:00Z","endsAt":%[4]q,"generatorURL":"","fingerprint":%[3]q}]}`, status, slo, fingerprint, ends)
}

// until waits until done returns true.
func (s *testService) until(what string, done func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !done(); {
		if time.Now().After(deadline) {
			s.t.Fatalf("waited in vain: %s\n%s", what, s.log)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// A syncBuffer is a buffer that several write to.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// logTo returns a logger that writes all.
func logTo(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// startAgain starts a service on what another left, stops it, and returns the public key
// of its ledger.
func startAgain(t *testing.T, o options, log io.Writer) string {
	t.Helper()
	s, err := newService(t.Context(), o, logTo(log))
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	return s.notary.key.Public()
}

// A mailbox keeps what is posted to it.
type mailbox struct {
	*httptest.Server
	mu   sync.Mutex
	kept [][]byte
}

func newMailbox(t *testing.T) *mailbox {
	m := &mailbox{}
	m.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		m.kept = append(m.kept, b)
	}))
	t.Cleanup(m.Close)
	return m
}

// first is what came first, nil if nothing did.
func (m *mailbox) first() []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.kept) == 0 {
		return nil
	}
	return m.kept[0]
}
