package incident

import (
	"slices"
	"strconv"
	"time"
)

// A Kind is what a message is for.
type Kind string

// The kinds of messages. Of several owed at once, the message has the kind that
// stands first here.
const (
	KindLeft     Kind = "left"     // the reader is told no more, as the priority was lowered or the incident merged
	KindResolved Kind = "resolved" // it is over
	KindOpened   Kind = "opened"   // the reader hears of the incident for the first time
	KindReopened Kind = "reopened" // it is back
	KindPriority Kind = "priority" // its priority was raised or lowered
	KindUpdate   Kind = "update"   // a scheduled update, or one that a person wrote
	KindReminder Kind = "reminder" // to on_call alone: something is left to do
	KindWatchdog Kind = "watchdog" // a pulse of the watchdog went away or is back; about no incident
	KindCanary   Kind = "canary"   // a run of the canary arrived, failed, or arrives again; about no incident
	KindDigest   Kind = "digest"   // about several incidents, beyond digest_above in a minute
)

// kindOrder is the order in which the kinds go first.
var kindOrder = []Kind{KindLeft, KindResolved, KindOpened, KindReopened, KindPriority, KindUpdate, KindReminder, KindWatchdog, KindCanary}

// OfPulse reports whether messages of the kind are about a pulse of the watchdog or the canary,
// and so about no incident.
func (k Kind) OfPulse() bool { return k == KindWatchdog || k == KindCanary }

// Kinds returns all kinds.
func Kinds() []Kind { return append(slices.Clone(kindOrder), KindDigest) }

// A DeliveryState says how far a message got.
type DeliveryState string

// The states of a delivery.
const (
	DeliveryPending    DeliveryState = "pending"    // being sent, of unknown outcome, or to be tried again
	DeliveryDelivered  DeliveryState = "delivered"  // handed over
	DeliveryFailed     DeliveryState = "failed"     // refused for good
	DeliverySuperseded DeliveryState = "superseded" // surely not handed over; a later message carries the news
)

// A Delivery is one message to one recipient, and what became of it.
type Delivery struct {
	// ID is unique, and the same for each attempt: the left side of the Message-ID, and
	// the webhook-id.
	ID       string   `json:"id"`
	Incident int64    `json:"incident"` // of a digest, that of the highest priority; 0 of a watchdog's
	Kind     Kind     `json:"kind"`
	Sequence int64    `json:"sequence"` // of the incident, when the message was made
	Priority string   `json:"priority,omitempty"`
	Audience Audience `json:"audience"`
	Group    string   `json:"group"` // of on_call's, the team
	Channel  Channel  `json:"channel"`
	// Recipient is its ID; Address is for people: of a webhook, only scheme and host.
	Recipient string `json:"recipient"`
	Address   string `json:"address"`
	Drill     bool   `json:"drill,omitempty"`
	// DueAt is when it was owed, after any quiet time.
	DueAt time.Time `json:"due_at"`
	// Promised is by when the previous message, or sitrep's promise for openings, said
	// that it comes: on time means sent by then.
	Promised  time.Time     `json:"promised,omitzero"`
	Deferred  bool          `json:"held,omitempty"` // by a quiet time
	CreatedAt time.Time     `json:"created_at"`
	SentAt    time.Time     `json:"sent_at,omitzero"` // when it was handed over
	Attempts  int           `json:"attempts"`
	State     DeliveryState `json:"state"`
	// Error is why the last attempt failed; Why is why it was superseded.
	Error string `json:"error,omitempty"`
	Why   Why    `json:"why,omitempty"`
	// Cause is why it was handed over after Promised, or why a scheduled update before it
	// was missed; zero if neither was.
	Cause Cause `json:"cause,omitzero"`
	// FinishedAt is when its outcome was recorded; zero while it is pending.
	FinishedAt time.Time `json:"settled_at,omitzero"`
	// Replan is set while it is pending and was surely not handed over: the next
	// attempt is made of the news as they are then.
	Replan bool `json:"replan,omitempty"`
	// RetryAt is when it is tried again, of one that is pending and was refused for now at
	// RefusedAt; both zero if it does not wait. What it covers waits with it, and nothing
	// else does.
	RetryAt   time.Time `json:"retry_at,omitzero"`
	RefusedAt time.Time `json:"refused_at,omitzero"`
	// Doubtful is set if that refusal may be final, or the fault of a server that refuses
	// all alike.
	Doubtful bool `json:"doubtful,omitempty"`
	// Covers is what it tells, one entry for each incident; of a watchdog's, one for its
	// pulse.
	Covers []Cover `json:"covers"`
}

