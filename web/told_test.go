package web_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"sitrep/incident"
	"sitrep/incident/incidenttest"
	"sitrep/internal/access"
	"sitrep/internal/command"
	"sitrep/storage"
)

// crowd makes a group have that many members.
func (f *fixture) crowd(group string, members int) {
	f.t.Helper()
	for i := range f.policy.Groups {
		if g := &f.policy.Groups[i]; g.Name == group {
			var names []string
			for k := range members {
				names = append(names, fmt.Sprintf("reader-%d", k))
			}
			g.Recipients = incidenttest.Group(group, names...).Recipients
		}
	}
}

// One message to a group is one row, however many read it: those who do not have it come first,
// and each stands below.
func TestAMessageToAGroupIsOneRow(t *testing.T) {
	f := newFixture(t)
	f.crowd("leadership", 24)
	n := f.breach("notifications-register-availability", "a", nil)
	ids := f.deliver(n, eml)
	f.do(n, command.Update{Message: "We restart it."})
	f.clock.Pass(30 * time.Second)
	f.deliver(n, eml)
	f.write(func(tx storage.Tx) error {
		for _, id := range ids {
			d, err := storage.DeliveryOf(t.Context(), tx, id)
			if err != nil {
				return err
			}
			i := strings.Index("0 1 2 3 4", strings.TrimSuffix(strings.TrimPrefix(d.Address, "reader-"), "@example.org"))
			if i < 0 {
				continue
			}
			i /= 2
			d.SentAt, d.DueAt = time.Time{}, d.DueAt.Add(40*time.Second)
			if d.State, d.Error = incident.DeliveryPending, "450 busy"; i == 3 {
				d.State, d.Error = incident.DeliveryFailed, "550 gone"
			}
			if err := tx.PutDelivery(t.Context(), &d, nil); err != nil {
				return err
			}
		}
		return nil
	})
	a := f.get("viewer", page(n, ""))
	messages := a.section("messages")
	for _, want := range []string{
		"opening management, leadership 1 failed 4 waiting 19 handed over handed over 10:00 To whom reader-3@example.org failed",
		"update management, leadership 24 handed over handed over 10:00 To whom reader-0@example.org delivered 10:00 reader-10@example.org",
	} {
		if !strings.Contains(messages, want) {
			t.Errorf("no %q in %s", want, messages)
		}
	}
	if !strings.HasPrefix(messages, "Messages as they were sent opening management, leadership 1 failed") {
		t.Errorf("what failed is not first: %s", messages)
	}
	if got := strings.Count(messages, "reader-7@example.org"); got != 2 {
		t.Errorf("a reader stands there %d times", got)
	}
	readers := a.section("readers")
	if want := "management (leadership ), 24 readers last told 10:00"; !strings.Contains(readers, want) {
		t.Errorf("no %q in %s", want, readers)
	}
	if a = f.get("viewer", "/deliveries"); !strings.Contains(a.section("all"), "INC-1 management, leadership 1 failed 4 waiting 19 handed over") {
		t.Errorf("all deliveries: %s", a.section("all"))
	}
}

// Readers who wait for the same stand in one row.
func TestThoseWhoWaitAreOneRow(t *testing.T) {
	f := newFixture(t)
	f.crowd("leadership", 24)
	f.breach("notifications-register-availability", "a", nil)
	f.clock.Pass(5 * time.Minute)
	a := f.get("viewer", "/deliveries")
	if got := a.section("waiting"); !strings.Contains(got, "INC-1 27 readers due 10:00 for 5 minutes Who they are") || strings.Count(got, "reader-7@example.org") != 1 {
		t.Errorf("waiting: %s", got)
	}
}

// What the team says stands once, and the timeline leads to it.
func TestAnUpdateStandsOnce(t *testing.T) {
	f := newFixture(t)
	n := f.breach("notifications-register-availability", "a", nil)
	f.do(n, command.Update{Message: "We restart it."})
	f.clock.Pass(time.Minute)
	f.do(n, command.Update{Message: "It restarts."})
	a := f.get("viewer", page(n, ""))
	if got := strings.Count(a.text(), "It restarts."); got != 1 {
		t.Errorf("the latest stands there %d times: %s", got, a.text())
	}
	if got := strings.Count(a.text(), "We restart it."); got != 1 {
		t.Errorf("the one before stands there %d times: %s", got, a.text())
	}
}

