package router_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"sitrep/incident"
	"sitrep/incident/incidenttest"
)

// many are alerts that begin now, of that many SLOs of their own, for which a
// configuration is loaded.
func (w *world) many(prefix string, n int) []incident.Alert {
	p := *w.policy.Load()
	p.SLOs = slices.Clone(p.SLOs)
	defer w.policy.Store(&p)
	var alerts []incident.Alert
	for i := range n {
		id := fmt.Sprintf("%s%02d", prefix, i)
		p.SLOs = append(p.SLOs, incidenttest.SLO(id, []string{"P3", "P1", "P2"}[i%3]))
		alerts = append(alerts, alert(id, id))
	}
	return alerts
}

// about counts what a reader was told: single messages, digests, and incidents in all.
func about(mails []mail, to string) (single, digests, incidents int) {
	for _, m := range mails {
		switch {
		case m.to != to:
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
		start := clock()
		w.post(w.many("storm", 12)...)
		time.Sleep(time.Second)
		mails := w.mail.take()
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
			if p := m.First().Incident.Priority; m.Kind != incident.KindDigest && lowest[m.to].Rank < p.Rank {
				lowest[m.to] = p
			}
		}
		for _, m := range mails {
			if p := m.First().Incident.Priority; m.Kind == incident.KindDigest && p.Rank < lowest[m.to].Rank {
				t.Errorf("%s was told of a %s in the digest, and of a %s before", m.to, p.Name, lowest[m.to].Name)
			}
			for i := range m.Items[1:] {
				if m.Items[i+1].Incident.Priority.Rank < m.Items[i].Incident.Priority.Rank {
					t.Errorf("a digest does not begin with the highest priority: %v", m.Items)
				}
			}
		}
		// What comes one by one in the same minute is put into one more.
		for i := range 6 {
			time.Sleep(2 * time.Second)
			w.post(w.many(fmt.Sprintf("late%d-", i), 1)...)
		}
		sleepUntil(start.Add(time.Minute))
		mails = w.mail.take()
		if s, d, n := about(mails, "oncall"); s != 0 || d != 1 || n != 6 {
			t.Errorf("later, on call got %d messages and %d digests of %d incidents", s, d, n)
		}
		time.Sleep(10 * time.Minute)
		w.expect()
		for _, d := range w.deliveries() {
			if d.State != incident.DeliveryDelivered || d.SentAt.Sub(d.DueAt) > time.Minute {
				t.Errorf("delivery %+v", d)
			}
		}
		// All twelve are due again in one minute.
		sleepUntil(start.Add(8*time.Hour + 2*time.Second))
		if _, _, n := about(w.mail.take(), "support"); n < 18 {
			t.Errorf("support was told of %d incidents later", n)
		}
	})
}

func TestAStormThatComesOneByOne(t *testing.T) {
	bubble(t, policy(), func(t *testing.T, w *world) {
		start := clock()
		for i := range 12 {
			w.post(w.many(fmt.Sprintf("one%d-", i), 1)...)
			time.Sleep(300 * time.Millisecond)
		}
		sleepUntil(start.Add(time.Minute))
		if s, d, n := about(w.mail.take(), "oncall"); s != 5 || d != 1 || n != 12 {
			t.Errorf("on call got %d messages and %d digests of %d incidents", s, d, n)
		}
		// A minute later single messages are fine again.
		time.Sleep(time.Minute)
		w.post(w.many("again", 1)...)
		time.Sleep(time.Second)
		if s, d, n := about(w.mail.take(), "oncall"); s != 1 || d != 0 || n != 1 {
			t.Errorf("then on call got %d messages and %d digests of %d incidents", s, d, n)
		}
	})
}

func TestADigestThatFailsIsMadeAnew(t *testing.T) {
	bubble(t, policy(), func(t *testing.T, w *world) {
		w.mail.set(down("oncall"))
		w.post(w.many("storm", 12)...)
		time.Sleep(10 * time.Minute)
		w.mail.take()
		w.mail.set(nil)
		time.Sleep(2 * time.Minute)
		if s, d, n := about(w.mail.take(), "oncall"); s != 5 || d != 1 || n != 12 {
			t.Errorf("on call got %d messages and %d digests of %d incidents", s, d, n)
		}
		for _, d := range w.deliveries() {
			if d.State != incident.DeliveryDelivered {
				t.Errorf("delivery %+v", d)
			}
		}
	})
}
