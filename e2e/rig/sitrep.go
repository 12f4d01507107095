package rig

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// The tokens that [Access] gives.
const (
	AdminToken    = "e2e-admin-token-0123456789"
	ReceiverToken = "e2e-receiver-token-0123456789"
)

// Access is the part access of a config that knows the two tokens, for a sitrep that
// runs in a folder of [NewSitrep].
const Access = `
access:
  tokens:
    - {name: alertmanager, role: receiver, token_file: receiver-token}
    - {name: ada, role: admin, token_file: admin-token}
`

// A Sitrep is the program, with a folder of its own that holds its config and its
// data. It keeps its address over restarts.
type Sitrep struct {
	Program string
	Dir     string
	Address string
	// LogLevel is that of its log; empty: debug.
	LogLevel string
	// Storage is where it keeps everything; empty: a file in its folder.
	Storage string
	// Patience is how long it may take to get ready; zero: 20 s. Look is how often it is looked
	// whether it is; zero: each few milliseconds.
	Patience, Look time.Duration

	p *process
}

// NewSitrep prepares a sitrep in dir, whose config is sitrep.yml there. It does not
// run yet.
func NewSitrep(program, dir, config string) (*Sitrep, error) {
	addr, err := FreeAddress()
	if err != nil {
		return nil, err
	}
	s := &Sitrep{Program: program, Dir: dir, Address: addr}
	for name, text := range map[string]string{"sitrep.yml": config, "admin-token": AdminToken, "receiver-token": ReceiverToken} {
		if err := s.Write(name, text); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// Write writes a file of its folder.
func (s *Sitrep) Write(name, text string) error {
	path := filepath.Join(s.Dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(text), 0o600)
}

// URL returns where it listens.
func (s *Sitrep) URL() string { return "http://" + s.Address }

// Log returns the last lines that it logged.
func (s *Sitrep) Log() string { return tail(filepath.Join(s.Dir, "sitrep.log")) }

// Start starts it, and waits until it is ready.
func (s *Sitrep) Start() error {
	args := []string{
		"serve", "--config.file=sitrep.yml", "--storage=" + cmp.Or(s.Storage, "data/sitrep.db"), "--web.listen-address=" + s.Address, "--log.level=" + cmp.Or(s.LogLevel, "debug"),
	}
	p, err := start(filepath.Join(s.Dir, "sitrep.log"), s.Dir, s.Program, args...)
	if err != nil {
		return err
	}
	s.p = p
	client := http.Client{Timeout: time.Second}
	ready := poll(cmp.Or(s.Look, pollEvery), cmp.Or(s.Patience, 20*time.Second), func() bool {
		if p.ended() {
			return true
		}
		resp, err := client.Get(s.URL() + "/-/ready")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	if p.ended() || !ready {
		p.kill()
		return fmt.Errorf("sitrep did not get ready:\n%s", s.Log())
	}
	return nil
}

// Kill ends it as a power cut would.
func (s *Sitrep) Kill() { s.p.kill() }

// Pause stops it where it is, and Resume lets it go on.
func (s *Sitrep) Pause() { s.p.signal(syscall.SIGSTOP) }

// Resume lets it go on after Pause.
func (s *Sitrep) Resume() { s.p.signal(syscall.SIGCONT) }

// Stop asks it to end, and returns an error if it did not do so well.
func (s *Sitrep) Stop() error { return s.p.stop() }

// Reload tells it to read its config anew.
func (s *Sitrep) Reload() { s.p.signal(syscall.SIGHUP) }

// PID returns the id of its process.
func (s *Sitrep) PID() int { return s.p.cmd.Process.Pid }

// Get asks for a path and decodes the JSON of the answer into v.
func (s *Sitrep) Get(path string, v any) error { return s.do(http.MethodGet, path, nil, v) }

// Post posts body as JSON to a path and decodes the answer into v, if that is not nil.
func (s *Sitrep) Post(path string, body, v any) error { return s.do(http.MethodPost, path, body, v) }

// Text asks for a path and returns the answer as it is.
func (s *Sitrep) Text(path string) (string, error) {
	b, err := s.call(http.MethodGet, path, AdminToken, nil)
	return string(b), err
}

// Alerts posts a webhook's body as Alertmanager does, and returns the answer's.
func (s *Sitrep) Alerts(body []byte) ([]byte, error) {
	return s.call(http.MethodPost, "/alertmanager", ReceiverToken, body)
}

func (s *Sitrep) do(method, path string, body, v any) error {
	var in []byte
	if body != nil {
		var err error
		if in, err = json.Marshal(body); err != nil {
			return err
		}
	}
	out, err := s.call(method, path, AdminToken, in)
	if err != nil || v == nil {
		return err
	}
	if err := json.Unmarshal(out, v); err != nil {
		return fmt.Errorf("%s %s: %w in %s", method, path, err, out)
	}
	return nil
}

// call makes one request. An answer other than 2xx is an error.
func (s *Sitrep) call(method, path, token string, body []byte) ([]byte, error) {
	req, err := http.NewRequest(method, s.URL()+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	client := http.Client{Timeout: 15 * time.Second, Transport: direct}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	out, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return nil, fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, out)
	}
	return out, nil
}

// direct keeps no connection, as the other side may be killed at any time.
var direct = &http.Transport{DisableKeepAlives: true}
