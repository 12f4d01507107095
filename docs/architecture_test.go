// Package docs_test checks that the documentation says what is there.
package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
)

// A source is a package of this module, without its tests.
type source struct {
	imports []string        // of ours, as paths in the module
	names   map[string]bool // "New", "(*Repository).Change", "Tx.Hold"
}

// sources reads all packages of the module, by their path in it.
func sources(t *testing.T) map[string]*source {
	t.Helper()
	all := map[string]*source{}
	err := filepath.WalkDir("..", func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if file != ".." && (strings.HasPrefix(name, ".") || name == "testdata") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		dir := strings.TrimPrefix(filepath.ToSlash(filepath.Dir(file)), "../")
		if all[dir] == nil {
			all[dir] = &source{names: map[string]bool{}}
		}
		all[dir].read(f)
		return nil
	})
	if err != nil || len(all) < 10 {
		t.Fatalf("%d packages: %v", len(all), err)
	}
	return all
}

// read takes in what a file imports and declares.
func (s *source) read(f *ast.File) {
	for _, i := range f.Imports {
		p, _ := strconv.Unquote(i.Path.Value)
		if ours, ok := strings.CutPrefix(p, "sitrep/"); ok && !slices.Contains(s.imports, ours) {
			s.imports = append(s.imports, ours)
		}
	}
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			s.names[receiverOf(d)+d.Name.Name] = true
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				if vs, ok := spec.(*ast.ValueSpec); ok {
					for _, n := range vs.Names {
						s.names[n.Name] = true
					}
				}
				ts, ok := spec.(*ast.TypeSpec)
				if !ok {
					continue
				}
				s.names[ts.Name.Name] = true
				if it, ok := ts.Type.(*ast.InterfaceType); ok {
					for _, m := range it.Methods.List {
						for _, n := range m.Names {
							s.names[ts.Name.Name+"."+n.Name] = true
						}
					}
				}
			}
		}
	}
}

// receiverOf returns "(*Repository)." or "Repository.", empty for a function.
func receiverOf(d *ast.FuncDecl) string {
	if d.Recv == nil {
		return ""
	}
	switch e := d.Recv.List[0].Type.(type) {
	case *ast.StarExpr:
		if id, ok := e.X.(*ast.Ident); ok {
			return "(*" + id.Name + ")."
		}
	case *ast.Ident:
		return e.Name + "."
	}
	return "?."
}

// named finds what is named as in Go: a package, then a function, a type, or a type's method.
var named = regexp.MustCompile("`([a-z]+)\\.((?:\\(\\*[A-Za-z]+\\)\\.)?[A-Za-z]+(?:\\.[A-Za-z]+)?)`")

func TestNamesInTheArchitectureExist(t *testing.T) {
	all := sources(t)
	found := 0
	for _, file := range append(decisions(t), "architecture.md") {
		for _, m := range named.FindAllStringSubmatch(read(t, file), -1) {
			pkg, name := m[1], m[2]
			if name == "go" { // a file
				continue
			}
			found++
			exists := false
			for dir, s := range all {
				exists = exists || path.Base(dir) == pkg && s.names[name]
			}
			if !exists {
				t.Errorf("%s names %s.%s, which does not exist", file, pkg, name)
			}
		}
	}
	if found < 60 {
		t.Errorf("architecture.md and the decisions name only %d things", found)
	}
}

// decisions returns the pages of decisions, without their index.
func decisions(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("decisions/*.md")
	if err != nil || len(files) < 12 {
		t.Fatal(files, err)
	}
	return slices.DeleteFunc(files, func(f string) bool { return f == "decisions/README.md" })
}

// TestDecisionsAreWhole: each page stands in the index under its title, and answers the
// same questions on one screen.
func TestDecisionsAreWhole(t *testing.T) {
	index := read(t, "decisions/README.md")
	for _, file := range decisions(t) {
		text := read(t, file)
		title, _, _ := strings.Cut(strings.TrimPrefix(text, "# "), "\n")
		if strings.Count(index, "["+title+"]("+filepath.Base(file)+")") != 1 {
			t.Errorf("%s: the index has no link %q to it", file, title)
		}
		var parts []string
		for line := range strings.Lines(text) {
			if part, ok := strings.CutPrefix(line, "## "); ok {
				parts = append(parts, strings.TrimSpace(part))
			}
		}
		if want := []string{"Context", "Decision", "What it costs", "What would change our mind"}; !slices.Equal(parts, want) {
			t.Errorf("%s has the parts %q, want %q", file, parts, want)
		}
		if n := strings.Count(text, "\n"); n > 40 {
			t.Errorf("%s has %d lines: what belongs to how it works stands in architecture.md", file, n)
		}
	}
}

