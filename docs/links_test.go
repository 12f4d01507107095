package docs_test

import (
	"go/ast"
	"go/build"
	"go/doc"
	"go/doc/comment"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Packages are what packages declare and say of themselves, by their import paths.
type packages map[string]*doc.Package

// load reads the package in a folder, without its tests; nil if there is none.
func load(t *testing.T, dir, path string) *doc.Package {
	t.Helper()
	set := token.NewFileSet()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var files []*ast.File
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		f, err := parser.ParseFile(set, filepath.Join(dir, e.Name()), nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		if len(files) == 0 || f.Name.Name == files[0].Name.Name {
			files = append(files, f)
		}
	}
	if len(files) == 0 {
		return nil
	}
	p, err := doc.NewFromFiles(set, files, path, doc.AllDecls|doc.PreserveAST)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// linked returns the names of others that a comment names in brackets, as go doc and
// editors read it.
func linked(text string) []*comment.DocLink {
	all := &comment.Parser{
		LookupPackage: func(name string) (string, bool) { return name, true },
		LookupSym:     func(string, string) bool { return true },
	}
	var links []*comment.DocLink
	var texts func([]comment.Text)
	texts = func(ts []comment.Text) {
		for _, t := range ts {
			switch t := t.(type) {
			case *comment.DocLink:
				links = append(links, t)
			case *comment.Link:
				texts(t.Text)
			}
		}
	}
	var blocks func([]comment.Block)
	blocks = func(bs []comment.Block) {
		for _, b := range bs {
			switch b := b.(type) {
			case *comment.Heading:
				texts(b.Text)
			case *comment.Paragraph:
				texts(b.Text)
			case *comment.List:
				for _, i := range b.Items {
					blocks(i.Content)
				}
			}
		}
	}
	blocks(all.Parse(text).Content)
	return slices.DeleteFunc(links, func(l *comment.DocLink) bool { return l.Name == "" })
}

// resolves reports whether a link in a comment of the package leads somewhere. Of other
// people's packages it is enough that the package is imported.
func (p packages) resolves(t *testing.T, from *doc.Package, l *comment.DocLink) bool {
	t.Helper()
	if l.ImportPath == "" {
		return from.Parser().LookupSym(l.Recv, l.Name)
	}
	path := l.ImportPath
	if p[path] == nil {
		var ok bool
		if path, ok = from.Parser().LookupPackage(path); !ok {
			return false
		}
	}
	if p[path] == nil {
		dir := filepath.Join(build.Default.GOROOT, "src", filepath.FromSlash(path))
		if _, err := os.Stat(dir); err != nil {
			return true
		}
		p[path] = load(t, dir, path)
	}
	return p[path] != nil && p[path].Parser().LookupSym(l.Recv, l.Name)
}

// ours reads all packages of the module.
func ours(t *testing.T) packages {
	t.Helper()
	all := packages{}
	for dir := range sources(t) {
		all["sitrep/"+dir] = load(t, filepath.Join("..", dir), "sitrep/"+dir)
	}
	return all
}

// TestLinksInCommentsResolve: a name in brackets is a link in go doc and in editors, as
// long as what it names is there.
func TestLinksInCommentsResolve(t *testing.T) {
	all := ours(t)
	found := 0
	for dir := range sources(t) {
		set := token.NewFileSet()
		files, err := filepath.Glob(filepath.Join("..", dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			f, err := parser.ParseFile(set, file, nil, parser.ParseComments|parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			for _, group := range f.Comments {
				for _, l := range linked(group.Text()) {
					found++
					if !all.resolves(t, all["sitrep/"+dir], l) {
						t.Errorf("%s: [%s] leads nowhere", set.Position(group.Pos()), strings.Trim(l.ImportPath+"."+l.Recv+"."+l.Name, "."))
					}
				}
			}
		}
	}
	if found < 50 {
		t.Errorf("only %d links are in comments", found)
	}
}

func TestLinksThatLeadNowhereAreFound(t *testing.T) {
	all := ours(t)
	for text, want := range map[string]bool{
		"see [Incident.Apply]":                   true,
		"see [Situation.Subscriptions]":          true,
		"see [*Situation.Plan]":                  true,
		"see [AudienceOnCall]":                   true,
		"see [time.Duration]":                    true,
		"see [sitrep/storage.Change.Reads]":      false,
		"see [sitrep/storage.Repository.Change]": true,
		"see [sitrep/storage.Store.Read]":        true,
		"see [Incident.Aply]":                    false,
		"see [Insident]":                         false,
		"see [time.Durations]":                   false,
		"see [storage.Gate]":                     false, // not imported there
		"- one\n- see [Insident]":                false,
	} {
		links := linked(text)
		if len(links) != 1 {
			t.Errorf("%q has %d links", text, len(links))
			continue
		}
		if got := all.resolves(t, all["sitrep/incident"], links[0]); got != want {
			t.Errorf("%q resolves: %t, want %t", text, got, want)
		}
	}
	for _, text := range []string{"keys[i] and map[string]T", "a [word] in brackets", "as in\n\n\t[Code]\n"} {
		if links := linked(text); len(links) > 0 {
			t.Errorf("%q has a link", text)
		}
	}
}
