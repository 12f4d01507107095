package chain

import (
	"regexp"
	"slices"
	"strings"

	"github.com/prometheus/alertmanager/pkg/labels"
)

// A claim is an SLO that claims a rule's alerts.
type claim struct {
	slo     int
	verdict Verdict
	label   string // whose value is its id; empty: its matchers claim
}

// A miss is an SLO that a rule's alerts name and whose matchers refuse them.
type miss struct {
	slo, condition int
	matcher        *labels.Matcher
}

// claims finds the SLOs of alerts without looking at all of them.
type claims struct {
	promise *Promise
	byID    map[string]int
	byPair  map[pair][]int // by the rarest equality matcher
	by      map[string]bool
	scanned []int
}

func newClaims(p *Promise) *claims {
	x := &claims{promise: p, byID: map[string]int{}, byPair: map[pair][]int{}, by: map[string]bool{}}
	shared := map[pair]int{}
	for i := range p.SLOs {
		for _, e := range p.SLOs[i].equalities() {
			shared[e]++
		}
	}
	for i := range p.SLOs {
		s := &p.SLOs[i]
		if _, twice := x.byID[s.ID]; !twice {
			x.byID[s.ID] = i
		}
		if len(s.Match) == 0 {
			continue
		}
		equal := s.equalities()
		if len(equal) == 0 {
			x.scanned = append(x.scanned, i)
			continue
		}
		// Where a label is not known, another may be: it is found by each that few others ask for.
		rarest := slices.MinFunc(equal, func(a, b pair) int { return shared[a] - shared[b] })
		for _, e := range equal {
			const few = 64
			if e == rarest || shared[e] <= few {
				x.byPair[e] = append(x.byPair[e], i)
				x.by[e.name] = true
			}
		}
	}
	return x
}

// equalities returns the labels that an alert of the SLO must have by its match, with their values.
func (s *SLO) equalities() []pair {
	var out []pair
	for _, c := range s.Match {
		for _, m := range c.Matchers {
			if m.Type == labels.MatchEqual && m.Value != "" {
				out = append(out, pair{m.Name, m.Value})
			}
		}
	}
	return out
}

// of returns the SLOs that claim alerts with these labels, the one that gets them first, and those
// that they name in vain. It follows what sitrep does with an alert: by the labels whose value is
// an id, in their order, then by matchers.
func (x *claims) of(l Labels) (found []claim, missed []miss) {
	for _, name := range x.promise.IDLabels {
		v := l.Get(name)
		if v.Any {
			continue
		}
		for _, id := range v.Of {
			i, known := x.byID[id]
			if !known || slices.ContainsFunc(found, func(c claim) bool { return c.slo == i }) {
				continue
			}
			s := &x.promise.SLOs[i]
			verdict := l.all(s.Match)
			if verdict == Never {
				missed = append(missed, s.missed(i, l))
				continue
			}
			if len(v.Of) > 1 {
				verdict = Maybe
			}
			found = append(found, claim{i, verdict, name})
		}
	}
	if slices.ContainsFunc(found, func(c claim) bool { return c.verdict == Always }) {
		return found, missed
	}
	var candidates []int
	for name := range x.by {
		for _, value := range l.Get(name).Of {
			candidates = append(candidates, x.byPair[pair{name, value}]...)
		}
	}
	candidates = append(candidates, x.scanned...)
	slices.Sort(candidates)
	for _, i := range slices.Compact(candidates) {
		s := &x.promise.SLOs[i]
		if slices.ContainsFunc(found, func(c claim) bool { return c.slo == i }) {
			continue
		}
		if verdict := l.all(s.Match); verdict == Always || verdict == Maybe && evidentIn(l, s.Match) {
			found = append(found, claim{i, verdict, ""})
		}
	}
	return found, missed
}

// missed returns which of an SLO's matchers refuses alerts.
func (s *SLO) missed(i int, l Labels) miss {
	for n, c := range s.Match {
		if m := l.failing(c.Matchers); m != nil {
			return miss{i, n, m}
		}
	}
	return miss{slo: i}
}

// refused counts the matchers of an SLO that alerts can never fulfil, and whether another is known
// to be fulfilled.
func (s *SLO) refused(l Labels) (n int, evident bool, first miss) {
	for i, c := range s.Match {
		for _, m := range c.Matchers {
			switch {
			case l.Get(m.Name).matches(m) == Never:
				if n == 0 {
					first = miss{condition: i, matcher: m}
				}
				n++
			case l.evident(labels.Matchers{m}):
				evident = true
			}
		}
	}
	return n, evident, first
}

var (
	burnName = regexp.MustCompile(`(?i:burn_?rate|budget_?burn|error_?budget)|SLO(?:[A-Z_0-9-]|$)|(?:^|[_:-])slo(?:[_:-]|$)`)
	burnExpr = regexp.MustCompile(`(?i)burn_?rate|error_?budget|\bslo:|:slo\b|slo:sli_error`)
)

// LooksLikeSLO reports whether a rule seems to be about an SLO, and by what.
func LooksLikeSLO(r *Rule, idLabels []string) (label string, yes bool) {
	for _, name := range idLabels {
		if _, ok := r.Static[name]; ok {
			return name, true
		}
		if v := r.Labels.Get(name); v.surely() {
			return name, true
		}
	}
	if strings.HasPrefix(r.Name, "SLOMetricAbsent") {
		return "", false
	}
	return "", burnName.MatchString(r.Name) || burnExpr.MatchString(r.Expr)
}
