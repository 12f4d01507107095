package config

import (
	"cmp"
	"slices"

	"github.com/prometheus/alertmanager/timeinterval"

	"sitrep/incident"
	"sitrep/templates"
)

// built is what follows from a config once it is complete.
type built struct {
	formSize int // bytes of the canonical form
	policy   *incident.Policy
	index    *index
	own      *templates.Set // nil: none
	webhooks map[string]Webhook
}

func (c *Config) build() {
	form := c.hash((*Config).writeCanonical)
	c.formSize = form.size
	c.policy = c.makePolicy(form.sum())
	c.index = newIndex(c)
	c.webhooks = c.collectWebhooks()
}

// Policy returns what the rules need of the config. It is the same value each
// time and must not be changed; a copy of the struct may be, to set ExternalURL.
func (c *Config) Policy() *incident.Policy { return c.policy }

// Webhooks returns the webhooks by the ID of their recipient. It must not be
// changed.
func (c *Config) Webhooks() map[string]Webhook { return c.webhooks }

func (c *Config) collectWebhooks() map[string]Webhook {
	hooks := map[string]Webhook{}
	add := func(list []Webhook) {
		for _, w := range list {
			hooks[w.id()] = w
		}
	}
	for _, g := range c.Groups {
		add(g.Webhooks)
	}
	for _, t := range c.Teams {
		add(t.OnCall.Webhooks)
	}
	return hooks
}

func (c *Config) makePolicy(hash string) *incident.Policy {
	p := &incident.Policy{
		Hash:         hash,
		Location:     c.Timezone,
		Management:   c.Management,
		ResolveAfter: c.Incidents.ResolveAfter,
		ReopenWithin: c.Incidents.ReopenWithin,
		UnknownAfter: c.Incidents.UnknownAfter,
		RemindBefore: c.Incidents.RemindBefore,
		DigestAbove:  c.Incidents.DigestAbove,
		Asks:         len(c.Alertmanagers) > 0,
	}
	for i, q := range c.Priorities {
		p.Priorities = append(p.Priorities, q.plain(i))
	}
	for _, g := range c.Groups {
		p.Groups = append(p.Groups, g.plain(c))
	}
	slos := 0
	teams := make(map[string]int, len(c.Teams)) // where each is
	p.Teams = slices.Grow(p.Teams, len(c.Teams))
	for i := range c.Teams {
		t := &c.Teams[i]
		slos += len(t.SLOs)
		if at, ok := teams[t.Team]; ok {
			addOnCall(&p.Teams[at], t)
		} else {
			teams[t.Team] = len(p.Teams)
			p.Teams = append(p.Teams, incident.Team{Name: t.Team, OnCall: t.OnCall.list()})
		}
		if d := t.Drill; d != nil {
			p.Drills = append(p.Drills, incident.Drill{Team: t.Team, SLO: d.SLO, Priority: d.Priority, Every: d.Every})
		}
	}
	p.SLOs = slices.Grow(p.SLOs, slos)
	for i := range c.Teams {
		t := &c.Teams[i]
		for j := range t.SLOs {
			p.SLOs = append(p.SLOs, t.SLOs[j].plain(t.Team))
		}
	}
	if w := c.Watchdog; w != nil {
		p.Watchdog = incident.Watchdog{Within: w.Within, By: slices.Sorted(slices.Values(w.By)), Groups: w.Groups}
	}
	if w := c.Canary; w != nil {
		p.Canary = incident.Canary{Every: w.Every, Within: w.Within, Groups: w.To, Prometheus: len(c.Prometheus) > 0 && !w.SkipPrometheus}
	}
	p.Index()
	return p
}

// plain returns the priority in the domain's terms.
func (p *Priority) plain(rank int) incident.Priority {
	out := incident.Priority{
		Name: p.Name, Rank: rank, Summary: p.Summary, Criteria: p.Criteria,
		InformAfter: p.InformAfter,
	}
	for _, a := range p.Actions {
		out.Actions = append(out.Actions, incident.ActionRule{Name: a.Name, Within: a.Within})
	}
	for _, a := range [...]incident.Audience{incident.AudienceManagement, incident.AudienceStakeholders} {
		if slices.Contains(p.Inform, a) {
			out.Inform = append(out.Inform, a)
		}
	}
	if len(out.Inform) > 0 {
		out.UpdateEvery = p.UpdateEvery
	}
	return out
}

// plain returns the group in the domain's terms.
func (g *Group) plain(c *Config) incident.Group {
	out := incident.Group{Name: g.Name, Recipients: g.list(), Priorities: g.Priorities, Location: cmp.Or(g.Timezone, c.Timezone), Language: string(g.Language)}
	for _, q := range g.Quiet {
		out.Quiet = append(out.Quiet, incident.Quiet{
			Times:  []timeinterval.TimeInterval{q.interval()},
			Unless: q.Unless,
		})
	}
	return out
}

// LanguageOf returns the tag of the language in which an address is told, that of the first of
// its groups in file order; empty is English.
func (c *Config) LanguageOf(address string) string {
	id := Address{Address: address}.recipient().ID
	for i := range c.Groups {
		if slices.ContainsFunc(c.Groups[i].Email, func(a Address) bool { return a.recipient().ID == id }) {
			return string(c.Groups[i].Language)
		}
	}
	return ""
}

// addOnCall adds to a team those who are on call by another of its files.
func addOnCall(team *incident.Team, t *TeamFile) {
	for _, r := range t.OnCall.list() {
		if !slices.ContainsFunc(team.OnCall, func(s incident.Recipient) bool { return s.ID == r.ID }) {
			team.OnCall = append(team.OnCall, r)
		}
	}
}
