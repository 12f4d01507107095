package config

import (
	"cmp"
	"slices"

	"github.com/prometheus/alertmanager/timeinterval"

	"sitrep/incident"
)

// built is what follows from a config once it is complete.
type built struct {
	index     *index
	canonical []byte
	public    []byte
	policy    *incident.Policy
	webhooks  map[string]Webhook
}

func (c *Config) build() {
	c.index = newIndex(c)
	c.canonical = writeForm(c, nil)
	c.public = withoutPeople(c)
	c.webhooks = c.collectWebhooks()
	c.policy = c.makePolicy()
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

func (c *Config) makePolicy() *incident.Policy {
	p := &incident.Policy{
		Hash:         hashOf(c.canonical),
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
	for _, t := range c.Teams {
		p.Teams = addTeam(p.Teams, t)
		if d := t.Drill; d != nil {
			p.Drills = append(p.Drills, incident.Drill{Team: t.Team, SLO: d.SLO, Priority: d.Priority, Every: d.Every})
		}
	}
	for _, e := range c.index.entries {
		p.SLOs = append(p.SLOs, e.slo)
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

// addTeam adds a team, or to the one of the same name those who are on call.
func addTeam(teams []incident.Team, t TeamFile) []incident.Team {
	i := slices.IndexFunc(teams, func(u incident.Team) bool { return u.Name == t.Team })
	if i < 0 {
		return append(teams, incident.Team{Name: t.Team, OnCall: t.OnCall.list()})
	}
	for _, r := range t.OnCall.list() {
		if !slices.ContainsFunc(teams[i].OnCall, func(s incident.Recipient) bool { return s.ID == r.ID }) {
			teams[i].OnCall = append(teams[i].OnCall, r)
		}
	}
	return teams
}
