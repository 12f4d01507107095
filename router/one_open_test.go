package router_test

import (
	"errors"
	"testing"
	"time"

	"sitrep/incident"
	"sitrep/intake"
	"sitrep/internal/command"
)

func TestOnlyTheLatestOfAnSLOIsReopened(t *testing.T) {
	bubble(t, policy(), func(t *testing.T, w *world) {
		for range 2 {
			a := w.Fire("p1", "a")
			w.Pass(time.Minute)
			w.Resolve(a)
			w.Pass(2 * time.Hour)
		}
		if err := w.Try("ada", 1, command.Reopen{Reason: "not over"}); !errors.Is(err, incident.ErrConflict) {
			t.Errorf("reopening the first: %v", err)
		}
		w.Do(2, command.Reopen{Reason: "not over"})
		if r := w.Post(w.Alert("p1", "b")); r[0].Incident != 2 || r[0].Result != intake.OutcomeJoined {
			t.Errorf("result %+v", r)
		}
	})
}

func TestABreachOfAMergedSLOGoesWhereItsIncidentGoesOn(t *testing.T) {
	bubble(t, policy(), func(t *testing.T, w *world) {
		a, b := w.Alert("p2", "a"), w.Alert("p1", "b")
		w.Post(a, b)
		w.Pass(time.Minute)
		w.Do(1, command.Merge{Into: "INC-2", Reason: "one cause"})
		w.Pass(time.Minute)
		// The end of a merged breach counts where it went.
		w.Resolve(a)
		if in := w.Situation(2).Incident; in.Breaches != (incident.Counts{Firing: 1, Total: 2}) {
			t.Errorf("counts %+v", in.Breaches)
		}
		w.Resolve(b)
		w.Pass(11 * time.Minute)
		if in := w.Situation(2).Incident; in.State != incident.StateResolved {
			t.Fatalf("state %s", in.State)
		}
		w.Mails()
		// A later one of the merged SLO reopens it.
		if r := w.Post(w.Alert("p2", "c")); r[0].Incident != 2 || r[0].Result != intake.OutcomeReopened {
			t.Errorf("result %+v", r)
		}
		w.Pass(time.Second)
		w.Expect("cto reopened", "support reopened", "oncall reopened")
		w.Do(2, command.Resolve{Note: "it is the test"})
		// With another open for the same SLO, it joins that one: two are never open.
		w.Do(0, command.Declare{SLO: "p1", Reason: "people call"})
		if r := w.Post(w.Alert("p2", "d")); r[0].Incident != 3 || r[0].Result != intake.OutcomeJoined {
			t.Errorf("result %+v", r)
		}
	})
}

func TestADrillIsApart(t *testing.T) {
	bubble(t, policy(), func(t *testing.T, w *world) {
		w.Do(0, command.Declare{SLO: "p1", Reason: "we practise", Drill: true})
		w.Pass(time.Second)
		for _, m := range w.Expect("cto opened", "support opened", "oncall opened") {
			if !m.First().Incident.Drill {
				t.Errorf("%s is not told that it is a drill", m.To)
			}
		}
		if r := w.Post(w.Alert("p1", "a")); r[0].Incident != 2 || r[0].Result != intake.OutcomeOpened {
			t.Errorf("result %+v", r)
		}
		if err := w.Try("ada", 1, command.Merge{Into: "INC-2", Reason: "the same"}); !errors.Is(err, incident.ErrConflict) {
			t.Errorf("merging a drill: %v", err)
		}
		for _, d := range w.Deliveries() {
			if d.Drill != (d.Incident == 1) {
				t.Errorf("delivery %+v", d)
			}
		}
	})
}

func TestABreachJoinsWhatAPersonDeclared(t *testing.T) {
	bubble(t, policy(), func(t *testing.T, w *world) {
		w.Do(0, command.Declare{SLO: "p2", Reason: "people call"})
		w.Pass(time.Second)
		w.Expect("cto opened", "support opened", "oncall opened")
		a := w.Alert("p2", "a")
		if r := w.Post(a); r[0].Incident != 1 || r[0].Result != intake.OutcomeJoined {
			t.Errorf("result %+v", r)
		}
		if err := w.Try("ada", 0, command.Declare{SLO: "p2", Reason: "people call"}); !errors.Is(err, incident.ErrConflict) {
			t.Errorf("declaring a second: %v", err)
		}
		w.Pass(time.Minute)
		w.Resolve(a)
		w.Pass(4 * time.Hour)
		w.Expect("cto update", "support update")
		if in := w.Situation(1).Incident; in.State != incident.StateOpen {
			t.Errorf("it is %s, and a person held it open", in.State)
		}
		w.Do(1, command.Resolve{})
		w.Pass(time.Second)
		w.Expect("cto resolved", "support resolved", "oncall resolved")
	})
}
