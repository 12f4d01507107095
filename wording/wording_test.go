package wording_test

import (
	"cmp"
	"encoding/json"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"sitrep/incident"
	"sitrep/wording"
)

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

var noon = time.Date(2026, 7, 23, 12, 0, 0, 0, time.UTC)

func TestClock(t *testing.T) {
	berlin, sydney := zone(t, "Europe/Berlin"), zone(t, "Australia/Sydney")
	back := time.Date(2026, 10, 25, 0, 30, 0, 0, time.UTC) // 02:30 CEST, which comes again
	for _, tc := range []struct {
		name       string
		now, t     time.Time
		loc        *time.Location
		time, full string
	}{
		{"today", noon, noon.Add(time.Hour), berlin, "15:00", "15:00 CEST"},
		{"tomorrow", noon, noon.Add(24 * time.Hour), berlin, "Fri 24 Jul, 14:00", "Fri 24 Jul, 14:00 CEST"},
		{"today here, yesterday there", noon, noon.Add(3 * time.Hour), sydney, "Fri 24 Jul, 01:00", "Fri 24 Jul, 01:00 AEST"},
		{"another year", noon, noon.AddDate(1, 0, 0), time.UTC, "Fri 23 Jul 2027, 12:00", "Fri 23 Jul 2027, 12:00 UTC"},
		{"before the clocks go back", back, back, berlin, "02:30", "02:30 CEST"},
		{"after the clocks went back the zone is named", back, back.Add(time.Hour), berlin, "02:30 CET", "02:30 CET"},
		{"a zone without a name", noon, noon, zone(t, "America/Sao_Paulo"), "09:00", "09:00 UTC-3"},
		{"a zone of half an hour", noon, noon, time.FixedZone("", 5*3600+1800), "17:30", "17:30 UTC+5:30"},
	} {
		c := wording.Clock{Now: tc.now, Location: tc.loc}
		if got := c.Time(tc.t); got != tc.time {
			t.Errorf("%s: Time %q, want %q", tc.name, got, tc.time)
		}
		if got := c.Full(tc.t); got != tc.full {
			t.Errorf("%s: Full %q, want %q", tc.name, got, tc.full)
		}
	}
	if got := (wording.Clock{Now: back, Location: berlin}).Zones(back.Add(time.Hour), time.Time{}); got != "Europe/Berlin (CEST is UTC+2, CET is UTC+1)" {
		t.Errorf("Zones %q", got)
	}
	if got := (wording.Clock{Now: noon, Location: time.UTC}).Zones(); got != "UTC" {
		t.Errorf("Zones %q", got)
	}
}

func TestDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Hour:               "less than a second",
		0:                        "less than a second",
		time.Second:              "1 second",
		59 * time.Second:         "59 seconds",
		61 * time.Second:         "1 minute",
		2 * time.Hour:            "2 hours",
		125 * time.Minute:        "2 hours 5 minutes",
		24 * time.Hour:           "1 day",
		76*time.Hour + time.Hour: "3 days 5 hours",
	} {
		if got := wording.Duration(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}

func TestLine(t *testing.T) {
	for _, tc := range []struct{ in, want string }{
		{"plain", "plain"},
		{" a\r\nb\t c\x00d ", "a b c d"},
		{"a\u202Eb\u2066c\uFEFFd", "abcd"},
		{"\xff\xfe", "\uFFFD"},
		{"a\u2028b\u2029c\u0085d", "a b c d"},
		{"שלום", "שלום"},
		{"one two three four", "one two…"},
		{"aaaaaaaaaaaaaaaaaa", "aaaaaaaaa…"},
		{"", ""},
	} {
		if got := wording.Line(tc.in, 10); got != tc.want {
			t.Errorf("Line(%q) is %q, want %q", tc.in, got, tc.want)
		}
	}
}

func TestBlock(t *testing.T) {
	got, cut := wording.Block("\n\na\r\nb  \rc\n\n\n\nd\x00\n\n", 100)
	if got != "a\nb\nc\n\nd" || cut {
		t.Errorf("got %q, cut %v", got, cut)
	}
	if got, cut = wording.Block(strings.Repeat("word ", 2000), 100); !cut || len([]rune(got)) > 100 || !strings.HasSuffix(got, "word…") {
		t.Errorf("got %q, cut %v", got, cut)
	}
}

func TestLink(t *testing.T) {
	for in, want := range map[string]bool{
		"https://example.org/a?b=c&d#e": true, "http://[::1]:80/": true,
		"javascript:alert(1)": false, "data:text/html,x": false, "//example.org": false, "https://": false, "/x": false,
		"https://example.org/\r\nx": false, "https://example.org/\"onclick=": false, "ftp://example.org": false, "": false,
	} {
		if got := wording.Link(in); (got == in && in != "") != want || got != "" && got != in {
			t.Errorf("Link(%q) is %q, want taken %v", in, got, want)
		}
	}
}

// TestForTeam: what people see on pages, and those on call in messages.
func TestForTeam(t *testing.T) {
	at := func(hours int) time.Time { return noon.Add(time.Duration(hours) * time.Hour) }
	for _, tc := range []struct {
		kind   incident.EventType
		actor  incident.Actor
		reason string
		data   incident.Data
		want   string
	}{
		{incident.EventOpened, incident.ActorAlertmanager, "", incident.Data{Opening: &incident.Opening{}}, "The incident opened."},
		{incident.EventOpened, "ada", "customers call", incident.Data{Opening: &incident.Opening{Declared: true}}, "ada declared the incident: “customers call”"},
		{incident.EventBreachStarted, incident.ActorAlertmanager, "", incident.Data{}, "A breach started."},
		{incident.EventBreachStarted, incident.ActorAlertmanager, "", incident.Data{From: "ended"}, "A breach that had ended fires again."},
		{incident.EventBreachStarted, incident.ActorAlertmanager, "", incident.Data{From: "unknown"}, "A breach that was unknown was heard again: it fires."},
		{incident.EventBreachEnded, incident.ActorAlertmanager, "", incident.Data{}, "A breach ended."},
		{incident.EventBreachUnknown, incident.ActorScheduler, "", incident.Data{HeardAt: at(-5)}, "Nobody knows any more whether a breach still fires; it was last heard 09:00."},
		{incident.EventAcknowledged, "ada", "", incident.Data{}, "ada acknowledged the incident."},
		{incident.EventAcknowledged, incident.Forgotten, "", incident.Data{}, "Someone acknowledged the incident."},
		{incident.EventAcknowledged, "bob", "", incident.Data{TakenOver: true}, "bob took the incident over."},
		{incident.EventAcknowledged, "bob", "", incident.Data{Released: true}, "bob gave the incident back, so nobody is on it."},
		{incident.EventNoteWritten, "ada", "db-7\nis full", incident.Data{}, "ada noted: “db-7 is full”"},
		{incident.EventPriorityChanged, "ada", "a \x00“workaround” exists", incident.Data{From: "P1", To: "P2"}, "ada changed the priority from P1 to P2: “a ‘workaround’ exists”"},
		{incident.EventPriorityChanged, incident.ActorScheduler, "", incident.Data{From: "P3", To: "P1"}, "The priority was changed from P3 to P1."},
		{incident.EventPhaseChanged, "ada", "", incident.Data{To: "initial-diagnosis"}, "ada set the phase to initial diagnosis."},
		{incident.EventPhaseChanged, "ada", "", incident.Data{To: "escalation", EscalatedTo: "the provider"}, "ada escalated the incident to the provider."},
		{incident.EventPhaseChanged, incident.ActorScheduler, "", incident.Data{To: "recovery"}, "The phase is now recovery."},
		{incident.EventUpdateWritten, "ada", "", incident.Data{Message: "We look\ninto it."}, "ada wrote: “We look into it.”"},
		{
			incident.EventUpdateMissed, incident.ActorScheduler, "",
			incident.Data{DueAt: at(-1), Missed: 1, Audience: incident.AudienceManagement, Cause: incident.Cause{Kind: incident.CauseSaid, Said: "no mail server"}},
			"The update to management that was due at 13:00 did not go out in time: no mail server.",
		},
		{incident.EventUpdateMissed, incident.ActorScheduler, "", incident.Data{DueAt: at(-1), Missed: 3}, "3 updates did not go out in time, the first due at 13:00."},
		{incident.EventActionChanged, "ada", "", incident.Data{Action: "hotfix", To: "done"}, "ada completed the action hotfix."},
		{incident.EventActionChanged, "ada", "not needed", incident.Data{Action: "hotfix", To: "waived"}, "ada waived the action hotfix: “not needed”"},
		{incident.EventAudienceChanged, "ada", "", incident.Data{Stakeholders: []string{"a", "b", "c"}}, "ada set the groups of stakeholders to a, b and c."},
		{incident.EventAudienceChanged, "ada", "", incident.Data{}, "ada removed all groups of stakeholders."},
		{incident.EventResolved, incident.ActorScheduler, "", incident.Data{}, "All alerts have ended: the incident is resolved."},
		{incident.EventResolved, "ada", "", incident.Data{}, "ada resolved the incident."},
		{
			incident.EventResolved, "ada", "the fuse",
			incident.Data{Message: "All works again.", Audiences: []incident.Audience{incident.AudienceManagement}},
			"ada resolved the incident: “the fuse” To management: “All works again.”",
		},
		{incident.EventReopened, incident.ActorAlertmanager, "", incident.Data{Why: incident.WhyBreachStarted}, "An alert fires: the incident is open again."},
		{incident.EventReopened, "ada", "it is back", incident.Data{}, "ada reopened the incident: “it is back”"},
		{incident.EventMerged, "ada", "same cause", incident.Data{Into: 41}, "ada merged the incident into INC-41: “same cause”"},
		{incident.EventMerged, "ada", "", incident.Data{From: "INC-42"}, "ada merged INC-42 into this incident."},
		{incident.EventClosed, incident.ActorScheduler, "", incident.Data{}, "The incident is closed."},
		{incident.EventClosed, "ada", "", incident.Data{Into: 4, Why: incident.WhyMerged}, "ada closed the incident: merged into INC-4."},
		{incident.EventClosed, incident.ActorScheduler, "", incident.Data{Why: incident.WhyNothingDue}, "The incident is closed: no action is due."},
		{incident.EventPriorityChanged, incident.ActorAlertmanager, "", incident.Data{From: "P3", To: "P1", Raised: true, Why: incident.WhySLOPriority}, "The priority was raised from P3 to P1: the SLO's priority is P1."},
		{incident.EventUpdateMissed, incident.ActorScheduler, "", incident.Data{DueAt: at(-1), Missed: 1, Cause: incident.Cause{Kind: incident.CauseNoneFound}}, "The update that was due at 13:00 did not go out in time, for no known cause."},
		{
			incident.EventUpdateMissed, incident.ActorScheduler, "",
			incident.Data{DueAt: at(-1), Missed: 1, Cause: incident.Cause{Kind: incident.CauseDown, From: noon.Add(-65 * time.Minute), To: noon.Add(-2 * time.Minute)}},
			"The update that was due at 13:00 did not go out in time: sitrep was down from 12:55 to 13:58.",
		},
		{"future_kind", "ada", "", incident.Data{}, "Future kind."},
	} {
		e := incident.Event{Time: noon, Type: tc.kind, Actor: tc.actor, Reason: tc.reason, Data: tc.data}
		how := wording.Describer{Depth: wording.ForTeam, Time: wording.Clock{Now: noon, Location: zone(t, "Europe/Berlin")}.Time}
		if got := how.Event(&e); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.kind, got, tc.want)
		}
	}
}

