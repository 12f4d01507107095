package config

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/alertmanager/pkg/labels"

	"sitrep/incident"
)

// A Match is what the config says of an alert.
type Match struct {
	// SLO is the one that claims the alert; nil if none does. For an alert that none
	// claims, and where unmapped alerts have a priority, it stands in for one:
	// Unmapped is set and its UseCase is left to the caller. It must not be changed.
	SLO *incident.SLO
	// Label is the label whose value is the SLO's id, if that is how it was found, and
	// empty if its matchers did.
	Label string
	// Ambiguous are the ids of other SLOs that claim the alert too, in file order.
	Ambiguous []string
	// Ignored is set if the alert is to be counted and nothing else. SLO is set then
	// if it is its SLO that ignores it.
	Ignored bool
	// IgnoredBy are the matchers by which it is ignored.
	IgnoredBy Matchers
	// Watchdog is set if the alert is the one that always fires; nothing else is set
	// then.
	Watchdog bool
	// Canary is set if the alert is one that a sitrep posted; Ignored is set then, and nothing else.
	Canary bool
}

// An index finds the SLO of an alert without looking at all of them.
type index struct {
	labels   []string // whose value is an id, in the order in which they are tried
	entries  []entry  // in file order
	byID     map[string]int
	ids      []string       // in file order
	byEqual  map[pair][]int // those with match, by their rarest equality matcher
	scanned  []int          // those with match that have no equality matcher
	ignore   []Matchers
	watchdog Matchers
	unmapped *incident.SLO // nil if they have no priority
	looksAt  map[string]bool
}

// An entry is an SLO as far as looking up needs it.
type entry struct {
	slo    *incident.SLO // the policy's
	match  Matchers
	ignore []Matchers
	per    []string // the labels of incident_per, sorted
}

// A pair is a label and its value.
type pair struct{ name, value string }

// Lookup finds the SLO of an alert by its labels: by the labels whose value is an
// id, in their order, then by the SLOs' matchers, the first in file order. What it
// costs does not depend on how many SLOs there are, but for those with matchers
// none of which is an equality.
func (c *Config) Lookup(set map[string]string) Match {
	m, _ := c.index.find(set)
	return m
}

// Nearest returns the first id label of an alert whose value is no SLO's id but nearly one,
// and the id that was probably meant; both empty if there is none. It looks at all SLOs, so it
// is for people who look at an alert that none claims.
func (c *Config) Nearest(set map[string]string) (label, id string) {
	for _, l := range c.index.labels {
		if _, known := c.index.byID[set[l]]; known || set[l] == "" {
			continue
		}
		if near, ok := nearest(set[l], c.index.ids); ok {
			return l, near
		}
	}
	return "", ""
}

// LooksAt reports whether what becomes of an alert can depend on its label of that
// name: the id labels, alertname, the canary's, and those of match, ignore, watchdog and
// incident_per.
func (c *Config) LooksAt(label string) bool { return c.index.looksAt[label] }

// find is Lookup, and counts the SLOs whose matchers it looked at.
func (x *index) find(set map[string]string) (m Match, examined int) {
	if set[incident.CanaryLabel] != "" {
		return Match{Canary: true, Ignored: true}, 0
	}
	if len(x.watchdog) > 0 && x.watchdog.hold(set) {
		return Match{Watchdog: true}, 0
	}
	if by := anyHolds(x.ignore, set); by != nil {
		return Match{Ignored: true, IgnoredBy: by}, 0
	}
	found, others, examined := x.byLabel(set)
	if found < 0 {
		var n int
		found, others, n = x.byMatch(set)
		examined += n
	}
	if found < 0 {
		if x.unmapped != nil {
			s := *x.unmapped
			s.Key = unmappedPrefix + set["alertname"]
			m.SLO = &s
		}
		return m, examined
	}
	e := &x.entries[found]
	m.SLO = e.keyed(set)
	m.Label = x.label(set, found)
	m.IgnoredBy = anyHolds(e.ignore, set)
	m.Ignored = m.IgnoredBy != nil
	slices.Sort(others)
	for _, i := range slices.Compact(others) {
		if i != found {
			m.Ambiguous = append(m.Ambiguous, x.entries[i].slo.ID)
		}
	}
	return m, examined
}

// byLabel finds the SLO that an id label names; -1 if there is none. The others
// are those that further id labels name.
func (x *index) byLabel(set map[string]string) (found int, others []int, examined int) {
	found = -1
	for _, l := range x.labels {
		value, labelled := set[l]
		i, ok := x.byID[value]
		if !labelled || !ok {
			continue
		}
		examined++
		switch {
		case i == found || !x.entries[i].match.hold(set):
		case found < 0:
			found = i
		default:
			others = append(others, i)
		}
	}
	return found, others, examined
}

// label returns the label by which byLabel found an SLO, empty if it did not: with
// such a label it is found by it, whatever its matchers.
func (x *index) label(set map[string]string, found int) string {
	for _, l := range x.labels {
		if set[l] == x.entries[found].slo.ID {
			return l
		}
	}
	return ""
}

