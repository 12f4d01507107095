package api_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"mime"
	"net/http/httptest"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"sitrep/api"
	"sitrep/internal/access"
)

var discard = slog.New(slog.DiscardHandler)

func registry() *prometheus.Registry { return prometheus.NewRegistry() }

const documentURL = "https://sitrep.example.org/api/v1/openapi.json"

// A document is the description of the API, with what it takes to check answers.
// Its schemas allow no field that it does not name.
type document struct {
	json     map[string]any
	compiler *jsonschema.Compiler
	paths    []documentedPath

	mu   sync.Mutex
	seen map[string]bool // "GET /api/v1/slos 200"
}

type documentedPath struct {
	template string
	pattern  *regexp.Regexp
}

// theDocument is made once for all tests, whose answers it is checked against.
var theDocument = sync.OnceValue(func() *document {
	h := api.New(api.Options{Logger: discard})
	raw, err := api.OpenAPI(h.Routes())
	if err != nil {
		panic(err)
	}
	d := &document{seen: map[string]bool{}}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		panic(err)
	}
	d.json = v.(map[string]any)
	strict(v)
	d.compiler = jsonschema.NewCompiler()
	d.compiler.DefaultDraft(jsonschema.Draft2020)
	d.compiler.AssertFormat()
	// What is no format of JSON Schema, but of OpenAPI.
	for _, name := range []string{"int64", "double"} {
		d.compiler.RegisterFormat(&jsonschema.Format{Name: name, Validate: func(any) error { return nil }})
	}
	if err := d.compiler.AddResource(documentURL, v); err != nil {
		panic(err)
	}
	variable := regexp.MustCompile(`\\\{[a-z]+\\\}`)
	for template := range d.json["paths"].(map[string]any) {
		pattern := "^" + variable.ReplaceAllString(regexp.QuoteMeta(template), "[^/]+") + "$"
		d.paths = append(d.paths, documentedPath{template, regexp.MustCompile(pattern)})
	}
	return d
})

// strict lets no schema with properties allow others.
func strict(v any) {
	switch v := v.(type) {
	case map[string]any:
		if _, ok := v["properties"].(map[string]any); ok {
			v["additionalProperties"] = false
		}
		for _, child := range v {
			strict(child)
		}
	case []any:
		for _, child := range v {
			strict(child)
		}
	}
}

// at returns a schema of the document.
func (d *document) at(path ...string) (*jsonschema.Schema, error) {
	for i, p := range path {
		path[i] = strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D").Replace(p)
	}
	return d.compiler.Compile(documentURL + "#/" + strings.Join(path, "/"))
}

