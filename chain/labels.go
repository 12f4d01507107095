package chain

import (
	"slices"
	"strings"

	"github.com/prometheus/alertmanager/pkg/labels"
)

// A Verdict says whether something holds for the alerts of a rule.
type Verdict int

// The verdicts.
const (
	Never Verdict = iota
	Maybe         // for some of them, or it cannot be known
	Always
)

// String returns the word for it.
func (v Verdict) String() string { return [...]string{"never", "maybe", "always"}[v] }

// maxValues is of how many values of a label it is known that it has one of them.
const maxValues = 16

// A Value is what is known of a label: it has one of some values, or any. The empty value is
// that of a label that is not there.
type Value struct {
	Any bool
	Of  []string // sorted; if not Any
}

func oneOf(values ...string) Value {
	v := Value{Of: slices.Compact(slices.Sorted(slices.Values(values)))}
	if len(v.Of) > maxValues {
		return Value{Any: true}
	}
	return v
}

var (
	anything = Value{Any: true}
	absent   = oneOf("")
)

// or returns what is known if it is one or the other.
func (v Value) or(w Value) Value {
	if v.Any || w.Any {
		return anything
	}
	return oneOf(slices.Concat(v.Of, w.Of)...)
}

// and returns what is known if it is both. Where nothing is both, it is the first.
func (v Value) and(w Value) Value {
	switch {
	case v.Any:
		return w
	case w.Any:
		return v
	}
	both := slices.DeleteFunc(slices.Clone(v.Of), func(s string) bool { return !slices.Contains(w.Of, s) })
	if len(both) == 0 {
		return v
	}
	return Value{Of: both}
}

// matches says whether a matcher holds for the value.
func (v Value) matches(m *labels.Matcher) Verdict { return v.passes(&test{Matcher: m}) }

// passes says whether a test holds for the value.
func (v Value) passes(t *test) Verdict {
	if v.Any {
		return Maybe
	}
	n := 0
	for _, s := range v.Of {
		if t.matches(s) {
			n++
		}
	}
	switch n {
	case 0:
		return Never
	case len(v.Of):
		return Always
	}
	return Maybe
}

// surely reports whether it is known to be something.
func (v Value) surely() bool { return !v.Any && !slices.Contains(v.Of, "") }

// String returns it for people.
func (v Value) String() string {
	switch {
	case v.Any:
		return "any value"
	case len(v.Of) == 1 && v.Of[0] == "":
		return "nothing"
	}
	quoted := make([]string, len(v.Of))
	for i, s := range v.Of {
		quoted[i] = quote(s)
	}
	return strings.Join(quoted, " or ")
}

// Labels are what is known of the labels of a rule's alerts. The zero value has none.
type Labels struct {
	// Named are those of which something is known.
	Named map[string]Value
	// Open is set if there may be others, with any value.
	Open bool
}

// Exactly returns labels of which all is known, as those of an alert that fires.
func Exactly(set map[string]string) Labels {
	l := Labels{Named: make(map[string]Value, len(set))}
	for name, value := range set {
		l.Named[name] = oneOf(value)
	}
	return l
}

// Get returns what is known of a label.
func (l Labels) Get(name string) Value {
	if v, ok := l.Named[name]; ok {
		return v
	}
	if l.Open {
		return anything
	}
	return absent
}

func (l Labels) with(name string, v Value) Labels {
	named := make(map[string]Value, len(l.Named)+1)
	for n, w := range l.Named {
		named[n] = w
	}
	named[name] = v
	return Labels{named, l.Open}
}

func (l Labels) without(names ...string) Labels {
	out := l
	for _, n := range names {
		out = out.with(n, absent)
	}
	return out
}

// only returns the labels of those names alone.
func (l Labels) only(names ...string) Labels {
	out := Labels{Named: make(map[string]Value, len(names))}
	for _, n := range names {
		out.Named[n] = l.Get(n)
	}
	return out
}

