package incident_test

import (
	"slices"
	"testing"
	"time"

	"sitrep/incident"
	"sitrep/incident/incidenttest"
)

// underWay plans what the reader is owed now, lets meanwhile happen, and then hands
// the message over.
func (w *world) underWay(name string, meanwhile func()) {
	w.t.Helper()
	id := "email:" + name + "@example.org"
	pl, ok := w.s.Plan(id, w.p, w.now)
	if !ok {
		w.t.Fatalf("nothing to tell %s", name)
	}
	meanwhile()
	w.note(w.s.Delivered(id, pl.Cover, w.now, incident.Cause{}, w.p))
	w.sent = append(w.sent, sent{name + "@example.org", pl.Cover.Kind, w.now, pl.Cover.DueAt, pl.Cover.NextBy, pl.Cover})
}

func TestEdges(t *testing.T) {
	ada := incident.Actor("ada")
	const cto, support = "email:cto@example.org", "email:support@example.org"
	only := func(w *world, to string) sent {
		w.t.Helper()
		w.tick()
		i := slices.IndexFunc(w.sent, func(s sent) bool { return s.to == to+"@example.org" })
		if i < 0 {
			w.t.Fatalf("nothing was sent to %s", to)
		}
		return w.sent[i]
	}
	priority := func(w *world, i int) {
		w.t.Helper()
		w.must(w.s.Incident.ChangePriority(w.stamp(ada), w.p, w.p.Priorities[i], "because"))
	}
	tests := map[string]func(w *world){
		"who joins long after inform_after is owed the briefing from now on": func(w *world) {
			w.p.Priorities[0].InformAfter = 30 * time.Minute
			w.open("P3")
			w.pass(3*time.Hour, time.Minute)
			w.sent = nil
			priority(w, 0)
			if s := only(w, "cto"); s.kind != incident.KindOpened || !s.due.Equal(w.now) || s.cover.Deferred || s.cover.Promised.Before(w.now) {
				w.t.Errorf("sent %+v", s)
			}
		},
		"what inform_after let pass is not held by a quiet time": func(w *world) {
			w.p.Priorities[1].InformAfter = 30 * time.Minute
			w.open("P2")
			w.pass(25*time.Minute, time.Minute)
			w.end("a")
			w.pass(7*time.Minute, time.Minute)
			w.fire("a")
			w.sent = nil
			if s := only(w, "cto"); s.cover.Deferred || !s.due.Equal(w.now) {
				w.t.Errorf("sent %+v", s)
			}
		},
		"an opening that could not be handed over after inform_after is told when all is over": func(w *world) {
			w.p.Priorities[1].InformAfter = 30 * time.Minute
			w.open("P2")
			w.tick()
			w.down[cto] = true
			w.pass(40*time.Minute, time.Minute)
			w.end("a")
			w.pass(5*time.Minute, time.Minute)
			w.take()
			w.down = map[string]bool{}
			w.expect("cto opened")
			w.down[support] = true // support had it in time
			w.pass(10*time.Minute, time.Minute)
			w.expect("cto resolved", "oncall resolved")
		},
		"the same, and it resolves meanwhile": func(w *world) {
			w.p.Priorities[1].InformAfter = 30 * time.Minute
			w.open("P2")
			w.tick()
			w.down[cto] = true
			w.pass(40*time.Minute, time.Minute)
			w.end("a")
			w.pass(30*time.Minute, time.Minute)
			w.take()
			w.down = map[string]bool{}
			if s := only(w, "cto"); s.kind != incident.KindResolved || !s.due.Equal(t0.Add(30*time.Minute)) {
				w.t.Errorf("sent %+v", s)
			}
		},
		"over before inform_after, in a quiet time": func(w *world) {
			w.p.Priorities[1].InformAfter = 30 * time.Minute
			w.p.Groups[0].Quiet = []incident.Quiet{quiet(12, 16)}
			w.open("P2")
			w.pass(20*time.Minute, time.Minute)
			w.end("a")
			w.pass(5*time.Hour, time.Minute)
			w.expect("oncall opened", "oncall resolved")
		},
		"longer than inform_after, and over in a quiet time: told at its end": func(w *world) {
			w.p.Priorities[1].InformAfter = 30 * time.Minute
			w.p.Groups[0].Quiet = []incident.Quiet{quiet(12, 16)}
			w.open("P2")
			w.pass(50*time.Minute, time.Minute)
			w.end("a")
			w.pass(3*time.Hour, time.Minute)
			w.take()
			w.pass(time.Hour, time.Minute)
			if s := only(w, "cto"); s.kind != incident.KindResolved || !s.due.Equal(t0.Add(4*time.Hour)) || !s.cover.Deferred {
				w.t.Errorf("sent %+v", s)
			}
		},
		"a raise that ends inform_after makes the opening due then": func(w *world) {
			w.p.Priorities[1].InformAfter = 30 * time.Minute
			w.open("P2")
			w.pass(10*time.Minute, time.Minute)
			w.sent = nil
			priority(w, 0)
			if s := only(w, "cto"); !s.due.Equal(w.now) || s.cover.Deferred {
				w.t.Errorf("sent %+v", s)
			}
		},
		"a raise that lets go what was held makes it due then": func(w *world) {
			w.p.Groups[1].Quiet = []incident.Quiet{quiet(12, 16, "P1")}
			w.open("P3")
			w.pass(20*time.Minute, time.Minute)
			w.sent = nil
			priority(w, 0)
			if s := only(w, "support"); !s.due.Equal(w.now) || !s.cover.Deferred || s.kind != incident.KindOpened {
				w.t.Errorf("sent %+v", s)
			}
		},
		"a message that fails until a quiet time begins waits for its end, and the work ends": func(w *world) {
			w.p.Groups[1].Quiet = []incident.Quiet{quiet(13, 16)}
			w.now = t0.Add(59*time.Minute + 30*time.Second)
			w.down[support] = true
			w.open("P3")
			w.tick()
			w.now = t0.Add(time.Hour + time.Second)
			w.down = map[string]bool{}
			w.expect("oncall opened")
			w.now = t0.Add(time.Hour)
			w.change()
			if due := w.s.Subscription(support).DueAt; !due.Equal(t0.Add(4 * time.Hour)) {
				w.t.Errorf("due at %v", due)
			}
			w.now = t0.Add(4 * time.Hour)
			if s := only(w, "support"); !s.due.Equal(w.now) || !s.cover.Deferred {
				w.t.Errorf("sent %+v", s)
			}
		},
		"what waits for the end of a quiet time is not let go by what happens in it": func(w *world) {
			w.p.Groups[1].Quiet = []incident.Quiet{quiet(13, 16)}
			w.now = t0.Add(50 * time.Minute)
			w.down[support] = true
			w.open("P3")
			w.tick()
			w.down = map[string]bool{}
			for i := range 3 {
				w.now = t0.Add(time.Hour + time.Duration(i)*10*time.Minute)
				w.must(w.s.Incident.SetPhase(w.stamp(ada), []incident.Phase{incident.PhaseInvestigation, incident.PhaseRecovery, incident.PhaseInvestigation}[i], "", ""))
				if due := w.s.Subscription(support).DueAt; !due.Equal(t0.Add(4 * time.Hour)) {
					w.t.Errorf("due at %v", due)
				}
			}
		},
		"an opening that could not be handed over was due when inform_after ended, whatever was written since": func(w *world) {
			w.p.Priorities[1].InformAfter = 30 * time.Minute
			w.open("P2")
			w.tick()
			w.down[cto] = true
			w.pass(40*time.Minute, time.Minute)
			w.must(w.s.Incident.WriteUpdate(w.stamp(ada), w.p, "We look into it.", nil))
			w.pass(5*time.Minute, time.Minute)
			w.end("a")
			w.take()
			w.down = map[string]bool{}
			if s := only(w, "cto"); s.kind != incident.KindOpened || !s.due.Equal(t0.Add(30*time.Minute)) {
				w.t.Errorf("sent %+v", s)
			}
		},
		"the last that fires ends, and what becomes of the others is unknown: the team is asked": func(w *world) {
			w.open("P1")
			w.fire("b")
			w.tick()
			w.take()
			w.lose("a")
			w.expect()
			w.end("b")
			w.expect("oncall reminder")
			w.pass(time.Hour, time.Minute)
			w.expect()
		},
		"a reader who cannot be reached does not end the reminders": func(w *world) {
			w.open("P1")
			w.tick()
			w.down[cto] = true
			w.take()
			for range 3 {
				w.pass(2*time.Hour, time.Minute)
				w.expect("oncall reminder", "support update")
			}
		},
		"the team is reminded that a reader cannot be reached, and not that one of itself": func(w *world) {
			w.p.RemindBefore = 0
			w.open("P1")
			pl, _ := w.s.Plan("email:oncall@example.org", w.p, w.now)
			w.note(w.s.Undelivered("email:oncall@example.org", pl.Cover, w.now, "oncall@example.org"))
			w.expect("cto opened", "support opened")
			pl, _ = w.s.Plan(cto, w.p, w.now)
			w.pass(5*time.Hour, time.Minute)
			w.take()
			w.pass(time.Hour, time.Minute)
			if s := only(w, "oncall"); s.kind != incident.KindOpened {
				w.t.Errorf("sent %+v", s)
			}
		},
		"a second change of priority while the first is under way is told too": func(w *world) {
			w.open("P1")
			w.tick()
			w.take()
			priority(w, 1)
			w.underWay("cto", func() {
				w.now = w.now.Add(time.Second)
				priority(w, 0)
			})
			w.expect("cto priority", "cto priority", "oncall priority", "support priority")
			if got := w.s.Subscription(cto).ToldPriority; got != "P1" {
				w.t.Errorf("told %s", got)
			}
		},
		"what changes while an opening is under way is told after it": func(w *world) {
			w.open("P1")
			w.underWay("cto", func() { priority(w, 1) })
			w.underWay("support", func() {
				w.must(w.s.Incident.WriteUpdate(w.stamp(ada), w.p, "We are on it.", nil))
			})
			w.expect("cto opened", "cto priority", "oncall opened", "support opened", "support update")
		},
		"a merge that raises the priority tells the readers": func(w *world) {
			w.open("P3")
			w.expect("support opened", "oncall opened")
			other := incident.Incident{Number: 2}
			p1 := slo("P1")
			p1.ID, p1.Key = "other", "other"
			events, err := incident.OpenFor(w.stamp(incident.ActorAlertmanager), &p1, w.p, 2, 0)
			if err != nil {
				w.t.Fatal(err)
			}
			for _, e := range events {
				if err := other.Apply(e); err != nil {
					w.t.Fatal(err)
				}
			}
			_, to, err := other.Merge(w.stamp(ada), w.p, &w.s.Incident, "one cause")
			w.must(to, err)
			w.expect("support priority", "oncall priority", "cto opened")
			w.pass(2*time.Hour, time.Minute)
			w.expect("oncall reminder", "support update", "cto update")
		},
		"the trouble ended with the last end, in whatever order they are heard": func(w *world) {
			w.open("P1")
			w.fire("b")
			end := func(fp string, at time.Time) {
				w.change(w.s.Incident.End(w.stamp(incident.ActorAlertmanager), w.breaches[fp], &incident.Alert{Fingerprint: fp, Resolved: true, EndsAt: at})...)
			}
			w.pass(10*time.Minute, time.Minute)
			end("a", t0.Add(9*time.Minute))
			if !w.s.Incident.EndedAt.IsZero() {
				w.t.Errorf("ended at %v while one fires", w.s.Incident.EndedAt)
			}
			end("b", t0.Add(7*time.Minute))
			if got := w.s.Incident.EndedAt; !got.Equal(t0.Add(9 * time.Minute)) {
				w.t.Errorf("ended at %v", got)
			}
		},
		"a person who reopens when nothing fires holds it open": func(w *world) {
			w.open("P2")
			w.end("a")
			w.pass(10*time.Minute, time.Minute)
			w.take()
			w.must(w.s.Incident.Reopen(w.stamp(ada), "customers still call"))
			w.expect("cto reopened", "support reopened", "oncall reopened")
			w.pass(3*time.Hour, time.Minute)
			w.fire("b")
			w.end("b")
			w.pass(30*time.Minute, time.Minute)
			w.expect()
			w.must(w.s.Incident.Resolve(w.stamp(ada), ""))
			w.expect("cto resolved", "support resolved", "oncall resolved")
		},
		"an action that is overdue again after a reopening is told again": func(w *world) {
			w.open("P1")
			w.end("a")
			w.pass(150*time.Hour, 10*time.Minute)
			w.must(w.s.Incident.Reopen(w.stamp(ada), "not over"))
			w.must(w.s.Incident.Resolve(w.stamp(ada), "over"))
			w.tick()
			w.take()
			w.pass(150*time.Hour, 10*time.Minute)
			w.expect("oncall reminder")
		},
		"an update that never came before the end is missed": func(w *world) {
			w.open("P1")
			w.tick()
			w.down[cto] = true
			w.pass(2*time.Hour+30*time.Minute, time.Minute)
			w.end("a")
			w.pass(6*time.Hour, time.Minute)
			w.down = map[string]bool{}
			w.tick()
			last := w.log[len(w.log)-1]
			if last.Type != incident.EventUpdateMissed || last.Data.Missed != 1 || !last.Data.DueAt.Equal(t0.Add(2*time.Hour)) {
				w.t.Errorf("got %+v", last)
			}
		},
		"and one that would only have come after the end is not": func(w *world) {
			w.open("P1")
			w.tick()
			w.down[cto] = true
			w.pass(100*time.Minute, time.Minute)
			w.end("a")
			w.pass(6*time.Hour, time.Minute)
			w.down = map[string]bool{}
			w.tick()
			if last := w.log[len(w.log)-1]; last.Type == incident.EventUpdateMissed {
				w.t.Errorf("got %+v", last)
			}
		},
		"one reader in the team and an audience: reminders leave the updates as they are": func(w *world) {
			w.p.Teams[0].OnCall = append(w.p.Teams[0].OnCall, incidenttest.Mail("support"))
			w.open("P1")
			w.tick()
			w.take()
			for i := range 3 {
				w.pass(105*time.Minute, time.Minute)
				w.expect("oncall reminder", "support reminder")
				w.pass(15*time.Minute, time.Minute)
				if s := only(w, "support"); s.kind != incident.KindUpdate || !s.due.Equal(t0.Add(time.Duration(i+1)*2*time.Hour)) {
					w.t.Errorf("sent %+v", s)
				}
				w.expect("cto update", "support update")
			}
		},
		"a new cadence of nothing, and of something": func(w *world) {
			w.p.Priorities = append(w.p.Priorities, incident.Priority{Name: "P4", Rank: 3})
			w.open("P1")
			w.tick()
			w.take()
			w.must(w.s.Incident.Resolve(w.stamp(ada), "the alert is wrong"))
			w.tick()
			w.take()
			priority(w, 3) // a correction; the breach fires on
			w.pass(100*time.Hour, 10*time.Minute)
			w.expect()
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { test(newWorld(t, policy())) })
	}
}

