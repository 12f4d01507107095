package incident_test

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"sitrep/incident"
)

// read decodes, and makes sure that what is written of it reads the same.
func read[T any](t *testing.T, text string) (v T) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var again T
	if err := json.Unmarshal(b, &again); err != nil || !reflect.DeepEqual(v, again) {
		t.Errorf("%s: read %+v, and again %+v, %v", text, v, again, err)
	}
	return v
}

func TestCausesOfEarlierBuilds(t *testing.T) {
	from, to := time.Date(2026, 7, 1, 10, 0, 5, 0, time.UTC), time.Date(2026, 7, 1, 11, 0, 0, 0, time.UTC)
	for text, want := range map[string]incident.Cause{
		`""`:           {},
		`null`:         {},
		`"none found"`: {Kind: incident.CauseNoneFound},
		`"sitrep was down from 2026-07-01T10:00:05Z to 2026-07-01T11:00:00Z"`: {Kind: incident.CauseDown, From: from, To: to},
		// All else is what somebody said.
		`"sitrep was down, says the smarthost"`:         {Kind: incident.CauseSaid, Said: "sitrep was down, says the smarthost"},
		`"sitrep was down from then to now"`:            {Kind: incident.CauseSaid, Said: "sitrep was down from then to now"},
		`"RCPT \"ada@example.org\": 451"`:               {Kind: incident.CauseSaid, Said: `RCPT "ada@example.org": 451`},
		`{"kind":"said","said":"none found"}`:           {Kind: incident.CauseSaid, Said: "none found"},
		`{"kind":"down","from":"2026-07-01T10:00:05Z"}`: {Kind: incident.CauseDown, From: from},
	} {
		if got := read[incident.Cause](t, text); got != want {
			t.Errorf("%s: %+v, want %+v", text, got, want)
		}
	}
	if err := json.Unmarshal([]byte(`7`), new(incident.Cause)); err == nil {
		t.Error("a number is no cause")
	}
}

func TestOwedOfEarlierBuilds(t *testing.T) {
	at := time.Date(2026, 7, 1, 10, 0, 0, 0, time.UTC)
	for text, want := range map[string]incident.Owed{
		`{"kind":"update","reason":"cadence","at":"2026-07-01T10:00:00Z"}`: {Kind: incident.KindUpdate, Reason: incident.DueCadence, At: at},
		`{"kind":"reminder","reason":"unfed","at":"2026-07-01T10:00:00Z","detail":"2026-07-01T11:00:00Z"}`: {
			Kind: incident.KindReminder, Reason: incident.DueUnfed, At: at, DueAt: at.Add(time.Hour),
		},
		`{"kind":"reminder","reason":"action_overdue","at":"2026-07-01T10:00:00Z","detail":"hotfix"}`: {
			Kind: incident.KindReminder, Reason: incident.DueActionOverdue, At: at, Action: "hotfix",
		},
		`{"kind":"reminder","reason":"undeliverable","at":"2026-07-01T10:00:00Z","detail":"gone@example.org"}`: {
			Kind: incident.KindReminder, Reason: incident.DueUndeliverable, At: at, Address: "gone@example.org",
		},
		`{"kind":"opened","reason":"joined","at":"2026-07-01T10:00:00Z","detail":"refused before"}`: {
			Kind: incident.KindOpened, Reason: incident.DueJoined, At: at, Refused: 1,
		},
		// However it is written.
		`{"kind":"\u0075pdate","reason":"cadence","at":"2026-07-01T10:00:00Z"}`:             {Kind: incident.KindUpdate, Reason: incident.DueCadence, At: at},
		`{ "at": "2026-07-01T10:00:00Z", "kind": "update", "reason": "cadence", "new": 7 }`: {Kind: incident.KindUpdate, Reason: incident.DueCadence, At: at},
		// An action may have any name.
		`{"kind":"reminder","reason":"action_overdue","at":"2026-07-01T10:00:00Z","action":"refused before"}`: {
			Kind: incident.KindReminder, Reason: incident.DueActionOverdue, At: at, Action: "refused before",
		},
	} {
		if got := read[incident.Owed](t, text); got != want {
			t.Errorf("%s: %+v, want %+v", text, got, want)
		}
	}
	for _, text := range []string{`{"at":7}`, `{"kind":"update","reason":"cadence","at":"yesterday"}`} {
		if err := json.Unmarshal([]byte(text), new(incident.Owed)); err == nil {
			t.Errorf("%s: no error", text)
		}
	}
}

