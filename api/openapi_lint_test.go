package api_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// lint returns what is wrong with a description by the schema that the OpenAPI
// Initiative publishes for version 3.1 (Apache-2.0).
func lint(t *testing.T, raw []byte) error {
	t.Helper()
	schema, err := os.ReadFile(filepath.Join("testdata", "openapi-3.1-schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("openapi.json", parsed); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return err
	}
	return s.Validate(doc)
}

func description(t *testing.T) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "docs", "openapi.json"))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestTheDescriptionIsOpenAPI(t *testing.T) {
	if err := lint(t, description(t)); err != nil {
		t.Error(err)
	}
}

// TestLintFindsMistakes: otherwise it would say nothing.
func TestLintFindsMistakes(t *testing.T) {
	raw := description(t)
	for from, to := range map[string]string{
		`"title": "sitrep"`: `"name": "sitrep"`,
		`"in": "query"`:     `"in": "body"`,
		`"responses"`:       `"answers"`,
	} {
		if !strings.Contains(string(raw), from) {
			t.Errorf("the description has no %s", from)
		}
		if lint(t, bytes.Replace(raw, []byte(from), []byte(to), 1)) == nil {
			t.Errorf("took %s", to)
		}
	}
}
