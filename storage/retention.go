package storage

import (
	"context"
	"time"

	"sitrep/incident"
)

// An Expiry is what of a thing goes some time after it was over. Engines store its value.
type Expiry byte

// The expiries.
const (
	ExpiryBreaches        Expiry = 'b' // the breaches of an incident
	ExpiryMessages        Expiry = 'm' // the messages about an incident
	ExpiryPeople          Expiry = 'p' // the names and addresses of an incident
	ExpiryWatchdogMessage Expiry = 'M' // the message of a delivery about the watchdog
	ExpiryWatchdogPeople  Expiry = 'P' // to whom a delivery about the watchdog went
)

// An Expired is a thing that is over. PutIncidents notes an incident that it stores as closed:
// of one that was merged into another all but the breaches, and of one that is not, the
// breaches of those merged into it too. PutDelivery notes one about the watchdog that it
// stores with an outcome.
type Expired struct {
	What  Expiry
	Since time.Time
	// Number is that of the incident, or of the delivery about the watchdog in the order of
	// arrival. What, Since and Number tell it from all others.
	Number int64
	// Delivery is the one about the watchdog; empty if it is about an incident.
	Delivery incident.Delivery
	Stage    Stage
}

// A Stage is how far the people of an incident were forgotten.
type Stage struct {
	Event    int64  // the sequence of the last event that was; math.MaxInt64 if all were
	Delivery string // the cursor of the deliveries, the oldest first
	Again    bool   // something was left out
}

// A RetentionReader finds what is over and old.
type RetentionReader interface {
	// Expired returns up to limit things that were over before a time, the longest first. In a
	// write they are locked until the end, and those that another has locked are left out.
	Expired(ctx context.Context, what Expiry, before time.Time, limit int) ([]Expired, error)
	// RememberedLoadings returns the loadings of configurations after those that
	// ForgetLoadings forgot, the earliest first. In a write they are locked until the end.
	RememberedLoadings(ctx context.Context) ([]Loading, error)
}

// A RetentionWriter drops what is over and old; [Prune] and [Forget] say what that is. Leaves,
// and their places in the log, stay as they are.
type RetentionWriter interface {
	// NoteExpired notes that nothing is left to be done about some things, and of others how
	// far they are, or that they come again since a later time.
	NoteExpired(ctx context.Context, done, left []Expired) error
	// DeleteBreaches deletes up to limit breaches of incidents, 0 for those of none, and
	// returns how many: in the order of the numbers, then of arrival. If heardBefore is not
	// zero, of each up to the first that began, was heard to fire or was heard to end then or
	// later. One that another moves or hears of at the same time stays.
	DeleteBreaches(ctx context.Context, numbers []int64, heardBefore time.Time, limit int) (int, error)
	// DeleteMessages deletes the messages of deliveries, and returns how many there were.
	DeleteMessages(ctx context.Context, deliveries []string) (int, error)
	// ForgetEvents drops what stands beside the leaves of up to limit events of an incident,
	// the first with a sequence above after. It returns the sequence of the last one, after if
	// there is none.
	ForgetEvents(ctx context.Context, number, after int64, limit int) (last int64, err error)
	// ForgetDeliveries drops what stands beside the leaves of the records of deliveries that
	// have an outcome, their messages, and what [ForgetDelivery] drops by their latest records.
	// By what they are found, and what the queue knows, stays as it is.
	ForgetDeliveries(ctx context.Context, all []incident.Delivery) error
	// DeleteRecipients deletes what the queue knows of those of the recipients to whom nothing
	// is due, with their attempts and failures. Those whom somebody claimed, until before or
	// later, stay, and are returned. It waits for nobody: one whom another has locked is one
	// whom somebody claimed. So it may come after all other sets.
	DeleteRecipients(ctx context.Context, recipients []string, before time.Time) (claimed map[string]bool, err error)
	// ForgetLoadings drops what stands beside the leaves of the first n that
	// RememberedLoadings returns, and deletes forms of configurations, by their hashes.
	ForgetLoadings(ctx context.Context, n int, forms []string) error
	// DeleteJournal deletes up to limit refusals and answers from before a time, and returns
	// how many.
	DeleteJournal(ctx context.Context, before time.Time, limit int) (int, error)
}
