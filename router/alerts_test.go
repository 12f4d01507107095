package router_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sitrep/incident"
	"sitrep/incident/incidenttest"
	"sitrep/internal/command"
	"sitrep/router/routertest"
	"sitrep/storage"
)

// told returns the names of the alerts that a mail carries, and of how many.
func told(m *routertest.Mail) string {
	list := m.First().Alerts
	if list == nil {
		return "none"
	}
	var names []string
	for _, a := range list.Alerts {
		name := a.Name
		if a.State == incident.BreachUnknown {
			name += "?"
		}
		names = append(names, name)
	}
	return fmt.Sprintf("%s of %d", strings.Join(names, " "), list.Total)
}

// named is an alert with a name of its own.
func (w *world) named(slo, fingerprint string) incident.Alert {
	a := w.Alert(slo, fingerprint)
	a.Labels["alertname"] = strings.ToUpper(fingerprint)
	return a
}

// expectAlerts checks what each mail since the last time carries, as "name kind: alerts".
func (w *world) expectAlerts(want ...string) {
	w.t.Helper()
	var got []string
	for _, m := range w.Mails() {
		got = append(got, fmt.Sprintf("%s %s: %s", m.To, m.Kind, told(&m)))
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		w.t.Errorf("at %s got\n%s\nwant\n%s", time.Now().UTC().Format(time.DateTime), strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestThoseOnCallAreToldTheAlerts(t *testing.T) {
	p := policy()
	p.UnknownAfter = 90 * time.Minute
	p.SLOs[1].Runbook = "https://wiki.example.org/p2"
	// The chief is on call, too.
	p.Teams[0].OnCall = incidenttest.Mails("oncall", "cto")
	bubble(t, p, func(t *testing.T, w *world) {
		a, b := w.named("p2", "a"), w.named("p2", "b")
		w.Post(a, b)
		w.Pass(time.Second)
		for _, m := range w.Mails() {
			want, runbook := "A B of 2", "https://wiki.example.org/p2"
			if m.To == "support" {
				want, runbook = "none", ""
			}
			if got := told(&m); got != want || m.First().Runbook != runbook {
				t.Errorf("%s: %s and runbook %q, want %s", m.To, got, m.First().Runbook, want)
			}
		}
		w.Pass(time.Minute)
		w.Post(w.Ended(a), w.named("p2", "c"))
		w.Do(1, command.Priority{Priority: "P1", Reason: "all are hit"})
		w.Pass(time.Second)
		w.expectAlerts("cto priority: C B of 2", "oncall priority: C B of 2", "support priority: none")

		// Nobody has heard of them for long.
		w.Pass(100 * time.Minute)
		w.expectAlerts("cto reminder: C? B? of 2", "oncall reminder: C? B? of 2")

		// Those of an incident that is merged into it are its own.
		w.Post(w.named("p3", "d"))
		w.Do(2, command.Merge{Into: "INC-1", Reason: "one cause"})
		w.Pass(time.Second)
		w.Mails()
		w.Do(1, command.Priority{Priority: "P2", Reason: "some are hit"})
		w.Pass(time.Second)
		w.expectAlerts("cto priority: D C? B? of 3", "oncall priority: D C? B? of 3", "support priority: none")

		// When it is over nothing fires.
		w.Do(1, command.Resolve{Note: "it is the test"})
		w.Pass(time.Second)
		w.expectAlerts("cto resolved: none", "oncall resolved: none", "support resolved: none")
	})
}

func TestADigestNamesAlertsToThoseOnCall(t *testing.T) {
	bubble(t, policy(), func(t *testing.T, w *world) {
		w.Post(w.many("storm", 12)...)
		w.Pass(time.Second)
		for _, m := range w.Mails() {
			for _, it := range m.Items {
				if (it.Alerts != nil) != (m.To == "oncall") {
					t.Errorf("%s of %s to %s: alerts %+v", m.Kind, it.Incident.ID(), m.To, it.Alerts)
				}
			}
		}
	})
}

// A counter counts what is read of breaches, and in how many sets they and the news are read.
type counter struct {
	storage.Store
	rows, looks, sets atomic.Int64
	ofMany            atomic.Int64 // records of several incidents
}

func (c *counter) Read(ctx context.Context, fn func(storage.Snapshot) error) error {
	return c.Store.Read(ctx, func(r storage.Snapshot) error { return fn(&countingReader{r, c}) })
}

type countingReader struct {
	storage.Snapshot
	c *counter
}

func (r *countingReader) Breaches(ctx context.Context, number int64, limit int, cursor string) ([]incident.Breach, string, error) {
	page, next, err := r.Snapshot.Breaches(ctx, number, limit, cursor)
	r.c.rows.Add(int64(len(page)))
	return page, next, err
}

func (r *countingReader) FirstBreaches(ctx context.Context, numbers []int64, limit int) (map[int64]storage.BreachPage, error) {
	pages, err := r.Snapshot.FirstBreaches(ctx, numbers, limit)
	r.c.sets.Add(1)
	for _, p := range pages {
		r.c.rows.Add(int64(len(p.Breaches)))
	}
	return pages, err
}

func (r *countingReader) RecordsSince(ctx context.Context, after map[int64]int64, limit int) (map[int64][]storage.Record, error) {
	records, err := r.Snapshot.RecordsSince(ctx, after, limit)
	r.c.sets.Add(1)
	if len(after) > 1 {
		for _, some := range records {
			r.c.ofMany.Add(int64(len(some)))
		}
	}
	return records, err
}

func (r *countingReader) LatestBreaches(ctx context.Context, fingerprints []string) (map[string]*incident.Breach, error) {
	r.c.looks.Add(int64(len(fingerprints)))
	return r.Snapshot.LatestBreaches(ctx, fingerprints)
}

func TestNamingAlertsReadsLittleOfManyBreaches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := policy()
		// One reader, so that what is read is read for one message.
		p.Management, p.Groups = nil, nil
		for i := range p.SLOs {
			p.SLOs[i].Stakeholders = nil
		}
		w := newWorld(t, routertest.Options{Policy: p})
		w.Post(w.named("p1", "first")) // fires to the end
		for range 20 {
			var alerts []incident.Alert
			for i := range 100 {
				w.Pass(time.Millisecond)
				alerts = append(alerts, w.named("p1", fmt.Sprintf("n%d", i)))
			}
			w.Post(alerts...)
			for i := range alerts {
				alerts[i] = w.Ended(alerts[i])
			}
			w.Pass(time.Second)
			w.Post(alerts...)
		}
		for _, name := range []string{"x", "y"} {
			w.Pass(time.Second)
			w.Post(w.named("p1", name))
		}
		c := &counter{Store: w.Store()}
		w.StartReplica(routertest.Process{Store: c})
		w.Pass(time.Second)
		w.Stop()
		w.expectAlerts("oncall opened: Y X FIRST of 3")
		if rows, looks := c.rows.Load(), c.looks.Load(); rows != 800 || looks > 100 {
			t.Errorf("read %d breaches and looked up %d, of %d", rows, looks, w.Situation(1).Incident.Breaches.Total)
		}
	})
}

