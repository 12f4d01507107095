package command_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/mux"

	"sitrep/audit"
	"sitrep/incident"
	"sitrep/incident/incidentjson"
	"sitrep/incident/incidenttest"
	"sitrep/internal/access"
	"sitrep/internal/command"
	"sitrep/internal/eml"
	"sitrep/internal/status"
	"sitrep/router"
	"sitrep/router/email"
	"sitrep/router/webhook"
	"sitrep/storage"
	"sitrep/storage/bolt"
	"sitrep/templates"
	"sitrep/web"
	"sitrep/wording"
)

// choices are the fields of commands that are no texts of people: what is written there is
// looked up.
var choices = map[string][]string{
	"declare": {"slo", "team", "priority", "stakeholders"}, "priority": {"priority"}, "phase": {"phase"},
	"updates": {"audiences"}, "actions": {"Name", "state"}, "merge": {"into"},
}

// slugs are the commands by their names in the API.
var slugs = map[string]command.Command{
	"declare": command.Declare{}, "acknowledge": command.Acknowledge{}, "notes": command.Note{}, "priority": command.Priority{},
	"phase": command.Phase{}, "updates": command.Update{}, "actions": command.Action{}, "resolve": command.Resolve{},
	"close": command.Close{}, "reopen": command.Reopen{}, "merge": command.Merge{},
}

func TestEveryTextOfACommandHasItsReaders(t *testing.T) {
	known := 0
	for slug, cmd := range slugs {
		of := reflect.TypeOf(cmd)
		for i := range of.NumField() {
			f := of.Field(i)
			if f.Anonymous || f.Type.Kind() == reflect.Bool {
				continue
			}
			name := f.Tag.Get("json")
			if name == "-" {
				name = f.Name
			}
			readers, isText := incident.ReadersOf(slug, name)
			if isChoice := slices.Contains(choices[slug], name); isText == isChoice {
				t.Errorf("%s.%s: is it a text of a person? Its readers are %q", slug, name, readers)
			}
			if isText {
				known++
			}
		}
	}
	if n := len(incident.Texts()); n != known {
		t.Errorf("%d texts have readers, and commands have %d", n, known)
	}
}

// A told is all that readers got, in every channel.
type told map[incident.Audience]*strings.Builder

// A canaryWorld lets a canary be written into every field of every command, and keeps what
// each audience is told.
type canaryWorld struct {
	*testing.T
	repo  *storage.Repository
	mail  *email.Directory
	hooks *webhook.Sender
	own   *templates.Set
	desk  *router.Dispatcher
	now   time.Time
	told  told
}

