package cli

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"sitrep/internal/golden"

	"github.com/alecthomas/kingpin/v2"
)

// TestReferenceOfFlagsIsTrue keeps the page of all commands and flags at what the parser knows.
func TestReferenceOfFlagsIsTrue(t *testing.T) {
	t.Parallel()
	parser := kingpin.New("sitrep", "")
	declareAll(parser, Environment{Getenv: func(string) string { return "" }, Stdout: io.Discard, Stderr: io.Discard})
	var b bytes.Buffer
	b.WriteString("# Commands and flags\n\nMade from the program by `go generate ./docs`; a test fails where they differ. [command-line.md](../command-line.md) says what they are for.\n" +
		"Flags may stand anywhere. `--help` is known to each command, `--version` to `sitrep`.\n")
	for _, c := range parser.Model().Commands {
		referenceOf(&b, "sitrep", c, nil)
	}
	const page = "../docs/reference/command-line.md"
	golden.Compare(t, page, b.Bytes())
}

// referenceOf writes what a command takes, or those below it. The flags are those that all
// of them share.
func referenceOf(b *bytes.Buffer, parent string, c *kingpin.CmdModel, shared []*kingpin.FlagModel) {
	if c.Hidden {
		return
	}
	name := parent + " " + c.Name
	flags := append(append([]*kingpin.FlagModel{}, shared...), c.Flags...)
	if len(c.Commands) > 0 {
		for _, below := range c.Commands {
			referenceOf(b, name, below, flags)
		}
		return
	}
	fmt.Fprintf(b, "\n## %s\n\n%s\n", name, cell(c.Help))
	head := "\n| | default | meaning |\n|---|---|---|\n"
	for _, a := range c.Args {
		text := a.Name
		if a.PlaceHolder != "" {
			text = a.PlaceHolder
		}
		if !a.Required {
			text = "[" + text + "]"
		}
		fmt.Fprintf(b, "%s| `%s` | | %s |\n", head, text, cell(a.Help))
		head = ""
	}
	for _, f := range flags {
		if f.Hidden || f.Name == "help" {
			continue
		}
		text := "--" + f.Name
		if !f.IsBoolFlag() {
			text += "=…"
		}
		if f.Short != 0 {
			text = "-" + string(f.Short) + ", " + text
		}
		def := ""
		if len(f.Default) > 0 && !f.IsBoolFlag() && f.Default[0] != "" {
			def = "`" + strings.Join(f.Default, "`, `") + "`"
		}
		if f.Required {
			def = "required"
		}
		if f.Envar != "" {
			def = strings.TrimLeft(def+", else `"+f.Envar+"`", ", ")
		}
		fmt.Fprintf(b, "%s| `%s` | %s | %s |\n", head, text, def, cell(f.Help))
		head = ""
	}
}

// cell is a text as the cell of a table takes it.
func cell(text string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(text), " "), "|", `\|`)
}
