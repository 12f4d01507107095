package app_test

import (
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sitrep/app/apptest"
	"sitrep/internal/eml"
)

// ownTemplates are broken for one use case, which no sample has.
const ownTemplates = `
{{define "mail.subject"}}ACME {{.Status}}: {{.Title}}{{end}}
{{define "mail.text"}}{{if eq .Title "Notifications arrive with a delay"}}{{.Nothing}}{{end}}ACME says: {{.Title}}
{{.Text}}{{end}}
{{define "mail.html"}}<h1>ACME</h1><p>{{.Title}}</p>{{end}}
`

// mails returns the mails in the outbox, by recipient.
func mails(t *testing.T, s *apptest.Service) map[string]eml.Mail {
	names, err := filepath.Glob(filepath.Join(s.Dir, "outbox", "*.eml"))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]eml.Mail{}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		m := eml.Parse(b)
		all[m.Get("To")+" "+m.Get("X-Sitrep-Incident")] = m
	}
	return all
}

// Mails have words and looks of one's own, a reload brings new ones and refuses broken ones, and where
// one fails for a message, that has sitrep's.
func TestMailsHaveTemplatesOfOnesOwn(t *testing.T) {
	s := apptest.New(t, apptest.Organisation+"templates: [templates/*.tmpl]\n"+apptest.Access, map[string]string{"templates/mail.tmpl": ownTemplates})
	s.Start()
	sent := func(n int) map[string]eml.Mail {
		var all map[string]eml.Mail
		s.Until("mails", func() bool { all = mails(t, s); return len(all) == n })
		return all
	}
	s.Alert("firing", "send", "a")
	all := sent(3) // board, support and on call
	for to, m := range all {
		if want := "ACME P1 · Open: Application cannot notify its users"; m.Get("Subject") != want {
			t.Errorf("%s: subject %q, want %q", to, m.Get("Subject"), want)
		}
		if !strings.HasPrefix(m.Text, "ACME says: Application") || !strings.Contains(m.Text, "Next update") && !strings.HasPrefix(to, "oncall") {
			t.Errorf("%s: text\n%s", to, m.Text)
		}
		if got := strings.TrimSpace(m.HTML); got != "<h1>ACME</h1><p>Application cannot notify its users</p>" {
			t.Errorf("%s: HTML %q", to, got)
		}
	}

	if !strings.Contains(s.Scrape(), `sitrep_template_failures_total{template="mail.text"} 0`) {
		t.Error("no series from zero")
	}
	s.Alert("firing", "delay", "b")
	for to, m := range sent(5) {
		if _, before := all[to]; before {
			continue
		}
		if want := "[P2] INC-2 Notifications arrive with a delay"; m.Get("Subject") != want || !strings.Contains(m.Text, "Next update") && !strings.HasPrefix(to, "oncall") || !strings.Contains(m.HTML, "INC-2") {
			t.Errorf("%s: a template failed, and the mail is not sitrep's own: %q\n%s", to, m.Get("Subject"), m.Text)
		}
	}
	if !strings.Contains(s.Scrape(), `sitrep_template_failures_total{template="mail.text"} 2`) {
		t.Error("messages that a template failed for are not counted")
	}
	if log := s.Log.String(); !strings.Contains(log, "template failed") || !strings.Contains(log, "mail.tmpl:3:77: mail.text: there is no field Nothing") {
		t.Errorf("the log does not say where a template failed:\n%s", log)
	}
	if _, body := s.Ask(apptest.AdminToken, http.MethodGet, "/api/v1/status", ""); !strings.Contains(body, "there is no field Nothing in a Message (2 messages had sitrep's own words instead)") {
		t.Errorf("the status does not tell admins what failed: %s", body)
	}
	if _, body := s.Ask(apptest.ViewerToken, http.MethodGet, "/api/v1/status", ""); !strings.Contains(body, "mail.tmpl:3:77: a mistake") || strings.Contains(body, "Nothing") {
		t.Errorf("the status does not tell others where it failed, or what stands there: %s", body)
	}
	if _, page := s.Ask(apptest.AdminToken, http.MethodGet, "/status", ""); !strings.Contains(page, "there is no field Nothing") {
		t.Error("the page does not say what failed")
	}

	before := hash(t, s)
	s.Write("templates/mail.tmpl", `{{define "mail.subject"}}{{.Titel}}{{end}}`)
	status, body := s.Ask(apptest.AdminToken, http.MethodPost, "/-/reload", "")
	if status == http.StatusOK || !strings.Contains(body, `mail.tmpl:1:28: mail.subject: there is no field Titel in a Message`) || !strings.Contains(body, "did you mean") {
		t.Errorf("a broken template was loaded: %d %s", status, body)
	}
	if hash(t, s) != before {
		t.Error("a broken template is in force")
	}
	s.Write("templates/mail.tmpl", `{{define "mail.subject"}}Changed: {{.Title}}{{end}}`)
	if status, body := s.Ask(apptest.AdminToken, http.MethodPost, "/-/reload", ""); status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	if hash(t, s) == before {
		t.Error("other templates are the same configuration")
	}
	if _, body := s.Ask(apptest.AdminToken, http.MethodGet, "/api/v1/status", ""); strings.Contains(body, "Nothing") {
		t.Error("what failed before the reload is still told")
	}
	if status, body := s.Ask(apptest.ResponderToken, http.MethodPost, "/api/v1/incidents/INC-1/updates", `{"message":"We have found it."}`); status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	s.Until("mails with the new template", func() bool {
		return slices.ContainsFunc(slices.Collect(maps.Values(mails(t, s))), func(m eml.Mail) bool { return strings.HasPrefix(m.Get("Subject"), "Changed: ") })
	})
}

// hash names the configuration in force.
func hash(t *testing.T, s *apptest.Service) string {
	t.Helper()
	_, rest, ok := strings.Cut(s.Scrape(), `sitrep_config_info{hash="`)
	if !ok {
		t.Fatal("no configuration is in force")
	}
	return rest[:64]
}
