package webhook_test

import (
	"strings"
	"testing"

	"sitrep/incident"
	"sitrep/incident/incidenttest"
	"sitrep/router/webhook"
	"sitrep/templates"
)

// A chat gets what its template makes, each its own; where that fails, or there is none, what sitrep
// makes. A program's JSON has no template.
func TestChatsHaveTemplatesOfOnesOwn(t *testing.T) {
	own, problems := templates.Parse([]templates.File{{Name: "own.tmpl", Text: `
{{define "slack"}}{"text": {{toJson .Title}}}{{end}}
{{define "mattermost"}}{{if eq .Kind "resolved"}}{{.Nothing}}{{end}}{"text": {{toJson .Title}}}{{end}}`}})
	if problems != nil {
		t.Fatal(problems)
	}
	var failed []string
	own.Failed = func(f *templates.Failure) { failed = append(failed, f.Error()) }
	render := func(f webhook.Format, set *templates.Set, kind incident.Kind) string {
		s := webhook.New(webhook.Options{Templates: set, Endpoints: func(string) (webhook.Endpoint, bool) {
			return webhook.Endpoint{URL: "https://chat.example.org", Format: f}, true
		}})
		b, err := s.Render(incidenttest.Message(kind))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	for _, f := range []webhook.Format{webhook.Slack, webhook.Mattermost} {
		if got, want := render(f, own, incident.KindUpdate), `{"text":"Application cannot notify its users"}`; got != want {
			t.Errorf("%s: %s, want %s", f, got, want)
		}
	}
	for _, f := range []webhook.Format{webhook.Teams, webhook.JSON} {
		if got, want := render(f, own, incident.KindUpdate), render(f, nil, incident.KindUpdate); got != want {
			t.Errorf("%s has no template, and is\n%s, want\n%s", f, got, want)
		}
	}
	if failed != nil {
		t.Errorf("%q", failed)
	}
	if got, want := render(webhook.Mattermost, own, incident.KindResolved), render(webhook.Mattermost, nil, incident.KindResolved); got != want {
		t.Errorf("a template failed, and the message is\n%s, want\n%s", got, want)
	}
	if len(failed) != 1 || !strings.HasPrefix(failed[0], "own.tmpl:3:") {
		t.Errorf("what failed is %q", failed)
	}
}
