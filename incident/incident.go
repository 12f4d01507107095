package incident

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A State is where an incident stands between its opening and its end.
type State string

// The states.
const (
	StateOpen     State = "open"     // breaches firing or unknown, or a person holds it open
	StateResolved State = "resolved" // all breaches ended long enough ago, or a person said so
	StateClosed   State = "closed"   // done; final
)

// A Phase is the step of incident response, as ITIL names it.
type Phase string

// The phases, in order.
const (
	PhaseInitialDiagnosis Phase = "initial-diagnosis"
	PhaseEscalation       Phase = "escalation"
	PhaseInvestigation    Phase = "investigation"
	PhaseRecovery         Phase = "recovery"
	PhaseClosure          Phase = "closure"
)

// phases are all phases in order.
var phases = []Phase{PhaseInitialDiagnosis, PhaseEscalation, PhaseInvestigation, PhaseRecovery, PhaseClosure}

// An ActionState says whether an action is still to be done.
type ActionState string

// The states of an action.
const (
	ActionDue    ActionState = "due"
	ActionDone   ActionState = "done"
	ActionWaived ActionState = "waived"
)

// An Action is a duty that the incident's priority brought.
type Action struct {
	Name   string        `json:"name"`
	State  ActionState   `json:"state"`
	Within time.Duration `json:"within,omitempty"`
	DueAt  time.Time     `json:"due_at,omitzero"` // zero until resolved, or without limit
	Link   string        `json:"link,omitempty"`
	Reason string        `json:"reason,omitempty"`
}

// Counts are the numbers of an incident's breaches by state.
type Counts struct {
	Firing  int `json:"firing"`
	Unknown int `json:"unknown"`
	Total   int `json:"total"`
}

// A Word is what the team wrote for an audience.
type Word struct {
	Text string    `json:"text"`
	At   time.Time `json:"at"`
	By   string    `json:"by"`
}

