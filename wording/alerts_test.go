package wording_test

import (
	"strings"
	"testing"
	"time"

	"sitrep/incident"
	"sitrep/wording"
)

// everything is an item to which all that can happen has happened.
func everything(kind incident.Kind, state incident.State, counts incident.Counts) incident.Item {
	at := func(minutes int) time.Time { return noon.Add(time.Duration(minutes) * time.Minute) }
	it := incident.Item{
		Kind: kind, Audiences: []incident.Audience{incident.AudienceManagement, incident.AudienceStakeholders}, NextBy: at(60), LastHeardAt: at(-2),
		Breaches: incident.Tally{Started: 3, Ended: 2, Unknown: 1}, Silent: incident.Pulses{{AwaySince: at(-20)}}, LateSince: at(-5), Paused: counts.Firing == 0,
		Word: &incident.Word{Text: "We are looking into it.", At: at(-30), By: "ada"},
		Incident: incident.Incident{
			Number: 42, UseCase: "Nobody can log on", State: state, Priority: incident.Priority{Name: "P1", UpdateEvery: time.Hour},
			OpenedAt: at(-100), StartedAt: at(-101), EndedAt: at(-3), UnknownSince: at(-10), ResolvedAt: at(-1), ResolveAfter: 10 * time.Minute, Breaches: counts, Previous: 41,
		},
	}
	for i, e := range []incident.Event{
		{Type: incident.EventOpened, Actor: incident.ActorAlertmanager},
		{Type: incident.EventBreachStarted, Actor: incident.ActorAlertmanager},
		{Type: incident.EventBreachStarted, Data: incident.Data{From: "ended"}},
		{Type: incident.EventBreachStarted, Data: incident.Data{From: "unknown"}},
		{Type: incident.EventBreachEnded},
		{Type: incident.EventBreachEnded, Data: incident.Data{From: "unknown"}},
		{Type: incident.EventBreachUnknown},
		{Type: incident.EventBreachUnknown, Data: incident.Data{HeardAt: at(-60)}},
		{Type: incident.EventAcknowledged, Actor: "ada"},
		{Type: incident.EventPriorityChanged, Actor: incident.ActorAlertmanager, Data: incident.Data{From: "P2", To: "P1", Raised: true, Why: incident.WhySLOPriority}},
		{Type: incident.EventPhaseChanged, Actor: "ada", Data: incident.Data{To: "recovery"}},
		{Type: incident.EventUpdateMissed, Actor: incident.ActorScheduler, Data: incident.Data{DueAt: at(-30), Missed: 1}},
		{Type: incident.EventActionChanged, Actor: "ada", Data: incident.Data{Action: "hotfix", To: "done"}},
		{Type: incident.EventResolved, Actor: incident.ActorScheduler},
		{Type: incident.EventReopened, Actor: incident.ActorAlertmanager, Data: incident.Data{Why: incident.WhyBreachStarted}},
		{Type: incident.EventMerged, Actor: "ada", Data: incident.Data{From: "INC-40"}},
		{Type: incident.EventAudienceChanged, Actor: "ada"},
		{Type: incident.EventClosed, Actor: incident.ActorScheduler},
	} {
		e.Time = at(-100 + i)
		it.Changes = append(it.Changes, e)
	}
	for _, reason := range []incident.Reason{incident.DueUnfed, incident.DueAllUnknown, incident.DueStillFiring, incident.DueMoved} {
		it.Reasons = append(it.Reasons, incident.Owed{Kind: kind, Reason: reason})
	}
	return it
}

// TestToAudiencesItIsTheAlert: managers read a breach of security.
func TestToAudiencesItIsTheAlert(t *testing.T) {
	said := map[string]bool{}
	check := func(m *incident.Message) {
		t.Helper()
		text, err := wording.Text(m)
		if err != nil {
			t.Fatal(err)
		}
		report := wording.Compose(m)
		for _, s := range []string{wording.Subject(m), report.Preview, text} {
			if strings.Contains(strings.ToLower(s), "breach") {
				t.Errorf("%s to %s says:\n%s", m.Kind, m.Audiences, s)
			}
			said[s] = true
		}
	}
	for _, to := range [][]incident.Audience{{incident.AudienceManagement}, {incident.AudienceStakeholders}, {incident.AudienceManagement, incident.AudienceOnCall}, {incident.AudienceOnCall}} {
		m := &incident.Message{At: noon, Location: time.UTC, Audiences: to, Group: "leadership", BaseURL: "https://sitrep.example.org"}
		for _, kind := range []incident.Kind{incident.KindOpened, incident.KindUpdate, incident.KindPriority, incident.KindLeft, incident.KindResolved, incident.KindReopened, incident.KindReminder} {
			for _, state := range []incident.State{incident.StateOpen, incident.StateResolved, incident.StateClosed} {
				for _, counts := range []incident.Counts{{}, {Firing: 1, Total: 1}, {Firing: 2, Unknown: 1, Total: 4}, {Unknown: 1, Total: 1}, {Unknown: 2, Total: 2}, {Total: 1}, {Total: 2}, {Total: 3}} {
					it := everything(kind, state, counts)
					m.Kind, m.Items = kind, []incident.Item{it}
					check(m)
					it.First, m.Items = true, []incident.Item{it}
					check(m)
					// When nothing happened, a message says that.
					it.Changes, it.First = nil, false
					m.Items = []incident.Item{it}
					check(m)
					m.Kind, m.Items = incident.KindDigest, []incident.Item{it, everything(kind, state, counts)}
					check(m)
				}
			}
		}
		m.Kind, m.Items = incident.KindWatchdog, nil
		for _, m.Watchdog = range []*incident.WatchdogNews{{}, {Away: true}, {Away: true, HeardAt: noon, Within: time.Minute}} {
			check(m)
		}
	}
	if len(said) < 500 {
		t.Errorf("%d texts, too few to tell", len(said))
	}
}

