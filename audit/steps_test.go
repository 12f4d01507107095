package audit_test

import (
	"fmt"
	"slices"
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
	case s.Optional:
		parts = append(parts, "NONE: "+s.Gap)
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
		Affects: "Customers in Europe", Labels: map[string]string{"region": "eu"},
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
		list := stepsOf(&in, events)
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

	add(0, incident.ActorAlertmanager, incident.EventOpened, "", incident.Data{Opening: opening})
	add(0, incident.ActorAlertmanager, incident.EventBreachStarted, "", incident.Data{Fingerprint: "a", StartsAt: noon.Add(-35 * time.Second), Priority: "P1"})
	expect(map[audit.StepName]string{
		audit.Identification: "-35s alertmanager: the first breach started; sitrep heard of it 35 s later [2]",
		audit.Logging:        "0s alertmanager: recorded as INC-1 [1]",
		audit.Categorization: "0s alertmanager: Customers cannot pay; SLO checkout-availability; service checkout; SLI availability; team payments; region eu; affects Customers in Europe [1]",
		audit.Prioritization: "0s alertmanager: opened as P1, the priority of the SLO [1]",
		audit.Diagnosis:      "NOT YET: nobody acknowledged it",
		audit.Escalation:     "NONE: no escalation is on record; none may have been needed",
		audit.Investigation:  "NOT YET: nobody noted an investigation",
		audit.Recovery:       "NOT YET: it is not resolved",
		audit.Closure:        "NOT YET: it is not closed; still due: hotfix",
	})

	add(4*time.Minute, "ada", incident.EventAcknowledged, "", incident.Data{})
	add(5*time.Minute, incident.ActorAlertmanager, incident.EventBreachStarted, "", incident.Data{Fingerprint: "b", StartsAt: noon.Add(4 * time.Minute), Priority: "P1"})
	add(6*time.Minute, "ada", incident.EventPhaseChanged, "beyond us", incident.Data{From: "initial-diagnosis", To: "escalation", EscalatedTo: "the database team"})
	add(7*time.Minute, "ada", incident.EventPriorityChanged, "some can pay", incident.Data{From: "P1", To: "P2", Definition: &p2, Actions: []incident.Action{{Name: "hotfix", State: incident.ActionDue}}})
	add(8*time.Minute, "bob", incident.EventPhaseChanged, "", incident.Data{From: "escalation", To: "investigation"})
	add(20*time.Minute, incident.ActorAlertmanager, incident.EventBreachEnded, "", incident.Data{Fingerprint: "a", StartsAt: noon.Add(-35 * time.Second), EndsAt: noon.Add(19 * time.Minute), From: "firing"})
	add(21*time.Minute, incident.ActorAlertmanager, incident.EventBreachEnded, "", incident.Data{Fingerprint: "b", StartsAt: noon.Add(4 * time.Minute), EndsAt: noon.Add(20 * time.Minute), From: "firing"})
	add(31*time.Minute, incident.ActorScheduler, incident.EventResolved, "", incident.Data{Actions: []incident.Action{{Name: "hotfix", State: incident.ActionDue}}})
	add(40*time.Minute, "bob", incident.EventActionChanged, "", incident.Data{Action: "hotfix", From: "due", To: "done", Link: "https://git.example.org/1"})
	add(50*time.Minute, "ada", incident.EventClosed, "room was made", incident.Data{})
	expect(map[audit.StepName]string{
		audit.Identification: "-35s alertmanager: the first breach started; sitrep heard of it 35 s later [2]",
		audit.Logging:        "0s alertmanager: recorded as INC-1 [1]",
		audit.Categorization: "0s alertmanager: Customers cannot pay; SLO checkout-availability; service checkout; SLI availability; team payments; region eu; affects Customers in Europe [1]",
		audit.Prioritization: "0s alertmanager: opened as P1, the priority of the SLO [1]\n7m0s ada: lowered from P1 to P2: some can pay [6]",
		audit.Diagnosis:      "4m0s ada: acknowledged, 4 min after opening [3]",
		audit.Escalation:     "6m0s ada: escalated to the database team: beyond us [5]",
		audit.Investigation:  "8m0s bob: investigation [7]",
		audit.Recovery:       "21m0s alertmanager: 2 breaches ended; of the last, sitrep heard of it 1 min later [8 9]\n31m0s scheduler: resolved, as all breaches had ended long enough ago [10]",
		audit.Closure:        "40m0s bob: hotfix is done (https://git.example.org/1) [11]\n50m0s ada: closed: room was made [12]",
	})
}

// stepsOf tells an incident from its state and all of its events.
func stepsOf(in *incident.Incident, events []incident.Event) []audit.Step {
	s := audit.NewStepper(in)
	s.Add(events)
	return s.Steps()
}

