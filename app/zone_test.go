package app_test

import (
	netmail "net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sitrep/app/apptest"
)

// TestMailsAreInTheZoneOfTheirGroup: the times that a mail says, and its date, are those
// of the group's zone, and of the team's those of the configuration's.
func TestMailsAreInTheZoneOfTheirGroup(t *testing.T) {
	config := strings.Replace(apptest.Organisation, "  - name: board\n", "  - name: board\n    timezone: Asia/Tokyo\n", 1)
	config = strings.Replace(config, "  - name: support\n", "  - name: support\n    timezone: Asia/Kolkata\n", 1)
	config = strings.Replace(config, "timezone: Europe/Berlin", "timezone: Africa/Nairobi", 1)
	s := apptest.New(t, config+apptest.Access, nil)
	s.Start()
	s.Alert("firing", "send", "a")
	var names []string
	s.Until("three mails are written", func() bool {
		names, _ = filepath.Glob(filepath.Join(s.Dir, "outbox", "*.eml"))
		return len(names) == 3
	})
	zones := map[string]string{"cto@example.org": "JST +0900", "support@example.org": "IST +0530", "oncall@example.org": "EAT +0300"}
	for _, name := range names {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		m, err := netmail.ReadMessage(strings.NewReader(string(raw)))
		if err != nil {
			t.Fatal(err)
		}
		to := strings.Trim(m.Header.Get("To"), "<>")
		for who, zone := range zones {
			letters, offset, _ := strings.Cut(zone, " ")
			if got := strings.Contains(string(raw), " "+letters); got != (who == to) {
				t.Errorf("the mail to %s names %s: %v", to, letters, got)
			}
			if got := strings.HasSuffix(m.Header.Get("Date"), offset); got != (who == to) {
				t.Errorf("the mail to %s is of %s", to, m.Header.Get("Date"))
			}
		}
	}
}
