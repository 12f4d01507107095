package simulate

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"sitrep/app"
	"sitrep/config"
	"sitrep/incident"
	"sitrep/incident/sample"
	"sitrep/templates"
)

// A Preview is what a message would be: of which kind, to whom and about what. Nothing in it happened.
type Preview struct {
	Kind string // of the message
	// Group or Team is who is told; exactly one of them.
	Group, Team string
	// Channel is how: email, or the format of a webhook; empty: as the first recipient is.
	Channel string
	// SLO is the id of whose incident it is; empty: one that the reader hears of.
	SLO string
	// Priority is that of the incident; empty: the SLO's.
	Priority string
	Shape    sample.Shape
	Drill    bool
	At       time.Time
	BaseURL  string // where links lead
	// Failed is told what a template fails for, and the message has sitrep's own words.
	Failed func(*templates.Failure)
}

// Message makes the message by a configuration, as what sends does, and returns by which channel it
// would go: email, or the format of a webhook. The error says what would be right; it is an
// incident.ErrInvalid where that is another choice.
func (p *Preview) Message(c *config.Config) (body []byte, channel string, err error) {
	policy := c.Policy()
	var kinds []string
	for _, k := range sample.Kinds() {
		kinds = append(kinds, string(k))
	}
	if err := known("kind", p.Kind, kinds); err != nil {
		return nil, "", err
	}
	r, err := p.reader(policy)
	if err != nil {
		return nil, "", err
	}
	kind := incident.Kind(p.Kind)
	if kind.OfPulse() {
		r.audience = incident.AudienceOnCall // those groups are told as such
	} else if kind == incident.KindReminder && r.audience != incident.AudienceOnCall {
		return nil, "", invalid("reminders go to those on call alone; name a team by --team: %s", strings.Join(teams(policy), ", "))
	}
	about := sample.About{
		Audience: r.audience, Group: r.name, Location: r.location, Language: r.language, At: p.At, BaseURL: p.BaseURL, Drill: p.Drill, Priorities: policy.Priorities,
	}
	if !kind.OfPulse() {
		if about.SLO, about.Priority, err = p.slo(policy, r); err != nil {
			return nil, "", err
		}
	}
	m := sample.Message(kind, p.Shape, about)
	m.ID = "preview"
	if m.Recipient, channel, err = p.recipient(c, r); err != nil {
		return nil, "", err
	}
	body, err = app.Render(c, m, p.Failed)
	return body, channel, err
}

// A reader is a group or a team that a preview is for.
type reader struct {
	what, name string
	audience   incident.Audience
	location   *time.Location
	language   string
	recipients []incident.Recipient
	group      *incident.Group // nil: a team
}

func (p *Preview) reader(policy *incident.Policy) (reader, error) {
	if p.Team != "" {
		if err := known("team", p.Team, teams(policy)); err != nil {
			return reader{}, err
		}
		t, _ := policy.Team(p.Team)
		return reader{what: "the team", name: t.Name, audience: incident.AudienceOnCall, location: policy.Location, recipients: t.OnCall}, nil
	}
	var groups []string
	for i := range policy.Groups {
		groups = append(groups, policy.Groups[i].Name)
	}
	if err := known("group", p.Group, groups); err != nil {
		return reader{}, err
	}
	g, _ := policy.Group(p.Group)
	r := reader{what: "the group", name: g.Name, audience: incident.AudienceStakeholders, location: g.Location, language: g.Language, recipients: g.Recipients, group: &g}
	if slices.Contains(policy.Management, g.Name) {
		r.audience = incident.AudienceManagement
	}
	return r, nil
}

func teams(policy *incident.Policy) []string {
	var all []string
	for i := range policy.Teams {
		all = append(all, policy.Teams[i].Name)
	}
	return all
}

// slo returns whose incident the message is about, and the rank of its priority: one that the reader
// hears of, if there is one.
func (p *Preview) slo(policy *incident.Policy, r reader) (*incident.SLO, int, error) {
	var ids, priorities []string
	for i := range policy.SLOs {
		ids = append(ids, policy.SLOs[i].ID)
	}
	for i := range policy.Priorities {
		priorities = append(priorities, policy.Priorities[i].Name)
	}
	if p.Priority != "" {
		if err := known("priority", p.Priority, priorities); err != nil {
			return nil, 0, err
		}
	}
	if p.SLO != "" {
		if err := known("SLO", p.SLO, ids); err != nil {
			return nil, 0, err
		}
	}
	// The first that the reader hears of.
	for i := range policy.SLOs {
		s := &policy.SLOs[i]
		priority := s.Priority
		if p.Priority != "" {
			priority = p.Priority
		}
		rank := slices.Index(priorities, priority)
		if p.SLO != "" && s.ID != p.SLO || rank < 0 {
			continue
		}
		if p.SLO != "" || r.hears(s, &policy.Priorities[rank]) {
			return s, rank, nil
		}
	}
	if len(policy.SLOs) == 0 {
		return nil, 0, nil // an example
	}
	with := ""
	if p.Priority != "" {
		with = " with the priority " + p.Priority
	}
	return nil, 0, invalid("%s %s hears of no SLO%s; name one by --slo to see what it would get", r.what, r.name, with)
}

// hears reports whether a reader is told of incidents of an SLO with a priority.
func (r *reader) hears(s *incident.SLO, p *incident.Priority) bool {
	switch r.audience {
	case incident.AudienceOnCall:
		return s.Team == r.name
	case incident.AudienceStakeholders:
		return slices.Contains(s.Stakeholders, r.name) && slices.Contains(p.Inform, r.audience) && r.group.Hears(p.Name)
	}
	return slices.Contains(p.Inform, r.audience) && r.group.Hears(p.Name)
}

// recipient returns who gets the message, and by which channel.
func (p *Preview) recipient(c *config.Config, r reader) (incident.Recipient, string, error) {
	var there []string
	for _, to := range r.recipients {
		channel := string(to.Channel)
		if to.Channel == incident.ChannelWebhook {
			channel = string(c.Webhooks()[to.ID].Format)
		}
		if channel == p.Channel || p.Channel == "" {
			return to, channel, nil
		}
		if !slices.Contains(there, channel) {
			there = append(there, channel)
		}
	}
	if len(r.recipients) == 0 {
		return incident.Recipient{}, "", invalid("%s %s has no recipients", r.what, r.name)
	}
	if err := known("channel", p.Channel, []string{"email", "json", "slack", "teams", "mattermost"}); err != nil {
		return incident.Recipient{}, "", err
	}
	return incident.Recipient{}, "", invalid("%s %s has no recipient by %s; it has %s", r.what, r.name, p.Channel, strings.Join(there, ", "))
}

// known returns an error that says what would be right, if a name is none of those known.
func known(what, name string, all []string) error {
	switch near, ok := config.Nearest(name, all); {
	case slices.Contains(all, name):
		return nil
	case len(all) == 0:
		return invalid("there is no %s %q; the configuration has none", what, name)
	case ok:
		return invalid("there is no %s %q; did you mean %q?", what, name, near)
	}
	return invalid("there is no %s %q; use %s", what, name, strings.Join(all[:min(len(all), 12)], " or "))
}

func invalid(format string, args ...any) error {
	return &incident.Problem{Kind: incident.ErrInvalid, Text: fmt.Sprintf(format, args...)}
}
