package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// texts are the fields of what is stored that hold words for people.
var texts = map[string]bool{"Reason": true, "Error": true, "LastError": true, "Cause": true, "Said": true, "Detail": true}

// readers are the functions that take words apart, by their packages.
var readers = map[string][]string{
	"strings": {"Contains", "Count", "Cut", "EqualFold", "Fields", "HasPrefix", "HasSuffix", "Index", "LastIndex", "Split", "Trim"},
	"regexp":  {""},
	"strconv": {"Atoi", "Parse"},
	"time":    {"Parse"},
	"fmt":     {"Sscan"},
}

// readBack reports whether a node takes apart, or compares with words, a text that is
// stored.
func readBack(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.CallExpr:
		sel, ok := n.Fun.(*ast.SelectorExpr)
		if !ok {
			return false
		}
		takes := strings.HasPrefix(sel.Sel.Name, "Match") || strings.HasPrefix(sel.Sel.Name, "Find")
		if pkg, ok := sel.X.(*ast.Ident); ok {
			for _, name := range readers[pkg.Name] {
				takes = takes || strings.HasPrefix(sel.Sel.Name, name)
			}
		}
		for _, arg := range n.Args {
			if takes && holdsText(arg) {
				return true
			}
		}
	case *ast.BinaryExpr:
		return (n.Op == token.EQL || n.Op == token.NEQ) && (holdsText(n.X) && words(n.Y) || holdsText(n.Y) && words(n.X))
	case *ast.SwitchStmt:
		if n.Tag == nil || !holdsText(n.Tag) {
			return false
		}
		for _, clause := range n.Body.List {
			for _, e := range clause.(*ast.CaseClause).List {
				if words(e) {
					return true
				}
			}
		}
	}
	return false
}

// holdsText reports whether an expression is made of such a field. The method Error of an
// error is none.
func holdsText(e ast.Expr) (found bool) {
	ast.Inspect(e, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok {
			for _, arg := range call.Args {
				found = found || holdsText(arg)
			}
			return false
		}
		sel, ok := n.(*ast.SelectorExpr)
		found = found || ok && texts[sel.Sel.Name]
		return true
	})
	return found
}

// words reports whether an expression is a text with a space in it.
func words(e ast.Expr) (found bool) {
	ast.Inspect(e, func(n ast.Node) bool {
		lit, ok := n.(*ast.BasicLit)
		found = found || ok && lit.Kind == token.STRING && strings.Contains(lit.Value, " ")
		return true
	})
	return found
}

// stores reports whether a node puts a sentence into such a field.
func stores(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.KeyValueExpr:
		key, ok := n.Key.(*ast.Ident)
		return ok && texts[key.Name] && words(n.Value)
	case *ast.AssignStmt:
		for i, left := range n.Lhs {
			sel, ok := left.(*ast.SelectorExpr)
			if ok && texts[sel.Sel.Name] && words(n.Rhs[min(i, len(n.Rhs)-1)]) {
				return true
			}
		}
	}
	return false
}

// TestFactsAreNoSentences: what code has to tell apart is a value. Sentences are made in
// wording, and read in incident/earlier.go alone, where an earlier build stored them.
func TestFactsAreNoSentences(t *testing.T) {
	err := filepath.WalkDir("..", func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return err
		}
		name := strings.TrimPrefix(filepath.ToSlash(file), "../")
		set := token.NewFileSet()
		f, err := parser.ParseFile(set, file, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(f, func(n ast.Node) bool {
			switch {
			case n == nil:
			case readBack(n) && name != "incident/earlier.go":
				t.Errorf("%s:%d reads a sentence back: make it a value", name, set.Position(n.Pos()).Line)
			case stores(n) && !strings.HasPrefix(name, "wording/") && !strings.HasPrefix(name, "storage/storagetest/") && !strings.HasPrefix(name, "incident/incidenttest/"):
				t.Errorf("%s:%d keeps a sentence: make it a value, with words in wording", name, set.Position(n.Pos()).Line)
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestSentencesThatAreReadBackAreFound(t *testing.T) {
	for code, want := range map[string]bool{
		`strings.HasPrefix(e.Reason, "merged into")`:          true,
		`strings.CutPrefix(d.Cause, down)`:                    true,
		`strings.Contains(strings.ToLower(d.Error), word)`:    true,
		`time.Parse(time.RFC3339, o.Detail)`:                  true,
		`stamps.FindString(c.Said)`:                           true,
		`e.Reason == "a breach started"`:                      true,
		`strings.Contains(err.Error(), word)`:                 false,
		`e.Reason == ""`:                                      false,
		`o.Reason == incident.DueUnfed`:                       false,
		`wording.Line(d.Error, 1000)`:                         false,
		`incident.Event{Reason: "the priority is " + p.Name}`: false,
	} {
		e, err := parser.ParseExpr(code)
		if err != nil {
			t.Fatal(err)
		}
		if readBack(e) != want {
			t.Errorf("%s is read back: %t, want %t", code, !want, want)
		}
		kept := false
		ast.Inspect(e, func(n ast.Node) bool {
			kept = kept || n != nil && stores(n)
			return true
		})
		if kept != strings.Contains(code, "Reason: ") {
			t.Errorf("%s keeps a sentence: %t", code, kept)
		}
	}
}
