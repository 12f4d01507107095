package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/alecthomas/kingpin/v2"

	"sitrep/chain"
	"sitrep/config"
	"sitrep/config/importer"
	"sitrep/wording"
)

// importFlags are the flags of import.
type importFlags struct {
	output string
	diff   bool
	labels []string
	choice importer.Choice
	files  []string
}

func declareImport(parser *kingpin.Application, env Environment, commands map[string]command) {
	f := &importFlags{}
	cmd := parser.Command("import", "Write files of teams from specs of Sloth, Pyrra and OpenSLO and from rules of Prometheus. Only what is not there yet is added; priorities are left to choose.")
	cmd.Flag("output", "The folder of the teams' files.").Default("slos").StringVar(&f.output)
	cmd.Flag("diff", "Print what would change, and write nothing. Exit 1 if something would.").BoolVar(&f.diff)
	cmd.Flag("team", "The team of SLOs for which the files name none; default is their service.").StringVar(&f.choice.Team)
	cmd.Flag("stakeholders", "A group that new files name as stakeholders; may be repeated. Without it that is left to choose.").StringsVar(&f.choice.Stakeholders)
	cmd.Flag("slo-label", "A label whose value is the id of an SLO, beyond those that sitrep knows (slo_labels); may be repeated.").StringsVar(&f.labels)
	cmd.Arg("files", "Specs and rules, as rules/*.yml.").Required().StringsVar(&f.files)
	commands[cmd.FullCommand()] = func(context.Context) error { return runImport(env, f) }
}

// runImport adds to the teams' files what they lack. It finds something if a file could not be
// read, or if there is something to add and it may only say so.
func runImport(env Environment, f *importFlags) error {
	src := &importer.Source{IDLabels: (&config.Config{SLOLabels: f.labels}).IDLabels()}
	if err := eachFile(f.files, "file", src.Parse); err != nil {
		return err
	}
	objectives := src.Objectives()
	failed := false
	for i := range src.Findings {
		failed = failed || src.Findings[i].Severity == chain.Error
		fmt.Fprintln(env.Stderr, oneLine(src.Findings[i].String()))
	}
	if failed {
		return errFound // a part is worse than nothing: who looks again would not see what lacks
	}
	files, err := teamFiles(f.output)
	if err != nil {
		return err
	}
	changes, err := importer.Merge(f.output, files, objectives, f.choice)
	if err != nil {
		return err
	}
	added := 0
	for _, c := range changes {
		added += len(c.IDs)
		if f.diff {
			printDiff(env.Stdout, c)
			continue
		}
		if err := putChange(c); err != nil {
			return err
		}
		fmt.Fprintf(env.Stdout, "%s: %s added: %s\n", oneLine(c.Name), wording.Count(len(c.IDs), "SLO"), oneLine(strings.Join(c.IDs, ", ")))
	}
	if f.diff {
		if added > 0 {
			return errFound
		}
		return nil
	}
	fmt.Fprintf(env.Stdout, "%s found, %d added, %d there already\n", wording.Count(len(objectives), "SLO"), added, len(objectives)-added)
	if added > 0 {
		fmt.Fprintln(env.Stdout, "Choose the priorities; sitrep check says where.")
	}
	return nil
}

// teamFiles reads the teams' files in a folder. There may be none yet, and no folder.
func teamFiles(folder string) ([]importer.File, error) {
	entries, err := os.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var files []importer.File
	for _, e := range entries {
		if ext := filepath.Ext(e.Name()); !slices.Contains([]string{".yml", ".yaml"}, ext) || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		name := filepath.Join(folder, e.Name())
		text, err := readBounded(name)
		if err != nil {
			return nil, err
		}
		files = append(files, importer.File{Name: name, Text: text})
	}
	return files, nil
}

// putChange writes a change, in place of what is there.
func putChange(c importer.Change) error {
	mode := fs.FileMode(0o644)
	name := c.Name
	if c.Before == nil {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
	} else {
		real, err := filepath.EvalSymlinks(name) // a link stays one
		if err != nil {
			return err
		}
		info, err := os.Stat(real)
		if err != nil {
			return err
		}
		name, mode = real, info.Mode().Perm()
	}
	err := write(name, io.Discard, func(w io.Writer) error {
		_, err := w.Write(c.After)
		return err
	})
	if err != nil {
		return err
	}
	return os.Chmod(name, mode)
}

// printDiff prints a change as a unified diff. What is added stands in one piece.
func printDiff(out io.Writer, c importer.Change) {
	const context = 3
	before, after := splitLines(c.Before), splitLines(c.After)
	start := 0
	for start < len(before) && start < len(after) && before[start] == after[start] {
		start++
	}
	rest := 0
	for rest < len(before)-start && rest < len(after)-start && before[len(before)-1-rest] == after[len(after)-1-rest] {
		rest++
	}
	from, oldEnd, newEnd := max(0, start-context), min(len(before), len(before)-rest+context), min(len(after), len(after)-rest+context)
	old := c.Name
	if c.Before == nil {
		old = "/dev/null"
	}
	first := from + 1
	if oldEnd == from {
		first = from
	}
	fmt.Fprintf(out, "--- %s\n+++ %s\n@@ -%d,%d +%d,%d @@\n", oneLine(old), oneLine(c.Name), first, oldEnd-from, from+1, newEnd-from)
	show := func(mark string, lines []string) {
		for _, l := range lines {
			text := strings.TrimRight(l, "\r\n")
			fmt.Fprintln(wording.Shown(out), mark+text)
			if !strings.HasSuffix(l, "\n") {
				fmt.Fprintln(out, `\ No newline at end of file`)
			}
		}
	}
	show(" ", before[from:start])
	show("-", before[start:len(before)-rest])
	show("+", after[start:len(after)-rest])
	show(" ", before[len(before)-rest:oldEnd])
}

func splitLines(text []byte) []string {
	lines := strings.SplitAfter(string(text), "\n")
	if lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	return lines
}