// rules reads the table of packages: which of ours each may import. A package of the
// table stands for those below it as well, unless they have a row of their own.
func rules(t *testing.T) map[string][]string {
	t.Helper()
	rules := map[string][]string{}
	code := regexp.MustCompile("`([a-z/]+)`")
	for line := range strings.Lines(read(t, "architecture.md")) {
		cells := strings.Split(line, "|")
		if len(cells) != 5 || !strings.HasPrefix(strings.TrimSpace(cells[1]), "`") {
			continue
		}
		var may []string
		for _, m := range code.FindAllStringSubmatch(cells[3], -1) {
			may = append(may, m[1])
		}
		if all, ok := strings.CutPrefix(strings.TrimSpace(cells[3]), "everything"); ok {
			but := code.FindAllStringSubmatch(all, -1)
			may = []string{"."}
			for _, m := range but {
				may = append(may, "-"+m[1])
			}
		}
		for _, m := range code.FindAllStringSubmatch(cells[1], -1) {
			rules[m[1]] = may
		}
	}
	if len(rules) < 15 {
		t.Fatalf("%d packages in the table", len(rules))
	}
	return rules
}

func TestImportsFollowTheArchitecture(t *testing.T) {
	rules := rules(t)
	for dir, s := range sources(t) {
		if dir == "e2e" || strings.HasPrefix(dir, "e2e/") {
			continue // it sees the program from outside
		}
		row := rowOf(rules, dir)
		may, ok := rules[row]
		if !ok {
			t.Errorf("package %s has no row in the table", dir)
			continue
		}
		for _, i := range s.imports {
			if rowOf(rules, i) != row && !allowed(may, i) {
				t.Errorf("package %s imports %s; the table lets %s import %q", dir, i, row, may)
			}
		}
	}
}

// allowed reports whether what a row says lets a package be imported: it is named, or all
// but others are.
func allowed(may []string, dir string) bool {
	if slices.Contains(may, ".") {
		return !slices.Contains(may, "-"+dir)
	}
	return slices.Contains(may, dir) || strings.HasPrefix(dir, "internal/") && slices.Contains(may, "internal")
}

// rowOf returns the row of the table that stands for a package, "." if none does.
func rowOf(rules map[string][]string, dir string) string {
	for dir != "." {
		if _, ok := rules[dir]; ok {
			break
		}
		dir = path.Dir(dir)
	}
	return dir
}

// TestOnlyWhoRunsItKnowsTheConfiguration is the arrow that is easiest to bend.
func TestOnlyWhoRunsItKnowsTheConfiguration(t *testing.T) {
	may := []string{"app", "cli", "simulate", "demo"}
	for dir, s := range sources(t) {
		if !slices.Contains(may, dir) && !strings.HasPrefix(dir, "config") && slices.Contains(s.imports, "config") {
			t.Errorf("package %s imports config", dir)
		}
	}
}

// TestLinksInTheDocumentationLead: to a file that is there, and to a heading that it has.
func TestLinksInTheDocumentationLead(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^):]+)\)`)
	count := 0
	for _, file := range pages(t) {
		for _, m := range link.FindAllStringSubmatch(prose(read(t, file)), -1) {
			count++
			name, heading, _ := strings.Cut(m[1], "#")
			to := filepath.Join(filepath.Dir(file), name)
			if name == "" {
				to = file
			}
			if _, err := os.Stat(to); err != nil {
				t.Errorf("%s: %v", file, err)
			} else if heading != "" && !slices.Contains(headings(read(t, to)), heading) {
				t.Errorf("%s: %s has no heading %q", file, to, heading)
			}
		}
	}
	if count < 100 {
		t.Errorf("only %d links", count)
	}
}

// TestEachPageIsInTheIndex: who looks for something begins there.
func TestEachPageIsInTheIndex(t *testing.T) {
	index := read(t, "README.md")
	for _, file := range pages(t) {
		if filepath.Dir(file) == "." && file != "README.md" && !strings.Contains(index, "("+file) {
			t.Errorf("README.md does not lead to %s", file)
		}
	}
	for _, dir := range []string{"decisions/README.md", "openapi.json"} {
		if !strings.Contains(index, "("+dir+")") {
			t.Errorf("README.md does not lead to %s", dir)
		}
	}
}

// pages returns all pages of the repository.
func pages(t *testing.T) (files []string) {
	t.Helper()
	err := filepath.WalkDir("..", func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && file != ".." && (strings.HasPrefix(d.Name(), ".") && d.Name() != ".github" || d.Name() == "testdata"):
			return filepath.SkipDir
		case strings.HasSuffix(file, ".md"):
			if here, ok := strings.CutPrefix(filepath.ToSlash(file), "../docs/"); ok {
				file = here
			}
			files = append(files, file)
		}
		return nil
	})
	if err != nil || len(files) < 20 {
		t.Fatal(files, err)
	}
	return files
}

// prose is a page without its code.
func prose(text string) string {
	return regexp.MustCompile("(?ms)^```.*?^```|^    [^\n]*$|`[^`\n]+`").ReplaceAllString(text, "`")
}

// headings returns what links to the headings of a page name, as GitHub makes it.
func headings(text string) (names []string) {
	for line := range strings.Lines(regexp.MustCompile("(?ms)^```.*?^```").ReplaceAllString(text, "")) {
		marks, title, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok || strings.Trim(marks, "#") != "" {
			continue
		}
		name := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-', r == '_', unicode.IsLetter(r), unicode.IsDigit(r):
				return unicode.ToLower(r)
			}
			return -1
		}, title)
		if slices.Contains(names, name) {
			name += "-" + strconv.Itoa(len(names)) // told apart by a number; nobody links to one
		}
		names = append(names, name)
	}
	return names
}

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
