package main

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strings"
)

// A performance is the page of what was measured.
type performance struct {
	options
	file, database []figure
	details        bytes.Buffer
}

// add adds what a measurement found.
func (p *performance) add(m *measurement, figures []figure, s *sheet) {
	if m.database {
		p.database = append(p.database, figures...)
	} else {
		p.file = append(p.file, figures...)
	}
	fmt.Fprintf(&p.details, "\n## %s\n\n%s\n", m.title, m.about)
	if s.table.Len() > 0 {
		fmt.Fprintf(&p.details, "\n%s", s.table.String())
	}
	if s.lines.Len() > 0 {
		fmt.Fprintf(&p.details, "\n```text\n%s```\n", s.lines.String())
	}
}

// command is the command that makes the page.
func (p *performance) command() string {
	c := fmt.Sprintf("go run ./e2e/load -page docs/performance.md -duration %s", p.duration)
	if p.postgres {
		c += fmt.Sprintf(" -storage postgres -replicas %d", p.replicas)
	}
	if p.only != "" {
		c += " -only " + p.only
	}
	if p.scale != 1 {
		c += fmt.Sprintf(" -scale %g", p.scale)
	}
	return c
}

// bytes is the whole page.
func (p *performance) bytes() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `# How fast it is

Made by `+"`%s`"+` on %s, %d CPUs, %s.
Read ratios: what stands on both sides of a ÷ was measured in one run, by turns or one after the other, on the machine that also ran the clients, the mail server
and the database. What each figure is of stands below; `+"`-only`"+` measures some of them again.
`, p.command(), processor(), runtime.NumCPU(), runtime.Version())
	if p.scale != 1 {
		fmt.Fprintf(&b, "\nThe goals are those of larger stores: all was measured on %g of their size.\n", p.scale)
	}
	for _, part := range []struct {
		about   string
		figures []figure
	}{{"With a file:", p.file}, {"With a PostgreSQL on the same machine:", p.database}} {
		if len(part.figures) > 0 {
			fmt.Fprintf(&b, "\n%s\n\n%s", part.about, figureTable(part.figures))
		}
	}
	b.Write(p.details.Bytes())
	return b.Bytes()
}

// processor names the processor of this machine.
func processor() string {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err == nil {
		for line := range strings.Lines(string(info)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				return strings.TrimSpace(value)
			}
		}
	}
	return runtime.GOARCH
}
