package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sitrep/config"
	"sitrep/internal/golden"
)

// TestMistakes loads each config in testdata/mistakes and compares what is
// reported. A file there holds the input files, each after a line "-- name --" and
// if it is a secret with its mode, "-- name 0600 --", and the expected lines after
// "-- problems --".
func TestMistakes(t *testing.T) {
	names, err := filepath.Glob("testdata/mistakes/*.txt")
	if err != nil || len(names) == 0 {
		t.Fatalf("no mistakes found: %v", err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			input, want, _ := strings.Cut(string(text), "-- problems --\n")
			dir := t.TempDir()
			unpack(t, dir, input)
			got := report(dir)
			if golden.Update() {
				golden.Write(t, name, []byte(input+"-- problems --\n"+got))
				return
			}
			if got != want {
				t.Errorf("reported\n%s\nbut expected\n%s", got, want)
			}
		})
	}
}

// unpack writes the files of a txt file into a folder.
func unpack(t *testing.T, dir, text string) {
	t.Helper()
	var (
		name string
		mode os.FileMode
		body strings.Builder
	)
	flush := func() {
		if name == "" {
			return
		}
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(body.String()), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil { // whatever the umask is
			t.Fatal(err)
		}
		body.Reset()
	}
	for line := range strings.Lines(text) {
		if head, ok := strings.CutPrefix(line, "-- "); ok && strings.HasSuffix(line, " --\n") {
			flush()
			fields := strings.Fields(strings.TrimSuffix(head, " --\n"))
			name, mode = fields[0], 0o600
			if len(fields) > 1 && fields[1] == "0644" {
				mode = 0o644
			}
			continue
		}
		body.WriteString(line)
	}
	flush()
}

// report loads the config in a folder and returns what is said of it, with paths
// as they are from there.
func report(dir string) string {
	c, err := config.Load(filepath.Join(dir, "sitrep.yml"))
	var lines []config.Problem
	var problems *config.Problems
	switch {
	case errors.As(err, &problems):
		lines = problems.List
	case err != nil:
		return "not problems: " + err.Error() + "\n"
	default:
		lines = c.Warnings
	}
	var b strings.Builder
	for _, p := range lines {
		b.WriteString(strings.ReplaceAll(p.String(), dir+string(filepath.Separator), "") + "\n")
	}
	return b.String()
}

// load loads a config that must be fine.
func load(t testing.TB, path string) *config.Config {
	t.Helper()
	c, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// write puts files, given by name, into a folder and returns the path of
// sitrep.yml in it.
func write(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "sitrep.yml")
}

func TestFileTooLarge(t *testing.T) {
	big := "priorities: [{name: P1}]\n" + strings.Repeat("# no more than a comment\n", (1<<20-25)/25)
	path := write(t, map[string]string{"sitrep.yml": big})
	load(t, path)
	path = write(t, map[string]string{"sitrep.yml": big + strings.Repeat("#", 100)})
	if got, want := report(filepath.Dir(path)), "sitrep.yml: \"sitrep.yml\" is larger than 1024 KiB; split it into several files\n"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestProblemsAsError(t *testing.T) {
	path := write(t, map[string]string{"sitrep.yml": "priorities: [{name: P1}]\nnonsense: 1\nevidence: {}\nslo_labels: []\nincidents: {unknown_after: 1h}\n"})
	_, err := config.Load(path)
	var p *config.Problems
	if !errors.As(err, &p) || len(p.List) != 2 || p.Errors() != 1 {
		t.Fatalf("error is %v", err)
	}
	if want := p.List[0].String() + "\n" + p.List[1].String(); err.Error() != want || !p.List[1].Warning {
		t.Errorf("error reads %q, want %q", err, want)
	}
}
