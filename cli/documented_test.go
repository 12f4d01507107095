package cli

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/alecthomas/kingpin/v2"
)

var (
	spanOfCode = regexp.MustCompile("`sitrep ([^`\n]+)`")
	fencedLine = regexp.MustCompile("^sitrep (.+)$")
	apart      = regexp.MustCompile("^(?:#   |    ) *sitrep (.+)$")
	remark     = regexp.MustCompile(`\s+# .*$`)
)

// documented returns the command lines of a page, without the name of the program: those in blocks and spans of code,
// and those that stand apart in a comment.
func documented(text string) (lines []string) {
	fenced := false
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		switch {
		case strings.HasPrefix(line, "```"):
			fenced = !fenced
			continue
		case fenced:
			if m := fencedLine.FindStringSubmatch(line); m != nil {
				lines = append(lines, m[1])
			}
			continue
		}
		if m := apart.FindStringSubmatch(line); m != nil {
			lines = append(lines, m[1])
			continue
		}
		for _, m := range spanOfCode.FindAllStringSubmatch(line, -1) {
			lines = append(lines, m[1])
		}
	}
	return lines
}

// TestDocumentedCommandsExist: each command and each flag that a page names is one of the program.
func TestDocumentedCommandsExist(t *testing.T) {
	t.Parallel()
	parser := kingpin.New("sitrep", "")
	declareAll(parser, Environment{Getenv: func(string) string { return "" }, Stdout: io.Discard, Stderr: io.Discard})
	model := parser.Model()
	found := 0
	err := filepath.WalkDir("..", func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if file != ".." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(file, ".md") && !strings.HasPrefix(file, "../contrib/") || strings.HasSuffix(file, ".json") {
			return nil
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		for _, line := range documented(string(text)) {
			found++
			for _, wrong := range undeclared(line, model) {
				t.Errorf("%s: sitrep %s: there is no %s", file, line, wrong)
			}
		}
		return nil
	})
	if err != nil || found < 60 {
		t.Errorf("%d commands: %v", found, err)
	}
}

// flagNames finds the names of flags in a command line, with a value or without.
var flagNames = regexp.MustCompile(`(?:^|[ \[(])(--[a-z][a-z.-]*[a-z])`)

// undeclared returns what of a command line, which may name alternatives with | between, is none of the program's.
func undeclared(line string, model *kingpin.ApplicationModel) (wrong []string) {
	line = remark.ReplaceAllString(line, "")
	if name, _, another := strings.Cut(line, " | "); another {
		line = name
	}
	groups := []*kingpin.FlagGroupModel{model.FlagGroupModel}
	next := model.Commands
	for _, word := range strings.Fields(line) {
		if len(next) == 0 || strings.HasPrefix(word, "-") || strings.HasPrefix(word, "[") {
			break
		}
		var at []*kingpin.CmdModel
		for name := range strings.SplitSeq(strings.TrimSuffix(word, ","), "|") {
			known := false
			for _, c := range next {
				if c.Name == name {
					at, known = append(at, c), true
				}
			}
			if !known && regexp.MustCompile(`^[a-z][a-z-]*$`).MatchString(name) {
				return append(wrong, "command "+name)
			}
		}
		next = nil
		for _, c := range at {
			groups, next = append(groups, c.FlagGroupModel), c.Commands
		}
	}
	for _, c := range next { // "sitrep audit … --storage" is of those below
		groups = append(groups, c.FlagGroupModel)
	}
	for _, m := range flagNames.FindAllStringSubmatch(line, -1) {
		known := m[1] == "--help" || m[1] == "--version"
		for _, g := range groups {
			for _, f := range g.Flags {
				known = known || "--"+f.Name == m[1]
			}
		}
		if !known {
			wrong = append(wrong, "flag "+m[1])
		}
	}
	return wrong
}

func TestCommandsThatDoNotExistAreFound(t *testing.T) {
	t.Parallel()
	parser := kingpin.New("sitrep", "")
	declareAll(parser, Environment{Getenv: func(string) string { return "" }, Stdout: io.Discard, Stderr: io.Discard})
	for line, want := range map[string]string{
		"audit verify evidence.zip --key KEY":               "",
		"audit verfy evidence.zip":                          "command verfy",
		"incident events|breaches INC-42":                   "",
		"incident events|breeches INC-42":                   "command breeches",
		"storage backup [--url URL] --outputs FILE":         "flag --outputs",
		"check sitrep.yml --rules 'rules/*.yml' [--nothing": "flag --nothing",
		"--version": "",
	} {
		if got := strings.Join(undeclared(line, parser.Model()), ", "); got != want {
			t.Errorf("%s: found %q, want %q", line, got, want)
		}
	}
}