func newCanaryWorld(t *testing.T) *canaryWorld {
	db, err := bolt.Open(t.Context(), filepath.Join(t.TempDir(), "sitrep.db"), bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	p := incidenttest.Policy()
	p.RemindBefore, p.ExternalURL = 0, "https://sitrep.example.org"
	p.Groups = []incident.Group{incidenttest.Group("leadership", "cto"), incidenttest.Group("customer-support", "support")}
	for i := range p.Priorities {
		p.Priorities[i].Inform = []incident.Audience{incident.AudienceManagement, incident.AudienceStakeholders}
		p.Priorities[i].UpdateEvery, p.Priorities[i].InformAfter = time.Hour, 0
	}
	p.Teams = []incident.Team{incidenttest.Team("web", "web-oncall")}
	w := &canaryWorld{
		T: t, repo: &storage.Repository{Store: db, Policy: func() *incident.Policy { return p }},
		hooks: webhook.New(webhook.Options{}), now: monday, told: told{},
	}
	if w.mail, err = email.NewDirectory(t.TempDir(), email.Letterhead{From: mail.Address{Address: "incidents@example.org"}}); err != nil {
		t.Fatal(err)
	}
	// Templates that say all that they are given.
	set, problems := templates.Parse([]templates.File{{Name: "all.tmpl", Text: `{{define "mail.subject"}}{{.Subject}}{{end}}
{{define "mail.text"}}{{toJson .}}{{end}}{{define "mail.html"}}<pre>{{toJson .}}</pre>{{end}}{{define "mattermost"}}{"text": {{toJson (toJson .)}}}{{end}}`}})
	if problems != nil {
		t.Fatal(problems)
	}
	w.own = set
	w.desk = &router.Dispatcher{Repo: w.repo, Sender: func(incident.Channel) (router.Sender, bool) { return w.mail, true }}
	for _, a := range []incident.Audience{incident.AudienceOnCall, incident.AudienceManagement, incident.AudienceStakeholders} {
		w.told[a] = &strings.Builder{}
	}
	return w
}

// do carries a command out, and tells all who are to be told after it: of what is owed at
// once, or with the next scheduled update.
func (w *canaryWorld) do(actor incident.Actor, number int64, cmd command.Command) {
	w.Helper()
	w.now = w.now.Add(time.Minute)
	req := &command.Request{Command: cmd, Incident: number, Actor: actor}
	if err := w.repo.Change(w.Context(), w.now, func(c *storage.Change) error {
		_, err := req.Apply(c, nil)
		return err
	}); err != nil {
		w.Fatalf("%T: %v", cmd, err)
	}
	w.now = w.now.Add(3 * time.Hour)
	for n := int64(1); n <= 2; n++ {
		w.tell(n)
	}
}

func (w *canaryWorld) tell(number int64) {
	w.Helper()
	err := w.repo.Change(w.Context(), w.now, func(c *storage.Change) error {
		s, err := c.Situation(number)
		if err != nil {
			return nil // it does not exist yet
		}
		for i := range s.Subscriptions {
			to := s.Subscriptions[i].Recipient
			planned, ok := s.Plan(to, c.Policy, w.now)
			if !ok {
				continue
			}
			m, ok, err := w.desk.Foretell(w.Context(), c.Tx, s, nil, to, w.now)
			if err != nil || !ok {
				return fmt.Errorf("%s is told nothing: %w", to, err)
			}
			w.read(&m)
			if err := c.Note(s, s.Delivered(to, planned.Cover, w.now, incident.Cause{}, c.Policy)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		w.Fatal(err)
	}
}

// read keeps what a message says as a mail, as JSON, in plain words, by templates that say all that
// they can, and in a digest.
func (w *canaryWorld) read(m *incident.Message) {
	w.Helper()
	digest := *m
	digest.Kind, digest.Items = incident.KindDigest, slices.Repeat(m.Items, 2)
	into := w.told[m.Audiences[0]]
	for _, m := range []*incident.Message{m, &digest} {
		body, err := w.mail.Render(m)
		if err != nil {
			w.Fatal(err)
		}
		mail := eml.Parse(body)
		posted, err := w.hooks.Render(m)
		if err != nil {
			w.Fatal(err)
		}
		words, err := wording.Text(m)
		if err != nil {
			w.Fatal(err)
		}
		own, err := w.own.Mail(m)
		if err != nil {
			w.Fatal(err)
		}
		chat, err := w.own.Chat("mattermost", m)
		if err != nil {
			w.Fatal(err)
		}
		fmt.Fprintln(into, mail.Get("Subject"), mail.Text, mail.HTML, string(posted), words, own.Text, own.HTML, string(chat))
	}
}

// canary is what is written in a field.
func canary(command, field string) string {
	word := "canary-" + command + "-" + strings.ReplaceAll(field, "_", "-")
	if field == "link" {
		return "https://" + word + ".example.org"
	}
	return word
}

func TestWordsReachThoseForWhomTheyAre(t *testing.T) {
	w := newCanaryWorld(t)
	declare := func(useCase string) command.Declare {
		return command.Declare{UseCase: useCase, Team: "web", Priority: "P2", Stakeholders: []string{"customer-support"}, Reason: canary("declare", "reason")}
	}
	resolve := command.Resolve{Note: canary("resolve", "note"), Message: canary("resolve", "message")}
	w.do("ada", 0, declare(canary("declare", "use_case")))
	w.do("canary-who-first", 1, command.Acknowledge{})
	w.do("canary-who-second", 1, command.Acknowledge{})
	w.do("canary-who-second", 1, command.Acknowledge{Release: true})
	w.do("canary-who-third", 1, command.Acknowledge{})
	w.do("ada", 1, command.Note{Text: canary("notes", "text")})
	w.do("ada", 1, command.Priority{Priority: "P1", Reason: canary("priority", "reason")})
	w.do("ada", 1, command.Phase{Phase: incident.PhaseEscalation, Note: canary("phase", "note"), EscalatedTo: canary("phase", "escalated_to")})
	w.do("ada", 1, command.Phase{Phase: incident.PhaseEscalation, Note: canary("phase", "note"), EscalatedTo: canary("phase", "escalated_to") + "-again"})
	w.do("ada", 1, command.Update{Message: canary("updates", "message")})
	w.do("ada", 1, command.Action{Name: "hotfix", State: incident.ActionWaived, Link: "https://canary-waived-link.example.org", Reason: canary("actions", "reason")})
	w.do("ada", 1, command.Action{Name: "hotfix", State: incident.ActionDone, Link: canary("actions", "link"), Reason: canary("actions", "reason")})
	w.do("ada", 1, resolve)
	w.do("ada", 1, command.Reopen{Reason: canary("reopen", "reason")})
	w.do("ada", 1, command.Phase{Phase: incident.PhaseEscalation, EscalatedTo: canary("phase", "escalated_to")})
	w.do("ada", 1, command.Action{Name: "postmortem", State: incident.ActionWaived, Link: "https://canary-waived-link.example.org", Reason: canary("actions", "reason")})
	w.do("ada", 0, declare("Another"))
	w.do("ada", 1, command.Merge{Into: "INC-2", Reason: canary("merge", "reason")}) // its actions go along
	w.do("ada", 2, resolve)
	for _, a := range []string{"hotfix", "postmortem"} {
		w.do("ada", 2, command.Action{Name: a, State: incident.ActionWaived, Reason: canary("actions", "reason")})
	}
	w.do("ada", 2, command.Close{Note: canary("close", "note")})

	inside := w.inside()
	for _, text := range incident.Texts() {
		word := canary(text.Command, text.Field)
		for where, shown := range inside {
			if !strings.Contains(shown, word) {
				t.Errorf("%s does not show %s.%s", where, text.Command, text.Field)
			}
		}
		// Of what is closed nobody is told any more.
		if text.Command != "close" && !strings.Contains(w.told[incident.AudienceOnCall].String(), word) {
			t.Errorf("those on call are not told %s.%s", text.Command, text.Field)
		}
		for _, a := range []incident.Audience{incident.AudienceManagement, incident.AudienceStakeholders} {
			got, want := strings.Contains(w.told[a].String(), word), text.Readers == incident.ReadByAudiences
			if got != want {
				t.Errorf("%s are told %s.%s: %t, want %t", a, text.Command, text.Field, got, want)
			}
		}
	}
	for _, word := range []string{"canary-who", "canary-waived-link"} {
		for _, a := range []incident.Audience{incident.AudienceManagement, incident.AudienceStakeholders} {
			if got := w.told[a].String(); strings.Contains(got, word) || strings.Contains(got, "acknowledged_by") {
				t.Errorf("%s are told %s", a, word)
			}
		}
		if !strings.Contains(w.told[incident.AudienceOnCall].String(), word) {
			t.Errorf("those on call are not told %s", word)
		}
	}
}

// inside is what pages, API and evidence show.
func (w *canaryWorld) inside() map[string]string {
	w.Helper()
	shown := map[string]string{}
	pages, err := web.New(web.Options{
		Repo: w.repo, Now: func() time.Time { return w.now }, Logger: slog.New(slog.DiscardHandler),
		Service: func() status.Service { return status.Service{} },
	})
	if err != nil {
		w.Fatal(err)
	}
	r := mux.NewRouter()
	pages.Register(r, func(_ access.Role, next http.Handler) http.Handler { return next })
	err = w.repo.Store.Read(w.Context(), func(snapshot storage.Snapshot) error {
		for n := int64(1); n <= 2; n++ {
			page := httptest.NewRecorder()
			r.ServeHTTP(page, httptest.NewRequest(http.MethodGet, "/incidents/"+incident.ID(n), nil))
			in, err := storage.IncidentOf(w.Context(), snapshot, n)
			if err != nil {
				return err
			}
			events, err := storage.EventsOf(w.Context(), snapshot, n, 0, 1000)
			if err != nil {
				return err
			}
			listed, err := json.Marshal(incidentjson.FromEvents(events))
			if err != nil {
				return err
			}
			stepper := audit.NewStepper(&in)
			stepper.Add(events)
			steps, err := json.Marshal(stepper.Steps())
			if err != nil {
				return err
			}
			shown["the API"] += string(listed)
			shown["a page"] += page.Body.String()
			shown["the evidence"] += string(steps)
		}
		return nil
	})
	if err != nil {
		w.Fatal(err)
	}
	return shown
}

// TestWhatEarlierBuildsKeptObeysToo: the events of stores that exist are told in the same
// way, and so is what was merged, resolved or raised with actions in it.
func TestWhatEarlierBuildsKeptObeysToo(t *testing.T) {
	kept := []incident.Action{{Name: "hotfix", State: incident.ActionWaived, Reason: "canary", Link: "https://canary.example.org"}}
	for _, e := range []incident.Event{
		{Type: incident.EventAcknowledged, Actor: "canary", Reason: "canary"},
		{Type: incident.EventPhaseChanged, Actor: "ada", Reason: "canary", Data: incident.Data{From: "investigation", To: "escalation", EscalatedTo: "canary"}},
		{Type: incident.EventResolved, Actor: "ada", Reason: "canary", Data: incident.Data{Actions: kept}},
		{Type: incident.EventClosed, Actor: "ada", Reason: "canary"},
		{Type: incident.EventActionChanged, Actor: "ada", Reason: "canary", Data: incident.Data{Action: "hotfix", To: "waived", Link: "https://canary.example.org"}},
		{Type: incident.EventPriorityChanged, Actor: "ada", Reason: "for all", Data: incident.Data{From: "P2", To: "P1", Actions: kept}},
		{Type: incident.EventMerged, Actor: "ada", Reason: "for all", Data: incident.Data{From: "INC-1", Actions: kept}},
		{Type: "something_else", Actor: "ada", Reason: "canary", Data: incident.Data{Message: "canary"}},
	} {
		known, ok := e.ForReader([]incident.Audience{incident.AudienceStakeholders})
		said := fmt.Sprintf("%+v %s", known, wording.Describer{Depth: wording.ForRecord}.Event(&known))
		if !ok || strings.Contains(said, "canary") || e.Reason == "for all" && !strings.Contains(said, "for all") {
			t.Errorf("%s: told %t, %s", e.Type, ok, said)
		}
		if same, ok := e.ForReader([]incident.Audience{incident.AudienceStakeholders, incident.AudienceOnCall}); !ok || !reflect.DeepEqual(same, e) {
			t.Errorf("%s: those on call are told %+v", e.Type, same)
		}
	}
	if len(kept[0].Reason) == 0 {
		t.Error("what is told took away what is kept")
	}
}
