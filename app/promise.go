package app

import (
	"fmt"
	"maps"
	"slices"

	"github.com/prometheus/alertmanager/pkg/labels"

	"sitrep/chain"
	"sitrep/config"
	"sitrep/incident"
)

// Promise returns what the chain needs to know of a configuration, with where it stands.
func Promise(c *config.Config, at *config.Positions) *chain.Promise {
	policy := c.Policy()
	p := &chain.Promise{
		IDLabels: c.IDLabels(), Ignore: conditions(c.Ignore, "ignore", at.Main), Unmapped: c.Unmapped != nil && c.Unmapped.Priority != "",
		UnknownAfter: policy.UnknownAfter, ResolveAfter: policy.ResolveAfter, Asks: policy.Asks,
	}
	if w := c.Watchdog; w != nil {
		p.Watchdog = &chain.Watchdog{Place: placed(at.Main("watchdog")), Match: conditions(w.Match, "watchdog.match", at.Main), Within: w.Within}
	}
	if w := c.Canary; w != nil {
		labels := map[string]string{"alertname": incident.CanaryAlert, incident.CanaryLabel: "RUN"}
		maps.Copy(labels, w.Labels)
		p.Canary = &chain.Canary{Place: placed(at.Main("canary")), Labels: chain.Exactly(labels), Within: w.Within}
	}
	groups := map[string]chain.Group{}
	for i := range policy.Groups {
		g := &policy.Groups[i]
		groups[g.Name] = chain.Group{Place: placed(at.Main(fmt.Sprintf("groups[%d].name", i))), Name: g.Name, Recipients: len(g.Recipients)}
	}
	told := map[string][]chain.Audience{} // by priority and stakeholders, as many SLOs have the same
	p.SLOs = make([]chain.SLO, 0, len(policy.SLOs))
	for i := range c.Teams {
		t := &c.Teams[i]
		where := func(path string) (string, int, int) { return at.Team(i, path) }
		for j := range t.SLOs {
			o := &t.SLOs[j]
			path := fmt.Sprintf("slos[%d]", j)
			who := fmt.Sprintf("%q", append([]string{o.Priority}, o.Stakeholders...))
			if _, ok := told[who]; !ok {
				told[who] = audiences(policy, o, groups)
			}
			p.SLOs = append(p.SLOs, chain.SLO{
				Place: placed(where(path + ".id")), ID: o.ID, Team: t.Team, Priority: o.Priority,
				Match:     conditions(o.Match, path+".match", where),
				Ignore:    conditions(o.Ignore, path+".ignore", where),
				Audiences: told[who],
			})
		}
	}
	return p
}

// audiences returns who hears of an SLO at its priority.
func audiences(policy *incident.Policy, o *config.SLO, groups map[string]chain.Group) []chain.Audience {
	i := slices.IndexFunc(policy.Priorities, func(q incident.Priority) bool { return q.Name == o.Priority })
	if i < 0 {
		return nil
	}
	var out []chain.Audience
	for _, a := range policy.Priorities[i].Inform {
		names := o.Stakeholders
		if a == incident.AudienceManagement {
			names = policy.Management
		}
		audience := chain.Audience{Name: string(a)}
		for _, name := range names {
			g := groups[name]
			for j := range policy.Groups {
				if policy.Groups[j].Name == name {
					g.Hears = policy.Groups[j].Hears(o.Priority)
				}
			}
			audience.Groups = append(audience.Groups, g)
		}
		out = append(out, audience)
	}
	return out
}

func placed(file string, line, column int) chain.Place {
	return chain.Place{File: file, Line: line, Column: column}
}

// conditions returns matchers with where they stand.
func conditions(list []config.Matchers, path string, where func(string) (string, int, int)) []chain.Condition {
	out := make([]chain.Condition, len(list))
	for i, ms := range list {
		out[i] = chain.Condition{Place: placed(where(fmt.Sprintf("%s[%d]", path, i))), Matchers: labels.Matchers(ms)}
	}
	return out
}
