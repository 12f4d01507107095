package cli

import (
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"sitrep/app/apptest"

	"github.com/alecthomas/kingpin/v2"
)

func TestFlagsMayStandAnywhere(t *testing.T) {
	parser := kingpin.New("x", "")
	of := parser.Command("of", "").Alias("von")
	of.Flag("url", "").String()
	of.Flag("output", "").Short('o').String()
	do := of.Command("do", "")
	do.Flag("reason", "").Short('r').String()
	do.Flag("drill", "").Short('d').Bool()
	do.Flag("mixed", "").Bool()
	do.Arg("what", "").Strings()
	other := parser.Command("other", "")
	other.Flag("mixed", "").String()
	for line, want := range map[string]string{
		"of do a b":                         "of do -- a b",
		"--url u of do a":                   "of do --url=u -- a",
		"--url=u of -o json do a --drill":   "of do --url=u --output=json --drill -- a",
		"von do -ojson -rx a":               "von do --output=json --reason=x -- a",
		"of do -o=json":                     "of do --output=json",
		"of do a --reason -5":               "of do --reason=-5 -- a",
		"of do --reason @all a":             "of do --reason=@all -- a",
		"of do -- -a --reason b":            "of do -- -a --reason b",
		"of do -":                           "of do -- -",
		"of do -d a --unknown b -5":         "of do -d --unknown -5 -- a b",
		"of do --reason":                    "of do --reason",
		"of --mixed x do":                   "of --mixed -- x do",
		"nothing of this":                   "-- nothing of this",
		"--help":                            "--help",
		"of do --help":                      "of do --help",
		"--completion-bash of do --reason ": "--completion-bash of do --reason ",
		"":                                  "",
	} {
		var args []string
		if line != "" {
			args = strings.Split(line, " ")
		}
		if got := strings.Join(arrange(args, parser.Model()), " "); got != want {
			t.Errorf("%q: got %q, want %q", line, got, want)
		}
	}
}

// TestCompletion: the shell is told what can follow. The parser writes to the
// standard output itself.
func TestCompletion(t *testing.T) {
	s := newRunning(t, apptest.Organisation+apptest.Access, nil)
	s.Alert("firing", "send", "a")
	complete := func(args ...string) string {
		t.Helper()
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		stdout := os.Stdout
		os.Stdout = w
		defer func() { os.Stdout = stdout }()
		done := make(chan string)
		go func() {
			b, _ := io.ReadAll(r)
			done <- string(b)
		}()
		out, errOut, code := s.responderShell().run(args...)
		_ = w.Close()
		if code != ExitDone || errOut != "" || out != "" {
			t.Errorf("%v: exit %d, printed %q and %q", args, code, out, errOut)
		}
		return <-done
	}
	for want, args := range map[string][]string{
		"ack":           {"--completion-bash", "incident", ""},
		"INC-1":         {"--completion-bash", "incident", "priority", ""},
		"investigation": {"--completion-bash", "incident", "phase", "INC-1", ""},
		"--if-match":    {"--completion-bash", "incident", "ack", "--"},
		"management":    {"--completion-bash", "incident", "update", "--audience", ""},
	} {
		if got := strings.Split(complete(args...), "\n"); !slices.Contains(got, want) {
			t.Errorf("%v: %q", args, got)
		}
	}
	for _, flag := range []string{"--completion-script-bash", "--completion-script-zsh"} {
		if got := complete(flag); !strings.Contains(got, "--completion-bash") || strings.Contains(got, "usage:") {
			t.Errorf("%s printed\n%s", flag, got)
		}
	}
}
