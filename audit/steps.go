package audit

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"sitrep/incident"
	"sitrep/wording"
)

// A StepName is a step in which ITIL handles an incident.
type StepName string

// The steps, in order.
const (
	Identification StepName = "identification"
	Logging        StepName = "logging"
	Categorization StepName = "categorization"
	Prioritization StepName = "prioritization"
	Diagnosis      StepName = "initial diagnosis"
	Escalation     StepName = "escalation"
	Investigation  StepName = "investigation and diagnosis"
	Recovery       StepName = "resolution and recovery"
	Closure        StepName = "closure"
)

var stepNames = []StepName{Identification, Logging, Categorization, Prioritization, Diagnosis, Escalation, Investigation, Recovery, Closure}

// A Step is what an incident's events say of a step.
type Step struct {
	Name    StepName `json:"name"`
	Entries []Entry  `json:"entries"`
	// Gap is what there is none of, in words; empty if nothing is missing.
	Gap string `json:"gap,omitempty"`
	// Pending is set if there is a gap, and it may still be filled: the incident is open,
	// and no later step has begun.
	Pending bool `json:"pending,omitempty"`
	// Optional is set if Gap says what there is none of, and nothing is missing: it may not have
	// been needed, or stands elsewhere.
	Optional bool `json:"optional,omitempty"`
}

// An Entry says when, by whom or what, and on which evidence.
type Entry struct {
	At time.Time `json:"at"`
	// By is a person, or alertmanager or scheduler.
	By   incident.Actor `json:"by"`
	What string         `json:"what"`
	// Evidence are the sequence numbers of the incident's events.
	Evidence []int64 `json:"evidence"`
}

// A Stepper tells an incident in the steps of ITIL from all of its events, some at a time: it
// keeps none of them. Each step is there; one that left no trace says so.
type Stepper struct {
	in     *incident.Incident
	steps  []Step
	breach bool // a first one was seen
	row    bool // the latest entry of recovery is that breaches ended
	said   bool // who resolved it said why it is over
	// begun are the steps in which somebody did something, or sitrep in their place.
	begun map[StepName]bool
}

// NewStepper returns a stepper of an incident, which has to be as after the events when those are
// added, and as it is at the end when the steps are asked for.
func NewStepper(in *incident.Incident) *Stepper {
	s := &Stepper{in: in, begun: map[StepName]bool{}}
	for _, name := range stepNames {
		s.steps = append(s.steps, Step{Name: name, Entries: []Entry{}})
	}
	return s
}

// Add tells the events that follow on those before.
func (s *Stepper) Add(events []incident.Event) {
	for i := range events {
		s.event(&events[i])
	}
}

// Steps returns all steps, once all events were added.
func (s *Stepper) Steps() []Step {
	s.gaps()
	return s.steps
}

func (s *Stepper) step(name StepName) *Step {
	return &s.steps[slices.IndexFunc(s.steps, func(st Step) bool { return st.Name == name })]
}

func (s *Stepper) add(name StepName, e *incident.Event, format string, args ...any) {
	st := s.step(name)
	st.Entries = append(st.Entries, Entry{At: e.Time, By: e.Actor, What: fmt.Sprintf(format, args...), Evidence: []int64{e.Sequence}})
}

// because appends why it happened, if it says so.
func because(e *incident.Event) string {
	if why := wording.Reason(e); why != "" {
		return ": " + why
	}
	return ""
}

