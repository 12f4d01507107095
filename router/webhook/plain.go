package webhook

import (
	"strings"
	"unicode"
	"unicode/utf16"

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

// wide returns s with those of the characters of marks in their wide form that do not stand
// between letters or digits: there they begin or end something, a mention or bold text.
// They look alike, and mean nothing.
func wide(s, marks string) string {
	if !strings.ContainsAny(s, marks) {
		return s
	}
	in := []rune(s)
	out := make([]rune, len(in))
	for i, r := range in {
		out[i] = r
		if strings.ContainsRune(marks, r) && (i == 0 || !wordy(in[i-1]) || i == len(in)-1 || !wordy(in[i+1])) {
			out[i] = r - '!' + '！' // the wide forms stand in the order of ASCII
		}
	}
	return string(out)
}

func wordy(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// units is how long a text is where characters beyond the basic plane count twice.
func units(s string) int {
	n := 0
	for _, r := range s {
		n += max(utf16.RuneLen(r), 1)
	}
	return n
}
