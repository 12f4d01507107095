package wording_test

import (
	"strings"
	"testing"
	"time"

	"sitrep/incident"
	"sitrep/wording"
)

// TestStory: what a message says first, and what it leaves out.
func TestStory(t *testing.T) {
	management, onCall := []incident.Audience{incident.AudienceManagement}, []incident.Audience{incident.AudienceOnCall}
	at := func(minutes int) time.Time { return noon.Add(time.Duration(minutes) * time.Minute) }
	priority := func(minutes int, from, to, reason string, raised bool) incident.Event {
		return incident.Event{
			Time: at(minutes), Type: incident.EventPriorityChanged, Actor: "ada", Reason: reason,
			Data: incident.Data{From: from, To: to, Raised: raised, Definition: &incident.Priority{Name: to}},
		}
	}
	down := incident.Event{
		Time: at(-5), Type: incident.EventUpdateMissed, Actor: incident.ActorScheduler,
		Data: incident.Data{DueAt: at(-90), Missed: 2, Audience: incident.AudienceManagement, Cause: incident.Cause{Kind: incident.CauseSaid, Said: "connect to mail server: refused"}},
	}
	phase := incident.Event{Time: at(-5), Type: incident.EventPhaseChanged, Actor: "ada", Data: incident.Data{To: "recovery"}}
	merged := []incident.Event{
		{Time: at(0), Type: incident.EventMerged, Actor: "ada", Reason: "the same", Data: incident.Data{Into: 41}},
		{Time: at(0), Type: incident.EventClosed, Actor: "ada", Data: incident.Data{Into: 41, Why: incident.WhyMerged}},
	}
	word := &incident.Word{Text: "We are looking into it.", At: at(-30), By: "ada"}
	owed := func(reason incident.Reason) []incident.Owed { return []incident.Owed{{Reason: reason}} }
	for name, tc := range map[string]struct {
		to   []incident.Audience
		item incident.Item
		want []string
		not  []string
	}{
		"a priority that went down and up again is no other": {
			management,
			incident.Item{Kind: incident.KindPriority, Changes: []incident.Event{
				priority(-40, "P1", "P2", "half can log on", false), priority(-10, "P2", "P1", "nobody can", true),
			}},
			[]string{"INC-42 · P1 · Open", "The priority went to and fro since the last message, and is P1 as before.", "raised the priority from P2 to P1: “nobody can”", "“half can log on”"},
			[]string{"was P"},
		},
		"a priority that changed twice is told from the one that the reader knew": {
			management,
			incident.Item{Kind: incident.KindPriority, Changes: []incident.Event{
				priority(-40, "P3", "P2", "more are hit", true), priority(-10, "P2", "P1", "all are hit", true),
			}},
			[]string{"P1, was P3 · Open"},
			[]string{"as before", "was P2"},
		},
		"who is told of a change is not told that there is no news": {
			management,
			incident.Item{Kind: incident.KindPriority, Word: word, Changes: []incident.Event{priority(-1, "P2", "P1", "all are hit", true)}},
			[]string{"What they last said, at 11:30:", "Now: 1 alert still firing"},
			[]string{"No news"},
		},
		"a scheduled update that nobody fed says so": {
			management,
			incident.Item{Kind: incident.KindUpdate, Word: word},
			[]string{"No news from the team since 11:30. 1 alert still firing"},
			nil,
		},
		"a scheduled update that tells what the team did says nothing else": {
			management,
			incident.Item{Kind: incident.KindUpdate, Word: word, Changes: []incident.Event{phase}},
			[]string{"ada set the phase to recovery."},
			[]string{"No news"},
		},
		"why an update was missed is for the team": {
			onCall,
			incident.Item{Kind: incident.KindUpdate, Changes: []incident.Event{down}},
			[]string{"2 updates to management did not go out in time, the first due at 10:30: connect to mail server: refused."},
			nil,
		},
		"the others are told that it was": {
			management,
			incident.Item{Kind: incident.KindUpdate, Changes: []incident.Event{down, down}},
			[]string{"2 updates did not go out in time, the first due at 10:30.\n"},
			[]string{"mail server", "- 11:55: 2 updates did not go out in time, the first due at 10:30.\n- "},
		},
		"one who joins": {
			management,
			incident.Item{Kind: incident.KindOpened, First: true, Reasons: owed(incident.DueJoined)},
			[]string{"Others know of this already; you are told from now on."},
			[]string{"again"},
		},
		"one who joins by a merge": {
			management,
			incident.Item{Kind: incident.KindOpened, First: true, Reasons: owed(incident.DueMerged)},
			[]string{"Others know of this already; you are told from now on."},
			[]string{"again"},
		},
		"one whom a change brings in is told of it": {
			management,
			incident.Item{
				Kind: incident.KindOpened, First: true, Reasons: []incident.Owed{{Reason: incident.DueJoined, At: at(0)}},
				Changes: []incident.Event{priority(0, "P3", "P1", "all are hit", true)},
			},
			[]string{"you are told from now on. ada raised the priority from P3 to P1: “all are hit”\n"},
			nil,
		},
		"one whom the configuration brings in is told of no other cause": {
			management,
			incident.Item{
				Kind: incident.KindOpened, First: true, Reasons: []incident.Owed{{Reason: incident.DueJoined, At: at(0)}},
				Changes: []incident.Event{priority(-40, "P3", "P1", "all are hit", true)},
			},
			[]string{"you are told from now on.\n", "- 11:20: ada raised the priority from P3 to P1: “all are hit”"},
			nil,
		},
		"one who had left": {
			management,
			incident.Item{Kind: incident.KindOpened, First: true, Again: true, Reasons: owed(incident.DueJoined)},
			[]string{"You are told of this again from now on."},
			[]string{"Others know"},
		},
		"a merge is told once": {
			management,
			incident.Item{Kind: incident.KindLeft, Incident: incident.Incident{State: incident.StateClosed, MergedInto: 41, ClosedAt: noon}, Changes: merged},
			[]string{"ada merged the incident into INC-41: “the same”"},
			[]string{"closed the incident"},
		},
		"an end that nobody could be asked about says so": {
			management,
			incident.Item{Kind: incident.KindResolved, Incident: incident.Incident{State: incident.StateResolved}, Changes: []incident.Event{
				{Time: at(0), Type: incident.EventResolved, Actor: incident.ActorScheduler, Data: incident.Data{Why: incident.WhyNobodyAsked}},
			}},
			[]string{"No Alertmanager could be asked whether that is so."},
			nil,
		},
		"who will be told first stands first": {
			onCall,
			incident.Item{Kind: incident.KindOpened, First: true, Plan: []incident.PlannedReader{
				{Audience: incident.AudienceManagement, Group: "board", At: at(240), Recipient: incident.Recipient{Address: "board@example.org"}},
				{Audience: incident.AudienceManagement, Group: "leadership", At: at(10), Recipient: incident.Recipient{Address: "cto@example.org"}},
			}},
			[]string{"- At 12:10 UTC: management (leadership): cto@example.org\n- At 16:00 UTC: management (board): board@example.org\n"},
			nil,
		},
	} {
		in := &tc.item.Incident
		in.Number, in.UseCase, in.Priority, in.OpenedAt = 42, "Nobody can log on", incident.Priority{Name: "P1"}, at(-100)
		if in.State == "" {
			in.State, in.Breaches = incident.StateOpen, incident.Counts{Firing: 1, Total: 1}
		}
		text := compose(t, tc.to, tc.item)
		for _, want := range tc.want {
			if !strings.Contains(text, want) {
				t.Errorf("%s: no %q in\n%s", name, want, text)
			}
		}
		for _, not := range tc.not {
			if strings.Contains(text, not) {
				t.Errorf("%s: %q in\n%s", name, not, text)
			}
		}
	}
}

