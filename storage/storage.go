// Package storage keeps incidents and all that belongs to them. It defines what an
// engine must do ([Store]) and holds [Change], the one door through which an
// incident, its events and its subscriptions are written.
//
// Two engines are meant to fit: one file with one writer, and a database with many
// replicas. So nothing above this package may count on a single writer, walk all
// incidents inside a write, or keep in memory what a reader could see differently.
package storage

import (
	"context"
	"errors"
	"time"

	"sitrep/incident"
	"sitrep/ledger"
)

var (
	// ErrUnavailable is a write that surely was not stored and may be tried again:
	// the disk is full, the engine is stopping or does not answer in time.
	ErrUnavailable = errors.New("storage unavailable")
	// ErrUnknown is a write of which nobody can say whether it was stored. It is no
	// ErrUnavailable; what repeats it must find what is there.
	ErrUnknown = errors.New("outcome of the write unknown")
	// ErrDamaged is a store, or a part of it, whose bytes are not what was written.
	ErrDamaged = errors.New("storage damaged")
	// ErrNewer is a store that a newer sitrep wrote.
	ErrNewer = errors.New("written by a newer sitrep")
	// ErrLost is a claim that another took over, or whose lease is over.
	ErrLost = errors.New("claim lost")
)

// A Store is an engine. All times are UTC and whole microseconds.
type Store interface {
	// Read runs fn on a consistent snapshot.
	Read(ctx context.Context, fn func(Reader) error) error
	// Write runs fn in a transaction of its own and returns once what it wrote is
	// durable; nothing of it is if fn or Write returns an error, unless the error of
	// Write says that the outcome is unknown. It may run fn more than once, so
	// fn only decides. If ctx is done before the commit begins, nothing is written.
	Write(ctx context.Context, fn func(Tx) error) error
	// Info says what the engine is and how it fares.
	Info(ctx context.Context) (Info, error)
	Close() error
}

// Info is for people and metrics.
type Info struct {
	Engine  string // "bbolt", "postgres"
	Version int    // of the stored form
	Path    string // or host and database
	Bytes   int64  // size on disk; 0 if unknown
	// Slow is set since when a commit has been under way for too long; zero if none.
	Slow time.Time
	// Trouble is why nothing can be stored now, such as that the disk is full; nil if
	// nothing is known to be wrong. It is ErrUnavailable, and ends by itself once its
	// cause does.
	Trouble error
}

