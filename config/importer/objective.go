// Package importer makes the files of teams of what other tools know of SLOs: specs of Sloth,
// Pyrra and OpenSLO, and rules of Prometheus. What people wrote in those files stays as it is:
// [Merge] only adds.
package importer

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"sitrep/chain"
	"sitrep/internal/yamlfile"
)

// maxObjectives is how many SLOs one import may bring.
const maxObjectives = 20_000

// An Objective is an SLO as another tool knows it.
type Objective struct {
	ID string
	// UseCase is what the source proposes; empty if it says nothing that people can read.
	UseCase                     string
	SLI, Service, Team, Runbook string
	Match                       []string // matchers; none: its alerts carry the id
	From                        chain.Place
	// Note is what whoever reads the file should know; it may be empty.
	Note string

	alerts chain.Labels // what is known of its alerts
}

// A Source gathers the objectives of files.
type Source struct {
	IDLabels []string // whose value is the id of an SLO
	// Findings are what could not be read, or is left out.
	Findings []chain.Finding

	objectives []*Objective
	byID       map[string]*Objective
	rules      chain.Rules
	specs      bool // the rules that tools make of specs are asked for
	made       []*chain.Rule
}

// Parse takes in a file, whatever of these it is.
func (s *Source) Parse(file string, text []byte) {
	docs, err := yamlfile.Read(text)
	if err != nil {
		s.rules.Parse(file, text) // says what is wrong
		return
	}
	known, rules := false, false
	for _, doc := range docs {
		switch {
		case s.spec(file, doc):
		case yamlfile.Get(doc, "groups") != nil || yamlfile.Text(doc, "kind") == "PrometheusRule":
			rules = true
		default:
			continue
		}
		known = true
	}
	if rules {
		s.rules.Parse(file, text)
	}
	if !known {
		s.Findings = append(s.Findings, chain.Finding{
			Kind: chain.KindUnreadable, Severity: chain.Error, Place: chain.Place{File: file},
			Text: "this is neither a spec of Sloth, Pyrra or OpenSLO nor a file of rules", Fix: "name such files",
		})
	}
}

// spec takes in a document if it is one of Sloth, Pyrra or OpenSLO.
func (s *Source) spec(file string, doc *yaml.Node) bool {
	version, kind := yamlfile.Text(doc, "apiVersion"), yamlfile.Text(doc, "kind")
	switch {
	case yamlfile.Text(doc, "version") == "prometheus/v1":
		s.sloth(file, doc)
	case kind == "PrometheusServiceLevel":
		s.sloth(file, yamlfile.Get(doc, "spec"))
	case strings.HasPrefix(version, "pyrra.dev/") && kind == "ServiceLevelObjective":
		s.pyrra(file, doc)
	case strings.HasPrefix(version, "openslo/") && kind == "SLO":
		s.openSLO(file, doc)
	case strings.HasPrefix(version, "openslo/"):
		// A service, an alert policy and the like belong to an SLO, and are none.
		if strings.HasPrefix(kind, "Alert") && s.specs {
			s.Findings = append(s.Findings, chain.Finding{
				Kind: chain.KindUnreadable, Severity: chain.Note, Place: place(file, doc),
				Text: fmt.Sprintf("this %s of OpenSLO says when to alert, and not with what labels, so no alert can be followed from it", clean(kind)), Fix: "name the rules that are made of it",
			})
		}
	default:
		return false
	}
	return true
}

// Objectives returns what all files say, each id once, in the order in which they were read.
func (s *Source) Objectives() []*Objective {
	s.Findings = append(s.Findings, s.rules.Findings...)
	s.rules.Findings = nil
	s.ofRules()
	if len(s.objectives) > maxObjectives {
		s.Findings = append(s.Findings, chain.Finding{
			Kind: chain.KindUnreadable, Severity: chain.Error, Place: s.objectives[maxObjectives].From,
			Text: fmt.Sprintf("these are more than %d SLOs, and the rest is left out", maxObjectives), Fix: "import fewer files at a time",
		})
		s.objectives = s.objectives[:maxObjectives]
	}
	return s.objectives
}

