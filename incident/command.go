package incident

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// MaxText is how long a reason, a note, a link or an update may be, in bytes.
const MaxText = 8 << 10

// A Stamp says when something is decided, by whom, and under which configuration.
type Stamp struct {
	At     time.Time
	Actor  Actor
	Config string
}

// next returns events that follow on the state, in order. A clock that was set back never
// makes history run backwards.
func (in *Incident) next(s Stamp, events ...Event) []Event {
	s.At = latest(s.At, in.ChangedAt)
	for i := range events {
		events[i].Incident, events[i].Sequence = in.Number, in.Sequence+1+int64(i)
		events[i].Time, events[i].Actor, events[i].Config = s.At, s.Actor, s.Config
	}
	return events
}

// Acknowledge says that the actor is on it, and takes it over if another is. Of who is on
// it already it is nothing new.
func (in *Incident) Acknowledge(s Stamp) ([]Event, error) {
	if err := in.must("acknowledge", StateOpen); err != nil {
		return nil, err
	}
	if in.OnIt() && in.AcknowledgedBy == string(s.Actor) {
		return nil, nil
	}
	return in.next(s, Event{Type: EventAcknowledged, Data: Data{TakenOver: in.OnIt()}}), nil
}

// Release gives it back: nobody is on it then. Only who is on it can; if nobody is, it is
// nothing new.
func (in *Incident) Release(s Stamp) ([]Event, error) {
	if err := in.must("give back", StateOpen); err != nil {
		return nil, err
	}
	if !in.OnIt() {
		return nil, nil
	}
	if in.AcknowledgedBy != string(s.Actor) {
		return nil, &Problem{ErrConflict, fmt.Sprintf("%s is on %s, and who is on it gives it back; to be on it yourself, acknowledge it", in.AcknowledgedBy, in.ID())}
	}
	return in.next(s, Event{Type: EventAcknowledged, Data: Data{Released: true}}), nil
}

// WriteNote keeps words that stay inside. Nobody gets a message by that.
func (in *Incident) WriteNote(s Stamp, words string) ([]Event, error) {
	if err := in.must("write a note of", StateOpen, StateResolved); err != nil {
		return nil, err
	}
	if err := text("text", &words, true); err != nil {
		return nil, err
	}
	return in.next(s, Event{Type: EventNoteWritten, Reason: words}), nil
}

// ChangePriority raises or lowers the priority. The reason is required, as those
// who join or leave are told it. Of a resolved incident it is a correction.
func (in *Incident) ChangePriority(s Stamp, p *Policy, to Priority, reason string) ([]Event, error) {
	if err := in.must("change the priority of", StateOpen, StateResolved); err != nil {
		return nil, err
	}
	if to.Name == in.Priority.Name {
		return nil, &Problem{ErrConflict, fmt.Sprintf("%s has priority %s already", in.ID(), to.Name)}
	}
	if err := text("reason", &reason, true); err != nil {
		return nil, err
	}
	e := in.priorityEvent(p, to)
	e.Reason = reason
	return in.next(s, e), nil
}

func (in *Incident) priorityEvent(p *Policy, to Priority) Event {
	actions, highest := in.Actions, in.Highest.Name
	if p.Outranks(to, in.Highest) {
		highest = to.Name
		// What the lower priority asked for and nobody did is replaced; what was done stays.
		actions = slices.DeleteFunc(slices.Clone(actions), func(a Action) bool {
			return a.State == ActionDue && slices.ContainsFunc(in.Highest.Actions, func(r ActionRule) bool { return r.Name == a.Name })
		})
		actions = joinActions(actions, to.Actions)
		if in.State == StateResolved {
			actions = dueActions(actions, in.ResolvedAt)
		}
	}
	return Event{Type: EventPriorityChanged, Data: Data{From: in.Priority.Name, To: to.Name, Raised: p.Outranks(to, in.Priority), Highest: highest, Definition: &to, Actions: actions}}
}

// SetPhase says at which step the response is. Escalation names to whom, the other
// phases do not; closure comes by closing.
func (in *Incident) SetPhase(s Stamp, to Phase, note, escalatedTo string) ([]Event, error) {
	if err := in.must("set the phase of", StateOpen); err != nil {
		return nil, err
	}
	if !slices.Contains(phases, to) || to == PhaseClosure {
		return nil, &Problem{ErrInvalid, fmt.Sprintf("phase %q: use initial-diagnosis, escalation, investigation or recovery; closure comes by closing", to)}
	}
	if err := text("note", &note, false); err != nil {
		return nil, err
	}
	if err := text("escalated_to", &escalatedTo, to == PhaseEscalation); err != nil {
		return nil, err
	}
	if to != PhaseEscalation && escalatedTo != "" {
		return nil, &Problem{ErrInvalid, "escalated_to goes with phase escalation alone"}
	}
	if to == in.Phase && escalatedTo == in.EscalatedTo {
		return nil, &Problem{ErrConflict, fmt.Sprintf("%s is in phase %s already", in.ID(), to)}
	}
	return in.next(s, Event{Type: EventPhaseChanged, Reason: note, Data: Data{From: string(in.Phase), To: string(to), EscalatedTo: escalatedTo}}), nil
}

