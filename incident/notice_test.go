package incident_test

import (
	"testing"
	"time"

	"sitrep/incident"
)

// A ward is one reader of the watchdog, in the order in which things happen to them.
type ward struct {
	t      *testing.T
	p      *incident.Policy
	n      incident.Notice
	now    time.Time
	flying incident.Planned
}

// news lets the pulse go away or come back, and returns what is owed.
func (w *ward) news(why incident.Reason) {
	w.now = w.now.Add(time.Minute)
	var before []incident.Notice
	if w.n != (incident.Notice{}) {
		before = append(before, w.n)
	}
	for _, n := range incident.NoticesOf(before, w.p, incident.Pulse{Name: "eu"}, why, w.now) {
		if n.Recipient == "email:support@example.org" {
			w.n = n
		}
	}
}

// begin begins a message.
func (w *ward) begin() {
	w.t.Helper()
	var ok bool
	if w.flying, _, ok = w.n.Plan(w.p, incident.Pulse{Name: "eu", Sequence: 7}, w.now); !ok {
		w.t.Fatal("nothing is owed")
	}
	w.n.Begin()
}

// finish ends the attempt.
func (w *ward) finish(state incident.DeliveryState, replan bool) {
	w.now = w.now.Add(time.Minute)
	w.n.ApplyOutcome(&incident.Delivery{State: state, Replan: replan}, &w.flying.Cover, w.now)
}

func (w *ward) owes(want incident.Reason) {
	w.t.Helper()
	if w.n.Owed.Reason != want || w.n.DueAt.IsZero() != (want == "") {
		w.t.Errorf("owed %+v at %v, want %q", w.n.Owed, w.n.DueAt, want)
	}
}

func TestOnlyWhoHeardThatItIsAwayHearsThatItIsBack(t *testing.T) {
	const away, back = incident.DueWatchdogAway, incident.DueWatchdogBack
	for name, run := range map[string]func(w *ward){
		"told of both": func(w *ward) {
			w.news(away)
			w.owes(away)
			w.begin()
			w.finish(incident.DeliveryDelivered, false)
			w.owes("")
			w.news(back)
			w.owes(back)
			w.begin()
			w.finish(incident.DeliveryDelivered, false)
			w.owes("")
			w.news(away)
			w.owes(away)
		},
		"back before it was told: nothing": func(w *ward) {
			w.news(away)
			w.news(back)
			w.owes("")
			w.news(away)
			w.owes(away)
		},
		"back while that is under way": func(w *ward) {
			w.news(away)
			w.begin()
			w.news(back)
			w.owes(back)
			w.finish(incident.DeliveryDelivered, false)
			w.owes(back)
		},
		"back while that is under way, which fails": func(w *ward) {
			w.news(away)
			w.begin()
			w.news(back)
			w.finish(incident.DeliveryPending, true)
			w.owes("")
		},
		"back while that is under way, which is refused for good": func(w *ward) {
			w.news(away)
			w.begin()
			w.news(back)
			w.finish(incident.DeliveryFailed, false)
			w.owes("")
		},
		"back while nobody knows whether it was told": func(w *ward) {
			w.news(away)
			w.begin()
			w.finish(incident.DeliveryPending, false)
			w.owes(away)
			w.news(back)
			w.owes(back)
			w.begin()
			w.finish(incident.DeliveryDelivered, false)
			w.owes("")
		},
		"away again before back was told: they know": func(w *ward) {
			w.news(away)
			w.begin()
			w.finish(incident.DeliveryDelivered, false)
			w.news(back)
			w.news(away)
			w.owes("")
			w.news(back)
			w.owes(back)
		},
		"away again while back is under way": func(w *ward) {
			w.news(away)
			w.begin()
			w.finish(incident.DeliveryDelivered, false)
			w.news(back)
			w.begin()
			w.news(away)
			w.owes(away)
			w.finish(incident.DeliveryDelivered, false)
			w.owes(away)
		},
		"it is tried again": func(w *ward) {
			w.news(away)
			w.begin()
			w.finish(incident.DeliveryPending, true)
			w.owes(away)
		},
		"taken out of the group, and put back": func(w *ward) {
			w.news(away)
			w.begin()
			w.finish(incident.DeliveryDelivered, false)
			in, out := w.p, *w.p
			out.Watchdog.Groups = nil
			w.p = &out
			w.news(back)
			w.owes("")
			w.p = in
			w.news(away)
			w.owes(away)
		},
	} {
		t.Run(name, func(t *testing.T) { run(&ward{t: t, p: watched("cluster"), now: t0}) })
	}
}

func TestWhoIsInNoGroupIsNotToldOfTheWatchdog(t *testing.T) {
	w := &ward{t: t, p: watched("cluster"), now: t0}
	w.news(incident.DueWatchdogAway)
	out := *w.p
	out.Watchdog.Groups = nil
	if _, reads, ok := w.n.Plan(&out, incident.Pulse{}, w.now); reads || ok {
		t.Errorf("reads %v, told %v", reads, ok)
	}
	if _, reads, ok := w.n.Plan(w.p, incident.Pulse{}, w.now.Add(-time.Hour)); !reads || ok {
		t.Errorf("before it is due: reads %v, told %v", reads, ok)
	}
	if !w.n.Leave() || w.n.Leave() {
		t.Error("leaving changes it once")
	}
	w.owes("")
}

func TestNewsOfTheWatchdogWaitForTheEndOfAQuietTime(t *testing.T) {
	p := watched("cluster")
	p.Groups[1].Quiet = []incident.Quiet{quiet(0, 13)}
	w := &ward{t: t, p: p, now: t0}
	w.news(incident.DueWatchdogAway)
	if !w.n.DueAt.After(w.now) {
		t.Errorf("due at %v, and it is %v", w.n.DueAt, w.now)
	}
	w.news(incident.DueWatchdogBack)
	w.owes("")
}