// add takes in an objective. Of one that is there already it adds what that lacks.
func (s *Source) add(o *Objective) {
	if s.byID == nil {
		s.byID = map[string]*Objective{}
	}
	o.ID = clean(o.ID)
	if o.ID == "" {
		return
	}
	o.UseCase, o.Service, o.Team, o.Runbook = readable(o.UseCase), clean(o.Service), clean(o.Team), link(o.Runbook)
	if before, ok := s.byID[o.ID]; ok {
		before.UseCase = cmp.Or(before.UseCase, o.UseCase)
		before.SLI = cmp.Or(before.SLI, o.SLI)
		before.Service = cmp.Or(before.Service, o.Service)
		before.Team = cmp.Or(before.Team, o.Team)
		before.Runbook = cmp.Or(before.Runbook, o.Runbook)
		return
	}
	s.byID[o.ID] = o
	s.objectives = append(s.objectives, o)
}

// clean returns a text on one line, without what cannot be seen.
func clean(text string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r), r == '\u2028', r == '\u2029':
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r), r == utf8.RuneError:
			return -1
		}
		return r
	}, text)
	return strings.Join(strings.Fields(text), " ")
}

// readable returns a text that can stand for a use case: on one line, and without templates.
func readable(text string) string {
	const most = 200
	text = clean(text)
	if strings.Contains(text, "{{") {
		return ""
	}
	if r := []rune(text); len(r) > most {
		text = string(r[:most]) + "…"
	}
	return strings.TrimSuffix(text, ".")
}

// link returns what is an http or https URL and no template.
func link(text string) string {
	text = strings.TrimSpace(text)
	if !strings.HasPrefix(text, "http://") && !strings.HasPrefix(text, "https://") || strings.ContainsAny(text, "{} \n\t") || len(text) > 1000 {
		return ""
	}
	return text
}

// kinds are what an SLI can measure, and the words that tell.
var kinds = []struct {
	name  string
	words *regexp.Regexp
}{
	{"latency", regexp.MustCompile(`(?i)latency|slow|duration|delay|response.?time`)},
	{"correctness", regexp.MustCompile(`(?i)correct|accura|quality`)},
	{"freshness", regexp.MustCompile(`(?i)fresh|stale|\blag\b`)},
	{"durability", regexp.MustCompile(`(?i)durab`)},
	{"throughput", regexp.MustCompile(`(?i)throughput`)},
	{"availability", regexp.MustCompile(`(?i)availab|error|success|fail|uptime|5xx`)},
}

// kindOf returns the kind of SLI that the first of the texts tells, empty if none does.
func kindOf(texts ...string) string {
	for _, t := range texts {
		for _, k := range kinds {
			if k.words.MatchString(t) {
				return k.name
			}
		}
	}
	return ""
}

// first returns the first of the keys that is there and says something for people.
func first(set map[string]string, keys ...string) string {
	for _, k := range keys {
		if text := readable(set[k]); text != "" {
			return text
		}
	}
	return ""
}

// runbook returns the runbook among annotations.
func runbook(sets ...map[string]string) string {
	for _, set := range sets {
		for _, k := range slices.Sorted(maps.Keys(set)) {
			if l := link(set[k]); l != "" && strings.Contains(strings.ToLower(k), "runbook") {
				return l
			}
		}
	}
	return ""
}

// kebab returns a name as ids are written.
func kebab(name string) string {
	name = regexp.MustCompile(`([a-z0-9])([A-Z])`).ReplaceAllString(name, "$1-$2")
	name = regexp.MustCompile(`[^a-zA-Z0-9]+`).ReplaceAllString(name, "-")
	return strings.Trim(strings.ToLower(name), "-")
}

func place(file string, n *yaml.Node) chain.Place {
	return chain.Place{File: file, Line: n.Line, Column: n.Column}
}

