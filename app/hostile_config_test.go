//go:build unix

package app_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"sitrep/app/apptest"
)

// TestATeamCannotReadTheHousesFiles: whatever a team links to or writes, nobody is
// shown what stands in another file, and those who are no admins nothing at all.
func TestATeamCannotReadTheHousesFiles(t *testing.T) {
	config := strings.Replace(apptest.Organisation, "slo_files: [slos.yml]", "slo_files: ['teams/*.yml']", 1) + apptest.Access + "  anonymous: viewer\n"
	s := apptest.New(t, config, map[string]string{"teams/slos.yml": apptest.SLOs})
	const own = "what-the-team-wrote"
	path := filepath.Join(s.Dir, "teams", "x.yml")
	for _, c := range []struct {
		name string
		put  func() error
	}{
		{"a link to the admin's token", func() error { return os.Symlink("../secrets/admin", path) }},
		{"an absolute link to it", func() error { return os.Symlink(filepath.Join(s.Dir, "secrets/admin"), path) }},
		{"a second name of it", func() error { return os.Link(filepath.Join(s.Dir, "secrets/admin"), path) }},
		{"a word", func() error { return os.WriteFile(path, []byte(own), 0o600) }},
		{"a list", func() error { return os.WriteFile(path, []byte("- "+own), 0o600) }},
		{"an alias", func() error { return os.WriteFile(path, []byte("*"+own), 0o600) }},
		{"a wrong key", func() error { return os.WriteFile(path, []byte(own+": 1\nteam: "+own+"\nslos: "+own), 0o600) }},
		{"a pipe", func() error { return syscall.Mkfifo(path, 0o600) }},
	} {
		if err := c.put(); err != nil {
			t.Fatal(err)
		}
		code, text := s.Ask(apptest.AdminToken, "POST", "/-/reload", "")
		if code != 500 || !strings.Contains(text, "x.yml") {
			t.Errorf("%s: reload answered %d %s", c.name, code, text)
		}
		shown := text
		if c.name == "a wrong key" {
			shown = "" // a mapping; the admin sees what is wrong with it
		}
		for _, token := range []string{"", apptest.ViewerToken, apptest.ResponderToken} {
			for _, path := range []string{"/", "/status", "/api/v1/status", "/slos", "/metrics"} {
				code, text := s.Ask(token, "GET", path, "")
				if code != 200 {
					t.Errorf("%s: GET %s: %d", c.name, path, code)
				}
				if strings.HasSuffix(path, "/status") && !strings.Contains(text, "x.yml") {
					t.Errorf("%s: GET %s does not say where", c.name, path)
				}
				shown += text
			}
		}
		if strings.Contains(shown, apptest.AdminToken) || strings.Contains(shown, own) || strings.Contains(s.Log.String(), apptest.AdminToken) {
			t.Errorf("%s: it is shown: %s", c.name, shown)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	if code, text := s.Ask(apptest.AdminToken, "POST", "/-/reload", ""); code != 200 {
		t.Errorf("%d %s", code, text)
	}
}

// TestFilesThatAreAwaySilenceNothing: a mount that is gone, or empty, does not take
// the SLOs away.
func TestFilesThatAreAwaySilenceNothing(t *testing.T) {
	config := strings.Replace(apptest.Organisation, "slo_files: [slos.yml]", "slo_files: ['teams/*.yml']", 1) + apptest.Access
	s := apptest.New(t, config, map[string]string{"teams/slos.yml": apptest.SLOs})
	for _, c := range []struct {
		name   string
		do     func() error
		path   string
		status int
	}{
		{"the folder is empty", func() error { return os.Rename(s.Dir+"/teams/slos.yml", s.Dir+"/slos.away") }, "/-/reload?force=true", 500},
		{"the folder is gone", func() error { return os.Rename(s.Dir+"/teams", s.Dir+"/away") }, "/-/reload?force=true", 500},
		{"others are there", func() error {
			s.Write("teams/slos.yml", strings.NewReplacer("id: send", "id: send2", "id: delay", "id: delay2").Replace(apptest.SLOs))
			return nil
		}, "/-/reload", 409},
	} {
		if err := c.do(); err != nil {
			t.Fatal(err)
		}
		if code, text := s.Ask(apptest.AdminToken, "POST", c.path, ""); code != c.status || !strings.Contains(text, "stays in force") {
			t.Errorf("%s: %d %s", c.name, code, text)
		}
		s.Alert("firing", "send", "a"+strings.ReplaceAll(c.name, " ", ""))
		if code, text := s.Ask(apptest.ViewerToken, "GET", "/api/v1/incidents?slo=send", ""); code != 200 || !strings.Contains(text, `"slo":"send"`) {
			t.Errorf("%s: %d %s", c.name, code, text)
		}
	}
	if code, text := s.Ask(apptest.AdminToken, "POST", "/-/reload?force=true", ""); code != 200 {
		t.Errorf("forced: %d %s", code, text)
	}
	if code, text := s.Ask(apptest.ResponderToken, "POST", "/-/reload?force=true", ""); code != 403 {
		t.Errorf("forced by a responder: %d %s", code, text)
	}
}

// TestReloadsDoNotHoldUpTheStop: a reload that waits for a disk ends with the
// service.
func TestReloadsDoNotHoldUpTheStop(t *testing.T) {
	s := apptest.New(t, apptest.Organisation+apptest.Access, nil)
	if err := os.Remove(s.Dir + "/slos.yml"); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(s.Dir+"/slos.yml", 0o600); err != nil {
		t.Fatal(err)
	}
	signals := make(chan os.Signal, 1)
	signals <- syscall.SIGHUP
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { s.ReloadOn(ctx, signals); close(done) }()
	s.Until("the reload is refused", func() bool { return strings.Contains(s.Log.String(), "is a pipe, a device or the like") })
	cancel()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("it goes on")
	}
}
