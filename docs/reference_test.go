package docs_test

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/doc"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"sitrep/internal/golden"
)

//go:generate go test ../config -run Reference -update
//go:generate go test ../cli -run Reference -update
//go:generate go test ../app -run Reference -update
//go:generate go test ../router/webhook -run Reference -update
//go:generate go test . -run Reference -update

// A value is one value of a type that knows few, and what its comment says of it.
type value struct{ name, text, meaning string }

// valuesOf returns the constants of a type, in the order in which they stand in the code.
func valuesOf(t *testing.T, p *doc.Package, typ string) (all []value) {
	t.Helper()
	for _, of := range p.Types {
		if of.Name != typ {
			continue
		}
		for _, block := range of.Consts {
			for _, spec := range block.Decl.Specs {
				v := spec.(*ast.ValueSpec)
				if id, ok := v.Type.(*ast.Ident); !ok || id.Name != typ {
					continue
				}
				text, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, value{v.Names[0].Name, text, strings.TrimSpace(v.Comment.Text() + v.Doc.Text())})
			}
		}
	}
	if len(all) == 0 {
		t.Fatalf("no %s", typ)
	}
	return all
}

// keysOf returns the keys in JSON of a struct, by the names of its fields.
func keysOf(t *testing.T, p *doc.Package, typ string) map[string]string {
	t.Helper()
	keys := map[string]string{}
	for _, of := range p.Types {
		if of.Name != typ {
			continue
		}
		for _, f := range of.Decl.Specs[0].(*ast.TypeSpec).Type.(*ast.StructType).Fields.List {
			key, _, _ := strings.Cut(reflect.StructTag(strings.Trim(f.Tag.Value, "`")).Get("json"), ",")
			for _, n := range f.Names {
				keys[n.Name] = key
			}
		}
	}
	if len(keys) == 0 {
		t.Fatalf("no %s", typ)
	}
	return keys
}

// particulars returns what the comment of incident.Data says of each type of event, with the
// keys of JSON in place of the fields.
func particulars(t *testing.T, p *doc.Package) map[string]string {
	t.Helper()
	keys := keysOf(t, p, "Data")
	reasons := map[string]string{}
	for _, w := range valuesOf(t, p, "Why") {
		reasons[w.name] = w.text
	}
	field := regexp.MustCompile(`\b[A-Z][A-Za-z]+\b`)
	line := regexp.MustCompile(`^\t([a-z_]+) +(.+)$`)
	out := map[string]string{}
	for _, of := range p.Types {
		if of.Name != "Data" {
			continue
		}
		for l := range strings.Lines(of.Doc) {
			m := line.FindStringSubmatch(strings.TrimRight(l, "\n"))
			if m == nil {
				continue
			}
			out[m[1]] = field.ReplaceAllStringFunc(m[2], func(name string) string {
				if key := cmp.Or(keys[name], reasons[name]); key != "" {
					return "`" + key + "`"
				}
				return name
			})
		}
	}
	return out
}

// TestReferenceOfEventsIsTrue keeps the page of events, kinds of messages and reasons at what
// the code has and says of them.
func TestReferenceOfEventsIsTrue(t *testing.T) {
	p := load(t, "../incident", "sitrep/incident")
	var b strings.Builder
	b.WriteString(`# Events, messages and reasons

Made from the program by ` + "`go generate ./docs`" + `; a test fails where they differ. What happens to an incident is an event with a number. ` + "`sitrep incident events INC-42`" + ` prints them,
` + "`GET /api/v1/incidents/INC-42/events`" + ` has them by [the API](../openapi.json), ` + "`events.jsonl`" + ` of an export has them as they were signed, and a webhook has those that its reader may see.
`)
	table := func(title, intro string, all []value) {
		fmt.Fprintf(&b, "\n## %s\n\n%s| | meaning |\n|---|---|\n", title, intro)
		for _, w := range all {
			if w.meaning == "" {
				t.Errorf("nothing says what %s is", w.name)
			}
			fmt.Fprintf(&b, "| `%s` | %s |\n", w.text, strings.Join(strings.Fields(w.meaning), " "))
		}
	}
	data := particulars(t, p)
	b.WriteString("\n## Events\n\nThe particulars stand in `data`. The API has all but `highest`, `definition`, `raised`, `by_person` and `sources`, which are needed to compute the state anew; `cause` is a sentence there, with its code in `cause_kind`.\n\n| type | what happened | particulars |\n|---|---|---|\n")
	for _, w := range valuesOf(t, p, "EventType") {
		if w.meaning == "" {
			t.Errorf("nothing says what %s is", w.name)
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", w.text, w.meaning, data[w.text])
		delete(data, w.text)
	}
	for of := range data {
		t.Errorf("incident.Data has particulars of %q, and there is no such event", of)
	}
	shown := keysOf(t, load(t, "../incident/incidentjson", "sitrep/incident/incidentjson"), "EventData")
	for name, key := range keysOf(t, p, "Data") {
		_, ok := shown[name]
		if inside := strings.Contains(" highest definition raised by_person sources ", " "+key+" "); ok == inside {
			t.Errorf("the page says that the API has %s: %t", key, !inside)
		}
	}
	table("Reasons that no person gave", "In `data.why` of an event, and in `why` of a delivery that was superseded. `reason` has it in words.\n\n", valuesOf(t, p, "Why"))
	table("Why updates were missed", "In `data.cause_kind` of `update_missed`, and in the report.\n\n", valuesOf(t, p, "CauseKind"))
	table("Kinds of messages", "Of several that are owed at once, the message has the kind that stands first. `sitrep incident deliveries --kind` filters by it, and the type of a webhook's body ends in it.\n\n", valuesOf(t, p, "Kind"))
	table("States of a message", "Of one message to one recipient: `sitrep incident deliveries --state` filters by it.\n\n", valuesOf(t, p, "DeliveryState"))
	table("States of an incident", "", valuesOf(t, p, "State"))
	table("States of a breach", "", valuesOf(t, p, "BreachState"))

	golden.Compare(t, "reference/events.md", []byte(b.String()))
}
