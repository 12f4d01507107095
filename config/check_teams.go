package config

import (
	"slices"

	"github.com/prometheus/common/model"

	"sitrep/incident"
)

// checkTeams checks the teams' files.
func (k *checker) checkTeams() {
	ids := map[string]standing{}
	first := map[string]int{}
	for i, s := range k.teams {
		t := k.Teams[i]
		if j, ok := first[t.Team]; ok && t.Team != "" {
			if !slices.Equal(t.OnCall.list(), k.Teams[j].OnCall.list()) {
				s.warnf("team", "the team %q has a file already, %s, with other people on call; all of them are told of all its SLOs", t.Team, k.teams[j].name)
			}
		} else {
			first[t.Team] = i
		}
		s.checkAddresses("on_call", t.OnCall)
		k.knownGroups(s, "stakeholders", t.Stakeholders)
		k.checkDrill(s, &t)
		for n := range t.SLOs {
			k.checkSLO(s, elem("slos", n), &t.SLOs[n], ids)
		}
	}
}

// A standing is a place in a file.
type standing struct {
	in *source
	at place
}

func (s standing) position() string {
	return Problem{File: s.in.name, Line: int(s.at.line), Column: int(s.at.column)}.position()
}

// The bounds of how often a team has a drill.
const drillAtMost = 731 * day

// checkDrill checks the drill that a team has by the clock.
func (k *checker) checkDrill(s *source, t *TeamFile) {
	d := t.Drill
	if d == nil {
		return
	}
	switch every := "drill.every"; {
	case s.broken(every) || !s.has(every):
	case d.Every < day:
		s.errorf(every, "%s is too often; write 1d or more, such as 90d", model.Duration(d.Every))
	case d.Every > drillAtMost:
		s.errorf(every, "%s is too rare; write %s or less, such as 90d", model.Duration(d.Every), model.Duration(drillAtMost))
	}
	if i := slices.IndexFunc(t.SLOs, func(o SLO) bool { return o.ID == d.SLO }); d.SLO != "" && i < 0 {
		var ids []string
		for _, o := range t.SLOs {
			ids = append(ids, o.ID)
		}
		s.errorf("drill.slo", "no SLO of this file has the id %q; %s", shorten(d.SLO), suggest(d.SLO, ids))
	}
	if d.Priority != "" && k.complete && !slices.Contains(k.priorities, d.Priority) {
		s.errorf("drill.priority", "unknown priority %q; %s", shorten(d.Priority), suggest(d.Priority, real(k.priorities)))
	}
	if t.OnCall.none() && !s.brokenWithin("on_call") {
		s.errorf("drill", "nobody is on call, so nobody has a drill; add on_call")
	}
}

// checkSLO checks one SLO. The ids are those before it, with their places.
func (k *checker) checkSLO(s *source, path string, o *SLO, ids map[string]standing) {
	if o.ID != "" {
		if before, ok := ids[o.ID]; ok {
			s.errorf(join(path, "id"), "%q is the id of another SLO already, at %s; choose another", shorten(o.ID), before.position())
		} else {
			ids[o.ID] = standing{s, s.place(join(path, "id"))}
		}
	}
	if s.has(join(path, "stakeholders")) {
		k.knownGroups(s, join(path, "stakeholders"), o.Stakeholders)
	}
	if o.Priority != "" && k.complete {
		i := slices.Index(k.priorities, o.Priority)
		if i < 0 && o.Priority == Unchosen {
			s.errorf(join(path, "priority"), "no priority is chosen yet for %q; %s", shorten(o.UseCase), k.choices())
		} else if i < 0 {
			s.errorf(join(path, "priority"), "unknown priority %q; %s", shorten(o.Priority), suggest(o.Priority, real(k.priorities)))
		} else {
			k.checkInformed(s, path, o, k.Priorities[i])
		}
	}
	match := join(path, "match")
	if o.Match != nil && len(o.Match) == 0 {
		s.errorf(match, "it is empty; write a matcher, or remove it")
	}
	if len(o.Match) > 0 && !slices.ContainsFunc(o.Match, func(ms Matchers) bool { return ms == nil }) {
		if len(equalities(flatten(o.Match))) == 0 {
			s.warnf(match, "no matcher of it is an equality (=), so each alert is held against it; add one, such as the alertname")
		}
	}
	if n := len(flatten(o.Match)) + len(flatten(o.Ignore)); n > maxSLOMatchers {
		s.errorf(path, "it has %d matchers; write at most %d, such as one with =~ for several values", n, maxSLOMatchers)
	}
	for i, label := range o.IncidentPer {
		if label != "" && slices.Contains(o.IncidentPer[:i], label) {
			s.errorf(elem(join(path, "incident_per"), i), "%q stands there twice; keep one", label)
		}
	}
}

// checkInformed reports an SLO whose priority informs stakeholders that it does
// not have, or that informs nobody at all.
func (k *checker) checkInformed(s *source, path string, o *SLO, p Priority) {
	if slices.Contains(p.Inform, incident.AudienceStakeholders) {
		if k.unreached(o.Stakeholders) && !s.broken(join(path, "stakeholders")) && !s.broken("stakeholders") {
			s.errorf(join(path, "stakeholders"), "nobody would be informed: %s informs stakeholders, and this SLO has none; name groups that have recipients", p.Name)
		}
		if k.unheard(o.Stakeholders, p.Name) {
			s.warnf(join(path, "stakeholders"), "no stakeholder is informed, as none of its groups hears of %s; add it to the priorities of one, or name another group", p.Name)
		}
		return
	}
	if len(p.Inform) == 0 && !k.main.broken(elem("priorities", slices.Index(k.priorities, p.Name))+".inform") && !k.onCall(s) {
		s.warnf(path, "nobody is informed of it: %s informs no audience, and its team has nobody on_call; add on_call", p.Name)
	}
}

// onCall reports whether the team of the file has anybody on call, here or in
// another of its files.
func (k *checker) onCall(s *source) bool {
	team := k.Teams[slices.Index(k.teams, s)].Team
	return slices.ContainsFunc(k.Teams, func(t TeamFile) bool { return t.Team == team && !t.OnCall.none() })
}

// choices names the priorities, with what they stand for.
func (k *checker) choices() string {
	var words []string
	for _, p := range k.Priorities {
		word := p.Name
		if p.Summary != "" {
			word += " (" + shorten(p.Summary) + ")"
		}
		words = append(words, word)
	}
	if len(words) == 0 {
		return "write one of priorities"
	}
	return "write " + enumerate(words)
}
