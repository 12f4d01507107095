package incident_test

import (
	"fmt"
	"time"

	"sitrep/incident"
	"sitrep/incident/incidenttest"
)

// An incident is the fold of its events: a command gives some or an error, and changes
// nothing by itself.
func ExampleIncident_Apply() {
	p := incidenttest.Policy() // P1 to P3, with an SLO each: p1, p2 and p3
	now := incidenttest.Noon
	stamp := func(actor incident.Actor) incident.Stamp {
		return incident.Stamp{At: now, Actor: actor, Config: p.Hash}
	}

	var in incident.Incident
	apply := func(events []incident.Event, err error) {
		if err != nil {
			fmt.Println("refused:", err)
			return
		}
		for _, e := range events {
			if err := in.Apply(e); err != nil {
				fmt.Println(err)
				return
			}
			fmt.Println(e.Sequence, e.Type, "by", e.Actor)
		}
	}
	apply(incident.Declare(stamp("ada"), p, incident.Declaration{SLO: &p.SLOs[1], Reason: "people call"}, 42, 0))
	now = now.Add(10 * time.Minute)
	p1, _ := p.Priority("P1")
	apply(in.ChangePriority(stamp("bob"), p, p1, "nobody can log on"))
	apply(in.ChangePriority(stamp("eve"), p, p1, "nobody can log on"))
	fmt.Println(in.ID(), "is", in.State, "with", in.Priority.Name)
	// Output:
	// 1 opened by ada
	// 2 priority_changed by bob
	// refused: INC-42 has priority P1 already
	// INC-42 is open with P1
}

// Reconcile says who is owed what, and Plan what one reader is to be told now.
func ExampleReconcile() {
	p := incidenttest.Policy()
	now := incidenttest.Noon
	events, err := incident.Declare(incident.Stamp{At: now, Actor: "ada", Config: p.Hash}, p, incident.Declaration{SLO: &p.SLOs[0], Reason: "people call"}, 42, 0)
	if err != nil {
		fmt.Println(err)
		return
	}
	s, err := incident.Reconcile(&incident.Situation{Incident: incident.Incident{Number: 42}}, incident.News{Events: events}, p, now)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, r := range s.Forecast(p) {
		fmt.Println(r.Recipient.Address, "as", r.Audience, "is owed", r.Kind)
	}

	// The mail to the CTO is handed over a minute later. What comes next was promised in it.
	cto := incidenttest.Mail("cto").ID
	now = now.Add(time.Minute)
	planned, _ := s.Plan(cto, p, now)
	s, err = incident.Reconcile(s, s.Delivered(cto, planned.Cover, now, incident.Cause{}, p), p, now)
	if err != nil {
		fmt.Println(err)
		return
	}
	_, due := s.Plan(cto, p, now)
	fmt.Println("another is due now:", due)
	planned, _ = s.Plan(cto, p, incidenttest.Noon.Add(2*time.Hour))
	fmt.Println("two hours after the opening:", planned.Cover.Kind)
	// Output:
	// cto@example.org as management is owed opened
	// oncall@example.org as on_call is owed opened
	// support@example.org as stakeholders is owed opened
	// another is due now: false
	// two hours after the opening: update
}

func ExampleNextDue() {
	due := time.Date(2026, 6, 16, 12, 0, 0, 0, time.UTC)
	for _, sent := range []time.Time{due.Add(20 * time.Second), due.Add(90 * time.Minute)} {
		next := incident.NextDue(due, sent, 2*time.Hour)
		fmt.Println("sent", sent.Format("15:04:05"), "next", next.Format("15:04:05"))
	}
	// Output:
	// sent 12:00:20 next 14:00:00
	// sent 13:30:00 next 14:30:00
}
