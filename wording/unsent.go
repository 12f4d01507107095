package wording

import "sitrep/incident"

// Unsent says what should have been handed over and was not; nothing if there is nothing.
// The last error stands in it as it is, but for what a line cannot hold.
func Unsent(u *incident.Unsent, clock Clock) string {
	if !u.Any() {
		return ""
	}
	more := ""
	if u.More {
		more = "at least "
	}
	to := " to " + more + Count(u.Recipients, "recipient")
	text := ""
	switch {
	case u.Refused == 0:
		text = more + Count(u.Waiting, "message") + to + isAre(u.Waiting) + " not handed over"
	case u.Waiting == 0:
		text = more + Count(u.Refused, "message") + to + " failed for good"
	default:
		text = more + Count(u.Waiting, "message") + isAre(u.Waiting) + " not handed over and " + Count(u.Refused, "message") + " failed for good," + to
	}
	text = capital(text) + "; the first was due " + clock.Time(u.Since) + "."
	if said := Line(u.LastError, 300); said != "" {
		text += " The last error: " + said
	}
	return text
}

func isAre(n int) string {
	if n == 1 {
		return " is"
	}
	return " are"
}