// sloth takes in a spec of Sloth, whose alerts have the id of service and name in sloth_id.
func (s *Source) sloth(file string, doc *yaml.Node) {
	service := yamlfile.Text(doc, "service")
	shared := yamlfile.Texts(doc, "labels")
	for _, n := range yamlfile.List(doc, "slos") {
		name, set := yamlfile.Text(n, "name"), yamlfile.Texts(n, "labels")
		alerting := yamlfile.Get(n, "alerting")
		annotations, page, ticket := yamlfile.Texts(alerting, "annotations"), yamlfile.Texts(alerting, "page_alert", "annotations"), yamlfile.Texts(alerting, "ticket_alert", "annotations")
		if alerting == nil || off(alerting, "page_alert", "disable") && off(alerting, "ticket_alert", "disable") {
			s.leaveOut(place(file, n), name, "its alerts are switched off")
			continue
		}
		o := &Objective{
			ID: service + "-" + name, Service: service, From: place(file, n),
			UseCase: cmp.Or(first(annotations, "summary", "title"), first(page, "summary", "title"), first(annotations, "description", "message"), yamlfile.Text(n, "description")),
			SLI:     kindOf(set["sli"], set["category"], set["type"], name),
			Team:    cmp.Or(set["team"], set["owner"], shared["team"], shared["owner"]),
			Runbook: runbook(annotations, page, ticket),
		}
		labels := maps.Clone(shared)
		maps.Copy(labels, set)
		maps.Copy(labels, map[string]string{"sloth_id": o.ID, "sloth_service": service, "sloth_slo": name})
		s.slothAlerts(file, alerting, o, labels)
		labels["alertname"] = yamlfile.Text(alerting, "name")
		o.alerts = chain.Exactly(labels)
		s.add(o)
	}
}

func off(n *yaml.Node, path ...string) bool { return yamlfile.Text(n, path...) == "true" }

// leaveOut says that an SLO is not imported.
func (s *Source) leaveOut(p chain.Place, name, why string) {
	s.Findings = append(s.Findings, chain.Finding{
		Kind: chain.KindUnreadable, Severity: chain.Note, Place: p, Text: fmt.Sprintf("%q is left out: %s", clean(name), why),
	})
}

// pyrra takes in a ServiceLevelObjective, whose alerts have its name in slo.
func (s *Source) pyrra(file string, doc *yaml.Node) {
	name := yamlfile.Text(doc, "metadata", "name")
	spec := yamlfile.Get(doc, "spec")
	if off(spec, "alerting", "disabled") || yamlfile.Text(spec, "alerting", "burnrates") == "false" {
		s.leaveOut(place(file, doc), name, "its alerts are switched off")
		return
	}
	set := map[string]string{}
	for key, value := range yamlfile.Texts(doc, "metadata", "labels") {
		set[strings.TrimPrefix(key, "pyrra.dev/")] = value
	}
	kind := kindOf(name)
	for key := range yamlfile.Pairs(yamlfile.Get(spec, "indicator")) {
		if strings.HasPrefix(key.Value, "latency") {
			kind = "latency"
		}
		kind = cmp.Or(kind, "availability")
	}
	annotations := yamlfile.Texts(doc, "metadata", "annotations")
	o := &Objective{
		ID: name, Service: set["service"], From: place(file, doc), SLI: kind, Team: cmp.Or(set["team"], set["owner"]), Runbook: runbook(annotations),
		UseCase: cmp.Or(first(annotations, "pyrra.dev/summary", "summary"), yamlfile.Text(spec, "description")),
	}
	set["slo"] = name
	o.alerts = chain.Exactly(map[string]string{"slo": name, "alertname": cmp.Or(yamlfile.Text(spec, "alerting", "name"), "ErrorBudgetBurn")})
	name = cmp.Or(yamlfile.Text(spec, "alerting", "name"), "ErrorBudgetBurn")
	for _, severity := range []string{"critical", "warning"} {
		set["severity"] = severity
		s.make(o.From, name, set, annotations, true)
	}
	s.add(o)
}