// documented checks a request and its answer against the description of the API.
func (f *fixture) documented(method, path, body string, w *httptest.ResponseRecorder) {
	f.t.Helper()
	if method == "HEAD" || w.Code == 405 || f.undocumented {
		return
	}
	d := theDocument()
	path, _, _ = strings.Cut(path, "?")
	i := slices.IndexFunc(d.paths, func(p documentedPath) bool { return p.pattern.MatchString(path) })
	if i < 0 {
		if w.Code != 404 {
			f.t.Errorf("%s %s is not documented, and answered %d", method, path, w.Code)
		}
		return
	}
	template, lower := d.paths[i].template, strings.ToLower(method)
	operation := d.json["paths"].(map[string]any)[template].(map[string]any)[lower].(map[string]any)
	responses := operation["responses"].(map[string]any)
	status := fmt.Sprint(w.Code)
	response, ok := responses[status].(map[string]any)
	if !ok {
		f.t.Errorf("%s %s: status %s is not documented", method, template, status)
		return
	}
	at := []string{"paths", template, lower, "responses", status}
	if ref, ok := response["$ref"].(string); ok {
		at = strings.Split(strings.TrimPrefix(ref, "#/"), "/")
		response = d.json["components"].(map[string]any)["responses"].(map[string]any)[at[2]].(map[string]any)
	}
	media, _, err := mime.ParseMediaType(w.Header().Get("Content-Type"))
	if err != nil {
		f.t.Errorf("%s %s: type of the answer: %v", method, template, err)
	}
	content, _ := response["content"].(map[string]any)
	if content[media] == nil {
		f.t.Errorf("%s %s: %s with %q is not documented", method, template, status, media)
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.seen[method+" "+template+" "+status] = true
	schema, err := d.at(append(at, "content", media, "schema")...)
	if err != nil {
		f.t.Fatal(err)
	}
	var v any = w.Body.String()
	if strings.HasSuffix(media, "json") {
		if v, err = jsonschema.UnmarshalJSON(bytes.NewReader(w.Body.Bytes())); err != nil {
			f.t.Fatal(err)
		}
	}
	if err := schema.Validate(v); err != nil {
		f.t.Errorf("%s %s: the %s is not as documented: %v\n%s", method, template, status, err, w.Body)
	}
	for name := range object(response["headers"]) {
		if w.Header().Get(name) == "" && name != "Idempotency-Replayed" && !strings.Contains(w.Body.String(), `"joins"`) {
			f.t.Errorf("%s %s: no header %s", method, template, name)
		}
	}
	// What was taken must have been allowed.
	if request := object(operation["requestBody"]); w.Code < 300 && request != nil && body != "" {
		schema, err := d.at("paths", template, lower, "requestBody", "content", "application/json", "schema")
		if err != nil {
			f.t.Fatal(err)
		}
		v, err := jsonschema.UnmarshalJSON(strings.NewReader(body))
		if err != nil {
			f.t.Fatal(err)
		}
		if err := schema.Validate(v); err != nil {
			f.t.Errorf("%s %s took a body that is not as documented: %v\n%s", method, template, err, body)
		}
	}
}

func object(v any) map[string]any {
	m, _ := v.(map[string]any)
	return m
}

// TestEveryOperationIsAsDocumented lets each route succeed once; all answers of all
// tests are checked by the fixture.
func TestEveryOperationIsAsDocumented(t *testing.T) {
	f := newFixture(t)
	f.breach("log on", "a")
	f.breach("send", "b")
	f.breach("search", "c")
	for _, step := range []struct{ method, path, body string }{
		{"POST", "/acknowledge", "{}"},
		{"POST", "/notes", `{"text":"n"}`},
		{"POST", "/priority?preview=true", `{"priority":"P2","reason":"r"}`},
		{"POST", "/priority", `{"priority":"P2","reason":"r"}`},
		{"POST", "/phase", `{"phase":"escalation","note":"n","escalated_to":"x"}`},
		{"POST", "/updates", `{"message":"m","audiences":["stakeholders"]}`},
		{"POST", "/actions/hotfix", `{"state":"done","link":"https://example.org","reason":""}`},
		{"POST", "/actions/postmortem", `{"state":"waived","reason":"r"}`},
		{"POST", "/resolve", `{"note":"n"}`},
		{"POST", "/reopen", `{"reason":"r"}`},
		{"POST", "/resolve", `{"note":"n"}`},
		{"POST", "/close", `{"note":""}`},
		{"GET", "/events", ""},
		{"GET", "/breaches", ""},
		{"GET", "/deliveries", ""},
		{"GET", "", ""},
	} {
		if w := f.send("responder", step.method, path(1, step.path), step.body); w.Code != 200 {
			t.Errorf("%s %s: %d %s", step.method, step.path, w.Code, w.Body)
		}
	}
	for _, step := range []struct{ method, path, body string }{
		{"POST", path(2, "/merge"), `{"into":"INC-3","reason":"r"}`},
		{"POST", "/api/v1/incidents?preview=true", `{"slo":"send","reason":"r","drill":true}`},
		{"POST", "/api/v1/incidents", `{"use_case":"u","team":"web","priority":"P3","stakeholders":["support"],"reason":"r"}`},
		{"GET", "/api/v1/incidents", ""},
		{"GET", "/api/v1/deliveries", ""},
		{"GET", "/api/v1/priorities", ""},
		{"GET", "/api/v1/slos", ""},
		{"GET", "/api/v1/unmapped", ""},
		{"GET", "/api/v1/status", ""},
		{"GET", "/api/v1/openapi.json", ""},
	} {
		if w := f.send("responder", step.method, step.path, step.body); w.Code/100 != 2 {
			t.Errorf("%s %s: %d %s", step.method, step.path, w.Code, w.Body)
		}
	}
	for _, path := range []string{"/api/v1/audit/report", "/api/v1/audit/export"} {
		if w := f.send("admin", "GET", path, ""); w.Code != 200 {
			t.Errorf("GET %s: %d %s", path, w.Code, w.Body)
		}
	}
	if w := f.send("admin", "POST", "/api/v1/mail/test", `{"to":"ada@example.org"}`); w.Code != 200 {
		t.Errorf("test mail: %d %s", w.Code, w.Body)
	}
	d := theDocument()
	for _, r := range f.api.Routes() {
		if key := r.Method + " " + r.Path; !d.seen[key+" 200"] {
			t.Errorf("no test lets %s succeed", key)
		}
	}
}

// TestWhatIsNeededIsNeeded: a command without a field that the document requires is
// refused, and all others may be left out.
func TestWhatIsNeededIsNeeded(t *testing.T) {
	f := newFixture(t)
	f.breach("log on", "a")
	f.breach("send", "b")
	values := map[string]any{
		"priority": "P2", "reason": "r", "phase": "investigation", "message": "m", "state": "done", "into": "INC-2", "note": "n", "text": "n", "slo": "search", "to": "ada@example.org",
	}
	schemas := theDocument().json["components"].(map[string]any)["schemas"].(map[string]any)
	for _, r := range f.api.Routes() {
		if r.Body == nil {
			continue
		}
		name := reflect.TypeOf(r.Body).Name() + "Command"
		required, _ := object(schemas[name])["required"].([]any)
		at := strings.NewReplacer("{id}", "INC-1", "{name}", "hotfix").Replace(r.Path) + "?preview=true"
		body := map[string]any{}
		for _, key := range required {
			body[key.(string)] = values[key.(string)]
		}
		switch name {
		case "DeclareCommand":
			body["slo"] = "search"
		case "ResolveCommand": // needs a note only while breaches fire, as here
			body["note"] = "n"
		}
		as := "responder"
		if r.Role == access.Admin {
			as = "admin"
		}
		if w := f.send(as, "POST", at, text(t, body)); w.Code != 200 && w.Code != 409 {
			t.Errorf("%s with %v: %d %s", name, body, w.Code, w.Body)
		}
		for _, key := range required {
			less := maps.Clone(body)
			delete(less, key.(string))
			if w := f.send(as, "POST", at, text(t, less)); w.Code != 400 && name != "ReopenCommand" { // it is open
				t.Errorf("%s without %s: %d %s", name, key, w.Code, w.Body)
			}
		}
	}
}

func TestTheDocumentNamesRolesAndIsSound(t *testing.T) {
	h := api.New(api.Options{Logger: discard})
	admin := &api.Admin{Logger: discard, Gatherer: registry()}
	routes := append(h.Routes(), admin.Routes()...)
	raw, err := api.OpenAPI(routes)
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Paths map[string]map[string]struct {
			OperationID string
			Security    []map[string][]string
			Tags        []string
		}
		Components map[string]map[string]any
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	for _, r := range routes {
		op, ok := doc.Paths[r.Path][strings.ToLower(r.Method)]
		if !ok || op.OperationID == "" || ids[op.OperationID] || len(op.Tags) != 1 {
			t.Errorf("%s %s: %+v", r.Method, r.Path, op)
		}
		ids[op.OperationID] = true
		for _, role := range access.Roles() {
			named := r.Role == access.Nobody
			for _, s := range op.Security {
				named = named || slices.Contains(s["bearer"], string(role))
			}
			if named != role.May(r.Role) {
				t.Errorf("%s %s: role %s documented %v", r.Method, r.Path, role, named)
			}
		}
	}
	// Each reference leads somewhere, and everything is referred to.
	refs := map[string]bool{}
	for _, m := range regexp.MustCompile(`"#/components/([a-z]+)/([^"]+)"`).FindAllSubmatch(raw, -1) {
		refs[string(m[1])+"/"+string(m[2])] = true
		if doc.Components[string(m[1])][string(m[2])] == nil {
			t.Errorf("nothing is at %s", m[0])
		}
	}
	for kind, all := range doc.Components {
		for name := range all {
			if kind != "securitySchemes" && !refs[kind+"/"+name] {
				t.Errorf("nothing refers to %s/%s", kind, name)
			}
		}
	}
	for _, key := range api.Described() {
		name, field, _ := strings.Cut(key, ".")
		properties := object(object(doc.Components["schemas"][name])["properties"])
		if properties[field] == nil {
			t.Errorf("%s is described, and is not there", key)
		}
	}
	if _, err := api.OpenAPI(append(routes, routes[0])); err == nil {
		t.Error("a route that is there twice was taken")
	}
}
