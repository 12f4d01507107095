package webhook_test

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sitrep/incident"
	"sitrep/incident/incidenttest"
	"sitrep/internal/golden"
	"sitrep/router/webhook"
	"sitrep/wording"
)

func at(hour, minute int) time.Time { return time.Date(2026, 11, 23, hour, minute, 0, 0, time.UTC) }

// register returns an incident that began at 13:00.
func register() incident.Incident {
	return incident.Incident{
		Number:      42,
		Sequence:    7,
		Key:         "notifications-register-availability",
		SLO:         "notifications-register-availability",
		UseCase:     "Application cannot register with notification services",
		SLI:         "availability",
		Service:     "notifications",
		Team:        "notifications",
		Runbook:     "https://wiki.example.org/notifications/register",
		Labels:      map[string]string{"region": "<eu> & \"us\""},
		State:       incident.StateOpen,
		Phase:       incident.PhaseInvestigation,
		Priority:    incident.Priority{Name: "P1", Inform: []incident.Audience{incident.AudienceManagement, incident.AudienceStakeholders}, UpdateEvery: 2 * time.Hour},
		SLOPriority: "P1",
		Actions:     []incident.Action{{Name: "hotfix", State: incident.ActionDue}},
		Breaches:    incident.Counts{Firing: 3, Unknown: 1, Total: 5},
		StartedAt:   at(13, 0),
		OpenedAt:    at(13, 1),
	}
}

func message(kind incident.Kind, items ...incident.Item) *incident.Message {
	return &incident.Message{
		ID:        "01K",
		Kind:      kind,
		At:        at(15, 0),
		Recipient: incident.Recipient{ID: "webhook:1", Channel: incident.ChannelWebhook},
		Audiences: []incident.Audience{incident.AudienceStakeholders},
		Group:     "customer-support",
		Location:  time.UTC,
		Items:     items,
		BaseURL:   "https://sitrep.example.org",
	}
}

func item(kind incident.Kind, in incident.Incident, changes ...incident.Event) incident.Item {
	return incident.Item{
		Kind:        kind,
		Incident:    in,
		Changes:     changes,
		Audiences:   in.Priority.Inform,
		LastHeardAt: at(14, 58),
		Word:        &incident.Word{Text: "We roll back.\nIt takes a while.", At: at(14, 30), By: "ada"},
		NextBy:      at(17, 1),
	}
}

