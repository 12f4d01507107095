package config

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/prometheus/alertmanager/matcher/parse"
	"github.com/prometheus/alertmanager/pkg/labels"
)

// Matchers are Alertmanager matchers that stand in one text, mostly one. They
// match an alert if each of them does.
type Matchers labels.Matchers

// String returns the matchers as they can be written in the file.
func (ms Matchers) String() string {
	texts := make([]string, len(ms))
	for i, m := range ms {
		texts[i] = m.String()
	}
	return strings.Join(texts, ",")
}

// hold reports whether each matcher matches the labels. A label that is missing
// is an empty one, as in Alertmanager.
func (ms Matchers) hold(set map[string]string) bool {
	for _, m := range ms {
		if !m.Matches(set[m.Name]) {
			return false
		}
	}
	return true
}

// parseMatchers reads matchers as Alertmanager does by default: with its newer
// syntax, which takes any UTF-8 name, and with its older one, which wins where
// the two read something else.
func parseMatchers(text string) (Matchers, error) {
	if !utf8.ValidString(text) {
		return nil, errors.New("it is not valid UTF-8")
	}
	newer, newerErr := parse.Matchers(text)
	older, olderErr := labels.ParseMatchers(text)
	var ms Matchers
	switch {
	case olderErr == nil:
		ms = older
	case newerErr == nil:
		ms = Matchers(newer)
	default:
		return nil, fmt.Errorf("%q is not a matcher (%w); write it as 'alertname=\"NotificationDelay\"'", shorten(text), newerErr)
	}
	if len(ms) == 0 {
		return nil, fmt.Errorf("%q holds no matcher; write it as 'alertname=\"NotificationDelay\"'", shorten(text))
	}
	return ms, nil
}

// anyHolds returns the first of the texts whose matchers all match the labels, nil
// if there is none.
func anyHolds(list []Matchers, set map[string]string) Matchers {
	for _, ms := range list {
		if ms.hold(set) {
			return ms
		}
	}
	return nil
}

// flatten returns the matchers of all texts as one list.
func flatten(list []Matchers) Matchers {
	var out Matchers
	for _, ms := range list {
		out = append(out, ms...)
	}
	return out
}
