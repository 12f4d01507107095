package email

import (
	"bytes"
	"mime"
	"strings"
	"testing"

	"sitrep/incident"
	"sitrep/incident/incidenttest"
	"sitrep/templates"
	"sitrep/wording"
)

// A mail has the parts that templates make, and those of sitrep for the others; where one fails, all of
// it is sitrep's, byte by byte.
func TestMailsHaveTemplatesOfOnesOwn(t *testing.T) {
	for _, tt := range []struct {
		name, text          string
		subject, body, page string // what each begins with
		failed              bool
	}{
		{"the subject", `{{define "mail.subject"}}Ärger: {{.Title}}{{end}}`, "Ärger: Application", "Application cannot", "<!DOCTYPE", false},
		{"the text", `{{define "mail.text"}}Good day{{end}}`, "[P1] INC-42", "Good day\n", "<!DOCTYPE", false},
		{"the HTML", `{{define "mail.html"}}<p>Good day</p>{{end}}`, "[P1] INC-42", "Application cannot", "<p>Good day</p>\n", false},
		{"times", `{{define "mail.html"}}<p>{{.At}} {{with .Incident}}{{.EndedAt}}{{.StartedAt}}{{end}}</p>{{end}}`, "[P1] INC-42", "Application cannot", "<p>15:59 CEST 13:58 CEST</p>\n", false},
		{"a header more", `{{define "mail.subject"}}x` + "\r\nBcc: all@example.org" + `{{end}}{{define "mail.text"}}Good day{{end}}`, "", "", "", true},
		{"nothing", `{{define "mail.text"}} {{end}}`, "", "", "", true},
		{"HTML that is none", `{{define "mail.html"}}<a href="{{.Title}}{{end}}`, "", "", "", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			own, problems := templates.Parse([]templates.File{{Name: "own.tmpl", Text: tt.text}})
			if problems != nil {
				t.Fatal(problems)
			}
			failures := 0
			own.Failed = func(*templates.Failure) { failures++ }
			l := letterhead
			l.Templates = own
			m := incidenttest.Message(incident.KindUpdate)
			raw, err := l.Render(m)
			if err != nil {
				t.Fatal(err)
			}
			if tt.failed {
				built, err := letterhead.Render(m)
				if err != nil || !bytes.Equal(raw, built) || failures != 1 {
					t.Errorf("%d failures, and the mail is not sitrep's own:\n%s", failures, raw)
				}
				return
			}
			h, text, page := parts(t, raw)
			subject, err := new(mime.WordDecoder).DecodeHeader(h.Get("Subject"))
			if err != nil || !strings.HasPrefix(subject, tt.subject) || !strings.HasPrefix(strings.ReplaceAll(text, "\r\n", "\n"), tt.body) || !strings.HasPrefix(strings.ReplaceAll(page, "\r\n", "\n"), tt.page) || failures > 0 {
				t.Errorf("%d failures: %q\n%s\n%s", failures, subject, text, page)
			}
		})
	}
}

// Where templates say all of a mail, nothing is composed besides that is thrown away: it allocates what
// its templates do.
func TestWhatTemplatesSayIsNotComposedBesides(t *testing.T) {
	own, problems := templates.Parse([]templates.File{{Name: "own.tmpl", Text: `{{define "mail.text"}}Good day{{end}}{{define "mail.html"}}<p>Good day</p>{{end}}`}})
	if problems != nil {
		t.Fatal(problems)
	}
	m := incidenttest.Message(incident.KindUpdate)
	count := func(work func() error) float64 {
		return testing.AllocsPerRun(400, func() {
			if err := work(); err != nil {
				t.Fatal(err)
			}
		})
	}
	needed := count(func() error {
		said, err := own.Mail(m)
		if err != nil {
			return err
		}
		_ = wording.Subject(m)
		_, err = cut(said.Text, said.HTML)
		return err
	})
	composed := count(func() error {
		_ = wording.Compose(m)
		return nil
	})
	got := count(func() error {
		_, err := contentOf(m, own)
		return err
	})
	if t.Logf("%v allocations, %v of them needed; sitrep's own words take %v", got, needed, composed); got > needed+composed/2 {
		t.Error("sitrep's own words are composed besides")
	}
}
