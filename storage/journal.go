package storage

import (
	"context"
	"time"
)

// A JournalReader reads what is kept for a look back: what was refused, when sitrep ran,
// what commands were answered.
type JournalReader interface {
	// Refusals returns the latest posts that were refused, the latest first.
	Refusals(ctx context.Context) ([]Refusal, error)
	// Ambiguities returns the latest alerts that several SLOs claimed, the latest first.
	Ambiguities(ctx context.Context) ([]Ambiguity, error)

	// Alive returns when the service was last known to run; zero if never.
	Alive(ctx context.Context) (time.Time, error)
	// Outages returns the times when no sitrep ran or none could write, and when the clock
	// was set, the latest first, up to limit.
	Outages(ctx context.Context, limit int) ([]Outage, error)

	// Answer returns what was answered to a command with that idempotency key in the
	// last day, or a little longer. In a write the key is locked until the end, also if
	// nothing was answered yet, so that a command is not carried out twice.
	Answer(ctx context.Context, key string) (Answer, error)
}

// A JournalWriter writes what is kept for a look back.
type JournalWriter interface {
	PutRefusal(ctx context.Context, r Refusal) error
	PutAmbiguities(ctx context.Context, all []Ambiguity) error
	PutAlive(ctx context.Context, at time.Time) error
	PutOutage(ctx context.Context, o Outage) error
	// PutAnswer keeps an answer for a day: those older than a.At by more are deleted.
	PutAnswer(ctx context.Context, a Answer) error
}

// A Refusal is a post of alerts that was answered with 4xx: it may have lost a
// breach for good.
type Refusal struct {
	At     time.Time `json:"at"`
	Status int       `json:"status"`
	Client string    `json:"client"` // name of the token or the address
	Reason string    `json:"reason"`
}

// An Ambiguity is an alert that more than one SLO claimed.
type Ambiguity struct {
	At          time.Time         `json:"at"`
	Fingerprint string            `json:"fingerprint"`
	Labels      map[string]string `json:"labels"`
	SLO         string            `json:"slo"`
	Others      []string          `json:"others"`
}

// An Outage is a time in which no sitrep ran, as far as its store knows, or a stretch that
// is no time that passed, as the clock was set.
type Outage struct {
	From time.Time `json:"from"`
	// To is before From where the clock was set back.
	To   time.Time  `json:"to"`
	Kind OutageKind `json:"kind,omitempty"`
}

// An OutageKind says what an outage is: empty, or ClockSet.
type OutageKind string

// ClockSet is a clock that showed From, and was set to To while sitrep ran, or before it
// started.
const ClockSet OutageKind = "clock set"

// An Answer is what a command was answered, kept for its repetition.
type Answer struct {
	Key string `json:"key"`
	// Request is a hash of what was asked; the same key with another is a mistake.
	Request string    `json:"request"`
	At      time.Time `json:"at"`
	Status  int       `json:"status"`
	Body    []byte    `json:"body"`
}
