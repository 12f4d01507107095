// Package rig runs what the end-to-end tests need, for real: the sitrep program,
// Alertmanagers, a recorder between the two, a mail server with TLS, and a receiver of
// webhooks. All of it listens on 127.0.0.1 alone.
package rig

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// Root returns the folder of sitrep's module.
func Root() (string, error) {
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("find the module: %w", err)
	}
	mod := strings.TrimSpace(string(out))
	if mod == "" || mod == os.DevNull {
		return "", fmt.Errorf("find the module: not inside one")
	}
	return filepath.Dir(mod), nil
}

// BuildSitrep builds the program as dir/sitrep.
func BuildSitrep(ctx context.Context, dir string) (string, error) {
	return Build(ctx, dir, "./cmd/sitrep")
}

// Build builds a program of sitrep's module, such as ./cmd/sitrep, into dir.
func Build(ctx context.Context, dir, pkg string) (string, error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	return build(ctx, root, filepath.Join(dir, path.Base(pkg)), pkg)
}

// BuildAlertmanager builds the Alertmanager that e2e/alertmanager pins. It is kept in
// .cache, so that only the first time takes long.
func BuildAlertmanager(ctx context.Context) (string, error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	return build(ctx, filepath.Join(root, "e2e", "alertmanager"), filepath.Join(root, ".cache", "alertmanager"),
		"github.com/prometheus/alertmanager/cmd/alertmanager")
}

func build(ctx context.Context, dir, to, pkg string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "build", "-o", to, pkg)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", pkg, err, out)
	}
	return to, nil
}

// The ports that FreeAddress gives are below those that the system gives to connections,
// and to listeners that leave it the choice.
const firstPort, portCount = 10_000, 22_000

// lastPort counts on from anywhere, as another run may give ports at the same time.
var lastPort = func() *atomic.Uint32 {
	var n atomic.Uint32
	n.Store(rand.Uint32N(portCount))
	return &n
}()

// FreeAddress returns an address of 127.0.0.1 on which nothing listens. It stays free
// until it is used: none is given twice.
func FreeAddress() (string, error) {
	var err error
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", firstPort+lastPort.Add(1)%portCount)
		var l net.Listener
		if l, err = net.Listen("tcp", address); err == nil {
			return address, l.Close()
		}
	}
	return "", fmt.Errorf("find a free address: %w", err)
}

// Poll calls done each few milliseconds until it returns true, and reports whether
// it did so within the time.
func Poll(within time.Duration, done func() bool) bool { return poll(pollEvery, within, done) }

// pollEvery is how often Poll calls done.
const pollEvery = 10 * time.Millisecond

func poll(every, within time.Duration, done func() bool) bool {
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for !done() {
		select {
		case <-deadline.C:
			return done()
		case <-tick.C:
		}
	}
	return true
}

// A process is a program that runs, whose output goes to a file.
type process struct {
	cmd  *exec.Cmd
	log  *os.File
	done chan struct{} // closed once it has ended
	err  error         // of its end
}

// start starts a program; its output is added to the file logPath.
func start(logPath, dir, program string, args ...string) (*process, error) {
	cmd := exec.Command(program, args...)
	cmd.Dir = dir
	return startCommand(logPath, cmd)
}

// startCommand starts what was prepared otherwise than [start] does.
func startCommand(logPath string, cmd *exec.Cmd) (*process, error) {
	log, err := os.OpenFile(logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, log: log, done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if err := p.cmd.Start(); err != nil {
		log.Close()
		return nil, fmt.Errorf("start %s: %w", filepath.Base(cmd.Path), err)
	}
	go func() {
		p.err = p.cmd.Wait()
		log.Close()
		close(p.done)
	}()
	return p, nil
}

// signal sends a signal to it; nothing happens if it has ended.
func (p *process) signal(sig os.Signal) {
	select {
	case <-p.done:
	default:
		_ = p.cmd.Process.Signal(sig)
	}
}

// kill ends it at once, and waits for that.
func (p *process) kill() {
	p.signal(syscall.SIGKILL)
	<-p.done
}

// stop asks it to end, and kills it if that takes too long.
func (p *process) stop() error {
	p.signal(syscall.SIGTERM)
	select {
	case <-p.done:
		return p.err
	case <-time.After(20 * time.Second):
		p.kill()
		return fmt.Errorf("%s did not stop within 20 s", filepath.Base(p.cmd.Path))
	}
}

// ended reports whether it has ended.
func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// tail returns the last lines of a file.
func tail(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimRight(string(b), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-40):], "\n")
}
