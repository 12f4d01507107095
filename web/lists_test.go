package web_test

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"sitrep/incident"
	"sitrep/internal/command"
	"sitrep/storage"
)

// leads returns where the link with that text leads, as a path.
func (a *answer) leads(t testing.TB, text string) string {
	t.Helper()
	for _, n := range a.find("a") {
		if n.FirstChild != nil && n.FirstChild.Data == text {
			return strings.TrimPrefix(attr(n, "href"), ".")
		}
	}
	t.Fatalf("no link says %q", text)
	return ""
}

// listed returns the ids of the incidents in the lists of a page, in order.
func (a *answer) listed() []string {
	var ids []string
	for _, n := range a.find("a") {
		if id, ok := strings.CutPrefix(attr(n, "href"), "./incidents/"); ok && (n.Parent.Data == "h2" || n.Parent.Data == "h3") {
			ids = append(ids, id)
		}
	}
	return ids
}

// seed stores incidents with the numbers from 1 on, each as set says.
func (f *fixture) seed(many int, set func(i int, in *incident.Incident)) {
	f.t.Helper()
	const piece = 2000
	for from := 1; from <= many; from += piece {
		var all []*incident.Incident
		var events []incident.Event
		for i := from; i < min(from+piece, many+1); i++ {
			in := &incident.Incident{
				Number: int64(i), Sequence: 1, Key: fmt.Sprint(i), SLO: fmt.Sprint("slo-", i%40), UseCase: fmt.Sprint("Use case ", i), Service: "web", Team: "identity",
				State: incident.StateOpen, Phase: incident.PhaseInitialDiagnosis, Priority: f.policy.Priorities[i%3], Highest: f.policy.Priorities[i%3],
				StartedAt: start.Add(-time.Hour), OpenedAt: start.Add(-time.Hour), Breaches: incident.Counts{Firing: 1, Total: 1},
			}
			set(i, in)
			all = append(all, in)
			events = append(events, incident.Event{Incident: in.Number, Sequence: 1, Time: in.OpenedAt, Type: incident.EventOpened, Data: incident.Data{Opening: &incident.Opening{Key: in.Key}}})
		}
		f.write(func(tx storage.Tx) error {
			if err := tx.PutIncidents(f.t.Context(), all); err != nil {
				return err
			}
			return tx.AppendEvents(f.t.Context(), events)
		})
	}
}

// Once the latest of all are open, what is resolved and closed is still there.
func TestTheOverviewListsEachState(t *testing.T) {
	f := newFixture(t)
	f.seed(520, func(i int, in *incident.Incident) {
		switch {
		case i <= 470:
			in.State, in.ClosedAt, in.EndedAt = incident.StateClosed, start, start
		case i <= 475:
			in.State, in.ResolvedAt, in.EndedAt = incident.StateResolved, start, start
		}
	})
	a := f.get("viewer", "/")
	text := a.text()
	for _, want := range []string{"45 open", "5 resolved", "470 closed", "INC-475", "INC-470", "the latest of 470"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in %s", want, text)
		}
	}
	ids := a.listed()
	if len(ids) != 45+5+10 || ids[45] != "INC-475" || ids[50] != "INC-470" {
		t.Errorf("listed: %v", ids)
	}
	// All that were closed, page by page.
	var closed []string
	for path := a.leads(t, "All that were closed"); ; {
		a := f.get("viewer", path)
		checkPage(t, &a)
		closed = append(closed, a.listed()...)
		if !strings.Contains(a.text(), "Earlier incidents") {
			break
		}
		path = a.leads(t, "Earlier incidents")
	}
	for i, id := range closed {
		if id != incident.ID(int64(470-i)) {
			t.Fatalf("the %d. is %s", i, id)
		}
	}
	if len(closed) != 470 {
		t.Errorf("%d were closed", len(closed))
	}
}

// What was merged goes on elsewhere: its breaches are the other's.
func TestAMergedIncidentSaysIntoWhich(t *testing.T) {
	f := newFixture(t)
	a, b := f.breach("search-latency", "a", nil), f.breach("log-on-availability", "b", nil)
	f.do(a, command.Merge{Into: incident.ID(b), Reason: "the same disk"})
	for _, path := range []string{"/", "/?state=closed"} {
		page := f.get("viewer", path)
		if text := page.text(); !strings.Contains(text, "merged into INC-2") || strings.Contains(text, "still fire") {
			t.Errorf("%s says %s", path, text)
		}
	}
	c := f.breach("notifications-delay-latency", "c", nil)
	f.do(c, command.Resolve{Note: "nobody notices"})
	page := f.get("viewer", "/")
	if text := page.text(); !strings.Contains(text, "breaches still fire") {
		t.Errorf("of what was resolved by hand: %s", text)
	}
}