// TestForReaders: those who are informed hear nothing of mail servers and alerts.
func TestForReaders(t *testing.T) {
	for want, e := range map[string]incident.Event{
		"The update that was due at 2026-07-23T11:00:00Z did not go out in time.": {
			Type: incident.EventUpdateMissed, Actor: incident.ActorScheduler,
			Data: incident.Data{DueAt: noon.Add(-time.Hour), Missed: 1, Audience: incident.AudienceManagement, Cause: incident.Cause{Kind: incident.CauseSaid, Said: "dial tcp mx1.internal: refused"}},
		},
		"A breach started.": {
			Type: incident.EventBreachStarted, Actor: incident.ActorAlertmanager,
			Data: incident.Data{Fingerprint: "a13f", StartsAt: noon, Priority: "P1"},
		},
		"A breach ended.": {Type: incident.EventBreachEnded, Actor: incident.ActorAlertmanager, Data: incident.Data{Fingerprint: "a13f", EndsAt: noon}},
		"Nobody knows any more whether a breach still fires.": {
			Type: incident.EventBreachUnknown, Actor: incident.ActorScheduler, Reason: "nothing was heard of it for 5h0m0s",
			Data: incident.Data{Fingerprint: "a13f"},
		},
		"ada completed the action hotfix.": {Type: incident.EventActionChanged, Actor: "ada", Data: incident.Data{Action: "hotfix", To: "done", Link: "https://git.internal/1"}},
		"ada wrote: “We look.”":            {Type: incident.EventUpdateWritten, Actor: "ada", Data: incident.Data{Message: "We look.", Audiences: []incident.Audience{incident.AudienceManagement}}},
		"The incident opened.":             {Type: incident.EventOpened, Actor: incident.ActorAlertmanager, Data: incident.Data{Opening: &incident.Opening{UseCase: "Send", Priority: incident.Priority{Name: "P1"}}}},
	} {
		if got := (wording.Describer{}).Event(&e); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestForRecord: nothing that an event holds is left out, and no name is there twice.
func TestForRecord(t *testing.T) {
	long := strings.TrimSpace(strings.Repeat("locks ", 200))
	opening := incident.Opening{UseCase: "Application cannot send", Priority: incident.Priority{Name: "P1"}}
	declared, drill := opening, opening
	declared.Declared, drill.Declared, drill.Drill = true, true, true
	at := noon.Add(-time.Hour)
	both := []incident.Audience{incident.AudienceManagement, incident.AudienceStakeholders}
	for _, tc := range []struct {
		kind   incident.EventType
		actor  incident.Actor
		reason string
		data   incident.Data
		want   string
		apart  string // without the reason and the message
	}{
		{incident.EventOpened, incident.ActorAlertmanager, "", incident.Data{Opening: &opening}, "The incident “Application cannot send” opened as P1.", ""},
		{
			incident.EventOpened, "ada", "customers call",
			incident.Data{Opening: &declared},
			"Declared the incident “Application cannot send” as P1: “customers call”", "Declared the incident “Application cannot send” as P1.",
		},
		{incident.EventOpened, "ada", "", incident.Data{Opening: &drill}, "Declared the drill “Application cannot send” as P1.", ""},
		{incident.EventOpened, "ada", "", incident.Data{}, "The incident opened.", ""},
		{incident.EventBreachStarted, incident.ActorAlertmanager, "", incident.Data{Fingerprint: "a13f", StartsAt: at, Priority: "P1"}, "A breach started at 11:00 (alert a13f, SLO priority P1).", ""},
		{
			incident.EventBreachStarted, incident.ActorAlertmanager, "",
			incident.Data{From: "ended", Fingerprint: "a13f", StartsAt: at, Priority: "P1"},
			"A breach that had ended fires again (alert a13f, since 11:00, SLO priority P1).", "",
		},
		{
			incident.EventBreachStarted, incident.ActorAlertmanager, "",
			incident.Data{From: "unknown", Fingerprint: "a13f", StartsAt: at, Priority: "P1"},
			"A breach that was unknown was heard again: it fires (alert a13f, since 11:00, SLO priority P1).", "",
		},
		{incident.EventBreachEnded, incident.ActorAlertmanager, "", incident.Data{Fingerprint: "a13f", EndsAt: at}, "A breach ended at 11:00 (alert a13f).", ""},
		{incident.EventBreachEnded, incident.ActorAlertmanager, "", incident.Data{From: "unknown", Fingerprint: "a13f", EndsAt: at}, "A breach that was unknown has ended, at 11:00 (alert a13f).", ""},
		{
			incident.EventBreachUnknown, incident.ActorScheduler, "nothing was heard of it for 5h0m0s",
			incident.Data{Fingerprint: "a13f", HeardAt: at},
			"Nobody knows any more whether a breach still fires; it was last heard 11:00 (alert a13f): nothing was heard of it for 5h0m0s.",
			"Nobody knows any more whether a breach still fires; it was last heard 11:00 (alert a13f).",
		},
		{incident.EventAcknowledged, "ada", "", incident.Data{}, "Acknowledged the incident.", ""},
		{incident.EventPriorityChanged, "ada", long, incident.Data{From: "P3", To: "P1", Raised: true}, "Raised the priority from P3 to P1: “" + long + "”", "Raised the priority from P3 to P1."},
		{incident.EventPhaseChanged, "ada", "", incident.Data{To: "escalation", EscalatedTo: long}, "Escalated the incident to " + long + ".", ""},
		{incident.EventUpdateWritten, "ada", "", incident.Data{Message: "We look.", Audiences: both}, "Wrote to management and stakeholders: “We look.”", "Wrote to management and stakeholders:"},
		{
			incident.EventUpdateMissed, incident.ActorScheduler, "",
			incident.Data{DueAt: at, Missed: 1, Audience: incident.AudienceManagement},
			"The update to at least one reader of management that was due at 11:00 did not go out in time, for no known cause.", "",
		},
		{
			incident.EventUpdateMissed, incident.ActorScheduler, "",
			incident.Data{DueAt: at, Missed: 2, Audience: incident.AudienceOnCall, Cause: incident.Cause{Kind: incident.CauseSaid, Said: "451 try after 2026-07-23T11:00:00Z"}},
			"2 updates to at least one reader of the people on call did not go out in time, the first due at 11:00: 451 try after 2026-07-23T11:00:00Z.", "",
		},
		{
			incident.EventActionChanged, "ada", "not needed",
			incident.Data{Action: "hotfix", To: "waived", Link: "https://git.example.org/1"},
			"Waived the action hotfix (https://git.example.org/1): “not needed”", "Waived the action hotfix (https://git.example.org/1).",
		},
		{incident.EventResolved, "ada", "over", incident.Data{}, "Resolved the incident: “over”", "Resolved the incident."},
		{incident.EventResolved, incident.ActorScheduler, "", incident.Data{}, "All alerts have ended: the incident is resolved.", ""},
		{incident.EventReopened, "ada", "it is back", incident.Data{}, "Reopened the incident: “it is back”", "Reopened the incident."},
		{incident.EventMerged, "ada", "same cause", incident.Data{From: "INC-42"}, "Merged INC-42 into this incident: “same cause”", "Merged INC-42 into this incident."},
		{incident.EventClosed, "ada", "", incident.Data{Into: 4, Why: incident.WhyMerged}, "Closed the incident: merged into INC-4.", ""},
	} {
		e := incident.Event{Time: noon, Type: tc.kind, Actor: tc.actor, Reason: tc.reason, Data: tc.data}
		how := wording.Describer{Depth: wording.ForRecord, Nameless: true, Time: wording.Clock{Now: noon, Location: time.UTC}.Time}
		if got := how.Event(&e); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.kind, got, tc.want)
		}
		how.Apart = true
		if got := how.Event(&e); got != cmp.Or(tc.apart, tc.want) {
			t.Errorf("%s, apart: %q, want %q", tc.kind, got, cmp.Or(tc.apart, tc.want))
		}
		if e.Reason != tc.reason {
			t.Errorf("%s: the event was changed", tc.kind)
		}
	}
}