// WriteUpdate tells the audiences something in the team's own words. No audiences
// means all that the priority informs.
func (in *Incident) WriteUpdate(s Stamp, p *Policy, message string, audiences []Audience) ([]Event, error) {
	if err := in.must("write an update of", StateOpen, StateResolved); err != nil {
		return nil, err
	}
	if err := text("message", &message, true); err != nil {
		return nil, err
	}
	inform := in.priority(p).Inform
	if len(audiences) == 0 {
		audiences = inform
	}
	if len(audiences) == 0 {
		return nil, in.informsNobody()
	}
	var to []Audience
	for _, a := range audiences {
		if !slices.Contains(inform, a) {
			return nil, &Problem{ErrInvalid, fmt.Sprintf("audience %q: priority %s informs %s", a, in.Priority.Name, list(inform))}
		}
		if !slices.Contains(to, a) {
			to = append(to, a)
		}
	}
	return in.next(s, Event{Type: EventUpdateWritten, Data: Data{Message: message, Audiences: to}}), nil
}

// ChangeAction says that an action is done or, with a reason, waived; due takes
// that back.
func (in *Incident) ChangeAction(s Stamp, name string, to ActionState, link, reason string) ([]Event, error) {
	if err := in.must("change an action of", StateOpen, StateResolved); err != nil {
		return nil, err
	}
	i := in.actionIndex(name)
	if i < 0 {
		if len(in.Actions) == 0 {
			return nil, &Problem{ErrNotFound, fmt.Sprintf("%s has no actions", in.ID())}
		}
		has := names(in.Actions, func(a *Action) string { return a.Name })
		return nil, &Problem{ErrNotFound, fmt.Sprintf("%s has no action %q; it has %s", in.ID(), name, list(has))}
	}
	if to != ActionDone && to != ActionWaived && to != ActionDue {
		return nil, &Problem{ErrInvalid, fmt.Sprintf("state %q: use done, waived or due", to)}
	}
	if err := text("reason", &reason, to == ActionWaived); err != nil {
		return nil, err
	}
	if err := text("link", &link, false); err != nil {
		return nil, err
	}
	if link != "" {
		if u, err := url.Parse(link); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return nil, &Problem{ErrInvalid, fmt.Sprintf("link %q is not an http or https URL", link)}
		}
	}
	if a := in.Actions[i]; a.State == to && a.Link == link && a.Reason == reason {
		return nil, nil
	}
	return in.next(s, Event{Type: EventActionChanged, Reason: reason, Data: Data{Action: name, From: string(in.Actions[i].State), To: string(to), Link: link}}), nil
}

// Resolve says that it is over. While breaches fire that is allowed with a note;
// they do not reopen it until they were seen to end.
func (in *Incident) Resolve(s Stamp, note string) ([]Event, error) {
	return in.ResolveTelling(s, nil, note, "")
}

// ResolveTelling is Resolve with words to all audiences that the priority informs, which
// they get with the message that it is over. The policy is needed for those.
func (in *Incident) ResolveTelling(s Stamp, p *Policy, note, message string) ([]Event, error) {
	if err := in.must("resolve", StateOpen); err != nil {
		return nil, err
	}
	if err := text("note", &note, in.Breaches.Firing > 0); err != nil {
		if note == "" {
			still := "of its breaches still fire"
			if in.Breaches.Firing == 1 {
				still = "of its breaches still fires"
			}
			return nil, &Problem{ErrInvalid, fmt.Sprintf("%d %s: say in a note why it is over nevertheless", in.Breaches.Firing, still)}
		}
		return nil, err
	}
	if err := text("message", &message, false); err != nil {
		return nil, err
	}
	e := in.resolution(s.At, note)
	if message != "" {
		if e.Data.Message, e.Data.Audiences = message, in.priority(p).Inform; len(e.Data.Audiences) == 0 {
			return nil, in.informsNobody()
		}
	}
	return in.next(s, e), nil
}

// informsNobody says that there is no audience to write to.
func (in *Incident) informsNobody() error {
	return &Problem{ErrConflict, fmt.Sprintf("priority %s informs nobody, so there is no one to write to; what stays inside is a note", in.Priority.Name)}
}