// TestBody keeps the JSON that others build upon.
func TestBody(t *testing.T) {
	later := register()
	later.Number, later.Sequence, later.Priority = 43, 2, incident.Priority{Name: "P2", Rank: 1}
	later.UseCase, later.SLO = "Notifications arrive with a delay", "notifications-delay-latency"
	changed := incident.Event{
		Incident: 42, Sequence: 7, Time: at(15, 0), Type: incident.EventPriorityChanged, Actor: "ada", Reason: "log-on fails too", Config: "c0ffee",
		Data: incident.Data{From: "P2", To: "P1", Actions: []incident.Action{{Name: "hotfix", State: incident.ActionDue}}},
	}
	started := incident.Event{
		Incident: 43, Sequence: 2, Time: at(14, 59), Type: incident.EventBreachStarted, Actor: incident.ActorAlertmanager,
		Data: incident.Data{Fingerprint: "e85487102342dbcf", StartsAt: at(14, 57), Priority: "P2"},
	}
	watchdog := message(incident.KindWatchdog)
	watchdog.Watchdog = &incident.WatchdogNews{Away: true, HeardAt: at(14, 40), Within: 15 * time.Minute}
	onCall := message(incident.KindOpened, item(incident.KindOpened, register()))
	onCall.Audiences, onCall.Group = []incident.Audience{incident.AudienceStakeholders, incident.AudienceOnCall}, "notifications"
	onCall.Items[0].Runbook = "https://wiki.example.org/notifications/register"
	onCall.Items[0].Alerts = &incident.AlertList{Total: 4, Alerts: []incident.ListedAlert{
		{
			Name: "RegisterFailing", Summary: "5 % of registrations\nfail", URL: "https://prometheus.example.org/graph?g0.expr=a%3E1&g0.tab=1", State: incident.BreachFiring,
			Labels: map[string]string{"instance": "10.0.0.7:9090", "region": "eu"}, StartsAt: at(14, 57),
		},
		{Name: "<b>\x00", URL: "javascript:alert(1)", State: incident.BreachUnknown, StartsAt: at(13, 0), HeardAt: at(13, 5)},
	}}
	bare := message(incident.KindReminder, item(incident.KindReminder, later))
	bare.Audiences = []incident.Audience{incident.AudienceOnCall}
	cluster := message(incident.KindWatchdog)
	cluster.Watchdog = &incident.WatchdogNews{Pulse: `cluster="eu"`, Labels: map[string]string{"cluster": "eu"}, HeardAt: at(14, 58), Within: 15 * time.Minute}
	over := register()
	over.State, over.Phase, over.Breaches = incident.StateResolved, incident.PhaseClosure, incident.Counts{Total: 5}
	over.EndedAt, over.ResolvedAt, over.Sequence = at(14, 50), at(15, 0), 9
	over.Actions = []incident.Action{{Name: "hotfix", State: incident.ActionDone}, {Name: "postmortem", State: incident.ActionDue, DueAt: at(15, 0).AddDate(0, 0, 5)}}
	resolved := incident.Event{
		Incident: 42, Sequence: 9, Time: at(15, 0), Type: incident.EventResolved, Actor: incident.ActorScheduler, Config: "c0ffee",
		Data: incident.Data{Actions: over.Actions},
	}
	end := item(incident.KindResolved, over, resolved)
	end.NextBy = time.Time{}
	lowered := register()
	lowered.Priority = incident.Priority{Name: "P3", Rank: 2, Inform: []incident.Audience{incident.AudienceManagement}, UpdateEvery: 8 * time.Hour}
	leaving := item(incident.KindLeft, lowered, incident.Event{
		Incident: 42, Sequence: 7, Time: at(15, 0), Type: incident.EventPriorityChanged, Actor: "ada", Reason: "only one region", Config: "c0ffee",
		Data: incident.Data{From: "P1", To: "P3", Actions: register().Actions},
	})
	leaving.NextBy = time.Time{}
	canary := message(incident.KindCanary)
	canary.Audiences, canary.Group = []incident.Audience{}, "sre"
	canary.Canary = &incident.CanaryNews{Run: "r1", PostedAt: at(14, 50), FailedAt: at(15, 0), Stage: incident.CanaryRoute, FailingSince: at(14, 50), InARow: 1, Within: 10 * time.Minute}
	tests := map[string]*incident.Message{
		"opened":   message(incident.KindOpened, item(incident.KindOpened, register())),
		"update":   message(incident.KindUpdate, item(incident.KindUpdate, register())),
		"resolved": message(incident.KindResolved, end),
		"reopened": message(incident.KindReopened, item(incident.KindReopened, register(), incident.Event{
			Incident: 42, Sequence: 7, Time: at(15, 0), Type: incident.EventReopened, Actor: incident.ActorAlertmanager, Config: "c0ffee",
			Data: incident.Data{Why: incident.WhyBreachStarted, ResolveAfter: 10 * time.Minute},
		})),
		"left":                   message(incident.KindLeft, leaving),
		"canary":                 canary,
		"on-call":                onCall,
		"on-call-without-alerts": bare,
		"priority":               message(incident.KindPriority, item(incident.KindPriority, register(), changed)),
		"digest":                 message(incident.KindDigest, item(incident.KindPriority, register(), changed), item(incident.KindUpdate, later, started)),
		"watchdog":               watchdog,
		"watchdog-cluster":       cluster,
	}
	s := webhook.New(webhook.Options{})
	for name, m := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := s.Render(m)
			if err != nil {
				t.Fatal(err)
			}
			if again := must(s.Render(m)); !bytes.Equal(got, again) {
				t.Errorf("the same message gave other bytes:\n%s\n%s", got, again)
			}
			// The words are those of every channel, and have tests of their own.
			text, err := json.Marshal(must(wording.Text(m)))
			if err != nil {
				t.Fatal(err)
			}
			said := append([]byte(`"message":`), unescaped(text)...)
			if n := bytes.Count(got, said); n != 1 {
				t.Errorf("the body says the message's text %d times, want once:\n%s\n%s", n, got, said)
			}
			got = bytes.Replace(got, said, []byte(`"message":"the message in plain text"`), 1)
			var pretty bytes.Buffer
			if err := json.Indent(&pretty, got, "", "  "); err != nil {
				t.Fatalf("%v in %s", err, got)
			}
			pretty.WriteByte('\n')
			path := filepath.Join("testdata", name+".json")
			golden.Compare(t, path, pretty.Bytes())
		})
	}
}