// An Incident is all breaches of one SLO that belong to one stretch of trouble.
// It is the fold of its events, see [Incident.Apply], and nothing else.
type Incident struct {
	Number   int64 `json:"number"`
	Sequence int64 `json:"sequence"` // of its latest event; the first is 1
	// ChangedAt is the time of its latest event. None comes before it, also when the clock
	// was set back.
	ChangedAt time.Time `json:"changed_at"`

	// What it is about: a copy of the SLO's fields when it opened.
	Key          string            `json:"key"`
	SLO          string            `json:"slo,omitempty"`
	UseCase      string            `json:"use_case"`
	Affects      string            `json:"affects,omitempty"` // who is affected, in plain words
	SLI          string            `json:"sli,omitempty"`
	Service      string            `json:"service,omitempty"`
	Team         string            `json:"team,omitempty"`
	Runbook      string            `json:"runbook,omitempty"`
	Labels       map[string]string `json:"labels,omitempty"`
	Stakeholders []string          `json:"stakeholders,omitempty"` // names of groups
	Drill        bool              `json:"drill,omitempty"`
	Declared     bool              `json:"declared,omitempty"` // by a person: resolves by hand only
	Unmapped     bool              `json:"unmapped,omitempty"`

	State       State  `json:"state"`
	Phase       Phase  `json:"phase"`
	EscalatedTo string `json:"escalated_to,omitempty"`

	// Priority is the definition of the priority that it has, as it was when the
	// incident got it; the config in force comes first while it still has that name.
	Priority Priority `json:"priority"`
	// Highest is the highest priority that it ever had.
	Highest Priority `json:"highest"`
	// SLOPriority is the SLO priority that held at its latest breach.
	SLOPriority string `json:"slo_priority"`
	// PriorityByPerson is set once a person chose the priority: a new breach does not
	// raise it then.
	PriorityByPerson bool     `json:"priority_by_person,omitempty"`
	Actions          []Action `json:"actions,omitempty"`

	Breaches Counts `json:"breaches"`
	// StartedAt and EndedAt say how long the trouble was: the first startsAt and the
	// last endsAt. EndedAt is zero while a breach fires or is unknown.
	StartedAt time.Time `json:"started_at,omitzero"`
	EndedAt   time.Time `json:"ended_at,omitzero"`
	// LastEndsAt is the last endsAt of its breaches so far, also while others fire.
	LastEndsAt time.Time `json:"last_ends_at,omitzero"`
	// OpenedAt and ResolvedAt are what sitrep knew; promises count from them.
	OpenedAt   time.Time `json:"opened_at"`
	ReopenedAt time.Time `json:"reopened_at,omitzero"`
	// AcknowledgedAt is when somebody was on it for the first time, and AcknowledgedBy who is
	// on it now; empty if nobody is, see [Incident.OnIt].
	AcknowledgedAt time.Time `json:"acknowledged_at,omitzero"`
	AcknowledgedBy string    `json:"acknowledged_by,omitempty"`
	// OnItAt is since when somebody is on it without a gap, if it was given back before;
	// TakenOverAt when who is on it now took it over from another; ReleasedAt since when
	// nobody is on it any more.
	OnItAt      time.Time `json:"on_it_at,omitzero"`
	TakenOverAt time.Time `json:"taken_over_at,omitzero"`
	ReleasedAt  time.Time `json:"released_at,omitzero"`
	ResolvedAt  time.Time `json:"resolved_at,omitzero"`
	ResolvedBy  string    `json:"resolved_by,omitempty"`
	ClosedAt    time.Time `json:"closed_at,omitzero"`
	// EndedHeardAt is when sitrep heard that the last breach had ended; zero while one
	// fires or is unknown. The wait of ResolveAfter starts here.
	EndedHeardAt time.Time `json:"ended_heard_at,omitzero"`
	// TroubleSince is when sitrep heard that a breach fires after none did; for one
	// that a person declared, when it opened.
	TroubleSince time.Time `json:"trouble_since,omitzero"`
	// HeardAt is when the latest breach began, or began again.
	HeardAt time.Time `json:"heard_at,omitzero"`
	// UnknownSince is when the last firing breach became unknown: nobody knows then
	// whether it goes on. Zero while one fires, or all have ended.
	UnknownSince time.Time `json:"unknown_since,omitzero"`
	// ResolveAfter doubles with each reopening by a breach, up to ReopenWithin.
	ResolveAfter time.Duration `json:"resolve_after"`
	Reopenings   int           `json:"reopenings,omitempty"`

	// KeptOpen is set while a person holds it open who reopened it when nothing fired:
	// then it resolves by hand only.
	KeptOpen bool `json:"held_open,omitempty"`

	// Words is the latest that the team wrote for each audience.
	Words map[Audience]Word `json:"words,omitempty"`

	MergedInto int64   `json:"merged_into,omitempty"`
	MergedFrom []int64 `json:"merged_from,omitempty"`
	Previous   int64   `json:"previous,omitempty"` // the earlier incident of the same key
}

// ID returns the incident's name, such as INC-42.
func (in *Incident) ID() string { return ID(in.Number) }

// OnIt reports whether somebody is on it: it was acknowledged, and not given back.
func (in *Incident) OnIt() bool { return !in.AcknowledgedAt.IsZero() && in.ReleasedAt.IsZero() }

// ID returns the name of the incident of that number.
func ID(number int64) string { return "INC-" + strconv.FormatInt(number, 10) }

// ParseID returns the number of an incident's name such as INC-42. The error is
// ErrInvalid.
func ParseID(s string) (int64, error) {
	digits, ok := strings.CutPrefix(strings.ToUpper(s), "INC-")
	n, err := strconv.ParseInt(digits, 10, 64)
	if !ok || err != nil || n < 1 || digits[0] == '+' || digits[0] == '0' {
		return 0, &Problem{ErrInvalid, fmt.Sprintf("%q is not an incident; write it as INC-42", s)}
	}
	return n, nil
}
