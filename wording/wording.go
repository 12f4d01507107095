// Package wording says in plain language what a message, an incident or an event
// is about. Every channel uses it, so that the same facts stand in the same words
// everywhere.
//
// [Compose] turns a message into a [Report], which the channels lay out; [Text]
// is its plain form. Words of people and labels of alerts are strangers' text:
// all of it is cleaned here, and is still to be escaped by who shows it. Nothing
// here reads a clock or does I/O.
package wording

import (
	"fmt"
	"slices"
	"strings"

	"sitrep/incident"
)

// How many characters of what others wrote a message carries.
const (
	titleLimit  = 160
	nameLimit   = 80
	reasonLimit = 400
	wordsLimit  = 2500
	labelsLimit = 200
)

// Headline says what is broken: the use case, or the incident's name without one.
func Headline(in *incident.Incident) string {
	if s := Line(in.UseCase, titleLimit); s != "" {
		return s
	}
	return in.ID()
}

// Subject is the subject line of a message. That of an incident's messages stays
// the same for its life but for the priority, so that mail programs show them as one
// thread; reminders, digests and the watchdog have their own.
func Subject(m *incident.Message) string {
	clock := Clock{m.At, m.Location}
	if m.Kind == incident.KindWatchdog {
		return "[watchdog] " + watchdogTitle(m.Watchdog)
	}
	it := m.First()
	in := &it.Incident
	tag := priorityName(in)
	switch m.Kind {
	case incident.KindDigest:
		return fmt.Sprintf("[%s] %s", drillTag(allDrills(m), tag), Count(len(m.Items), "incident"))
	case incident.KindReminder:
		return fmt.Sprintf("[%s] %s %s", drillTag(in.Drill, "reminder"), in.ID(), reminderTitle(it, clock))
	}
	return fmt.Sprintf("[%s] %s %s", drillTag(in.Drill, tag), in.ID(), Headline(in))
}

func drillTag(drill bool, tag string) string {
	if drill {
		return strings.TrimSpace("DRILL " + tag)
	}
	return tag
}

func allDrills(m *incident.Message) bool {
	return !slices.ContainsFunc(m.Items, func(it incident.Item) bool { return !it.Incident.Drill })
}

func priorityName(in *incident.Incident) string { return Line(in.Priority.Name, 20) }

// Text is a message in plain text: what the text part of a mail says, and what a
// webhook's message says.
func Text(m *incident.Message) (string, error) { return Compose(m).Text() }

// AudienceName says who an audience is.
func AudienceName(a incident.Audience) string {
	if a == incident.AudienceOnCall {
		return "the people on call"
	}
	return Line(string(a), nameLimit)
}

// AudienceNames says who several audiences are.
func AudienceNames(audiences []incident.Audience) string {
	names := make([]string, len(audiences))
	for i, a := range audiences {
		names[i] = AudienceName(a)
	}
	return List(names)
}

// PhaseName says in which step of the response an incident is.
func PhaseName(p incident.Phase) string {
	return strings.ReplaceAll(Line(string(p), nameLimit), "-", " ")
}
