package incident

import (
	"cmp"
	"fmt"
	"time"
)

// A Drill is one that a team has again and again.
type Drill struct {
	Team string
	// SLO is the id of the one that it is about, whose stakeholders are told too; empty: it is
	// about the team alone.
	SLO      string
	Priority string // empty: the SLO's, or the lowest
	Every    time.Duration
}

// The hours in which a drill begins by the clock, on weekdays, where the organisation is.
const (
	drillFrom  = 9
	drillUntil = 15
)

// DrillReason is the reason of an incident that is declared as a drill by the clock.
const DrillReason = "A drill, as the configuration says: acknowledge it, resolve it, and see who was told, and when."

// Fits reports whether an incident is such a drill, whoever declared it.
func (d *Drill) Fits(in *Incident) bool {
	return in.Drill && in.Team == d.Team && (d.SLO == "" || in.SLO == d.SLO)
}

// Due reports whether one begins at that time: in the hours for it, once every has passed since
// the latest that fits, and not while that is open. Last is nil if there was none.
func (d *Drill) Due(p *Policy, last *Incident, at time.Time) bool {
	local := at.In(p.Location)
	weekend := local.Weekday() == time.Saturday || local.Weekday() == time.Sunday
	if weekend || local.Hour() < drillFrom || local.Hour() >= drillUntil {
		return false
	}
	return last == nil || last.State != StateOpen && at.Sub(last.OpenedAt) >= d.Every
}

// Declaration returns what is declared; false if the policy has not what it is about.
func (d *Drill) Declaration(p *Policy) (Declaration, bool) {
	out := Declaration{Priority: d.Priority, Reason: DrillReason, Drill: true}
	if d.SLO == "" {
		out.Team, out.UseCase = d.Team, fmt.Sprintf("A drill of the team %s", cut(d.Team))
		if names := p.PriorityNames(); len(names) > 0 {
			out.Priority = cmp.Or(d.Priority, names[len(names)-1])
		}
		_, ok := p.Team(d.Team)
		return out, ok
	}
	slo, ok := find(p.SLOs, func(s *SLO) bool { return s.ID == d.SLO })
	out.SLO = &slo
	return out, ok
}

// cut returns as much of a name as a headline has room for.
func cut(name string) string {
	const most = 80
	for i := range name {
		if i > most {
			return name[:i] + "…"
		}
	}
	return name
}
