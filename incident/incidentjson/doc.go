// Package incidentjson is the one JSON form of incidents, their events, breaches
// and deliveries. The API answers with it, webhooks carry it and pages may read it.
//
// The presence of fields is decided once: each field of a form is always there,
// in the order of its struct. A time that is not set, and the name of an incident
// where there is none, is null; a text that is not set is ""; a list is [] and an
// object {}, never null. Only an event's data holds just what its type brings.
// Times are RFC 3339 in UTC, and incidents are named as people name them, INC-42.
package incidentjson

import (
	"strconv"
	"strings"
	"time"

	"sitrep/incident"
)

// when returns a time in UTC, or nil if it is not set.
func when(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// name returns the name of an incident, or nil if there is none.
func name(number int64) *string {
	if number == 0 {
		return nil
	}
	id := incident.ID(number)
	return &id
}

// names returns the names of incidents, never nil.
func names(numbers []int64) []string {
	ids := make([]string, 0, len(numbers))
	for _, n := range numbers {
		ids = append(ids, incident.ID(n))
	}
	return ids
}

// list returns a copy of in as S, never nil.
func list[S, T ~string](in []T) []S {
	out := make([]S, 0, len(in))
	for _, v := range in {
		out = append(out, S(v))
	}
	return out
}

// object returns m, never nil.
func object(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

// Duration writes d as the configuration does, such as 1h30m; "" if it is zero.
func Duration(d time.Duration) string {
	var b strings.Builder
	for _, u := range []struct {
		unit time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}, {time.Millisecond, "ms"}} {
		if n := d / u.unit; n > 0 {
			b.WriteString(strconv.FormatInt(int64(n), 10) + u.name)
			d -= n * u.unit
		}
	}
	return b.String()
}
