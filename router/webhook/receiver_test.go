package webhook_test

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sitrep/incident"
	"sitrep/router"
	"sitrep/router/webhook"
)

// TestTheReceiverOfThePageTakesWhatIsSent runs the program of docs/webhooks.md, and posts to it.
func TestTheReceiverOfThePageTakesWhatIsSent(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	_, program, ok := strings.Cut(string(must(os.ReadFile("../../docs/webhooks.md"))), "```python\n")
	program, _, end := strings.Cut(program, "```")
	if !ok || !end {
		t.Fatal("the page has no program")
	}
	dir := t.TempDir()
	const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	for name, text := range map[string]string{"hook.py": program, "secrets/support-hook-key": secret + "\n"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l := must(net.Listen("tcp", "127.0.0.1:0"))
	address := l.Addr().String()
	l.Close()
	_, port, _ := net.SplitHostPort(address)
	ctx, cancel := context.WithCancel(t.Context())
	cmd := exec.CommandContext(ctx, python, "hook.py", port)
	var said, complained bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &said, &complained
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { cancel(); _ = cmd.Wait() }()
	for deadline := time.Now().Add(30 * time.Second); ; {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("it does not listen: %v\n%s", err, &complained)
		}
		time.Sleep(20 * time.Millisecond)
	}
	by := func(secret string) *webhook.Sender {
		return webhook.New(webhook.Options{Endpoints: func(string) (webhook.Endpoint, bool) {
			return webhook.Endpoint{URL: "http://" + address, Secret: secret, Client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}, true
		}})
	}
	m := message(incident.KindUpdate, item(incident.KindUpdate, register()))
	e := router.Envelope{ID: m.ID, Recipient: m.Recipient, Body: must(by(secret).Render(m))}
	for range 2 { // what comes twice is taken, and nothing is done
		if err := by(secret).Send(t.Context(), e, nil); err != nil {
			t.Error(err)
		}
	}
	if err := by("another key").Send(t.Context(), e, nil); err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("a wrong signature: %v", err)
	}
	cancel()
	_ = cmd.Wait()
	if got := said.String(); strings.Count(got, "incident.update ") != 1 {
		t.Errorf("it printed %q, %s", got, &complained)
	}
}
