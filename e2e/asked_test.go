package e2e_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"sitrep/e2e/rig"
)

// TestFlapsUnderSilence: an alert is silenced, ends and fires anew, and Alertmanager says
// nothing of it, but lists it as suppressed, with a later startsAt. While it is listed,
// nobody hears that it is over.
func TestFlapsUnderSilence(t *testing.T) {
	t.Parallel()
	places := free(t, 1)
	w := newWorld(t, settings{updateEvery: "8s", resolveAfter: "3s", more: asking(places...)})
	r := w.record()
	am := w.start(sender{repeat: "1h", address: places[0], to: r.URL})
	a := alert("register", "page", time.Now().Add(-time.Second).Truncate(time.Millisecond))
	check(t, am.Post(a))
	w.toldFirst("opened")
	check(t, am.Silence("sloth_id", "register"))
	w.lists(am, "suppressed", a.StartsAt)
	check(t, am.Post(ended(a)...))
	w.lists(am, "", time.Time{})
	again := alert("register", "page", time.Now()) // to the millisecond it could lie before that end
	check(t, am.Post(again))
	w.lists(am, "suppressed", again.StartsAt)

	suppressed := time.Now()
	w.eventually("Alertmanager was asked, and lists it", func() bool {
		return w.incidents()["register"].Breaches.LastHeardAt.After(suppressed)
	})
	w.throughout("it is open while it is listed", 12*time.Second, func() bool {
		in := w.incidents()["register"]
		return in.State == "open" && in.Breaches.Firing == 1
	})
	check(t, am.Post(ended(again)...))
	w.lists(am, "", time.Time{})
	w.endsUntold(time.Now(), 8*time.Second)
	w.heard(r, "firing")
}

// TestEndsInhibited: of an alert that ends while it is inhibited Alertmanager never says
// so. It is asked before an update would claim that it still fires.
func TestEndsInhibited(t *testing.T) {
	t.Parallel()
	places := free(t, 1)
	w := newWorld(t, settings{updateEvery: "16s", resolveAfter: "3s", more: asking(places...)})
	r := w.record()
	am := w.start(sender{repeat: "1h", address: places[0], to: r.URL})
	a := alert("register", "page", time.Now().Add(-time.Second).Truncate(time.Millisecond))
	check(t, am.Post(a))
	w.toldFirst("opened")
	outage := alert("none", "page", a.StartsAt)
	outage.Labels["alertname"] = "Outage"
	check(t, am.Post(outage))
	w.lists(am, "suppressed", a.StartsAt)
	check(t, am.Post(ended(a)...))
	w.lists(am, "", time.Time{})
	w.endsUntold(time.Now(), 16*time.Second)
	w.heard(r, "firing")
}

// TestNobodyCouldBeAsked: where no Alertmanager answers, an incident resolves all the same,
// and all that is told of it says so.
func TestNobodyCouldBeAsked(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{resolveAfter: "4s", more: asking(free(t, 2)...)})
	am := w.startAlertmanager("1h")
	a := alert("register", "page", time.Now().Add(-time.Second).Truncate(time.Millisecond))
	check(t, am.Post(a))
	w.told("opened")
	check(t, am.Post(ended(a)...))
	w.told("opened", "resolved")

	const words = "No Alertmanager could be asked whether that is so."
	for _, m := range w.mail.Mails() {
		text, err := m.Text()
		check(t, err)
		if says := strings.Contains(strings.Join(strings.Fields(text), " "), words); says != (m.Kind() == "resolved") {
			t.Errorf("the %s mail to %s says that nobody could be asked: %t\n%s", m.Kind(), m.To, says, text)
		}
	}
	w.eventually("the webhook has the same news", func() bool { return len(w.hook.Postings()) == 2 })
	if last := w.hook.Postings()[1]; !strings.Contains(string(last.Body), words) {
		t.Errorf("the webhook does not say that nobody could be asked: %s", last.Body)
	}
	page, err := w.Text("/incidents/INC-1")
	check(t, err)
	if !strings.Contains(page, words) {
		t.Error("the page does not say that nobody could be asked")
	}
	if !slices.ContainsFunc(w.events("INC-1"), func(e eventView) bool { return e.Type == "resolved" && e.Data.Why == "nobody_asked" }) {
		t.Errorf("no event says that nobody could be asked: %+v", w.events("INC-1"))
	}
}

// lists waits until the Alertmanager lists the alert of the SLO register in that state and
// with that beginning; without a state, until it does not list it.
func (w *world) lists(am *rig.Alertmanager, state string, startsAt time.Time) {
	w.t.Helper()
	var listed []rig.Listing
	ok := rig.Poll(patience, func() bool {
		var err error
		listed, err = am.Listed()
		check(w.t, err)
		i := slices.IndexFunc(listed, func(l rig.Listing) bool { return l.Labels["sloth_id"] == "register" })
		if i < 0 || state == "" {
			return i < 0 && state == ""
		}
		return listed[i].Status.State == state && listed[i].StartsAt.Equal(startsAt.Truncate(time.Millisecond))
	})
	if !ok {
		w.t.Fatalf("Alertmanager lists %+v, want it %q since %s", listed, state, startsAt)
	}
}

// toldFirst waits until the chief, support and those on call have got a mail of that kind
// about INC-1 before all others.
func (w *world) toldFirst(kind string) {
	w.t.Helper()
	w.eventually("all are told: "+kind, func() bool {
		return !slices.ContainsFunc([]string{chief, support, onCall}, func(to string) bool {
			got := w.mail.To(to)
			return len(got) == 0 || got[0].Kind() != kind || got[0].Incident() != "INC-1"
		})
	})
}

// endsUntold waits until INC-1 is resolved, which fires no more since then, as nobody but
// its Alertmanager knows. No scheduled update that comes once that can be asked claims
// that it fires.
func (w *world) endsUntold(since time.Time, updateEvery time.Duration) {
	w.t.Helper()
	w.eventually("all are told that it is over", func() bool {
		return !slices.ContainsFunc([]string{chief, support, onCall}, func(to string) bool {
			got := w.mail.To(to)
			return got[len(got)-1].Kind() != "resolved"
		})
	})
	for _, m := range w.mail.Mails() {
		text, err := m.Text()
		check(w.t, err)
		// It is asked a quarter of the cadence before an update, or soon after that.
		if m.At.After(since.Add(updateEvery/2)) && strings.Contains(text, "firing") {
			w.t.Errorf("it had ended, and %s is told at %s:\n%s", m.To, m.At, text)
		}
	}
	w.deliveries()
	ends := 0
	for _, m := range w.mail.To(chief) {
		if kind := m.Kind(); kind == "resolved" {
			ends++
		} else if kind == "reopened" {
			w.t.Errorf("the chief hears that it is open again:\n%s", w.mailbox())
		}
	}
	if in := w.incidents()["register"]; ends != 1 || in.State != "resolved" || in.Breaches.Total != 1 {
		w.t.Errorf("got %+v and mails %s, want one end of one breach", in, w.mailbox())
	}
}
