// Package wiki makes one page of what the configuration promises: the priorities
// with their criteria, who is informed how often, and every SLO by team. It is for
// people who never see sitrep itself, in the form of a wiki or of a repository.
//
// The same configuration always gives the same bytes, so that a page under version
// control changes only when the promise does.
package wiki

import (
	"iter"
	"slices"
	"strings"
	"time"

	"sitrep/incident"
	"sitrep/wording"
)

// textLimit is how many characters of one text of the configuration a page shows.
const textLimit = 2000

// A Page is what the configuration promises. Its texts are one line each, without
// control characters, and are still to be escaped by who shows them.
type Page struct {
	Priorities []Priority // the highest first
	Groups     []Group    // those that somebody informs, in file order
	Teams      []Team     // those that have SLOs, in file order
	Version    string     // of the configuration: the start of its hash
}

// A Priority is one of the organisation's classes of incidents.
type Priority struct {
	Name, Summary string
	Rank          int // 0 is the highest
	Criteria      []string
	Actions       []Action
	Audiences     []Audience // none: only the team on call is informed
	UpdateEvery   string     // such as "2 hours"; empty without audiences
	InformAfter   string     // such as "5 minutes"; empty: at once
	SLOs          int        // how many have it
}

// An Action is a duty that a priority brings.
type Action struct {
	Name   string
	Within string // after resolving, such as "5 days"; empty: no limit
}

// String says what is to be done, and by when.
func (a Action) String() string {
	if a.Within == "" {
		return a.Name
	}
	return a.Name + ", within " + a.Within + " after resolving"
}

// An Audience is who a priority informs.
type Audience struct {
	Name   string
	Groups []string // those behind management
	BySLO  bool     // stakeholders: each SLO has groups of its own
}

// String names the audience and the groups behind it.
func (a Audience) String() string {
	switch {
	case a.BySLO:
		return a.Name + " (the groups of the SLO)"
	case len(a.Groups) > 0:
		return a.Name + " (" + strings.Join(a.Groups, ", ") + ")"
	}
	return a.Name
}

// A Group is a named list of recipients.
type Group struct {
	Name       string
	Recipients []string // addresses; of a webhook, scheme and host
	Timezone   string
	Management bool     // it is behind the audience management
	SLOs       int      // of how many it is among the stakeholders
	Hears      []string // the names of the priorities that it hears of; none: of all
	Quiet      []string // when nothing is sent to it
}

// A Team owns SLOs.
type Team struct {
	Name string
	SLOs []SLO // by priority, the highest first, then in file order
}

// An SLO is a team's objective.
type SLO struct {
	ID, UseCase, SLI, Service, Priority string
	Affects                             string   // who is affected; may be empty
	Runbook                             string   // an http or https URL, or empty
	Stakeholders                        []string // as by [Stakeholders]
}

// From returns the page of a configuration.
func From(p *incident.Policy) Page { return from(p, all(p.SLOs)) }

// Groups returns the groups of the page of a configuration.
func Groups(p *incident.Policy) []Group {
	ofGroup := map[string]int{}
	for i := range p.SLOs {
		countStakes(ofGroup, &p.SLOs[i])
	}
	return groups(p, ofGroup)
}

// countStakes counts an SLO for each group among its stakeholders.
func countStakes(ofGroup map[string]int, s *incident.SLO) {
	for i, name := range s.Stakeholders {
		if !slices.Contains(s.Stakeholders[:i], name) {
			ofGroup[name]++
		}
	}
}

// groups are those that somebody informs; ofGroup says of how many SLOs each is among the stakeholders.
func groups(p *incident.Policy, ofGroup map[string]int) (all []Group) {
	for i := range p.Groups {
		g := GroupOf(&p.Groups[i], p)
		if g.SLOs = ofGroup[p.Groups[i].Name]; g.Management || g.SLOs > 0 {
			all = append(all, g)
		}
	}
	return all
}

// all yields SLOs where they are.
func all(slos []incident.SLO) iter.Seq[*incident.SLO] {
	return func(yield func(*incident.SLO) bool) {
		for i := range slos {
			if !yield(&slos[i]) {
				return
			}
		}
	}
}