// A Reader reads. What is not there is incident.ErrNotFound, unless it says
// otherwise. Cursors are opaque; "" is the start and, as next, the end. In a write
// it sees what the transaction wrote.
type Reader interface {
	// Incident returns one incident. In a write it is locked until the end.
	Incident(number int64) (incident.Incident, error)
	// LatestOf returns the number of the latest incident of a key that is no drill,
	// 0 if there is none. In a write the key is locked until the end, so that two
	// writers do not both open one.
	LatestOf(key string) (int64, error)
	// Incidents returns a page, the latest first.
	Incidents(q IncidentQuery) (page []incident.Incident, next string, err error)
	// OpenIncidents returns how many are open, by the name of their priority, drills
	// left out.
	OpenIncidents() (map[string]int, error)

	// Events returns up to limit events of an incident with a sequence above after.
	Events(number, after int64, limit int) ([]incident.Event, error)
	// EventRecords is Events as stored: the leaves, and what stands beside them.
	EventRecords(number, after int64, limit int) ([]Record, error)

	// LatestBreach returns the breach of a fingerprint with the highest ordinal.
	LatestBreach(fingerprint string) (incident.Breach, error)
	// Breaches returns a page of an incident's breaches, in order of arrival.
	Breaches(number int64, limit int, cursor string) (page []incident.Breach, next string, err error)
	// SilentBreaches returns up to limit breaches of incidents, firing or unknown, whose
	// QuietSince is not after before, the longest first.
	SilentBreaches(before time.Time, limit int) ([]incident.Breach, error)
	// BreachesToAsk returns up to limit breaches whose AskAt is set and not after now, the
	// longest first.
	BreachesToAsk(now time.Time, limit int) ([]incident.Breach, error)

	// Agenda returns an incident's agenda, an empty one if there is none.
	Agenda(number int64) (incident.Agenda, error)
	// DueAgendas returns the numbers of up to limit incidents whose NextAt is not
	// after now, the earliest first.
	DueAgendas(now time.Time, limit int) ([]int64, error)

	// NextDue returns the earliest time after a time at which an agenda is due, or somebody
	// can be claimed who cannot be before; zero if there is none.
	NextDue(after time.Time) (time.Time, error)
	// Waiting returns up to limit recipients who can be claimed at now, first who has
	// waited longest since that is so. Somebody can be claimed whom nobody holds, whose
	// RetryAt has come, and to whom something is due that is not held back: a subscription,
	// a notice, or a pending delivery. A pending delivery whose RetryAt is to come is held
	// back, and so is, of its recipient, what it covers. All else of that recipient is not.
	Waiting(now time.Time, limit int) ([]Waiting, error)

	// HeldBack says what is not tried for a recipient at now because of failures.
	HeldBack(recipient string, now time.Time) (HeldBack, error)

	// Subscriptions returns all of an incident, ordered by recipient.
	Subscriptions(number int64) ([]incident.Subscription, error)
	// Backlog returns how many subscriptions and notices are due at now, up to a limit of
	// 10,000, and the earliest due time; zero if nothing is due.
	Backlog(now time.Time) (due int, oldest time.Time, err error)
	// DueReaders returns a page of up to limit (1 to 1000) of the readers of incidents to whom something was due at a
	// time, and is since, the longest first.
	DueReaders(at time.Time, limit int, cursor string) (page []DueReader, next string, err error)

	// Delivery returns one delivery.
	Delivery(id string) (incident.Delivery, error)
	// Message returns the bytes of a delivery as they were sent.
	Message(id string) ([]byte, error)
	// DeliveryRecords returns the records of a delivery's outcomes, the first first:
	// none while it is pending, seldom more than one.
	DeliveryRecords(id string) ([]Record, error)
	// Deliveries returns a page, the latest first. Those of an incident are all that
	// cover it, digests too.
	Deliveries(q DeliveryQuery) (page []incident.Delivery, next string, err error)

	// Unmapped returns one alert that no SLO claims.
	Unmapped(fingerprint string) (incident.UnmappedAlert, error)
	// UnmappedAlerts returns a page, ordered by fingerprint.
	UnmappedAlerts(limit int, cursor string) (page []incident.UnmappedAlert, next string, err error)

	// Pulse returns the pulse of the watchdog with that name, an empty one if there is
	// none. In a write it is locked until the end.
	Pulse(name string) (incident.Pulse, error)
	// Pulses returns all pulses of the watchdog, ordered by name.
	Pulses() (incident.Pulses, error)
	// Notices returns what the readers of a pulse are owed, ordered by recipient.
	Notices(pulse string) ([]incident.Notice, error)

	// Config returns a form of a configuration that was in force, see ConfigOf.
	Config(hash string) (Config, error)
	// Configs returns all loadings of configurations, the latest first.
	Configs() ([]Loading, error)
	// ConfigRecords is Configs as stored: the leaves, and what stands beside them.
	ConfigRecords() ([]Record, error)

	// LogSize returns how many leaves the tamper-evident log has. A record of the last
	// second may have no index yet.
	LogSize() (int64, error)
	// Leaves returns up to limit leaves of the log, in order, from an index on.
	Leaves(from int64, limit int) ([]Leaf, error)
	// ReadHashes returns the stored hashes of the log with those numbers, as
	// ledger.Hashes. The error for one that is not there is ErrDamaged.
	ReadHashes(numbers []int64) ([]ledger.Hash, error)
	// Checkpoints returns up to limit signed heads of the log with a size above after,
	// the smallest first. After is -1 for the first.
	Checkpoints(after int64, limit int) ([][]byte, error)
	// LastCheckpoint returns the signed head with the largest size; nil if there is none.
	LastCheckpoint() ([]byte, error)

	// Refusals returns the latest posts that were refused, the latest first.
	Refusals() ([]Refusal, error)
	// Ambiguities returns the latest alerts that several SLOs claimed, the latest first.
	Ambiguities() ([]Ambiguity, error)

	// Alive returns when the service was last known to run; zero if never.
	Alive() (time.Time, error)
	// Outages returns the times when no sitrep ran or none could write, and when the clock
	// was set, the latest first, up to limit.
	Outages(limit int) ([]Outage, error)

	// Answer returns what was answered to a command with that idempotency key in the
	// last day, or a little longer.
	Answer(key string) (Answer, error)
}

