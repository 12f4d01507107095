package receiver

import (
	"bytes"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"sitrep/incident"
)

// The fields of an alert that are read.
const (
	fieldStatus = iota
	fieldLabels
	fieldAnnotations
	fieldStartsAt
	fieldEndsAt
	fieldGeneratorURL
	fieldFingerprint
)

var alertFields = [...]string{"status", "labels", "annotations", "startsAt", "endsAt", "generatorURL", "fingerprint"}

// alertField returns the field of that name, -1 if it is not one that is read.
func alertField(name []byte) int {
	return slices.IndexFunc(alertFields[:], func(f string) bool { return string(name) == f })
}

// sameButCase returns the one of known that name differs from by its case alone,
// empty if there is none.
func sameButCase(name []byte, known ...string) string {
	for _, k := range known {
		// Folding can change the length: U+017F is an s, U+212A a k.
		if len(name) >= len(k) && len(name) <= 3*len(k) && strings.EqualFold(string(name), k) {
			return k
		}
	}
	return ""
}

// finish checks an alert as a whole and brings it into form. What it returns is
// what is wrong with it. A time that nobody names, or that no clock can have shown,
// is no reason to lose an alert: it counts as the time of arrival.
func (d *decoder) finish(a *incident.Alert, status, startsAt, endsAt string, at time.Time) string {
	switch status {
	case "firing":
	case "resolved":
		a.Resolved = true
	case "":
		return "status is missing"
	default:
		return fmt.Sprintf("status %.20q is neither firing nor resolved", status)
	}
	if len(a.Labels) == 0 {
		if d.uncut != nil {
			return fmt.Sprintf("no label has a name of at most %d bytes", MaxLabel)
		}
		return "labels are missing"
	}
	var wrong string
	if a.StartsAt, wrong = parseTime(startsAt); wrong != "" {
		return "startsAt " + wrong
	}
	if a.Resolved {
		if a.EndsAt, wrong = parseTime(endsAt); wrong != "" {
			return "endsAt " + wrong
		}
		if a.EndsAt.IsZero() {
			a.EndsAt = at // it is over, and nobody says since when
		}
		if a.EndsAt.Before(a.StartsAt) {
			a.EndsAt = a.StartsAt
		}
		if a.StartsAt.IsZero() {
			a.StartsAt = a.EndsAt
		}
	}
	if a.Fingerprint == "" {
		a.Fingerprint = d.computed(a.Labels)
	}
	return ""
}

// parseTime parses an RFC 3339 time and cuts it to microseconds. Zero stands for
// nothing, for Go's zero time, and for what no store keeps. What it returns beside is
// what is wrong with it.
func parseTime(s string) (time.Time, string) {
	if s == "" || s == "0001-01-01T00:00:00Z" {
		return time.Time{}, ""
	}
	var t time.Time
	if err := t.UnmarshalText([]byte(s)); err != nil {
		return time.Time{}, fmt.Sprintf("%.40q is not a time", s)
	}
	t = t.UTC().Truncate(time.Microsecond)
	// Stores keep times as microseconds since 1970, and RFC 3339 ends with year 9999.
	if t.Year() < 1970 || t.Year() > 9999 {
		return time.Time{}, ""
	}
	return t, ""
}

// link returns a URL that can be offered as a link, empty if it is none: http or
// https, a host, no user in front of it, nothing that must not stand in a URL.
func (d *decoder) link(s []byte) string {
	if len(s) > MaxURL {
		return ""
	}
	var rest []byte
	switch {
	case len(s) > 7 && strings.EqualFold(string(s[:7]), "http://"):
		rest = s[7:]
	case len(s) > 8 && strings.EqualFold(string(s[:8]), "https://"):
		rest = s[8:]
	default:
		return ""
	}
	authority, foreign := true, false
	for i, c := range rest {
		switch c {
		case '"', '<', '>', '\\', '^', '`', '{', '|', '}', 0x7f:
			return ""
		case '/', '?', '#':
			if i == 0 {
				return ""
			}
			authority = false
		case '@':
			if authority {
				return ""
			}
		default:
			if c <= ' ' {
				return ""
			}
			foreign = foreign || c >= utf8.RuneSelf
		}
	}
	if foreign && (needsCleaning(rest, false) || bytes.ContainsRune(rest, utf8.RuneError)) {
		return ""
	}
	return d.intern(s)
}

// text reads the next value, a string, without quotes and escapes. Invalid UTF-8
// is replaced by U+FFFD. The bytes hold until the next reading.
func (d *decoder) text() ([]byte, error) {
	raw, err := d.json.ReadValue()
	if err != nil {
		return nil, err
	}
	inner := raw[1 : len(raw)-1]
	if d.plain = plain(inner); d.plain {
		return inner, nil
	}
	// An error here says again that UTF-8 is invalid, which is allowed.
	d.scratch, _ = jsontext.AppendUnquote(d.scratch[:0], raw)
	return d.scratch, nil
}

// plain reports whether the inside of a valid JSON string stands for itself and
// needs no cleaning.
func plain(s []byte) bool {
	for _, c := range s {
		if c == '\\' || c >= 0x7f {
			return false
		}
	}
	return true
}

// intern returns a string of those bytes, one that it made before if it can: names
// and most values of labels come again and again.
func (d *decoder) intern(s []byte) string {
	if len(s) == 0 {
		return ""
	}
	if len(s) > 256 {
		return string(s)
	}
	slot := &d.recent[maphash.Bytes(d.seed, s)%uint64(len(d.recent))]
	if *slot != string(s) {
		*slot = string(s)
	}
	return *slot
}

// clean returns s, that text read, with each control character replaced by U+FFFD, but for line
// breaks and tabs if lines is set, and reports whether it replaced any. A CR LF
// is then one line break.
func (d *decoder) clean(s []byte, lines bool) (string, bool) {
	if d.plain || !needsCleaning(s, lines) {
		return d.intern(s), false
	}
	var b strings.Builder
	replaced := false
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRune(s[i:])
		i += size
		switch {
		case lines && (r == '\n' || r == '\t'):
		case lines && r == '\r' && i < len(s) && s[i] == '\n':
			continue
		case unicode.IsControl(r), r == utf8.RuneError:
			r, replaced = utf8.RuneError, true
		}
		b.WriteRune(r)
	}
	return b.String(), replaced
}

// needsCleaning reports whether clean would change s.
func needsCleaning(s []byte, lines bool) bool {
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c < 0x7f || lines && (c == '\n' || c == '\t') {
			i++
			continue
		}
		if c < utf8.RuneSelf {
			return true
		}
		r, size := utf8.DecodeRune(s[i:])
		if unicode.IsControl(r) || r == utf8.RuneError && size == 1 {
			return true
		}
		i += size
	}
	return false
}
