package webhook

import (
	"strings"

	"sitrep/wording"
)

// headline is what stands on top: the sign of the priority, the incident and its status.
func headline(r *wording.Report) string {
	return wording.Sign(r.Tone) + " " + named(r.ID, r.Status)
}

// named returns the parts that are there, with a point in between.
func named(parts ...string) string {
	var there []string
	for _, p := range parts {
		if p != "" {
			there = append(there, p)
		}
	}
	return strings.Join(there, " · ")
}

// timed puts the time before what happened then.
func timed(when, text string) string {
	if when != "" && text != "" {
		return when + ": " + text
	}
	return when + text
}

// summary is what a notification shows.
func summary(r *wording.Report, subject string) string {
	return strings.TrimSuffix(wording.Sign(r.Tone)+" "+subject+": "+r.Preview, ": ")
}
