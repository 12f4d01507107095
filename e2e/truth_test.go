package e2e_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"sitrep/e2e/rig"
)

// TestMemoryLost: of a pair of Prometheis each gives an alert a startsAt of its own. Their
// Alertmanager, started anew, takes the first that it hears, and the earlier one later. It
// ends, by whatever startsAt.
func TestMemoryLost(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		ago  time.Duration // the beginning by the first Prometheus
		// second returns the beginning by the other one.
		second   func(first time.Time) time.Time
		breaches int
	}{
		{"the other saw it before it was heard", 20 * time.Second, func(first time.Time) time.Time { return first.Add(8 * time.Second) }, 1},
		{"the other saw it after it was heard", time.Second, func(time.Time) time.Time { return time.Now() }, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, settings{resolveAfter: "8s"})
			r := w.record()
			am := w.start(sender{repeat: "1h", to: r.URL})
			first := alert("register", "page", time.Now().Add(-tt.ago).Truncate(time.Millisecond))
			check(t, am.Post(first))
			w.told("opened")

			am.Kill()
			check(t, am.Forget())
			check(t, am.Start())
			second := first
			second.StartsAt = tt.second(first.StartsAt).Truncate(time.Millisecond)
			check(t, am.Post(second))
			w.heard(r, "firing", "firing")
			check(t, am.Post(ended(first)...))
			check(t, am.Post(ended(second)...))
			heard := w.heard(r, "firing", "firing", "resolved")
			if !heard[0].StartsAt.Equal(first.StartsAt) || !heard[1].StartsAt.Equal(second.StartsAt) || !heard[2].StartsAt.Equal(first.StartsAt) {
				t.Fatalf("Alertmanager sent %+v; want the end to go by the first startsAt", heard)
			}
			w.told("opened", "resolved")
			if in := w.incidents()["register"]; in.State != "resolved" || in.Breaches.Firing != 0 || in.Breaches.Total != tt.breaches {
				t.Errorf("got %+v, want it resolved, with %d breaches", in, tt.breaches)
			}
		})
	}
}

// TestSlowMember: the members of a cluster share what was notified, but not the alerts. One
// that hears late of an end tells once more of what fired, and then of the same end.
func TestSlowMember(t *testing.T) {
	t.Parallel()
	for _, asked := range []bool{false, true} {
		t.Run(fmt.Sprintf("asked=%t", asked), func(t *testing.T) {
			t.Parallel()
			places := free(t, 2)
			s := settings{resolveAfter: "15s"}
			if asked {
				s = settings{resolveAfter: "5s", more: asking(places...)}
			}
			w := newWorld(t, s)
			r := w.record()
			quick := w.start(sender{repeat: "1h", to: r.URL, address: places[0], name: "a"})
			slow := w.start(sender{repeat: "1h", to: r.URL, address: places[1], name: "b", peer: quick})
			w.eventually("the cluster is there", func() bool {
				return !slices.ContainsFunc([]*rig.Alertmanager{quick, slow}, func(am *rig.Alertmanager) bool {
					n, err := am.Members()
					return err != nil || n != 2
				})
			})
			a := alert("register", "page", time.Now().Add(-time.Second).Truncate(time.Millisecond))
			check(t, quick.Post(a))
			check(t, slow.Post(a))
			w.told("opened")
			over := ended(a)
			check(t, quick.Post(over...))
			w.heard(r, "firing", "resolved", "firing")
			check(t, slow.Post(over...))
			heard := w.heard(r, "firing", "resolved", "firing", "resolved")
			if !heard[2].StartsAt.Equal(heard[0].StartsAt) || !heard[3].EndsAt.Equal(heard[1].EndsAt) {
				t.Fatalf("the cluster sent %+v; want the same twice", heard)
			}
			w.told("opened", "resolved")
			if in := w.incidents()["register"]; in.State != "resolved" || in.Breaches.Firing != 0 || in.Breaches.Total != 1 {
				t.Errorf("got %+v, want one breach that has ended", in)
			}
		})
	}
}

