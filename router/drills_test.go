package router_test

import (
	"testing"
	"time"

	"sitrep/incident"
	"sitrep/incident/incidenttest"
	"sitrep/internal/command"
	"sitrep/router/routertest"
)

// drilling is a policy whose team has a drill each week.
func drilling(slo string) *incident.Policy {
	p := incidenttest.Policy()
	p.Drills = []incident.Drill{{Team: "notifications", SLO: slo, Every: 7 * 24 * time.Hour}}
	return p
}

// monday is a Monday at 8 in the morning, in Berlin.
var monday = time.Date(2026, 3, 2, 7, 0, 0, 0, time.UTC)

func TestADrillBeginsByTheClock(t *testing.T) {
	o := routertest.Options{Policy: drilling(""), Begin: monday, Poll: time.Minute, Later: true}
	routertest.Run(t, o, func(t *testing.T, w *routertest.World) {
		w.StartReplica(routertest.Process{Owner: "b"})
		w.Pass(55 * time.Minute)
		w.Expect()
		w.Pass(30 * time.Minute)
		mails := w.Expect("oncall opened")
		if it := mails[0].Items[0]; !it.Incident.Drill || it.Incident.Team != "notifications" || it.Incident.Priority.Name != "P3" {
			t.Errorf("told %+v", it.Incident)
		}
		if e := w.Events(1, incident.EventOpened)[0]; e.Actor != incident.ActorScheduler || e.Reason == "" {
			t.Errorf("event %+v", e)
		}
		w.Pass(10 * 24 * time.Hour) // while it is open there is no other
		w.Mails()
		w.Do(1, command.Resolve{Note: "we were told"})
		w.Pass(time.Hour)
		if w.Situation(1).Incident.State == incident.StateOpen {
			t.Error("it is open")
		}
		w.Pass(24 * time.Hour)
		if in := w.Situation(2).Incident; !in.Drill || in.Team != "notifications" {
			t.Errorf("then %+v", in)
		}
		w.Do(2, command.Resolve{})
		w.Restart(time.Minute)
		w.Pass(5 * 24 * time.Hour)
		if n := opened(w); n != 2 {
			t.Errorf("%d drills before a week was over", n)
		}
		w.Pass(3 * 24 * time.Hour)
		if n := opened(w); n != 3 {
			t.Errorf("%d drills after a week", n)
		}
	})
}

func TestADrillOfAnSLOIsToldToItsStakeholders(t *testing.T) {
	o := routertest.Options{Policy: drilling("p3"), Begin: monday.Add(time.Hour), Poll: time.Minute}
	routertest.Run(t, o, func(t *testing.T, w *routertest.World) {
		// Real trouble goes on beside it.
		w.Fire("p3", "a")
		w.Pass(30 * time.Minute)
		drills := 0
		for _, m := range w.Mails() {
			for _, it := range m.Items {
				if it.Incident.Drill {
					drills++
				}
			}
		}
		if drills != 2 || opened(w) != 2 {
			t.Errorf("%d messages of a drill, %d incidents", drills, opened(w))
		}
	})
}

func TestADrillThatAPersonDeclaredCounts(t *testing.T) {
	o := routertest.Options{Policy: drilling("p3"), Begin: monday.Add(-48 * time.Hour), Poll: time.Minute} // on Saturday
	routertest.Run(t, o, func(t *testing.T, w *routertest.World) {
		w.Do(0, command.Declare{SLO: "p3", Reason: "on our own", Drill: true})
		w.Do(1, command.Resolve{})
		w.Pass(6 * 24 * time.Hour)
		if n := opened(w); n != 1 {
			t.Errorf("%d drills in the week", n)
		}
		w.Pass(4 * 24 * time.Hour)
		if n := opened(w); n != 2 {
			t.Errorf("%d drills afterwards", n)
		}
	})
}

// opened returns how many incidents there are.
func opened(w *routertest.World) (n int) {
	for _, d := range w.Deliveries() {
		n = max(n, int(d.Incident))
	}
	return n
}
