package audit_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"sitrep/audit"
	"sitrep/incident"
)

// told is a step in one line: its entries, and its gap.
func told(s audit.Step) string {
	var parts []string
	for _, e := range s.Entries {
		parts = append(parts, fmt.Sprintf("%s %s: %s %v", e.At.Sub(noon), e.By, e.What, e.Evidence))
	}
	switch {
	case s.Pending:
		parts = append(parts, "NOT YET: "+s.Gap)
	case s.Gap != "":
		parts = append(parts, "GAP: "+s.Gap)
	}
	return strings.Join(parts, "\n")
}

func TestStepsTellAnIncidentAsITILDoes(t *testing.T) {
	p1 := incident.Priority{Name: "P1", Rank: 0, Actions: []incident.ActionRule{{Name: "hotfix"}}}
	p2 := incident.Priority{Name: "P2", Rank: 1}
	opening := &incident.Opening{
		Key: "checkout", SLO: "checkout-availability", UseCase: "Customers cannot pay", SLI: "availability", Service: "checkout", Team: "payments",
		Priority: p1, SLOPriority: "P1", ResolveAfter: 10 * time.Minute,
	}
	var events []incident.Event
	add := func(after time.Duration, by incident.Actor, of incident.EventType, reason string, d incident.Data) {
		events = append(events, incident.Event{Incident: 1, Sequence: int64(len(events) + 1), Time: noon.Add(after), Actor: by, Type: of, Reason: reason, Data: d})
	}
	steps := func() map[audit.StepName]string {
		var in incident.Incident
		for _, e := range events {
			if err := in.Apply(e); err != nil {
				t.Fatal(err)
			}
		}
		list := audit.Steps(&in, events)
		out := map[audit.StepName]string{}
		for _, s := range list {
			out[s.Name] = told(s)
		}
		if len(list) != 9 || len(out) != 9 {
			t.Fatalf("%d steps", len(list))
		}
		return out
	}
	expect := func(want map[audit.StepName]string) {
		t.Helper()
		for name, got := range steps() {
			if got != want[name] {
				t.Errorf("%s:\n got %s\nwant %s", name, got, want[name])
			}
		}
	}

	add(0, incident.Alertmanager, incident.Opened, "", incident.Data{Opening: opening})
	add(0, incident.Alertmanager, incident.BreachStarted, "", incident.Data{Fingerprint: "a", StartsAt: noon.Add(-35 * time.Second), Priority: "P1"})
	expect(map[audit.StepName]string{
		audit.Identification: "-35s alertmanager: the first breach started; sitrep heard of it 35 s later, at 2026-03-01 12:00:00 UTC [2]",
		audit.Logging:        "0s alertmanager: recorded as INC-1 [1]",
		audit.Categorization: "0s alertmanager: Customers cannot pay; SLO checkout-availability; service checkout; SLI availability; team payments [1]",
		audit.Prioritization: "0s alertmanager: opened as P1, the priority of the SLO [1]",
		audit.Diagnosis:      "NOT YET: nobody acknowledged it",
		audit.Escalation:     "NOT YET: no escalation is on record; none may have been needed",
		audit.Investigation:  "NOT YET: nobody noted an investigation",
		audit.Recovery:       "NOT YET: it is not resolved",
		audit.Closure:        "NOT YET: it is not closed; still due: hotfix",
	})

	add(4*time.Minute, "ada", incident.Acknowledged, "", incident.Data{})
	add(5*time.Minute, incident.Alertmanager, incident.BreachStarted, "", incident.Data{Fingerprint: "b", StartsAt: noon.Add(4 * time.Minute), Priority: "P1"})
	add(6*time.Minute, "ada", incident.PhaseChanged, "beyond us", incident.Data{From: "initial-diagnosis", To: "escalation", EscalatedTo: "the database team"})
	add(7*time.Minute, "ada", incident.PriorityChanged, "some can pay", incident.Data{From: "P1", To: "P2", Definition: &p2, Actions: []incident.Action{{Name: "hotfix", State: incident.ActionDue}}})
	add(8*time.Minute, "bob", incident.PhaseChanged, "", incident.Data{From: "escalation", To: "investigation"})
	add(20*time.Minute, incident.Alertmanager, incident.BreachEnded, "", incident.Data{Fingerprint: "a", StartsAt: noon.Add(-35 * time.Second), EndsAt: noon.Add(19 * time.Minute), From: "firing"})
	add(21*time.Minute, incident.Alertmanager, incident.BreachEnded, "", incident.Data{Fingerprint: "b", StartsAt: noon.Add(4 * time.Minute), EndsAt: noon.Add(20 * time.Minute), From: "firing"})
	add(31*time.Minute, incident.Scheduler, incident.ResolvedEvent, "", incident.Data{Actions: []incident.Action{{Name: "hotfix", State: incident.ActionDue}}})
	add(40*time.Minute, "bob", incident.ActionChanged, "", incident.Data{Action: "hotfix", From: "due", To: "done", Link: "https://git.example.org/1"})
	add(50*time.Minute, "ada", incident.ClosedEvent, "room was made", incident.Data{})
	expect(map[audit.StepName]string{
		audit.Identification: "-35s alertmanager: the first breach started; sitrep heard of it 35 s later, at 2026-03-01 12:00:00 UTC [2]",
		audit.Logging:        "0s alertmanager: recorded as INC-1 [1]",
		audit.Categorization: "0s alertmanager: Customers cannot pay; SLO checkout-availability; service checkout; SLI availability; team payments [1]",
		audit.Prioritization: "0s alertmanager: opened as P1, the priority of the SLO [1]\n7m0s ada: lowered from P1 to P2: some can pay [6]",
		audit.Diagnosis:      "4m0s ada: acknowledged, 4 min after opening [3]",
		audit.Escalation:     "6m0s ada: escalated to the database team: beyond us [5]",
		audit.Investigation:  "8m0s bob: investigation [7]",
		audit.Recovery:       "21m0s alertmanager: 2 breaches ended, the last at 2026-03-01 12:20:00 UTC [8 9]\n31m0s scheduler: resolved, as all breaches had ended long enough ago [10]",
		audit.Closure:        "40m0s bob: hotfix is done (https://git.example.org/1) [11]\n50m0s ada: closed: room was made [12]",
	})
}

