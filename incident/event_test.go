package incident_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"testing"

	"sitrep/incident"
)

func TestWhoIsAPerson(t *testing.T) {
	for a, want := range map[incident.Actor]bool{
		"ada": true, "starter": true, incident.Forgotten: true,
		"": false, incident.ActorAlertmanager: false, incident.ActorScheduler: false, incident.ActorStart: false, incident.ActorSignal: false,
	} {
		if a.Person() != want {
			t.Errorf("%q is a person: %t", a, a.Person())
		}
	}
}

// TestEventTypesAreAll: the one list of them has each that is declared, once.
func TestEventTypesAreAll(t *testing.T) {
	f, err := parser.ParseFile(token.NewFileSet(), "event.go", nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var declared []incident.EventType
	ast.Inspect(f, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if kind, ok := spec.Type.(*ast.Ident); !ok || kind.Name != "EventType" {
			return true
		}
		for _, v := range spec.Values {
			text, err := strconv.Unquote(v.(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			declared = append(declared, incident.EventType(text))
		}
		return true
	})
	if got := incident.EventTypes(); len(declared) < 10 || !slices.Equal(got, declared) {
		t.Errorf("EventTypes() = %q\ndeclared are  %q", got, declared)
	}
}
