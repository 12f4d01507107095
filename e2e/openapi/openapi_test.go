package openapi_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
)

func TestTheDescriptionIsOpenAPI(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("..", "..", "docs", "openapi.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range check(t, raw) {
		t.Error(problem)
	}
}

// TestTheCheckFindsMistakes: otherwise it would say nothing.
func TestTheCheckFindsMistakes(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("..", "..", "docs", "openapi.json"))
	if err != nil {
		t.Fatal(err)
	}
	for from, to := range map[string]string{
		`"title": "sitrep"`: `"name": "sitrep"`,
		`"in": "query"`:     `"in": "body"`,
	} {
		if len(check(t, bytes.Replace(raw, []byte(from), []byte(to), 1))) == 0 {
			t.Errorf("took %s", to)
		}
	}
}

// check returns what is wrong with a description.
func check(t *testing.T, raw []byte) []string {
	t.Helper()
	doc, err := libopenapi.NewDocument(raw)
	if err != nil {
		return []string{err.Error()}
	}
	model, err := doc.BuildV3Model()
	if err != nil {
		return []string{err.Error()}
	}
	if n := model.Model.Paths.PathItems.Len(); n < 20 {
		t.Errorf("only %d paths", n)
	}
	v, errs := validator.NewValidator(doc)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	valid, problems := v.ValidateDocument()
	var found []string
	for _, p := range problems {
		found = append(found, p.Message+": "+p.Reason)
		for _, s := range p.SchemaValidationErrors {
			found = append(found, s.KeywordLocation+": "+s.Reason)
		}
	}
	if !valid && len(found) == 0 {
		found = append(found, "not valid")
	}
	return found
}
