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
	groups    []Group // those with quiet times; the team's has none
}

// Readers returns who is to be told of the incident under the policy, in file
// order, the team last.
func Readers(in *Incident, p *Policy) []Reader {
	c := collector{byID: map[string]int{}}
	priority := in.priority(p)
	for _, g := range p.Groups {
		for _, a := range priority.Inform {
			if a == Management && slices.Contains(p.Management, g.Name) || a == Stakeholders && slices.Contains(in.Stakeholders, g.Name) {
				c.add(g, a)
			}
		}
	}
	if t, ok := p.Team(in.Team); ok {
		c.add(Group{Name: t.Name, Recipients: t.OnCall, Location: p.Location}, OnCall)
	}
	return c.readers
}

// WatchdogReaders returns who is told when the watchdog goes away and comes back.
func WatchdogReaders(p *Policy) []Reader {
	c := collector{byID: map[string]int{}}
	for _, g := range p.Groups {
		if slices.Contains(p.Watchdog.Groups, g.Name) {
			c.add(g, OnCall)
		}
	}
	return c.readers
}

type collector struct {
	readers []Reader
	byID    map[string]int
}

func (c *collector) add(g Group, a Audience) {
	for _, rcpt := range g.Recipients {
		i, ok := c.byID[rcpt.ID]
		if !ok {
			i = len(c.readers)
			c.byID[rcpt.ID] = i
			c.readers = append(c.readers, Reader{Recipient: rcpt, Location: g.Location})
		}
		r := &c.readers[i]
		if !slices.Contains(r.Audiences, a) {
			r.Audiences = append(r.Audiences, a)
			slices.SortFunc(r.Audiences, func(x, y Audience) int { return audienceRank(x) - audienceRank(y) })
		}
		if !slices.Contains(r.Groups, g.Name) {
			r.Groups = append(r.Groups, g.Name)
			r.groups = append(r.groups, g)
		}
	}
}

func audienceRank(a Audience) int {
	return slices.Index([]Audience{Management, Stakeholders, OnCall}, a)
}

// informed reports whether the audiences are owed scheduled updates, as all but
// on_call are.
func informed(audiences []Audience) bool {
	return slices.ContainsFunc(audiences, func(a Audience) bool { return a != OnCall })
}

// priority returns the definition in force of the incident's priority, or the
// incident's own copy if the policy no longer has it.
func (in *Incident) priority(p *Policy) Priority {
	if q, ok := p.Priority(in.Priority.Name); ok {
		return q
	}
	return in.Priority
}

// reads reports whether the recipient is still in one of the groups, or on the
// team, by which it read; so by the policy it may be told at all.
func (p *Policy) reads(s *Subscription) (Recipient, bool) {
	has := func(rs []Recipient) int {
		return slices.IndexFunc(rs, func(r Recipient) bool { return r.ID == s.Recipient })
	}
	for _, name := range s.Groups {
		if g, ok := p.Group(name); ok {
			if i := has(g.Recipients); i >= 0 {
				return g.Recipients[i], true
			}
		}
		if t, ok := p.Team(name); ok {
			if i := has(t.OnCall); i >= 0 {
				return t.OnCall[i], true
			}
		}
	}
	return Recipient{}, false
}

// reader returns the reader behind a subscription, with the groups that the policy
// still has; false if the recipient is in none of them any more.
func (p *Policy) reader(s *Subscription) (Reader, bool) {
	rcpt, ok := p.reads(s)
	if !ok {
		return Reader{}, false
	}
	r := Reader{Recipient: rcpt, Audiences: s.Audiences, Groups: s.Groups, Location: p.Location}
	for i, name := range s.Groups {
		g, ok := p.Group(name)
		if !ok {
			g = Group{Name: name, Location: p.Location}
		}
		if i == 0 {
			r.Location = g.Location
		}
		r.groups = append(r.groups, g)
	}
	return r, true
}
