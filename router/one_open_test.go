package router_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"sitrep/incident"
	"sitrep/intake"
	"sitrep/internal/command"
	"sitrep/storage"
)

// order carries out a command of ada's as the API does.
func (w *world) order(number int64, cmd command.Command) error {
	return w.repo.Change(context.Background(), clock(), func(c *storage.Change) error {
		req := command.Request{Command: cmd, Incident: number, Actor: "ada"}
		_, err := req.Apply(c, nil)
		return err
	})
}

func TestOnlyTheLatestOfAnSLOIsReopened(t *testing.T) {
	bubble(t, policy(), func(t *testing.T, w *world) {
		for range 2 {
			a := alert("p1", "a")
			w.post(a)
			time.Sleep(time.Minute)
			w.post(resolved(a))
			time.Sleep(2 * time.Hour)
		}
		if err := w.order(1, command.Reopen{Reason: "not over"}); !errors.Is(err, incident.ErrConflict) {
			t.Errorf("reopening the first: %v", err)
		}
		w.must(w.order(2, command.Reopen{Reason: "not over"}))
		if r := w.post(alert("p1", "b")); r[0].Incident != 2 || r[0].Result != intake.OutcomeJoined {
			t.Errorf("result %+v", r)
		}
	})
}

func TestABreachOfAMergedSLOGoesWhereItsIncidentGoesOn(t *testing.T) {
	bubble(t, policy(), func(t *testing.T, w *world) {
		a, b := alert("p2", "a"), alert("p1", "b")
		w.post(a, b)
		time.Sleep(time.Minute)
		w.must(w.order(1, command.Merge{Into: "INC-2", Reason: "one cause"}))
		time.Sleep(time.Minute)
		// The end of a merged breach counts where it went.
		w.post(resolved(a))
		if in := w.situation(2).Incident; in.Breaches != (incident.Counts{Firing: 1, Total: 2}) {
			t.Errorf("counts %+v", in.Breaches)
		}
		w.post(resolved(b))
		time.Sleep(11 * time.Minute)
		if in := w.situation(2).Incident; in.State != incident.StateResolved {
			t.Fatalf("state %s", in.State)
		}
		w.mail.take()
		// A later one of the merged SLO reopens it.
		if r := w.post(alert("p2", "c")); r[0].Incident != 2 || r[0].Result != intake.OutcomeReopened {
			t.Errorf("result %+v", r)
		}
		time.Sleep(time.Second)
		w.expect("cto reopened", "support reopened", "oncall reopened")
		w.must(w.order(2, command.Resolve{Note: "it is the test"}))
		// With another open for the same SLO, it joins that one: two are never open.
		w.must(w.order(0, command.Declare{SLO: "p1", Reason: "people call"}))
		if r := w.post(alert("p2", "d")); r[0].Incident != 3 || r[0].Result != intake.OutcomeJoined {
			t.Errorf("result %+v", r)
		}
	})
}

func TestADrillIsApart(t *testing.T) {
	bubble(t, policy(), func(t *testing.T, w *world) {
		w.must(w.order(0, command.Declare{SLO: "p1", Reason: "we practise", Drill: true}))
		time.Sleep(time.Second)
		for _, m := range w.expect("cto opened", "support opened", "oncall opened") {
			if !m.First().Incident.Drill {
				t.Errorf("%s is not told that it is a drill", m.to)
			}
		}
		if r := w.post(alert("p1", "a")); r[0].Incident != 2 || r[0].Result != intake.OutcomeOpened {
			t.Errorf("result %+v", r)
		}
		if err := w.order(1, command.Merge{Into: "INC-2", Reason: "the same"}); !errors.Is(err, incident.ErrConflict) {
			t.Errorf("merging a drill: %v", err)
		}
		for _, d := range w.deliveries() {
			if d.Drill != (d.Incident == 1) {
				t.Errorf("delivery %+v", d)
			}
		}
	})
}

func TestABreachJoinsWhatAPersonDeclared(t *testing.T) {
	bubble(t, policy(), func(t *testing.T, w *world) {
		w.must(w.order(0, command.Declare{SLO: "p2", Reason: "people call"}))
		time.Sleep(time.Second)
		w.expect("cto opened", "support opened", "oncall opened")
		a := alert("p2", "a")
		if r := w.post(a); r[0].Incident != 1 || r[0].Result != intake.OutcomeJoined {
			t.Errorf("result %+v", r)
		}
		if err := w.order(0, command.Declare{SLO: "p2", Reason: "people call"}); !errors.Is(err, incident.ErrConflict) {
			t.Errorf("declaring a second: %v", err)
		}
		time.Sleep(time.Minute)
		w.post(resolved(a))
		time.Sleep(4 * time.Hour)
		w.expect("cto update", "support update")
		if in := w.situation(1).Incident; in.State != incident.StateOpen {
			t.Errorf("it is %s, and a person held it open", in.State)
		}
		w.must(w.order(1, command.Resolve{}))
		time.Sleep(time.Second)
		w.expect("cto resolved", "support resolved", "oncall resolved")
	})
}
