package wiki_test

import (
	"bytes"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/alertmanager/timeinterval"

	"sitrep/incident"
	"sitrep/internal/golden"
	"sitrep/web/wiki"
)

func policy(t *testing.T) *incident.Policy {
	t.Helper()
	newYork, err := time.LoadLocation("America/New_York")
	if err != nil {
		t.Fatal(err)
	}
	address := func(a string) incident.Recipient {
		return incident.Recipient{ID: "email:" + a, Channel: incident.ChannelEmail, Address: a}
	}
	hook := incident.Recipient{ID: "webhook:1", Channel: incident.ChannelWebhook, Address: "https://hooks.example.org"}
	return &incident.Policy{
		Hash: "0123456789abcdef0123456789abcdef", Location: time.UTC,
		Priorities: []incident.Priority{
			{
				Name: "P1", Summary: "Severe customer impact", Rank: 0,
				Criteria:    []string{"Log-on is not possible for any application", "A core use case is broken for most customers"},
				Actions:     []incident.ActionRule{{Name: "hotfix"}, {Name: "postmortem", Within: 5 * 24 * time.Hour}},
				Inform:      []incident.Audience{incident.AudienceManagement, incident.AudienceStakeholders},
				UpdateEvery: 2 * time.Hour,
			},
			{
				Name: "P2", Rank: 1, Criteria: []string{"Daily log-ons dropped by more than 70 %"},
				Inform: []incident.Audience{incident.AudienceStakeholders}, UpdateEvery: 4*time.Hour + 30*time.Minute, InformAfter: 5 * time.Minute,
			},
			{Name: "P3", Rank: 2, Summary: "Small"},
		},
		Management: []string{"leadership"},
		Groups: []incident.Group{
			{Name: "leadership", Location: time.UTC, Recipients: []incident.Recipient{address("cto@example.org")}},
			{
				Name: "customer-support", Location: newYork, Recipients: []incident.Recipient{address("support@example.org"), hook},
				Quiet: []incident.Quiet{{
					Times: []timeinterval.TimeInterval{{
						Times:    []timeinterval.TimeRange{{StartMinute: 22 * 60, EndMinute: 24 * 60}, {StartMinute: 0, EndMinute: 7*60 + 30}},
						Weekdays: []timeinterval.WeekdayRange{{InclusiveRange: timeinterval.InclusiveRange{Begin: 1, End: 5}}},
					}},
					Unless: []string{"P1"},
				}},
			},
			{Name: "sales", Location: time.UTC, Priorities: []string{"P1", "P3"}, Recipients: []incident.Recipient{address("sales@example.org")}},
			{Name: "nobody-informs-them", Location: time.UTC, Recipients: []incident.Recipient{address("lost@example.org")}},
		},
		Teams: []incident.Team{{Name: "notifications"}, {Name: "without-slos"}, {Name: "web"}},
		SLOs: []incident.SLO{
			{ID: "notifications-delay", UseCase: "Notifications arrive with a delay", SLI: "latency", Service: "notifications", Team: "notifications", Priority: "P2", Affects: "Customers in Europe", Stakeholders: []string{"customer-support", "sales"}},
			{ID: "notifications-register", UseCase: "Application cannot register", SLI: "availability", Service: "notifications", Team: "notifications", Priority: "P1", Runbook: "https://wiki.example.org/notifications?a=1|2", Stakeholders: []string{"customer-support"}},
			{ID: "web-search", UseCase: "Search finds nothing", SLI: "correctness", Service: "web", Team: "web", Priority: "P3"},
		},
	}
}

