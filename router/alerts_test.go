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
	"sitrep/storage"
)

// told returns the names of the alerts that a mail carries, and of how many.
func told(m *mail) string {
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
func named(slo, fingerprint string) incident.Alert {
	a := alert(slo, fingerprint)
	a.Labels["alertname"] = strings.ToUpper(fingerprint)
	return a
}

// expectAlerts checks what each mail since the last time carries, as "name kind: alerts".
func (w *world) expectAlerts(want ...string) {
	w.t.Helper()
	var got []string
	for _, m := range w.mail.take() {
		got = append(got, fmt.Sprintf("%s %s: %s", m.to, m.Kind, told(&m)))
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
		a, b := named("p2", "a"), named("p2", "b")
		w.post(a, b)
		time.Sleep(time.Second)
		for _, m := range w.mail.take() {
			want, runbook := "A B of 2", "https://wiki.example.org/p2"
			if m.to == "support" {
				want, runbook = "none", ""
			}
			if got := told(&m); got != want || m.First().Runbook != runbook {
				t.Errorf("%s: %s and runbook %q, want %s", m.to, got, m.First().Runbook, want)
			}
		}
		time.Sleep(time.Minute)
		w.post(resolved(a), named("p2", "c"))
		w.must(w.order(1, command.Priority{Priority: "P1", Reason: "all are hit"}))
		time.Sleep(time.Second)
		w.expectAlerts("cto priority: C B of 2", "oncall priority: C B of 2", "support priority: none")

		// Nobody has heard of them for long.
		time.Sleep(100 * time.Minute)
		w.expectAlerts("cto reminder: C? B? of 2", "oncall reminder: C? B? of 2")

		// Those of an incident that is merged into it are its own.
		w.post(named("p3", "d"))
		w.must(w.order(2, command.Merge{Into: "INC-1", Reason: "one cause"}))
		time.Sleep(time.Second)
		w.mail.take()
		w.must(w.order(1, command.Priority{Priority: "P2", Reason: "some are hit"}))
		time.Sleep(time.Second)
		w.expectAlerts("cto priority: D C? B? of 3", "oncall priority: D C? B? of 3", "support priority: none")

		// When it is over nothing fires.
		w.must(w.order(1, command.Resolve{Note: "it is the test"}))
		time.Sleep(time.Second)
		w.expectAlerts("cto resolved: none", "oncall resolved: none", "support resolved: none")
	})
}

func TestADigestNamesAlertsToThoseOnCall(t *testing.T) {
	bubble(t, policy(), func(t *testing.T, w *world) {
		w.post(w.many("storm", 12)...)
		time.Sleep(time.Second)
		for _, m := range w.mail.take() {
			for _, it := range m.Items {
				if (it.Alerts != nil) != (m.to == "oncall") {
					t.Errorf("%s of %s to %s: alerts %+v", m.Kind, it.Incident.ID(), m.to, it.Alerts)
				}
			}
		}
	})
}

// A counter counts what is read of breaches.
type counter struct {
	storage.Store
	rows, looks atomic.Int64
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
		w := newWorld(t, p)
		w.open()
		sleepUntil(noon)
		w.post(named("p1", "first")) // fires to the end
		for range 20 {
			var alerts []incident.Alert
			for i := range 100 {
				time.Sleep(time.Millisecond)
				alerts = append(alerts, named("p1", fmt.Sprintf("n%d", i)))
			}
			w.post(alerts...)
			for i := range alerts {
				alerts[i] = resolved(alerts[i])
			}
			time.Sleep(time.Second)
			w.post(alerts...)
		}
		for _, name := range []string{"x", "y"} {
			time.Sleep(time.Second)
			w.post(named("p1", name))
		}
		c := &counter{Store: w.store}
		r := w.run(c, "a")
		time.Sleep(time.Second)
		synctest.Wait()
		r.stop()
		w.expectAlerts("oncall opened: Y X FIRST of 3")
		if rows, looks := c.rows.Load(), c.looks.Load(); rows != 800 || looks > 100 {
			t.Errorf("read %d breaches and looked up %d, of %d", rows, looks, w.situation(1).Incident.Breaches.Total)
		}
		w.must(w.store.Close())
	})
}
