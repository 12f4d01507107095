package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// uses returns the packages, by their path in the module and without tests, with a node
// that match finds.
func uses(t *testing.T, match func(ast.Node) bool) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir("..", func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		dir := strings.TrimPrefix(filepath.ToSlash(filepath.Dir(file)), "../")
		ast.Inspect(f, func(n ast.Node) bool {
			if n != nil && match(n) && !slices.Contains(found, dir) {
				found = append(found, dir)
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestOneRepository: who is handed the repository shares what it is made of; a second one would wake
// nobody, or be counted by nobody.
func TestOneRepository(t *testing.T) {
	built := uses(t, func(n ast.Node) bool {
		lit, ok := n.(*ast.CompositeLit)
		if !ok {
			return false
		}
		sel, ok := lit.Type.(*ast.SelectorExpr)
		return ok && sel.Sel.Name == "Repository"
	})
	built = slices.DeleteFunc(built, func(dir string) bool { return strings.HasPrefix(dir, "storage/") || dir == "router/routertest" }) // tests
	slices.Sort(built)
	if !slices.Equal(built, []string{"app", "simulate"}) { // the latter to a store that is thrown away
		t.Errorf("repositories are built in %q, and should be in app and simulate alone", built)
	}
}

// TestOneIdempotency: what a repetition of a command is answered is looked up and stored
// by command.(*Request).Execute alone.
func TestOneIdempotency(t *testing.T) {
	answered := uses(t, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return false
		}
		sel, ok := call.Fun.(*ast.SelectorExpr)
		return ok && (sel.Sel.Name == "PutAnswer" || sel.Sel.Name == "Answer")
	})
	answered = slices.DeleteFunc(answered, func(dir string) bool { return strings.HasPrefix(dir, "storage/") }) // its tests
	if !slices.Equal(answered, []string{"internal/command"}) {
		t.Errorf("answers to commands are read or stored in %q, and should be in internal/command alone", answered)
	}
}
