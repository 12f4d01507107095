package app_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"sitrep/api"
	"sitrep/app/apptest"
	"sitrep/router/email/mailtest"
)

// TestADeadMailServerIsSaidEverywhere: the status, the metrics and the pages say it from
// the first attempt on, and no longer than it lasts.
func TestADeadMailServerIsSaidEverywhere(t *testing.T) {
	t.Parallel()
	server := mailtest.New(mailtest.Behaviour{})
	if err := server.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	addr := server.Addr()
	server.Close()
	s := apptest.New(t, strings.Replace(apptest.Organisation, "mail: {directory: outbox,", "mail: {smarthost: '"+addr+"', tls: none,", 1)+apptest.Access, nil)
	unsent := func() (u api.Unsent) {
		code, body := s.Ask(apptest.ViewerToken, "GET", "/api/v1/status", "")
		_, body, _ = strings.Cut(body, "\r\n\n")
		var status api.Status
		if err := json.Unmarshal([]byte(body), &status); code != 200 || err != nil {
			t.Fatalf("%d %v %s", code, err, body)
		}
		return status.Unsent
	}
	metric := func(name string) string {
		return strings.TrimSpace(regexp.MustCompile(`(?m)^` + name + ` (.*)$`).FindString(s.Scrape()))
	}
	if u := unsent(); u != (api.Unsent{}) {
		t.Errorf("before: %+v", u)
	}
	for _, name := range []string{"sitrep_updates_overdue", "sitrep_updates_overdue_seconds"} {
		if got := metric(name); got != name+" 0" {
			t.Errorf("before: %q", got)
		}
	}
	s.Start()
	s.Alert("firing", "send", "a")
	s.Until("the server was found to be down", func() bool { return unsent().Waiting > 0 })
	u := unsent()
	if u.Recipients < 1 || u.Since == nil || !strings.Contains(u.LastError, "refused") || strings.Contains(u.LastError, "@") {
		t.Errorf("down: %+v", u)
	}
	for _, path := range []string{"/", "/incidents/INC-1", "/status", "/reports"} {
		if _, body := s.Ask(apptest.ViewerToken, "GET", path, ""); !strings.Contains(body, "not handed over; the first was due ") {
			t.Errorf("%s does not say it", path)
		}
	}
	server = mailtest.New(mailtest.Behaviour{})
	if err := server.Listen(addr); err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	s.Until("all is handed over", func() bool { return unsent() == api.Unsent{} })
	if _, body := s.Ask(apptest.ViewerToken, "GET", "/", ""); strings.Contains(body, "not handed over") {
		t.Error("the page still says it")
	}
}
