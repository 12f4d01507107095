package chain

import (
	"regexp"
	"strings"

	"github.com/prometheus/common/model"
	promlabels "github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// promql reads what any Prometheus may be told to read.
var promql = parser.NewParser(parser.Options{EnableExperimentalFunctions: true, EnableBinopFillModifiers: true})

// An inference finds what labels the results of expressions can have.
type inference struct {
	recorded map[string]*metric
}

// A metric is what recording rules say of its series, one Labels for each rule. That others
// come from elsewhere with more labels is not assumed.
type metric struct {
	series []Labels
	by     map[pair][]int // the series with one value of a label
	with   map[string]int // how many have one value of that label
	union  Labels
}

// A pair is a label and its value.
type pair struct{ name, value string }

func (m *metric) add(l Labels) {
	if len(m.series) == 0 {
		m.union = l
	} else {
		m.union = m.union.or(l)
	}
	for n, v := range l.Named {
		if len(v.Of) == 1 {
			p := pair{n, v.Of[0]}
			m.by[p] = append(m.by[p], len(m.series))
			m.with[n]++
		}
	}
	m.series = append(m.series, l)
}

// selected returns what is known of the series that a selector picks.
func (m *metric) selected(pins map[string]Value) Labels {
	var fewest []int
	for n, v := range pins {
		if len(v.Of) != 1 || m.with[n] < len(m.series) {
			continue
		}
		if list := m.by[pair{n, v.Of[0]}]; len(list) > 0 && (fewest == nil || len(list) < len(fewest)) {
			fewest = list
		}
	}
	const most = 64
	if fewest == nil || len(fewest) > most {
		return m.union
	}
	out := m.series[fewest[0]]
	for _, i := range fewest[1:] {
		out = out.or(m.series[i])
	}
	return out
}

// of returns what is known of the labels of the samples that an expression gives.
func (f *inference) of(e parser.Expr) Labels {
	switch e := e.(type) {
	case *parser.VectorSelector:
		return f.selector(e)
	case *parser.MatrixSelector:
		return f.of(e.VectorSelector)
	case *parser.SubqueryExpr:
		return f.of(e.Expr)
	case *parser.ParenExpr:
		return f.of(e.Expr)
	case *parser.UnaryExpr:
		return f.of(e.Expr)
	case *parser.StepInvariantExpr:
		return f.of(e.Expr)
	case *parser.AggregateExpr:
		return f.aggregate(e)
	case *parser.BinaryExpr:
		return f.binary(e)
	case *parser.Call:
		return f.call(e)
	case *parser.NumberLiteral, *parser.StringLiteral:
		return Labels{}
	}
	return Labels{Open: true}
}

// selector returns what the matchers of a selector pin, and what is known of its metric
// from the rules that record it.
func (f *inference) selector(e *parser.VectorSelector) Labels {
	l := Labels{Named: map[string]Value{}, Open: true}
	name := e.Name
	for _, m := range e.LabelMatchers {
		switch {
		case m.Name == model.MetricNameLabel:
			if m.Type == promlabels.MatchEqual {
				name = m.Value
			}
		case m.Type == promlabels.MatchEqual:
			l.Named[m.Name] = l.Get(m.Name).and(oneOf(m.Value))
		case m.Type == promlabels.MatchRegexp:
			if words, ok := alternatives(m.Value); ok {
				l.Named[m.Name] = l.Get(m.Name).and(oneOf(words...))
			}
		}
	}
	if m, ok := f.recorded[name]; ok {
		l = l.matched(m.selected(l.Named), matching{})
	}
	return l
}

// alternatives returns the values that a regular expression of plain words matches.
func alternatives(pattern string) ([]string, bool) {
	words := strings.Split(pattern, "|")
	plain := strings.Join(words, "")
	return words, regexp.QuoteMeta(plain) == plain
}

func (f *inference) aggregate(e *parser.AggregateExpr) Labels {
	in := f.of(e.Expr)
	switch e.Op {
	case parser.TOPK, parser.BOTTOMK, parser.LIMITK, parser.LIMIT_RATIO:
		return in
	}
	var out Labels
	if e.Without {
		out = in.without(e.Grouping...)
	} else {
		out = in.only(e.Grouping...)
	}
	if e.Op == parser.COUNT_VALUES {
		if s, ok := e.Param.(*parser.StringLiteral); ok {
			out = out.with(s.Val, anything)
		}
	}
	return out
}

func (f *inference) binary(e *parser.BinaryExpr) Labels {
	left, right := f.of(e.LHS), f.of(e.RHS)
	switch {
	case e.LHS.Type() == parser.ValueTypeScalar:
		return right
	case e.RHS.Type() == parser.ValueTypeScalar, e.VectorMatching == nil:
		return left
	}
	vm := e.VectorMatching
	by := matching{vm.MatchingLabels, vm.On}
	switch {
	case e.Op == parser.LOR:
		return left.or(right)
	case e.Op == parser.LUNLESS:
		return left
	case e.Op == parser.LAND:
		return left.matched(right, by)
	}
	switch vm.Card {
	case parser.CardManyToOne, parser.CardOneToMany:
		many, one := left, right
		if vm.Card == parser.CardOneToMany {
			many, one = right, left
		}
		out := many.matched(one, by)
		for _, n := range vm.Include {
			out = out.with(n, one.Get(n))
		}
		return out
	}
	out := left.matched(right, by)
	if vm.On {
		return out.only(vm.MatchingLabels...)
	}
	return out.without(vm.MatchingLabels...)
}

func (f *inference) call(e *parser.Call) Labels {
	switch e.Func.Name {
	case "absent", "absent_over_time":
		return f.absent(e.Args[0])
	case "vector", "scalar", "time", "pi":
		return Labels{}
	case "label_replace":
		return f.replace(e)
	case "label_join":
		if dst, ok := literal(e.Args[1]); ok {
			return f.of(e.Args[0]).with(dst, anything)
		}
		return Labels{Open: true}
	case "info":
		in := f.of(e.Args[0])
		in.Open = true
		return in
	case "histogram_quantile":
		return f.of(e.Args[1]).without("le")
	}
	for _, a := range e.Args {
		if t := a.Type(); t == parser.ValueTypeVector || t == parser.ValueTypeMatrix {
			return f.of(a)
		}
	}
	return Labels{}
}

// absent returns the labels of what is said not to be there: those that its selector pins.
func (f *inference) absent(e parser.Expr) Labels {
	for {
		switch in := e.(type) {
		case *parser.ParenExpr:
			e = in.Expr
			continue
		case *parser.MatrixSelector:
			e = in.VectorSelector
			continue
		case *parser.VectorSelector:
			l := Labels{Named: map[string]Value{}}
			for _, m := range in.LabelMatchers {
				if m.Name == model.MetricNameLabel {
					continue
				}
				if _, twice := l.Named[m.Name]; m.Type == promlabels.MatchEqual && !twice {
					l.Named[m.Name] = oneOf(m.Value)
				} else {
					l.Named[m.Name] = absent
				}
			}
			return l
		}
		return Labels{}
	}
}

// replace returns the labels of label_replace, which often sets one to a constant.
func (f *inference) replace(e *parser.Call) Labels {
	in := f.of(e.Args[0])
	dst, ok := literal(e.Args[1])
	replacement, ok2 := literal(e.Args[2])
	src, ok3 := literal(e.Args[3])
	pattern, ok4 := literal(e.Args[4])
	switch {
	case !ok || !ok2 || !ok3 || !ok4:
		return Labels{Open: true}
	case strings.Contains(replacement, "$"):
		return in.with(dst, anything)
	case pattern == ".*" || pattern == "(.*)" || pattern == "" && src == "":
		return in.with(dst, oneOf(replacement))
	}
	return in.with(dst, in.Get(dst).or(oneOf(replacement)))
}

func literal(e parser.Expr) (string, bool) {
	s, ok := e.(*parser.StringLiteral)
	if !ok {
		return "", false
	}
	return s.Val, true
}
