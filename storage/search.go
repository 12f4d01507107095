package storage

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"sitrep/incident"
)

// AppendIncidentText appends what an incident is searched by beside what people write: its id,
// its use case, service, team and SLO, and the values of its labels, in lower case and each
// with the end of a line before it. Engines keep it beside the state.
func AppendIncidentText(b []byte, in *incident.Incident) []byte {
	b = append(b, "\ninc-"...)
	b = strconv.AppendInt(b, in.Number, 10)
	for _, s := range [...]string{in.UseCase, in.Service, in.Team, in.SLO} {
		b = appendLower(b, s)
	}
	if len(in.Labels) > 0 {
		for _, name := range slices.Sorted(maps.Keys(in.Labels)) {
			b = appendLower(b, in.Labels[name])
		}
	}
	return b
}

// appendLower appends a text in lower case after the end of a line. An incident is stored
// often, and most texts are ASCII.
func appendLower(b []byte, s string) []byte {
	b = append(b, '\n')
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= utf8.RuneSelf:
			return append(b, strings.ToLower(s[i:])...)
		case 'A' <= c && c <= 'Z':
			c += 'a' - 'A'
		}
		b = append(b, c)
	}
	return b
}

// EventText returns what people wrote in an event, in lower case and with a line for each: the
// message, the reason or note, and to whom it was escalated unless that was forgotten. It is
// empty for most. Engines keep it beside the event, and anew once people of it were forgotten.
func EventText(e *incident.Event) string {
	if e.Reason == "" && e.Data.Message == "" && e.Data.EscalatedTo == "" {
		return ""
	}
	var b strings.Builder
	for _, s := range []string{e.Data.Message, e.Reason, e.Data.EscalatedTo} {
		if s == "" || s == incident.Forgotten {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(s)
	}
	return strings.ToLower(b.String())
}

// SearchWords returns the words of a text of an [IncidentQuery] as they stand in what is
// searched, each once, the first 32 of them.
func SearchWords(text string) []string {
	var words []string
	for word := range strings.FieldsSeq(strings.ToLower(text)) {
		if len(words) < 32 && !slices.Contains(words, word) {
			words = append(words, word)
		}
	}
	return words
}
