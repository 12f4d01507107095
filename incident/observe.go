package incident

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// NewBreach returns the breach that begins with an alert which arrived at that time, after
// the one before, nil if there was none. Fire, or EndFirst, gives it a state.
func NewBreach(a *Alert, before *Breach, arrived time.Time) Breach {
	b := Breach{Fingerprint: a.Fingerprint, Ordinal: 1, Grafana: a.Grafana}
	if before != nil {
		b.Ordinal, b.EndedBefore = before.Ordinal+1, before.lastEnd()
	}
	start, _ := a.Began(arrived)
	if b.StartsAt = latest(start, b.EndedBefore); !b.StartsAt.Equal(a.StartsAt) {
		b.SaidStartsAt = a.StartsAt
	}
	b.take(a)
	return b
}

// take takes over what an alert says of itself.
func (b *Breach) take(a *Alert) {
	b.Labels, b.Annotations, b.GeneratorURL = a.Labels, a.Annotations, a.GeneratorURL
}

// Fire lets a breach fire, in an incident that is open, or resolved not long ago: then
// it reopens it. The alert is what said so; nil if Alertmanagers that were asked did, and
// why says what they did.
// The priority is the SLO's now; it raises the incident's unless a person chose that.
func (in *Incident) Fire(s Stamp, b *Breach, a *Alert, why Why, slo Priority, p *Policy) []Event {
	started := Event{Type: EventBreachStarted, Data: Data{Fingerprint: b.Fingerprint, StartsAt: b.StartsAt, Priority: slo.Name, From: string(b.stateIn(in)), Why: why}}
	var events []Event
	// It was resolved by hand while this one was unknown, and it was not seen to end.
	stays := in.State == StateResolved && b.stateIn(in) == BreachUnknown
	if in.State != StateOpen && !stays {
		after := min(2*in.ResolveAfter, max(p.ReopenWithin, in.ResolveAfter))
		events = append(events, in.reopening(after, "", WhyBreachStarted))
	}
	events = append(events, started)
	if !stays && p.Outranks(slo, in.Priority) && !in.PriorityByPerson {
		e := in.priorityEvent(p, slo)
		e.Data.Why = WhySLOPriority
		if in.State != StateOpen {
			e.Data.Actions = dueActions(e.Data.Actions, time.Time{})
		}
		events = append(events, e)
	}
	if b.Priority == "" {
		b.Priority = slo.Name
	}
	b.Incident, b.State, b.HeardAt = in.Number, BreachFiring, latest(b.HeardAt, s.At)
	b.EndHeardAt, b.AskAt, b.ListedSince = time.Time{}, time.Time{}, time.Time{}
	if a != nil {
		b.take(a)
	}
	return in.next(s, events...)
}

// Hear notes that a breach which fires was heard to go on. It reports whether there is
// anything to note; the event says that it began earlier than was known.
func (in *Incident) Hear(s Stamp, b *Breach, a *Alert, p *Policy) (events []Event, news bool) {
	if !b.Hears(a, s.At, p) {
		return nil, false
	}
	if start, earlier := b.beginsEarlier(a, s.At); earlier {
		b.StartsAt = start
		events = in.next(s, Event{Type: EventBreachStarted, Data: Data{Fingerprint: b.Fingerprint, StartsAt: start, From: string(b.stateIn(in))}})
	}
	b.HeardAt = latest(b.HeardAt, s.At)
	b.AskAt, b.ListedSince = time.Time{}, time.Time{}
	b.take(a)
	return events, true
}

// Hears reports whether a repeat of its alert is to be noted: at most once in a while,
// when the annotations changed, or when only a listing has kept it open.
func (b *Breach) Hears(a *Alert, at time.Time, p *Policy) bool {
	_, earlier := b.beginsEarlier(a, at)
	return earlier || at.Sub(b.HeardAt) >= HearEvery(p.UnknownAfter) || !b.ListedSince.IsZero() ||
		!maps.Equal(a.Annotations, b.Annotations)
}

// Has reports whether the breach belongs to the incident, or to one merged into it.
func (in *Incident) Has(b *Breach) bool { return b != nil && b.stateIn(in) != "" }

