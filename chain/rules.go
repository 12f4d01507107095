package chain

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"

	"sitrep/internal/yamlfile"
)

// The bounds of rules.
const (
	maxRules = 200_000 // of all files
	maxExpr  = 64 << 10
)

// A Rule is what raises alerts.
type Rule struct {
	Place Place
	Group string
	Name  string // the alertname
	// Static are the labels that the rule sets, as they are written, and where.
	Static map[string]Static
	// Annotations may be templates, as the labels.
	Annotations map[string]string
	Expr        string
	ExprPlace   Place
	// Labels are what is known of the labels of its alerts.
	Labels Labels

	expr parser.Expr // nil if it cannot be read
}

// A Static is a label of a rule.
type Static struct {
	Value string
	Place Place
}

// Rules are the rules of all files. They are complete with [Rules.Infer].
type Rules struct {
	Alerts []*Rule
	// Findings are what could not be read.
	Findings []Finding

	recording []recording
}

// A recording is a rule that records a metric.
type recording struct {
	name   string
	expr   parser.Expr
	labels map[string]string
}

// Parse adds the rules of a file: groups of Prometheus, or a PrometheusRule of its operator.
func (r *Rules) Parse(file string, text []byte) {
	docs, err := yamlfile.Read(text)
	if err != nil {
		r.Findings = append(r.Findings, unreadable(file, err))
		return
	}
	found := false
	for _, doc := range docs {
		groups := yamlfile.Get(doc, "groups")
		if yamlfile.Text(doc, "kind") == "PrometheusRule" {
			groups = yamlfile.Get(doc, "spec", "groups")
		}
		if groups == nil {
			continue
		}
		found = true
		for _, g := range groups.Content {
			r.group(file, g)
		}
	}
	if !found {
		text, fix := "there are no groups of rules in this file", "name the files that Prometheus reads (rule_files)"
		if len(docs) > 0 && isSpec(docs[0]) {
			text = "this describes objectives in a version or of a kind that is not known, and the rules that are made of it are another file"
			fix = "name what is made of it: by Sloth with sloth generate, by Pyrra with pyrra generate"
		}
		r.Findings = append(r.Findings, Finding{Kind: KindUnreadable, Severity: Error, Place: Place{File: file}, Text: text, Fix: fix})
	}
}

// isSpec reports whether a document is one of Sloth, Pyrra or OpenSLO.
func isSpec(doc *yaml.Node) bool {
	version := yamlfile.Text(doc, "apiVersion")
	return strings.HasPrefix(yamlfile.Text(doc, "version"), "prometheus/v1") ||
		strings.HasPrefix(version, "openslo") || strings.HasPrefix(version, "sloth") || strings.HasPrefix(version, "pyrra")
}

func unreadable(file string, err error) Finding {
	f := Finding{Kind: KindUnreadable, Severity: Error, Place: Place{File: file}, Text: err.Error()}
	var e *yamlfile.Error
	if errors.As(err, &e) {
		f.Text = e.Text
		if e.Line > 0 {
			f.Place = Place{file, e.Line, 1}
		}
	}
	return f
}

func place(file string, n *yaml.Node) Place { return Place{file, n.Line, n.Column} }

// group adds the rules of a group.
func (r *Rules) group(file string, g *yaml.Node) {
	shared := yamlfile.Texts(g, "labels")
	for _, n := range yamlfile.List(g, "rules") {
		if len(r.Alerts)+len(r.recording) >= maxRules {
			if !slices.ContainsFunc(r.Findings, func(f Finding) bool { return strings.HasPrefix(f.Text, tooMany) }) {
				r.Findings = append(r.Findings, Finding{
					Kind: KindUnreadable, Severity: Error, Place: place(file, n),
					Text: fmt.Sprintf("%s %d rules, and the rest is not looked at", tooMany, maxRules), Fix: "check fewer files at a time",
				})
			}
			return
		}
		r.rule(file, yamlfile.Text(g, "name"), shared, n)
	}
}

const tooMany = "these are more than"

