package app_test

import (
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sitrep/app/apptest"
)

var updateDocument = flag.Bool("update-openapi", false, "write docs/openapi.json anew")

// TestTheDescriptionOfTheAPIIsInTheDocs: what is served is what the repository shows.
func TestTheDescriptionOfTheAPIIsInTheDocs(t *testing.T) {
	s := apptest.New(t, apptest.Organisation+apptest.Access, nil)
	code, got := s.Ask(apptest.ViewerToken, "GET", "/api/v1/openapi.json", "")
	_, got, _ = strings.Cut(got, "\n\n")
	got = strings.TrimLeft(got, "\r\n")
	if code != http.StatusOK {
		t.Fatalf("answered %d %s", code, got)
	}
	file := filepath.Join("..", "docs", "openapi.json")
	if *updateDocument {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is not what is served; write it anew with go test ./app -run Description -update-openapi", file)
	}
}