// byMatch finds the first SLO in file order whose matchers hold; -1 if there is
// none. The others are those whose matchers hold too.
func (x *index) byMatch(set map[string]string) (found int, others []int, examined int) {
	found = -1
	try := func(i int) {
		examined++
		if !x.entries[i].match.hold(set) {
			return
		}
		if found < 0 {
			found = i
			return
		}
		others = append(others, max(i, found))
		found = min(i, found)
	}
	for name, value := range set {
		for _, i := range x.byEqual[pair{name, value}] {
			try(i)
		}
	}
	for _, i := range x.scanned {
		try(i)
	}
	return found, others, examined
}

// keyed returns the SLO as it counts for an alert: with the values of the labels
// in incident_per.
func (e *entry) keyed(set map[string]string) *incident.SLO {
	if len(e.per) == 0 {
		return e.slo
	}
	s := *e.slo
	s.Labels = make(map[string]string, len(e.per))
	var b strings.Builder
	b.WriteString(s.Key)
	for i, l := range e.per {
		s.Labels[l] = set[l]
		b.WriteByte("{,"[min(i, 1)])
		b.WriteString(label(l))
		b.WriteByte('=')
		b.WriteString(strconv.Quote(set[l]))
	}
	b.WriteByte('}')
	s.Key = b.String()
	return &s
}

const unmappedPrefix = "unmapped/"

// key returns what tells the incidents of an SLO apart: its id, quoted where it
// could be taken for another's key.
func key(id string) string {
	if strings.ContainsAny(id, "{\"\\") || strings.HasPrefix(id, unmappedPrefix) {
		return strconv.Quote(id)
	}
	return id
}

// label returns the name of a label, quoted where it is not a plain one.
func label(name string) string {
	const plain = "_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	if strings.Trim(name, plain) != "" {
		return strconv.Quote(name)
	}
	return name
}

// newIndex builds the index of a config that has its policy.
func newIndex(c *Config) *index {
	slos := c.policy.SLOs
	x := &index{
		labels:  c.IDLabels(),
		entries: make([]entry, 0, len(slos)),
		byID:    make(map[string]int, len(slos)),
		ids:     make([]string, 0, len(slos)),
		byEqual: map[pair][]int{},
		ignore:  c.Ignore,
	}
	if c.Watchdog != nil {
		x.watchdog = flatten(c.Watchdog.Match)
	}
	if u := c.Unmapped; u != nil && u.Priority != "" {
		x.unmapped = &incident.SLO{Priority: u.Priority, Stakeholders: u.Groups, Unmapped: true}
	}
	shared := map[pair]int{} // how many SLOs have that equality matcher
	for i := range c.Teams {
		for j := range c.Teams[i].SLOs {
			o := &c.Teams[i].SLOs[j]
			e := entry{slo: &slos[len(x.entries)], match: flatten(o.Match), ignore: o.Ignore, per: slices.Sorted(slices.Values(o.IncidentPer))}
			x.byID[o.ID] = len(x.entries)
			x.ids = append(x.ids, o.ID)
			x.entries = append(x.entries, e)
			for _, p := range equalities(e.match) {
				shared[p]++
			}
		}
	}
	for i, e := range x.entries {
		if len(e.match) == 0 {
			continue
		}
		equal := equalities(e.match)
		if len(equal) == 0 {
			x.scanned = append(x.scanned, i)
			continue
		}
		rarest := slices.MinFunc(equal, func(a, b pair) int { return cmp.Compare(shared[a], shared[b]) })
		x.byEqual[rarest] = append(x.byEqual[rarest], i)
	}
	x.looksAt = x.labelNames()
	return x
}

// labelNames returns the names of all labels that the index looks at.
func (x *index) labelNames() map[string]bool {
	names := map[string]bool{"alertname": true, incident.CanaryLabel: true}
	add := func(list ...Matchers) {
		for _, ms := range list {
			for _, m := range ms {
				names[m.Name] = true
			}
		}
	}
	for _, l := range x.labels {
		names[l] = true
	}
	add(x.watchdog)
	add(x.ignore...)
	for i := range x.entries {
		e := &x.entries[i]
		add(e.match)
		add(e.ignore...)
		for _, l := range e.per {
			names[l] = true
		}
	}
	return names
}

// equalities returns the labels that an alert must have for the matchers to hold,
// with their values. One with an empty value is none: the label may be missing.
func equalities(ms Matchers) []pair {
	var out []pair
	for _, m := range ms {
		if m.Type == labels.MatchEqual && m.Value != "" {
			out = append(out, pair{m.Name, m.Value})
		}
	}
	return out
}

// plain returns the SLO in the domain's terms.
func (o *SLO) plain(team string) incident.SLO {
	return incident.SLO{
		ID: o.ID, UseCase: o.UseCase, Affects: o.Affects, SLI: o.SLI, Service: o.Service, Team: team, Priority: o.Priority,
		Runbook: string(o.Runbook), Stakeholders: o.Stakeholders, Key: key(o.ID), Per: o.IncidentPer,
	}
}
