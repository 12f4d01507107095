package incident

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// Apply makes the event part of the state. Its sequence must follow on that of the
// state; the error is ErrConflict then. Slices and maps of the state are replaced
// and not written to, so a copy made before stays as it was.
func (in *Incident) Apply(e Event) error {
	if e.Sequence != in.Sequence+1 {
		return &Problem{ErrConflict, fmt.Sprintf("event %d of %s does not follow on %d", e.Sequence, ID(e.Incident), in.Sequence)}
	}
	d := e.Data
	switch e.Type {
	case EventOpened:
		in.open(e)
	case EventBreachStarted:
		in.countBreach(d.From, BreachFiring)
		in.HeardAt = e.Time
		if d.Priority != "" {
			in.SLOPriority = d.Priority
		}
		if in.StartedAt.IsZero() || d.StartsAt.Before(in.StartedAt) {
			in.StartedAt = d.StartsAt
		}
		in.noteTrouble(e.Time)
	case EventBreachEnded:
		in.countBreach(d.From, BreachEnded)
		in.LastEndsAt = latest(in.LastEndsAt, d.EndsAt)
		in.noteTrouble(e.Time)
	case EventBreachUnknown:
		in.countBreach(d.From, BreachUnknown)
		in.noteTrouble(e.Time)
	case EventAcknowledged:
		in.acknowledge(e)
	case EventPriorityChanged:
		in.setPriority(d)
		in.PriorityByPerson = in.PriorityByPerson || e.Actor.Person()
	case EventPhaseChanged:
		in.Phase, in.EscalatedTo = Phase(d.To), d.EscalatedTo
	case EventNoteWritten:
		// Words that stay inside; they change nothing of the incident itself.
	case EventUpdateWritten:
		in.speak(e)
	case EventActionChanged:
		in.Actions = slices.Clone(in.Actions)
		if i := in.actionIndex(d.Action); i >= 0 {
			in.Actions[i].State, in.Actions[i].Link, in.Actions[i].Reason = ActionState(d.To), d.Link, e.Reason
		}
	case EventAudienceChanged:
		in.Stakeholders = d.Stakeholders
	case EventResolved:
		in.State, in.ResolvedAt, in.ResolvedBy = StateResolved, e.Time, string(e.Actor)
		in.Actions = d.Actions
		in.KeptOpen = false
		if d.Message != "" {
			in.speak(e)
		}
		if in.Breaches.Total == 0 {
			in.EndedAt = e.Time
		}
		in.atLeastPhase(PhaseRecovery)
	case EventReopened:
		in.State, in.Phase = StateOpen, PhaseInvestigation
		in.ReopenedAt, in.ResolvedAt, in.ResolvedBy = e.Time, time.Time{}, ""
		in.Reopenings++
		in.ResolveAfter = d.ResolveAfter
		in.Actions = d.Actions
		in.EndedHeardAt = time.Time{}
		in.noteTrouble(e.Time)
		if e.Actor.Person() {
			in.TroubleSince = e.Time
			in.KeptOpen = in.Breaches.Firing+in.Breaches.Unknown == 0
		}
	case EventMerged:
		in.merge(e)
	case EventClosed:
		in.State, in.ClosedAt, in.Phase = StateClosed, e.Time, PhaseClosure
	case EventUpdateMissed:
		// Evidence; it changes nothing of the incident itself.
	default:
		return &Problem{ErrInvalid, fmt.Sprintf("%q is not a type of event", e.Type)}
	}
	in.Sequence, in.ChangedAt = e.Sequence, e.Time
	return nil
}

func (in *Incident) open(e Event) {
	o := e.Data.Opening
	*in = Incident{
		Number: e.Incident, Key: o.Key, SLO: o.SLO, UseCase: o.UseCase, Affects: o.Affects, SLI: o.SLI, Service: o.Service,
		Team: o.Team, Runbook: o.Runbook, Labels: o.Labels, Stakeholders: o.Stakeholders,
		Drill: o.Drill, Declared: o.Declared, Unmapped: o.Unmapped, Previous: o.Previous,
		State: StateOpen, Phase: PhaseInitialDiagnosis,
		Priority: o.Priority, Highest: o.Priority, SLOPriority: o.SLOPriority, Actions: joinActions([]Action{}, o.Priority.Actions),
		PriorityByPerson: o.Declared, OpenedAt: e.Time, ResolveAfter: o.ResolveAfter,
	}
	if o.Declared {
		in.StartedAt, in.TroubleSince = e.Time, e.Time
	}
}

// acknowledge notes who is on it, or that nobody is any more.
func (in *Incident) acknowledge(e Event) {
	switch {
	case e.Data.Released:
		in.AcknowledgedBy, in.ReleasedAt = "", e.Time
		in.OnItAt, in.TakenOverAt = time.Time{}, time.Time{}
		return
	case e.Data.TakenOver:
		in.TakenOverAt = e.Time
	case in.AcknowledgedAt.IsZero():
		in.AcknowledgedAt = e.Time
	default:
		in.OnItAt = e.Time
	}
	in.AcknowledgedBy, in.ReleasedAt = string(e.Actor), time.Time{}
}

