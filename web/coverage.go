package web

import (
	"net/http"
	"slices"
	"strconv"

	"sitrep/chain"
	"sitrep/chain/live"
	"sitrep/incident"
	"sitrep/internal/coverage"
	"sitrep/storage"
	"sitrep/wording"
)

type coveragePage struct {
	layout
	Team, Text, State string
	TeamNames         []string
	States            []stateChoice
	Total             int
	Previous, Next    string // queries of other pages; empty: there is none
	Checked           *moment
	CheckedAgo        string
	Asks, AsksRoutes  bool // a Prometheus is asked, and an Alertmanager
	Sources           []sourceInfo
	General           []findingInfo
	GeneralMore       int
	Stages            []string
	Rows              []chainInfo
}

// stateChoice is a state of chains, with how many there are.
type stateChoice struct {
	Value, Text string
	Count       int
	Chosen      bool
}

type sourceInfo struct {
	Program, Name, Error string
	Answered             *moment
}

// chainInfo is the chain of an SLO in the table.
type chainInfo struct {
	SLO      sloInfo
	Team     string
	State    linkInfo
	Links    []linkInfo
	Alerts   []string
	More     int // alerts
	Findings []findingInfo
	Readers  int
	Told     *moment
}

type linkInfo struct{ Stage, Text, Tone string }

type findingInfo struct {
	Stage, Text, Fix, Place, Tone, Severity string
	Sides                                   []string
}

// How many findings a page shows of one SLO, and about all.
const (
	findingsOfSLO     = 12
	findingsOfGeneral = 100
)

// stageNames are the words for the stages of a chain.
var stageNames = map[chain.Stage]string{
	chain.StageRule: "Rule", chain.StageSending: "Prometheus sends", chain.StageRoute: "Route to sitrep", chain.StageReaders: "Readers",
}

func linkOf(stage string, s live.State) linkInfo {
	switch s {
	case live.Whole:
		return linkInfo{stage, "whole", "delivered"}
	case live.Broken:
		return linkInfo{stage, "broken", "failed"}
	case live.Doubtful:
		return linkInfo{stage, "doubtful", "pending"}
	}
	return linkInfo{stage, "not known", ""}
}

func (h *Handler) coverage(w http.ResponseWriter, r *http.Request) error {
	q, report := r.URL.Query(), h.Coverage()
	p := coveragePage{layout: h.layout(r, "Coverage"), Team: q.Get("team"), Text: q.Get("q"), State: q.Get("state")}
	p.TeamNames = p.policy.TeamNames()
	p.Asks, p.AsksRoutes = report.AsksPrometheus, report.AsksAlertmanager
	if p.Checked = p.at(report.At); p.Checked != nil {
		p.CheckedAgo = p.ago(report.At)
	}
	for _, s := range live.States() {
		p.States = append(p.States, stateChoice{string(s), linkOf("", s).Text, report.Counts[s], string(s) == p.State})
	}
	for i := range report.Sources {
		s := &report.Sources[i]
		p.Sources = append(p.Sources, sourceInfo{s.Program, wording.Line(s.Name, 200), wording.Line(coverage.WhyUnanswered(s, p.Stranger), 500), p.at(s.AnsweredAt)})
	}
	general := report.GeneralFor(p.Stranger)
	for i := range general {
		if f := &general[i]; f.Kind != chain.KindUnanswered || f.Severity != chain.Error { // those stand with their source
			if len(p.General) == findingsOfGeneral {
				p.GeneralMore++
				continue
			}
			p.General = append(p.General, findingOf("", f))
		}
	}
	for _, s := range chain.Stages() {
		p.Stages = append(p.Stages, stageNames[s])
	}
	found := p.find(report)
	p.Total = len(found)
	page, _ := strconv.Atoi(q.Get("page"))
	page = min(max(page, 1), 1+len(found)/slosShown)
	from := min((page-1)*slosShown, len(found))
	to := min(from+slosShown, len(found))
	other := func(n int) string {
		q.Set("page", strconv.Itoa(n))
		return "?" + q.Encode()
	}
	if page > 1 {
		p.Previous = other(page - 1)
	}
	if to < len(found) {
		p.Next = other(page + 1)
	}
	return h.show(w, r, "coverage", &p, func(tx storage.Snapshot) error {
		rows, err := coverage.Rows(r.Context(), tx, p.policy, report, found[from:to])
		p.Rows = nil
		for i := range rows {
			p.Rows = append(p.Rows, p.chainInfo(&rows[i]))
		}
		return err
	})
}

// find returns the SLOs that were asked for, the worst first.
func (p *coveragePage) find(report *coverage.Report) []*incident.SLO {
	list := (&slosPage{layout: p.layout, Team: p.Team, Text: p.Text}).find()
	if p.State != "" {
		list = slices.DeleteFunc(list, func(s *incident.SLO) bool { return string(report.State(s.ID)) != p.State })
	}
	order := live.States()
	slices.SortStableFunc(list, func(a, b *incident.SLO) int {
		return slices.Index(order, report.State(a.ID)) - slices.Index(order, report.State(b.ID))
	})
	return list
}

// chainInfo describes the chain of an SLO.
func (p *coveragePage) chainInfo(row *coverage.Row) chainInfo {
	out := chainInfo{SLO: p.sloInfo(row.SLO), Team: row.SLO.Team, State: linkOf("", row.State), Readers: row.Readers, Told: p.at(row.Told)}
	if c := row.Claim; c != nil {
		out.SLO.Claimed, out.SLO.LastIncident = p.at(c.At), incident.ID(c.Incident)
	}
	const most = 4
	for _, name := range row.Alerts[:min(most, len(row.Alerts))] {
		out.Alerts = append(out.Alerts, wording.Line(name, 120))
	}
	out.More = len(row.Alerts) - len(out.Alerts)
	for _, l := range row.Links {
		name := stageNames[l.Stage]
		out.Links = append(out.Links, linkOf(name, l.State))
		for i := range l.Findings {
			if len(out.Findings) < findingsOfSLO {
				out.Findings = append(out.Findings, findingOf(name, &l.Findings[i]))
			}
		}
	}
	return out
}

func findingOf(stage string, f *chain.Finding) findingInfo {
	out := findingInfo{Stage: stage, Text: wording.Line(f.Text, 1000), Fix: wording.Line(f.Fix, 500), Severity: string(f.Severity)}
	switch f.Severity {
	case chain.Error:
		out.Tone = "failed"
	case chain.Warning:
		out.Tone = "pending"
	}
	if f.Place != (chain.Place{}) {
		out.Place = wording.Line(f.Place.String(), 400)
	}
	for _, s := range f.Sides {
		out.Sides = append(out.Sides, wording.Line(s.Text+" ("+s.Place.String()+")", 500))
	}
	return out
}
