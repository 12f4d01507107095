package app_test

import (
	"net/http"
	"strings"
	"testing"

	"sitrep/app/apptest"
)

func TestTheStatusSaysWhyAPostWasRefused(t *testing.T) {
	s := apptest.New(t, apptest.Organisation+apptest.Access, nil)
	if code, _ := s.Ask(apptest.ViewerToken, "POST", "/alertmanager", apptest.AlertBody("firing", "send", "00000000000000a1")); code != http.StatusForbidden {
		t.Fatalf("a viewer's post: %d", code)
	}
	s.Until("the refusal is shown", func() bool {
		_, status := s.Ask(apptest.ViewerToken, "GET", "/api/v1/status", "")
		return strings.Contains(status, "this needs the role receiver, and grafana has the role viewer")
	})
}
