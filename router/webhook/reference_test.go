package webhook_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"sitrep/incident"
	"sitrep/internal/golden"
)

// A key is one of a body, and what its comment says of it.
type key struct{ name, meaning string }

// keysOf returns the keys of a struct of body.go.
func keysOf(t *testing.T, name string) (keys []key) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), "body.go", nil, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(f, func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok || spec.Name.Name != name {
			return true
		}
		for _, f := range spec.Type.(*ast.StructType).Fields.List {
			json, _, _ := strings.Cut(reflect.StructTag(strings.Trim(f.Tag.Value, "`")).Get("json"), ",")
			// What follows a colon in the comment above a field is for those who read the code.
			above, _, _ := strings.Cut(f.Doc.Text(), ": an incidentjson")
			keys = append(keys, key{json, strings.Join(strings.Fields(f.Comment.Text()+above), " ")})
		}
		return false
	})
	return keys
}

// TestReferenceOfBodiesIsTrue keeps the page of bodies at the golden files, of which each kind of
// message has one.
func TestReferenceOfBodiesIsTrue(t *testing.T) {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil {
		t.Fatal(err)
	}
	type example struct {
		Type string
		Data map[string]json.RawMessage
	}
	byKind := map[incident.Kind]string{} // the file
	has := map[string]map[incident.Kind]bool{}
	for _, file := range files {
		var g example
		if err := json.Unmarshal(must(os.ReadFile(file)), &g); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		kind := incident.Kind(strings.TrimPrefix(g.Type, "incident."))
		if byKind[kind] == "" || filepath.Base(file) == string(kind)+".json" {
			byKind[kind] = file
		}
		for name := range g.Data {
			if has[name] == nil {
				has[name] = map[incident.Kind]bool{}
			}
			has[name][kind] = true
		}
	}
	var b bytes.Buffer
	b.WriteString("# Bodies of webhooks\n\nMade from the program by `go generate ./docs`; a test fails where they differ. They are those of the format `json`; [webhooks.md](../webhooks.md) says how to receive them and to know who\n" +
		"sent them, and [chat.md](../chat.md) what channels get. A later version may add keys.\n\n## The body\n\n| key | what it is |\n|---|---|\n")
	for _, k := range keysOf(t, "body") {
		fmt.Fprintf(&b, "| `%s` | %s |\n", k.name, k.meaning)
	}
	b.WriteString("\n## data\n\n`incident`, and each of `incidents`, is as `Incident` of [the API](../openapi.json), and each of `changes` as its `Event`; [events.md](events.md) says what they mean. What stays inside is told to\nthose on call alone: for all others the incident has no `acknowledged_by` and no `escalated_to`, and its actions have no `reason`.\n\n| key | in the kinds | what it is |\n|---|---|---|\n")
	var known []string
	for _, k := range keysOf(t, "data") {
		if k.meaning == "" || has[k.name] == nil {
			t.Errorf("%s: nothing says what it is, or no golden file has it", k.name)
		}
		in := "all"
		if len(has[k.name]) < len(incident.Kinds()) {
			var names []string
			for _, kind := range incident.Kinds() {
				// Of messages to those on call there is a golden file of some kinds only.
				if has[k.name][kind] || (k.name == "alerts" || k.name == "runbook") && has["incident"][kind] {
					names = append(names, "`"+string(kind)+"`")
				}
			}
			in = strings.Join(names, ", ")
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", k.name, in, k.meaning)
		known = append(known, k.name)
	}
	for name := range has {
		if slices.Contains(known, name) {
			continue
		}
		t.Errorf("golden files have data.%s, and body.go has not", name)
	}
	b.WriteString("\n## By kind\n\nEach is what a test renders by the program's own code; the text of `message` is left out.\n")
	// Those that show all there is stand on the page; the others differ in type and changes.
	shown := []incident.Kind{incident.KindOpened, incident.KindPriority, incident.KindReminder, incident.KindDigest, incident.KindWatchdog, incident.KindCanary}
	for _, kind := range incident.Kinds() {
		file, ok := byKind[kind]
		if !ok {
			t.Errorf("no golden file is a message of the kind %s", kind)
			continue
		}
		if slices.Contains(shown, kind) {
			fmt.Fprintf(&b, "\n### %s\n\n```json\n%s```\n", kind, must(os.ReadFile(file)))
		} else {
			fmt.Fprintf(&b, "\n### %s\n\n[An example](../../router/webhook/%s).\n", kind, file)
		}
	}
	if n := len(slices.Collect(maps.Keys(byKind))); n != len(incident.Kinds()) {
		t.Errorf("golden files of %d kinds", n)
	}
	golden.Compare(t, "../../docs/reference/webhooks.md", b.Bytes())
}
