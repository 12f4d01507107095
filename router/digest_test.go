package router_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"sitrep/incident"
	"sitrep/incident/incidenttest"
	"sitrep/router/routertest"
)

// many are alerts that begin now, of that many SLOs of their own, for which a
// configuration is loaded.
func (w *world) many(prefix string, n int) []incident.Alert {
	var alerts []incident.Alert
	w.Reload(func(p *incident.Policy) {
		for i := range n {
			id := fmt.Sprintf("%s%02d", prefix, i)
			p.SLOs = append(p.SLOs, incidenttest.SLO(id, []string{"P3", "P1", "P2"}[i%3]))
			alerts = append(alerts, w.Alert(id, id))
		}
	})
	return alerts
}

// manyP2 is many, of the second priority alone.
func (w *world) manyP2(n int) (alerts []incident.Alert) {
	for some := range slices.Chunk(w.many("storm", 3*n), 3) {
		alerts = append(alerts, some[2])
	}
	return alerts
}

// about counts what a reader was told: single messages, digests, and incidents in all.
func about(mails []routertest.Mail, to string) (single, digests, incidents int) {
	for _, m := range mails {
		switch {
		case m.To != to:
			continue
		case m.Kind == incident.KindDigest:
			digests++
		default:
			single++
		}
		incidents += len(m.Items)
	}
	return single, digests, incidents
}

func TestAStormIsFiveMessagesAndADigest(t *testing.T) {
	bubble(t, policy(), func(t *testing.T, w *world) {
		start := w.Now()
		w.Post(w.many("storm", 12)...)
		w.Pass(time.Second)
		mails := w.Mails()
		for _, to := range []string{"support", "oncall"} {
			if s, d, n := about(mails, to); s != 5 || d != 1 || n != 12 {
				t.Errorf("%s got %d messages and %d digests of %d incidents", to, s, d, n)
			}
		}
		if s, d, n := about(mails, "cto"); s != 5 || d != 1 || n != 8 {
			t.Errorf("cto got %d messages and %d digests of %d incidents", s, d, n)
		}
		lowest := map[string]incident.Priority{} // that a reader was told of in a message of its own
		for _, m := range mails {
			if p := m.First().Incident.Priority; m.Kind != incident.KindDigest && lowest[m.To].Rank < p.Rank {
				lowest[m.To] = p
			}
		}
		for _, m := range mails {
			if p := m.First().Incident.Priority; m.Kind == incident.KindDigest && p.Rank < lowest[m.To].Rank {
				t.Errorf("%s was told of a %s in the digest, and of a %s before", m.To, p.Name, lowest[m.To].Name)
			}
			for i := range m.Items[1:] {
				if m.Items[i+1].Incident.Priority.Rank < m.Items[i].Incident.Priority.Rank {
					t.Errorf("a digest does not begin with the highest priority: %v", m.Items)
				}
			}
		}
		// What comes one by one in the same minute is put into one more.
		for i := range 6 {
			w.Pass(2 * time.Second)
			w.Post(w.many(fmt.Sprintf("late%d-", i), 1)...)
		}
		w.Until(start.Add(time.Minute))
		mails = w.Mails()
		if s, d, n := about(mails, "oncall"); s != 0 || d != 1 || n != 6 {
			t.Errorf("later, on call got %d messages and %d digests of %d incidents", s, d, n)
		}
		w.Pass(10 * time.Minute)
		w.Expect()
		for _, d := range w.Deliveries() {
			if d.State != incident.DeliveryDelivered || d.SentAt.Sub(d.DueAt) > time.Minute {
				t.Errorf("delivery %+v", d)
			}
		}
		// All twelve are due again in one minute.
		w.Until(start.Add(8*time.Hour + 2*time.Second))
		if _, _, n := about(w.Mails(), "support"); n < 18 {
			t.Errorf("support was told of %d incidents later", n)
		}
	})
}

// What is left of a storm that is over goes once it is sure that no more comes; a little waits longer.
func TestTheRestOfAStormDoesNotWaitForMore(t *testing.T) {
	for rest, within := range map[int]time.Duration{150: 12 * time.Second, 50: 42 * time.Second} {
		t.Run(fmt.Sprint(rest), func(t *testing.T) {
			bubble(t, policy(), func(t *testing.T, w *world) {
				w.Post(w.many("first", 12)...)
				w.Pass(2 * time.Second)
				w.Mails()
				w.Post(w.many("rest", rest)...)
				w.Pass(within - 9*time.Second)
				if _, _, n := about(w.Mails(), "oncall"); n >= rest {
					t.Errorf("told of %d incidents at once", n)
				}
				w.Pass(9 * time.Second)
				if _, d, n := about(w.Mails(), "oncall"); d != 1 || n < rest-5 {
					t.Errorf("%d digests of %d incidents", d, n)
				}
			})
		})
	}
}

