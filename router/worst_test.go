package router_test

import (
	"flag"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"sitrep/incident"
	"sitrep/incident/incidenttest"
	"sitrep/router/routertest"
	"sitrep/storage"
)

// worstAlerts is how many alerts the worst days have. For a soak:
//
//	go test ./router -run Worst -worst-alerts 100000 -timeout 1h
var worstAlerts = flag.Int("worst-alerts", 1200, "how many alerts the worst days have")

// worstHeap is up to how many bytes of memory are in use after a worst day, whatever its size: what
// is kept of it is on the disk. The messages that a test keeps are not counted.
const worstHeap = 96 << 20

// worst is a day of alerts over so many SLOs, of each of the three priorities a part. A day returns
// how many more alerts it had.
func worst(t *testing.T, slos int, day func(w *world, alerts []incident.Alert) (more int)) {
	synctest.Test(t, func(t *testing.T) {
		p := policy()
		var ids []string
		for i := range slos {
			id := fmt.Sprintf("worst-%04d", i)
			ids = append(ids, id)
			p.SLOs = append(p.SLOs, incidenttest.SLO(id, []string{"P3", "P1", "P2"}[i%3]))
		}
		p.Index()
		w := newWorld(t, routertest.Options{Policy: p, Poll: time.Minute})
		var alerts []incident.Alert
		for i := range *worstAlerts {
			alerts = append(alerts, w.Alert(ids[i%len(ids)], fmt.Sprintf("%016x", i)))
		}
		more := day(w, alerts)

		// Nothing is lost: each breach is in the store and in its incident, and each reader was told
		// of all that happened.
		total := 0
		for _, s := range situations(w) {
			total += s.Incident.Breaches.Total
			for _, sub := range s.Subscriptions {
				late := !sub.DueAt.IsZero() && !sub.DueAt.After(w.Now())
				scheduled := !sub.CadenceAt.IsZero() // it is told of breaches, which are no news by themselves
				if !sub.Told || scheduled && sub.ToldSequence != s.Incident.Sequence || len(sub.Owed) > 0 || late {
					t.Fatalf("%s, at %d, told to %s as of %d; owed %v", s.Incident.ID(), s.Incident.Sequence, sub.Recipient, sub.ToldSequence, sub.Owed)
				}
			}
		}
		if total != len(alerts)+more {
			t.Errorf("%d breaches of %d are counted", total, len(alerts)+more)
		}
		w.Read(func(r storage.Snapshot) error {
			for i := range alerts {
				b, err := storage.LatestBreach(t.Context(), r, alerts[i].Fingerprint)
				if err != nil || b == nil {
					t.Fatalf("breach %s: %v, %v", alerts[i].Fingerprint, b, err)
				}
			}
			return nil
		})
		w.Mails()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		if m.HeapAlloc > worstHeap {
			t.Errorf("%d MiB are in use", m.HeapAlloc>>20)
		}
	})
}

// situations are those of all incidents, a page after the other.
func situations(w *world) (all []*incident.Situation) {
	w.Read(func(r storage.Snapshot) error {
		for cursor := ""; ; {
			page, next, err := r.Incidents(w.t.Context(), storage.IncidentQuery{Limit: 1000, Cursor: cursor})
			if err != nil {
				return err
			}
			of, err := storage.SituationsOf(w.t.Context(), r, page)
			if err != nil {
				return err
			}
			if all, cursor = append(all, of...), next; cursor == "" {
				return nil
			}
		}
	})
	return all
}

// post posts alerts a hundred at a time.
func (w *world) post(alerts []incident.Alert) {
	for len(alerts) > 0 {
		n := min(len(alerts), 100)
		w.Post(alerts[:n]...)
		alerts = alerts[n:]
	}
}

// ordered makes sure that each reader was told of openings of the first priority in messages of
// their own before it was told anything else.
func ordered(t *testing.T, mails []routertest.Mail) {
	t.Helper()
	other := map[string]string{}
	for i := range mails {
		m := &mails[i]
		first := m.Kind == incident.KindOpened && m.First().Incident.Priority.Rank == 0
		if before := other[m.To]; first && before != "" {
			t.Errorf("%s was told that %s opened, a %s, after %s", m.To, m.First().Incident.ID(), m.First().Incident.Priority.Name, before)
		}
		if !first && other[m.To] == "" {
			other[m.To] = fmt.Sprintf("%s of %s, a %s", m.Kind, m.First().Incident.ID(), m.First().Incident.Priority.Name)
		}
		for k := 1; k < len(m.Items); k++ {
			if m.Items[k].Incident.Priority.Rank < m.Items[k-1].Incident.Priority.Rank {
				t.Errorf("a digest to %s does not begin with the highest priority", m.To)
				break
			}
		}
	}
}

// Alerts of many SLOs come at once, while nobody sends.
func TestWorstDayOfManySLOs(t *testing.T) {
	worst(t, max(*worstAlerts/100, 20), func(w *world, alerts []incident.Alert) int {
		w.post(alerts)
		w.Start()
		w.Pass(2 * time.Second)
		ordered(t, w.Mails())
		w.Pass(3 * time.Minute)
		w.Mails()
		// The updates of the first priority are due, and one more opens: that is told first.
		w.Stop()
		w.Pass(2 * time.Hour)
		w.Open()
		w.Reload(func(p *incident.Policy) { p.SLOs = append(p.SLOs, incidenttest.SLO("fresh", "P1")) })
		w.Post(w.Alert("fresh", "fresh"))
		w.Start()
		w.Pass(2 * time.Second)
		mails := w.Mails()
		ordered(t, mails)
		if len(mails) < 6 || mails[0].First().Incident.Key != "fresh" {
			t.Errorf("%d messages, the first about %s", len(mails), mails[0].First().Incident.Key)
		}
		w.Pass(9 * time.Hour)
		return 1
	})
}

// Alerts of each SLO are an incident of their own, so that all are told by digests.
func TestWorstDayOfManyIncidents(t *testing.T) {
	worst(t, *worstAlerts, func(w *world, alerts []incident.Alert) int {
		w.Start()
		w.post(alerts)
		w.Pass(5 * time.Minute)
		single, digests, about := about(w.Mails(), "oncall")
		if about != len(alerts) || single > 10 || digests > 2+2*len(alerts)/900 {
			t.Errorf("on call got %d messages and %d digests of %d incidents", single, digests, about)
		}
		return 0
	})
}

// One SLO is breached many times: its incident is told once, and then as often as was promised.
func TestWorstDayOfOneSLO(t *testing.T) {
	worst(t, 1, func(w *world, alerts []incident.Alert) int {
		w.Start()
		w.post(alerts)
		w.Pass(time.Minute)
		if mails := w.Mails(); len(mails) > 8 {
			t.Errorf("%d messages tell that one incident opened", len(mails))
		}
		w.Pass(9 * time.Hour)
		return 0
	})
}
