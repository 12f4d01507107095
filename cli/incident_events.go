package cli

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"sitrep/incident"
	"sitrep/incident/incidentjson"
	"sitrep/wording"
)

// events writes the log of an incident.
func (c *incidentCLI) events(t *table, all []incidentjson.Event) {
	t.row("SEQUENCE", "TIME", "TYPE", "ACTOR", "WHAT")
	for i := range all {
		e := &all[i]
		t.row(fmt.Sprint(e.Sequence), t.at(e.Time), string(e.Type), string(e.Actor), t.what(e))
	}
}

// what says in a line what an event brought. Who did it stands beside.
func (t *table) what(e *incidentjson.Event) string {
	return wording.Describer{Depth: wording.ForRecord, Nameless: true, Time: t.clock.Time}.Event(told(e))
}

// told returns of an event what its words need. Its form in JSON does not say whether a
// priority was raised.
func told(e *incidentjson.Event) *incident.Event {
	when := func(at *time.Time) time.Time {
		if at == nil {
			return time.Time{}
		}
		return *at
	}
	d := &e.Data
	out := &incident.Event{Type: e.Type, Actor: e.Actor, Reason: e.Reason, Data: incident.Data{
		Fingerprint: d.Fingerprint, StartsAt: when(d.StartsAt), EndsAt: when(d.EndsAt), HeardAt: when(d.HeardAt),
		Priority: d.Priority, From: d.From, To: d.To, EscalatedTo: d.EscalatedTo, TakenOver: d.TakenOver, Released: d.Released, Message: d.Message, Audiences: d.Audiences,
		Audience: d.Audience, Why: d.Why, DueAt: when(d.DueAt), Missed: d.Missed, Action: d.Action, Link: d.Link,
		Stakeholders: d.Stakeholders,
		Cause:        incident.Cause{Kind: d.CauseKind, From: when(d.DownFrom), To: when(d.DownTo)},
	}}
	if d.Why != "" {
		out.Reason = "" // which is what it says
	}
	if d.CauseKind == "" && d.Cause != "" || d.CauseKind == incident.CauseSaid {
		out.Data.Cause.Kind, out.Data.Cause.Said = incident.CauseSaid, d.Cause
	}
	if o := d.Opening; o != nil {
		out.Data.Opening = &incident.Opening{UseCase: o.UseCase, Priority: incident.Priority{Name: o.Priority}, Drill: o.Drill, Declared: o.Declared}
	}
	if d.Into != nil {
		out.Data.Into, _ = incident.ParseID(*d.Into) // sitrep wrote it
	}
	return out
}

// nonEmpty returns those texts that are not empty.
func nonEmpty(texts ...string) []string {
	return slices.DeleteFunc(texts, func(s string) bool { return s == "" })
}

// joined writes names with commas between them.
func joined[S ~string](items []S) string {
	texts := make([]string, len(items))
	for i, s := range items {
		texts[i] = string(s)
	}
	return strings.Join(texts, ", ")
}

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }
