package app_test

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"sitrep/app/apptest"
	"sitrep/internal/golden"
)

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
	golden.Compare(t, file, []byte(got))
}
