package wording

import "sitrep/incident"

// ReadBy says who will read what a person is about to write, as a sentence that stands beside
// the field. The audiences are those that the priority informs, if that is known.
func ReadBy(r incident.Readership, audiences ...incident.Audience) string {
	switch {
	case r == incident.ReadInside:
		return "Stays inside: only the pages, the people on call and the evidence show it."
	case len(audiences) == 0:
		return "Goes out: all who are informed read it in their messages."
	}
	return "Goes out: " + AudienceNames(audiences) + " read it in their messages."
}