func TestDeliveriesAreFoundByWhatTheAddressSays(t *testing.T) {
	f := newFixture(t)
	f.populate("plain")
	all := func(q url.Values) string {
		t.Helper()
		a := f.get("viewer", "/deliveries?"+q.Encode())
		return a.section("all")
	}
	for _, c := range []struct {
		q         url.Values
		want, not string
	}{
		{url.Values{"group": {"leadership"}}, "cto@example.org", "support@example.org"},
		{url.Values{"recipient": {" support@example.org "}}, "support@example.org", "gone@example.org"},
		{url.Values{"kind": {"watchdog"}}, "sre@example.org", "cto@example.org"},
		{url.Values{"channel": {"webhook"}}, "https://chat.example.org", "support@example.org"},
		{url.Values{"state": {"failed"}}, "gone@example.org", "cto@example.org"},
		{url.Values{"from": {"2026-03-02T11:00"}}, "cto@example.org", "gone@example.org"},
		{url.Values{"to": {"2026-03-02T10:30"}}, "gone@example.org", "cto@example.org"},
		{url.Values{"from": {"2026-03-03"}}, "None.", "@"},
	} {
		if got := all(c.q); !strings.Contains(got, c.want) || strings.Contains(got, c.not) {
			t.Errorf("%v: %s", c.q, got)
		}
	}
	a := f.get("viewer", "/deliveries?kind=pigeon&from=yesterday")
	if !strings.Contains(a.text(), "“yesterday” is not a time") {
		t.Errorf("what is wrong is not said: %s", a.text())
	}
	if b := f.get("viewer", "/deliveries?group=leadership&to=2026-03-02T10:00:00Z").Body.String(); !strings.Contains(b, `<option value="leadership" selected>`) || !strings.Contains(b, `value="2026-03-02T11:00"`) {
		t.Error("the form does not show what was asked for")
	}
}

// A meter counts what is read of a store.
type meter struct {
	storage.Store
	records, breaches, deliveries, covers, calls int
}

func (m *meter) Read(ctx context.Context, fn func(storage.Snapshot) error) error {
	return m.Store.Read(ctx, func(s storage.Snapshot) error { return fn(metered{s, m}) })
}

type metered struct {
	storage.Snapshot
	m *meter
}

func (s metered) Records(ctx context.Context, q storage.RecordQuery) ([]storage.Record, error) {
	all, err := s.Snapshot.Records(ctx, q)
	s.m.records, s.m.calls = s.m.records+len(all), s.m.calls+1
	return all, err
}

func (s metered) Breaches(ctx context.Context, number int64, limit int, cursor string) ([]incident.Breach, string, error) {
	all, next, err := s.Snapshot.Breaches(ctx, number, limit, cursor)
	s.m.breaches, s.m.calls = s.m.breaches+len(all), s.m.calls+1
	return all, next, err
}

func (s metered) Deliveries(ctx context.Context, q storage.DeliveryQuery) ([]incident.Delivery, string, error) {
	all, next, err := s.Snapshot.Deliveries(ctx, q)
	s.m.deliveries, s.m.calls = s.m.deliveries+len(all), s.m.calls+1
	for i := range all {
		s.m.covers += len(all[i].Covers)
	}
	return all, next, err
}

