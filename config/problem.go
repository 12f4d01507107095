package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// A Problem is one thing that is wrong with the configuration.
type Problem struct {
	File string
	// Line and Column count from 1; both are 0 if it is about the file as a whole.
	Line, Column int
	// Path is where in the structure it is, such as groups[0].email[1]; it may be
	// empty.
	Path string
	// Text says what is wrong, and what would be right.
	Text string
	// Warning is set if the config can be used all the same.
	Warning bool

	order int // of the file
}

// String returns the problem on one line: file:line:column: path: text.
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.position() + ": ")
	if p.Warning {
		b.WriteString("warning: ")
	}
	if p.Path != "" {
		b.WriteString(p.Path)
		b.WriteString(": ")
	}
	b.WriteString(p.Text)
	return b.String()
}

// position returns file:line:column.
func (p Problem) position() string {
	file := oneLineOf(p.File)
	if p.Line == 0 {
		return file
	}
	return fmt.Sprintf("%s:%d:%d", file, p.Line, p.Column)
}

// Problems are all that is wrong with a configuration, at least one of them an
// error, in file order: the main file first, then the teams'.
type Problems struct {
	List []Problem
}

// Error returns all problems, one a line.
func (p *Problems) Error() string {
	lines := make([]string, len(p.List))
	for i, q := range p.List {
		lines[i] = q.String()
	}
	return strings.Join(lines, "\n")
}

// Places returns where the problems are and nothing of what stands there, one a line,
// for those who may not read the files. Beyond the first few it says how many.
func (p *Problems) Places() string {
	const most = 20
	var lines []string
	for _, q := range p.List {
		if !q.Warning && len(lines) < most {
			lines = append(lines, q.Place())
		}
	}
	if more := p.Errors() - len(lines); more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(lines, "\n")
}

// Place returns the problem without what stands there.
func (p Problem) Place() string {
	if p.Warning {
		return p.position() + ": a warning; the log has its text"
	}
	return p.position() + ": a mistake; the log has its text"
}

// Errors returns how many of them are errors.
func (p *Problems) Errors() int {
	n := 0
	for _, q := range p.List {
		if !q.Warning {
			n++
		}
	}
	return n
}

// loading collects the problems of one load.
type loading struct {
	visit    *visit
	problems []Problem
	files    int
	fields   fieldCache
	paths    map[string]int32 // the number of each, see [source.stands]
	secrets  []content        // of the files that the main file names, by path
	matching int              // what the matchers of all files cost so far
}

func (l *loading) failed() bool { return slices.ContainsFunc(l.problems, Problem.isError) }

func (p Problem) isError() bool { return !p.Warning }

// sorted returns the problems in file order, each once.
func (l *loading) sorted() []Problem {
	slices.SortStableFunc(l.problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.order, b.order), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return slices.Compact(l.problems)
}

func (l *loading) result() error { return &Problems{l.sorted()} }
