package incident_test

import (
	"reflect"
	"testing"
	"time"

	"sitrep/incident"
)

// TestRefusedOpeningIsToldOnce: the team hears once of an address that refuses the
// opening, however often it is tried again; and a reader who comes back is known.
func TestRefusedOpeningIsToldOnce(t *testing.T) {
	w := newWorld(t, policy())
	w.down["email:cto@example.org"] = true
	w.open("P1")
	w.expect("support opened", "oncall opened")
	refuse := func() {
		t.Helper()
		pl, ok := w.s.Plan("email:cto@example.org", w.p, w.now)
		if !ok || pl.Cover.Kind != incident.KindOpened {
			t.Fatalf("the cto is not owed an opening: %+v", pl)
		}
		w.note(w.s.Undelivered("email:cto@example.org", pl.Cover, w.now, "cto@example.org"))
	}
	refuse()
	w.expect("oncall reminder")
	w.p.RemindBefore = 0
	// Of those who are told nothing else, the next is the next try.
	alone := *w.s
	alone.Subscriptions = []incident.Subscription{*w.s.Subscription("email:cto@example.org")}
	if at, want := alone.NextUpdateAt(w.p), incident.PromisedBy(t0.Add(2*time.Hour)); !at.Equal(want) {
		t.Errorf("the next update is by %v, want %v", at, want)
	}
	for range 3 {
		w.pass(2*time.Hour, time.Minute)
		refuse()
		w.expect("support update")
	}
	w.down["email:cto@example.org"] = false
	w.pass(2*time.Hour, time.Minute)
	w.expect("cto opened", "support update")
}

// TestRefusedOpeningEndsWithTheIncident: what was refused is told with the end, once, and
// nothing is owed about what is closed.
func TestRefusedOpeningEndsWithTheIncident(t *testing.T) {
	const cto = "email:cto@example.org"
	for _, c := range []struct {
		name string
		// late is set if the opening is still under way when it resolves.
		late, refused bool
	}{{"the end is refused too", false, true}, {"the end is taken", false, false}, {"the opening is refused after the end", true, true}} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, policy())
			w.p.RemindBefore = 0
			w.down[cto] = true
			w.open("P1")
			w.expect("support opened", "oncall opened")
			opening, ok := w.s.Plan(cto, w.p, w.now)
			if !ok {
				t.Fatal("no opening is owed")
			}
			if !c.late {
				w.note(w.s.Undelivered(cto, opening.Cover, w.now, "cto@example.org"))
				w.expect("oncall reminder")
			}
			w.must(w.s.Incident.Resolve(w.stamp("ada"), "it works again"))
			w.expect("support resolved", "oncall resolved")
			if c.late {
				w.note(w.s.Undelivered(cto, opening.Cover, w.now, "cto@example.org"))
				w.expect("oncall reminder")
			}
			end, ok := w.s.Plan(cto, w.p, w.now)
			if !ok || end.Cover.Kind != incident.KindResolved || !end.Cover.First {
				t.Fatalf("owed %+v", end)
			}
			if c.refused {
				w.note(w.s.Undelivered(cto, end.Cover, w.now, "cto@example.org"))
				for range 2 {
					w.now = w.now.Add(24 * time.Hour)
					again, ok := w.s.Plan(cto, w.p, w.now)
					if !ok || again.Cover.Kind != incident.KindResolved {
						t.Fatalf("a day later owed %+v", again)
					}
					w.note(w.s.Undelivered(cto, again.Cover, w.now, "cto@example.org"))
				}
			} else {
				w.note(w.s.Delivered(cto, end.Cover, w.now, incident.Cause{}, w.p))
			}
			for _, action := range []string{"hotfix", "postmortem"} {
				w.must(w.s.Incident.ChangeAction(w.stamp("ada"), action, incident.ActionDone, "", ""))
			}
			w.must(w.s.Incident.Close(w.stamp("ada"), ""))
			w.pass(48*time.Hour, time.Hour)
			w.expect()
			if s := w.s.Subscription(cto); !s.DueAt.IsZero() || len(s.Owed) > 0 {
				t.Errorf("still owed: %+v", s)
			}
		})
	}
}

// TestReaderWhoComesBack: who left and joins again is told that it is again.
func TestReaderWhoComesBack(t *testing.T) {
	w := newWorld(t, policy())
	again := func() bool {
		t.Helper()
		pl, ok := w.s.Plan("email:cto@example.org", w.p, w.now)
		if !ok {
			t.Fatal("nothing is owed")
		}
		item := w.s.Item(&pl, nil, w.p, nil)
		return item.First && item.Again
	}
	w.open("P1")
	if again() {
		t.Error("the first message is told as again")
	}
	w.expect("cto opened", "support opened", "oncall opened")
	w.must(w.s.Incident.ChangePriority(w.stamp("ada"), w.p, w.p.Priorities[2], "few are hit"))
	w.expect("cto left", "support priority", "oncall priority")
	w.must(w.s.Incident.ChangePriority(w.stamp("ada"), w.p, w.p.Priorities[0], "all are hit"))
	if !again() {
		t.Error("who comes back is told as new")
	}
	w.expect("cto opened", "support priority", "oncall priority")
}