// or returns what is known of alerts that have the labels of one or of the other.
func (l Labels) or(m Labels) Labels {
	out := Labels{Named: map[string]Value{}, Open: l.Open || m.Open}
	for n := range l.Named {
		out.Named[n] = l.Get(n).or(m.Get(n))
	}
	for n := range m.Named {
		out.Named[n] = l.Get(n).or(m.Get(n))
	}
	return out
}

// A matching says which labels two samples have in common: those named, or all but those.
type matching struct {
	names []string
	on    bool
}

func (m matching) has(name string) bool { return slices.Contains(m.names, name) == m.on }

// matched returns l with what m says of the labels that they have in common.
func (l Labels) matched(m Labels, by matching) Labels {
	out := Labels{Named: map[string]Value{}, Open: l.Open && (m.Open || by.on)}
	for n, v := range l.Named {
		out.Named[n] = v
	}
	for n := range m.Named {
		if by.has(n) {
			out.Named[n] = l.Get(n).and(m.Get(n))
		}
	}
	if !m.Open {
		for n := range l.Named {
			if by.has(n) {
				out.Named[n] = l.Get(n).and(m.Get(n))
			}
		}
	}
	return out
}

// Holds says whether all matchers hold.
func (l Labels) Holds(ms labels.Matchers) Verdict {
	all := Always
	for _, m := range ms {
		all = min(all, l.Get(m.Name).matches(m))
		if all == Never {
			return Never
		}
	}
	return all
}

// A test is a matcher that is asked often. Most regular expressions are a choice of words, which
// are compared faster than they are matched.
type test struct {
	*labels.Matcher
	words []string // nil: it is none
}

func testsOf(ms labels.Matchers) []test {
	out := make([]test, len(ms))
	for i, m := range ms {
		out[i].Matcher = m
		if words, ok := alternatives(m.Value); ok && (m.Type == labels.MatchRegexp || m.Type == labels.MatchNotRegexp) {
			out[i].words = words
		}
	}
	return out
}

func (t *test) matches(s string) bool {
	if t.words == nil {
		return t.Matches(s)
	}
	return slices.Contains(t.words, s) == (t.Type == labels.MatchRegexp)
}

// passes says whether all tests hold.
func (l Labels) passes(tests []test) Verdict {
	all := Always
	for i := range tests {
		all = min(all, l.Get(tests[i].Name).passes(&tests[i]))
		if all == Never {
			return Never
		}
	}
	return all
}

// all says whether all conditions hold.
func (l Labels) all(list []Condition) Verdict {
	v := Always
	for _, c := range list {
		v = min(v, l.Holds(c.Matchers))
	}
	return v
}

// any says whether one of the conditions holds, and which is the surest.
func (l Labels) any(list []Condition) (Verdict, *Condition) {
	v, by := Never, (*Condition)(nil)
	for i := range list {
		if w := l.Holds(list[i].Matchers); w > v {
			v, by = w, &list[i]
		}
	}
	return v, by
}

// evident reports whether at least one of the matchers is known to find something: that the
// others may match is then more than that nothing is known.
func (l Labels) evident(ms labels.Matchers) bool {
	return slices.ContainsFunc(ms, func(m *labels.Matcher) bool {
		v := l.Get(m.Name)
		return !v.Any && !m.Matches("") && v.matches(m) != Never
	})
}

// failing returns the first matcher that never holds, nil if each may.
func (l Labels) failing(ms labels.Matchers) *labels.Matcher {
	for _, m := range ms {
		if l.Get(m.Name).matches(m) == Never {
			return m
		}
	}
	return nil
}

// unsure returns the names of the labels because of which the matchers may or may not hold.
func (l Labels) unsure(ms labels.Matchers) []string {
	var names []string
	for _, m := range ms {
		if l.Get(m.Name).matches(m) == Maybe && !slices.Contains(names, m.Name) {
			names = append(names, m.Name)
		}
	}
	return names
}
