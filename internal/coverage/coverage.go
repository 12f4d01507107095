// Package coverage is how far each promise reaches now, from the rule to the mailbox, for api and
// web alike: what was found when Prometheus and Alertmanager were last asked, and what the store
// tells of alerts and of messages.
package coverage

import (
	"context"
	"fmt"
	"slices"
	"time"

	"sitrep/chain"
	"sitrep/chain/live"
	"sitrep/incident"
	"sitrep/storage"
)

// A Report is what was found at one time. It is never changed.
type Report struct {
	// At is when the chains were last looked at; zero: not yet.
	At time.Time
	// Asks is set if the configuration names a Prometheus and an Alertmanager.
	AsksPrometheus, AsksAlertmanager bool
	Sources                          []live.Source
	General                          []chain.Finding // that are about no SLO alone, or all
	Counts                           map[live.State]int
	Findings                         map[chain.Kind]int // errors and warnings

	bySLO map[string]*live.Chain
}

// New returns the report of a result.
func New(r *live.Result, asksPrometheus, asksAlertmanager bool) *Report {
	out := &Report{
		At: r.At, AsksPrometheus: asksPrometheus, AsksAlertmanager: asksAlertmanager, Sources: r.Sources, General: r.General,
		Counts: map[live.State]int{}, Findings: map[chain.Kind]int{}, bySLO: make(map[string]*live.Chain, len(r.Chains)),
	}
	for i := range r.Chains {
		c := &r.Chains[i]
		out.bySLO[c.SLO.ID] = c
		out.Counts[c.State]++
	}
	for i := range r.Report.Findings {
		if f := &r.Report.Findings[i]; f.Severity != chain.Note {
			out.Findings[f.Kind]++
		}
	}
	return out
}

// WhyUnanswered says why somebody did not answer; empty if it did. Strangers are not told what a
// network says.
func WhyUnanswered(s *live.Source, stranger bool) string {
	if stranger && s.Error != "" {
		return "the log says why"
	}
	return s.Error
}

// GeneralFor returns the findings that are about no SLO alone, to strangers without what a network says.
func (r *Report) GeneralFor(stranger bool) []chain.Finding {
	if !stranger {
		return r.General
	}
	return slices.DeleteFunc(slices.Clone(r.General), func(f chain.Finding) bool { return f.Kind == chain.KindUnanswered })
}

// State returns that of the chain of an SLO as it was found; one that was not looked at is unknown.
func (r *Report) State(slo string) live.State {
	if c := r.bySLO[slo]; c != nil {
		return c.State
	}
	return live.Unknown
}

// Broken calls do with each SLO whose chain is broken, in the order of the policy.
func (r *Report) Broken(p *incident.Policy, do func(slo string)) {
	for i := range p.SLOs {
		if id := p.SLOs[i].ID; r.State(id) == live.Broken {
			do(id)
		}
	}
}

// A Row is the chain of an SLO now.
type Row struct {
	SLO   *incident.SLO
	State live.State  // the worst of its links
	Links []live.Link // one for each stage
	// Alerts are the names of the rules that feed it, each once.
	Alerts []string
	Claim  *storage.Claim // when it last claimed an alert; nil: never
	// Readers is how many recipients would be told, and Told when one of them was last handed a
	// message, of whatever incident: one by mail if any is reached by mail; zero: never.
	Readers int
	Told    time.Time
}

// Rows reads the chains of SLOs.
func Rows(ctx context.Context, tx storage.Snapshot, p *incident.Policy, r *Report, slos []*incident.SLO) ([]Row, error) {
	claims, err := storage.LastClaims(ctx, tx, slos)
	if err != nil {
		return nil, err
	}
	readers := make([][]incident.Recipient, len(slos))
	var ids []string
	for i, s := range slos {
		readers[i] = readersOf(p, s)
		for _, to := range readers[i] {
			ids = append(ids, to.ID)
		}
	}
	slices.Sort(ids)
	states, err := tx.RecipientStates(ctx, slices.Compact(ids))
	if err != nil {
		return nil, err
	}
	rows := make([]Row, len(slos))
	for i, s := range slos {
		row := &rows[i]
		*row = Row{SLO: s, State: live.Unknown, Readers: len(readers[i])}
		if c := r.bySLO[s.ID]; c != nil {
			row.Links, row.Alerts = slices.Clone(c.Links), c.Alerts
		} else {
			for _, stage := range chain.Stages() {
				row.Links = append(row.Links, live.Link{Stage: stage, State: live.Unknown})
			}
		}
		if c, ok := claims[s.ID]; ok {
			row.Claim = &c
		}
		row.read(readers[i], states)
		row.State = live.Whole
		for _, l := range row.Links {
			row.State = live.Worst(row.State, l.State)
		}
	}
	return rows, nil
}

// readersOf returns who would be told of an incident of an SLO, each once.
func readersOf(p *incident.Policy, s *incident.SLO) []incident.Recipient {
	var out []incident.Recipient
	add := func(list []incident.Recipient) {
		for _, to := range list {
			if !slices.ContainsFunc(out, func(r incident.Recipient) bool { return r.ID == to.ID }) {
				out = append(out, to)
			}
		}
	}
	if t, ok := p.Team(s.Team); ok {
		add(t.OnCall)
	}
	q, _ := p.Priority(s.Priority)
	for _, a := range q.Inform {
		names := s.Stakeholders
		if a == incident.AudienceManagement {
			names = p.Management
		}
		for _, name := range names {
			if g, ok := p.Group(name); ok && g.Hears(s.Priority) {
				add(g.Recipients)
			}
		}
	}
	return out
}

// read takes in how it goes with those who would be told.
func (row *Row) read(readers []incident.Recipient, states map[string]storage.RecipientState) {
	link := &row.Links[len(row.Links)-1]
	add := func(s chain.Severity, text, fix string) {
		link.Findings = append(slices.Clone(link.Findings), chain.Finding{Kind: chain.KindUndelivered, Severity: s, Text: text, Fix: fix, SLO: row.SLO.ID})
		worse := live.Broken
		if s == chain.Warning {
			worse = live.Doubtful
		}
		link.State = live.Worst(link.State, worse)
	}
	if len(readers) == 0 {
		add(chain.Error, "nobody would be told: neither the team nor an audience has recipients", "add on_call to the team's file, or recipients to its stakeholders")
		return
	}
	byMail := slices.ContainsFunc(readers, func(r incident.Recipient) bool { return r.Channel == incident.ChannelEmail })
	failing := 0
	var since time.Time
	for _, to := range readers {
		s := states[to.ID]
		if s.SentAt.After(row.Told) && (!byMail || to.Channel == incident.ChannelEmail) {
			row.Told = s.SentAt
		}
		if !s.FailingSince.IsZero() {
			failing++
			if since.IsZero() || s.FailingSince.Before(since) {
				since = s.FailingSince
			}
		}
	}
	if failing == 0 {
		if link.State == live.Unknown && len(link.Findings) == 0 {
			link.State = live.Whole
		}
		return
	}
	severity := chain.Warning
	if failing == len(readers) {
		severity = chain.Error
	}
	add(severity, fmt.Sprintf("messages to %d of %d recipients have not been handed over since %s UTC", failing, len(readers), since.UTC().Format(time.DateTime)), "the page Deliveries says why")
}
