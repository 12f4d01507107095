package incident_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"sitrep/incident"
	"sitrep/incident/incidenttest"
)

// apply makes the events of a command part of the incident.
func apply(t *testing.T, in *incident.Incident, events []incident.Event, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		if err := in.Apply(e); err != nil {
			t.Fatal(err)
		}
	}
}

func declared(t *testing.T, p *incident.Policy) *incident.Incident {
	t.Helper()
	in := &incident.Incident{}
	p.Teams = []incident.Team{incidenttest.Team("web")}
	events, err := incident.Declare(incident.Stamp{At: incidenttest.Noon, Actor: "ada"}, p, incident.Declaration{UseCase: "Dark", Team: "web", Priority: "P1", Reason: "r"}, 1, 0)
	apply(t, in, events, err)
	return in
}

func TestWhoIsOnItChanges(t *testing.T) {
	in := declared(t, incidenttest.Policy())
	at := func(minutes int) time.Time { return incidenttest.Noon.Add(time.Duration(minutes) * time.Minute) }
	for i, step := range []struct {
		actor   incident.Actor
		release bool
		events  int
		by      string
		onIt    bool
		wrong   string
	}{
		{actor: "ada", release: true}, // nobody is on it
		{actor: "ada", events: 1, by: "ada", onIt: true},
		{actor: "ada", by: "ada", onIt: true},
		{actor: "bob", release: true, by: "ada", onIt: true, wrong: "ada is on INC-1"},
		{actor: "bob", events: 1, by: "bob", onIt: true},
		{actor: "bob", release: true, events: 1},
		{actor: "ada", events: 1, by: "ada", onIt: true},
	} {
		stamp, do := incident.Stamp{At: at(i), Actor: step.actor}, in.Acknowledge
		if step.release {
			do = in.Release
		}
		events, err := do(stamp)
		if step.wrong != "" {
			if !errors.Is(err, incident.ErrConflict) || !strings.Contains(err.Error(), step.wrong) {
				t.Errorf("step %d: %v", i, err)
			}
			continue
		}
		apply(t, in, events, err)
		if len(events) != step.events || in.AcknowledgedBy != step.by || in.OnIt() != step.onIt {
			t.Errorf("step %d: %d events, %+v", i, len(events), in)
		}
		if len(events) > 0 && events[0].Type != incident.EventAcknowledged {
			t.Errorf("step %d: %+v", i, events)
		}
	}
	if !in.AcknowledgedAt.Equal(at(1)) || !in.OnItAt.Equal(at(6)) || !in.TakenOverAt.IsZero() || !in.ReleasedAt.IsZero() {
		t.Errorf("in the end: %+v", in)
	}
}

func TestWordsWithTheEnd(t *testing.T) {
	p := incidenttest.Policy()
	in := declared(t, p)
	events, err := in.ResolveTelling(incident.Stamp{At: incidenttest.Noon.Add(time.Hour), Actor: "ada"}, p, "the fuse", "All works again.")
	apply(t, in, events, err)
	for _, a := range in.Priority.Inform {
		if w := in.Words[a]; w.Text != "All works again." || w.By != "ada" {
			t.Errorf("%s: %+v", a, w)
		}
	}
	p.Priorities[0].Inform = nil
	nobody := declared(t, p)
	if _, err := nobody.ResolveTelling(incident.Stamp{Actor: "ada"}, p, "", "All works again."); !errors.Is(err, incident.ErrConflict) {
		t.Errorf("to nobody: %v", err)
	}
}

func TestANoteChangesNothingElse(t *testing.T) {
	in := declared(t, incidenttest.Policy())
	before := *in
	events, err := in.WriteNote(incident.Stamp{At: incidenttest.Noon, Actor: "ada"}, " db-7 is full ")
	apply(t, in, events, err)
	if events[0].Reason != "db-7 is full" || in.Sequence != 2 {
		t.Errorf("%+v", events)
	}
	before.Sequence, before.ChangedAt = in.Sequence, in.ChangedAt
	if before.Phase != in.Phase || before.State != in.State || len(in.Words) != 0 {
		t.Errorf("%+v", in)
	}
	if _, err := in.WriteNote(incident.Stamp{Actor: "ada"}, " "); !errors.Is(err, incident.ErrInvalid) {
		t.Errorf("an empty one: %v", err)
	}
}
