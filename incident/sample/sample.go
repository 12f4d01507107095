// Package sample makes up messages of each kind, as they could be sent: templates of one's own
// are tried with them before they come into force, and people look at them before anything
// fires. Nothing in them happened.
package sample

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"sitrep/incident"
)

// kinds are the kinds of messages, in the order in which a reader may get them.
var kinds = []incident.Kind{
	incident.KindOpened, incident.KindUpdate, incident.KindPriority, incident.KindLeft, incident.KindResolved, incident.KindReopened,
	incident.KindReminder, incident.KindDigest, incident.KindWatchdog, incident.KindCanary,
}

// Kinds returns the kinds of messages that there are samples of: all.
func Kinds() []incident.Kind { return slices.Clone(kinds) }

// Audiences returns who may be told by messages of a kind.
func Audiences(kind incident.Kind) []incident.Audience {
	if kind == incident.KindReminder || kind.OfPulse() {
		return []incident.Audience{incident.AudienceOnCall}
	}
	return []incident.Audience{incident.AudienceManagement, incident.AudienceStakeholders, incident.AudienceOnCall}
}

// A Shape is how much a sample says.
type Shape int

// The shapes.
const (
	Usual Shape = iota // what most messages are like
	Bare               // nothing that may be missing is there
	Full               // as much of all as there can be, with quotation marks, brackets and the like
)

// Shapes returns the shapes.
func Shapes() []Shape { return []Shape{Usual, Bare, Full} }

// About is what a sample is about. The zero value is an example of its own.
type About struct {
	// SLO is whose incident it is.
	SLO *incident.SLO
	// Priorities are those of the organisation, the highest first, and Priority is which of them the
	// incident has; without any, it is one of an example.
	Priorities []incident.Priority
	Priority   int
	// Audience is by which the reader reads; empty: stakeholders.
	Audience incident.Audience
	Group    string // empty: that of an example
	Location *time.Location
	Language string    // the tag of the reader's language; empty is English
	At       time.Time // when it was made; zero: a day of the example
	BaseURL  string
	Drill    bool
}

// example is what samples are about that are about nothing else.
var example = []incident.Priority{
	{
		Name: "P1", Rank: 0, Summary: "Severe customer impact", Criteria: []string{"A core use case is broken for most customers"},
		Actions: []incident.ActionRule{{Name: "hotfix"}, {Name: "postmortem", Within: 5 * 24 * time.Hour}},
		Inform:  []incident.Audience{incident.AudienceManagement, incident.AudienceStakeholders}, UpdateEvery: 2 * time.Hour,
	},
	{
		Name: "P2", Rank: 1, Summary: "Deserves attention",
		Inform: []incident.Audience{incident.AudienceManagement, incident.AudienceStakeholders}, UpdateEvery: 4 * time.Hour,
	},
}

// fill sets what is not set.
func (a *About) fill() {
	if len(a.Priorities) == 0 {
		a.Priorities = example
	}
	if a.SLO == nil {
		a.SLO = &incident.SLO{
			ID: "notifications-register", UseCase: "Application cannot register with notification services", Affects: "Customers in Europe",
			SLI: "availability", Service: "notifications", Team: "notifications", Runbook: "https://wiki.example.org/notifications",
		}
	}
	if a.Audience == "" {
		a.Audience = incident.AudienceStakeholders
	}
	if a.Group == "" {
		a.Group = map[incident.Audience]string{
			incident.AudienceManagement: "leadership", incident.AudienceStakeholders: "customer-support", incident.AudienceOnCall: a.SLO.Team,
		}[a.Audience]
	}
	if a.Location == nil {
		a.Location = time.UTC
	}
	if a.At.IsZero() {
		a.At = time.Date(2026, 7, 23, 14, 0, 0, 0, time.UTC)
	}
	if a.BaseURL == "" {
		a.BaseURL = "https://sitrep.example.org"
	}
}

// Message returns a sample of a kind. It is the same each time.
func Message(kind incident.Kind, shape Shape, a About) *incident.Message {
	a.fill()
	m := &incident.Message{
		ID: "sample", Kind: kind, At: a.At, BaseURL: a.BaseURL, Location: a.Location, Language: a.Language,
		Recipient: incident.Recipient{ID: "email:reader@example.org", Channel: incident.ChannelEmail, Address: "reader@example.org"},
		Audiences: []incident.Audience{a.Audience}, Group: a.Group,
	}
	switch kind {
	case incident.KindWatchdog:
		m.Watchdog = watchdog(shape, a.At)
		return m
	case incident.KindCanary:
		m.Canary = canary(shape, a.At)
		return m
	case incident.KindDigest:
		n := map[Shape]int{Usual: 6, Bare: 2, Full: 120}[shape]
		each := []incident.Kind{incident.KindOpened, incident.KindUpdate, incident.KindPriority, incident.KindLeft, incident.KindResolved, incident.KindReopened}
		for i := range n {
			b := a
			b.Priority = min(a.Priority+i*len(a.Priorities)/n, len(a.Priorities)-1)
			it := item(each[i%len(each)], shape, b)
			it.Incident.Number += int64(i)
			m.Items = append(m.Items, it)
		}
	default:
		m.Items = []incident.Item{item(kind, shape, a)}
	}
	return m
}

