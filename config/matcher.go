package config

import (
	"errors"
	"fmt"
	"regexp/syntax"
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
	if _, err := cost(text); err != nil {
		return nil, err
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

// What matchers may cost, so that no file makes a load or an alert slow: compiled, a
// repetition such as {1000} takes as much as what it repeats written so often.
const (
	maxMatcherText = 8 << 10   // bytes of one text
	maxMatcher     = 10_000    // of one text
	maxClasses     = 20        // such as \pL, in one text: each has hundreds of ranges
	maxSLOMatchers = 100       // matchers of one SLO, in match and in ignore
	maxFileCost    = 500_000   // of all in one file
	maxTotalCost   = 1_000_000 // of all files; about 100 bytes each
	// regexpCost is what any regular expression costs, however short it is.
	regexpCost = 20
)

// affordable reports whether the matchers in a text can be compiled, beside those
// before in the file and in all files. If they cannot, that is a problem, said once.
func (s *source) affordable(text, path string) bool {
	if s.matching > maxFileCost || s.l.matching > maxTotalCost {
		return false // and was said
	}
	n, err := cost(text)
	if err != nil {
		s.errorf(path, "%v", err)
		n = maxMatcher // finding it out is not free either
	}
	s.matching += n
	s.l.matching += n
	switch {
	case s.matching > maxFileCost:
		s.errorf(path, "with this the regular expressions of the file cost more than may be, and the rest is not looked at; write shorter ones or =, or split the file")
	case s.l.matching > maxTotalCost:
		s.errorf(path, "with this the regular expressions of all files cost more than may be, and the rest is not looked at; write shorter ones or =")
	default:
		return err == nil
	}
	return false
}

// plainly makes equality matchers of all others, which are read but not compiled.
// The length stays, so that errors name the right place.
var plainly = strings.NewReplacer("=~", "= ", "!~", "!=")

// cost returns about how many instructions the regular expressions in a text come to,
// without compiling any. A value that is none is measured as if it were one: it may
// look like one and cost nothing, but never the other way.
func cost(text string) (int, error) {
	if len(text) > maxMatcherText {
		return 0, fmt.Errorf("it is longer than %d bytes; write it shorter, or as several", maxMatcherText)
	}
	if !strings.Contains(text, "=~") && !strings.Contains(text, "!~") {
		return 0, nil
	}
	if strings.Count(text, `\p`)+strings.Count(text, `\P`) > maxClasses {
		return 0, fmt.Errorf("it names more than %d classes of letters (\\p); write fewer", maxClasses)
	}
	plain := plainly.Replace(text)
	var all []*labels.Matcher
	newer, newerErr := parse.Matchers(plain)
	older, olderErr := labels.ParseMatchers(plain)
	if newerErr != nil && olderErr != nil {
		return 0, fmt.Errorf("%q is not a matcher (%w); write it as 'alertname=\"NotificationDelay\"'", shorten(text), newerErr)
	}
	all = append(append(all, newer...), older...)
	total := 0
	for _, m := range all {
		re, err := syntax.Parse(m.Value, syntax.Perl)
		if err != nil {
			continue // it is not compiled either
		}
		total = min(total+regexpCost+instructions(re), 2*maxMatcher+2)
	}
	// Both syntaxes read the same, mostly.
	if len(newer) == len(older) {
		total /= 2
	}
	if total > maxMatcher {
		return 0, fmt.Errorf("the regular expression in %q is too large once it is compiled (beyond %d steps); write it shorter, and its repetitions with smaller numbers", shorten(text), maxMatcher)
	}
	return total, nil
}

// instructions returns about how many instructions an expression compiles to, and
// stops counting where that is too many.
func instructions(re *syntax.Regexp) int {
	n := 1
	switch re.Op {
	case syntax.OpLiteral:
		n = len(re.Rune)
	case syntax.OpCharClass:
		n = 1 + len(re.Rune)/8
	}
	for _, sub := range re.Sub {
		n = min(n+instructions(sub), maxMatcher+1)
	}
	if re.Op == syntax.OpRepeat {
		n *= max(re.Min, re.Max, 1)
	}
	return min(n, maxMatcher+1)
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
