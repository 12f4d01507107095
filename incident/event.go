package incident

import "time"

// An EventType says what happened to an incident.
type EventType string

// The types of events. No other way leads to a change of an incident.
const (
	EventOpened          EventType = "opened"           // an incident opened, by an alert or by a person who declared it
	EventBreachStarted   EventType = "breach_started"   // an alert of its SLO began to fire, or fires again
	EventBreachEnded     EventType = "breach_ended"     // one of them ended
	EventBreachUnknown   EventType = "breach_unknown"   // nobody knows whether one of them still fires
	EventAcknowledged    EventType = "acknowledged"     // a person is on it, or gave it back
	EventPriorityChanged EventType = "priority_changed" // its priority was raised or lowered
	EventPhaseChanged    EventType = "phase_changed"    // the response went to another phase
	EventNoteWritten     EventType = "note_written"     // a note was written, which stays inside
	EventUpdateWritten   EventType = "update_written"   // a person wrote to audiences
	EventUpdateMissed    EventType = "update_missed"    // scheduled updates could not be handed over in time
	EventActionChanged   EventType = "action_changed"   // an action was done, waived, or is due again
	EventAudienceChanged EventType = "audience_changed" // it has other stakeholders
	EventResolved        EventType = "resolved"         // it is over, for all that is known
	EventReopened        EventType = "reopened"         // it is back
	EventMerged          EventType = "merged"           // it was merged into another, or another into it
	EventClosed          EventType = "closed"           // it is done; final
)

// EventTypes returns all types, in the order above.
func EventTypes() []EventType {
	return []EventType{
		EventOpened, EventBreachStarted, EventBreachEnded, EventBreachUnknown, EventAcknowledged, EventPriorityChanged, EventPhaseChanged, EventNoteWritten,
		EventUpdateWritten, EventUpdateMissed, EventActionChanged, EventAudienceChanged, EventResolved, EventReopened, EventMerged, EventClosed,
	}
}

// An Actor is who did it: the name of a person, Forgotten, or one of those below. No
// person can have any of those as a name.
type Actor string

// The actors that are not people.
const (
	ActorAlertmanager Actor = "alertmanager"
	ActorScheduler    Actor = "scheduler"
	// These two load configurations: sitrep as it starts, and the signal to reload.
	ActorStart  Actor = "start"
	ActorSignal Actor = "SIGHUP"
)

// Forgotten is what the name of a person or an address reads as once it was forgotten.
const Forgotten = "forgotten"

// Person reports whether the actor is a person.
func (a Actor) Person() bool {
	switch a {
	case "", ActorAlertmanager, ActorScheduler, ActorStart, ActorSignal:
		return false
	}
	return true
}

// A Why is a reason that no person gave. What it says in words is for others.
type Why string

// The reasons of events.
const (
	WhyQuiet        Why = "quiet"         // nothing was heard of the breach for unknown_after
	WhyWatchdogAway Why = "watchdog_away" // its end is not believed: the watchdog is away
	WhyUnseen       Why = "unseen"        // its alert fires anew, so that it had ended
	WhyNotListed    Why = "not_listed"    // no Alertmanager that was asked lists it
	WhyListed       Why = "listed"        // an Alertmanager that was asked lists it
	WhyMapped       Why = "mapped"        // its alert has another SLO now, or none
	WhyNobodyAsked  Why = "nobody_asked"  // it resolved although no Alertmanager could be asked

	WhyBreachStarted Why = "breach_started" // it is open again, as a breach started
	WhySLOPriority   Why = "slo_priority"   // its priority is that of the SLO of a breach now
	WhyNothingDue    Why = "no_action_due"  // it is closed, as no action is due
	WhyMerged        Why = "merged"         // it is closed, as it was merged into another
)

// The reasons why deliveries were superseded.
const (
	WhyNotConfigured   Why = "not_configured"    // the recipient is no longer in the configuration
	WhyOutcomeUnknown  Why = "outcome_unknown"   // nobody knows whether it was handed over, and there is news since
	WhyToldWithAnother Why = "told_with_another" // its news go out with another message
	WhyToldOrOver      Why = "told_or_over"      // they went out with another message, or are none any more
)

// An Event is one thing that happened to an incident.
type Event struct {
	Incident int64
	Sequence int64
	Time     time.Time
	Type     EventType
	Actor    Actor
	// Reason is what a person wrote, also as a note; what sitrep itself gives as reason is
	// Data.Why. Who reads it, Texts say.
	Reason string
	// Config is the hash of the configuration in force.
	Config string
	Data   Data
}

