package live

import (
	"context"
	"regexp"
	"strings"

	"sitrep/chain"
	"sitrep/internal/yamlfile"
)

// A relabel is what Prometheus does to the labels of alerts before it sends them.
type relabel struct {
	action    string
	sources   []string
	separator string
	regex     *regexp.Regexp // nil: it is not followed
}

// askSettings asks for the configuration in force: the labels that it adds to alerts, and what it
// does to their labels.
func (p *prometheus) askSettings(ctx context.Context) (external map[string]string, relabels []relabel, err error) {
	var answer struct {
		Data struct {
			YAML string `json:"yaml"`
		} `json:"data"`
	}
	if _, err := p.get(ctx, asked{path: "/api/v1/status/config", most: maxConfigAnswer, into: &answer}); err != nil {
		return nil, nil, err
	}
	docs, err := yamlfile.Read([]byte(answer.Data.YAML))
	if err != nil || len(docs) == 0 {
		return nil, nil, err
	}
	external = yamlfile.Texts(docs[0], "global", "external_labels")
	nodes := yamlfile.List(docs[0], "alerting", "alert_relabel_configs")
	shared := len(nodes)
	ams := yamlfile.List(docs[0], "alerting", "alertmanagers")
	for _, am := range ams {
		nodes = append(nodes, yamlfile.List(am, "alert_relabel_configs")...)
	}
	for i, n := range nodes {
		r := relabel{action: strings.ToLower(yamlfile.Text(n, "action")), separator: ";"}
		if r.action == "" {
			r.action = "replace"
		}
		if s := yamlfile.Get(n, "separator"); s != nil {
			r.separator = s.Value
		}
		for _, s := range yamlfile.List(n, "source_labels") {
			r.sources = append(r.sources, s.Value)
		}
		text := "(.*)"
		if s := yamlfile.Get(n, "regex"); s != nil {
			text = s.Value
		}
		// What one of several Alertmanagers does not get, another may.
		if i < shared || len(ams) == 1 {
			r.regex, _ = regexp.Compile("^(?s:" + text + ")$")
		}
		relabels = append(relabels, r)
	}
	return external, relabels, nil
}

// drop takes labels away that the relabelling drops by their names.
func (r *relabel) drop(c *chain.Rule) {
	if r.regex == nil || r.action != "labeldrop" && r.action != "labelkeep" {
		return
	}
	for name := range c.Labels.Named {
		if r.regex.MatchString(name) == (r.action == "labeldrop") {
			c.Labels.Named[name] = chain.Value{Of: []string{""}}
		}
	}
}

// followed reports whether it is known what the relabelling does.
func (r *relabel) followed() bool {
	return r.regex != nil && (r.action == "labeldrop" || r.action == "labelkeep" || r.action == "drop" || r.action == "keep")
}

// loses says whether the alerts of a rule are dropped as a whole.
func (r *relabel) loses(c *chain.Rule) chain.Verdict {
	if r.regex == nil || r.action != "drop" && r.action != "keep" {
		return chain.Never
	}
	values := make([]string, len(r.sources))
	for i, name := range r.sources {
		v := c.Labels.Get(name)
		if v.Any || len(v.Of) != 1 {
			return chain.Maybe
		}
		values[i] = v.Of[0]
	}
	if r.regex.MatchString(strings.Join(values, r.separator)) == (r.action == "drop") {
		return chain.Always
	}
	return chain.Never
}