// stateIn returns the breach's state as the incident counts it: "" if it does not.
func (b *Breach) stateIn(in *Incident) BreachState {
	if b.Incident == in.Number || slices.Contains(in.MergedFrom, b.Incident) {
		return b.State
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
	return in.next(s, Event{Type: EventOpened, Data: Data{Opening: &o}}), nil
}

// End lets a breach end, at the time that the resolved alert says; nil if Alertmanagers
// that were asked do not list it: then it ended now, or when it was said to have ended and
// was not believed.
func (in *Incident) End(s Stamp, b *Breach, a *Alert) []Event {
	switch {
	case a == nil && b.EndDoubted():
		return in.endAt(s, b, b.EndsAt, "")
	case a == nil:
		return in.endAt(s, b, s.At, WhyNotListed)
	}
	end, fact := a.end(s.At)
	b.SaidEndsAt = time.Time{}
	if !fact {
		b.SaidEndsAt = a.EndsAt
	}
	return in.endAt(s, b, end, "")
}

// EndUnseen ends a breach whose alert fires anew, so that it has ended, and nobody said
// so: at the time when it was last heard. Where somebody did, who was not believed, it ended
// when that said.
func (in *Incident) EndUnseen(s Stamp, b *Breach) []Event {
	if b.EndDoubted() {
		return in.endAt(s, b, b.EndsAt, "")
	}
	return in.endAt(s, b, b.HeardAt, WhyUnseen)
}

// Leave ends a breach in an incident that it no longer belongs to, as its alert has another
// SLO now, or none.
func (in *Incident) Leave(s Stamp, b *Breach) []Event {
	events := in.endAt(s, b, s.At, WhyMapped)
	b.Incident, b.Priority = 0, ""
	return events
}

func (in *Incident) endAt(s Stamp, b *Breach, end time.Time, why Why) []Event {
	end = latest(end, b.StartsAt)
	e := Event{Type: EventBreachEnded, Data: Data{Fingerprint: b.Fingerprint, StartsAt: b.StartsAt, EndsAt: end, From: string(b.stateIn(in)), Why: why}}
	b.State, b.EndsAt, b.EndHeardAt = BreachEnded, end, s.At
	b.AskAt, b.ListedSince = time.Time{}, time.Time{}
	return in.next(s, e)
}

// EndFirst keeps the end of a breach whose firing was never seen, so that a late copy
// of that firing is known to be one. It belongs to no incident.
func (b *Breach) EndFirst(a *Alert, slo *SLO, arrived time.Time) {
	end, fact := a.end(arrived)
	if !fact {
		b.SaidEndsAt = a.EndsAt
	}
	b.State, b.EndsAt, b.EndHeardAt, b.Priority = BreachEnded, latest(end, b.StartsAt), arrived, slo.Priority
}

// EndLater notes that a later end was reported of a breach that has ended.
func (b *Breach) EndLater(a *Alert, arrived time.Time) { b.LaterEnd, _ = a.end(arrived) }

// Lose says that nobody knows whether the breach still fires.
func (in *Incident) Lose(s Stamp, b *Breach, why Why) []Event {
	e := Event{Type: EventBreachUnknown, Data: Data{Fingerprint: b.Fingerprint, StartsAt: b.StartsAt, HeardAt: b.HeardAt, From: string(b.stateIn(in)), Why: why}}
	b.State = BreachUnknown
	return in.next(s, e)
}

// LoseEnded says the same of one that was reported as ended, which is not believed while
// the watchdog is away. The end stays with the breach: copies of it are not news. Of one
// that was unknown already it is, and no event.
func (in *Incident) LoseEnded(s Stamp, b *Breach, a *Alert) (events []Event, news bool) {
	if b.EndDoubted() {
		return nil, false
	}
	b.EndsAt, _ = a.end(s.At)
	b.EndHeardAt = s.At
	if b.State == BreachUnknown {
		return nil, true
	}
	return in.Lose(s, b, WhyWatchdogAway), true
}

// Supersede takes a breach that has ended out of doubt, as another one of its alert begins.
// It reports false if there is nothing to note.
func (b *Breach) Supersede() bool {
	doubted := !b.AskAt.IsZero()
	b.AskAt = time.Time{}
	return doubted
}

// Doubt makes a breach that had ended, and fires, one that Alertmanagers are asked about.
// It reports false if it is one already.
func (b *Breach) Doubt(at time.Time) bool {
	if !b.AskAt.IsZero() {
		return false
	}
	b.AskAt = at
	return true
}

// AsSLO returns the SLO that the incident is about, as the policy has it now, or as
// the incident remembers it.
func (in *Incident) AsSLO(p *Policy) *SLO {
	slo := &SLO{
		ID: in.SLO, Key: in.Key, UseCase: in.UseCase, Affects: in.Affects, SLI: in.SLI, Service: in.Service, Team: in.Team, Runbook: in.Runbook,
		Stakeholders: in.Stakeholders, Labels: in.Labels, Priority: in.SLOPriority, Unmapped: in.Unmapped,
	}
	if slo.Priority == "" {
		slo.Priority = in.Priority.Name
	}
	if now, ok := p.SLO(in.SLO); ok && in.SLO != "" {
		slo.UseCase, slo.Affects, slo.SLI = now.UseCase, now.Affects, now.SLI
		slo.Service, slo.Team, slo.Runbook = now.Service, now.Team, now.Runbook
		slo.Stakeholders, slo.Priority = now.Stakeholders, now.Priority
	}
	return slo
}
