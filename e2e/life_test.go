package e2e_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"sitrep/e2e/rig"
)

// TestLife follows alerts through a real Alertmanager: fire, group, repeat, cut off,
// end.
func TestLife(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{})
	am := w.startAlertmanager("2s")

	start := time.Now().Add(-time.Second).Truncate(time.Millisecond)
	page, ticket := alert("register", "page", start), alert("register", "ticket", start)
	send := alert("send", "page", start)
	check(t, am.Post(page, ticket, send))
	w.eventually("two incidents, one for each SLO", func() bool {
		got := w.incidents()
		return len(got) == 2 && got["register"].Breaches.Firing == 2 && got["send"].Breaches.Firing == 1
	})
	register, sending := w.incidents()["register"].ID, w.incidents()["send"].ID
	opened := map[string][]string{}
	for _, to := range []string{chief, support, onCall} {
		opened[to] = []string{"opened " + register, "opened " + sending}
	}
	w.wantMails(opened)
	for _, m := range w.mail.Mails() {
		if !m.TLS {
			t.Errorf("the mail to %s came without TLS", m.To)
		}
		if m.Incident() == register && !strings.HasSuffix(m.Subject(), "[P1] "+register+" Application cannot register with notification services") {
			t.Errorf("subject %q", m.Subject())
		}
		if m.Header.Get("Auto-Submitted") != "auto-generated" || m.Header.Get("X-Sitrep-Priority") != "P1" || m.ID() == "" {
			t.Errorf("headers of the mail to %s: %v", m.To, m.Header)
		}
	}

	heard := w.metric("sitrep_alerts_received_total")
	w.eventually("Alertmanager repeats", func() bool { return w.metric("sitrep_alerts_received_total") >= heard+3 })
	w.wantMails(opened)

	check(t, am.Post(ended(ticket)...))
	w.eventually("one breach of the incident ends", func() bool { return w.incidents()["register"].Breaches.Firing == 1 })
	if in := w.incidents()["register"]; in.State != "open" || in.EndedAt != nil {
		t.Errorf("one of two breaches ended: %+v", in)
	}

	check(t, am.Post(ended(page, send)...))
	over := map[string][]string{}
	for to, mails := range opened {
		over[to] = append(slices.Clone(mails), "resolved "+register, "resolved "+sending)
	}
	w.wantMails(over)
	for _, in := range w.incidents() {
		if in.State != "resolved" || in.EndedAt == nil {
			t.Errorf("it is over: %+v", in)
		}
	}

	w.eventually("the webhook has the same news", func() bool { return len(w.hook.Postings()) == 4 })
	var types []string
	for _, p := range w.hook.Postings() {
		types = append(types, p.Type)
		if !p.Verified || p.ID == "" {
			t.Errorf("not signed: %s", p.Body)
		}
	}
	slices.Sort(types)
	if want := []string{"incident.opened", "incident.opened", "incident.resolved", "incident.resolved"}; !slices.Equal(types, want) {
		t.Errorf("got webhooks %v, want %v", types, want)
	}
	for _, d := range w.deliveries() {
		if d.State != "delivered" || d.Attempts != 1 || strings.Contains(d.Recipient, "secret-part") {
			t.Errorf("delivery %+v", d)
		}
	}
}

// TestCutOffAlertsAreNotOver: Alertmanager calls a body resolved when those of the
// alerts that fire are cut off.
func TestCutOffAlertsAreNotOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{resolveAfter: "1s"})
	am := w.startAlertmanager("2s")
	start := time.Now().Add(-time.Second).Truncate(time.Millisecond)
	cut := func(slo string) rig.Alert {
		a := alert(slo, "page", start)
		a.Labels["cut"] = "yes"
		return a
	}
	// The body lists alerts by their labels, so that the first two push out the others.
	check(t, am.Post(cut("cut-3"), cut("cut-4")))
	w.eventually("two incidents", func() bool { return len(w.incidents()) == 2 })
	check(t, am.Post(cut("cut-1"), cut("cut-2")))
	w.eventually("the two that push them out", func() bool { return len(w.incidents()) == 4 })
	check(t, am.Post(ended(cut("cut-1"), cut("cut-2"))...))
	w.eventually("they resolve", func() bool {
		got := w.incidents()
		return got["cut-1"].State == "resolved" && got["cut-2"].State == "resolved"
	})
	for _, slo := range []string{"cut-3", "cut-4"} {
		if in := w.incidents()[slo]; in.State != "open" || in.Breaches.Firing != 1 {
			t.Errorf("cut off, and firing all the time: %+v", in)
		}
	}
}

// TestCadence: without news, the audiences hear at the pace that was promised.
func TestCadence(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{updateEvery: "4s"})
	w.post(firing("register", "f1", time.Now().Add(-time.Second)))
	w.eventually("an opening and two updates", func() bool { return len(w.mail.To(chief)) >= 3 })
	got := w.mail.To(chief)
	for i, want := range []string{"opened", "update", "update"} {
		if got[i].Kind() != want {
			t.Errorf("message %d: got %s, want %s", i, got[i].Kind(), want)
		}
	}
	for i := range 2 {
		if gap := got[i+1].At.Sub(got[i].At); gap < 2*time.Second || gap > 8*time.Second {
			t.Errorf("%s between messages %d and %d, want 4 s", gap, i, i+1)
		}
	}
	if n := len(w.mail.To(onCall)); n != 1 {
		t.Errorf("on_call got %d mails, want 1", n)
	}
}
