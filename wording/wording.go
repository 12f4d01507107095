// Package wording says in plain language what a message, an incident or an event
// is about. Every channel uses it, so that the same facts stand in the same words
// everywhere.
//
// Messages are in the language of their reader ([incident.Message.Language]), each of which is
// a file in the folder languages: see [Language]. Pages, records and all else are English.
//
// [Compose] turns a message into a [Report], which the channels lay out; [Text]
// is its plain form. Words of people and labels of alerts are strangers' text:
// all of it is cleaned here, and is still to be escaped by who shows it. Nothing
// here reads a clock or does I/O.
package wording

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"sitrep/incident"
)

// How many characters of what others wrote a message carries.
const (
	titleLimit  = 160
	nameLimit   = 80
	reasonLimit = 400
	wordsLimit  = 2500
	labelsLimit = 200
	whereLimit  = 40 // of a value in a headline
	wheresLimit = 80 // of all of them
)

// Headline says what is broken: the use case, or the incident's name without one, and in
// brackets the values of the labels that tell it from others of its SLO. It is at most 160
// characters long, and the same for the life of the incident.
func Headline(in *incident.Incident) string {
	return Line(headline(cmp.Or(Line(in.UseCase, titleLimit), in.ID()), in.Labels), titleLimit)
}

// headline puts the values of labels behind a use case, which makes room for them.
func headline(useCase string, labels map[string]string) string {
	where := values(labels)
	if where == "" {
		return useCase
	}
	where = " (" + where + ")"
	return shorten(useCase, titleLimit-utf8.RuneCountInString(where)) + where
}

// values are the values of labels in the order of their names; one that is empty among
// others is a dash.
func values(labels map[string]string) string {
	var all []string
	some := false
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		value := Line(labels[name], whereLimit)
		some = some || value != ""
		all = append(all, cmp.Or(value, "–"))
	}
	if !some {
		return ""
	}
	return Line(strings.Join(all, ", "), wheresLimit)
}

// Subject is the subject line of a message. That of an incident's messages stays
// the same for its life but for the priority, so that mail programs show them as one
// thread; reminders, digests, the watchdog and the canary have their own.
func Subject(m *incident.Message) string {
	clock := clockOf(m)
	l := clock.Language
	switch m.Kind {
	case incident.KindWatchdog:
		return l.say("subject.watchdog", "title", l.watchdogTitle(m.Watchdog))
	case incident.KindCanary:
		title := ""
		if m.Canary != nil {
			title = l.canaryTitle(m.Canary)
		}
		return strings.TrimSpace(l.say("subject.canary", "title", title))
	}
	it := m.First()
	in := &it.Incident
	tag := priorityName(in)
	switch m.Kind {
	case incident.KindDigest:
		return fmt.Sprintf("[%s] %s", l.drillTag(allDrills(m), tag), l.count("incidents", len(m.Items)))
	case incident.KindReminder:
		return fmt.Sprintf("[%s] %s %s", l.drillTag(in.Drill, l.say("subject.reminder")), in.ID(), reminderTitle(it, clock))
	}
	return fmt.Sprintf("[%s] %s %s", l.drillTag(in.Drill, tag), in.ID(), Headline(in))
}

func (l *Language) drillTag(drill bool, tag string) string {
	if drill {
		return strings.TrimSpace(l.say("drill.tag", "tag", tag))
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

// AudienceName says in English who an audience is.
func AudienceName(a incident.Audience) string { return In(english).audience(a) }

// AudienceNames says in English who several audiences are.
func AudienceNames(audiences []incident.Audience) string { return In(english).audiences(audiences) }

// PhaseName says in English in which step of the response an incident is.
func PhaseName(p incident.Phase) string { return In(english).phase(p) }

func (l *Language) audience(a incident.Audience) string {
	if key := "audience." + string(a); l.has(key) {
		return l.say(key)
	}
	return Line(string(a), nameLimit)
}

func (l *Language) audiences(audiences []incident.Audience) string {
	names := make([]string, len(audiences))
	for i, a := range audiences {
		names[i] = l.audience(a)
	}
	return l.list(names)
}

func (l *Language) phase(p incident.Phase) string {
	if key := "phase." + string(p); l.has(key) {
		return l.say(key)
	}
	return strings.ReplaceAll(Line(string(p), nameLimit), "-", " ")
}