func TestAStormThatComesOneByOne(t *testing.T) {
	bubble(t, policy(), func(t *testing.T, w *world) {
		start := w.Now()
		for i := range 12 {
			w.Post(w.many(fmt.Sprintf("one%d-", i), 1)...)
			w.Pass(300 * time.Millisecond)
		}
		w.Until(start.Add(time.Minute))
		if s, d, n := about(w.Mails(), "oncall"); s != 5 || d != 1 || n != 12 {
			t.Errorf("on call got %d messages and %d digests of %d incidents", s, d, n)
		}
		// A minute later single messages are fine again.
		w.Pass(time.Minute)
		w.Post(w.many("again", 1)...)
		w.Pass(time.Second)
		if s, d, n := about(w.Mails(), "oncall"); s != 1 || d != 0 || n != 1 {
			t.Errorf("then on call got %d messages and %d digests of %d incidents", s, d, n)
		}
	})
}

// What a digest tells of an incident is little, and so is what is read for that, however much happened.
func TestADigestReadsLittleOfManyEvents(t *testing.T) {
	const incidents, breaches = 9, 300
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, routertest.Options{Policy: ctoAlone()})
		w.Reload(func(p *incident.Policy) {
			for i := range incidents {
				p.SLOs = append(p.SLOs, incidenttest.SLO(fmt.Sprint("slo", i), "P1"))
			}
		})
		for i := range incidents {
			var alerts []incident.Alert
			for n := range breaches {
				alerts = append(alerts, w.Alert(fmt.Sprint("slo", i), fmt.Sprint("breach", i, "-", n)))
			}
			w.Post(alerts...)
		}
		c := &counter{Store: w.Store()}
		w.StartReplica(routertest.Process{Store: c})
		w.Pass(time.Second)
		w.Stop()
		mails := w.Mails()
		if got := fmt.Sprint(about(mails, "cto")); got != "5 1 9" {
			t.Errorf("messages, digests and incidents: %s", got)
		}
		for _, m := range mails {
			for i := range m.Items {
				want := breaches
				if m.Kind == incident.KindDigest {
					want = 0 // as it is not known
				}
				if n := m.Items[i].Breaches.Started; n != want {
					t.Errorf("a %s of %d says that %d breaches began, not %d", m.Kind, len(m.Items), n, want)
				}
			}
		}
		if n := c.ofMany.Load(); n != 100*(incidents-5) {
			t.Errorf("%d events were read for a digest of %d incidents", n, incidents-5)
		}
	})
}

func TestADigestThatFailsIsMadeAnew(t *testing.T) {
	bubble(t, policy(), func(t *testing.T, w *world) {
		w.Behave(routertest.Refuse(errLater, "oncall"))
		w.Post(w.many("storm", 12)...)
		w.Pass(10 * time.Minute)
		w.Mails()
		w.Behave(nil)
		w.Pass(2 * time.Minute)
		if s, d, n := about(w.Mails(), "oncall"); s != 5 || d != 1 || n != 12 {
			t.Errorf("on call got %d messages and %d digests of %d incidents", s, d, n)
		}
		for _, d := range w.Deliveries() {
			if d.State != incident.DeliveryDelivered {
				t.Errorf("delivery %+v", d)
			}
		}
	})
}

// Openings of the first priority go by themselves and at once, whatever else went out in that
// minute, also while a digest waits for more; so many of them, and those beyond come first in
// the digest.
func TestTheFirstPriorityIsNotPartOfADigest(t *testing.T) {
	bubble(t, policy(), func(t *testing.T, w *world) {
		p3 := func(prefix string, n int) (alerts []incident.Alert) {
			w.Reload(func(p *incident.Policy) {
				for i := range n {
					id := fmt.Sprint(prefix, i)
					p.SLOs = append(p.SLOs, incidenttest.SLO(id, "P3"))
					alerts = append(alerts, w.Alert(id, id))
				}
			})
			return alerts
		}
		w.Post(p3("a", 8)...)
		w.Pass(time.Second)
		if s, d, n := about(w.Mails(), "support"); s != 5 || d != 1 || n != 8 {
			t.Fatalf("%d messages and %d digests of %d incidents", s, d, n)
		}
		w.Post(p3("b", 3)...) // wait for the next digest
		w.Pass(time.Second)
		if s, d, _ := about(w.Mails(), "support"); s+d != 0 {
			t.Fatalf("%d messages and %d digests at once", s, d)
		}
		for i := range 7 {
			id := fmt.Sprint("first", i)
			w.Reload(func(p *incident.Policy) { p.SLOs = append(p.SLOs, incidenttest.SLO(id, "P1")) })
			w.Post(w.Alert(id, id))
			w.Pass(time.Second)
			mails := w.Mails()
			s, d, _ := about(mails, "support")
			if want := 1; i < 5 && (s != want || d != 0) || i >= 5 && s+d != 0 {
				t.Errorf("opening %d of the first priority: %d messages and %d digests", i+1, s, d)
			}
		}
		w.Pass(time.Minute)
		for _, m := range w.Mails() {
			if m.To != "support" {
				continue
			}
			var priorities []string
			for i := range m.Items {
				priorities = append(priorities, m.Items[i].Incident.Priority.Name)
			}
			if m.Kind != incident.KindDigest || fmt.Sprint(priorities) != "[P1 P1 P3 P3 P3]" {
				t.Errorf("%s of %v", m.Kind, priorities)
			}
		}
	})
}
