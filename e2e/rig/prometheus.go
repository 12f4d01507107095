package rig

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// A Prometheus is a real one.
type Prometheus struct {
	Program string
	Dir     string
	Address string

	p *process
}

// NewPrometheus prepares a Prometheus in dir with the given config, which names files beside it.
// It does not run yet. The error is an [exec.ErrNotFound] where the program is not installed.
func NewPrometheus(dir, config string) (*Prometheus, error) {
	program, err := exec.LookPath("prometheus")
	if err != nil {
		return nil, err
	}
	addr, err := FreeAddress()
	if err != nil {
		return nil, err
	}
	p := &Prometheus{Program: program, Dir: dir, Address: addr}
	return p, p.Write("prometheus.yml", config)
}

// Write writes a file into its folder.
func (p *Prometheus) Write(name, text string) error {
	return os.WriteFile(filepath.Join(p.Dir, name), []byte(text), 0o600)
}

// URL returns where it listens.
func (p *Prometheus) URL() string { return "http://" + p.Address }

// Log returns the last lines that it logged.
func (p *Prometheus) Log() string { return tail(filepath.Join(p.Dir, "prometheus.log")) }

// Start starts it, and waits until it is ready.
func (p *Prometheus) Start() error {
	ran, err := start(filepath.Join(p.Dir, "prometheus.log"), p.Dir, p.Program,
		"--config.file=prometheus.yml", "--storage.tsdb.path=data", "--web.listen-address="+p.Address, "--rules.alert.resend-delay=1s")
	if err != nil {
		return err
	}
	p.p = ran
	ready := Poll(20*time.Second, func() bool {
		if ran.ended() {
			return true
		}
		resp, err := http.Get(p.URL() + "/-/ready")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	if ran.ended() || !ready {
		ran.kill()
		return fmt.Errorf("prometheus did not get ready:\n%s", p.Log())
	}
	return nil
}

// Reload lets it read its config again.
func (p *Prometheus) Reload() { p.p.signal(syscall.SIGHUP) }

// Stall stops it where it is, as one that answers nothing; Kill ends it still.
func (p *Prometheus) Stall() { p.p.signal(syscall.SIGSTOP) }

// Kill ends it at once.
func (p *Prometheus) Kill() { p.p.kill() }