func (in *Incident) resolution(at time.Time, note string) Event {
	return Event{Type: EventResolved, Reason: note, Data: Data{Actions: dueActions(in.Actions, at)}}
}

// dueActions sets when the actions are due, counted from resolving; with the zero
// time it takes that away.
func dueActions(actions []Action, resolved time.Time) []Action {
	actions = slices.Clone(actions)
	for i, a := range actions {
		actions[i].DueAt = time.Time{}
		if a.Within > 0 && !resolved.IsZero() {
			actions[i].DueAt = resolved.Add(a.Within)
		}
	}
	return actions
}

// Close ends it for good. Each action must be done or waived.
func (in *Incident) Close(s Stamp, note string) ([]Event, error) {
	if err := in.must("close", StateResolved); err != nil {
		return nil, err
	}
	if err := text("note", &note, false); err != nil {
		return nil, err
	}
	var due []string
	for _, a := range in.Actions {
		if a.State == ActionDue {
			due = append(due, a.Name)
		}
	}
	if len(due) > 0 {
		return nil, &Problem{ErrConflict, fmt.Sprintf("%s cannot be closed yet: %s still due; mark each as done, or waive it with a reason", in.ID(), list(due))}
	}
	return in.next(s, Event{Type: EventClosed, Reason: note}), nil
}

// Reopen takes resolving back.
func (in *Incident) Reopen(s Stamp, reason string) ([]Event, error) {
	if err := in.must("reopen", StateResolved); err != nil {
		return nil, err
	}
	if err := text("reason", &reason, true); err != nil {
		return nil, err
	}
	return in.next(s, in.reopening(in.ResolveAfter, reason, "")), nil
}

// reopening opens it again, for the reason that a person wrote or that sitrep has.
func (in *Incident) reopening(resolveAfter time.Duration, reason string, why Why) Event {
	return Event{Type: EventReopened, Reason: reason, Data: Data{ResolveAfter: resolveAfter, Why: why, Actions: dueActions(in.Actions, time.Time{})}}
}

// A Declaration is what a person says when opening an incident.
type Declaration struct {
	// SLO is what it is about, or nil; then the four fields below say it.
	SLO          *SLO
	UseCase      string
	Team         string
	Priority     string // optional with an SLO
	Stakeholders []string
	Reason       string
	Drill        bool
}

// Declare opens an incident of that number by hand. Previous is the number of the
// latest incident of the same SLO, or 0. That none is open is for the caller to
// check.
func Declare(s Stamp, p *Policy, d Declaration, number, previous int64) ([]Event, error) {
	o := Opening{ResolveAfter: p.ResolveAfter, Declared: true, Drill: d.Drill, Previous: previous}
	if err := text("reason", &d.Reason, true); err != nil {
		return nil, err
	}
	if d.SLO != nil {
		if d.UseCase != "" || d.Team != "" || len(d.Stakeholders) > 0 {
			return nil, &Problem{ErrInvalid, "give either slo, or use_case, team, priority and stakeholders"}
		}
		o.copySLO(d.SLO)
		o.SLOPriority = d.SLO.Priority
		if d.Priority == "" {
			d.Priority = d.SLO.Priority
		}
	} else {
		if err := text("use_case", &d.UseCase, true); err != nil {
			return nil, err
		}
		if len(d.UseCase) > 200 {
			return nil, &Problem{ErrInvalid, "use_case is longer than 200 bytes; it is a headline, say the rest in reason"}
		}
		o.UseCase, o.Team, o.Stakeholders = d.UseCase, d.Team, d.Stakeholders
		if _, ok := p.Team(d.Team); !ok {
			return nil, &Problem{ErrInvalid, fmt.Sprintf("team %q is not in the configuration; it has %s", d.Team, list(p.TeamNames()))}
		}
		for _, g := range d.Stakeholders {
			if _, ok := p.Group(g); !ok {
				return nil, &Problem{ErrInvalid, fmt.Sprintf("stakeholders: there is no group %q", g)}
			}
		}
	}
	priority, ok := p.Priority(d.Priority)
	if !ok {
		return nil, &Problem{ErrInvalid, fmt.Sprintf("priority %q: use %s", d.Priority, list(p.PriorityNames()))}
	}
	o.Priority = priority
	in := Incident{Number: number}
	return in.next(s, Event{Type: EventOpened, Reason: d.Reason, Data: Data{Opening: &o}}), nil
}

func (o *Opening) copySLO(slo *SLO) {
	o.Key, o.SLO, o.UseCase, o.Affects, o.SLI, o.Service, o.Team = slo.Key, slo.ID, slo.UseCase, slo.Affects, slo.SLI, slo.Service, slo.Team
	o.Runbook, o.Labels, o.Stakeholders, o.Unmapped = slo.Runbook, slo.Labels, slo.Stakeholders, slo.Unmapped
}