// TestCopiesOfBodies: what Alertmanager sent arrives once more, byte by byte, in its order.
func TestCopiesOfBodies(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{resolveAfter: "10s"})
	r := w.record()
	am := w.start(sender{repeat: "1h", to: r.URL})
	a := alert("register", "page", time.Now().Add(-time.Second).Truncate(time.Millisecond))
	check(t, am.Post(a))
	w.told("opened")
	check(t, am.Post(ended(a)...))
	w.heard(r, "firing", "resolved")
	for range 2 {
		for _, b := range r.Bodies() {
			_, err := w.Alerts(b.Raw)
			check(t, err)
		}
	}
	if in := w.incidents()["register"]; in.State != "open" || in.Breaches.Firing != 0 || in.Breaches.Total != 1 {
		t.Errorf("got %+v, want one breach that has ended", in)
	}
	w.told("opened", "resolved")
}

// TestTwoClusters: alerts of two clusters without a label that tells them apart have one
// fingerprint. It is over when it is in both.
func TestTwoClusters(t *testing.T) {
	t.Parallel()
	places := free(t, 2)
	w := newWorld(t, settings{resolveAfter: "3s", more: asking(places...)})
	east := w.start(sender{repeat: "1h", address: places[0]})
	west := w.start(sender{repeat: "1h", address: places[1]})
	a := alert("register", "page", time.Now().Add(-time.Second).Truncate(time.Millisecond))
	b := alert("register", "page", a.StartsAt.Add(300*time.Millisecond))
	check(t, east.Post(a))
	check(t, west.Post(b))
	w.told("opened")
	w.eventually("both have told", func() bool { return w.metric("sitrep_alerts_received_total") == 2 })
	check(t, east.Post(ended(a)...))
	w.firesAgain("INC-1")
	w.throughout("it fires in the other cluster", 8*time.Second, func() bool {
		in := w.incidents()["register"]
		return in.State == "open" && in.Breaches.Firing == 1
	})
	w.told("opened")
	check(t, west.Post(ended(b)...))
	w.told("opened", "resolved")
	if in := w.incidents()["register"]; in.State != "resolved" || in.Breaches.Total != 1 {
		t.Errorf("got %+v, want one breach that has ended", in)
	}
}

// TestEarlierStartsAtIsHeard: a breach that is heard again and again by an earlier startsAt
// than its own does not become unknown.
func TestEarlierStartsAtIsHeard(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{resolveAfter: "30s", unknownAfter: "6s"})
	first, second := w.startAlertmanager("1h"), w.startAlertmanager("2s")
	// Before its own breach another one ended, so that it is not moved to the earlier startsAt.
	before := alert("register", "page", time.Now().Add(-time.Minute).Truncate(time.Millisecond))
	check(t, first.Post(before))
	w.told("opened")
	over := ended(before)
	over[0].EndsAt = before.StartsAt.Add(30 * time.Second)
	check(t, first.Post(over...))
	w.eventually("it ends", func() bool { return w.incidents()["register"].Breaches.Firing == 0 })
	a := alert("register", "page", time.Now().Add(-5*time.Second).Truncate(time.Millisecond))
	check(t, first.Post(a))
	w.eventually("it fires anew", func() bool {
		in := w.incidents()["register"]
		return in.Breaches.Firing == 1 && in.Breaches.Total == 2
	})
	first.Kill()
	check(t, second.Post(before))
	w.throughout("it fires", 15*time.Second, func() bool { return w.incidents()["register"].Breaches.Firing == 1 })
	if in := w.incidents()["register"]; in.Breaches.Total != 2 || in.State != "open" {
		t.Errorf("got %+v, want the second breach to fire", in)
	}
	second.Kill()
	w.eventually("it is unknown once nobody speaks of it", func() bool {
		return w.incidents()["register"].Breaches.Firing == 0 && slices.ContainsFunc(w.events("INC-1"), func(e eventView) bool { return e.Type == "breach_unknown" })
	})
}