// openSLO takes in an SLO of OpenSLO. Of the first version rules are made by Sloth, with an id for each
// objective; of later ones by whatever reads them.
func (s *Source) openSLO(file string, doc *yaml.Node) {
	name, spec := yamlfile.Text(doc, "metadata", "name"), yamlfile.Get(doc, "spec")
	set, annotations := yamlfile.Texts(doc, "metadata", "labels"), yamlfile.Texts(doc, "metadata", "annotations")
	o := Objective{
		Service: yamlfile.Text(spec, "service"), From: place(file, doc), Runbook: runbook(annotations), Team: cmp.Or(set["team"], set["owner"]),
		UseCase: cmp.Or(readable(yamlfile.Text(doc, "metadata", "displayName")), yamlfile.Text(spec, "description")),
		SLI:     kindOf(name, yamlfile.Text(doc, "metadata", "displayName")),
	}
	if yamlfile.Text(doc, "apiVersion") != "openslo/v1alpha" {
		o.ID = name
		o.Note = "Its alerts need the label sitrep_slo with this id, if they do not have it in sloth_id or slo."
		o.alerts = chain.Exactly(map[string]string{"sitrep_slo": name})
		s.unmade(&o, file, false)
		s.add(&o)
		return
	}
	for i := range yamlfile.List(spec, "objectives") {
		one := o
		one.ID = fmt.Sprintf("%s-%s-%d", o.Service, name, i)
		one.Note = "Sloth records this one and makes no alerts of it: write a rule, whose alerts have sloth_id."
		one.alerts = chain.Exactly(map[string]string{"sloth_id": one.ID})
		s.unmade(&one, file, true)
		s.add(&one)
	}
}

// ofRules takes in what rules say of SLOs: by the labels whose value is an id, and where there is
// none by the name of an alert that looks like an SLO's.
func (s *Source) ofRules() {
	s.rules.Infer(nil)
	services := map[string]map[string]bool{} // of each id or name
	keyOf := func(r *chain.Rule) (label, value string) {
		for _, l := range s.IDLabels {
			if v, ok := one(r.Labels.Get(l)); ok {
				return l, v
			}
		}
		if _, yes := chain.LooksLikeSLO(r, nil); yes {
			return "alertname", r.Name
		}
		return "", ""
	}
	for _, r := range s.rules.Alerts {
		if label, value := keyOf(r); label != "" {
			key := label + "=" + value
			if services[key] == nil {
				services[key] = map[string]bool{}
			}
			service, _ := one(r.Labels.Get("service"))
			services[key][service] = true
		}
	}
	for _, r := range s.rules.Alerts {
		label, value := keyOf(r)
		if label == "" {
			continue
		}
		service, _ := one(r.Labels.Get("service"))
		team, _ := one(r.Labels.Get("team"))
		owner, _ := one(r.Labels.Get("owner"))
		category, _ := one(r.Labels.Get("category"))
		if sloth, ok := one(r.Labels.Get("sloth_service")); ok {
			service = cmp.Or(service, sloth)
		}
		o := &Objective{
			ID: value, Service: service, Team: cmp.Or(team, owner), From: r.Place, alerts: r.Labels, Runbook: runbook(r.Annotations),
			UseCase: first(r.Annotations, "summary", "title", "description", "message"), SLI: kindOf(category, value, r.Name),
		}
		several := len(services[label+"="+value]) > 1
		switch {
		case label == "alertname":
			o.ID = kebab(value)
			o.Match = []string{matcher("alertname", value)}
			if several && service != "" {
				o.ID = kebab(service + "-" + value)
				o.Match = append(o.Match, matcher("service", service))
			}
		case service != "" && (several || plain(value)):
			// The same word is, or may be, an SLO of another service.
			o.ID = kebab(service + "-" + value)
			o.Match = []string{matcher(label, value), matcher("service", service)}
		}
		s.add(o)
	}
}

// plain reports whether an id says what is measured, and of what it does not.
func plain(id string) bool { return !strings.ContainsAny(id, "-_./: ") }

func matcher(name, value string) string { return fmt.Sprintf("%s=%q", name, value) }

// one returns the value of a label that surely has it.
func one(v chain.Value) (string, bool) {
	if v.Any || len(v.Of) != 1 || v.Of[0] == "" {
		return "", false
	}
	return v.Of[0], true
}