func TestStepsShowGaps(t *testing.T) {
	opening := &incident.Opening{UseCase: "Something is odd", Priority: incident.Priority{Name: "P3", Rank: 2}, Declared: true, ResolveAfter: time.Minute}
	events := []incident.Event{
		{Incident: 4, Sequence: 1, Time: noon, Actor: "ada", Type: incident.EventOpened, Reason: "customers call", Data: incident.Data{Opening: opening}},
		{Incident: 4, Sequence: 2, Time: noon.Add(time.Minute), Actor: "ada", Type: incident.EventResolved},
		{Incident: 4, Sequence: 3, Time: noon.Add(time.Hour), Actor: incident.ActorScheduler, Type: incident.EventClosed, Data: incident.Data{Why: incident.WhyNothingDue}},
	}
	var in incident.Incident
	for _, e := range events {
		if err := in.Apply(e); err != nil {
			t.Fatal(err)
		}
	}
	got := map[audit.StepName]string{}
	for _, s := range stepsOf(&in, events) {
		got[s.Name] = told(s)
	}
	for name, want := range map[audit.StepName]string{
		audit.Identification: "0s ada: declared by a person: customers call [1]",
		audit.Categorization: "0s ada: Something is odd [1]\nNONE: it belongs to no SLO, as who declared it said",
		audit.Diagnosis:      "GAP: nobody acknowledged it",
		audit.Investigation:  "GAP: nobody noted an investigation",
		audit.Closure:        "1h0m0s scheduler: closed: no action is due [3]",
	} {
		if got[name] != want {
			t.Errorf("%s:\n got %s\nwant %s", name, got[name], want)
		}
	}
	for _, s := range stepsOf(&incident.Incident{}, nil) {
		if s.Optional != (s.Name == audit.Escalation) {
			t.Errorf("%s of nothing: %+v", s.Name, s)
		}
		if s.Gap == "" {
			t.Errorf("%s of nothing has no gap", s.Name)
		}
	}
}

// What was resolved and opened again is not resolved, and a step that was left out is a
// gap as soon as a later one has begun.
func TestStepsAfterOpeningAgain(t *testing.T) {
	opening := &incident.Opening{UseCase: "Customers cannot pay", SLO: "pay", Service: "checkout", SLI: "availability", Priority: incident.Priority{Name: "P1"}, ResolveAfter: 10 * time.Minute}
	breach := func(at time.Duration, from string) incident.Data {
		return incident.Data{Fingerprint: "a", StartsAt: noon.Add(at), Priority: "P1", From: from}
	}
	var in incident.Incident
	var events []incident.Event
	expect := func(what string, want map[audit.StepName]string) {
		t.Helper()
		for _, s := range stepsOf(&in, events) {
			if w, ok := want[s.Name]; ok && told(s) != w {
				t.Errorf("%s: %s:\n got %s\nwant %s", what, s.Name, told(s), w)
			}
		}
	}
	add := func(after time.Duration, by incident.Actor, of incident.EventType, reason string, d incident.Data) {
		t.Helper()
		e := incident.Event{Incident: 1, Sequence: int64(len(events) + 1), Time: noon.Add(after), Actor: by, Type: of, Reason: reason, Data: d}
		if err := in.Apply(e); err != nil {
			t.Fatal(err)
		}
		events = append(events, e)
	}

	add(0, incident.ActorAlertmanager, incident.EventOpened, "", incident.Data{Opening: opening})
	add(0, incident.ActorAlertmanager, incident.EventBreachStarted, "", breach(-999*time.Millisecond, ""))
	add(time.Minute, incident.ActorAlertmanager, incident.EventBreachEnded, "", incident.Data{Fingerprint: "a", EndsAt: noon.Add(time.Minute), From: "firing"})
	expect("a breach ended", map[audit.StepName]string{
		audit.Identification: "-999ms alertmanager: the first breach started; sitrep heard of it at once [2]",
		audit.Diagnosis:      "NOT YET: nobody acknowledged it",
		audit.Escalation:     "NONE: no escalation is on record; none may have been needed",
		audit.Recovery:       "1m0s alertmanager: a breach ended; sitrep heard of it at once [3]\nNOT YET: it is not resolved",
	})

	add(2*time.Minute, "ada", incident.EventResolved, "fixed", incident.Data{})
	expect("resolved", map[audit.StepName]string{
		audit.Investigation: "NONE: none is noted but in the words with which it was resolved",
		audit.Recovery:      "1m0s alertmanager: a breach ended; sitrep heard of it at once [3]\n2m0s ada: resolved: fixed [4]",
	})

	add(5*time.Minute, incident.ActorAlertmanager, incident.EventBreachStarted, "", breach(4*time.Minute, "ended"))
	add(5*time.Minute, incident.ActorAlertmanager, incident.EventReopened, "a breach fires again", incident.Data{ResolveAfter: 10 * time.Minute})
	recovery := "1m0s alertmanager: a breach ended; sitrep heard of it at once [3]\n2m0s ada: resolved: fixed [4]\n" +
		"5m0s alertmanager: opened again, so it was not resolved any more: a breach fires again [6]"
	expect("opened again", map[audit.StepName]string{
		audit.Diagnosis:     "GAP: nobody acknowledged it",
		audit.Escalation:    "NONE: no escalation is on record; none may have been needed",
		audit.Investigation: "5m0s alertmanager: opened again: a breach fires again [6]\nNONE: none is noted but in the words with which it was resolved",
		audit.Recovery:      recovery + "\nNOT YET: it was opened again, and is not resolved now",
		audit.Closure:       "NOT YET: it is not closed",
	})

	add(6*time.Minute, "bob", incident.EventPhaseChanged, "", incident.Data{From: "investigation", To: "investigation"})
	add(7*time.Minute, "bob", incident.EventResolved, "", incident.Data{})
	expect("resolved again", map[audit.StepName]string{
		audit.Investigation: "5m0s alertmanager: opened again: a breach fires again [6]\n6m0s bob: investigation [7]",
		audit.Recovery:      recovery + "\n7m0s bob: resolved [8]",
	})
}

