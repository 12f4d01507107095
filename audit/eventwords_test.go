package audit

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"sitrep/incident"
)

// A page has one zone, in what happened and in why it was late.
func TestExportPagesHaveOneZone(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 24, 23, 18, 45, 0, time.UTC)
	down := incident.Cause{Kind: incident.CauseDown, From: at, To: at.Add(75 * time.Second)}
	const downThere = "sitrep was down from 2026-11-25 00:18:45 to 2026-11-25 00:20:00"
	for _, c := range []struct {
		e    incident.Event
		want string
	}{
		{incident.Event{Type: incident.EventBreachStarted, Data: incident.Data{StartsAt: at, Fingerprint: "a", Priority: "P1"}}, "A breach started at 2026-11-25 00:18:45 (alert a, SLO priority P1)."},
		{incident.Event{Type: incident.EventBreachEnded, Data: incident.Data{EndsAt: at, Fingerprint: "a"}}, "A breach ended at 2026-11-25 00:18:45 (alert a)."},
		{
			incident.Event{Type: incident.EventUpdateMissed, Data: incident.Data{DueAt: at, Missed: 1, Audience: incident.AudienceManagement, Cause: down}},
			"The update to at least one reader of management that was due at 2026-11-25 00:18:45 did not go out in time: " + downThere + ".",
		},
		// What others said is theirs.
		{
			incident.Event{Type: incident.EventUpdateMissed, Data: incident.Data{DueAt: at, Missed: 2, Audience: incident.AudienceManagement, Cause: incident.Cause{Kind: incident.CauseSaid, Said: "451 try after 2026-11-24T23:18:45Z"}}},
			"2 updates to at least one reader of management did not go out in time, the first due at 2026-11-25 00:18:45: 451 try after 2026-11-24T23:18:45Z.",
		},
	} {
		if got := eventWords(&c.e, berlin); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.e.Type, got, c.want)
		}
	}

	var b bytes.Buffer
	rep := &Report{From: at, To: at.Add(time.Hour), location: berlin, Late: []Lateness{{Incident: "INC-1", Why: SitrepDown, DueAt: at, SentAt: at.Add(time.Hour), Cause: "in another zone", cause: down}}}
	if err := rep.WriteHTML(&b); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.String(), downThere) {
		t.Error("the report does not have the cause in its zone")
	}
}

// What people wrote stands whole beside the words of an event, once.
func TestExportPagesHaveWhatPeopleWrote(t *testing.T) {
	pages, err := pageTemplates(time.UTC, "")
	if err != nil {
		t.Fatal(err)
	}
	long := strings.TrimSpace(strings.Repeat("we look on, ", 100))
	var b bytes.Buffer
	page := &incidentPage{incidentRow: incidentRow{In: &incident.Incident{Number: 1}}, Export: &exportPage{}}
	var rows []timelineRow
	for _, e := range []incident.Event{
		{Sequence: 1, Type: incident.EventUpdateWritten, Actor: "ada", Data: incident.Data{Message: "The cause is known.\n" + long, Audiences: []incident.Audience{incident.AudienceManagement}}},
		{Sequence: 2, Type: incident.EventPriorityChanged, Actor: "ada", Reason: "some can pay", Data: incident.Data{From: "P1", To: "P2", Definition: &incident.Priority{Name: "P2"}}},
		{Sequence: 3, Type: incident.EventBreachUnknown, Actor: incident.ActorScheduler, Reason: "nothing was heard of it", Data: incident.Data{Fingerprint: "a"}},
	} {
		rows = append(rows, timelineRow{Event: &e, Words: eventWords(&e, time.UTC)})
	}
	page.Timeline = slices.Values(rows)
	if err := pages.ExecuteTemplate(&b, "incident", page); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"Wrote to management:<br>The cause is known.\n" + long + "</td>",
		`Lowered the priority from P1 to P2.<br><span class="dim">some can pay</span></td>`,
		`Nobody knows any more whether a breach still fires (alert a).<br><span class="dim">nothing was heard of it</span></td>`,
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %s in\n%s", want, b.String())
		}
	}
}

// The list of incidents fits a window and a sheet of paper: what is long in it wraps.
func TestExportListOfIncidentsWraps(t *testing.T) {
	pages, err := pageTemplates(time.UTC, "")
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 24, 23, 18, 45, 0, time.UTC)
	in := &incident.Incident{Number: 1, UseCase: "Customers cannot pay", Team: "payments", OpenedAt: at, ResolvedAt: at}
	var b bytes.Buffer
	if err := pages.ExecuteTemplate(&b, "export", exportPage{Rows: []incidentRow{{In: in}}}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`<td class="what">Customers cannot pay</td>`, `<td>payments</td>`, `<td class="when">2026-11-24 23:18:45</td><td class="when">2026-11-24 23:18:45</td>`, `class="n wrap"`} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %s", want)
		}
	}
}
