package incident

import (
	"slices"
	"time"
)

// A Reader is a recipient who is to be told of an incident, with all the groups by
// which it reads. One address is one reader, however many groups it is in.
type Reader struct {
	Recipient Recipient
	Audiences []Audience // in the order of the constants
	Groups    []string   // names in file order; on_call's is the team
	Location  *time.Location
	Language  string   // that of the first of the groups, as its tag; empty is English
	groups    []*Group // those with quiet times; the team's has none
}

// Readers returns who is to be told of the incident under the policy, in file
// order, the team last.
func Readers(in *Incident, p *Policy) []Reader {
	c := collector{byID: map[string]int{}, readers: make([]Reader, 0, 4)}
	priority := in.priority(p)
	for i := range p.Groups {
		g := &p.Groups[i]
		if !g.Hears(priority.Name) {
			continue
		}
		for _, a := range priority.Inform {
			if in.addresses(a, g, p) {
				c.add(g, a, false)
			}
		}
	}
	if t, ok := p.Team(in.Team); ok {
		// The team stands for itself, also beside a group of the same name.
		c.add(p.asGroup(&t), AudienceOnCall, true)
	}
	return c.readers
}

// addresses reports whether a group is among those behind an audience of the incident.
func (in *Incident) addresses(a Audience, g *Group, p *Policy) bool {
	return a == AudienceManagement && slices.Contains(p.Management, g.Name) || a == AudienceStakeholders && slices.Contains(in.Stakeholders, g.Name)
}

// Unheard returns the groups behind the audiences that the incident's priority informs
// which are not told, as they do not hear of that priority; in file order.
func Unheard(in *Incident, p *Policy) []Group {
	var out []Group
	priority := in.priority(p)
	for i := range p.Groups {
		g := &p.Groups[i]
		if !g.Hears(priority.Name) && slices.ContainsFunc(priority.Inform, func(a Audience) bool { return in.addresses(a, g, p) }) {
			out = append(out, *g)
		}
	}
	return out
}

// WatchdogReaders returns who is told when the watchdog goes away and comes back.
func WatchdogReaders(p *Policy) []Reader { return readersIn(p, p.Watchdog.Groups) }

// pulseReaders returns who is told of the pulse of that name.
func pulseReaders(p *Policy, pulse string) []Reader {
	if pulse == CanaryPulse {
		return CanaryReaders(p)
	}
	return WatchdogReaders(p)
}

// readersIn returns who is in groups of those names.
func readersIn(p *Policy, groups []string) []Reader {
	c := collector{byID: map[string]int{}}
	for i := range p.Groups {
		if g := &p.Groups[i]; slices.Contains(groups, g.Name) {
			c.add(g, AudienceOnCall, false)
		}
	}
	return c.readers
}

// hears returns the names of the priorities of which the groups of the reader hear, the
// highest first; nil if one of them hears of all, as the team does.
func (r *Reader) hears(p *Policy) []string {
	if slices.ContainsFunc(r.groups, func(g *Group) bool { return len(g.Priorities) == 0 }) {
		return nil
	}
	return slices.DeleteFunc(p.PriorityNames(), func(name string) bool {
		return !slices.ContainsFunc(r.groups, func(g *Group) bool { return g.Hears(name) })
	})
}

type collector struct {
	readers []Reader
	byID    map[string]int
}

// asGroup returns those on call as a group that is never quiet.
func (p *Policy) asGroup(t *Team) *Group {
	return &Group{Name: t.Name, Recipients: t.OnCall, Location: p.Location}
}

func (c *collector) add(g *Group, a Audience, team bool) {
	for _, rcpt := range g.Recipients {
		i, ok := c.byID[rcpt.ID]
		if !ok {
			i = len(c.readers)
			c.byID[rcpt.ID] = i
			c.readers = append(c.readers, Reader{Recipient: rcpt, Location: g.Location, Language: g.Language})
		}
		r := &c.readers[i]
		if !slices.Contains(r.Audiences, a) {
			r.Audiences = append(r.Audiences, a)
			slices.SortFunc(r.Audiences, func(x, y Audience) int { return audienceRank(x) - audienceRank(y) })
		}
		if team || !slices.Contains(r.Groups, g.Name) {
			r.Groups = append(r.Groups, g.Name)
			r.groups = append(r.groups, g)
		}
	}
}

func audienceRank(a Audience) int {
	return slices.Index([]Audience{AudienceManagement, AudienceStakeholders, AudienceOnCall}, a)
}

// informed reports whether the audiences are owed scheduled updates, as all but
// on_call are.
func informed(audiences []Audience) bool {
	return slices.ContainsFunc(audiences, func(a Audience) bool { return a != AudienceOnCall })
}

// priority returns the definition in force of the incident's priority, or the
// incident's own copy if the policy no longer has it.
func (in *Incident) priority(p *Policy) Priority {
	if q, ok := p.Priority(in.Priority.Name); ok {
		return q
	}
	return in.Priority
}

// membersOf returns the i-th of the groups by which a subscription reads, as the
// policy has it: the last is the team of one that is on call. False if there is no
// such group any more, or the recipient is not in it.
func (p *Policy) membersOf(s *Subscription, i int) (*Group, Recipient, bool) {
	if i == len(s.Groups)-1 && slices.Contains(s.Audiences, AudienceOnCall) {
		t, ok := p.Team(s.Groups[i])
		if !ok {
			return nil, Recipient{}, false
		}
		r, ok := find(t.OnCall, func(r *Recipient) bool { return r.ID == s.Recipient })
		return p.asGroup(&t), r, ok
	}
	k := p.group(s.Groups[i])
	if k < 0 {
		return nil, Recipient{}, false
	}
	r, ok := p.member(k, s.Recipient)
	return &p.Groups[k], r, ok
}

// reads reports whether the recipient is still in one of the groups, or on the
// team, by which it read; so by the policy it may be told at all.
func (p *Policy) reads(s *Subscription) bool {
	for i := range s.Groups {
		if _, _, ok := p.membersOf(s, i); ok {
			return true
		}
	}
	return false
}

// reader returns the reader behind a subscription, with the groups in which the
// policy still has it; false if there is none any more.
func (p *Policy) reader(s *Subscription) (Reader, bool) {
	r := Reader{Audiences: s.Audiences, Groups: s.Groups}
	for i := range s.Groups {
		g, rcpt, ok := p.membersOf(s, i)
		if !ok {
			continue
		}
		if len(r.groups) == 0 {
			r.Recipient, r.Location, r.Language = rcpt, g.Location, g.Language
		}
		r.groups = append(r.groups, g)
	}
	return r, len(r.groups) > 0
}
