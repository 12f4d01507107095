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

// An Alertmanager is a real one.
type Alertmanager struct {
	Program string
	Dir     string
	Address string
	// Name and Mesh are its name in a cluster, and where its peers reach it; the order of
	// the names is that in which they send. Empty: it is in none.
	Name, Mesh string
	// Peers are the addresses of members of the cluster that run already.
	Peers []string
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
	args := []string{
		"--config.file=alertmanager.yml", "--storage.path=data", "--web.listen-address=" + a.Address,
		"--cluster.listen-address=" + a.Mesh, "--log.level=" + cmp.Or(a.LogLevel, "debug"),
	}
	if a.Mesh != "" {
		// Quick, as all of it is on one machine.
		args = append(args, "--cluster.peer-name="+a.Name, "--cluster.peer-timeout=1s", "--cluster.gossip-interval=50ms")
	}
	for _, peer := range a.Peers {
		args = append(args, "--cluster.peer="+peer)
	}
	p, err := start(filepath.Join(a.Dir, "alertmanager.log"), a.Dir, a.Program, args...)
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

// Forget makes one that does not run lose all that it has stored.
func (a *Alertmanager) Forget() error { return os.RemoveAll(filepath.Join(a.Dir, "data")) }

// An Alert is what Prometheus posts to an Alertmanager.
type Alert struct {
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations,omitempty"`
	StartsAt    time.Time         `json:"startsAt,omitzero"`
	EndsAt      time.Time         `json:"endsAt,omitzero"`
}

// Post posts alerts to its API.
func (a *Alertmanager) Post(alerts ...Alert) error {
	return a.do(http.MethodPost, "/api/v2/alerts", alerts, nil)
}

// Silence silences the alerts that have that label, for an hour.
func (a *Alertmanager) Silence(label, value string) error {
	now := time.Now()
	return a.do(http.MethodPost, "/api/v2/silences", map[string]any{
		"matchers": []map[string]any{{"name": label, "value": value, "isRegex": false, "isEqual": true}},
		"startsAt": now, "endsAt": now.Add(time.Hour), "createdBy": "e2e", "comment": "e2e",
	}, nil)
}

// A Listing is an alert that an Alertmanager lists.
type Listing struct {
	Fingerprint string            `json:"fingerprint"`
	Labels      map[string]string `json:"labels"`
	StartsAt    time.Time         `json:"startsAt"`
	Status      struct {
		State string `json:"state"` // suppressed: silenced or inhibited
	} `json:"status"`
}

// Listed returns what it lists: all that fires, suppressed or not.
func (a *Alertmanager) Listed() (listed []Listing, err error) {
	return listed, a.do(http.MethodGet, "/api/v2/alerts", nil, &listed)
}

// Members returns how many members of its cluster it sees, itself among them; 0 until
// it is ready to send.
func (a *Alertmanager) Members() (int, error) {
	var status struct {
		Cluster struct {
			Status string     `json:"status"`
			Peers  []struct{} `json:"peers"`
		} `json:"cluster"`
	}
	if err := a.do(http.MethodGet, "/api/v2/status", nil, &status); err != nil || status.Cluster.Status != "ready" {
		return 0, err
	}
	return len(status.Cluster.Peers), nil
}

// do makes one request of its API, and decodes the answer into v if that is not nil.
func (a *Alertmanager) do(method, path string, body, v any) error {
	var in bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&in).Encode(body); err != nil {
			return err
		}
	}
	req, err := http.NewRequest(method, a.URL()+path, &in)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	out, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, out)
	}
	if v == nil {
		return nil
	}
	return json.Unmarshal(out, v)
}

// PID returns the id of its process.
func (a *Alertmanager) PID() int { return a.p.cmd.Process.Pid }

// Reload gives it another config.
func (a *Alertmanager) Reload(config string) error {
	if err := os.WriteFile(filepath.Join(a.Dir, "alertmanager.yml"), []byte(config), 0o600); err != nil {
		return err
	}
	a.p.signal(syscall.SIGHUP)
	return nil
}
