package importer

import (
	"cmp"
	"fmt"
	"maps"

	"go.yaml.in/yaml/v3"

	"sitrep/chain"
	"sitrep/internal/yamlfile"
)

// AlertsOf returns the alerts that Sloth or Pyrra will make of their specs, as far as their labels
// go. Where the spec does not say all labels there may be others. Of OpenSLO nobody can say: it leaves
// that to who makes the rules, and a finding says what to name in its stead. Specs is whether the text
// is specs and nothing else.
func AlertsOf(file string, text []byte) (made []*chain.Rule, findings []chain.Finding, specs bool) {
	docs, err := yamlfile.Read(text)
	if err != nil {
		return nil, nil, false
	}
	src := &Source{specs: true}
	specs = len(docs) > 0
	for _, doc := range docs {
		if !src.spec(file, doc) {
			specs = false
		}
	}
	return src.made, src.Findings, specs
}

// unmade notes that nobody can say what alerts will be made of an SLO of OpenSLO. Sloth is whether
// that is one of which Sloth makes rules.
func (s *Source) unmade(o *Objective, file string, sloth bool) {
	if !s.specs {
		return
	}
	f := chain.Finding{
		Kind: chain.KindUnreadable, Severity: chain.Error, Place: o.From,
		Text: fmt.Sprintf("OpenSLO does not say what alerts the SLO %q has, so none can be followed from it", clean(o.ID)),
		Fix:  fmt.Sprintf("name the rules that are made of it, whose alerts have the label sitrep_slo (or sloth_id, or slo) with this id; sitrep import %s writes the SLO itself", clean(file)),
	}
	if sloth {
		f.Fix = fmt.Sprintf("name the rules that are made of it (sloth generate -i %s), and those whose alerts have sloth_id %q, as Sloth makes no alerts of it; sitrep import %[1]s writes the SLO itself", clean(file), clean(o.ID))
	}
	s.Findings = append(s.Findings, f)
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
