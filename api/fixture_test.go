package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/mux"

	"sitrep/api"
	"sitrep/audit"
	"sitrep/incident"
	"sitrep/incident/incidenttest"
	"sitrep/internal/access"
	"sitrep/internal/coverage"
	"sitrep/internal/status"
	"sitrep/ledger"
	"sitrep/storage"
	"sitrep/storage/bolt"
)

var start = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// A fixture is the API on a store of its own, with a clock that stands still.
type fixture struct {
	t      testing.TB
	store  storage.Store
	policy *incident.Policy
	clock  *incidenttest.Clock
	api    *api.Handler
	http   http.Handler
	woken  atomic.Int64
	key    *ledger.Key
	// coverage is what was found along the chains.
	coverage *coverage.Report
	// undocumented is set by tests whose requests the document is not about.
	undocumented bool
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
	f := &fixture{t: t, store: db, policy: policy(), clock: incidenttest.NewClock(start), coverage: &coverage.Report{}}
	if f.key, err = ledger.GenerateKey("sitrep.example.org/ledger"); err != nil {
		t.Fatal(err)
	}
	f.api = api.New(api.Options{
		Repo: &storage.Repository{Store: db, Policy: func() *incident.Policy { return f.policy }, Wake: func() { f.woken.Add(1) }},
		Now:  f.clock.Now,
		Service: func() status.Service {
			return status.Service{Version: "1.2.3", StartedAt: start, Ledger: ledger.Status{PublicKey: f.key.Public(), Witness: "audit@example.org", Every: 24 * time.Hour}}
		},
		MailTest: func(_ context.Context, to string, preview bool) (status.MailTest, error) {
			return status.MailTest{To: to, Preview: preview, Sent: !preview, Steps: []status.MailStep{}}, nil
		},
		Coverage: func() *coverage.Report { return f.coverage },
		Nearest: func(labels map[string]string) (string, string) {
			if labels["sitrep_slo"] == "serch" {
				return "sitrep_slo", "search"
			}
			return "", ""
		},
		Logger: slog.New(slog.DiscardHandler),
		Export: func(ctx context.Context, w io.Writer, o audit.ExportOptions) (audit.ExportSummary, error) {
			o.Key = f.key
			return audit.Export(ctx, db, w, o)
		},
	})
	guard, err := access.New(slog.New(slog.DiscardHandler), access.Rules{Tokens: []access.Token{
		{Name: "alertmanager", Role: access.Receiver, Token: "receiver"},
		{Name: "grafana", Role: access.Viewer, Token: "viewer"},
		{Name: "ada", Role: access.Responder, Token: "responder"},
		{Name: "bob", Role: access.Responder, Token: "responder2"},
		{Name: "ops", Role: access.Admin, Token: "admin"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	router := mux.NewRouter().SkipClean(true).UseEncodedPath()
	f.api.Register(router, guard.Require)
	f.http = router
	return f
}

// policy is the example organisation's, with two teams, in UTC, and with less
// to tell.
func policy() *incident.Policy {
	slo := func(id, team, priority string) incident.SLO {
		s := incidenttest.SLO(id, priority)
		s.UseCase, s.Service, s.Team = "Application cannot "+id, team, team
		return s
	}
	p := incidenttest.Policy(slo("send", "mail", "P2"), slo("log on", "web", "P1"), slo("search", "web", "P3"))
	p.Location = time.UTC
	p.Priorities[1].Inform = []incident.Audience{incident.AudienceStakeholders}
	p.Priorities[2].Inform, p.Priorities[2].UpdateEvery = nil, 0
	p.Groups = append(p.Groups, incidenttest.Group("sales", "sales"))
	p.Teams = []incident.Team{incidenttest.Team("mail", "mail-oncall"), incidenttest.Team("web", "web-oncall")}
	return p
}

// breach opens an incident for a breach of the SLO, or joins the one that is open,
// and returns its number.
func (f *fixture) breach(slo, fingerprint string) int64 {
	f.t.Helper()
	var number int64
	f.change(func(c *storage.Change) error {
		var about incident.SLO
		for _, s := range f.policy.SLOs {
			if s.ID == slo {
				about = s
			}
		}
		latest, err := c.Latest(about.Key)
		if err != nil {
			return err
		}
		stamp := c.Stamp(incident.ActorAlertmanager)
		var s *incident.Situation
		if latest == nil {
			if s, err = c.New(); err != nil {
				return err
			}
			events, err := incident.OpenFor(stamp, &about, c.Policy, s.Incident.Number, 0)
			if err != nil {
				return err
			}
			if err := c.Record(s, events...); err != nil {
				return err
			}
		} else {
			in, err := incident.Follow(c, latest.Number)
			if err != nil {
				return err
			}
			if s, err = c.Incident(in.Number); err != nil {
				return err
			}
		}
		number = s.Incident.Number
		a := incident.Alert{Fingerprint: fingerprint, StartsAt: f.clock.Now(), Labels: map[string]string{"alertname": slo}}
		b := incident.NewBreach(&a, nil, f.clock.Now())
		p, _ := c.Policy.Priority(about.Priority)
		return c.RecordBreach(&s.Incident, &b, s.Incident.Fire(stamp, &b, &a, "", p, c.Policy))
	})
	return number
}

func (f *fixture) change(fn func(*storage.Change) error) {
	f.t.Helper()
	repo := storage.Repository{Store: f.store, Policy: func() *incident.Policy { return f.policy }}
	if err := repo.Change(f.t.Context(), f.clock.Now(), fn); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) write(fn func(storage.Tx) error) {
	f.t.Helper()
	if err := f.store.Write(f.t.Context(), fn); err != nil {
		f.t.Fatal(err)
	}
}

// send sends a request as the owner of a token; headers are name, value and so on.
func (f *fixture) send(as, method, path, body string, headers ...string) *httptest.ResponseRecorder {
	f.t.Helper()
	r := httptest.NewRequest(method, "http://sitrep.example.org"+path, strings.NewReader(body))
	if as != "" {
		r.Header.Set("Authorization", "Bearer "+as)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	f.http.ServeHTTP(w, r)
	f.documented(method, path, body, w)
	return w
}

// get reads a path into out as a viewer.
func (f *fixture) get(path string, out any) http.Header {
	f.t.Helper()
	w := f.send("viewer", "GET", path, "")
	if w.Code != 200 {
		f.t.Fatalf("GET %s: %d %s", path, w.Code, w.Body)
	}
	f.decode(w, out)
	return w.Header()
}

func (f *fixture) decode(w *httptest.ResponseRecorder, out any) {
	f.t.Helper()
	dec := json.NewDecoder(w.Body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(out); err != nil {
		f.t.Fatalf("decode the answer: %v", err)
	}
}

// refused checks that an answer is a problem with that status whose detail has the
// words.
func (f *fixture) refused(w *httptest.ResponseRecorder, status int, words string) {
	f.t.Helper()
	var p struct{ Detail string }
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || w.Code != status || !strings.Contains(p.Detail, words) {
		f.t.Errorf("answered %d %s\nwant %d with %q", w.Code, w.Body, status, words)
	}
	if ct := w.Header().Get("Content-Type"); ct != "application/problem+json" {
		f.t.Errorf("content type = %q", ct)
	}
}

func path(number int64, rest string) string {
	return fmt.Sprintf("/api/v1/incidents/%s%s", incident.ID(number), rest)
}
