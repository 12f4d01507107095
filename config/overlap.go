package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/prometheus/alertmanager/pkg/labels"
)

// The search for SLOs that can claim the same alert is bounded, so that a load
// takes no longer than a moment whatever the files say. It is enough for every pair
// of 10,000 SLOs, most of which ask different values of one label.
const (
	maxPairs    = 50_000_000
	maxMeetings = 1_000_000
)

// A claim is an SLO with matchers, and where it stands.
type claim struct {
	id    string
	match Matchers
	s     *source
	path  string
	// weight says what comparing it costs: the values that it tries and the matchers.
	weight int
	// equal are its equality matchers, numbered so that comparing is quick.
	equal []numbered
}

// A numbered is a label and its value as numbers.
type numbered struct{ name, value int }

// checkOverlap warns of SLOs whose match can claim the same alert. It reports
// what can be seen without knowing the alerts: two SLOs that ask of a label in
// common what one value can fulfil, and contradict each other in none.
func (k *checker) checkOverlap() {
	claims := k.claims()
	pairs, meetings := maxPairs, maxMeetings
	for i := range claims {
		var before []string
		for j := range i {
			if pairs--; pairs < 0 || meetings < 0 {
				return
			}
			if claims[j].excludes(&claims[i]) {
				continue
			}
			meetings -= 1 + claims[i].weight*claims[j].weight/64
			if meet(claims[j].match, claims[i].match) {
				before = append(before, claims[j].id)
			}
		}
		if c := claims[i]; len(before) > 0 {
			c.s.warnf(join(c.path, "match"), "it can claim alerts that %s can claim too; the first in file order gets them, so let them differ in a label", several(before))
		}
	}
}

// claims lists the SLOs with matchers in file order.
func (k *checker) claims() []claim {
	var claims []claim
	numbers := map[string]int{}
	number := func(text string) int {
		if numbers[text] == 0 {
			numbers[text] = len(numbers) + 1
		}
		return numbers[text]
	}
	for i, s := range k.teams {
		for n, o := range k.Teams[i].SLOs {
			c := claim{id: o.ID, match: flatten(o.Match), s: s, path: elem("slos", n)}
			for _, m := range c.match {
				c.weight += 1 + strings.Count(m.Value, "|")
				if m.Type == labels.MatchEqual {
					c.equal = append(c.equal, numbered{number(m.Name), number(m.Value)})
				}
			}
			if len(c.match) > 0 {
				claims = append(claims, c)
			}
		}
	}
	return claims
}

// excludes reports whether the two ask different values of one label.
func (c *claim) excludes(d *claim) bool {
	for _, e := range c.equal {
		for _, f := range d.equal {
			if e.name == f.name && e.value != f.value {
				return true
			}
		}
	}
	return false
}

// several names at most three of the ids.
func several(ids []string) string {
	const most = 3
	quoted := make([]string, 0, most)
	for _, id := range ids[:min(len(ids), most)] {
		quoted = append(quoted, fmt.Sprintf("%q", shorten(id)))
	}
	text := strings.Join(quoted, ", ")
	if more := len(ids) - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// meet reports whether an alert can be seen to match both: they have a label in
// common of which both ask something, and no label contradicts.
func meet(a, b Matchers) bool {
	common := false
	for _, m := range a {
		inCommon, possible := together(m.Name, a, b)
		if !possible {
			return false
		}
		common = common || inCommon
	}
	return common
}

// together reports whether both ask something of the label, and whether one value
// can be seen to fulfil all that they ask of it.
func together(name string, a, b Matchers) (inCommon, possible bool) {
	var all Matchers
	asks := [2]bool{}
	for i, ms := range [2]Matchers{a, b} {
		for _, m := range ms {
			if m.Name == name {
				all = append(all, m)
				asks[i] = asks[i] || !m.Matches("")
			}
		}
	}
	inCommon = asks[0] && asks[1]
	finite := false // the values to try are all there are
	patterns := map[string]bool{}
	values := []string{""}
	for _, m := range all {
		switch m.Type {
		case labels.MatchEqual:
			finite = true
			values = append(values, m.Value)
		case labels.MatchRegexp:
			if words := strings.Split(m.Value, "|"); regexp.QuoteMeta(strings.Join(words, "")) == strings.Join(words, "") {
				finite = true
				values = append(values, words...)
			} else {
				patterns[m.Value] = true
			}
		}
	}
	for _, v := range values {
		if !slices.ContainsFunc(all, func(m *labels.Matcher) bool { return !m.Matches(v) }) {
			return inCommon, true
		}
	}
	// Of one pattern it is assumed that something matches it; whether two have a text
	// in common is not looked into.
	return inCommon, !finite && len(patterns) <= 1
}