// Each order has all incidents, each once, however many pages that takes.
func TestTheListInEachOrder(t *testing.T) {
	f := newFixture(t)
	teams := []string{"search", "identity", ""}
	all := map[string]*incident.Incident{}
	f.seed(330, func(i int, in *incident.Incident) {
		in.Team = teams[i/2%3]
		if i%50 == 0 {
			in.Priority = incident.Priority{Name: "gone", Rank: 7}
		}
		if i > 320 {
			in.State, in.ClosedAt = incident.StateClosed, start
		}
		all[in.ID()] = in
	})
	rank := func(in *incident.Incident) int {
		return slices.Index([]string{"P1", "P2", "P3", "gone"}, in.Priority.Name)
	}
	for sort, before := range map[string]func(a, b *incident.Incident) bool{
		"priority": func(a, b *incident.Incident) bool {
			return rank(a) < rank(b) || rank(a) == rank(b) && a.Number < b.Number
		},
		"newest": func(a, b *incident.Incident) bool { return a.Number > b.Number },
		"oldest": func(a, b *incident.Incident) bool { return a.Number < b.Number },
		"team": func(a, b *incident.Incident) bool {
			x, y := slices.Index([]string{"identity", "search", ""}, a.Team), slices.Index([]string{"identity", "search", ""}, b.Team)
			return x < y || x == y && a.Number < b.Number
		},
	} {
		var got []string
		for path := "/?sort=" + sort; ; {
			a := f.get("viewer", path)
			for _, id := range a.listed() {
				if all[id].State == incident.StateOpen {
					got = append(got, id)
				}
			}
			if !strings.Contains(a.text(), "The next of them") {
				break
			}
			path = a.leads(t, "The next of them")
		}
		if len(got) != 320 {
			t.Errorf("%s: %d incidents", sort, len(got))
		}
		for i := 1; i < len(got); i++ {
			if !before(all[got[i-1]], all[got[i]]) {
				t.Fatalf("%s: %s stands before %s", sort, got[i-1], got[i])
			}
		}
	}
	if a := f.send("viewer", "GET", "/?state=open&sort=priority&cursor=5:nothing", nil); a.Code != 400 || !strings.Contains(a.text(), "begin with its first") {
		t.Errorf("a page that is none: %d %s", a.Code, a.text())
	}
}

func TestTheListIsSearched(t *testing.T) {
	f := newFixture(t)
	f.policy.SLOs[3].Labels = map[string]string{"region": "ap-south"}
	a, b := f.breach("search-latency", "a", nil), f.breach("log-on-availability", "b", nil)
	f.do(b, command.Update{Message: "We restart the broker."})
	for q, want := range map[string]int64{"AP-south": a, "broker restart": b, "cannot log": b, "inc-1": a} {
		page := f.get("viewer", "/?"+url.Values{"q": {q}}.Encode())
		if ids := page.listed(); !slices.Equal(ids, []string{incident.ID(want)}) {
			t.Errorf("%q finds %v", q, ids)
		}
	}
}

// A counted store counts what is read of it.
type counted struct {
	storage.Store
	calls, incidents int
}

func (c *counted) Read(ctx context.Context, fn func(storage.Snapshot) error) error {
	return c.Store.Read(ctx, func(r storage.Snapshot) error { return fn(&countedSnapshot{r, c}) })
}

type countedSnapshot struct {
	storage.Snapshot
	of *counted
}

func (s *countedSnapshot) Incidents(ctx context.Context, q storage.IncidentQuery) ([]incident.Incident, string, error) {
	page, next, err := s.Snapshot.Incidents(ctx, q)
	s.of.calls, s.of.incidents = s.of.calls+1, s.of.incidents+len(page)
	return page, next, err
}

func (s *countedSnapshot) IncidentsByNumber(ctx context.Context, numbers []int64) (map[int64]*incident.Incident, error) {
	s.of.calls, s.of.incidents = s.of.calls+1, s.of.incidents+len(numbers)
	return s.Snapshot.IncidentsByNumber(ctx, numbers)
}