func (s *Stepper) event(e *incident.Event) {
	d := &e.Data
	if e.Type == incident.EventResolved || e.Type == incident.EventBreachStarted || e.Type == incident.EventReopened || e.Type == incident.EventPhaseChanged {
		s.row = false
	}
	switch e.Type {
	case incident.EventOpened:
		s.opened(e)
	case incident.EventBreachStarted:
		s.breachStarted(e)
	case incident.EventAcknowledged:
		switch {
		case d.Released:
			s.add(Diagnosis, e, "given back, so that nobody was on it")
		case d.TakenOver:
			s.add(Diagnosis, e, "taken over from who was on it")
		default:
			s.add(Diagnosis, e, "acknowledged, %s after opening", words(max(e.Time.Sub(s.in.OpenedAt), 0)))
		}
	case incident.EventNoteWritten:
		s.add(Investigation, e, "noted: %s", e.Reason)
		s.begun[Investigation] = true
	case incident.EventPriorityChanged:
		word := "lowered"
		if d.Raised {
			word = "raised"
		}
		s.add(Prioritization, e, "%s from %s to %s%s", word, d.From, d.To, because(e))
	case incident.EventPhaseChanged:
		s.phase(e)
	case incident.EventUpdateWritten:
		s.add(Investigation, e, "told %s: %s", audiences(d.Audiences), d.Message)
		s.begun[Investigation] = true
	case incident.EventActionChanged:
		what := fmt.Sprintf("%s is %s%s", d.Action, d.To, because(e))
		if d.Link != "" {
			what += " (" + d.Link + ")"
		}
		s.add(Closure, e, "%s", what)
	case incident.EventResolved:
		what := "resolved"
		if !e.Actor.Person() {
			what = "resolved, as all breaches had ended long enough ago"
		}
		s.add(Recovery, e, "%s%s", what, because(e))
		s.begun[Recovery], s.said = true, e.Actor.Person() && e.Reason != ""
		if d.Message != "" {
			s.add(Recovery, e, "told %s: %s", audiences(d.Audiences), d.Message)
		}
	case incident.EventReopened:
		s.add(Investigation, e, "opened again%s", because(e))
		s.add(Recovery, e, "opened again, so it was not resolved any more%s", because(e))
	case incident.EventBreachEnded:
		s.ended(e)
	case incident.EventMerged:
		s.merged(e)
	case incident.EventClosed:
		s.add(Closure, e, "closed%s", because(e))
	}
}