// OfPulse reports whether it is about a pulse of the watchdog or the canary, and so about no
// incident.
func (d *Delivery) OfPulse() bool { return d.Kind.OfPulse() }

// Incidents returns the numbers of those that it is about, each once.
func (d *Delivery) Incidents() []int64 {
	if d.ID == "" || d.OfPulse() {
		return nil
	}
	numbers := append(make([]int64, 0, 1+len(d.Covers)), d.Incident)
	for _, c := range d.Covers {
		numbers = append(numbers, c.Incident)
	}
	slices.Sort(numbers)
	return slices.Compact(numbers)
}

// Pulse returns the name of the pulse that a delivery about the watchdog is about.
func (d *Delivery) Pulse() string {
	if len(d.Covers) == 0 {
		return ""
	}
	return d.Covers[0].Pulse
}

// A Cover is what a delivery tells its recipient about one incident, or about one
// pulse of the watchdog.
type Cover struct {
	Incident int64  `json:"incident"`        // 0 of a watchdog's
	Pulse    string `json:"pulse,omitempty"` // its name, of a watchdog's
	Kind     Kind   `json:"kind"`
	Sequence int64  `json:"sequence"`
	Priority string `json:"priority,omitempty"`
	// Reader is the subscription's, so that the messages to one reader are known as such
	// when their address was forgotten; 0 of a watchdog's.
	Reader int `json:"reader,omitempty"`
	// Audience is the first of those by which the recipient reads.
	Audience Audience `json:"audience,omitempty"`
	// First is set if the recipient was not told of the incident before, or not since
	// leaving.
	First bool `json:"first,omitempty"`
	// Owed are what of the subscription is told by it.
	Owed  []Owed    `json:"owed,omitempty"`
	DueAt time.Time `json:"due_at"`
	// State is that of the incident, as the message tells it.
	State State `json:"state"`
	// NextDueAt and NextBy are when the next message is due, and the promise made for
	// it in this one; both zero if none is.
	NextDueAt time.Time `json:"next_due_at,omitzero"`
	NextBy    time.Time `json:"next_by,omitzero"`
	// NextHeld is set if NextDueAt is the end of a quiet time that moved it.
	NextDeferred bool `json:"next_held,omitempty"`
	// Promised is the promise that this message had to keep.
	Promised time.Time `json:"promised,omitzero"`
	Deferred bool      `json:"held,omitempty"`
	// Canary is what it tells of the canary.
	Canary *CanaryNews `json:"canary,omitempty"`
}

// OfPulse reports whether it is about a pulse of the watchdog or the canary, and so about no
// incident.
func (c *Cover) OfPulse() bool { return c.Kind.OfPulse() }

// Again reports whether it tells what a message told that was refused for good.
func (c *Cover) Again() bool {
	return slices.ContainsFunc(c.Owed, func(o Owed) bool { return o.Kind == KindOpened && o.Refused > 0 })
}

// ReaderName returns how the reader is shown whose address that is: by it or, once it
// was forgotten, by the number.
func (c *Cover) ReaderName(address string) string {
	if address != Forgotten || c.Reader == 0 {
		return address
	}
	return forgottenReader(c.Reader)
}

func forgottenReader(number int) string { return Forgotten + " " + strconv.Itoa(number) }
