package app_test

import (
	"encoding/json"
	"strings"
	"testing"

	"sitrep/app/apptest"
	"sitrep/internal/status"
	"sitrep/router/email/mailtest"
)

// TestATestMailShowsEachStep: an admin previews it, sends it, and reads what the server said
// and what to change.
func TestATestMailShowsEachStep(t *testing.T) {
	t.Parallel()
	server := mailtest.New(mailtest.Behaviour{})
	if err := server.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	addr := server.Addr()
	s := apptest.New(t, strings.Replace(apptest.Organisation, "mail: {directory: outbox,", "mail: {smarthost: '"+addr+"', tls: none,", 1)+apptest.Access, nil)
	ask := func(token, query, body string) (int, string, status.MailTest) {
		code, text := s.Ask(token, "POST", "/api/v1/mail/test"+query, body)
		_, text, _ = strings.Cut(text, "\r\n\n")
		var mt status.MailTest
		_ = json.Unmarshal([]byte(text), &mt)
		return code, text, mt
	}
	for _, token := range []string{"", apptest.ReceiverToken, apptest.ViewerToken, apptest.AuditorToken, apptest.ResponderToken} {
		if code, text, _ := ask(token, "", `{"to":"ada@example.org"}`); code != 401 && code != 403 {
			t.Errorf("%q: %d %s", token, code, text)
		}
	}
	for body, want := range map[string]string{`{}`: "to is missing", `{"to":"ada"}`: "not an email address", `{"to":"ada@example.org","x":1}`: "unknown field"} {
		if code, text, _ := ask(apptest.AdminToken, "", body); code != 400 || !strings.Contains(text, want) {
			t.Errorf("%s: %d %s", body, code, text)
		}
	}
	code, text, got := ask(apptest.AdminToken, "?preview=true", `{"to":"Ada <ada@example.org>"}`)
	if code != 200 || !got.Preview || got.Sent || got.Where != addr || !strings.Contains(got.Message, "Subject: sitrep: a test") || len(got.Steps) != 0 || len(server.Mails()) != 0 {
		t.Errorf("preview: %d %s", code, text)
	}
	code, text, got = ask(apptest.AdminToken, "", `{"to":"ada@example.org"}`)
	said := ""
	for _, step := range got.Steps {
		said += step.By + ": " + step.Text + "\n"
	}
	if code != 200 || got.Preview || !got.Sent || got.Error != "" || !strings.Contains(said, "sitrep: RCPT TO:<ada@example.org>") || !strings.Contains(said, "server: 250 ") || len(server.Mails()) != 1 {
		t.Errorf("sent: %d %s", code, text)
	}
	server.Close()
	code, text, got = ask(apptest.AdminToken, "", `{"to":"ada@example.org"}`)
	if code != 200 || got.Sent || !strings.Contains(got.Error, "refused") || !strings.Contains(got.Advice, "nobody listens there") {
		t.Errorf("not sent: %d %s", code, text)
	}
	without := apptest.New(t, "priorities: [{name: P1}]\n"+apptest.Access, nil)
	if code, text := without.Ask(apptest.AdminToken, "POST", "/api/v1/mail/test", `{"to":"ada@example.org"}`); code != 409 || !strings.Contains(text, "add mail with from and smarthost") {
		t.Errorf("without mail: %d %s", code, text)
	}
}
