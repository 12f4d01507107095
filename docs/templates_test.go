package docs_test

import (
	"fmt"
	"go/ast"
	"go/doc/comment"
	"go/parser"
	"go/token"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sitrep/internal/golden"
	"sitrep/templates"
)

// TestTemplatesAreDocumented: the page says of each field that a template is given what the code says,
// and has each function.
func TestTemplatesAreDocumented(t *testing.T) {
	const file, begin, end = "templates.md", "<!-- from the code -->\n", "<!-- to here -->\n"
	text := read(t, file)
	head, rest, ok := strings.Cut(text, begin)
	if !ok {
		t.Fatalf("%s has no line %q", file, begin)
	}
	_, tail, _ := strings.Cut(rest, end)
	golden.Compare(t, file, []byte(head+begin+"\n"+fieldsOfTemplates(t)+"\n"+end+tail))
}

// fieldsOfTemplates writes all that templates are given as tables.
func fieldsOfTemplates(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	own, words := structsIn(t, "../templates/message.go"), structsIn(t, "../wording/report.go")
	for _, name := range []string{"Message", "Report", "Fact", "Section", "Entry", "Brief", "Incident", "Priority", "Breaches", "News", "Change", "Word", "Action", "Alert", "Count", "Watchdog", "Canary", "Time"} {
		s, ok := own[name]
		title := name
		if !ok {
			s, ok = words[name]
		}
		if !ok {
			t.Fatalf("there is no type %s", name)
		}
		if name == "Report" {
			title = "Words"
		}
		fmt.Fprintf(&b, "### %s\n\n%s\n", title, strings.TrimSpace(plainText(s.doc)))
		if len(s.rows) > 0 {
			b.WriteString("\n| field | is | |\n|---|---|---|\n")
		}
		for _, r := range s.rows {
			if ok := words[name] != nil || r[2] != ""; !ok {
				t.Errorf("%s has no words for %s", name, r[0])
			}
			fmt.Fprintf(&b, "| %s | %s | %s |\n", r[0], r[1], r[2])
		}
		for _, m := range s.methods {
			fmt.Fprintf(&b, "\n`.%s`: %s\n", m[0], m[1])
		}
		b.WriteString("\n")
	}
	b.WriteString("### Functions\n\nBeside those of [text/template](https://pkg.go.dev/text/template#hdr-Functions):\n\n")
	all := templates.Functions()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if !strings.Contains(all[name], name) {
			t.Errorf("the function %s is documented as %s", name, all[name])
		}
		fmt.Fprintf(&b, "- %s\n", all[name])
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// A documented is a struct as its source says.
type documented struct {
	doc     string
	rows    [][3]string // names, type and comment
	methods [][2]string // name and comment
}

// structsIn reads the exported structs of a file.
func structsIn(t *testing.T, file string) map[string]*documented {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]*documented{}
	for _, d := range f.Decls {
		decl, ok := d.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, spec := range decl.Specs {
			ts, ok := spec.(*ast.TypeSpec)
			if !ok {
				continue
			}
			st, ok := ts.Type.(*ast.StructType)
			if !ok {
				continue
			}
			s := &documented{doc: decl.Doc.Text()}
			all[ts.Name.Name] = s
			for _, field := range st.Fields.List {
				var names []string
				for _, n := range field.Names {
					if n.IsExported() {
						names = append(names, "`."+n.Name+"`")
					}
				}
				says := strings.TrimSpace(field.Doc.Text() + field.Comment.Text())
				if len(names) > 0 {
					s.rows = append(s.rows, [3]string{strings.Join(names, ", "), typeName(field.Type), oneLine(says)})
				}
			}
		}
	}
	for _, d := range f.Decls {
		m, ok := d.(*ast.FuncDecl)
		if !ok || m.Recv == nil || !m.Name.IsExported() {
			continue
		}
		of := typeName(m.Recv.List[0].Type)
		of = strings.Trim(strings.NewReplacer("[", "", "]", "").Replace(strings.Split(of, "(")[0]), "` ")
		if s := all[of]; s != nil && !slices.Contains([]string{"Within", "Text", "String", "MarshalText"}, m.Name.Name) {
			s.methods = append(s.methods, [2]string{m.Name.Name, oneLine(m.Doc.Text())})
		}
	}
	return all
}

// typeName is a type in a word, with a link to its table.
func typeName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		switch e.Name {
		case "string":
			return "text"
		case "int", "int64":
			return "number"
		case "bool":
			return "true or false"
		}
		return fmt.Sprintf("[%s](#%s)", e.Name, strings.ToLower(e.Name))
	case *ast.StarExpr:
		return typeName(e.X)
	case *ast.ArrayType:
		return "list of " + typeName(e.Elt)
	case *ast.MapType:
		return "text by name"
	}
	return "?"
}

func oneLine(s string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(plainText(s)), " "), "|", "\\|")
}

// plainText is a comment of Go without its links.
func plainText(s string) string {
	var p comment.Parser
	p.LookupPackage = func(name string) (string, bool) { return name, true }
	p.LookupSym = func(string, string) bool { return true }
	doc := p.Parse(s)
	var pr comment.Printer
	pr.TextWidth = -1
	return string(pr.Text(doc))
}

var shownTemplates = regexp.MustCompile("(?ms)^```\n(\\{\\{define.*?)^```$")

// TestThePageOfTemplatesIsTrue: what it shows as templates are some.
func TestThePageOfTemplatesIsTrue(t *testing.T) {
	found := 0
	for _, m := range shownTemplates.FindAllStringSubmatch(read(t, "templates.md"), -1) {
		piece := m[1]
		found++
		set, problems := templates.Parse([]templates.File{{Name: "templates.md", Text: piece}})
		if problems == nil {
			problems = set.Check(nil)
		}
		for _, p := range problems {
			t.Errorf("%+v in\n%s", p, piece)
		}
	}
	if found == 0 {
		t.Error("it shows no template")
	}
}