// from goes through the SLOs once, however many teams and groups there are.
func from(p *incident.Policy, slos iter.Seq[*incident.SLO]) Page {
	page := Page{Version: p.Hash[:min(12, len(p.Hash))]}
	ofPriority, ofGroup, ofTeam := map[string]int{}, map[string]int{}, map[string][]*incident.SLO{}
	for s := range slos {
		ofPriority[s.Priority]++
		ofTeam[s.Team] = append(ofTeam[s.Team], s)
		countStakes(ofGroup, s)
	}
	for i := range p.Priorities {
		q := priority(&p.Priorities[i], p)
		q.SLOs = ofPriority[p.Priorities[i].Name]
		page.Priorities = append(page.Priorities, q)
	}
	page.Groups = groups(p, ofGroup)
	rank := map[string]int{}
	for _, q := range p.Priorities {
		rank[q.Name] = q.Rank
	}
	for i := range p.Teams {
		if slos := ofTeam[p.Teams[i].Name]; len(slos) > 0 {
			page.Teams = append(page.Teams, Team{Name: line(p.Teams[i].Name), SLOs: shown(slos, rank, p)})
		}
	}
	return page
}

func priority(q *incident.Priority, p *incident.Policy) Priority {
	out := Priority{Name: line(q.Name), Summary: line(q.Summary), Rank: q.Rank, Criteria: lines(q.Criteria), InformAfter: duration(q.InformAfter)}
	for _, a := range q.Actions {
		out.Actions = append(out.Actions, Action{line(a.Name), duration(a.Within)})
	}
	for _, a := range q.Inform {
		one := Audience{Name: wording.AudienceName(a), BySLO: a == incident.AudienceStakeholders}
		if a == incident.AudienceManagement {
			if one.Groups = lines(Management(q, p)); len(one.Groups) == 0 {
				one.Name += ", none of whose groups hears of it"
			}
		}
		out.Audiences = append(out.Audiences, one)
	}
	if len(out.Audiences) > 0 {
		out.UpdateEvery = duration(q.UpdateEvery)
	}
	return out
}

// GroupOf returns what a page shows of a group, but for how many SLOs' stakeholder it is.
func GroupOf(g *incident.Group, p *incident.Policy) Group {
	out := Group{Name: line(g.Name), Management: slices.Contains(p.Management, g.Name), Hears: lines(g.Priorities), Timezone: g.Location.String()}
	for _, r := range g.Recipients {
		out.Recipients = append(out.Recipients, line(r.Address))
	}
	for _, q := range g.Quiet {
		out.Quiet = append(out.Quiet, quiet(q))
	}
	return out
}

// Management returns the names of the groups of management that hear of a priority.
func Management(q *incident.Priority, p *incident.Policy) []string {
	return slices.DeleteFunc(slices.Clone(p.Management), func(name string) bool {
		g, ok := p.Group(name)
		return ok && !g.Hears(q.Name)
	})
}

// Stakeholders returns the names of the groups that are the stakeholders of an SLO, each
// with the priorities that it hears of, if that is not all: "sales (P1 and P2 only)".
func Stakeholders(s *incident.SLO, p *incident.Policy) []string {
	var names []string
	for _, name := range s.Stakeholders {
		text := line(name)
		if g, ok := p.Group(name); ok && len(g.Priorities) > 0 {
			text += " (" + wording.List(lines(g.Priorities)) + " only)"
		}
		names = append(names, text)
	}
	return names
}

// shown are a team's SLOs as a page has them.
func shown(slos []*incident.SLO, rank map[string]int, p *incident.Policy) []SLO {
	slices.SortStableFunc(slos, func(a, b *incident.SLO) int { return rank[a.Priority] - rank[b.Priority] })
	found := make([]SLO, 0, len(slos))
	for _, s := range slos {
		found = append(found, SLO{
			ID: line(s.ID), UseCase: line(s.UseCase), Affects: line(s.Affects), SLI: line(s.SLI), Service: line(s.Service), Priority: line(s.Priority),
			Runbook: wording.Link(s.Runbook), Stakeholders: Stakeholders(s, p),
		})
	}
	return found
}

func line(s string) string { return wording.Line(s, textLimit) }

func lines(all []string) []string {
	var out []string
	for _, s := range all {
		out = append(out, line(s))
	}
	return out
}

func duration(d time.Duration) string {
	if d <= 0 {
		return ""
	}
	return wording.Duration(d)
}
