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

// breachFields are the fields that only a breach has; breachStates are what its state can be.
var (
	breachFields = []string{"AskAt", "AskedAt", "ListedSince", "EndHeardAt", "LaterEnd", "EndedBefore", "SaidStartsAt", "SaidEndsAt"}
	breachStates = []string{"Firing", "Ended", "Unknown", "BreachState"}
)

// TestABreachChangesInOnePlace: package incident alone gives a breach its state and what
// goes with it. The codec that reads one from a file gives it what it had.
func TestABreachChangesInOnePlace(t *testing.T) {
	err := filepath.WalkDir("..", func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || d.Name() == "incident" || d.Name() == "storagetest" || strings.HasPrefix(d.Name(), ".") && file != ".."):
			return filepath.SkipDir
		case d.IsDir(), !strings.HasSuffix(file, ".go"), strings.HasSuffix(file, "_test.go"), d.Name() == "breachcodec.go":
			return nil
		}
		set := token.NewFileSet()
		f, err := parser.ParseFile(set, file, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.AssignStmt:
				for i, left := range n.Lhs {
					target, ok := left.(*ast.SelectorExpr)
					if ok && (slices.Contains(breachFields, target.Sel.Name) || target.Sel.Name == "State" && givesBreachState(n.Rhs[min(i, len(n.Rhs)-1)])) {
						t.Errorf("%s: %s of a breach is set outside package incident", set.Position(n.Pos()), target.Sel.Name)
					}
				}
			case *ast.CompositeLit:
				if named, ok := n.Type.(*ast.SelectorExpr); ok && named.Sel.Name == "Breach" && isIncident(named.X) && len(n.Elts) > 0 {
					t.Errorf("%s: a breach is made outside package incident", set.Position(n.Pos()))
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// givesBreachState reports whether an expression is a state of a breach.
func givesBreachState(e ast.Expr) bool {
	if call, ok := e.(*ast.CallExpr); ok {
		e = call.Fun
	}
	sel, ok := e.(*ast.SelectorExpr)
	return ok && isIncident(sel.X) && slices.Contains(breachStates, sel.Sel.Name)
}

func isIncident(e ast.Expr) bool {
	id, ok := e.(*ast.Ident)
	return ok && id.Name == "incident"
}
