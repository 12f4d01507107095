package cli

import (
	"bytes"
	"testing"
	"time"

	"sitrep/api"
	"sitrep/incident"
	"sitrep/incident/incidentjson"
	"sitrep/wording"
)

// printed returns what fn prints at nine on a Monday in Berlin.
func printed(t *testing.T, fn func(*incidentCLI, *table)) string {
	t.Helper()
	var out bytes.Buffer
	c := &incidentCLI{
		env: Environment{Stdout: &out, Getenv: func(name string) string { return map[string]string{"TZ": ":Europe/Berlin"}[name] }},
		now: func() time.Time { return time.Date(2026, 3, 2, 8, 0, 30, 0, time.UTC) },
	}
	if err := c.print(func(tb *table) { fn(c, tb) }); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func at(text string) *time.Time {
	v, err := time.Parse(time.RFC3339, text)
	if err != nil {
		panic(err)
	}
	return &v
}

func TestListsAreAlignedInLocalTime(t *testing.T) {
	all := []incidentjson.Incident{
		{
			ID: "INC-120", Priority: "P1", State: incident.StateOpen, Phase: incident.PhaseInitialDiagnosis, OpenedAt: at("2026-03-02T05:55:00Z"),
			Breaches: incidentjson.BreachCounts{Firing: 1, Unknown: 2, Total: 3}, NextUpdateAt: at("2026-03-02T08:12:00Z"), Team: "mail", UseCase: "Application cannot send", Labels: map[string]string{"region": "e\x1bu"},
		},
		{
			ID: "INC-9", Priority: "P2", Drill: true, State: incident.StateOpen, Phase: incident.PhaseRecovery, OpenedAt: at("2026-02-28T08:00:00Z"),
			NextUpdateAt: at("2026-03-02T08:05:00Z"), UpdateLateSince: at("2026-03-02T07:40:00Z"), Team: "web", UseCase: "a\x1b[2J\x07b\u202ec\nd\te",
		},
	}
	got := printed(t, func(c *incidentCLI, tb *table) { c.incidents(tb, all) })
	want := `ID       PRIORITY  STATE  PHASE              OPENED                          BREACHES                   NEXT UPDATE BY    TEAM  USE CASE
INC-120  P1        open   initial-diagnosis  06:55 (2h6m ago)                1 of 3 firing, 2 unknown  09:12 (in 12m)    mail  Application cannot send (e u)
INC-9    DRILL P2  open   recovery           Sat 28 Feb, 09:00 (2d ago)      none                       09:05 (21m late)  web   a [2J bc d e
`
	if spaces.ReplaceAllString(got, "  ") != spaces.ReplaceAllString(want, "  ") {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	// The columns of all lines begin at the same place.
	lines := bytes.Split([]byte(got), []byte("\n"))
	for _, column := range []string{"PRIORITY", "NEXT UPDATE BY", "USE CASE"} {
		i := bytes.Index(lines[0], []byte(column))
		for _, line := range lines[1:3] {
			if i < 2 || line[i-1] != ' ' || line[i] == ' ' {
				t.Errorf("column %s does not begin at %d of %q", column, i, line)
			}
		}
	}
}

func TestTextOfOthersCannotMoveTheCursor(t *testing.T) {
	evil := "\x1b]0;owned\x07\r\u009b31m\u2066x"
	got := printed(t, func(c *incidentCLI, tb *table) {
		in := incidentjson.Incident{ID: "INC-1", Priority: evil, UseCase: evil, Team: evil, EscalatedTo: evil, Labels: map[string]string{evil: evil}}
		in.Actions = []incidentjson.Action{{Name: evil, Reason: evil, Link: evil}}
		c.incident(tb, &in)
		c.done(tb, &in)
		c.breaches(tb, []incidentjson.Breach{{Fingerprint: evil, Labels: map[string]string{evil: evil}}})
		c.deliveries(tb, []incidentjson.Delivery{{Recipient: evil, Group: evil, Error: evil, Incidents: []string{evil}}})
		c.events(tb, []incidentjson.Event{
			{Type: incident.EventUpdateWritten, Actor: incident.Actor(evil), Data: incidentjson.EventData{Message: evil + "\nsecond line"}},
			{Type: incident.EventOpened, Reason: evil, Data: incidentjson.EventData{Opening: &incidentjson.Opening{Priority: evil}}},
		})
		c.previewed(tb, &api.Preview{Joins: []api.PreviewReader{{Recipient: evil}}})
	})
	for _, r := range got {
		if r != '\n' && (r < ' ' || r >= 0x7f && r < 0xa0 || r == '\u2066') {
			t.Fatalf("printed %q in\n%q", r, got)
		}
	}
}

// TestEventsAreToldAsElsewhere: nothing that an event's words need is lost on the way
// through JSON, but for the direction of a change of priority.
func TestEventsAreToldAsElsewhere(t *testing.T) {
	when := *at("2026-03-02T07:00:00Z")
	all := incident.Data{
		Opening:     &incident.Opening{UseCase: "Customers cannot pay", Priority: incident.Priority{Name: "P1"}, Drill: true, Declared: true},
		Fingerprint: "a13f", StartsAt: when, EndsAt: when.Add(time.Minute), HeardAt: when.Add(2 * time.Minute), Priority: "P1", From: "P2", To: "P3",
		EscalatedTo: "database team", Message: "We look.", Audiences: []incident.Audience{incident.AudienceManagement}, Audience: incident.AudienceStakeholders,
		DueAt: when.Add(3 * time.Minute), Missed: 2, Cause: incident.Cause{Kind: incident.CauseSaid, Said: "refused"}, Action: "hotfix", Link: "https://git.example.org/1",
		Stakeholders: []string{"sales"},
	}
	into := all
	into.Into = 41
	for _, data := range []incident.Data{all, into} {
		for _, kind := range incident.EventTypes() {
			for _, actor := range []incident.Actor{"ada", incident.ActorScheduler} {
				e := incident.Event{Incident: 1, Sequence: 2, Time: when, Type: kind, Actor: actor, Reason: "as it is", Data: data}
				if !actor.Person() {
					e.Reason, e.Data.Why = "", incident.WhyNobodyAsked
				}
				form := incidentjson.FromEvent(&e)
				printed(t, func(_ *incidentCLI, tb *table) {
					want := wording.Describer{Depth: wording.ForRecord, Nameless: true, Time: tb.clock.Time}.Event(&e)
					if got := tb.what(&form); got != want {
						t.Errorf("%s by %s:\n got %s\nwant %s", kind, actor, got, want)
					}
				})
			}
		}
	}
}

func TestTimesNearAndFar(t *testing.T) {
	for text, want := range map[string]string{
		"2026-03-02T08:00:10Z": "09:00 (now)",
		"2026-03-02T08:01:15Z": "09:01 (now)",
		"2026-03-02T08:03:30Z": "09:03 (in 3m)",
		"2026-03-02T06:00:00Z": "07:00 (2h1m ago)",
		"2026-03-03T07:00:30Z": "Tue 3 Mar, 08:00 (in 23h)",
		"2026-04-02T08:00:30Z": "Thu 2 Apr, 10:00 CEST (in 31d)",
	} {
		var got string
		printed(t, func(_ *incidentCLI, tb *table) { got = tb.at(at(text)) })
		if got != want {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
}
