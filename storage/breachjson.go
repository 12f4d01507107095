package storage

import (
	"strconv"
	"time"

	"sitrep/incident"
)

// AppendBreach appends a breach as JSON, for an engine that keeps that: what encoding/json reads
// as the same again. Breaches are by far the most of what is stored, and written by hand they take
// a tenth of the time.
func AppendBreach(b []byte, x *incident.Breach) []byte {
	text := func(key, value string) {
		if value != "" {
			b = appendField(b, key, value)
		}
	}
	at := func(key string, t time.Time) {
		if !t.IsZero() {
			b = appendTimeField(b, key, t)
		}
	}
	texts := func(key string, all map[string]string) {
		if len(all) == 0 {
			return
		}
		b = append(b, key...)
		next := byte('{')
		for name, value := range all {
			b = appendField(append(b, next), "", name)
			b = appendField(b, ":", value)
			next = ','
		}
		b = append(b, '}')
	}
	b = appendField(b, `{"fingerprint":`, x.Fingerprint)
	if x.Ordinal != 0 {
		b = strconv.AppendInt(append(b, `,"ordinal":`...), x.Ordinal, 10)
	}
	b = appendTimeField(b, `,"starts_at":`, x.StartsAt)
	at(`,"said_starts_at":`, x.SaidStartsAt)
	at(`,"said_ends_at":`, x.SaidEndsAt)
	at(`,"ends_at":`, x.EndsAt)
	at(`,"ended_before":`, x.EndedBefore)
	at(`,"later_end":`, x.LaterEnd)
	b = appendField(b, `,"state":`, string(x.State))
	if x.Incident != 0 {
		b = strconv.AppendInt(append(b, `,"incident":`...), x.Incident, 10)
	}
	text(`,"priority":`, x.Priority)
	texts(`,"labels":`, x.Labels)
	texts(`,"annotations":`, x.Annotations)
	text(`,"generator_url":`, x.GeneratorURL)
	at(`,"heard_at":`, x.HeardAt)
	at(`,"listed_since":`, x.ListedSince)
	at(`,"ask_at":`, x.AskAt)
	at(`,"asked_at":`, x.AskedAt)
	at(`,"end_heard_at":`, x.EndHeardAt)
	if x.Grafana {
		b = append(b, `,"grafana":true`...)
	}
	return append(b, '}')
}