// TestEachEventHasWords: a new type of event needs some, at each depth.
func TestEachEventHasWords(t *testing.T) {
	for _, kind := range incident.EventTypes() {
		for depth := wording.ForReaders; depth <= wording.ForRecord; depth++ {
			for _, actor := range []incident.Actor{"ada", incident.ActorScheduler} {
				bare := strings.ReplaceAll(string(kind), "_", " ") + "."
				got := wording.Describer{Depth: depth}.Event(&incident.Event{Type: kind, Actor: actor})
				if strings.EqualFold(got, bare) || !strings.HasSuffix(got, ".") {
					t.Errorf("%s by %s: %q", kind, actor, got)
				}
			}
		}
	}
}

func TestAction(t *testing.T) {
	clock := wording.Clock{Now: noon, Location: time.UTC}
	for want, a := range map[string]incident.Action{
		"hotfix: due": {Name: "hotfix", State: incident.ActionDue},
		"postmortem: due within 5 days after resolving":   {Name: "postmortem", State: incident.ActionDue, Within: 120 * time.Hour},
		"postmortem: due by Fri 24 Jul, 12:00 UTC":        {Name: "postmortem", State: incident.ActionDue, DueAt: noon.Add(24 * time.Hour)},
		"postmortem: overdue since Wed 22 Jul, 12:00 UTC": {Name: "postmortem", State: incident.ActionDue, DueAt: noon.Add(-24 * time.Hour)},
		"hotfix: done":                  {Name: "hotfix", State: incident.ActionDone},
		"hotfix: waived, “rolled back”": {Name: "hotfix", State: incident.ActionWaived, Reason: "rolled back"},
	} {
		if got := wording.Action(&a, clock); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestBreaches(t *testing.T) {
	clock := wording.Clock{Now: noon, Location: time.UTC}
	heard := noon.Add(-2 * time.Minute)
	for _, tc := range []struct {
		counts  incident.Counts
		unknown time.Time
		ended   time.Time
		want    string
	}{
		{incident.Counts{}, time.Time{}, time.Time{}, ""},
		{incident.Counts{Firing: 3, Total: 4}, time.Time{}, time.Time{}, "3 alerts still firing, last heard 11:58."},
		{incident.Counts{Firing: 1, Unknown: 2, Total: 4}, time.Time{}, time.Time{}, "1 alert still firing, last heard 11:58; of 2 more nobody knows."},
		{incident.Counts{Unknown: 1, Total: 4}, noon.Add(-time.Hour), time.Time{}, "Unknown since 11:00: nobody can tell whether the alert still fires, last heard 11:58."},
		{incident.Counts{Total: 1}, time.Time{}, noon.Add(-time.Minute), "The alert has ended, at 11:59; the incident resolves when that holds for 10 minutes."},
	} {
		it := &incident.Item{Kind: incident.KindUpdate, LastHeardAt: heard, Incident: incident.Incident{
			State: incident.StateOpen, Breaches: tc.counts,
			UnknownSince: tc.unknown, EndedAt: tc.ended, ResolveAfter: 10 * time.Minute,
		}}
		if got := wording.Breaches(it, clock); got != tc.want {
			t.Errorf("%+v: %q, want %q", tc.counts, got, tc.want)
		}
	}
}

func TestSubject(t *testing.T) {
	loc := zone(t, "Europe/Berlin")
	in := incident.Incident{Number: 42, UseCase: "Application cannot notify its users", Priority: incident.Priority{Name: "P1"}}
	drill := in
	drill.Drill = true
	for _, tc := range []struct {
		kind incident.Kind
		in   []incident.Incident
		owed incident.Owed
		want string
	}{
		{incident.KindOpened, []incident.Incident{in}, incident.Owed{}, "[P1] INC-42 Application cannot notify its users"},
		{incident.KindResolved, []incident.Incident{in}, incident.Owed{}, "[P1] INC-42 Application cannot notify its users"},
		{incident.KindLeft, []incident.Incident{drill}, incident.Owed{}, "[DRILL P1] INC-42 Application cannot notify its users"},
		{incident.KindDigest, []incident.Incident{in, drill}, incident.Owed{}, "[P1] 2 incidents"},
		{incident.KindDigest, []incident.Incident{drill, drill}, incident.Owed{}, "[DRILL P1] 2 incidents"},
		{incident.KindReminder, []incident.Incident{in}, incident.Owed{Reason: incident.DueUnfed, DueAt: time.Date(2026, 7, 23, 14, 0, 0, 0, time.UTC)}, "[reminder] INC-42 update due by 16:00"},
		{incident.KindReminder, []incident.Incident{in}, incident.Owed{Reason: incident.DueUnfed, DueAt: time.Date(2026, 7, 24, 14, 0, 0, 0, time.UTC)}, "[reminder] INC-42 update due by Fri 24 Jul, 16:00"},
		{incident.KindReminder, []incident.Incident{drill}, incident.Owed{Reason: incident.DueActionOverdue, Action: "postmortem"}, "[DRILL reminder] INC-42 action postmortem is overdue"},
		{incident.KindReminder, []incident.Incident{in}, incident.Owed{Reason: incident.DueAllUnknown}, "[reminder] INC-42 nobody knows whether it goes on"},
		{incident.KindReminder, []incident.Incident{in}, incident.Owed{Reason: incident.DueStillFiring}, "[reminder] INC-42 is resolved, but still fires"},
		{incident.KindReminder, []incident.Incident{in}, incident.Owed{Reason: incident.DueUndeliverable, Address: "x@y"}, "[reminder] INC-42 a message could not be delivered"},
		{incident.KindWatchdog, nil, incident.Owed{}, "[watchdog] Alerts arrive again"},
	} {
		m := &incident.Message{Kind: tc.kind, At: noon, Location: loc, Watchdog: &incident.WatchdogNews{}}
		for _, in := range tc.in {
			m.Items = append(m.Items, incident.Item{Kind: tc.kind, Incident: in, Reasons: []incident.Owed{tc.owed}})
		}
		if got := wording.Subject(m); got != tc.want {
			t.Errorf("%q, want %q", got, tc.want)
		}
	}
}

func TestTheHeadlineTellsIncidentsOfAnSLOApart(t *testing.T) {
	long := strings.Repeat("x", 4096)
	for _, tc := range []struct {
		name, useCase string
		labels        map[string]string
		want          string
	}{
		{"one value", "Search is slow", map[string]string{"region": "eu"}, "Search is slow (eu)"},
		{"by the names of the labels", "Search is slow", map[string]string{"region": "eu", "cluster": "b"}, "Search is slow (b, eu)"},
		{"one that is missing among others", "Search is slow", map[string]string{"region": "eu", "cluster": ""}, "Search is slow (–, eu)"},
		{"all missing", "Search is slow", map[string]string{"region": "", "cluster": "\x00"}, "Search is slow"},
		{"no use case", "", map[string]string{"region": "eu"}, "INC-42 (eu)"},
		{"what turns, hides and breaks", "Search\nis slow", map[string]string{"region": "\u202Eue\u2066\r\nBcc: x\x00 "}, "Search is slow (ue Bcc: x)"},
		{"a long value leaves room for the use case", "Search is slow", map[string]string{"region": long}, "Search is slow (" + strings.Repeat("x", 39) + "…)"},
		{
			"many long values, and a long use case", long,
			map[string]string{"a": long, "b": long, "c": long},
			strings.Repeat("x", 76) + "… (" + strings.Repeat("x", 39) + "…, " + strings.Repeat("x", 37) + "…)",
		},
	} {
		in := incident.Incident{Number: 42, UseCase: tc.useCase, Labels: tc.labels, Priority: incident.Priority{Name: "P1"}}
		if got := wording.Headline(&in); got != tc.want || utf8.RuneCountInString(got) > 160 {
			t.Errorf("%s: %q of %d characters, want %q", tc.name, got, utf8.RuneCountInString(got), tc.want)
		}
		for _, kind := range []incident.Kind{incident.KindOpened, incident.KindUpdate, incident.KindPriority, incident.KindResolved} {
			m := &incident.Message{Kind: kind, At: noon, Location: time.UTC, Items: []incident.Item{{Kind: kind, Incident: in}}}
			if got := wording.Subject(m); got != "[P1] INC-42 "+tc.want {
				t.Errorf("%s: subject of %s is %q", tc.name, kind, got)
			}
		}
	}
}

func TestTheColourOfADigest(t *testing.T) {
	item := func(rank int, s incident.State, k incident.Kind) incident.Item {
		return incident.Item{Kind: k, Incident: incident.Incident{Number: 1, State: s, Priority: incident.Priority{Name: []string{"P1", "P2"}[rank], Rank: rank}}}
	}
	for _, tc := range []struct {
		name         string
		items        []incident.Item
		tone, status string
		counts       string
	}{
		{
			"grey when all is over",
			[]incident.Item{item(0, incident.StateResolved, incident.KindResolved), item(1, incident.StateClosed, incident.KindUpdate)},
			"quiet", "P1 · 2 incidents, all over", "P1: 1 resolved; P2: 1 closed",
		},
		{
			"that of the highest that goes on",
			[]incident.Item{item(0, incident.StateResolved, incident.KindResolved), item(1, incident.StateOpen, incident.KindUpdate)},
			"rank1", "P1 · 2 incidents", "P1: 1 resolved; P2: 1 open",
		},
		{
			"grey for one who leaves all of them",
			[]incident.Item{item(0, incident.StateOpen, incident.KindLeft), item(0, incident.StateOpen, incident.KindLeft)},
			"quiet", "P1 · 2 incidents", "P1: 2 open",
		},
		{
			"that of what is over and of which something is still asked",
			[]incident.Item{item(1, incident.StateResolved, incident.KindReminder), item(1, incident.StateResolved, incident.KindResolved)},
			"rank1", "P2 · 2 incidents", "P2: 2 resolved",
		},
	} {
		r := wording.Compose(&incident.Message{Kind: incident.KindDigest, At: noon, Location: time.UTC, Items: tc.items})
		var counts []string
		for _, f := range r.Facts {
			counts = append(counts, f.Line())
		}
		if got := strings.Join(counts, "; "); r.Tone != tc.tone || r.Status != tc.status || got != tc.counts {
			t.Errorf("%s: %s, %q, %q", tc.name, r.Tone, r.Status, got)
		}
	}
}

func TestWhoIsAffectedIsSaidElseTheService(t *testing.T) {
	for _, tc := range []struct {
		in   incident.Incident
		want string
	}{
		{incident.Incident{}, ""},
		{incident.Incident{Service: "search"}, "search"},
		{incident.Incident{Service: "search", Affects: "Customers in Europe"}, "Customers in Europe"},
		{incident.Incident{Affects: "Customers", Labels: map[string]string{"region": "eu"}}, "Customers, region eu"},
	} {
		if got := wording.Affected(&tc.in); got != tc.want {
			t.Errorf("%q, want %q", got, tc.want)
		}
	}
}

func TestTextNeverPromisesTheVague(t *testing.T) {
	for _, kind := range []incident.Kind{incident.KindOpened, incident.KindUpdate, incident.KindPriority, incident.KindLeft, incident.KindResolved, incident.KindReopened} {
		for _, state := range []incident.State{incident.StateOpen, incident.StateResolved, incident.StateClosed} {
			for _, paused := range []bool{false, true} {
				m := &incident.Message{
					Kind: kind, At: noon, Location: time.UTC, BaseURL: "https://sitrep.example.org", Group: "sales",
					Audiences: []incident.Audience{incident.AudienceStakeholders},
					Items: []incident.Item{{Kind: kind, Paused: paused, Incident: incident.Incident{
						Number: 1, State: state, OpenedAt: noon.Add(-time.Hour),
						ResolvedAt: noon.Add(-time.Minute), Priority: incident.Priority{Name: "P1"},
					}}},
				}
				text, err := wording.Text(m)
				if err != nil {
					t.Fatal(err)
				}
				for _, vague := range []string{"when things change", "soon", "expected", "<nil>", "%!", "0001", "\n\n\n"} {
					if strings.Contains(text, vague) {
						t.Errorf("%s, %s: %q in\n%s", kind, state, vague, text)
					}
				}
				if !strings.Contains(text, "Next update") {
					t.Errorf("%s, %s: nothing on the next update in\n%s", kind, state, text)
				}
			}
		}
	}
}

func TestTallyOfBreaches(t *testing.T) {
	for _, tc := range []struct {
		kind  incident.Kind
		first bool
		tally incident.Tally
		want  string // "" if nothing is said
	}{
		{incident.KindUpdate, false, incident.Tally{Started: 2, Ended: 1, Unknown: 1}, "Since the last message 2 alerts started, 1 ended and 1 became unknown."},
		{incident.KindUpdate, false, incident.Tally{Ended: 1}, "Since the last message 1 alert ended."},
		{incident.KindOpened, true, incident.Tally{Started: 2}, ""},
		{incident.KindResolved, false, incident.Tally{Started: 1, Ended: 3}, ""},
		{incident.KindResolved, true, incident.Tally{Started: 3, Ended: 3}, ""},
		{incident.KindReopened, false, incident.Tally{Started: 1}, ""},
	} {
		m := &incident.Message{Kind: tc.kind, At: noon, Location: time.UTC, Audiences: []incident.Audience{incident.AudienceManagement}, Items: []incident.Item{{
			Kind:  tc.kind,
			First: tc.first, Breaches: tc.tally, Incident: incident.Incident{Number: 1, State: incident.StateOpen, OpenedAt: noon, Breaches: incident.Counts{Firing: 1, Total: 3}},
		}}}
		text, err := wording.Text(m)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(text, "Since the last message"); got != (tc.want != "") || !strings.Contains(text, tc.want) {
			t.Errorf("%s, first %v: want %q in\n%s", tc.kind, tc.first, tc.want, text)
		}
	}
}

func TestShownIsWhatCanBeShown(t *testing.T) {
	for in, want := range map[string]string{
		"a\tb\nc d":                  "a\tb\nc d",
		"a\r\nb\rc":                  "a\nbc",
		"\x1b[2J\x00\u009b":          " [2J  ",
		"a\u2028b":                   "a b",
		"\u202egnp\u202c\u200b":      "gnp",
		"\u200cx\u200d \u00a0\u00fc": "\u200cx\u200d \u00a0\u00fc",
		"a\xffb":                     "a\ufffdb",
	} {
		var b strings.Builder
		if n, err := io.WriteString(wording.Shown(&b), in); b.String() != want || n != len(in) || err != nil {
			t.Errorf("%q is shown as %q (%d, %v), want %q", in, b.String(), n, err, want)
		}
	}
}

func TestEscapedJSONStandsForTheSame(t *testing.T) {
	for in, want := range map[string]string{
		`{"a":"b \u00fc"}`:                 `{"a":"b \u00fc"}`,
		"\"\u009b\x7f\u202e\u2028\u00fc\"": `"\u009b\u007f\u202e\u2028` + "\u00fc\"",
		"\"a\xffb\"":                       `"a\ufffdb"`,
		"\"\U000e0041\"":                   `"\udb40\udc41"`,
	} {
		got := string(wording.EscapeJSON([]byte(in)))
		var a, b any
		if err := json.Unmarshal([]byte(in), &a); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(got), &b); got != want || err != nil || !reflect.DeepEqual(a, b) {
			t.Errorf("%q becomes %q, want %q: %v", in, got, want, err)
		}
	}
}