// What messages about many incidents need, each to a reader of its own, is read in one set for all.
func TestMessagesAboutManyIncidentsAreReadInSets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := policy()
		p.Management, p.Groups, p.Teams, p.SLOs = nil, nil, nil, nil
		for i := range 40 {
			name := fmt.Sprint("team-", i)
			slo := incidenttest.SLO(name, "P1")
			slo.Team, slo.Stakeholders = name, nil
			p.Teams, p.SLOs = append(p.Teams, incidenttest.Team(name, name)), append(p.SLOs, slo)
		}
		p.Index()
		w := newWorld(t, routertest.Options{Policy: p})
		var alerts []incident.Alert
		var want []string
		for _, team := range p.Teams {
			alerts = append(alerts, w.named(team.Name, team.Name))
			want = append(want, fmt.Sprintf("%s opened: %s of 1", team.Name, strings.ToUpper(team.Name)))
		}
		w.Post(alerts...)
		c := &counter{Store: w.Store()}
		w.StartReplica(routertest.Process{Store: c})
		w.Pass(time.Second)
		w.Stop()
		w.expectAlerts(want...)
		if n := c.sets.Load(); n > 4 {
			t.Errorf("breaches and news of %d incidents were read in %d sets", len(p.Teams), n)
		}
	})
}
