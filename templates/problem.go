package templates

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/template/parse"
)

// A place is where in which of the files something stands; file is negative if that is not known.
type place struct{ file, line, column int }

// parseName is how errors of the parser name a file: by its number, as names can hold colons.
func parseName(file int) string { return "file" + strconv.Itoa(file) }

var (
	located   = regexp.MustCompile(`(?s)^(?:html/)?template: ?file(\d+):(\d+)(?::(\d+))?: (.*)$`)
	executing = regexp.MustCompile(`(?s)^executing "[^"]*" at (<.*?>): (.*)$`)
	calling   = regexp.MustCompile(`(?s)^error calling \w+: (.*)$`)
	noField   = regexp.MustCompile(`^can't evaluate field (\w+) in type (\S+)$`)
	noFunc    = regexp.MustCompile(`^function "(\w+)" not defined$`)
	contexts  = regexp.MustCompile(`(?s):? \{state.*$`)
	nilField  = regexp.MustCompile(`^nil pointer evaluating \*templates\.(\w+)\.(\w+)$`)
)

// parsing is a problem of a file that cannot be read as templates.
func (p *parser) parsing(at place, what string) {
	const what0 = "this is no template: "
	switch name := noFunc.FindStringSubmatch(what); {
	case name != nil:
		p.unknown(at.file, at, name[1], slices.Sorted(maps.Keys(public)), "there is no function %s", name[1])
	case strings.HasSuffix(what, "unexpected EOF"):
		p.problem(at.file, at, what0+"it ends before {{end}}; each define, if, range and with needs one")
	default:
		p.problem(at.file, at, what0+"%s; look at what stands between {{ and }} here", what)
	}
}

// positionOf is where a node of a template stands.
func positionOf(t *parse.Tree, n parse.Node) place {
	where, _ := t.ErrorContext(n)
	m := located.FindStringSubmatch("template: " + where + ": ")
	if m == nil {
		return place{file: -1}
	}
	return placeOf(m)
}

func placeOf(m []string) place {
	p := place{file: number(m[1]), line: number(m[2])}
	if m[3] != "" {
		p.column = number(m[3]) + 1
	}
	return p
}

func number(s string) int {
	n, _ := strconv.Atoi(s)
	return n
}

// explain returns where an error of parsing or executing is, and what it says without that.
func (s *Set) explain(err error) (place, string) {
	m := located.FindStringSubmatch(err.Error())
	if m == nil {
		return place{file: -1}, strings.TrimPrefix(err.Error(), "html/template:")
	}
	p, what := placeOf(m), m[4]
	if p.column == 0 && p.file < len(s.files) {
		// The parser names the line alone.
		lines := strings.Split(s.files[p.file].Text, "\n")
		if p.line = min(max(p.line, 1), len(lines)); p.line > 0 {
			p.column = 1 + max(strings.Index(lines[p.line-1], "{{"), 0)
		}
	}
	return p, what
}

// failure makes a *Failure of an error of executing a template.
func (s *Set) failure(name string, err error) *Failure {
	var known *Failure
	if errors.As(err, &known) {
		return known
	}
	p, what := s.explain(err)
	if p.file < 0 {
		p = positionOf(s.trees[name], s.trees[name].Root)
	}
	out := &Failure{Template: name, Problem: Problem{File: p.file, Line: p.line, Column: p.column}, cause: err}
	if p.file >= 0 && p.file < len(s.files) {
		out.file = s.files[p.file].Name
	}
	q := &out.Problem
	at := ""
	if m := executing.FindStringSubmatch(what); m != nil {
		at, what = m[1], m[2]
	}
	if strings.Contains(at, stepFunc) || errors.Is(err, errSteps) {
		q.Text = errSteps.Error()
		return out
	}
	if strings.Contains(at, textFunc) {
		at = ""
	}
	if m := calling.FindStringSubmatch(what); m != nil {
		what = m[1]
	}
	if htmlOnly := contexts.FindString(what); htmlOnly != "" && name == MailHTML {
		what = strings.TrimSuffix(what, htmlOnly) + " of HTML; close in each branch what it opens, and at the end all tags and quotation marks"
	}
	switch field, null := noField.FindStringSubmatch(what), nilField.FindStringSubmatch(what); {
	case field != nil:
		q.Text = fmt.Sprintf("there is no field %s in a %s", field[1], strings.TrimPrefix(strings.TrimPrefix(field[2], "*"), "templates."))
		q.Unknown, q.Known = field[1], fieldsOf(field[2])
	case null != nil:
		q.Text = fmt.Sprintf("%s: not each message has this %s; put it between {{with …}} and {{end}}", at, null[1])
	case at != "":
		q.Text = at + ": " + what
	default:
		q.Text = what
	}
	return out
}

// types are all that templates are given.
var types = []reflect.Type{
	reflect.TypeFor[Message](), reflect.TypeFor[Incident](), reflect.TypeFor[Priority](), reflect.TypeFor[Breaches](), reflect.TypeFor[News](),
	reflect.TypeFor[Change](), reflect.TypeFor[Word](), reflect.TypeFor[Action](), reflect.TypeFor[Alert](), reflect.TypeFor[Count](),
	reflect.TypeFor[Watchdog](), reflect.TypeFor[Canary](), reflect.TypeFor[Time](),
}

// fieldsOf returns the fields and methods of a type that templates are given, by its name.
func fieldsOf(name string) []string {
	for _, t := range types {
		if strings.TrimPrefix(name, "*") != t.String() {
			continue
		}
		var all []string
		for _, f := range reflect.VisibleFields(t) {
			if f.IsExported() && !f.Anonymous {
				all = append(all, f.Name)
			}
		}
		for i := range reflect.PointerTo(t).NumMethod() {
			all = append(all, reflect.PointerTo(t).Method(i).Name)
		}
		slices.Sort(all)
		return all
	}
	return nil
}
