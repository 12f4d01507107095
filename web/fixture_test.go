package web_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/mux"
	"golang.org/x/net/html"

	"sitrep/incident"
	"sitrep/incident/incidenttest"
	"sitrep/internal/access"
	"sitrep/internal/command"
	"sitrep/internal/coverage"
	"sitrep/internal/status"
	"sitrep/router"
	"sitrep/router/email"
	"sitrep/router/webhook"
	"sitrep/storage"
	"sitrep/storage/bolt"
	"sitrep/web"
)

var start = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// A fixture is the pages on a store of their own, with a clock that stands still.
type fixture struct {
	t       testing.TB
	store   storage.Store
	clock   *incidenttest.Clock
	policy  *incident.Policy
	service status.Service
	pages   *web.Handler
	http    http.Handler
	woken   atomic.Int64
	// mailTest is what a test mail does; nil: it is taken.
	mailTest func(to string, preview bool) (status.MailTest, error)
	// coverage is what was found along the chains.
	coverage *coverage.Report
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	db, err := bolt.Open(t.Context(), filepath.Join(t.TempDir(), "sitrep.db"), bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	f := &fixture{t: t, coverage: &coverage.Report{}, store: db, clock: incidenttest.NewClock(start), policy: policy(), service: status.Service{Version: "1.2.3", Go: "go1.26", StartedAt: start, Config: status.ConfigState{LoadedAt: start}}}
	f.use(db)
	return f
}

// use makes the pages show what a store has.
func (f *fixture) use(store storage.Store) {
	f.t.Helper()
	t := f.t
	mails, err := email.NewDirectory(t.TempDir(), email.Letterhead{From: mail.Address{Name: "Incident updates", Address: "incidents@example.org"}})
	if err != nil {
		t.Fatal(err)
	}
	f.pages, err = web.New(web.Options{
		Repo: &storage.Repository{Store: store, Policy: func() *incident.Policy { return f.policy }, Wake: func() { f.woken.Add(1) }},
		Now:  f.clock.Now,
		Teller: &router.Dispatcher{Repo: f.repo(), Sender: func(c incident.Channel) (router.Sender, bool) {
			if c == incident.ChannelWebhook {
				return webhook.New(webhook.Options{}), true
			}
			return mails, true
		}},
		Service:  func() status.Service { return f.service },
		Logger:   slog.New(slog.DiscardHandler),
		Coverage: func() *coverage.Report { return f.coverage },
		Nearest: func(labels map[string]string) (string, string) {
			if labels["sitrep_slo"] == "serch-latency" {
				return "sitrep_slo", "search-latency"
			}
			return "", ""
		},
		MailTest: func(_ context.Context, to string, preview bool) (status.MailTest, error) {
			if f.mailTest == nil {
				return status.MailTest{To: to, Preview: preview, Sent: !preview}, nil
			}
			return f.mailTest(to, preview)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	guard, err := access.New(slog.New(slog.DiscardHandler), access.Rules{Tokens: []access.Token{
		{Name: "alertmanager", Role: access.Receiver, Token: "receiver"},
		{Name: "grace", Role: access.Viewer, Token: "viewer"},
		{Name: "ada", Role: access.Responder, Token: "responder"},
		{Name: "bob", Role: access.Responder, Token: "responder2"},
		{Name: "ops", Role: access.Admin, Token: "admin"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	f.http = f.router(guard.Require)
}

func (f *fixture) router(require func(access.Role, http.Handler) http.Handler) http.Handler {
	router := mux.NewRouter().SkipClean(true)
	f.pages.Register(router, require)
	return router
}

// policy is the example organisation's, with two teams and some more to read.
func policy() *incident.Policy {
	slo := func(id, useCase, sli, service, team, priority string) incident.SLO {
		s := incidenttest.SLO(id, priority)
		s.UseCase, s.SLI, s.Service, s.Team = useCase, sli, service, team
		s.Runbook, s.Stakeholders = "https://wiki.example.org/"+id, []string{"customer-support"}
		return s
	}
	p := incidenttest.Policy(
		slo("notifications-register-availability", "Application cannot register with notification services", "availability", "notifications", "notifications", "P1"),
		slo("notifications-delay-latency", "Notifications arrive with a delay", "latency", "notifications", "notifications", "P2"),
		slo("log-on-availability", "People cannot log on", "availability", "identity", "identity", "P1"),
		slo("search-latency", "Search is slow", "latency", "search", "identity", "P3"),
	)
	p.Hash = strings.Repeat("c0ffee00", 8)
	p.Priorities[1].Inform, p.Priorities[1].InformAfter = []incident.Audience{incident.AudienceStakeholders}, 5*time.Minute
	p.Priorities[2].Inform, p.Priorities[2].UpdateEvery = nil, 0
	p.Groups = []incident.Group{incidenttest.Group("leadership", "cto", "product"), incidenttest.Group("customer-support", "support"), incidenttest.Group("sales", "sales")}
	p.Groups[1].Recipients = append(p.Groups[1].Recipients, incident.Recipient{ID: "webhook:5ecbd0", Channel: incident.ChannelWebhook, Address: "https://chat.example.org"})
	p.Teams = []incident.Team{incidenttest.Team("notifications", "notifications-oncall"), incidenttest.Team("identity", "identity-oncall")}
	return p
}

func (f *fixture) repo() *storage.Repository {
	return &storage.Repository{Store: f.store, Policy: func() *incident.Policy { return f.policy }}
}

func (f *fixture) change(fn func(*storage.Change) error) {
	f.t.Helper()
	if err := f.repo().Change(f.t.Context(), f.clock.Now(), fn); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) write(fn func(storage.Tx) error) {
	f.t.Helper()
	if err := f.store.Write(f.t.Context(), fn); err != nil {
		f.t.Fatal(err)
	}
}

// breach makes a breach of the SLO start now, with those labels and annotations beside
// its own, and returns the number of its incident.
func (f *fixture) breach(slo, fingerprint string, labels map[string]string) int64 {
	f.t.Helper()
	var number int64
	f.change(func(c *storage.Change) error {
		var about incident.SLO
		for _, s := range c.Policy.SLOs {
			if s.ID == slo {
				about = s
			}
		}
		in, _, err := c.IncidentFor(&about, incident.ActorAlertmanager)
		if err != nil {
			return err
		}
		number = in.Number
		a := incident.Alert{
			Fingerprint: fingerprint, StartsAt: c.At,
			Labels: map[string]string{"alertname": slo}, GeneratorURL: "https://prometheus.example.org/graph",
		}
		for k, v := range labels {
			a.Labels[k] = v
		}
		b := incident.NewBreach(&a, nil, c.At)
		p, _ := c.Policy.Priority(about.Priority)
		return c.RecordBreach(in, &b, in.Fire(c.Stamp(incident.ActorAlertmanager), &b, &a, "", p, c.Policy))
	})
	return number
}

// do carries a command of ada out.
func (f *fixture) do(number int64, cmd command.Command) int64 {
	f.t.Helper()
	f.change(func(c *storage.Change) error {
		s, err := (&command.Request{Command: cmd, Incident: number, Actor: "ada"}).Apply(c, nil)
		if err == nil {
			number = s.Incident.Number
		}
		return err
	})
	return number
}

// send makes as if all that is due was sent, with those bytes.
func (f *fixture) deliver(number int64, body string) []string {
	f.t.Helper()
	var ids []string
	f.change(func(c *storage.Change) error {
		ids = nil
		s, err := c.Situation(number)
		if err != nil {
			return err
		}
		for i := range s.Subscriptions {
			rcpt := s.Subscriptions[i].Recipient
			planned, ok := s.Plan(rcpt, c.Policy, c.At)
			if !ok {
				continue
			}
			d := incident.Delivery{
				ID: fmt.Sprintf("m%d-%d-%d", number, s.Incident.Sequence, i), Incident: number, Kind: planned.Cover.Kind, Sequence: planned.Cover.Sequence,
				Priority: planned.Cover.Priority, Audience: planned.Reader.Audiences[0], Group: planned.Reader.Groups[0],
				Channel: planned.Reader.Recipient.Channel, Recipient: rcpt, Address: planned.Reader.Recipient.Address,
				DueAt: planned.Cover.DueAt, Promised: planned.Cover.Promised, CreatedAt: c.At, SentAt: c.At, Attempts: 1,
				State: incident.DeliveryDelivered, Covers: []incident.Cover{planned.Cover},
			}
			message := body
			if d.Channel == incident.ChannelWebhook {
				message = `{"type":"incident.opened","data":{"message":"</pre><script>alert(1)</script>"}}`
			}
			if err := c.Tx.PutDelivery(c.Context(), &d, []byte(message)); err != nil {
				return err
			}
			ids = append(ids, d.ID)
			if err := c.Note(s, s.Delivered(rcpt, planned.Cover, c.At, incident.Cause{}, c.Policy)); err != nil {
				return err
			}
		}
		return nil
	})
	return ids
}

// An answer is a page, parsed.
type answer struct {
	*httptest.ResponseRecorder
	doc *html.Node
}

// send sends a request as the owner of a token.
func (f *fixture) send(as, method, path string, form url.Values) answer {
	f.t.Helper()
	r := httptest.NewRequest(method, "http://sitrep.example.org"+path, strings.NewReader(form.Encode()))
	if as != "" {
		r.Header.Set("Authorization", "Bearer "+as)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", "http://sitrep.example.org")
	}
	return f.serve(r)
}

func (f *fixture) serve(r *http.Request) answer {
	f.t.Helper()
	w := httptest.NewRecorder()
	f.http.ServeHTTP(w, r)
	a := answer{ResponseRecorder: w}
	if strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") {
		var err error
		if a.doc, err = html.Parse(strings.NewReader(w.Body.String())); err != nil {
			f.t.Fatal(err)
		}
	}
	return a
}

// get returns a page that must be there.
func (f *fixture) get(as, path string) answer {
	f.t.Helper()
	a := f.send(as, "GET", path, nil)
	if a.Code != 200 {
		f.t.Fatalf("GET %s: %d %s", path, a.Code, a.text())
	}
	return a
}

// text is what the main part of the page says, with single spaces.
func (a *answer) text() string {
	if a.doc == nil {
		return a.Body.String()
	}
	var b strings.Builder
	var walk func(*html.Node)
	walk = func(n *html.Node) {
		if n.Type == html.TextNode {
			b.WriteString(n.Data)
		}
		for c := range n.ChildNodes() {
			walk(c)
		}
		if n.Type == html.ElementNode {
			b.WriteString(" ")
		}
	}
	for _, n := range a.find("main") {
		walk(n)
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// find returns all elements of that name.
func (a *answer) find(name string) []*html.Node {
	var all []*html.Node
	for n := range a.doc.Descendants() {
		if n.Type == html.ElementNode && n.Data == name {
			all = append(all, n)
		}
	}
	return all
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// confirm fills in the confirmation of a preview as a browser would.
func (a *answer) confirm() (action string, form url.Values) {
	form = url.Values{}
	for _, f := range a.find("form") {
		if attr(f, "class") != "confirm" {
			continue
		}
		action = attr(f, "action")
		for n := range f.Descendants() {
			if n.Data == "input" || n.Data == "button" && attr(n, "name") == "confirm" {
				form.Add(attr(n, "name"), attr(n, "value"))
			}
		}
	}
	return action, form
}

func page(number int64, rest string) string { return "/incidents/" + incident.ID(number) + rest }

func hasAttr(n *html.Node, name string) bool {
	for _, a := range n.Attr {
		if a.Key == name {
			return true
		}
	}
	return false
}