// speak keeps what a person wrote to audiences.
func (in *Incident) speak(e Event) {
	words := maps.Clone(in.Words)
	if words == nil {
		words = map[Audience]Word{}
	}
	for _, a := range e.Data.Audiences {
		words[a] = Word{Text: e.Data.Message, At: e.Time, By: string(e.Actor)}
	}
	in.Words = words
}

// countBreach moves a breach from one state to another; from "" it is new.
func (in *Incident) countBreach(from string, to BreachState) {
	switch BreachState(from) {
	case "":
		in.Breaches.Total++
	case BreachFiring:
		in.Breaches.Firing--
	case BreachUnknown:
		in.Breaches.Unknown--
	}
	switch to {
	case BreachFiring:
		in.Breaches.Firing++
	case BreachUnknown:
		in.Breaches.Unknown++
	}
}

// noteTrouble keeps the times that depend on whether anything fires.
func (in *Incident) noteTrouble(at time.Time) {
	b := in.Breaches
	if b.Firing+b.Unknown > 0 {
		in.EndedAt, in.EndedHeardAt = time.Time{}, time.Time{}
		if in.TroubleSince.IsZero() {
			in.TroubleSince = at
		}
	} else {
		in.EndedAt = in.LastEndsAt
		if in.EndedHeardAt.IsZero() {
			in.EndedHeardAt = at
		}
		if !in.byHand() {
			in.TroubleSince = time.Time{}
		}
	}
	switch {
	case b.Firing > 0 || b.Unknown == 0:
		in.UnknownSince = time.Time{}
	case in.UnknownSince.IsZero():
		in.UnknownSince = at
	}
}

// byHand reports whether it resolves by hand only.
func (in *Incident) byHand() bool { return in.Declared || in.KeptOpen }

// setPriority takes over the priority of an event. Events of the first builds do not say
// which is the highest.
func (in *Incident) setPriority(d Data) {
	in.Priority, in.Actions = *d.Definition, d.Actions
	if d.Highest == "" && in.Priority.Rank < in.Highest.Rank || d.Highest == in.Priority.Name && d.Highest != in.Highest.Name {
		in.Highest = in.Priority
	}
}

func (in *Incident) merge(e Event) {
	d := e.Data
	if d.Into != 0 {
		in.MergedInto = d.Into
		return
	}
	in.MergedFrom = append(slices.Clone(in.MergedFrom), d.Sources...)
	in.Breaches.Firing += d.Breaches.Firing
	in.Breaches.Unknown += d.Breaches.Unknown
	in.Breaches.Total += d.Breaches.Total
	in.Stakeholders = d.Stakeholders
	if d.Definition != nil {
		in.setPriority(d)
		in.PriorityByPerson = in.PriorityByPerson || d.ByPerson
	}
	in.Actions = d.Actions
	if !d.StartedAt.IsZero() && (in.StartedAt.IsZero() || d.StartedAt.Before(in.StartedAt)) {
		in.StartedAt = d.StartedAt
	}
	in.LastEndsAt = latest(in.LastEndsAt, d.EndedAt)
	in.HeardAt = latest(in.HeardAt, d.HeardAt)
	in.noteTrouble(e.Time)
}

// atLeastPhase moves on to the phase if it is at an earlier one.
func (in *Incident) atLeastPhase(p Phase) {
	if slices.Index(phases, in.Phase) < slices.Index(phases, p) {
		in.Phase = p
	}
}

func (in *Incident) actionIndex(name string) int {
	return slices.IndexFunc(in.Actions, func(a Action) bool { return a.Name == name })
}

// joinActions returns the actions of both: what was done or waived stays, and what
// the rules ask for is added.
func joinActions(have []Action, rules []ActionRule) []Action {
	actions := slices.Clone(have)
	for _, r := range rules {
		if !slices.ContainsFunc(actions, func(a Action) bool { return a.Name == r.Name }) {
			actions = append(actions, Action{Name: r.Name, State: ActionDue, Within: r.Within})
		}
	}
	return actions
}

// Forget makes the names of people read as they do in events whose names were
// forgotten, so that it stays the fold of its events.
func (in *Incident) Forget() {
	for _, by := range []*string{&in.AcknowledgedBy, &in.ResolvedBy} {
		if Actor(*by).Person() {
			*by = Forgotten
		}
	}
	if in.EscalatedTo != "" {
		in.EscalatedTo = Forgotten
	}
	in.Words = maps.Clone(in.Words)
	for audience, word := range in.Words {
		if Actor(word.By).Person() {
			word.By = Forgotten
			in.Words[audience] = word
		}
	}
}