// A Tx reads and writes. Changes of an incident go through Change, not through
// here.
type Tx interface {
	Reader

	// NextNumber returns the number of a new incident: the lowest that was never
	// given out, without gaps.
	NextNumber() (int64, error)
	// PutIncident stores the state beside the events.
	PutIncident(in *incident.Incident) error
	// AppendEvents adds to an incident's log. The sequences must follow on.
	AppendEvents(events []incident.Event) error
	// PutBreach stores a breach: a new one of its fingerprint, or the latest as it is now.
	// One before the latest is an error, as nothing happens to it any more.
	PutBreach(b *incident.Breach) error
	PutAgenda(a *incident.Agenda) error
	PutSubscriptions(subs []incident.Subscription) error
	// PutDelivery stores a delivery, and its message if not nil. With an outcome it
	// appends the record of it, once for each state. Delivered, the recipient's
	// Failures are 0 again and its Sent has SentAt.
	PutDelivery(d *incident.Delivery, message []byte) error

	// ClaimDue takes those of the recipients who can be claimed at now, see Waiting, in the
	// order given. A claim holds until now + lease.
	ClaimDue(now time.Time, owner string, lease time.Duration, recipients []string) ([]Claim, error)
	// Hold checks that the claim still holds, and extends it to until. The error is
	// ErrLost.
	Hold(c *Claim, now, until time.Time) error
	// Release gives a claim back. Nothing is claimed for its recipient before retryAt,
	// if that is not zero; why then says what failed, or is empty if nothing did. The
	// error is ErrLost.
	Release(c *Claim, now, retryAt time.Time, why string) error
	// EndWaits ends the waits of recipients and of pending deliveries that began after now,
	// as after the clock was set back, and returns how many: what such a wait says of time is
	// void.
	EndWaits(now time.Time) (int, error)

	PutUnmapped(a *incident.UnmappedAlert) error
	DeleteUnmapped(fingerprint string) error
	PutPulse(p incident.Pulse) error
	// DeletePulse deletes a pulse with its notices; it is no error if there is none.
	DeletePulse(name string) error
	PutNotices(notices []incident.Notice) error
	// PutConfig notes that a configuration was loaded, and stores those of its forms that
	// are not there.
	PutConfig(l Loading, forms ...Config) error
	// PutCheckpoint keeps a signed head of the log of that size.
	PutCheckpoint(size int64, signed []byte) error
	PutRefusal(r Refusal) error
	PutAmbiguity(a Ambiguity) error
	PutAlive(at time.Time) error
	PutOutage(o Outage) error
	// PutAnswer keeps an answer for a day: those older than a.At by more are deleted.
	PutAnswer(a Answer) error

	// Prune deletes the breaches of incidents that closed before breaches, and the
	// messages of those that closed before messages; a zero time keeps all. The breaches of
	// one that was merged go with those of the one in which it goes on. The message
	// of a digest goes when all its incidents closed before. Breaches without an
	// incident go once nothing was heard of them since breaches. Events and the records of
	// deliveries stay. It deletes up to limit things and returns how many: call it
	// again while that is limit.
	Prune(breaches, messages time.Time, limit int) (int, error)
	// Forget drops the names of people and addresses of the incidents that closed before:
	// from their state and their events, from the deliveries about them and no other, with
	// the messages, and from their subscriptions. The same of what was sent about the
	// watchdog before, of configurations that another followed before, of which only the
	// public form is kept, and of refusals and answers from before. What something is
	// still owed to stays for another day. Leaves stay as they are. A zero time forgets
	// nothing. It looks at about limit things; if there are more, call it again.
	Forget(before time.Time, limit int) (more bool, err error)
}

// An IncidentQuery selects incidents; empty fields select all.
type IncidentQuery struct {
	State    incident.State
	Priority string
	Team     string
	SLO      string
	Text     string // in the id, use case, service or team, without regard to case
	Limit    int    // 1 to 1000
	Cursor   string
}

// A DeliveryQuery selects deliveries; empty fields select all.
type DeliveryQuery struct {
	Incident int64
	State    incident.DeliveryState
	Limit    int // 1 to 1000
	Cursor   string
}

// A Waiting is a recipient who can be claimed.
type Waiting struct {
	Recipient string
	Since     time.Time
	// Urgency is that of the most urgent that is due and not held back.
	Urgency incident.Urgency
}

// HeldBack is what is not tried for a recipient because of failures, and until when.
type HeldBack struct {
	// Until is when the recipient's RetryAt comes, as released with a failure; zero if nothing
	// is waited for.
	Until time.Time
	// Incidents have the RetryAt of pending deliveries that cover them, by number.
	Incidents map[int64]time.Time
}

// A DueReader is a reader of an incident to whom something is due.
type DueReader struct {
	Incident  int64
	Recipient string
	Since     time.Time
}

// A Claim is the right to send to one recipient, until its lease is over.
type Claim struct {
	Recipient string
	Owner     string
	// Attempt counts the claims of the recipient: of two claims the higher holds.
	Attempt int64
	Until   time.Time
	// Subscriptions are those that are due and not held back, the longest first, up to 1,000.
	Subscriptions []incident.Subscription
	// Notices are those that are due and not held back, the longest first, up to 1,000.
	Notices []incident.Notice
	// Unsettled are the pending deliveries to the recipient that are not held back.
	Unsettled []incident.Delivery
	// Sent are the times of the latest messages to the recipient, the latest last.
	Sent []time.Time
	// Failures counts the claims in a row that were released with a failure, since
	// FailingSince; LastError is what the last one said. A delivery that succeeds ends
	// the row.
	Failures     int
	FailingSince time.Time
	LastError    string
}

// A Config is a form of a configuration that was in force, without secrets: the whole
// one, or the public one, in which nobody's name or address stands.
type Config struct {
	Hash string // SHA-256 of Body in hexadecimal
	Body []byte
}

// A Loading says that a configuration came into force.
type Loading struct {
	Hash  string         `json:"hash"`
	At    time.Time      `json:"at"`
	Actor incident.Actor `json:"actor"`
	// Public is the hash of the public form; empty if there is none.
	Public string `json:"public,omitempty"`
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