func TestStepsShowAGapOnceALaterStepHasBegun(t *testing.T) {
	opened := incident.Event{Incident: 1, Sequence: 1, Time: noon, Actor: "ada", Type: incident.EventOpened, Data: incident.Data{
		Opening: &incident.Opening{UseCase: "Customers cannot pay", Priority: incident.Priority{Name: "P1", Actions: []incident.ActionRule{{Name: "hotfix"}}}, Declared: true},
	}}
	to := func(p incident.Phase) incident.Data { return incident.Data{To: string(p), EscalatedTo: "the vendor"} }
	for name, c := range map[string]struct {
		of      incident.EventType
		d       incident.Data
		pending []audit.StepName // of the three steps in between
	}{
		"escalation":    {incident.EventPhaseChanged, to(incident.PhaseEscalation), []audit.StepName{audit.Investigation}},
		"investigation": {incident.EventPhaseChanged, to(incident.PhaseInvestigation), nil},
		"an update":     {incident.EventUpdateWritten, incident.Data{Message: "We are at it.", Audiences: []incident.Audience{incident.AudienceManagement}}, nil},
		"recovery":      {incident.EventPhaseChanged, to(incident.PhaseRecovery), nil},
		"an action":     {incident.EventActionChanged, incident.Data{Action: "hotfix", To: "done"}, []audit.StepName{audit.Diagnosis, audit.Investigation}},
	} {
		events := []incident.Event{opened, {Incident: 1, Sequence: 2, Time: noon.Add(time.Minute), Actor: "ada", Type: c.of, Data: c.d}}
		var in incident.Incident
		for _, e := range events {
			if err := in.Apply(e); err != nil {
				t.Fatal(err)
			}
		}
		var pending []audit.StepName
		for _, s := range stepsOf(&in, events)[4:7] {
			if s.Pending {
				pending = append(pending, s.Name)
			}
			if !s.Pending && s.Gap == "" && len(s.Entries) == 0 {
				t.Errorf("%s: %s has neither entry nor gap", name, s.Name)
			}
		}
		if !slices.Equal(pending, c.pending) {
			t.Errorf("%s: not yet: %v; want %v", name, pending, c.pending)
		}
	}
}

// An incident that was handled well has no gap, and one that goes on has only what is not yet done.
func TestWhatIsHandledWellHasNoGap(t *testing.T) {
	opening := &incident.Opening{UseCase: "Customers cannot pay", SLO: "pay", Service: "checkout", SLI: "availability", Priority: incident.Priority{Name: "P1"}, ResolveAfter: 10 * time.Minute}
	var in incident.Incident
	var events []incident.Event
	for i, e := range []incident.Event{
		{Actor: incident.ActorAlertmanager, Type: incident.EventOpened, Data: incident.Data{Opening: opening}},
		{Actor: incident.ActorAlertmanager, Type: incident.EventBreachStarted, Data: incident.Data{Fingerprint: "a", StartsAt: noon, Priority: "P1"}},
		{Actor: "ada", Type: incident.EventAcknowledged},
		{Actor: "ada", Type: incident.EventUpdateWritten, Data: incident.Data{Message: "We restart it.", Audiences: []incident.Audience{incident.AudienceManagement}}},
		{Actor: incident.ActorAlertmanager, Type: incident.EventBreachEnded, Data: incident.Data{Fingerprint: "a", EndsAt: noon.Add(4 * time.Minute), From: "firing"}},
		{Actor: incident.ActorScheduler, Type: incident.EventResolved},
		{Actor: incident.ActorScheduler, Type: incident.EventClosed},
	} {
		e.Incident, e.Sequence, e.Time = 1, int64(i+1), noon.Add(time.Duration(i)*time.Minute)
		if err := in.Apply(e); err != nil {
			t.Fatal(err)
		}
		events = append(events, e)
		if i < 3 {
			continue
		}
		for _, s := range stepsOf(&in, events) {
			if s.Gap != "" && !s.Pending && !s.Optional {
				t.Errorf("after %s, %s has a gap: %s", e.Type, s.Name, s.Gap)
			}
		}
	}
}
