package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"sitrep/incident"
	"sitrep/incident/incidentjson"
)

// events writes the log of an incident.
func (c *incidentCLI) events(t *table, all []incidentjson.Event) {
	t.row("SEQUENCE", "TIME", "TYPE", "ACTOR", "WHAT")
	for i := range all {
		e := &all[i]
		t.row(fmt.Sprint(e.Sequence), t.at(e.Time), string(e.Type), string(e.Actor), t.what(e))
	}
}

// what says in a line what an event brought.
func (t *table) what(e *incidentjson.Event) string {
	d := &e.Data
	switch e.Type {
	case incident.Opened:
		text := "as " + d.Opening.Priority
		if d.Opening.Drill {
			text = "a drill, " + text
		}
		return strings.Join(nonEmpty(text, e.Reason), ": ")
	case incident.BreachStarted, incident.BreachEnded, incident.BreachUnknown:
		return d.Fingerprint
	case incident.PriorityChanged:
		return strings.Join(nonEmpty(d.From+" to "+d.To, e.Reason), ": ")
	case incident.PhaseChanged:
		text := d.To
		if d.EscalatedTo != "" {
			text += " to " + d.EscalatedTo
		}
		return strings.Join(nonEmpty(text, e.Reason), ": ")
	case incident.UpdateWritten:
		return "to " + joined(d.Audiences) + ": " + d.Message
	case incident.UpdateMissed:
		return fmt.Sprintf("%d to %s, due %s: %s", d.Missed, d.Audience, t.at(d.DueAt), d.Cause)
	case incident.ActionChanged:
		return strings.Join(nonEmpty(d.Action+" "+d.To, d.Link, e.Reason), ": ")
	case incident.AudienceChanged:
		return "stakeholders are " + strings.Join(d.Stakeholders, ", ")
	case incident.Merged:
		if d.Into != nil {
			return strings.Join(nonEmpty("into "+*d.Into, e.Reason), ": ")
		}
		return strings.Join(nonEmpty("with "+d.From, e.Reason), ": ")
	}
	return e.Reason
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
