package importer

import (
	"cmp"
	"maps"

	"go.yaml.in/yaml/v3"

	"sitrep/chain"
	"sitrep/internal/yamlfile"
)

// AlertsOf returns the alerts that Sloth or Pyrra will make of their specs, as far as their labels
// go, and whether the text is one. Where the spec does not say all labels there may be others. Of OpenSLO
// nobody can say: it leaves that to who makes the rules.
func AlertsOf(file string, text []byte) ([]*chain.Rule, bool) {
	docs, err := yamlfile.Read(text)
	if err != nil {
		return nil, false
	}
	src := &Source{specs: true}
	for _, doc := range docs {
		src.spec(file, doc)
	}
	return src.made, len(src.made)+len(src.Findings) > 0
}

// make notes an alert that a tool makes, if specs are asked for that.
func (s *Source) make(p chain.Place, name string, set, annotations map[string]string, open bool) {
	if !s.specs {
		return
	}
	r := &chain.Rule{Place: p, ExprPlace: p, Name: name, Static: map[string]chain.Static{}, Annotations: annotations, Expr: "vector(1)"}
	if open {
		r.Expr = "whatever_the_tool_asks"
	}
	for n, v := range set {
		r.Static[n] = chain.Static{Value: v, Place: p}
	}
	s.made = append(s.made, r)
}

// slothAlerts notes the page and the ticket of an SLO of Sloth.
func (s *Source) slothAlerts(file string, alerting *yaml.Node, o *Objective, set map[string]string) {
	for _, kind := range []string{"page", "ticket"} {
		n := yamlfile.Get(alerting, kind+"_alert")
		if off(n, "disable") {
			continue
		}
		all := maps.Clone(set)
		maps.Copy(all, yamlfile.Texts(alerting, "labels"))
		maps.Copy(all, yamlfile.Texts(n, "labels"))
		all["sloth_severity"] = kind
		at := o.From
		if n != nil {
			at = place(file, n)
		}
		s.make(at, cmp.Or(yamlfile.Text(alerting, "name"), o.ID), all, yamlfile.Texts(alerting, "annotations"), false)
	}
}