func (s *countedSnapshot) Subscriptions(ctx context.Context, numbers []int64, recipients ...string) (map[int64][]incident.Subscription, error) {
	s.of.calls++
	return s.Snapshot.Subscriptions(ctx, numbers, recipients...)
}

// However many are open, a page reads those that it shows and few more.
func TestTheOverviewReadsWhatItShows(t *testing.T) {
	const most = 120
	for _, many := range []int{500, 6000} {
		f := newFixture(t)
		store := &counted{Store: f.store}
		f.use(store)
		f.seed(many, func(i int, in *incident.Incident) { in.Team = fmt.Sprint("team-", i%7) })
		for _, path := range []string{"/", "/?state=open&sort=newest", "/?sort=team", "/?priority=P2", "/?team=team-3", "/?q=case+400"} {
			store.calls, store.incidents = 0, 0
			a := f.get("viewer", path)
			if n := len(a.listed()); n == 0 || store.calls > 12 || store.incidents > most {
				t.Errorf("%s of %d incidents shows %d, and read %d of them in %d calls", path, many, n, store.incidents, store.calls)
			}
		}
	}
}

// BenchmarkOverview makes the first page where 100,000 incidents are open.
func BenchmarkOverview(b *testing.B) {
	f := newFixture(b)
	f.seed(100_000, func(i int, in *incident.Incident) { in.Team = fmt.Sprint("team-", i%50) })
	for name, path := range map[string]string{"all": "/", "team": "/?team=team-7", "text": "/?q=elsewhere"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				f.get("viewer", path)
			}
		})
	}
}

// Nobody is on what was given back, and somebody was: the list says both.
func TestTheListSaysWhatWasGivenBack(t *testing.T) {
	f := newFixture(t)
	n := f.breach("search-latency", "a", nil)
	page := func() string { a := f.get("viewer", "/"); return a.text() }
	if got := page(); !strings.Contains(got, "On it nobody yet") {
		t.Errorf("at first: %s", got)
	}
	f.do(n, command.Acknowledge{})
	if got := page(); !strings.Contains(got, "On it ada") {
		t.Errorf("then: %s", got)
	}
	f.clock.Pass(20 * time.Minute)
	f.do(n, command.Acknowledge{Release: true})
	if got := page(); !strings.Contains(got, "On it nobody , given back at 10:20") || strings.Contains(got, "nobody yet") {
		t.Errorf("given back: %s", got)
	}
}

// The counts are of what has the words that were asked for, and so are the lists that they lead to.
func TestTheCountsHeedTheWords(t *testing.T) {
	f := newFixture(t)
	f.seed(450, func(i int, in *incident.Incident) {
		in.UseCase = "Other"
		if i%2 == 0 {
			in.UseCase = "Needle"
		}
		switch {
		case i > 420:
			in.State, in.ResolvedAt, in.EndedAt = incident.StateResolved, start, start
		case i > 12:
			in.State, in.ClosedAt, in.EndedAt = incident.StateClosed, start, start
		}
	})
	counts := func(a *answer) string {
		var all []string
		for _, n := range a.find("ul") {
			if attr(n, "class") == "counts" {
				for li := range n.ChildNodes() {
					var words strings.Builder
					for c := range li.Descendants() {
						if c.Data != "" && c.FirstChild == nil {
							words.WriteString(c.Data + " ")
						}
					}
					all = append(all, words.String())
				}
			}
		}
		return strings.Join(strings.Fields(strings.Join(all, " ")), " ")
	}
	a := f.get("viewer", "/?q=needle")
	if got, want := counts(&a), "6 open P1 2 open P2 2 open P3 2 open 15 resolved 200+ closed"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if text := a.text(); !strings.Contains(text, "6 open") || !strings.Contains(text, "the latest of 15") || strings.Contains(text, "the latest of 200") {
		t.Error(text)
	}
	for _, n := range a.find("a") {
		if to := attr(n, "href"); strings.HasPrefix(to, "./?state=") && !strings.Contains(to, "q=needle") {
			t.Errorf("the words are lost on the way to %s", to)
		}
	}
	a = f.get("viewer", "/?q=needle&state=resolved")
	if got := len(a.listed()); got != 15 || counts(&a) != "6 open P1 2 open P2 2 open P3 2 open 15 resolved 200+ closed" {
		t.Errorf("%d listed, %s", got, counts(&a))
	}
	a = f.get("viewer", "/")
	if got := counts(&a); !strings.HasPrefix(got, "12 open") || !strings.HasSuffix(got, "30 resolved 408 closed") {
		t.Error(got)
	}
}