// item is what a reader is told of one incident.
func item(kind incident.Kind, shape Shape, a About) incident.Item {
	p := a.Priorities[a.Priority]
	ago := func(minutes int) time.Time { return a.At.Add(-time.Duration(minutes) * time.Minute) }
	onCall := a.Audience == incident.AudienceOnCall
	in := incident.Incident{
		Number: 42, Sequence: 9, ChangedAt: a.At, Key: a.SLO.Key, SLO: a.SLO.ID, UseCase: a.SLO.UseCase, Affects: a.SLO.Affects, SLI: a.SLO.SLI,
		Service: a.SLO.Service, Team: a.SLO.Team, Runbook: a.SLO.Runbook, Stakeholders: a.SLO.Stakeholders, Drill: a.Drill,
		State: incident.StateOpen, Phase: incident.PhaseInvestigation, Priority: p, Highest: p, SLOPriority: p.Name,
		Breaches: incident.Counts{Firing: 2, Total: 3}, StartedAt: ago(121), OpenedAt: ago(120), AcknowledgedAt: ago(115),
	}
	for _, rule := range p.Actions {
		in.Actions = append(in.Actions, incident.Action{Name: rule.Name, State: incident.ActionDue, Within: rule.Within})
	}
	for _, label := range a.SLO.Per {
		if in.Labels == nil {
			in.Labels = map[string]string{}
		}
		in.Labels[label] = "example"
	}
	it := incident.Item{Kind: kind, OnCall: onCall, Audiences: p.Inform, LastHeardAt: ago(1)}
	if p.UpdateEvery > 0 && !onCall {
		it.NextBy = incident.PromisedBy(a.At.Add(p.UpdateEvery))
	}
	owe := func(reason incident.Reason) {
		it.Reasons = append(it.Reasons, incident.Owed{Kind: kind, Reason: reason, At: a.At, DueAt: a.At.Add(15 * time.Minute)})
	}
	happened := func(minutes int, t incident.EventType, who incident.Actor, reason string, d incident.Data) {
		e := incident.Event{Incident: in.Number, Time: ago(minutes), Type: t, Actor: who, Reason: reason, Data: d}
		if e, told := e.ForReader([]incident.Audience{a.Audience}); told {
			it.Changes = append(it.Changes, e)
		}
	}
	over := func(state incident.State) {
		in.State, in.Phase, it.NextBy = state, incident.PhaseRecovery, time.Time{}
		in.Breaches.Firing, in.EndedAt, in.LastEndsAt, in.ResolvedAt = 0, ago(10), ago(10), a.At
	}
	other := a.Priorities[min(a.Priority+1, len(a.Priorities)-1)]
	if a.Priority == len(a.Priorities)-1 && a.Priority > 0 {
		other = a.Priorities[a.Priority-1]
	}
	switch kind {
	case incident.KindOpened:
		it.First, in.Phase, in.AcknowledgedAt = true, incident.PhaseInitialDiagnosis, time.Time{}
		in.StartedAt, in.OpenedAt, in.Breaches = ago(2), ago(1), incident.Counts{Firing: 1, Total: 1}
		owe(incident.DueOpened)
		happened(1, incident.EventOpened, incident.ActorAlertmanager, "", incident.Data{Opening: &incident.Opening{}})
	case incident.KindUpdate:
		if shape != Bare {
			happened(30, incident.EventPhaseChanged, "ada", "", incident.Data{From: string(incident.PhaseInitialDiagnosis), To: string(incident.PhaseInvestigation)})
		}
	case incident.KindPriority:
		owe(incident.DuePriority)
		happened(0, incident.EventPriorityChanged, "ada", "More customers are hit than was known.",
			incident.Data{From: other.Name, To: p.Name, Raised: p.Rank < other.Rank, Definition: &p})
	case incident.KindLeft:
		it.NextBy = time.Time{}
		owe(incident.DueLeft)
		in.Priority, it.Audiences = other, other.Inform
		happened(0, incident.EventPriorityChanged, "ada", "Fewer customers are hit than was thought.",
			incident.Data{From: p.Name, To: other.Name, Raised: other.Rank < p.Rank, Definition: &other})
	case incident.KindResolved:
		over(incident.StateResolved)
		owe(incident.DueResolved)
		happened(0, incident.EventResolved, incident.ActorScheduler, "", incident.Data{})
	case incident.KindReopened:
		in.ReopenedAt, in.Reopenings = a.At, 1
		owe(incident.DueReopened)
		happened(0, incident.EventReopened, incident.ActorAlertmanager, "", incident.Data{})
	case incident.KindReminder:
		owe(incident.DueUnfed)
	}
	if shape != Bare && kind != incident.KindOpened {
		word := incident.Word{Text: "The message queue of one data centre is full. We move its load to the other one.", At: ago(3), By: "ada"}
		it.Word, it.NewWord = &word, kind == incident.KindUpdate
		if it.NewWord {
			happened(3, incident.EventUpdateWritten, "ada", "", incident.Data{Message: word.Text, Audiences: p.Inform})
		}
	}
	if onCall {
		it.Runbook, in.AcknowledgedBy = a.SLO.Runbook, "ada"
		if in.AcknowledgedAt.IsZero() {
			in.AcknowledgedBy = ""
		}
		if in.State == incident.StateOpen && shape != Bare {
			it.Alerts = &incident.AlertList{Total: 2, Alerts: []incident.ListedAlert{{
				Name: "NotificationsRegisterAvailability", Summary: "5.3 % of registrations fail", URL: "https://prometheus.example.org/graph",
				Labels: map[string]string{"severity": "critical"}, StartsAt: in.StartedAt, HeardAt: ago(1), State: incident.BreachFiring,
			}}}
		}
	}
	it.Incident = in
	switch shape {
	case Bare:
		bare(&it)
	case Full:
		full(&it, ago)
	}
	if !onCall {
		it.Incident = it.Incident.ForAudiences(a.Audience)
	}
	return it
}

