// Package templates gives messages words and looks of one's own. A file of templates defines any
// of mail.subject, mail.text, mail.html, slack, teams and mattermost, in the language of
// text/template, over one [Message]; mail.html is escaped as html/template does it, and what the
// chats read is JSON. Functions that Alertmanager's templates have too are called the same and do the
// same; its package is not used, as others of its functions read the clock or pass HTML on as it is,
// and none is bounded.
//
// A template is trusted no further than with what it says: it is given what the readers of the
// message may know, and functions that read no file, no environment, no clock and no network. What it
// does is counted and what it writes is bounded, so that one that never ends does, with an error.
// [Set.Check] tries each with samples of all messages; what fails later nevertheless is an error of
// one message, which then has sitrep's own words.
package templates

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"text/template/parse"
)

// The templates that messages are made by.
const (
	MailSubject = "mail.subject"
	MailText    = "mail.text"
	MailHTML    = "mail.html"
)

// names are all templates that messages are made by, those of chats by the formats of webhooks.
var names = []string{MailSubject, MailText, MailHTML, "slack", "teams", "mattermost"}

// Names returns the names of the templates that can be defined.
func Names() []string { return slices.Clone(names) }

// MostBytes is how much all files may hold together.
const MostBytes = 256 << 10

// A File is one of templates.
type File struct {
	Name string // for people
	Text string
}

// A Problem is one thing that is wrong with a template.
type Problem struct {
	File int // which of the files
	// Line and Column count from 1, the latter in bytes; both are 0 if it is about the file as a whole.
	Line, Column int
	// Text says what is wrong, and, but where Unknown is set, what would be right.
	Text string
	// Unknown is a name that is none, where one of Known would be right.
	Unknown string
	Known   []string
}

// A Set is all templates of a configuration. It is never changed, but for what it keeps to be
// faster, and is safe for concurrent use. A nil Set has none.
type Set struct {
	files []File
	trees map[string]*parse.Tree
	// Failed is told of each message that a template failed for, if it is set before the Set is
	// used. The message goes out in sitrep's own words.
	Failed func(*Failure)

	idle sync.Pool // *run
}

// A Failure is why a template could not make a message.
type Failure struct {
	Template string // its name
	Problem  Problem
	file     string
	cause    error
}

// Error says where and why.
func (f *Failure) Error() string { return f.Place() + ": " + f.Template + ": " + f.Problem.Text }

// Unwrap returns the error of the template.
func (f *Failure) Unwrap() error { return f.cause }

// Place returns where in which file.
func (f *Failure) Place() string {
	if f.Problem.Line == 0 {
		return f.file
	}
	return fmt.Sprintf("%s:%d:%d", f.file, f.Problem.Line, f.Problem.Column)
}

// Defines reports whether there is a template of that name.
func (s *Set) Defines(name string) bool {
	return s != nil && s.trees[name] != nil
}

// Telling returns the same templates, with another who is told of failures; nil is nobody. A nil Set
// stays nil.
func (s *Set) Telling(failed func(*Failure)) *Set {
	if s == nil {
		return nil
	}
	return &Set{files: s.files, trees: s.trees, Failed: failed}
}

// Fail tells of a failure whoever wants to know.
func (s *Set) Fail(err error) {
	if f, ok := err.(*Failure); ok && s.Failed != nil { //nolint:errorlint // it comes from Mail or Chat, and is never wrapped
		s.Failed(f)
	}
}

// Parse reads files of templates. What is wrong with them is found as far as it can be without
// running them; with any problem the Set is nil. Without files it is, too.
func Parse(files []File) (*Set, []Problem) {
	if len(files) == 0 {
		return nil, nil
	}
	p := &parser{set: &Set{files: files, trees: map[string]*parse.Tree{}}, defined: map[string]int{}}
	for i := range files {
		p.file(i)
	}
	if p.problems == nil {
		p.calls()
	}
	if p.problems != nil {
		slices.SortStableFunc(p.problems, func(a, b Problem) int {
			return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
		})
		return nil, p.problems
	}
	for _, t := range p.set.trees {
		sift(t)
		meter(t)
	}
	return p.set, nil
}

// A parser reads files, and finds what is wrong with them.
type parser struct {
	set      *Set
	defined  map[string]int // in which file
	problems []Problem
}