// TestMovedUpdate: who was promised an earlier time hears why another is named.
func TestMovedUpdate(t *testing.T) {
	text := compose(t, []incident.Audience{incident.AudienceStakeholders}, incident.Item{
		Kind: incident.KindUpdate, Incident: incident.Incident{Number: 42, UseCase: "Nobody can log on", State: incident.StateOpen, OpenedAt: noon.Add(-time.Hour)},
		NextBy: noon.Add(6 * time.Hour), Reasons: []incident.Owed{{Kind: incident.KindUpdate, Reason: incident.DueMoved}},
	})
	for _, want := range []string{"The next scheduled update comes later than was said before, as it would fall into your quiet time.\n", "18:00 UTC"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

// TestReminder: for each reason one sentence, and what readers know.
func TestReminder(t *testing.T) {
	resolved := incident.Incident{
		Number: 42, UseCase: "Nobody can log on", State: incident.StateResolved, OpenedAt: noon.Add(-time.Hour), ResolvedAt: noon.Add(-time.Minute),
		Breaches: incident.Counts{Total: 2}, Actions: []incident.Action{{Name: "post mortem", State: incident.ActionDue, DueAt: noon.Add(-time.Minute)}},
	}
	text := compose(t, []incident.Audience{incident.AudienceOnCall}, incident.Item{Kind: incident.KindReminder, Incident: resolved, Reasons: []incident.Owed{
		{Kind: incident.KindReminder, Reason: incident.DueActionOverdue, Action: "post mortem"},
		{Kind: incident.KindReminder, Reason: incident.DueUnfed, DueAt: time.Date(2026, 7, 23, 14, 0, 0, 0, time.UTC)},
		{Kind: incident.KindReminder, Reason: incident.DueUnfed, DueAt: time.Date(2026, 7, 23, 14, 0, 1, 0, time.UTC)},
		{Kind: incident.KindReminder, Reason: incident.DueUndeliverable, Address: "gone@example.org"},
		{Kind: incident.KindReminder, Reason: incident.DueUndeliverable, Address: "full@example.org"},
	}})
	for _, want := range []string{
		"The action post mortem is overdue since 11:59 UTC.\n", "An update is due by 14:00 UTC", "sitrep incident action INC-42 'post mortem' done\n", "Now: Both alerts have ended.\n",
		"The opening message to gone@example.org and full@example.org was refused for good: please tell them in another way.\n",
	} {
		if strings.Count(text, want) != 1 {
			t.Errorf("want once %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "What readers know") {
		t.Errorf("it is over, and readers know it:\n%s", text)
	}
}

// TestDigest: what is new is told as new, and that it is late once.
func TestDigest(t *testing.T) {
	item := func(number int64, kind incident.Kind, late time.Time) incident.Item {
		return incident.Item{Kind: kind, First: kind == incident.KindOpened, LateSince: late, Incident: incident.Incident{
			Number: number, UseCase: "Nobody can log on", State: incident.StateOpen, OpenedAt: noon.Add(-time.Hour), Priority: incident.Priority{Name: "P1"},
			Breaches: incident.Counts{Firing: 2, Total: 2},
		}}
	}
	text, err := wording.Text(&incident.Message{Kind: incident.KindDigest, At: noon, Location: time.UTC, Audiences: []incident.Audience{incident.AudienceStakeholders}, Items: []incident.Item{
		item(1, incident.KindOpened, noon.Add(-10*time.Minute)), item(2, incident.KindUpdate, noon.Add(-20*time.Minute)), item(3, incident.KindUpdate, time.Time{}),
	}})
	if err != nil {
		t.Fatal(err)
	}
	for want, times := range map[string]int{
		"could not be handed over": 1, "It should have come by 11:40, and could not be handed over until now.": 1, "P1 · New\nINC-1": 1, "P1 · Open\nINC-2": 1,
		"No news from the team since 11:00, when the incident opened. 2 alerts still firing.": 2,
	} {
		if got := strings.Count(text, want); got != times {
			t.Errorf("%d times %q, want %d, in\n%s", got, want, times, text)
		}
	}
}

// TestDigestOfReminders: each names the command and the place that end it.
func TestDigestOfReminders(t *testing.T) {
	item := incident.Item{
		Kind: incident.KindReminder, Reasons: []incident.Owed{{Kind: incident.KindReminder, Reason: incident.DueUnfed, DueAt: time.Date(2026, 7, 23, 14, 0, 0, 0, time.UTC)}},
		Incident: incident.Incident{Number: 7, UseCase: "Nobody can log on", State: incident.StateOpen, OpenedAt: noon, Priority: incident.Priority{Name: "P1"}},
	}
	text, err := wording.Text(&incident.Message{
		Kind: incident.KindDigest, At: noon, Location: time.UTC, BaseURL: "https://sitrep.example.org",
		Audiences: []incident.Audience{incident.AudienceOnCall}, Items: []incident.Item{item, item},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Update due by 14:00. Write it on the page, or with: sitrep incident update INC-7 \"…\"\n", "https://sitrep.example.org/incidents/INC-7#update\n"} {
		if strings.Count(text, want) != 2 {
			t.Errorf("want twice %q in\n%s", want, text)
		}
	}
}

// compose returns the text of a message about the item to those audiences.
func compose(t *testing.T, to []incident.Audience, it incident.Item) string {
	t.Helper()
	text, err := wording.Text(&incident.Message{Kind: it.Kind, At: noon, Location: time.UTC, Audiences: to, Group: "leadership", Items: []incident.Item{it}})
	if err != nil {
		t.Fatal(err)
	}
	return text
}