// TestEndThatWasNotBelieved: a breach that ended, and was then not believed, is told
// as unknown alone.
func TestEndThatWasNotBelieved(t *testing.T) {
	w := newWorld(t, policy())
	w.open("P1")
	w.fire("b")
	w.expect("cto opened", "support opened", "oncall opened")
	told := len(w.log)
	w.end("b")
	w.change(w.s.Incident.Lose(w.stamp(incident.ActorScheduler), w.breaches["b"], incident.WhyQuiet)...)
	w.must(w.s.Incident.WriteUpdate(w.stamp("ada"), w.p, "We look into it.", nil))
	pl, ok := w.s.Plan("email:cto@example.org", w.p, w.now)
	if !ok {
		t.Fatal("nothing is owed")
	}
	if got, want := w.s.Item(&pl, w.log[told:], w.p, nil).Breaches, (incident.Tally{Unknown: 1}); got != want {
		t.Errorf("told %+v, want %+v", got, want)
	}
}

// TestLatestOfManyEvents: who is told the latest of many events is not told that they are all.
func TestLatestOfManyEvents(t *testing.T) {
	w := newWorld(t, policy())
	w.open("P1")
	w.expect("cto opened", "support opened", "oncall opened")
	told := len(w.log)
	w.pass(time.Minute, time.Minute)
	w.must(w.s.Incident.WriteUpdate(w.stamp("ada"), w.p, "We look into it.", nil))
	w.fire("b")
	w.fire("c")
	pl, ok := w.s.Plan("email:cto@example.org", w.p, w.now)
	if !ok {
		t.Fatal("nothing is owed")
	}
	for from, want := range map[int]incident.Tally{told: {Started: 2}, told + 2: {}} {
		item := w.s.Item(&pl, w.log[from:], w.p, nil)
		if item.Breaches != want || !item.NewWord {
			t.Errorf("of %d events: %+v, with a new word: %t", len(w.log)-from, item.Breaches, item.NewWord)
		}
	}
}

// TestMergeAfterLeavingTheConfiguration: who was taken out while the incident was
// resolved is owed no farewell, and gets none when put back.
func TestMergeAfterLeavingTheConfiguration(t *testing.T) {
	w := newWorld(t, policy())
	w.open("P1")
	w.expect("cto opened", "support opened", "oncall opened")
	w.must(w.s.Incident.Resolve(w.stamp("ada"), "it works again"))
	w.expect("cto resolved", "support resolved", "oncall resolved")
	in, out := *w.p, *w.p
	out.Groups = []incident.Group{{Name: "leadership", Location: in.Location}, in.Groups[1]}
	w.p = &out
	from, _, err := w.s.Incident.Merge(w.stamp("ada"), w.p, &incident.Incident{Number: 2, State: incident.StateOpen}, "the same")
	w.must(from, err)
	w.expect("support left", "oncall left")
	w.p = &in
	if sub := w.s.Subscription("email:cto@example.org"); sub.Told || len(sub.Owed) > 0 {
		t.Errorf("who was taken out is still owed something: %+v", sub)
	}
}

// TestScheduledUpdateThatAQuietTimeMoved: the message before promises the end of the
// quiet time, and the update that comes then was held; the one after it was not.
func TestScheduledUpdateThatAQuietTimeMoved(t *testing.T) {
	t.Parallel()
	p := policy()
	p.Groups[1].Quiet = []incident.Quiet{quiet(13, 16)} // the second hour of the incident, and two more
	w := newWorld(t, p)
	w.open("P1")
	w.tick()
	if sub := w.s.Subscription("email:support@example.org"); !sub.CadenceDeferred || !sub.CadenceAt.Equal(t0.Add(4*time.Hour)) {
		t.Fatalf("after the opening the next is at %v, held %v", sub.CadenceAt, sub.CadenceDeferred)
	}
	w.sent = nil
	w.pass(6*time.Hour, 5*time.Minute)
	want := map[string][]bool{"support@example.org": {true, false}, "cto@example.org": {false, false, false}}
	got := map[string][]bool{}
	for _, s := range w.sent {
		if s.kind != incident.KindUpdate {
			continue
		}
		got[s.to] = append(got[s.to], s.cover.Deferred)
		if s.cover.Deferred && (!s.due.Equal(t0.Add(4*time.Hour)) || !s.cover.Promised.Equal(incident.PromisedBy(s.due)) || s.cover.NextDeferred) {
			t.Errorf("held: %+v", s.cover)
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("held: %v, want %v", got, want)
	}

	// An opening that is refused comes again with the cadence, and is held like it.
	w = newWorld(t, p)
	w.open("P1")
	pl, _ := w.s.Plan("email:support@example.org", p, w.now)
	w.note(w.s.Undelivered("email:support@example.org", pl.Cover, w.now, "support@example.org"))
	w.now = t0.Add(4 * time.Hour)
	if again, ok := w.s.Plan("email:support@example.org", p, w.now); !ok || !again.Cover.Deferred || !again.Cover.Again() || pl.Cover.Again() {
		t.Errorf("planned again: %v %+v", ok, again.Cover)
	}
}

// TestWhatIsOwedAfterTheClockWasSetBack: what was owed before is owed now, and not in two
// hours; two changes that cross move nothing.
func TestWhatIsOwedAfterTheClockWasSetBack(t *testing.T) {
	for _, back := range []time.Duration{time.Second, 2 * time.Hour} {
		w := newWorld(t, policy())
		w.open("P1")
		before := w.s.Subscription("email:cto@example.org").Owed[0].At
		now := w.now.Add(-back)
		after, err := incident.Reconcile(w.s, incident.News{}, w.p, now)
		if err != nil {
			t.Fatal(err)
		}
		want := before
		if back > time.Hour {
			want = now
		}
		if sub := after.Subscription("email:cto@example.org"); !sub.Owed[0].At.Equal(want) || !sub.DueAt.Equal(want) {
			t.Errorf("set back by %v: owed at %v, due at %v, want %v", back, sub.Owed[0].At, sub.DueAt, want)
		}
	}
}