// TestFastClock: while the clocks of Prometheus and Alertmanager were 40 minutes fast, an
// alert fired and ended. Set right, the next one is a breach of its own, and told.
func TestFastClock(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{})
	r := w.record()
	r.Shift(40 * time.Minute)
	am := w.start(sender{repeat: "1h", to: r.URL})
	a := alert("register", "page", time.Now().Add(-time.Second).Truncate(time.Millisecond))
	check(t, am.Post(a))
	w.told("opened")
	check(t, am.Post(ended(a)...))
	w.told("opened", "resolved")
	if heard := w.heard(r, "firing", "resolved"); heard[0].StartsAt.Before(time.Now()) || heard[1].EndsAt.Before(time.Now()) {
		t.Fatalf("Alertmanager sent %+v; want times in the future", heard)
	}
	if in := w.incidents()["register"]; in.StartedAt.After(time.Now()) || in.EndedAt == nil || in.EndedAt.After(time.Now()) {
		t.Errorf("got %+v, want times that have been", in)
	}

	r.Shift(0)
	again := alert("register", "page", time.Now().Truncate(time.Millisecond))
	check(t, am.Post(again))
	w.told("opened", "resolved", "reopened")
	if in := w.incidents()["register"]; in.State != "open" || in.Breaches.Firing != 1 || in.Breaches.Total != 2 {
		t.Errorf("got %+v, want a second breach that fires", in)
	}
	check(t, am.Post(ended(again)...))
	w.told("opened", "resolved", "reopened", "resolved")
}

// TestCutOffMember: one of three Alertmanagers no longer hears of Prometheus, and says
// that all is over, while the others know that it is not.
func TestCutOffMember(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		asked  bool
		repeat string // of the two that still hear
	}{
		{"asked", true, "1h"},
		{"nobody to ask", false, "3s"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			places := free(t, 3)
			s := settings{resolveAfter: "12s"}
			if tt.asked {
				s = settings{resolveAfter: "3s", more: asking(places...)}
			}
			w := newWorld(t, s)
			a := alert("register", "page", time.Now().Add(-time.Second).Truncate(time.Millisecond))
			ams := []*rig.Alertmanager{
				w.start(sender{repeat: "1h", address: places[0]}),
				w.start(sender{repeat: tt.repeat, address: places[1]}),
				w.start(sender{repeat: tt.repeat, address: places[2]}),
			}
			// As Prometheus does: what is not sent again before then has ended.
			expires := a
			expires.EndsAt = time.Now().Add(5 * time.Second)
			check(t, ams[0].Post(expires))
			check(t, ams[1].Post(a))
			check(t, ams[2].Post(a))
			w.told("opened")
			w.firesAgain("INC-1")
			w.throughout("nobody is told that it is over", 8*time.Second, func() bool { return w.incidents()["register"].State == "open" })
			w.told("opened")
			over := ended(a)
			check(t, ams[1].Post(over...))
			check(t, ams[2].Post(over...))
			w.told("opened", "resolved")
			if in := w.incidents()["register"]; in.State != "resolved" || in.Breaches.Total != 1 {
				t.Errorf("got %+v, want one breach that has ended", in)
			}
		})
	}
}

// TestResolvedByHand: a person said that it is over while the alert fires. That its
// startsAt moves is no end, and no news.
func TestResolvedByHand(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{})
	r := w.record()
	am := w.start(sender{repeat: "2s", to: r.URL})
	a := alert("register", "page", time.Now().Add(-time.Second).Truncate(time.Millisecond))
	check(t, am.Post(a))
	w.told("opened")
	check(t, w.Post("/api/v1/incidents/INC-1/resolve", map[string]string{"note": "The rule is wrong."}, nil))
	w.told("opened", "resolved")

	am.Kill()
	check(t, am.Forget())
	check(t, am.Start())
	moved := alert("register", "page", time.Now().Truncate(time.Millisecond))
	check(t, am.Post(moved))
	said := func() (n int) {
		for _, b := range r.Heard() {
			if b.StartsAt.Equal(moved.StartsAt) {
				n++
			}
		}
		return n
	}
	w.throughout("it stays resolved", 5*time.Second, func() bool { return w.incidents()["register"].State == "resolved" })
	w.eventually("it is told twice by the startsAt that moved", func() bool { return said() >= 2 })
	if in := w.incidents()["register"]; in.State != "resolved" || in.Breaches.Firing != 1 || in.Breaches.Total != 1 {
		t.Errorf("got %+v, want one breach that fires, resolved by hand", in)
	}
	w.told("opened", "resolved")

	// Once it was seen to end, the next one is news.
	check(t, am.Post(ended(moved)...))
	w.eventually("it ends", func() bool { return w.incidents()["register"].Breaches.Firing == 0 })
	check(t, am.Post(alert("register", "page", time.Now().Truncate(time.Millisecond))))
	w.told("opened", "resolved", "reopened")
}