// Data are the particulars of an event. Which fields are set depends on its type:
//
//	opened            Opening
//	breach_started    Fingerprint, StartsAt, Priority, Why, From (the breach's state before: "" if new; firing if it only began earlier than was known)
//	breach_ended      Fingerprint, StartsAt, EndsAt, From, Why
//	breach_unknown    Fingerprint, StartsAt, From, HeardAt, Why
//	acknowledged      TakenOver or Released; neither where nobody was on it
//	priority_changed  From, To, Raised (else lowered), Highest (that it ever had), Definition, Actions (as they are now), Why
//	phase_changed     From, To, EscalatedTo
//	update_written    Message, Audiences
//	update_missed     DueAt, Missed, Audience, Cause
//	action_changed    Action, To, Link
//	audience_changed  Stakeholders
//	resolved          Actions (with their due times), Why, Message and Audiences if there are words to them
//	reopened          ResolveAfter, Why, Definition and Actions if a breach raised the priority
//	merged            Into, in the one that ends; From INC-n, Sources (n, and what was merged into it), Breaches, Stakeholders, Actions, StartedAt, EndedAt (the last endsAt so far), HeardAt, Definition, Highest and ByPerson if it raises the priority, in the other
//	closed            Why, Into (of WhyMerged)
type Data struct {
	Opening      *Opening      `json:"opening,omitempty"`
	Fingerprint  string        `json:"fingerprint,omitempty"`
	StartsAt     time.Time     `json:"starts_at,omitzero"`
	EndsAt       time.Time     `json:"ends_at,omitzero"`
	HeardAt      time.Time     `json:"heard_at,omitzero"`
	Priority     string        `json:"priority,omitempty"`
	From         string        `json:"from,omitempty"`
	To           string        `json:"to,omitempty"`
	Definition   *Priority     `json:"definition,omitempty"`
	Raised       bool          `json:"raised,omitempty"`
	Highest      string        `json:"highest,omitempty"`
	ByPerson     bool          `json:"by_person,omitempty"`
	EscalatedTo  string        `json:"escalated_to,omitempty"`
	TakenOver    bool          `json:"taken_over,omitempty"` // from another who was on it
	Released     bool          `json:"released,omitempty"`   // given back: nobody is on it
	Message      string        `json:"message,omitempty"`
	Audiences    []Audience    `json:"audiences,omitempty"`
	Audience     Audience      `json:"audience,omitempty"`
	Why          Why           `json:"why,omitempty"`
	DueAt        time.Time     `json:"due_at,omitzero"`
	Missed       int           `json:"missed,omitempty"`
	Cause        Cause         `json:"cause,omitzero"`
	Action       string        `json:"action,omitempty"`
	Link         string        `json:"link,omitempty"`
	Actions      []Action      `json:"actions,omitempty"`
	Stakeholders []string      `json:"stakeholders,omitempty"`
	ResolveAfter time.Duration `json:"resolve_after,omitempty"`
	Into         int64         `json:"into,omitempty"`
	Sources      []int64       `json:"sources,omitempty"`
	Breaches     *Counts       `json:"breaches,omitempty"`
	StartedAt    time.Time     `json:"started_at,omitzero"`
	EndedAt      time.Time     `json:"ended_at,omitzero"`
}

// An Opening is what an incident is about.
type Opening struct {
	Key          string            `json:"key"`
	SLO          string            `json:"slo,omitempty"`
	UseCase      string            `json:"use_case"`
	Affects      string            `json:"affects,omitempty"`
	SLI          string            `json:"sli,omitempty"`
	Service      string            `json:"service,omitempty"`
	Team         string            `json:"team,omitempty"`
	Runbook      string            `json:"runbook,omitempty"`
	Labels       map[string]string `json:"labels,omitempty"`
	Stakeholders []string          `json:"stakeholders,omitempty"`
	Priority     Priority          `json:"priority"`
	SLOPriority  string            `json:"slo_priority,omitempty"`
	ResolveAfter time.Duration     `json:"resolve_after"`
	Drill        bool              `json:"drill,omitempty"`
	Declared     bool              `json:"declared,omitempty"`
	Unmapped     bool              `json:"unmapped,omitempty"`
	Previous     int64             `json:"previous,omitempty"`
}