// TestPrioritiesThatAReloadMoves: which priority is the higher is what the configuration
// says now, not what it said when the incident got its own.
func TestPrioritiesThatAReloadMoves(t *testing.T) {
	w := newWorld(t, policy())
	w.open("P2")
	before := w.p
	after := *before
	after.Priorities = append([]incident.Priority{{Name: "P0", Actions: []incident.ActionRule{{Name: "report"}}}}, before.Priorities...)
	for i := range after.Priorities {
		after.Priorities[i].Rank = i
	}
	w.p = &after
	to := func(name string) incident.Data {
		t.Helper()
		priority, _ := w.p.Priority(name)
		w.must(w.s.Incident.ChangePriority(w.stamp("ada"), w.p, priority, "we know more"))
		return w.log[len(w.log)-1].Data
	}
	if d := to("P1"); !d.Raised || w.s.Incident.Highest.Name != "P1" || len(w.s.Incident.Actions) != 2 {
		t.Errorf("from P2 to P1: %+v, %+v", d, w.s.Incident)
	}
	if d := to("P3"); d.Raised || w.s.Incident.Highest.Name != "P1" {
		t.Errorf("from P1 to P3: %+v, %+v", d, w.s.Incident)
	}
	w.p = before // P0 is taken away again: what was second is first
	if d := to("P2"); !d.Raised || w.s.Incident.Highest.Name != "P1" || len(w.s.Incident.Actions) != 2 {
		t.Errorf("from P3 to P2: %+v, %+v", d, w.s.Incident)
	}
	other := incident.Incident{Number: 2, State: incident.StateOpen, Priority: before.Priorities[2], Highest: before.Priorities[2]}
	other.Priority.Rank, other.Highest.Rank = 0, 0 // as it was long ago
	_, events, err := w.s.Incident.Merge(w.stamp("ada"), w.p, &other, "the same")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		if err := other.Apply(e); err != nil {
			t.Fatal(err)
		}
	}
	if other.Priority.Name != "P2" || other.Highest.Name != "P2" {
		t.Errorf("merged: %+v", other)
	}
}

// TestEventsOfTheFirstBuilds: those that do not say which priority is the highest are
// read by rank.
func TestEventsOfTheFirstBuilds(t *testing.T) {
	w := newWorld(t, policy())
	w.open("P2")
	events, err := w.s.Incident.ChangePriority(w.stamp("ada"), w.p, w.p.Priorities[0], "worse")
	if err != nil {
		t.Fatal(err)
	}
	events[0].Data.Highest = ""
	if err := w.s.Incident.Apply(events[0]); err != nil || w.s.Incident.Highest.Name != "P1" {
		t.Errorf("%+v, %v", w.s.Incident, err)
	}
}
