// Package incidenttest is the example organisation that tests are about, as httptest is
// for HTTP: what it promises, who reads, what fires there, and a clock.
//
// It has the priorities P1 to P3, a team, notifications, with the reader oncall, and the
// groups leadership, which is all of the management, with the reader cto, and support,
// with the reader support. A test takes [Policy] and says what is different there.
package incidenttest

import (
	"strings"
	"time"

	"github.com/prometheus/alertmanager/timeinterval"

	"sitrep/incident"
)

// Policy returns what the organisation promises about those SLOs; without any, it has
// p1, p2 and p3, named after their priorities. Each call makes a new one, which the test
// may change until it is in use.
//
// P1 and P2 inform management and stakeholders every two and four hours, P3 the
// stakeholders every eight. P1 brings a hotfix, and a postmortem within five days.
func Policy(slos ...incident.SLO) *incident.Policy {
	both := []incident.Audience{incident.AudienceManagement, incident.AudienceStakeholders}
	p := &incident.Policy{
		Hash: "c0ffee", Location: Berlin(),
		Priorities: []incident.Priority{
			{
				Name: "P1", Rank: 0, Summary: "Severe customer impact",
				Criteria: []string{"Log-on is not possible for any application", "A core use case is broken for most customers"},
				Actions:  []incident.ActionRule{{Name: "hotfix"}, {Name: "postmortem", Within: 5 * 24 * time.Hour}},
				Inform:   both, UpdateEvery: 2 * time.Hour,
			},
			{
				Name: "P2", Rank: 1, Summary: "Deserves the attention of stakeholders",
				Criteria: []string{"Daily log-ons in a data centre dropped by more than 70 %"},
				Inform:   both, UpdateEvery: 4 * time.Hour,
			},
			{
				Name: "P3", Rank: 2, Summary: "Affects the work of some", Criteria: []string{"A workaround exists"},
				Inform: both[1:], UpdateEvery: 8 * time.Hour,
			},
		},
		Management: []string{"leadership"},
		Groups:     []incident.Group{Group("leadership", "cto"), Group("support", "support")},
		Teams:      []incident.Team{Team("notifications", "oncall")},
		SLOs:       slos,

		ResolveAfter: 10 * time.Minute, ReopenWithin: time.Hour, UnknownAfter: 5 * time.Hour,
		RemindBefore: 15 * time.Minute, DigestAbove: 5, ExternalURL: "https://sitrep.example.org",
	}
	if len(slos) == 0 {
		for _, q := range p.Priorities {
			p.SLOs = append(p.SLOs, SLO(strings.ToLower(q.Name), q.Name))
		}
	}
	return p
}

// SLO returns an objective of the team notifications, of which support hears.
func SLO(id, priority string) incident.SLO {
	return incident.SLO{
		ID: id, Key: id, UseCase: "Use case of " + id, SLI: "availability", Service: "notifications",
		Team: "notifications", Priority: priority, Stakeholders: []string{"support"},
	}
}

// Find returns the SLO that an alert of [Firing] is about, by its label sloth_id; nil if
// the policy has none.
func Find(p *incident.Policy, labels map[string]string) *incident.SLO {
	for i := range p.SLOs {
		if p.SLOs[i].ID == labels["sloth_id"] {
			return &p.SLOs[i]
		}
	}
	return nil
}

// Group returns a group in Berlin whose readers have those names.
func Group(name string, readers ...string) incident.Group {
	return incident.Group{Name: name, Location: Berlin(), Recipients: Mails(readers...)}
}

// Team returns a team; on call are readers of those names.
func Team(name string, readers ...string) incident.Team {
	return incident.Team{Name: name, OnCall: Mails(readers...)}
}

// Mail returns the reader of that name, who has an address at example.org.
func Mail(name string) incident.Recipient {
	a := name + "@example.org"
	return incident.Recipient{ID: "email:" + a, Channel: incident.ChannelEmail, Address: a}
}

// Mails returns readers as [Mail] does; nil for none.
func Mails(names ...string) []incident.Recipient {
	var all []incident.Recipient
	for _, n := range names {
		all = append(all, Mail(n))
	}
	return all
}

// Quiet returns a quiet time of each day, in minutes since midnight; messages about the
// priorities in unless are sent then, too.
func Quiet(start, end int, unless ...string) incident.Quiet {
	return incident.Quiet{Unless: unless, Times: []timeinterval.TimeInterval{{Times: []timeinterval.TimeRange{{StartMinute: start, EndMinute: end}}}}}
}
