package web_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"sitrep/chain"
	"sitrep/chain/live"
	"sitrep/internal/access"
	"sitrep/internal/coverage"
)

// follow lets the chains of the fixture be looked at: one is broken, one is doubtful, of one
// nothing is known, and one is whole. What was found repeats a text.
func (f *fixture) follow(text string) {
	broken := chain.Finding{
		Kind: chain.KindSwallowed, Severity: chain.Error, Place: chain.Place{File: "http://alertmanager.example:9093/#/status", Line: 12, Column: 5}, SLO: "notifications-delay-latency",
		Text: "this route takes the alert \"Delay\" to receiver \"pager\" " + text, Fix: "add continue: true to it",
		Sides: []chain.Side{{Place: chain.Place{File: "slos/a.yml", Line: 7, Column: 9}, Text: "the SLO " + text}},
	}
	doubtful := chain.Finding{Kind: chain.KindSilenced, Severity: chain.Warning, SLO: "log-on-availability", Text: "a silence mutes the alert " + text}
	general := chain.Finding{Kind: chain.KindMember, Severity: chain.Note, Text: "its cluster has 3 members " + text}
	r := &live.Result{
		At: f.clock.Now(), Report: &chain.Report{Findings: []chain.Finding{broken, doubtful, general}}, General: []chain.Finding{general},
		Sources: []live.Source{
			{Program: "Prometheus", Name: "http://prometheus.example:9090", AnsweredAt: f.clock.Now()},
			{Program: "Alertmanager", Name: "http://alertmanager.example:9093", AnsweredAt: f.clock.Now().Add(-6 * time.Minute), Error: "connection refused " + text},
		},
	}
	for i := range f.policy.SLOs {
		s := &f.policy.SLOs[i]
		c := live.Chain{SLO: &chain.SLO{ID: s.ID}, State: live.Whole, Alerts: []string{"Alert " + text}}
		for _, stage := range chain.Stages() {
			l := live.Link{Stage: stage, State: live.Whole}
			if stage == chain.StageRoute {
				switch s.ID {
				case broken.SLO:
					l.State, l.Findings = live.Broken, []chain.Finding{broken}
				case doubtful.SLO:
					l.State, l.Findings = live.Doubtful, []chain.Finding{doubtful}
				case "search-latency":
					l.State = live.Unknown
				}
			}
			c.State = live.Worst(c.State, l.State)
			c.Links = append(c.Links, l)
		}
		r.Chains = append(r.Chains, c)
	}
	f.coverage = coverage.New(r, true, true)
}

func TestCoverageShowsEachChain(t *testing.T) {
	f := newFixture(t)
	f.populate("eu-central")
	a := f.get("viewer", "/coverage")
	text := a.text()
	// The worst comes first.
	at := -1
	for _, want := range []string{"notifications-delay-latency broken", "log-on-availability doubtful", "search-latency not known", "notifications-register-availability whole"} {
		i := strings.Index(text, want)
		if i <= at {
			t.Errorf("%q comes at %d, after %d: %s", want, i, at, text)
		}
		at = i
	}
	for _, want := range []string{
		"4 found · 1 broken · 1 doubtful · 1 not known · 1 whole", "Route to sitrep: this route takes the alert", "add continue: true to it", "http://alertmanager.example:9093/#/status:12:5",
		"Alertmanager http://alertmanager.example:9093 did not answer: connection refused", "still counts", "INC-", "its cluster has 3 members", "to one of",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing: %s", want, text)
		}
	}
	for query, want := range map[string]string{"state=broken": "notifications-delay-latency", "team=identity&state=doubtful": "log-on-availability", "q=search": "search-latency"} {
		a := f.get("viewer", "/coverage?"+query)
		if got := a.text(); !strings.Contains(got, want) || !strings.Contains(got, "1 found") {
			t.Errorf("%s: %s", query, got)
		}
	}
}

func TestCoverageSaysWhenNobodyWasAsked(t *testing.T) {
	f := newFixture(t)
	a := f.get("viewer", "/coverage")
	if text := a.text(); !strings.Contains(text, "not been looked at yet") || !strings.Contains(text, "4 found") || strings.Contains(text, "broken P") {
		t.Error(text)
	}
	f.coverage = coverage.New(&live.Result{At: f.clock.Now(), Report: &chain.Report{}}, false, false)
	a = f.get("viewer", "/coverage")
	text := a.text()
	if !strings.Contains(text, "No Prometheus is asked") || !strings.Contains(text, "No Alertmanager is asked") || !strings.Contains(text, "4 found") || strings.Contains(text, "broken P") {
		t.Error(text)
	}
}

// TestCoverageSeesWhoIsReached: the store knows better than the configuration whether somebody is
// told.
func TestCoverageSeesWhoIsReached(t *testing.T) {
	f := newFixture(t)
	f.follow("")
	f.policy.Teams[0].OnCall = nil
	f.policy.SLOs[0].Stakeholders = nil
	f.policy.Management = nil
	a := f.get("viewer", "/coverage?q=register")
	if text := a.text(); !strings.Contains(text, "notifications-register-availability broken") || !strings.Contains(text, "nobody would be told") {
		t.Error(text)
	}
}

func TestCoverageIsNotForEverybody(t *testing.T) {
	f := newFixture(t)
	f.follow("mail ada@example.org")
	if a := f.send("receiver", "GET", "/coverage", nil); a.Code != http.StatusForbidden {
		t.Errorf("%d: %s", a.Code, a.text())
	}
	if a := f.get("viewer", "/coverage"); !strings.Contains(a.text(), "ada@example.org") {
		t.Errorf("a viewer does not see what was found: %s", a.text())
	}
	f.http = f.router(func(_ access.Role, next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r.WithContext(access.With(r.Context(), access.Identity{Kind: access.KindAnonymous, Role: access.Viewer})))
		})
	})
	if a := f.get("", "/coverage"); strings.Contains(a.Body.String(), "@example.org") || strings.Contains(a.text(), "connection refused") || !strings.Contains(a.text(), "notifications-delay-latency broken") {
		t.Errorf("a stranger sees %s", a.text())
	}
}