// TestAPageReadsNoMoreThanItShows: what a page reads does not grow with the history of an incident,
// with its breaches, nor with what was sent.
func TestAPageReadsNoMoreThanItShows(t *testing.T) {
	f := newFixture(t)
	f.policy.DigestAbove = 0
	var n int64
	f.change(func(c *storage.Change) error {
		about, _ := c.Policy.SLO("search-latency")
		in, _, err := c.IncidentFor(&about, incident.ActorAlertmanager)
		if err != nil {
			return err
		}
		n = in.Number
		p, _ := c.Policy.Priority(about.Priority)
		for i := range 1000 {
			a := incident.Alert{Fingerprint: fmt.Sprintf("%016x", i), StartsAt: c.At, Labels: map[string]string{"alertname": "x"}}
			b := incident.NewBreach(&a, nil, c.At)
			if err := c.RecordBreach(in, &b, in.Fire(c.Stamp(incident.ActorAlertmanager), &b, &a, "", p, c.Policy)); err != nil {
				return err
			}
		}
		return nil
	})
	digest := incident.Delivery{
		Incident: n, Kind: incident.KindDigest, Audience: incident.AudienceManagement, Group: "leadership", Channel: incident.ChannelEmail,
		State: incident.DeliverySuperseded, DueAt: start, CreatedAt: start, FinishedAt: start,
	}
	for k := range int64(20) {
		digest.Covers = append(digest.Covers, incident.Cover{Incident: n + k, Kind: incident.KindUpdate, DueAt: start})
	}
	for from := 0; from < 1200; from += 100 {
		f.write(func(tx storage.Tx) error {
			for k := from; k < from+100; k++ {
				d := digest
				d.ID = fmt.Sprint("digest-", k)
				d.Recipient, d.Address = fmt.Sprint("email:", k), fmt.Sprint(k, "@example.org")
				if err := tx.PutDelivery(t.Context(), &d, nil); err != nil {
					return err
				}
			}
			return nil
		})
	}
	m := &meter{Store: f.store}
	f.use(m)
	for path, limit := range map[string]meter{
		page(n, ""):                {records: 201, breaches: 200, deliveries: 500, covers: 500, calls: 40},
		page(n, "?before=700"):     {records: 201, breaches: 200, deliveries: 500, covers: 500, calls: 40},
		"/deliveries":              {deliveries: 1000, covers: 10000, calls: 20},
		"/groups?name=leadership":  {deliveries: 500, covers: 5000, calls: 10},
		"/deliveries?kind=opened":  {calls: 10},
		"/deliveries?state=failed": {calls: 10},
	} {
		*m = meter{Store: f.store}
		a := f.get("viewer", path)
		if m.records > limit.records || m.breaches > limit.breaches || m.deliveries > limit.deliveries || m.covers > limit.covers || m.calls > limit.calls {
			t.Errorf("%s read %d records, %d breaches, %d deliveries with %d covers in %d calls", path, m.records, m.breaches, m.deliveries, m.covers, m.calls)
		}
		if a.Body.Len() > 2<<20 {
			t.Errorf("%s has %d bytes", path, a.Body.Len())
		}
	}
	// Page by page, each event and each breach is shown, once.
	events, breaches := 0, map[string]bool{}
	for next := ""; ; {
		a := f.get("viewer", page(n, next))
		events += strings.Count(a.Body.String(), `id="event-`)
		older := regexp.MustCompile(`href="[^"]*(\?before=\d+)#`).FindStringSubmatch(a.Body.String())
		if older == nil {
			break
		}
		next = older[1]
	}
	for next := ""; ; {
		a := f.get("viewer", page(n, next))
		for _, dd := range a.find("dd") {
			if text := dd.FirstChild; text != nil && len(text.Data) == 16 && strings.HasPrefix(text.Data, "000") {
				if breaches[text.Data] {
					t.Fatalf("breach %s is shown twice", text.Data)
				}
				breaches[text.Data] = true
			}
		}
		more := regexp.MustCompile(`href="[^"]*(\?breaches=[^"#]+)#`).FindStringSubmatch(a.Body.String())
		if more == nil {
			break
		}
		next = more[1]
	}
	if in := f.incident(n); int64(events) != in.Sequence || len(breaches) != 1000 {
		t.Errorf("%d of %d events and %d breaches are shown", events, in.Sequence, len(breaches))
	}
}

func TestTheMessageOfAGroupGoesOnOnTheNextPage(t *testing.T) {
	f := newFixture(t)
	f.crowd("leadership", 700)
	n := f.breach("notifications-register-availability", "a", nil)
	f.deliver(n, eml)
	seen, pages := map[string]bool{}, 0
	for next := ""; ; {
		a := f.get("viewer", page(n, next))
		pages++
		for _, link := range a.find("a") {
			if href := attr(link, "href"); strings.Contains(href, "/messages/") {
				if seen[href] {
					t.Fatalf("%s is there twice", href)
				}
				seen[href] = true
			}
		}
		if goesOn := strings.Contains(a.section("messages"), "goes on with the earlier messages"); goesOn != (pages == 1) {
			t.Errorf("page %d says that it goes on: %t", pages, goesOn)
		}
		more := regexp.MustCompile(`href="[^"]*(\?messages=[^"#]+)#`).FindStringSubmatch(a.Body.String())
		if more == nil {
			break
		}
		next = more[1]
	}
	if len(seen) < 700 || pages != 2 {
		t.Errorf("%d messages on %d pages", len(seen), pages)
	}
}

