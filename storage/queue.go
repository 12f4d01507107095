package storage

import (
	"context"
	"time"

	"sitrep/incident"
)

// A QueueReader reads which recipients wait for what is due to them.
type QueueReader interface {
	// NextDue returns the earliest time after a time at which an agenda is due, or somebody
	// can be leased who cannot be before; zero if there is none.
	NextDue(ctx context.Context, after time.Time) (time.Time, error)
	// Waiting returns up to limit recipients who can be leased at now, first who has
	// waited longest since that is so. Somebody can be leased whom nobody holds, whose
	// RetryAt has come, and to whom something is due that is not held back: a subscription,
	// a notice, or a pending delivery. A pending delivery whose RetryAt is to come is held
	// back, and so is, of its recipient, what it covers. All else of that recipient is not.
	Waiting(ctx context.Context, now time.Time, limit int) ([]Waiting, error)
	// Backoffs says what is not tried for recipients at now because of failures. One for whom
	// all is tried is left out.
	Backoffs(ctx context.Context, recipients []string, now time.Time) (map[string]Backoff, error)
	// RecipientStates says how it goes with recipients; one of whom nothing is known is left out.
	RecipientStates(ctx context.Context, recipients []string) (map[string]RecipientState, error)
	// DueReaders returns a page of up to limit (1 to 1000) of the readers of incidents to whom
	// something was due at a time, and is since, the longest first.
	DueReaders(ctx context.Context, at time.Time, limit int, cursor string) (page []DueReader, next string, err error)
	// Backlog returns how many subscriptions and notices are due at now, up to a limit of
	// 10,000, and the earliest due time; zero if nothing is due.
	Backlog(ctx context.Context, now time.Time) (due int, oldest time.Time, err error)
}

// A QueueWriter gives out the right to send to recipients, and takes it back.
type QueueWriter interface {
	// TakeLeases takes those of the recipients who can be leased at now, see Waiting, in the
	// order given. Those whom another writer is about to lease are left out, and not waited for.
	//
	// A lease holds for a term from when the store gave or extended it, by the clock of the
	// store: where many processes have that, what the clock of one says changes nothing about
	// it, and only the clock of the store makes a lease free for another. A process that is the
	// only one says what time it is by now.
	TakeLeases(ctx context.Context, now time.Time, owner string, term time.Duration, recipients []string) ([]Lease, error)
	// ExtendLease checks that the lease still holds, and lets it hold for a term anew. The error
	// is ErrLost. The lease is locked until the end of the transaction, which begins with that.
	ExtendLease(ctx context.Context, c *Lease, now time.Time, term time.Duration) error
	// ReleaseLease gives a lease back. Nothing is leased for its recipient before retryAt,
	// if that is not zero; why then says what failed, or is empty if nothing did. If yields is
	// not zero, a subscription that becomes due meanwhile and is more urgent than that ends the
	// wait, and one that is due and the lease does not have lets none begin. The error is ErrLost.
	ReleaseLease(ctx context.Context, c *Lease, now, retryAt time.Time, why string, yields incident.Urgency) error
	// Settle notes under a lease how far what a delivery covers is settled; nil if all is. While
	// something is left, the recipient is due since the delivery was handed over. The error is
	// ErrLost.
	Settle(ctx context.Context, c *Lease, now time.Time, s *Settling) error
	// EndWaits ends the waits of recipients and of pending deliveries that began after now,
	// as after the clock was set back, and returns how many: what such a wait says of time is
	// void.
	EndWaits(ctx context.Context, now time.Time) (int, error)
}

// A Waiting is a recipient who can be leased.
type Waiting struct {
	Recipient string
	Since     time.Time
	// Urgency is that of the most urgent that is due and not held back.
	Urgency incident.Urgency
	// Incident is set if one subscription, to that incident, is all that is due, and no
	// delivery to the recipient is pending or to be settled.
	Incident int64
}

// A Backoff is what is not tried for a recipient because of failures, and until when.
type Backoff struct {
	// Until is when the recipient's RetryAt comes, as released with a failure; zero if nothing
	// is waited for.
	Until time.Time
	// Incidents have the RetryAt of pending deliveries that cover them, by number.
	Incidents map[int64]time.Time
}

// A RecipientState is how it goes with a recipient.
type RecipientState struct {
	// SentAt is when a message was last handed over; zero if none was.
	SentAt time.Time
	// FailingSince is since when its leases were released with a failure, and LastError what
	// the last one said; zero and empty if something was handed over since.
	FailingSince time.Time
	LastError    string
}

// A DueReader is a reader of an incident to whom something is due.
type DueReader struct {
	Incident  int64
	Recipient string
	Since     time.Time
}

// A Lease is the right to send to one recipient, until it is over.
type Lease struct {
	Recipient string
	Owner     string
	// Attempt counts the leases of the recipient: of two the higher holds.
	Attempt int64
	// Until is now + term as they were given when the lease was taken or extended, by the clock
	// of who asked. The store gave it after that: so much time has not passed before it is over.
	Until time.Time
	// Subscriptions are those that are due and not held back, the longest first, up to 1,000: if
	// there are more, the most urgent of them.
	Subscriptions []incident.Subscription
	// Notices are those that are due and not held back, the longest first, up to 1,000.
	Notices []incident.Notice
	// Pending are the pending deliveries to the recipient that are not held back.
	Pending []incident.Delivery
	// Settling is what is to be settled before anything else is sent; nil if nothing is.
	Settling *Settling
	// Sent are the times of the latest messages to the recipient, the latest last.
	Sent []time.Time
	// Openings are the latest openings that the recipient got in messages of their own, within the
	// last two minutes at least, the latest last.
	Openings []Opening
	// Failures counts the leases in a row that were released with a failure, since
	// FailingSince; LastError is what the last one said. A delivery that succeeds ends
	// the row.
	Failures     int
	FailingSince time.Time
	LastError    string
}

// An Opening is that an incident of a priority was told as opened in a message of its own.
type Opening struct {
	At       time.Time `json:"at"`
	Priority string    `json:"priority"`
}

// A Settling is a delivery whose outcome is recorded, and is noted in some of the incidents that it
// covers: of many that is done piece by piece, so that no write takes long.
type Settling struct {
	Delivery string    `json:"delivery"` // its ID
	Since    time.Time `json:"since"`    // when the outcome was recorded
	Next     int       `json:"next"`     // the first of its covers that is not settled
}
