package incident

import (
	"fmt"
	"time"
)

// A Sighting is what an alert says about the breach that it belongs to.
type Sighting string

// The sightings.
const (
	SeenNew      Sighting = "new"      // a breach begins
	SeenAgain    Sighting = "again"    // one that had ended or was unknown fires
	SeenRepeat   Sighting = "repeat"   // it goes on
	SeenEnd      Sighting = "end"      // it ends
	SeenEndFirst Sighting = "endfirst" // it ended, and its firing was never seen
	SeenStale    Sighting = "stale"    // nothing new: an old copy
	SeenDoubt    Sighting = "doubt"    // it fires although it had ended; Alertmanager is to be asked
)

// See compares an alert with what is known: the breach of the same fingerprint and
// startsAt, and the latest one of the fingerprint, each nil if there is none. The
// alert counts by its own status. asks says whether there are Alertmanagers to
// ask.
func See(a *Alert, same, latest *Breach, asks bool) Sighting {
	switch {
	case same == nil && latest != nil && latest.StartsAt.After(a.StartsAt):
		return SeenStale
	case same == nil && a.Resolved:
		return SeenEndFirst
	case same == nil:
		return SeenNew
	case a.Resolved && same.State == Ended:
		return SeenStale
	case a.Resolved && !same.EndsAt.IsZero() && !a.EndsAt.After(same.EndsAt):
		// It fired again after that end, or the end was not believed.
		return SeenStale
	case a.Resolved:
		return SeenEnd
	case same.State == Firing:
		return SeenRepeat
	case same.State == Unknown:
		return SeenAgain
	case latest != nil && latest.StartsAt.After(same.StartsAt):
		return SeenStale
	case asks:
		return SeenDoubt
	default:
		return SeenAgain
	}
}

// Begin says that the breach fires, in an incident that is open, or resolved not
// long ago: then it reopens it. The priority is the SLO's now; it raises the
// incident's unless a person chose that.
func (in *Incident) Begin(s Stamp, b *Breach, slo Priority, p *Policy) []Event {
	started := Event{Type: BreachStarted, Data: Data{Fingerprint: b.Fingerprint, StartsAt: b.StartsAt, Priority: slo.Name, From: string(b.stateIn(in))}}
	if in.State == Resolved && b.stateIn(in) != "" && b.State == Unknown {
		// It was resolved by hand while this one was unknown, and it was not seen to end.
		return in.next(s, started)
	}
	if in.State == Open {
		events := []Event{started}
		if p.Outranks(slo, in.Priority) && !in.PriorityByPerson {
			e := in.priorityEvent(p, slo)
			e.Reason = "the SLO's priority is " + slo.Name
			events = append(events, e)
		}
		return in.next(s, events...)
	}
	after := min(2*in.ResolveAfter, max(p.ReopenWithin, in.ResolveAfter))
	events := []Event{in.reopening(after, "a breach started"), started}
	if p.Outranks(slo, in.Priority) && !in.PriorityByPerson {
		e := in.priorityEvent(p, slo)
		e.Reason = "the SLO's priority is " + slo.Name
		e.Data.Actions = dueActions(e.Data.Actions, time.Time{})
		events = append(events, e)
	}
	return in.next(s, events...)
}

// stateIn returns the breach's state as the incident counts it: "" if it does not.
func (b *Breach) stateIn(in *Incident) BreachState {
	if b.Incident == in.Number {
		return b.State
	}
	for _, n := range in.MergedFrom {
		if b.Incident == n {
			return b.State
		}
	}
	return ""
}

// OpenFor opens an incident of that number for the SLO of a breach. Previous is
// the number of its latest incident, or 0.
func OpenFor(s Stamp, slo *SLO, p *Policy, number, previous int64) ([]Event, error) {
	priority, ok := p.Priority(slo.Priority)
	if !ok {
		return nil, fmt.Errorf("priority %q of SLO %q is not in the configuration", slo.Priority, slo.ID)
	}
	o := Opening{Priority: priority, SLOPriority: priority.Name, ResolveAfter: p.ResolveAfter, Previous: previous}
	o.copySLO(slo)
	in := Incident{Number: number}
	return in.next(s, Event{Type: Opened, Data: Data{Opening: &o}}), nil
}

// Reopens reports whether a breach at that time belongs to the incident: it is
// open, or was resolved no longer than reopen_within ago.
func (in *Incident) Reopens(at time.Time, p *Policy) bool {
	switch in.State {
	case Open:
		return true
	case Resolved:
		return at.Sub(in.ResolvedAt) <= p.ReopenWithin
	}
	return false
}

// End says that the breach ended at that time.
func (in *Incident) End(s Stamp, b *Breach, at time.Time) []Event {
	return in.next(s, Event{Type: BreachEnded, Data: Data{Fingerprint: b.Fingerprint, StartsAt: b.StartsAt, EndsAt: at, From: string(b.stateIn(in))}})
}

// Lose says that nobody knows whether the breach still fires.
func (in *Incident) Lose(s Stamp, b *Breach, reason string) []Event {
	e := Event{Type: BreachUnknown, Reason: reason, Data: Data{Fingerprint: b.Fingerprint, StartsAt: b.StartsAt, HeardAt: b.HeardAt, From: string(b.stateIn(in))}}
	return in.next(s, e)
}

// AsSLO returns the SLO that the incident is about, as the policy has it now, or as
// the incident remembers it.
func (in *Incident) AsSLO(p *Policy) *SLO {
	slo := &SLO{
		ID: in.SLO, Key: in.Key, UseCase: in.UseCase, SLI: in.SLI, Service: in.Service, Team: in.Team, Runbook: in.Runbook,
		Stakeholders: in.Stakeholders, Labels: in.Labels, Priority: in.SLOPriority, Unmapped: in.Unmapped,
	}
	if slo.Priority == "" {
		slo.Priority = in.Priority.Name
	}
	for i := range p.SLOs {
		if now := &p.SLOs[i]; now.ID == in.SLO && in.SLO != "" {
			slo.UseCase, slo.SLI, slo.Service, slo.Team, slo.Runbook = now.UseCase, now.SLI, now.Service, now.Team, now.Runbook
			slo.Stakeholders, slo.Priority = now.Stakeholders, now.Priority
		}
	}
	return slo
}