func TestDeliveriesOfEarlierBuilds(t *testing.T) {
	for text, want := range map[string]incident.Delivery{
		`{"id":"a","state":"superseded","error":"the recipient is no longer configured"}`:                        {State: incident.DeliverySuperseded, Why: incident.WhyNotConfigured},
		`{"id":"a","state":"superseded","error":"outcome unknown; a later message carries the news"}`:            {State: incident.DeliverySuperseded, Why: incident.WhyOutcomeUnknown},
		`{"id":"a","state":"superseded","error":"its news go out with another message"}`:                         {State: incident.DeliverySuperseded, Why: incident.WhyToldWithAnother},
		`{"id":"a","state":"superseded","error":"its news went out with another message, or are none any more"}`: {State: incident.DeliverySuperseded, Why: incident.WhyToldOrOver},
		`{"id":"a","state":"superseded","error":"forgotten"}`:                                                    {State: incident.DeliverySuperseded, Error: incident.Forgotten},
		// The other side may say what it likes.
		`{"id":"a","state":"failed","error":"its news go out with another message"}`: {State: incident.DeliveryFailed, Error: "its news go out with another message"},
		`{"id":"a","state":"delivered","cause":"none found"}`:                        {State: incident.DeliveryDelivered, Cause: incident.Cause{Kind: incident.CauseNoneFound}},
	} {
		if want.ID = "a"; !reflect.DeepEqual(read[incident.Delivery](t, text), want) {
			t.Errorf("%s: %+v, want %+v", text, read[incident.Delivery](t, text), want)
		}
	}
}

func TestReasonsOfEarlierBuilds(t *testing.T) {
	type fact struct {
		reason string
		why    incident.Why
		into   int64
	}
	for _, c := range []struct {
		e    incident.Event
		want fact
	}{
		{incident.Event{Type: incident.EventReopened, Actor: incident.ActorAlertmanager, Reason: "a breach started"}, fact{why: incident.WhyBreachStarted}},
		{incident.Event{Type: incident.EventPriorityChanged, Actor: incident.ActorAlertmanager, Reason: "the SLO's priority is P1", Data: incident.Data{To: "P1"}}, fact{why: incident.WhySLOPriority}},
		{incident.Event{Type: incident.EventClosed, Actor: incident.ActorScheduler, Reason: "no action is due"}, fact{why: incident.WhyNothingDue}},
		{incident.Event{Type: incident.EventClosed, Actor: "ada", Reason: "merged into INC-41"}, fact{why: incident.WhyMerged, into: 41}},
		// What people write stays as it is, and what says more than a code.
		{incident.Event{Type: incident.EventReopened, Actor: "ada", Reason: "a breach started"}, fact{reason: "a breach started"}},
		{incident.Event{Type: incident.EventClosed, Actor: "ada", Reason: "no action is due"}, fact{reason: "no action is due"}},
		{incident.Event{Type: incident.EventClosed, Actor: "ada", Reason: "merged into INC-41, which goes on"}, fact{reason: "merged into INC-41, which goes on"}},
		{incident.Event{Type: incident.EventClosed, Actor: "ada", Reason: "merged into inc-41"}, fact{reason: "merged into inc-41"}},
		{incident.Event{Type: incident.EventPriorityChanged, Actor: incident.ActorAlertmanager, Reason: "the SLO's priority is P2", Data: incident.Data{To: "P1"}}, fact{reason: "the SLO's priority is P2"}},
		{incident.Event{Type: incident.EventBreachUnknown, Actor: incident.ActorScheduler, Reason: "nothing was heard of it for 5h0m0s"}, fact{reason: "nothing was heard of it for 5h0m0s"}},
		{incident.Event{Type: incident.EventBreachUnknown, Actor: incident.ActorScheduler, Data: incident.Data{Why: incident.WhyQuiet}}, fact{why: incident.WhyQuiet}},
	} {
		e := c.e
		e.ReadSentences()
		if got := (fact{e.Reason, e.Data.Why, e.Data.Into}); got != c.want {
			t.Errorf("%s %q: %+v, want %+v", c.e.Type, c.e.Reason, got, c.want)
		}
	}
}