func (s *Stepper) opened(e *incident.Event) {
	o := e.Data.Opening
	if o == nil {
		return
	}
	what := "recorded as " + incident.ID(e.Incident)
	if o.Previous != 0 {
		what += ", after " + incident.ID(o.Previous)
	}
	s.add(Logging, e, "%s", what)
	if o.Declared {
		s.add(Identification, e, "declared by a person%s", because(e))
	}
	var parts []string
	for _, p := range [][2]string{{"SLO", o.SLO}, {"service", o.Service}, {"SLI", o.SLI}, {"team", o.Team}} {
		if p[1] != "" {
			parts = append(parts, p[0]+" "+p[1])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(o.Labels)) {
		parts = append(parts, name+" "+o.Labels[name])
	}
	if o.Affects != "" {
		parts = append(parts, "affects "+o.Affects)
	}
	s.add(Categorization, e, "%s", strings.Join(append([]string{o.UseCase}, parts...), "; "))
	what = "opened as " + o.Priority.Name
	switch {
	case o.SLOPriority == o.Priority.Name:
		what += ", the priority of the SLO"
	case o.SLOPriority != "":
		what += "; the SLO's priority is " + o.SLOPriority
	}
	s.add(Prioritization, e, "%s", what)
}

func (s *Stepper) breachStarted(e *incident.Event) {
	if s.breach {
		return
	}
	s.breach = true
	st := s.step(Identification)
	st.Entries = append(st.Entries, Entry{
		At: e.Data.StartsAt, By: e.Actor, Evidence: []int64{e.Sequence},
		What: "the first breach started; sitrep heard of it " + after(e.Data.StartsAt, e.Time),
	})
}

// ended notes that breaches ended: a row of them, without anything else in between, is
// one entry.
func (s *Stepper) ended(e *incident.Event) {
	st := s.step(Recovery)
	heard := "sitrep heard of it " + after(e.Data.EndsAt, e.Time)
	if n := len(st.Entries); n > 0 && s.row {
		entry := &st.Entries[n-1]
		entry.At, entry.By, entry.Evidence = e.Time, e.Actor, append(entry.Evidence, e.Sequence)
		entry.What = fmt.Sprintf("%d breaches ended; of the last, %s", len(entry.Evidence), heard)
		return
	}
	s.add(Recovery, e, "a breach ended; %s", heard)
	s.row = true
}

// after says how much later than one thing another was. It names no time of the clock:
// that stands beside it, in a zone that is not known here.
func after(from, to time.Time) string {
	if d := to.Sub(from); d >= time.Second {
		return words(d) + " later"
	}
	return "at once"
}

func (s *Stepper) phase(e *incident.Event) {
	switch incident.Phase(e.Data.To) {
	case incident.PhaseInitialDiagnosis:
		s.add(Diagnosis, e, "initial diagnosis%s", because(e))
	case incident.PhaseEscalation:
		s.add(Escalation, e, "escalated to %s%s", e.Data.EscalatedTo, because(e))
		s.begun[Escalation] = true
	case incident.PhaseInvestigation:
		s.add(Investigation, e, "investigation%s", because(e))
		s.begun[Investigation] = true
	case incident.PhaseRecovery:
		s.add(Recovery, e, "recovery%s", because(e))
		s.begun[Recovery] = true
	}
}

func (s *Stepper) merged(e *incident.Event) {
	if e.Data.Into != 0 {
		s.add(Closure, e, "merged into %s, which goes on instead%s", incident.ID(e.Data.Into), because(e))
		return
	}
	s.add(Categorization, e, "%s was merged into it%s", e.Data.From, because(e))
	if e.Data.Definition != nil {
		s.add(Prioritization, e, "%s by merging %s", e.Data.Definition.Name, e.Data.From)
	}
}

// gaps names what is missing.
func (s *Stepper) gaps() {
	in := s.in
	active := in.State == incident.StateOpen
	// pending reports whether it is not yet time to miss a step.
	pending := func(name StepName) bool {
		later := stepNames[slices.Index(stepNames, name)+1:]
		return active && !slices.ContainsFunc(later, func(n StepName) bool { return s.begun[n] })
	}
	gap := func(name StepName, pending bool, text string) {
		st := s.step(name)
		st.Gap, st.Pending = text, pending
	}
	none := func(name StepName, text string) {
		st := s.step(name)
		st.Gap, st.Optional = text, true
	}
	empty := func(name StepName) bool { return len(s.step(name).Entries) == 0 }

	if empty(Identification) {
		gap(Identification, false, "no breach is on record, and nobody declared it")
	}
	if empty(Logging) {
		gap(Logging, false, "the opening is not on record")
	}
	switch {
	case empty(Categorization):
		gap(Categorization, false, "what it is about is not on record")
	case in.Unmapped:
		gap(Categorization, false, "no SLO claims these alerts, so service and SLI are not known")
	case in.SLO == "" && in.Declared:
		none(Categorization, "it belongs to no SLO, as who declared it said")
	case in.SLO == "":
		gap(Categorization, false, "it belongs to no SLO")
	case in.Service == "" || in.SLI == "":
		gap(Categorization, false, "the SLO names no "+cmp.Or(missing(in), "service"))
	}
	if empty(Prioritization) {
		gap(Prioritization, false, "no priority is on record")
	}
	switch {
	case empty(Diagnosis):
		gap(Diagnosis, pending(Diagnosis), "nobody acknowledged it")
	case in.AcknowledgedAt.IsZero():
		gap(Diagnosis, pending(Diagnosis), "nobody acknowledged it, though a person set the phase")
	}
	if empty(Escalation) {
		none(Escalation, "no escalation is on record; none may have been needed")
	}
	switch {
	case s.begun[Investigation]:
	case s.said:
		none(Investigation, "none is noted but in the words with which it was resolved")
	default:
		gap(Investigation, pending(Investigation), "nobody noted an investigation")
	}
	switch {
	case in.MergedInto != 0:
		none(Recovery, "none of its own, as "+incident.ID(in.MergedInto)+" goes on instead")
	case active && in.Reopenings > 0:
		gap(Recovery, true, "it was opened again, and is not resolved now")
	case in.ResolvedAt.IsZero():
		gap(Recovery, active, "it is not resolved")
	}
	switch due := dueNames(in); {
	case in.State != incident.StateClosed && due != "":
		gap(Closure, true, "it is not closed; still due: "+due)
	case in.State != incident.StateClosed:
		gap(Closure, true, "it is not closed")
	}
}

// missing says what of the category an SLO does not name.
func missing(in *incident.Incident) string {
	switch {
	case in.Service == "" && in.SLI == "":
		return "service and no SLI"
	case in.SLI == "":
		return "SLI"
	}
	return ""
}

func dueNames(in *incident.Incident) string {
	var due []string
	for _, a := range in.Actions {
		if a.State == incident.ActionDue {
			due = append(due, a.Name)
		}
	}
	return strings.Join(due, ", ")
}

func audiences(list []incident.Audience) string {
	var names []string
	for _, a := range list {
		names = append(names, strings.ReplaceAll(string(a), "_", " "))
	}
	return strings.Join(names, " and ")
}
