package wording

import (
	"maps"
	"slices"
	"strings"

	"sitrep/incident"
)

const (
	// valueLimit is how many characters of a label's value stand in the words for a pulse.
	valueLimit = 60
	// pulsesLimit is how many pulses are named in one sentence.
	pulsesLimit = 3
)

// Pulse is [Language.Pulse] in English.
func Pulse(labels map[string]string) string { return In(english).Pulse(labels) }

// Pulse says in words which pulse of the watchdog has those labels, such as "cluster eu"; empty
// without labels.
func (l *Language) Pulse(labels map[string]string) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		value := Line(labels[name], valueLimit)
		if value == "" {
			parts = append(parts, l.say("pulse.without", "label", Line(name, nameLimit)))
			continue
		}
		parts = append(parts, Line(name, nameLimit)+" "+value)
	}
	return strings.Join(parts, ", ")
}

// Silent says which pulses of the watchdog are away, and what that means for an incident;
// empty if none is.
func Silent(away incident.Pulses, clock Clock) string {
	if len(away) == 0 {
		return ""
	}
	l := clock.Language
	if len(away) == 1 && away[0].Name == "" {
		return l.say("silent.all", "time", clock.Time(away[0].AwaySince))
	}
	var parts []string
	for _, p := range away[:min(len(away), pulsesLimit)] {
		parts = append(parts, l.say("silent.since", "pulse", l.Pulse(p.Labels), "time", clock.Time(p.AwaySince)))
	}
	if more := len(away) - len(parts); more > 0 {
		parts = append(parts, l.count("silent.more", more))
	}
	return l.count("silent.some", len(away), "pulses", strings.Join(parts, "; "))
}

// watchdogTitle is the title of a message about the watchdog.
func (l *Language) watchdogTitle(w *incident.WatchdogNews) string {
	title := l.say("watchdog.arrive")
	if w != nil && w.Away {
		title = l.say("watchdog.stopped")
	}
	if w == nil || w.Pulse == "" {
		return title
	}
	return title + " (" + l.Pulse(w.Labels) + ")"
}
