package main

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// environmentFor writes to out.
func environmentFor(t *testing.T, out *bytes.Buffer) environment {
	return environment{
		getenv: func(string) string { return "" }, stdin: strings.NewReader(""), stdout: out, stderr: out,
		die: func() { t.Error("the store gave up") },
	}
}

func TestDemoPlaysAnIncident(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "demo")
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	var out bytes.Buffer
	if err := run(ctx, []string{"demo", "--once", "--dir", dir}, environmentFor(t, &out)); err != nil {
		t.Fatalf("%v after\n%s", err, out.String())
	}
	text := out.String()
	at := 0
	for _, want := range []string{
		"[P1] INC-1 Application cannot notify its users (opened)",
		"The message queue of one data centre is full.",
		"[reminder] INC-1",
		"No news from the team since",
		"P3 informs only stakeholders, so you get no more messages about it.",
		"It is over: the alert has ended.",
		"That was the story.",
		filepath.Join(dir, "outbox"),
	} {
		i := strings.Index(text[at:], want)
		if i < 0 {
			t.Fatalf("no %q, or too early, in\n%s", want, text)
		}
		at += i
	}
	if mails, _ := filepath.Glob(filepath.Join(dir, "outbox", "*.eml")); len(mails) < 15 {
		t.Errorf("%d mails in the folder, want 4 openings, 6 updates and what follows", len(mails))
	}
	log, err := os.ReadFile(filepath.Join(dir, "sitrep.log"))
	if err != nil || strings.Contains(string(log), "level=ERROR") || strings.Contains(string(log), "level=WARN") {
		t.Errorf("log (%v):\n%s", err, log)
	}

	err = run(ctx, []string{"demo", "--once", "--dir", dir}, environmentFor(t, &out))
	if code := report(&out, err); code != exitUsage {
		t.Errorf("a folder that is not empty: exit %d", code)
	}
}

func TestDemoEndsWhenItIsTold(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	var out bytes.Buffer
	env := environmentFor(t, &out)
	env.stdout = &cancelling{out: &out, at: "(opened)", cancel: cancel}
	if err := run(ctx, []string{"demo", "--dir", t.TempDir()}, env); err != nil || !strings.Contains(out.String(), "Stopped. Everything is kept in") {
		t.Errorf("%v after\n%s", err, out.String())
	}
}

// cancelling is a terminal in front of which somebody stops the demo.
type cancelling struct {
	out    *bytes.Buffer
	at     string
	cancel func()
}

func (c *cancelling) Write(b []byte) (int, error) {
	if strings.Contains(string(b), c.at) {
		c.cancel()
	}
	return c.out.Write(b)
}

func TestHealthy(t *testing.T) {
	status := http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/-/healthy" {
			t.Errorf("asked for %q", r.URL.Path)
		}
		w.WriteHeader(status)
	}))
	var out bytes.Buffer
	env := environmentFor(t, &out)
	if err := run(context.Background(), []string{"healthy", "--url", server.URL + "/"}, env); err != nil {
		t.Errorf("healthy: %v", err)
	}
	env.getenv = func(name string) string { return map[string]string{"SITREP_URL": server.URL}[name] }
	if err := run(context.Background(), []string{"healthy"}, env); err != nil {
		t.Errorf("healthy by SITREP_URL: %v", err)
	}
	status = http.StatusServiceUnavailable
	if code := report(&out, run(context.Background(), []string{"healthy"}, env)); code != exitFailed {
		t.Errorf("unhealthy: exit %d", code)
	}
	server.Close()
	if code := report(&out, run(context.Background(), []string{"healthy"}, env)); code != exitFailed {
		t.Errorf("nobody there: exit %d", code)
	}
}
