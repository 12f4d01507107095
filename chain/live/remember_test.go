package live_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"sitrep/chain"
	"sitrep/chain/live"
)

// TestWhatWasAnsweredCountsForAWhile: who does not answer is said not to, and the chains stay as
// they were last known; an hour later nothing is known any more.
func TestWhatWasAnsweredCountsForAWhile(t *testing.T) {
	w := newWorld(t)
	watcher := w.watcher()
	if r := watcher.Look(t.Context(), &w.promise, w.now); r.Chains[0].State != live.Whole {
		t.Fatalf("%+v", r.Report.Findings)
	}
	w.mu.Lock()
	w.down["/api/v1/rules"], w.down["/api/v2/status"] = true, true
	w.mu.Unlock()
	for _, c := range []struct {
		after   time.Duration
		links   string
		answers bool
	}{
		{59 * time.Minute, "whole whole whole whole", true},
		{61 * time.Minute, "unknown unknown unknown whole", false},
	} {
		r := watcher.Look(t.Context(), &w.promise, w.now.Add(c.after))
		if got := links(&r.Chains[0]); got != c.links {
			t.Errorf("after %s: %s, want %s: %+v", c.after, got, c.links, r.Report.Findings)
		}
		for _, s := range r.Sources {
			if !strings.Contains(s.Error, "answered 503") || s.AnsweredAt.IsZero() == c.answers {
				t.Errorf("after %s: %+v", c.after, s)
			}
		}
		for i := range r.Report.Findings {
			if f := &r.Report.Findings[i]; f.Kind != chain.KindUnanswered || strings.Contains(f.Text, "still counts") != c.answers {
				t.Errorf("after %s: %+v", c.after, f)
			}
		}
	}
	w.mu.Lock()
	clear(w.down)
	w.mu.Unlock()
	if r := watcher.Look(t.Context(), &w.promise, w.now.Add(2*time.Hour)); r.Sources[0].Error != "" || r.Sources[1].Error != "" || r.Chains[1].SLO.ID != "search" {
		t.Errorf("back again: %+v", r.Sources)
	}
}

// TestAnotherPrometheusDoesTheSame: what fails at one of two is a warning, at both an error.
func TestAnotherPrometheusDoesTheSame(t *testing.T) {
	first, second := newWorld(t), newWorld(t)
	for _, w := range []*world{first, second} {
		w.sends = []string{first.alertmanager.URL + "/api/v2/alerts"}
	}
	second.config = "global:\n  external_labels: {cluster: eu, replica: b}\n"
	look := func() *live.Result {
		return live.New([]live.Endpoint{{URL: first.prometheus.URL}, {URL: second.prometheus.URL}}, []live.Endpoint{{URL: first.alertmanager.URL}}, live.Files{}, nil).
			Look(t.Context(), &first.promise, first.now)
	}
	if r := look(); links(&r.Chains[0]) != "whole whole whole whole" || len(r.Report.Findings) > 0 {
		t.Errorf("%s %+v", links(&r.Chains[0]), r.Report.Findings)
	}
	first.change(0, "health", "err")
	if r := look(); links(&r.Chains[0]) != "doubtful whole whole whole" {
		t.Errorf("%s %+v", links(&r.Chains[0]), r.Report.Findings)
	}
	second.sends = []string{}
	if r := look(); links(&r.Chains[0]) != "broken broken whole whole" || links(&r.Chains[1]) != "whole doubtful whole whole" {
		t.Errorf("%s, %s %+v", links(&r.Chains[0]), links(&r.Chains[1]), r.Report.Findings)
	}
	second.sends = first.sends
	second.change(0, "health", "err")
	if r := look(); links(&r.Chains[0]) != "broken whole whole whole" {
		t.Errorf("%s %+v", links(&r.Chains[0]), r.Report.Findings)
	}
}

// TestWhoeverAnswersIsBelievedWithinBounds: what is no answer of theirs is explained, and neither
// size nor slowness keeps anybody.
func TestWhoeverAnswersIsBelievedWithinBounds(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		name, want string
		answer     http.HandlerFunc
	}{
		{"a page to log in", "does a page to log in stand before it?", func(to http.ResponseWriter, _ *http.Request) { fmt.Fprint(to, "<html>Log in</html>") }},
		{"no credentials", "answered 401 Unauthorized to /api/v1/rules; give it credentials", func(to http.ResponseWriter, _ *http.Request) { to.WriteHeader(http.StatusUnauthorized) }},
		{"another program", "answered 404 Not Found to /api/v1/rules; is the path prefix of its URL missing", http.NotFound},
		{"an error of its own", "answered 422 Unprocessable Entity to /api/v1/rules: no such thing", func(to http.ResponseWriter, _ *http.Request) {
			to.WriteHeader(http.StatusUnprocessableEntity)
			fmt.Fprint(to, `{"status":"error","error":"no such\nthing"}`)
		}},
		{"without end", "is longer than 64 MiB", func(to http.ResponseWriter, r *http.Request) {
			piece := bytes.Repeat([]byte(" "), 1<<20)
			for r.Context().Err() == nil {
				if _, err := to.Write(piece); err != nil {
					return
				}
			}
		}},
		{"cut off", "read /api/v1/rules: unexpected EOF", func(to http.ResponseWriter, _ *http.Request) {
			to.Header().Set("Content-Length", "100")
			fmt.Fprint(to, `{"data":`)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			srv := httptest.NewServer(c.answer)
			defer srv.Close()
			at := strings.Replace(srv.URL, "http://", "http://ada:secret@", 1)
			r := live.New([]live.Endpoint{{URL: at}}, []live.Endpoint{{URL: w.alertmanager.URL}}, live.Files{}, nil).Look(t.Context(), &w.promise, w.now)
			if s := r.Sources[0]; !strings.Contains(s.Error, c.want) || strings.Contains(fmt.Sprintf("%+v", r), "secret@") {
				t.Errorf("%+v", s)
			}
			if links(&r.Chains[0]) != "unknown unknown unknown whole" {
				t.Error(links(&r.Chains[0]))
			}
		})
	}
}

// TestStrangersTextsStayShort: what is found of rules with long names and errors is one short line.
func TestStrangersTextsStayShort(t *testing.T) {
	w := newWorld(t)
	long := strings.Repeat("long\n", 100_000)
	w.change(0, "health", "err")
	w.change(0, "lastError", long)
	w.change(0, "name", "A"+long)
	r := w.look()
	if r.Chains[0].State != live.Broken {
		t.Errorf("%s", links(&r.Chains[0]))
	}
	for i := range r.Report.Findings {
		if f := r.Report.Findings[i].String(); len(f) > 4000 || strings.Contains(f, "\n") {
			t.Errorf("%d bytes: %.300q", len(f), f)
		}
	}
}