func (r *Rules) rule(file, group string, shared map[string]string, n *yaml.Node) {
	query := yamlfile.Get(n, "expr")
	if query == nil {
		r.Findings = append(r.Findings, Finding{Kind: KindUnreadable, Severity: Error, Place: place(file, n), Text: "this rule has no expr", Fix: "write one"})
		return
	}
	expr, err := parseExpr(query.Value)
	if err != nil {
		r.Findings = append(r.Findings, Finding{
			Kind: KindUnreadable, Severity: Error, Place: place(file, query),
			Text: fmt.Sprintf("this is not PromQL: %v", err), Fix: "promtool check rules says more",
		})
	}
	if name := yamlfile.Text(n, "record"); name != "" {
		set := maps.Clone(shared)
		maps.Copy(set, yamlfile.Texts(n, "labels"))
		r.recording = append(r.recording, recording{name, expr, set})
		return
	}
	name := yamlfile.Get(n, "alert")
	if name == nil {
		return
	}
	rule := &Rule{
		Place: place(file, name), Group: group, Name: name.Value, Static: map[string]Static{},
		Annotations: yamlfile.Texts(n, "annotations"), Expr: query.Value, ExprPlace: place(file, query), expr: expr,
	}
	for key, value := range shared {
		rule.Static[key] = Static{value, rule.Place}
	}
	for key, value := range yamlfile.Pairs(yamlfile.Get(n, "labels")) {
		rule.Static[key.Value] = Static{value.Value, place(file, value)}
	}
	r.Alerts = append(r.Alerts, rule)
}

// Add adds a rule as a running Prometheus tells of it. Its Static, Annotations, Expr and
// places are its own to set; its Labels follow with [Rules.Infer].
func (r *Rules) Add(rule *Rule) {
	expr, err := parseExpr(rule.Expr)
	if err != nil {
		r.Findings = append(r.Findings, Finding{Kind: KindUnreadable, Severity: Error, Place: rule.Place, Text: fmt.Sprintf("this is not PromQL: %v", err)})
	}
	rule.expr = expr
	r.Alerts = append(r.Alerts, rule)
}

// Record adds a recording rule as a running Prometheus tells of it.
func (r *Rules) Record(name, expr string, set map[string]string) {
	e, err := parseExpr(expr)
	if err != nil {
		return // nothing is known of its labels then
	}
	r.recording = append(r.recording, recording{name, e, set})
}

// parseExpr reads an expression.
func parseExpr(text string) (e parser.Expr, err error) {
	if len(text) > maxExpr {
		return nil, fmt.Errorf("it is longer than %d KiB", maxExpr>>10)
	}
	if deepest(text) > 200 {
		return nil, errors.New("it is nested more than 200 deep")
	}
	e, err = promql.ParseExpr(text)
	if err != nil {
		return nil, err
	}
	return e, nil
}

// deepest returns how deep the brackets of a text are nested.
func deepest(text string) int {
	deep, most := 0, 0
	for _, c := range text {
		switch c {
		case '(', '[', '{':
			deep++
			most = max(most, deep)
		case ')', ']', '}':
			deep--
		}
	}
	return most
}

// Infer finds out what labels the alerts of all rules can have. The external labels are those
// that Prometheus adds to what it sends.
func (r *Rules) Infer(external map[string]string) {
	inf := &inference{recorded: map[string]*metric{}}
	// What is recorded from what is recorded: twice reaches the usual layers.
	for range 2 {
		inf.recorded = r.metrics(inf)
	}
	for _, rule := range r.Alerts {
		rule.Labels = inf.alert(rule, external)
	}
}

// metrics returns what the recording rules say of the series of each metric.
func (r *Rules) metrics(inf *inference) map[string]*metric {
	out := map[string]*metric{}
	for _, rec := range r.recording {
		l := Labels{Open: true}
		if rec.expr != nil {
			l = inf.of(rec.expr)
		}
		for n, v := range rec.labels {
			l = l.with(n, oneOf(v))
		}
		m := out[rec.name]
		if m == nil {
			m = &metric{by: map[pair][]int{}, with: map[string]int{}}
			out[rec.name] = m
		}
		m.add(l)
	}
	return out
}

// sameLabel is a template that repeats a label of the expression.
var sameLabel = regexp.MustCompile(`^\{\{-?\s*(?:\$labels|\.Labels)\.([a-zA-Z_][a-zA-Z0-9_]*)\s*-?\}\}$`)

// alert returns what is known of the labels of a rule's alerts.
func (f *inference) alert(rule *Rule, external map[string]string) Labels {
	in := Labels{Open: true}
	if rule.expr != nil {
		in = f.of(rule.expr)
	}
	out := in
	out.Named = make(map[string]Value, len(in.Named)+len(rule.Static)+1)
	for n, v := range in.Named {
		out.Named[n] = v
	}
	for n, s := range rule.Static {
		if m := sameLabel.FindStringSubmatch(s.Value); m != nil {
			out.Named[n] = in.Get(m[1])
		} else if strings.Contains(s.Value, "{{") {
			out.Named[n] = anything
		} else {
			out.Named[n] = oneOf(s.Value)
		}
	}
	for n, value := range external {
		v := out.Get(n)
		switch {
		case v.surely():
		case v.Any:
			out.Named[n] = anything
		default:
			out.Named[n] = oneOf(append(slices.DeleteFunc(slices.Clone(v.Of), func(s string) bool { return s == "" }), value)...)
		}
	}
	out.Named["alertname"] = oneOf(rule.Name)
	return out
}
