package storage

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// A Journal is a list of what is kept for a look back.
type Journal string

// The journals. Of refusals and ambiguities the latest JournalKept are kept, in the order in
// which they came. Of outages all are, in the order of their times; of two of the same time the
// later one put.
const (
	JournalRefusals    Journal = "refusals"
	JournalAmbiguities Journal = "ambiguities"
	JournalOutages     Journal = "outages"
)

// JournalKept is how many refusals and ambiguities are kept.
const JournalKept = 100

// An Entry is what a journal has of one moment.
type Entry struct {
	At   time.Time
	Body []byte // JSON
}

// A JournalReader reads what is kept for a look back: the journals, and what commands were
// answered.
type JournalReader interface {
	// Journal returns the bodies of up to limit entries, the latest first.
	Journal(ctx context.Context, j Journal, limit int) ([][]byte, error)
	// Answer returns what was answered to a command with that idempotency key in the
	// last day, or a little longer. In a write the key is locked until the end, also if
	// nothing was answered yet, so that a command is not carried out twice.
	Answer(ctx context.Context, key string) (Answer, error)
}

// A JournalWriter writes what is kept for a look back.
type JournalWriter interface {
	// PutJournal adds entries to a journal, in that order.
	PutJournal(ctx context.Context, j Journal, entries []Entry) error
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

// Refusals returns the latest posts that were refused, the latest first.
func Refusals(ctx context.Context, r JournalReader) ([]Refusal, error) {
	return journal[Refusal](ctx, r, JournalRefusals, JournalKept)
}

// PutRefusal notes that a post was refused.
func PutRefusal(ctx context.Context, w JournalWriter, r Refusal) error {
	return putJournal(ctx, w, JournalRefusals, []Refusal{r}, func(r *Refusal) time.Time { return r.At })
}

// An Ambiguity is an alert that more than one SLO claimed.
type Ambiguity struct {
	At          time.Time         `json:"at"`
	Fingerprint string            `json:"fingerprint"`
	Labels      map[string]string `json:"labels"`
	SLO         string            `json:"slo"`
	Others      []string          `json:"others"`
}

// Ambiguities returns the latest alerts that several SLOs claimed, the latest first.
func Ambiguities(ctx context.Context, r JournalReader) ([]Ambiguity, error) {
	return journal[Ambiguity](ctx, r, JournalAmbiguities, JournalKept)
}

// PutAmbiguities notes alerts that several SLOs claimed.
func PutAmbiguities(ctx context.Context, w JournalWriter, all []Ambiguity) error {
	return putJournal(ctx, w, JournalAmbiguities, all, func(a *Ambiguity) time.Time { return a.At })
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

// Outages returns the times when no sitrep ran or none could write, and when the clock was set,
// the latest first, up to limit.
func Outages(ctx context.Context, r JournalReader, limit int) ([]Outage, error) {
	return journal[Outage](ctx, r, JournalOutages, limit)
}

// PutOutage notes a time when no sitrep ran, or that the clock was set.
func PutOutage(ctx context.Context, w JournalWriter, o Outage) error {
	return putJournal(ctx, w, JournalOutages, []Outage{o}, func(o *Outage) time.Time { return o.From })
}

func journal[T any](ctx context.Context, r JournalReader, j Journal, limit int) ([]T, error) {
	bodies, err := r.Journal(ctx, j, limit)
	if err != nil {
		return nil, err
	}
	var all []T
	for _, body := range bodies {
		var one T
		if err := json.Unmarshal(body, &one); err != nil {
			return nil, fmt.Errorf("read %s: %w: %w", j, err, ErrDamaged)
		}
		all = append(all, one)
	}
	return all, nil
}

func putJournal[T any](ctx context.Context, w JournalWriter, j Journal, all []T, at func(*T) time.Time) error {
	entries := make([]Entry, len(all))
	for i := range all {
		body, err := json.Marshal(&all[i])
		if err != nil {
			return fmt.Errorf("put %s: %w", j, err)
		}
		entries[i] = Entry{at(&all[i]), body}
	}
	return w.PutJournal(ctx, j, entries)
}

// An Answer is what a command was answered, kept for its repetition.
type Answer struct {
	Key string `json:"key"`
	// Request is a hash of what was asked; the same key with another is a mistake.
	Request string    `json:"request"`
	At      time.Time `json:"at"`
	Status  int       `json:"status"`
	Body    []byte    `json:"body"`
}