func TestStepsShowGaps(t *testing.T) {
	opening := &incident.Opening{UseCase: "Something is odd", Priority: incident.Priority{Name: "P3", Rank: 2}, Declared: true, ResolveAfter: time.Minute}
	events := []incident.Event{
		{Incident: 4, Sequence: 1, Time: noon, Actor: "ada", Type: incident.Opened, Reason: "customers call", Data: incident.Data{Opening: opening}},
		{Incident: 4, Sequence: 2, Time: noon.Add(time.Minute), Actor: "ada", Type: incident.ResolvedEvent},
		{Incident: 4, Sequence: 3, Time: noon.Add(time.Hour), Actor: incident.Scheduler, Type: incident.ClosedEvent, Reason: "no action is due"},
	}
	var in incident.Incident
	for _, e := range events {
		if err := in.Apply(e); err != nil {
			t.Fatal(err)
		}
	}
	got := map[audit.StepName]string{}
	for _, s := range audit.Steps(&in, events) {
		got[s.Name] = told(s)
	}
	for name, want := range map[audit.StepName]string{
		audit.Identification: "0s ada: declared by a person: customers call [1]",
		audit.Categorization: "0s ada: Something is odd [1]\nGAP: it belongs to no SLO",
		audit.Diagnosis:      "GAP: nobody acknowledged it",
		audit.Investigation:  "GAP: nobody noted an investigation",
		audit.Closure:        "1h0m0s scheduler: closed: no action is due [3]",
	} {
		if got[name] != want {
			t.Errorf("%s:\n got %s\nwant %s", name, got[name], want)
		}
	}
	for _, s := range audit.Steps(&incident.Incident{}, nil) {
		if s.Gap == "" {
			t.Errorf("%s of nothing has no gap", s.Name)
		}
	}
}