// bare takes out of an item what need not be there.
func bare(it *incident.Item) {
	in := &it.Incident
	in.Affects, in.SLI, in.Service, in.Runbook, in.Labels, in.Actions, it.Runbook = "", "", "", "", nil, nil, ""
	in.Priority.Summary, in.Priority.Criteria, in.Priority.Actions = "", nil, nil
	in.SLO, in.Unmapped, it.NextBy, it.LastHeardAt = "", true, time.Time{}, time.Time{}
	it.Reasons = nil
}

// Marks are what means something in HTML, JSON, Markdown and headers: a text in all of a [Full]
// sample has them.
const Marks = `"quoted" \ <b>&amp; *bold* _it_ [a](b) @channel <!here> {{.}}`

// full makes an item say as much as one can.
func full(it *incident.Item, ago func(minutes int) time.Time) {
	long := Marks + " " + strings.Repeat("and so on, for many words ", 100)
	in := &it.Incident
	in.UseCase, in.Affects, in.Service = long, long, Marks
	in.Labels = map[string]string{"region": Marks, "cluster": "prod-" + strings.Repeat("eu-", 30)}
	in.Priority.Summary = long
	for i := range in.Actions {
		in.Actions[i].State, in.Actions[i].DueAt, in.Actions[i].Link = incident.ActionDone, ago(5), "https://example.org/?a=1&b=(2)|3"
	}
	if it.Word != nil {
		it.Word.Text = long + "\n\n" + long
	}
	for i := range 15 {
		it.Changes = append(it.Changes, incident.Event{
			Incident: in.Number, Time: ago(60 - i), Type: incident.EventActionChanged, Actor: "ada",
			Data: incident.Data{Action: fmt.Sprintf("action %d %s", i, Marks), To: string(incident.ActionDone), Link: "https://example.org/"},
		})
	}
	it.LateSince, it.Breaches = ago(5), incident.Tally{Started: 3, Ended: 1, Unknown: 1}
	it.Silent = incident.Pulses{{AwaySince: ago(20)}}
	if it.Alerts != nil {
		a := it.Alerts.Alerts[0]
		a.Name, a.Summary, a.Labels = Marks, long, map[string]string{"a": Marks, "b": Marks, "c": Marks, "d": Marks}
		it.Alerts.Alerts = slices.Repeat([]incident.ListedAlert{a}, incident.AlertsListed)
		it.Alerts.Total = 100
	}
}

// watchdog is news of the watchdog: it is back, or away.
func watchdog(shape Shape, at time.Time) *incident.WatchdogNews {
	n := &incident.WatchdogNews{Away: true, HeardAt: at.Add(-20 * time.Minute), Within: 15 * time.Minute}
	switch shape {
	case Bare:
		n.Away = false
	case Full:
		n.Labels = map[string]string{"cluster": Marks}
		n.Pulse = "cluster=" + Marks
	}
	return n
}

// canary is how a run of the canary went.
func canary(shape Shape, at time.Time) *incident.CanaryNews {
	n := &incident.CanaryNews{Run: "sample", PostedAt: at.Add(-2 * time.Minute), HeardAt: at.Add(-time.Minute), Within: 10 * time.Minute}
	if shape == Full {
		n.HeardAt, n.FailedAt, n.Stage, n.FailingSince, n.Error = time.Time{}, at, incident.CanaryRoute, at.Add(-time.Hour), Marks
	}
	return n
}