func TestThePageOfAGroup(t *testing.T) {
	f := newFixture(t)
	f.policy.Groups[1].Priorities, f.policy.Groups[1].Language = []string{"P1", "P2"}, "de"
	n := f.breach("notifications-register-availability", "a", nil)
	f.deliver(n, eml)
	a := f.get("viewer", "/groups?name=customer-support")
	for _, want := range []string{
		"customer-support", "It is a group", "as stakeholders, those of 4 SLOs; of P1 and P2 only", "it has no quiet times", "Times in Europe/", "Messages in German",
		"Who is in it support@example.org https://chat.example.org", "What it will be told If nothing happens before. INC-1 Application cannot register with notification services update to 2 due 12:00",
		"What it was told opening INC-1 stakeholders, customer-support 2 handed over", "P3 Search is slow",
	} {
		if !strings.Contains(a.text(), want) {
			t.Errorf("no %q in %s", want, a.text())
		}
	}
	checkPage(t, &a)
	a = f.get("viewer", "/groups?name=leadership")
	if want := "as management, all incidents of P1"; !strings.Contains(a.text(), want) {
		t.Errorf("no %q in %s", want, a.text())
	}
	if !strings.Contains(a.section("slos"), "People cannot log on") || strings.Contains(a.section("slos"), "Search is slow") {
		t.Errorf("the SLOs of management: %s", a.section("slos"))
	}
	f.policy.Groups[2].Quiet = []incident.Quiet{incidenttest.Quiet(22*60, 24*60, "P1")}
	a = f.get("viewer", "/groups?name=sales")
	for _, want := range []string{"Nothing is sent 22:00 to 24:00", "but for P1", "no incident: no SLO names it, and it is not management"} {
		if !strings.Contains(a.text(), want) {
			t.Errorf("no %q in %s", want, a.text())
		}
	}
	a = f.get("viewer", "/groups?team=identity")
	for _, want := range []string{"a team: on call for its SLOs", "every incident of its SLOs, at every priority", "identity-oncall@example.org", "What it will be told If nothing happens before. Nothing.", "People cannot log on"} {
		if !strings.Contains(a.text(), want) {
			t.Errorf("no %q in %s", want, a.text())
		}
	}
	for _, path := range []string{"/groups?name=nobody", "/groups?team=leadership"} {
		if a := f.send("viewer", "GET", path, nil); a.Code != 404 || !strings.Contains(a.text(), "the page Groups lists all") {
			t.Errorf("%s: %d %s", path, a.Code, a.text())
		}
	}
	// Wherever its name stands, it leads there.
	for path, want := range map[string]string{
		page(n, ""):   `href="../groups?name=customer-support"`,
		"/deliveries": `href="./groups?name=customer-support"`,
		"/slos":       `href="./groups?name=customer-support"`,
		"/priorities": `href="./groups?name=leadership"`,
		"/groups":     `href="./groups?team=identity"`,
	} {
		if b := f.get("viewer", path).Body.String(); !strings.Contains(b, want) {
			t.Errorf("%s has no %s", path, want)
		}
	}
}

// Who shows no credentials sees groups and how many are told, and no address, in a filter either.
func TestStrangersSeeGroupsAlone(t *testing.T) {
	f := newFixture(t)
	n := f.breach("notifications-register-availability", "a", nil)
	f.deliver(n, eml)
	f.http = f.router(func(_ access.Role, next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r.WithContext(access.With(r.Context(), access.Identity{Kind: access.KindAnonymous, Role: access.Viewer})))
		})
	})
	for path, want := range map[string]string{
		"/groups?name=leadership":                 "2 recipients.",
		"/groups?team=notifications":              "1 recipient.",
		page(n, ""):                               "opening management, leadership 2 handed over",
		"/deliveries?recipient=cto%40example.org": "stakeholders, customer-support 2 handed over",
	} {
		a := f.send("", "GET", path, nil)
		if a.Code != 200 || !strings.Contains(a.text(), want) || strings.Contains(a.Body.String(), "@example.org") || strings.Contains(a.Body.String(), "chat.example.org") {
			t.Errorf("%s: %d, no %q, or an address in %s", path, a.Code, want, a.Body)
		}
		if strings.Contains(a.text(), "To whom") || strings.Contains(a.text(), "Who they are") || strings.Contains(a.Body.String(), `name="recipient"`) {
			t.Errorf("%s offers what a stranger may not see", path)
		}
	}
}
