package demo

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sitrep/config"
)

func TestDemoPlaysAnIncident(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "demo")
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	var out bytes.Buffer
	o := Options{Dir: dir, Listen: "127.0.0.1:0", Once: true, Out: &out, Die: func() { t.Error("the store gave up") }}
	if err := Run(ctx, o); err != nil {
		t.Fatalf("%v after\n%s", err, out.String())
	}
	text := out.String()
	at := 0
	for _, want := range []string{
		"[P1] INC-1 Application cannot notify its users (opened)",
		"The message queue of one data centre is full.",
		"[reminder] INC-1",
		"On it: Ada, since",
		"No news from the team since",
		"Ada lowered the priority from P1 to P3",
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

	if err := Run(ctx, o); !errors.Is(err, ErrNotEmpty) {
		t.Errorf("a folder that is not empty: %v", err)
	}
}

func TestDemoEndsWhenItIsTold(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	var out bytes.Buffer
	o := Options{
		Dir: t.TempDir(), Listen: "127.0.0.1:0", Out: &cancelling{out: &out, at: "(opened)", cancel: cancel},
		Die: func() { t.Error("the store gave up") },
	}
	if err := Run(ctx, o); err != nil || !strings.Contains(out.String(), "Stopped. Everything is kept in") {
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

// TestPaceChangesOnlyTimes makes sure that the demo's configuration raises no warnings that
// the sample does not.
func TestPaceChangesOnlyTimes(t *testing.T) {
	dir := t.TempDir()
	if err := writeSample(dir); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(filepath.Join(dir, "sitrep.yml"))
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Warnings) > 0 {
		t.Errorf("warnings: %v", c.Warnings)
	}
}
