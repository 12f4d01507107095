package cli

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"os"
	"strings"
	"testing"

	"sitrep/app/apptest"
)

// A running service is spoken to by command lines.
type running struct {
	*apptest.Service
	t *testing.T
}

func newRunning(t *testing.T, config string, files map[string]string) *running {
	t.Helper()
	return &running{apptest.New(t, config, files), t}
}

func newLoggedRunning(t *testing.T, config string, files map[string]string, logTo func(io.Writer) *slog.Logger) *running {
	t.Helper()
	return &running{apptest.NewLogged(t, config, files, logTo), t}
}

// A shell runs command lines with an environment.
type shell struct {
	vars  map[string]string
	stdin string
}

// run returns what a command line prints on both outputs, and its exit code.
func (s *shell) run(args ...string) (stdout, stderr string, code int) {
	var out, errOut bytes.Buffer
	err := run(context.Background(), args, Environment{
		Getenv: func(name string) string { return s.vars[name] }, Stdin: strings.NewReader(s.stdin), Stdout: &out, Stderr: &errOut, Die: func() {},
	})
	code = report(&errOut, err)
	return out.String(), errOut.String(), code
}

// responderShell is the shell of bob.
func (s *running) responderShell() *shell {
	return &shell{vars: map[string]string{"SITREP_URL": s.Server.URL, "SITREP_TOKEN": apptest.ResponderToken, "TZ": "Europe/Berlin"}}
}

func writeFile(t *testing.T, name string, b []byte) string {
	t.Helper()
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}
