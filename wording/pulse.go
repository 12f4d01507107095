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

// Pulse says in words which pulse of the watchdog has those labels, such as "cluster eu";
// empty without labels.
func Pulse(labels map[string]string) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		value := Line(labels[name], valueLimit)
		if value == "" {
			parts = append(parts, "no "+Line(name, nameLimit))
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
	if len(away) == 1 && away[0].Name == "" {
		return "Silent since " + clock.Time(away[0].AwaySince) + ". Until it is back, alerts that end are not believed."
	}
	var parts []string
	for _, p := range away[:min(len(away), pulsesLimit)] {
		parts = append(parts, Pulse(p.Labels)+" since "+clock.Time(p.AwaySince))
	}
	if more := len(away) - len(parts); more > 0 {
		parts = append(parts, Count(more, "other"))
	}
	until := "Until it is back, its"
	if len(away) > 1 {
		until = "Until they are back, their"
	}
	return "Silent: " + strings.Join(parts, "; ") + ". " + until + " alerts that end are not believed."
}

// watchdogTitle is the title of a message about the watchdog.
func watchdogTitle(w *incident.WatchdogNews) string {
	title := "Alerts arrive again"
	if w != nil && w.Away {
		title = "Alerts have stopped arriving"
	}
	if w == nil || w.Pulse == "" {
		return title
	}
	return title + " (" + Pulse(w.Labels) + ")"
}
