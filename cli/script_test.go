package cli

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sitrep/internal/golden"
)

// TestScripts runs the scripts in testdata. A script is text for people, then files
// that begin with "-- name --", and last "-- script --": lines "$ sitrep …", each
// followed by what the command prints, and by "[exit 1]" if it fails so. Arguments are
// parted by spaces; 'a b' is one.
func TestScripts(t *testing.T) {
	names, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(names) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txt"), func(t *testing.T) {
			path, err := filepath.Abs(name)
			if err != nil {
				t.Fatal(err)
			}
			raw, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			head, script, found := strings.Cut(string(raw), "-- script --\n")
			if !found {
				t.Fatal(`no line "-- script --"`)
			}
			t.Chdir(t.TempDir())
			unpack(t, head)
			var got strings.Builder
			for line := range strings.Lines(script) {
				if command, ok := strings.CutPrefix(line, "$ sitrep "); ok {
					got.WriteString(line)
					got.WriteString(runLine(t, strings.TrimSpace(command)))
				}
			}
			golden.Compare(t, path, []byte(head+"-- script --\n"+got.String()))
		})
	}
}

// unpack writes the files of a script into the working folder.
func unpack(t *testing.T, text string) {
	t.Helper()
	var name string
	files := map[string]*strings.Builder{}
	for line := range strings.Lines(text) {
		if n, ok := strings.CutPrefix(line, "-- "); ok && strings.HasSuffix(n, " --\n") {
			name = strings.TrimSuffix(n, " --\n")
			files[name] = &strings.Builder{}
			continue
		}
		if name != "" {
			files[name].WriteString(line)
		}
	}
	for name, b := range files {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// runLine runs one command line and returns what it prints, with its exit code if
// that is not 0.
func runLine(t *testing.T, line string) string {
	t.Helper()
	var args []string
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			args = append(args, part)
		} else {
			args = append(args, strings.Fields(part)...)
		}
	}
	var out bytes.Buffer
	err := run(context.Background(), args, Environment{
		Getenv: func(string) string { return "" }, Stdin: strings.NewReader(""), Stdout: &out, Stderr: &out,
		Die: func() { t.Error("the store gave up") },
	})
	if code := report(&out, err); code != ExitDone {
		fmt.Fprintf(&out, "[exit %d]\n", code)
	}
	return out.String()
}
