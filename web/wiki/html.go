package wiki

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"
)

//go:embed page.html.tmpl
var pageTemplate string

// WriteHTML writes the page as one HTML file that loads nothing.
func (p *Page) WriteHTML(w io.Writer, o Options) error {
	t, err := template.New("page").Funcs(template.FuncMap{
		"title":      func(q Priority) string { return q.title() },
		"promise":    func(q Priority) string { return q.promise() },
		"audiences":  func(q Priority) string { return audienceNames(&q) },
		"recipients": func(g Group) string { return g.recipients(o) },
		"informedAs": func(g Group) string { return g.informedAs() },
		"join":       func(items []string, by string) string { return strings.Join(items, by) },
		"orDash":     orDash,
	}).Parse(pageTemplate)
	if err != nil {
		return fmt.Errorf("parse the template of the page: %w", err)
	}
	var b strings.Builder
	if err := t.Execute(&b, p); err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	_, err = io.WriteString(w, b.String())
	return err
}
