package app_test

import (
	"fmt"
	netmail "net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sitrep/app/apptest"
)

// TestMailsAreInTheLanguageOfTheirGroup: from the configuration to the mail. Who is in two
// groups is told in the language of the first, a reload takes effect with the next message, and
// a test mail is in the language of whom it goes to.
func TestMailsAreInTheLanguageOfTheirGroup(t *testing.T) {
	in := func(board, support string) string {
		config := strings.Replace(apptest.Organisation, "  - name: board\n", "  - name: board\n    language: "+board+"\n", 1)
		config = strings.Replace(config, "  - name: support\n    email: [", "  - name: support\n    language: "+support+"\n    email: [cto@example.org, ", 1)
		return config + apptest.Access
	}
	s := apptest.New(t, in("en", "de"), nil)
	s.Start()
	seen := map[string]bool{}
	// mails returns the language of the next mails, by whom they go to, and what HTML says of it.
	mails := func(n int) map[string]string {
		t.Helper()
		var names []string
		s.Until(fmt.Sprint(n, " more mails are written"), func() bool {
			names, _ = filepath.Glob(filepath.Join(s.Dir, "outbox", "*.eml"))
			return len(names) == len(seen)+n
		})
		all := map[string]string{}
		for _, name := range names {
			if seen[name] {
				continue
			}
			seen[name] = true
			raw, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			m, err := netmail.ReadMessage(strings.NewReader(string(raw)))
			if err != nil {
				t.Fatal(err)
			}
			language := m.Header.Get("Content-Language")
			if !strings.Contains(string(raw), `<html lang=3D"`+language+`">`) {
				t.Errorf("HTML of a mail in %q says another language", language)
			}
			all[strings.Trim(m.Header.Get("To"), "<>")] = language
		}
		return all
	}
	s.Alert("firing", "send", "a")
	if got, want := fmt.Sprint(mails(3)), fmt.Sprint(map[string]string{"cto@example.org": "en", "support@example.org": "de", "oncall@example.org": "en"}); got != want {
		t.Errorf("the mails are in %s, want %s", got, want)
	}
	s.Write("sitrep.yml", in("de", "en"))
	if code, answer := s.Ask(apptest.AdminToken, "POST", "/-/reload", ""); code != 200 {
		t.Fatal(answer)
	}
	if code, answer := s.Ask(apptest.ResponderToken, "POST", "/api/v1/incidents/INC-1/updates", `{"message":"We look."}`); code != 200 {
		t.Fatal(answer)
	}
	if got, want := fmt.Sprint(mails(2)), fmt.Sprint(map[string]string{"cto@example.org": "de", "support@example.org": "en"}); got != want {
		t.Errorf("after a reload the mails are in %s, want %s", got, want)
	}
	_, answer := s.Ask(apptest.AdminToken, "POST", "/api/v1/mail/test?preview=true", `{"to":"cto@example.org"}`)
	if !strings.Contains(answer, "Subject: sitrep: ein Test") || !strings.Contains(answer, "Content-Language: de") {
		t.Errorf("a test mail to a reader of German: %s", answer)
	}
}