// hostile is a policy whose texts try to be markup.
func hostile(t *testing.T) *incident.Policy {
	p := policy(t)
	p.Priorities[0].Summary = `a|b <script>alert(1)</script> *bold* _it_ [x](javascript:alert(1)) $x$ & \| ~~no~~`
	p.Priorities[0].Criteria = []string{"# heading", "- list", "1. one", "2) two", "+ plus", "=====", "`code`", "line one\n| line | two |", "\u202eturned\x1b[31m", "<img src=x onerror=alert(1)>"}
	p.SLOs[0].UseCase = "a | b \\| c\n\n# d"
	p.SLOs[0].Runbook = "javascript:alert(1)"
	p.SLOs[1].Runbook = "https://example.org/)](javascript:alert(1)"
	p.SLOs[1].ID = "x|y"
	p.Teams[2].Name, p.SLOs[2].Team = "<b>web</b>", "<b>web</b>"
	return p
}

func TestPages(t *testing.T) {
	for _, tt := range []struct {
		name   string
		policy *incident.Policy
		o      wiki.Options
	}{
		{"page", policy(t), wiki.Options{}},
		{"addresses", policy(t), wiki.Options{Addresses: true}},
		{"hostile", hostile(t), wiki.Options{}},
		{"empty", &incident.Policy{Hash: "0", Priorities: []incident.Priority{{Name: "P1"}}}, wiki.Options{}},
	} {
		page := wiki.From(tt.policy)
		var md, html bytes.Buffer
		if err := page.WriteMarkdown(&md, tt.o); err != nil {
			t.Fatal(err)
		}
		if err := page.WriteHTML(&html, tt.o); err != nil {
			t.Fatal(err)
		}
		golden.Compare(t, filepath.Join("testdata", tt.name+".md"), md.Bytes())
		golden.Compare(t, filepath.Join("testdata", tt.name+".html"), html.Bytes())
	}
}

func TestNoTextBecomesMarkup(t *testing.T) {
	page := wiki.From(hostile(t))
	var md, html bytes.Buffer
	if err := page.WriteMarkdown(&md, wiki.Options{Addresses: true}); err != nil {
		t.Fatal(err)
	}
	if err := page.WriteHTML(&html, wiki.Options{Addresses: true}); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"<script>", "<img", "<b>web", "\x1b", "\u202e", "](javascript:", "](<javascript:", `href="javascript:`} {
		if strings.Contains(html.String(), bad) && bad != "](javascript:" {
			t.Errorf("HTML has %q", bad)
		}
		if strings.Contains(strings.ReplaceAll(md.String(), `\](javascript:`, ""), bad) {
			t.Errorf("Markdown has %q", bad)
		}
	}
	// Each row of a table has as many cells as its head.
	var columns int
	for line := range strings.Lines(md.String()) {
		if !strings.HasPrefix(line, "|") {
			columns = 0
			continue
		}
		n := strings.Count(strings.ReplaceAll(strings.ReplaceAll(line, `\\`, ""), `\|`, ""), "|") - 1
		if columns == 0 {
			columns = n
		}
		if n != columns {
			t.Errorf("%d cells in a table of %d: %s", n, columns, line)
		}
	}
}

// 10,000 teams with ten SLOs each are gone through once: the page took minutes where each team and
// each group looked through all of them.
func TestSLOsAreGoneThroughOnce(t *testing.T) {
	p := policy(t)
	want := wiki.From(p)
	slos, rest := wiki.All(p.SLOs), *p
	rest.SLOs = nil // there is no other way to them
	looked := 0
	got := wiki.FromEach(&rest, func(yield func(*incident.SLO) bool) {
		for s := range slos {
			if looked++; !yield(s) {
				return
			}
		}
	})
	if looked != len(p.SLOs) {
		t.Errorf("of %d SLOs, %d were looked at", len(p.SLOs), looked)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if groups := wiki.Groups(p); !reflect.DeepEqual(groups, want.Groups) {
		t.Errorf("the groups by themselves are %+v, want %+v", groups, want.Groups)
	}
	if n := want.Groups[1].SLOs; n != 2 {
		t.Errorf("%s is the stakeholder of %d SLOs, want 2", want.Groups[1].Name, n)
	}
}
