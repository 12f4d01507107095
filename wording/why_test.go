package wording_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"testing"

	"sitrep/incident"
	"sitrep/wording"
)

// TestEachReasonHasWords: whatever sitrep itself gives as reason can be told.
func TestEachReasonHasWords(t *testing.T) {
	f, err := parser.ParseFile(token.NewFileSet(), "../incident/event.go", nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	words := map[string]string{}
	ast.Inspect(f, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if kind, ok := spec.Type.(*ast.Ident); !ok || kind.Name != "Why" {
			return true
		}
		code, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		text := wording.Reason(&incident.Event{Data: incident.Data{To: "P1", Into: 41, Why: incident.Why(code)}})
		if text == "" || words[text] != "" {
			t.Errorf("%s has the words %q, as %q has", code, text, words[text])
		}
		words[text] = code
		return true
	})
	if len(words) < 10 {
		t.Errorf("only %d reasons are declared", len(words))
	}
	if got := wording.Failure(&incident.Delivery{Error: "550 no such user", State: incident.DeliveryFailed}); got != "550 no such user" {
		t.Errorf("a failure is %q", got)
	}
}
