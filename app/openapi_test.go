package main

import (
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var updateDocument = flag.Bool("update-openapi", false, "write docs/openapi.json anew")

// TestTheDescriptionOfTheAPIIsInTheDocs: what is served is what the repository shows.
func TestTheDescriptionOfTheAPIIsInTheDocs(t *testing.T) {
	s := newTestService(t, organisation+organisationAccess, nil)
	code, got := s.ask(viewerToken, "GET", "/api/v1/openapi.json", "")
	_, got, _ = strings.Cut(got, "\n\n")
	got = strings.TrimLeft(got, "\r\n")
	if code != http.StatusOK {
		t.Fatalf("answered %d %s", code, got)
	}
	file := filepath.Join("..", "..", "docs", "openapi.json")
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
		t.Errorf("%s is not what is served; write it anew with go test ./cmd/sitrep -run Description -update-openapi", file)
	}
}
