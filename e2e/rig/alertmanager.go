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
	"time"
)

// An Alertmanager is a real one, without peers.
type Alertmanager struct {
	Program string
	Dir     string
	Address string
	// LogLevel is that of its log; empty: debug.
	LogLevel string

	p *process
}

// NewAlertmanager prepares an Alertmanager in dir with the given config. It does not
// run yet.
func NewAlertmanager(program, dir, config string) (*Alertmanager, error) {
	addr, err := FreeAddress()
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "alertmanager.yml"), []byte(config), 0o600); err != nil {
		return nil, err
	}
	return &Alertmanager{Program: program, Dir: dir, Address: addr}, nil
}

// URL returns where it listens.
func (a *Alertmanager) URL() string { return "http://" + a.Address }

// Log returns the last lines that it logged.
func (a *Alertmanager) Log() string { return tail(filepath.Join(a.Dir, "alertmanager.log")) }

// Start starts it, and waits until it is ready.
func (a *Alertmanager) Start() error {
	p, err := start(filepath.Join(a.Dir, "alertmanager.log"), a.Dir, a.Program, "--config.file=alertmanager.yml", "--storage.path=data",
		"--web.listen-address="+a.Address, "--cluster.listen-address=", "--log.level="+cmp.Or(a.LogLevel, "debug"))
	if err != nil {
		return err
	}
	a.p = p
	ready := Poll(20*time.Second, func() bool {
		if p.ended() {
			return true
		}
		resp, err := http.Get(a.URL() + "/-/ready")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	if p.ended() || !ready {
		p.kill()
		return fmt.Errorf("alertmanager did not get ready:\n%s", a.Log())
	}
	return nil
}

// Kill ends it at once.
func (a *Alertmanager) Kill() { a.p.kill() }

// An Alert is what Prometheus posts to an Alertmanager.
type Alert struct {
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations,omitempty"`
	StartsAt    time.Time         `json:"startsAt,omitzero"`
	EndsAt      time.Time         `json:"endsAt,omitzero"`
}

// Post posts alerts to its API.
func (a *Alertmanager) Post(alerts ...Alert) error {
	body, err := json.Marshal(alerts)
	if err != nil {
		return err
	}
	resp, err := http.Post(a.URL()+"/api/v2/alerts", "application/json", bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(resp.Body)
		return fmt.Errorf("post alerts: %s: %s", resp.Status, text)
	}
	return nil
}

// PID returns the id of its process.
func (a *Alertmanager) PID() int { return a.p.cmd.Process.Pid }
