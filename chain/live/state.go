package live

import "sitrep/chain"

// A State says how it is with a chain, or with a stage of it.
type State string

// The states, the worst first.
const (
	Broken   State = "broken"   // a promise is broken, or will be
	Doubtful State = "doubtful" // it can be broken
	Unknown  State = "unknown"  // it cannot be known
	Whole    State = "whole"
)

// States returns all of them, the worst first.
func States() []State { return []State{Broken, Doubtful, Unknown, Whole} }

// Worst returns the worst of two states.
func Worst(a, b State) State {
	for _, s := range States() {
		if a == s || b == s {
			return s
		}
	}
	return Whole
}

// A Chain is what was found of the chain of an SLO.
type Chain struct {
	SLO   *chain.SLO
	State State // the worst of its links
	// Links are one for each stage, in the order of the way. Chains of which nothing was found may
	// have the same: it is not to be changed.
	Links []Link
	// Alerts are the names of the rules whose alerts it claims, each once.
	Alerts []string
}

// A Link is a stage of a chain.
type Link struct {
	Stage    chain.Stage
	State    State
	Findings []chain.Finding
}

// chains returns those of all SLOs.
func (l *looking) chains() []Chain {
	about := map[string][]*chain.Finding{}
	for i := range l.report.Findings {
		f := &l.report.Findings[i]
		if f.SLO != "" {
			about[f.SLO] = append(about[f.SLO], f)
		}
		for _, id := range f.SLOs {
			if id != f.SLO {
				about[id] = append(about[id], f)
			}
		}
	}
	out := make([]Chain, len(l.report.SLOs))
	plain := map[string][]Link{}
	for i := range l.report.SLOs {
		c := &l.report.SLOs[i]
		out[i] = Chain{SLO: c.SLO, State: Whole, Links: l.links(c, about[c.SLO.ID])}
		states := ""
		for _, link := range out[i].Links {
			out[i].State = Worst(out[i].State, link.State)
			states += string(link.State) + " "
		}
		if about[c.SLO.ID] == nil {
			// Most are alike, and there once.
			if plain[states] == nil {
				plain[states] = out[i].Links
			}
			out[i].Links = plain[states]
		}
		seen := map[string]bool{}
		for _, link := range c.Links {
			if !seen[link.Rule.Name] {
				seen[link.Rule.Name] = true
				out[i].Alerts = append(out[i].Alerts, link.Rule.Name)
			}
		}
	}
	return out
}

// links returns the stages of a chain, with what was found about its SLO.
func (l *looking) links(c *chain.Coverage, found []*chain.Finding) []Link {
	stages := chain.Stages()
	out := make([]Link, len(stages))
	for i, stage := range stages {
		link := &out[i]
		*link = Link{Stage: stage, State: l.state(stage, c)}
		for _, f := range found {
			if f.Kind.Stage() == stage {
				link.Findings = append(link.Findings, *f)
				link.State = Worst(link.State, stateOf(f.Severity))
			}
		}
	}
	return out
}

func stateOf(s chain.Severity) State {
	switch s {
	case chain.Error:
		return Broken
	case chain.Warning:
		return Doubtful
	}
	return Whole
}

// state returns that of a stage by what is known of it, without findings.
func (l *looking) state(stage chain.Stage, c *chain.Coverage) State {
	var state State
	switch stage {
	case chain.StageRule:
		state = l.ruleState(c)
	case chain.StageSending:
		state = l.sendingState(c)
	case chain.StageRoute:
		state = l.routeState(c)
	default:
		state = Whole
	}
	return state
}

func (l *looking) ruleState(c *chain.Coverage) State {
	sure := false
	for _, link := range c.Links {
		sure = sure || link.Claimed == chain.Always
	}
	if sure {
		return Whole
	}
	return Unknown // what breaks it is a finding
}

func (l *looking) sendingState(c *chain.Coverage) State {
	state := Unknown
	for _, link := range c.Links {
		for _, s := range l.sightings[link.Rule] {
			if s.at.sending == nil {
				state = Whole
			}
		}
	}
	return state
}

func (l *looking) routeState(c *chain.Coverage) State {
	asked := len(l.files.Alertmanagers) > 0
	for _, a := range l.alertmanagers {
		asked = asked || a.known() && a.config.Root != nil
	}
	if !asked || len(c.Links) == 0 {
		return Unknown
	}
	state := Whole
	sure := false
	for _, link := range c.Links {
		if link.Claimed != chain.Always {
			continue
		}
		sure = true
		switch link.Routed {
		case chain.Never:
			return Broken
		case chain.Maybe:
			state = Unknown
		}
	}
	if !sure {
		return Unknown
	}
	return state
}