// Merge ends the incident in favour of into, which gets the higher priority, both
// sets of groups and all actions. It returns the events of both.
func (in *Incident) Merge(s Stamp, p *Policy, into *Incident, reason string) (from, to []Event, err error) {
	if err := in.must("merge", StateOpen, StateResolved); err != nil {
		return nil, nil, err
	}
	switch {
	case in.Number == into.Number:
		return nil, nil, &Problem{ErrInvalid, fmt.Sprintf("%s cannot be merged into itself", in.ID())}
	case into.MergedInto != 0:
		return nil, nil, &Problem{ErrConflict, fmt.Sprintf("%s was itself merged into %s; merge into that one", into.ID(), ID(into.MergedInto))}
	case into.State == StateClosed:
		return nil, nil, &Problem{ErrConflict, fmt.Sprintf("%s is closed; merge into one that is not", into.ID())}
	case in.Drill != into.Drill:
		return nil, nil, &Problem{ErrConflict, "a drill and a real incident cannot be merged"}
	case in.State == StateOpen && into.State == StateResolved:
		return nil, nil, &Problem{ErrConflict, fmt.Sprintf("%s is resolved and %s is not: reopen %s first, or merge it into %s", into.ID(), in.ID(), into.ID(), in.ID())}
	}
	if err := text("reason", &reason, true); err != nil {
		return nil, nil, err
	}
	counts := in.Breaches
	d := Data{From: in.ID(), Sources: append([]int64{in.Number}, in.MergedFrom...), Breaches: &counts, Stakeholders: union(into.Stakeholders, in.Stakeholders), StartedAt: in.StartedAt, EndedAt: in.LastEndsAt, HeardAt: in.HeardAt}
	d.Actions = slices.Clone(into.Actions)
	for _, a := range in.Actions {
		if i := slices.IndexFunc(d.Actions, func(b Action) bool { return a.Name == b.Name }); i < 0 {
			d.Actions = append(d.Actions, a)
		}
	}
	if own := in.priority(p); p.Outranks(own, into.Priority) {
		d.Definition, d.ByPerson, d.Highest = &own, in.PriorityByPerson, into.Highest.Name
		if p.Outranks(own, into.Highest) {
			d.Highest = own.Name
		}
	}
	d.Actions = dueActions(d.Actions, into.ResolvedAt)
	from = in.next(s, Event{Type: EventMerged, Reason: reason, Data: Data{Into: into.Number}}, Event{Type: EventClosed, Data: Data{Into: into.Number, Why: WhyMerged}})
	to = into.next(s, Event{Type: EventMerged, Reason: reason, Data: d})
	return from, to, nil
}

// must checks that the state allows the command.
func (in *Incident) must(do string, states ...State) error {
	if slices.Contains(states, in.State) {
		return nil
	}
	p := &Problem{Kind: ErrConflict}
	switch {
	case in.MergedInto != 0:
		p.Text = fmt.Sprintf("cannot %s %s: it was merged into %s; use that one", do, in.ID(), ID(in.MergedInto))
	case in.State == StateClosed:
		p.Text = fmt.Sprintf("cannot %s %s: it is closed, and that is final", do, in.ID())
	case in.State == StateOpen:
		p.Text = fmt.Sprintf("cannot %s %s: it is open; resolve it first", do, in.ID())
	case do == "resolve":
		p.Text = in.ID() + " is resolved already"
	default:
		p.Text = fmt.Sprintf("cannot %s %s: it is resolved; reopen it first", do, in.ID())
	}
	return p
}

// text cleans what a person wrote, and checks that it is there and not too long.
func text(field string, s *string, required bool) error {
	if !utf8.ValidString(*s) {
		return &Problem{ErrInvalid, field + " is not valid UTF-8"}
	}
	*s = strings.TrimSpace(strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case r == '\r':
			return -1
		case unicode.IsControl(r):
			return utf8.RuneError
		}
		return r
	}, *s))
	if required && *s == "" {
		return &Problem{ErrInvalid, field + " is missing: say it in a sentence, it is kept and shown"}
	}
	if len(*s) > MaxText {
		return &Problem{ErrInvalid, fmt.Sprintf("%s is longer than %d bytes", field, MaxText)}
	}
	return nil
}

func union(a, b []string) []string {
	out := slices.Clone(a)
	for _, s := range b {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// list writes "a, b and c".
func list[S ~string](items []S) string {
	var b strings.Builder
	for i, s := range items {
		switch {
		case i == 0:
		case i == len(items)-1:
			b.WriteString(" and ")
		default:
			b.WriteString(", ")
		}
		b.WriteString(string(s))
	}
	if len(items) == 0 {
		return "nobody"
	}
	return b.String()
}