// record starts a recorder in front of the world's sitrep.
func (w *world) record() *rig.Recorder {
	w.t.Helper()
	r, err := rig.NewRecorder(w.Sitrep)
	check(w.t, err)
	w.t.Cleanup(func() {
		r.Close()
		if !w.t.Failed() {
			return
		}
		var b strings.Builder
		for _, body := range r.Bodies() {
			b.Write(bytes.TrimSpace(body.Raw))
			b.WriteByte('\n')
		}
		w.t.Logf("Alertmanagers sent:\n%s", b.String())
	})
	return r
}

// heard waits until alerts with just these statuses were taken, one after another, and
// returns them.
func (w *world) heard(r *rig.Recorder, statuses ...string) []rig.BodyAlert {
	w.t.Helper()
	var alerts []rig.BodyAlert
	var got []string
	ok := rig.Poll(patience, func() bool {
		alerts, got = r.Heard(), nil
		for _, a := range alerts {
			got = append(got, a.Status)
		}
		return slices.Equal(got, statuses)
	})
	if !ok {
		w.t.Fatalf("Alertmanagers sent %v, want %v", got, statuses)
	}
	return alerts
}

// told waits until the chief, support and those on call have got mails of just these
// kinds about INC-1.
func (w *world) told(kinds ...string) {
	w.t.Helper()
	var mails []string
	for _, kind := range kinds {
		mails = append(mails, kind+" INC-1")
	}
	w.wantMails(map[string][]string{chief: mails, support: mails, onCall: mails})
}

// throughout fails the test if something does not hold all the time for so long.
func (w *world) throughout(what string, long time.Duration, holds func() bool) {
	w.t.Helper()
	if rig.Poll(long, func() bool { return !holds() }) {
		w.t.Fatalf("no longer so: %s\nmails: %s\nincidents: %+v\nevents: %+v", what, w.mailbox(), w.incidents(), w.events("INC-1"))
	}
}

// firesAgain waits until a breach of the incident fires that had ended.
func (w *world) firesAgain(id string) {
	w.t.Helper()
	w.eventually("a breach that had ended fires again", func() bool {
		return slices.ContainsFunc(w.events(id), func(e eventView) bool { return e.Type == "breach_started" && e.Data.From == "ended" })
	})
}

// An eventView is what tests look at of an event.
type eventView struct {
	Type   string `json:"type"`
	Actor  string `json:"actor"`
	Reason string `json:"reason"`
	Data   struct {
		From string `json:"from"`
		Why  string `json:"why"`
	} `json:"data"`
}

// events returns all events of an incident.
func (w *world) events(id string) []eventView {
	w.t.Helper()
	return list[eventView](w, "/api/v1/incidents/"+id+"/events", "events")
}

// free returns addresses on which nothing listens, for Alertmanagers that a config names
// before they run.
func free(t *testing.T, n int) (addresses []string) {
	t.Helper()
	for range n {
		address, err := rig.FreeAddress()
		check(t, err)
		addresses = append(addresses, address)
	}
	return addresses
}

// asking is the part of a config by which the Alertmanagers there are asked.
func asking(addresses ...string) string {
	part := "alertmanagers:\n"
	for _, address := range addresses {
		part += "  - url: http://" + address + "\n"
	}
	return part
}