// TestADigestIsBounded renders one of more incidents than a body names.
func TestADigestIsBounded(t *testing.T) {
	m := message(incident.KindDigest)
	for i := range 1000 {
		in := register()
		in.Number = int64(i + 1)
		if i >= 40 {
			in.Priority = incident.Priority{Name: "P2", Rank: 1}
		}
		if i >= 990 {
			in.State = incident.StateResolved
		}
		m.Items = append(m.Items, item(incident.KindUpdate, in))
	}
	var got struct {
		Data struct {
			Incidents []struct{ ID string }
			Total     int
			Counts    []map[string]any
			URL       string
		}
	}
	if err := json.Unmarshal(must(webhook.New(webhook.Options{}).Render(m)), &got); err != nil {
		t.Fatal(err)
	}
	d := got.Data
	if len(d.Incidents) != 100 || d.Incidents[99].ID != "INC-100" || d.Total != 1000 || d.URL != "https://sitrep.example.org/" {
		t.Errorf("%d incidents of %d, all at %q", len(d.Incidents), d.Total, d.URL)
	}
	if len(d.Counts) != 2 || d.Counts[0]["open"] != 40.0 || d.Counts[1]["priority"] != "P2" || d.Counts[1]["open"] != 950.0 || d.Counts[1]["resolved"] != 10.0 {
		t.Errorf("counts are %v", d.Counts)
	}
}

// TestToAudiencesItIsTheAlert looks at all that a body says in words, of every kind of
// message and every event that an audience is told of.
func TestToAudiencesItIsTheAlert(t *testing.T) {
	var changes []incident.Event
	for _, kind := range incident.EventTypes() {
		switch kind {
		case incident.EventBreachStarted, incident.EventBreachEnded, incident.EventBreachUnknown:
			continue // no audience is told of those; see incident.Situation.Item
		}
		for _, why := range []incident.Why{"", incident.WhyQuiet, incident.WhyBreachStarted, incident.WhySLOPriority, incident.WhyNobodyAsked, incident.WhyNothingDue, incident.WhyMerged} {
			changes = append(changes, incident.Event{Incident: 42, Time: at(15, 0), Type: kind, Data: incident.Data{
				Why: why, From: "P2", To: "P1", Opening: &incident.Opening{UseCase: "It is broken"}, Message: "We are on it.", DueAt: at(14, 0), Missed: 1,
			}})
		}
	}
	for _, kind := range []incident.Kind{
		incident.KindOpened, incident.KindUpdate, incident.KindPriority, incident.KindLeft, incident.KindResolved, incident.KindReopened, incident.KindDigest,
	} {
		for _, state := range []incident.State{incident.StateOpen, incident.StateResolved, incident.StateClosed} {
			for _, n := range []incident.Counts{{}, {Firing: 3, Unknown: 1, Total: 5}, {Unknown: 2, Total: 2}, {Total: 4}} {
				in := register()
				in.State, in.Breaches = state, n
				m := message(kind, item(kind, in, changes...), item(kind, in, changes...))
				m.Items[0].Breaches = incident.Tally{Started: 2, Ended: 1, Unknown: 1}
				var body any
				if err := json.Unmarshal(must(webhook.New(webhook.Options{}).Render(m)), &body); err != nil {
					t.Fatal(err)
				}
				for _, s := range said(body) {
					if strings.Contains(strings.ToLower(s), "breach") {
						t.Fatalf("%s says: %s", kind, s)
					}
				}
			}
		}
	}
}

// said returns all texts of a body but for codes.
func said(v any) (texts []string) {
	switch v := v.(type) {
	case string:
		texts = append(texts, v)
	case []any:
		for _, w := range v {
			texts = append(texts, said(w)...)
		}
	case map[string]any:
		for name, w := range v {
			if name != "why" && name != "type" {
				texts = append(texts, said(w)...)
			}
		}
	}
	return texts
}

// unescaped returns JSON in which HTML's characters stand for themselves.
func unescaped(b []byte) []byte {
	for _, c := range []struct{ from, to string }{{`\u003c`, "<"}, {`\u003e`, ">"}, {`\u0026`, "&"}} {
		b = bytes.ReplaceAll(b, []byte(c.from), []byte(c.to))
	}
	return b
}

func TestRenderRefusesAMessageAboutNothing(t *testing.T) {
	s := webhook.New(webhook.Options{})
	for _, kind := range []incident.Kind{incident.KindUpdate, incident.KindDigest, incident.KindWatchdog} {
		if b, err := s.Render(message(kind)); err == nil {
			t.Errorf("%s: got %s, want an error", kind, b)
		}
	}
}

// TestTheFactsAreTheSameInEachLanguage: in the format JSON, the message alone is in the language
// of the reader.
func TestTheFactsAreTheSameInEachLanguage(t *testing.T) {
	s := webhook.New(webhook.Options{})
	for name, m := range incidenttest.Messages() {
		facts := map[string]string{}
		for _, tag := range wording.Languages() {
			m.Language = tag
			text := unescaped(must(json.Marshal(must(wording.Text(m)))))
			body := must(s.Render(m))
			if bytes.Count(body, text) != 1 {
				t.Errorf("%s in %s does not say the message once", name, tag)
			}
			facts[tag] = string(bytes.Replace(body, text, nil, 1))
		}
		if facts["de"] != facts["en"] {
			t.Errorf("%s has other facts in German:\n%s\n%s", name, facts["de"], facts["en"])
		}
	}
}
