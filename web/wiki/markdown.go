package wiki

import (
	"fmt"
	"io"
	"strings"
)

// Options say what a page shows beyond the promise.
type Options struct {
	// Addresses shows who is in the groups. Without it only their number is shown, as
	// more people read a wiki than sitrep.
	Addresses bool
}

// WriteMarkdown writes the page as GitHub and Confluence understand Markdown. No
// text of the configuration can become markup.
func (p *Page) WriteMarkdown(w io.Writer, o Options) error {
	var b strings.Builder
	b.WriteString("# Incident priorities\n\n")
	fmt.Fprintf(&b, "Made by `sitrep wiki` from configuration %s. Change the configuration, not this page.\n", escape(p.Version))
	b.WriteString("The team on call is told of every incident of its SLOs at once.\n\n")
	row(&b, "Priority", "Meaning", "Informed", "An update at least every", "SLOs")
	rule(&b, 5)
	for _, q := range p.Priorities {
		row(&b, "**"+escape(q.Name)+"**", escape(q.Summary), escape(audienceNames(&q)), escape(orDash(q.UpdateEvery)), fmt.Sprint(q.SLOs))
	}
	for _, q := range p.Priorities {
		q.markdown(&b)
	}
	if len(p.Groups) > 0 {
		b.WriteString("\n## Groups\n\n")
		row(&b, "Group", "Recipients", "Informed as", "Times in", "Nothing is sent")
		rule(&b, 5)
		for _, g := range p.Groups {
			row(&b, escape(g.Name), escape(g.recipients(o)), escape(g.informedAs()), escape(g.Timezone), escape(orDash(strings.Join(g.Quiet, "; "))))
		}
	}
	for _, t := range p.Teams {
		fmt.Fprintf(&b, "\n## SLOs of %s\n\n", escape(t.Name))
		row(&b, "Use case", "Affects", "Priority", "Stakeholders", "SLI", "Service", "SLO", "Runbook")
		rule(&b, 8)
		for _, s := range t.SLOs {
			row(&b, escape(s.UseCase), escape(orDash(s.Affects)), escape(s.Priority), escape(orDash(strings.Join(s.Stakeholders, ", "))),
				escape(s.SLI), escape(s.Service), escape(s.ID), link(s.Runbook))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (q *Priority) markdown(b *strings.Builder) {
	fmt.Fprintf(b, "\n## %s\n", escape(q.title()))
	if len(q.Criteria) > 0 {
		b.WriteString("\nAn incident has this priority if one of these holds:\n\n")
		for _, c := range q.Criteria {
			fmt.Fprintf(b, "- %s\n", escape(c))
		}
	}
	fmt.Fprintf(b, "\n%s\n", escape(q.promise()))
	if len(q.Actions) > 0 {
		b.WriteString("\nTo be done, or waived with a reason, before it is closed:\n\n")
		for _, a := range q.Actions {
			fmt.Fprintf(b, "- %s\n", escape(a.String()))
		}
	}
}

func row(b *strings.Builder, cells ...string) {
	fmt.Fprintf(b, "| %s |\n", strings.Join(cells, " | "))
}

func rule(b *strings.Builder, columns int) { b.WriteString(strings.Repeat("|---", columns) + "|\n") }

// escaper takes the meaning of everything that Markdown, its tables, HTML inside it
// or GitHub's formulas give one.
var escaper = strings.NewReplacer(
	`\`, `\\`, "`", "\\`", "*", `\*`, "_", `\_`, "~", `\~`, "[", `\[`, "]", `\]`, "|", `\|`, "$", `\$`,
	"<", "&lt;", ">", "&gt;", "&", "&amp;",
)

// escape returns one line of text that Markdown shows as it is, wherever it stands.
func escape(s string) string {
	out := escaper.Replace(s)
	// At the start of a block some characters make it a heading, a list or a rule.
	switch {
	case strings.HasPrefix(s, "#"), strings.HasPrefix(s, "+"), strings.HasPrefix(s, "-"), strings.HasPrefix(s, "="):
		return `\` + out
	}
	if i := strings.IndexFunc(out, func(r rune) bool { return r < '0' || r > '9' }); i > 0 && (out[i] == '.' || out[i] == ')') {
		return out[:i] + `\` + out[i:]
	}
	return out
}

// link returns a link that can stand in a table; empty without a URL.
func link(url string) string {
	if url == "" {
		return "–"
	}
	return "[runbook](<" + strings.NewReplacer("|", "%7C", "[", "%5B", "]", "%5D").Replace(url) + ">)"
}
