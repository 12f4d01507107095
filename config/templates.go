package config

import (
	"os"
	"slices"
	"strings"

	"sitrep/incident"
	"sitrep/templates"
)

// OwnTemplates returns what is in the files of templates; nil if there are none.
func (c *Config) OwnTemplates() *templates.Set { return c.own }

// openTemplates reads the files of templates that the main file names, each once, and tries them with
// samples of all messages.
func (l *loading) openTemplates(main *source, c *Config) {
	var orders []int // of the files, beside c.TemplateFiles
	size := 0
	before := len(l.problems)
	for i, text := range c.Templates {
		path := elem("templates", i)
		for _, f := range l.filesOf(main, path, text, "templates/*.tmpl") {
			if slices.ContainsFunc(c.TemplateFiles, func(t templates.File) bool { return t.Name == f.name }) {
				continue
			}
			order := l.files
			l.files++
			switch size += len(f.text); {
			case f.err != nil:
				l.problems = append(l.problems, Problem{File: f.name, Text: oneLineOf(advise(f.err, "look at its name")), order: order})
				continue
			case os.SameFile(f.info, main.info):
				main.errorf(path, "%q matches this file itself; keep templates in a folder of their own", text)
				continue
			}
			c.TemplateFiles, orders = append(c.TemplateFiles, templates.File{Name: f.name, Text: strings.TrimPrefix(string(f.text), "\ufeff")}), append(orders, order)
		}
		if size > templates.MostBytes {
			main.errorf(path, "the files of templates hold more than %d KiB together; let them be fewer", templates.MostBytes>>10)
		}
	}
	if len(c.TemplateFiles) == 0 || slices.ContainsFunc(l.problems[before:], Problem.isError) {
		return
	}
	set, found := templates.Parse(c.TemplateFiles)
	if found == nil {
		c.own = set
		var priorities []incident.Priority
		for i := range c.Priorities {
			priorities = append(priorities, c.Priorities[i].plain(i))
		}
		found = set.Check(priorities)
	}
	for _, p := range found {
		text := p.Text
		if p.Unknown != "" {
			text += "; " + suggest(p.Unknown, p.Known)
		}
		l.problems = append(l.problems, Problem{File: c.TemplateFiles[p.File].Name, Line: p.Line, Column: p.Column, Text: oneLineOf(text), order: orders[p.File]})
	}
}