// TestAlertsOnCall: what helps on call stands in the messages to those, and in no other.
func TestAlertsOnCall(t *testing.T) {
	item := func(kind incident.Kind) incident.Item {
		return incident.Item{
			Kind: kind, Runbook: "https://wiki.example.org/log-on",
			Reasons: []incident.Owed{{Kind: incident.KindReminder, Reason: incident.DueAllUnknown}},
			Alerts: &incident.AlertList{Total: 42, Alerts: []incident.ListedAlert{
				{
					Name: "LogOn\r\nFailing", Summary: "5 % of log-ons\n\nfail\x00 " + strings.Repeat("x", 300), URL: "https://prometheus.example.org/graph?a=1", State: incident.BreachFiring,
					Labels: map[string]string{"region": "eu\nx", "instance": "10.0.0.7:9090"}, StartsAt: noon.Add(-5 * time.Minute),
				},
				{Name: "LogOnSlow", URL: "javascript:alert(1)", State: incident.BreachUnknown, StartsAt: noon.Add(-time.Hour), HeardAt: noon.Add(-50 * time.Minute)},
			}},
			Incident: incident.Incident{
				Number: 42, UseCase: "Nobody can log on", State: incident.StateOpen, Priority: incident.Priority{Name: "P1"}, OpenedAt: noon,
				Breaches: incident.Counts{Firing: 41, Unknown: 1, Total: 42},
			},
		}
	}
	compose := func(to []incident.Audience, kind incident.Kind, items ...incident.Item) string {
		text, err := wording.Text(&incident.Message{Kind: kind, At: noon, Location: time.UTC, Audiences: to, Group: "x", BaseURL: "https://sitrep.example.org", Items: items})
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	onCall, both := []incident.Audience{incident.AudienceOnCall}, []incident.Audience{incident.AudienceStakeholders, incident.AudienceOnCall}
	for _, kind := range []incident.Kind{incident.KindOpened, incident.KindReopened, incident.KindPriority, incident.KindUpdate, incident.KindReminder} {
		for _, to := range [][]incident.Audience{onCall, both} {
			text := compose(to, kind, item(kind))
			for _, want := range []string{
				"- Say that you are on it\n  sitrep incident ack INC-42\n  https://sitrep.example.org/incidents/INC-42#acknowledge\n",
				"- Runbook\n  https://wiki.example.org/log-on\n",
				"The latest 2 of 42 alerts\n- LogOn Failing\n  5 % of log-ons fail xxx",
				"…\n  Since 11:55 UTC; instance=10.0.0.7:9090, region=eu x\n  https://prometheus.example.org/graph?a=1\n" +
					"- LogOnSlow\n  Since 11:00 UTC; unknown whether it still fires, last heard 11:10\n" +
					"- And 40 more, on the incident's page\n  https://sitrep.example.org/incidents/INC-42#breaches\n",
			} {
				if strings.Count(text, want) != 1 {
					t.Errorf("%s to %s: want once %q in\n%s", kind, to, want, text)
				}
			}
		}
	}
	// Who is on it needs no button, and looks for the runbook still.
	it := item(incident.KindPriority)
	it.Incident.AcknowledgedAt, it.Incident.AcknowledgedBy = noon, "ada"
	if text := compose(onCall, it.Kind, it); strings.Contains(text, "Say that you are on it") || strings.Count(text, "- Runbook\n") != 1 {
		t.Errorf("acknowledged:\n%s", text)
	}
	it = item(incident.KindResolved)
	it.Incident.State, it.Alerts = incident.StateResolved, nil
	if text := compose(onCall, it.Kind, it); strings.Contains(text, "Say that you are on it") || strings.Count(text, "- Runbook\n") != 1 {
		t.Errorf("resolved:\n%s", text)
	}
	// A digest has a line for each.
	text := compose(onCall, incident.KindDigest, item(incident.KindOpened), item(incident.KindOpened))
	for _, want := range []string{"Alerts: LogOn Failing, LogOnSlow (42 in all).\n", "https://sitrep.example.org/incidents/INC-42#acknowledge\n"} {
		if strings.Count(text, want) != 2 {
			t.Errorf("want twice %q in\n%s", want, text)
		}
	}
	it = item(incident.KindOpened)
	it.Alerts, it.Runbook = nil, ""
	text = compose([]incident.Audience{incident.AudienceManagement}, it.Kind, it)
	for _, not := range []string{"Say that you", "Runbook", "#acknowledge"} {
		if strings.Contains(text, not) {
			t.Errorf("%q to management in\n%s", not, text)
		}
	}
}