func (p *parser) problem(file int, at place, format string, args ...any) {
	p.problems = append(p.problems, Problem{File: file, Line: at.line, Column: at.column, Text: fmt.Sprintf(format, args...)})
}

// unknown is problem for a name that is none of those known.
func (p *parser) unknown(file int, at place, name string, known []string, format string, args ...any) {
	p.problem(file, at, format, args...)
	last := &p.problems[len(p.problems)-1]
	last.Unknown, last.Known = name, known
}

// file reads one file.
func (p *parser) file(i int) {
	text := p.set.files[i].Text
	trees, err := parse.Parse(parseName(i), text, "", "", stubs)
	if err != nil {
		at, what := p.set.explain(err)
		if at.file < 0 {
			at.file = i
		}
		p.parsing(at, what)
		return
	}
	for _, name := range slices.Sorted(maps.Keys(trees)) {
		t := trees[name]
		at := positionOf(t, t.Root)
		if name == parseName(i) {
			for _, n := range t.Root.Nodes {
				if text, ok := n.(*parse.TextNode); !ok || strings.TrimSpace(string(text.Text)) != "" {
					p.problem(i, positionOf(t, n), "this stands outside of a template, and is never sent; put it between {{define %q}} and {{end}}, or into {{/* a comment */}}", MailText)
					break
				}
			}
			continue
		}
		if before, ok := p.defined[name]; ok {
			p.problem(i, at, "%q is defined in %s already; keep one", name, p.set.files[before].Name)
			continue
		}
		p.defined[name], p.set.trees[name] = i, t
	}
}

// calls looks at which template runs which: those that run must be there, none may run itself, and
// each must be of use to a message.
func (p *parser) calls() {
	runs := map[string][]string{}
	defined := slices.Sorted(maps.Keys(p.set.trees))
	for _, name := range defined {
		t := p.set.trees[name]
		walk(t.Root, func(n parse.Node) {
			call, ok := n.(*parse.TemplateNode)
			switch {
			case !ok:
			case p.set.trees[call.Name] == nil:
				p.unknown(p.defined[name], positionOf(t, n), call.Name, defined, "no template %q is defined", call.Name)
			default:
				runs[name] = append(runs[name], call.Name)
			}
		})
	}
	useful := map[string]bool{}
	for _, name := range names {
		reach(runs, name, useful)
	}
	for _, name := range defined {
		t := p.set.trees[name]
		below := map[string]bool{}
		for _, next := range runs[name] {
			reach(runs, next, below)
		}
		switch at := positionOf(t, t.Root); {
		case below[name]:
			p.problem(p.defined[name], at, "%q runs itself, which may never end; use range", name)
		case !useful[name]:
			p.unknown(p.defined[name], at, name, names, "no message is made by a template %q, and none of those runs it", name)
		}
	}
}

// reach adds a template, and all that it runs, to those reached.
func reach(runs map[string][]string, name string, reached map[string]bool) {
	if reached[name] {
		return
	}
	reached[name] = true
	for _, next := range runs[name] {
		reach(runs, next, reached)
	}
}

// walk visits a node and all below it.
func walk(n parse.Node, visit func(parse.Node)) {
	visit(n)
	list := func(l *parse.ListNode) {
		if l != nil {
			walk(l, visit)
		}
	}
	pipe := func(p *parse.PipeNode) {
		if p != nil {
			walk(p, visit)
		}
	}
	branch := func(b *parse.BranchNode) {
		pipe(b.Pipe)
		list(b.List)
		list(b.ElseList)
	}
	switch n := n.(type) {
	case *parse.ListNode:
		for _, m := range n.Nodes {
			walk(m, visit)
		}
	case *parse.ActionNode:
		pipe(n.Pipe)
	case *parse.PipeNode:
		for _, c := range n.Cmds {
			walk(c, visit)
		}
	case *parse.CommandNode:
		for _, a := range n.Args {
			walk(a, visit)
		}
	case *parse.ChainNode:
		walk(n.Node, visit)
	case *parse.TemplateNode:
		pipe(n.Pipe)
	case *parse.IfNode:
		branch(&n.BranchNode)
	case *parse.RangeNode:
		branch(&n.BranchNode)
	case *parse.WithNode:
		branch(&n.BranchNode)
	}
}
