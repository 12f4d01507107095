package chain

import (
	"slices"

	"github.com/prometheus/common/model"
	promlabels "github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// A Selector picks the series that an expression looks at.
type Selector struct {
	Text string // as PromQL
	// Name is that of the metric, empty if it is not one name; Job the value that the label job
	// must have, empty if it may have several.
	Name, Job string
}

// Selectors returns what the expression of a rule looks at, each once. There are none if the rule
// fires because something is not there, as with absent.
func (r *Rule) Selectors() []Selector {
	if r.expr == nil {
		return nil
	}
	var out []Selector
	absence := false
	parser.Inspect(r.expr, func(node parser.Node, _ []parser.Node) error {
		switch e := node.(type) {
		case *parser.Call:
			absence = absence || e.Func.Name == "absent" || e.Func.Name == "absent_over_time"
		case *parser.VectorSelector:
			s := selectorOf(e)
			if !slices.Contains(out, s) {
				out = append(out, s)
			}
		}
		return nil
	})
	if absence {
		return nil
	}
	return out
}

func selectorOf(e *parser.VectorSelector) Selector {
	plain := parser.VectorSelector{Name: e.Name, LabelMatchers: e.LabelMatchers}
	s := Selector{Text: plain.String(), Name: e.Name}
	for _, m := range e.LabelMatchers {
		if m.Type != promlabels.MatchEqual {
			continue
		}
		switch m.Name {
		case model.MetricNameLabel:
			s.Name = m.Value
		case "job":
			s.Job = m.Value
		}
	}
	return s
}
