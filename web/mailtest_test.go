package web_test

import (
	"net/url"
	"strings"
	"testing"

	"sitrep/incident"
	"sitrep/internal/status"
)

func TestATestMailIsPreviewedThenSent(t *testing.T) {
	f := newFixture(t)
	sent := 0
	answer := status.MailTest{To: "ada@example.org", Where: "smtp.example.org:587", Message: "Subject: a <test>\r\n\r\ntext"}
	f.mailTest = func(to string, preview bool) (status.MailTest, error) {
		if to != "ada@example.org" {
			return status.MailTest{}, &incident.Problem{Kind: incident.ErrInvalid, Text: "not an email address"}
		}
		out := answer
		out.Preview = preview
		if !preview {
			sent++
		}
		return out, nil
	}
	if a := f.get("admin", "/status"); !strings.Contains(a.Body.String(), "mail/test") {
		t.Error("an admin has no button")
	}
	if a := f.get("responder", "/status"); strings.Contains(a.Body.String(), "mail/test") {
		t.Error("a responder has a button")
	}
	form := f.get("admin", "/mail/test")
	checkPage(t, &form)
	if a := f.send("admin", "POST", "/mail/test", url.Values{"to": {"ada"}}); a.Code != 400 || !strings.Contains(a.text(), "not an email address") {
		t.Errorf("%d %s", a.Code, a.text())
	}
	p := f.send("admin", "POST", "/mail/test", url.Values{"to": {"ada@example.org"}})
	checkPage(t, &p)
	if p.Code != 200 || sent != 0 || !strings.Contains(p.text(), "Nothing is sent yet.") || !strings.Contains(p.text(), "Subject: a <test>") {
		t.Errorf("preview: %d %s", p.Code, p.text())
	}
	_, values := p.confirm()
	answer.Sent, answer.Steps = true, []status.MailStep{{By: "sitrep", Text: "EHLO here"}, {By: "server", Text: "250 <b>fine"}, {Text: "encrypted"}}
	a := f.send("admin", "POST", "/mail/test", values)
	checkPage(t, &a)
	if a.Code != 200 || sent != 1 || !strings.Contains(a.text(), "Handed over to smtp.example.org:587") || !strings.Contains(a.text(), "sitrep EHLO here server 250 <b>fine note encrypted") {
		t.Errorf("sent: %d %s", a.Code, a.text())
	}
	answer.Sent, answer.Error, answer.Advice = false, "535 no", "look at username"
	a = f.send("admin", "POST", "/mail/test", values)
	if !strings.Contains(a.text(), "Not sent to ada@example.org: 535 no What to change: look at username") || strings.Contains(a.Body.String(), "banner good") {
		t.Errorf("not sent: %s", a.text())
	}
	if a := f.send("responder", "POST", "/mail/test", values); a.Code != 403 {
		t.Errorf("a responder: %d", a.Code)
	}
}
