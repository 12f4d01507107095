package storage

import (
	"context"
	"time"

	"sitrep/incident"
	"sitrep/ledger"
)

// A DeliveryReader reads the attempts to bring messages to recipients.
type DeliveryReader interface {
	// Message returns the bytes of a delivery as they were sent.
	Message(ctx context.Context, id string) ([]byte, error)
	// Deliveries returns a page, the latest first unless it is asked otherwise. Those of an incident are all that
	// cover it, digests too. What is looked at for a page is bounded: it may have less than it has room for, or
	// nothing, and name a next all the same.
	Deliveries(ctx context.Context, q DeliveryQuery) (page []incident.Delivery, next string, err error)
}

// A DeliveryWriter writes the attempts to bring messages to recipients.
type DeliveryWriter interface {
	// PutDelivery stores a delivery, and its message if not nil. With an outcome it
	// appends the record of it, once for each state. Delivered, the recipient's
	// Failures are 0 again and its Sent has SentAt.
	PutDelivery(ctx context.Context, d *incident.Delivery, message []byte) error
}

// DeliveriesLooked is how many deliveries an engine looks at for one page at most, but for those
// that are on it.
const DeliveriesLooked = 1000

// BriefCovers is how many covers a delivery has at most that was asked for in brief. One that has
// as many may cover more.
const BriefCovers = 10

// A DeliveryQuery selects deliveries; empty fields select all. The order is that of arrival; with
// an address, a group or a time, and without an incident, that of DueAt.
type DeliveryQuery struct {
	ID       string
	Incident int64
	State    incident.DeliveryState
	Address  string // as it is shown, of a webhook scheme and host
	Group    string
	Kind     incident.Kind
	Channel  incident.Channel
	// From and To bound DueAt: not before From, and before To.
	From, To time.Time
	Message  bool // those whose message is kept
	// Brief leaves out covers, as of digests they may be large: with an incident there is that of
	// the incident alone, else there are the first BriefCovers.
	Brief bool
	// OldestFirst turns the order round. A cursor of it is kept for days, and goes on.
	OldestFirst bool
	Limit       int // 1 to 1000
	Cursor      string
}

// ByDue reports whether deliveries come in the order of DueAt.
func (q *DeliveryQuery) ByDue() bool {
	return q.ID == "" && q.Incident == 0 && (q.Address != "" || q.Group != "" || !q.From.IsZero() || !q.To.IsZero())
}

// Fits reports whether a delivery is one of those asked for, but for its incident and its message.
func (q *DeliveryQuery) Fits(d *incident.Delivery) bool {
	return (q.State == "" || d.State == q.State) && (q.Address == "" || d.Address == q.Address) &&
		(q.Group == "" || d.Group == q.Group) && (q.Kind == "" || d.Kind == q.Kind) && (q.Channel == "" || d.Channel == q.Channel) &&
		(q.From.IsZero() || !d.DueAt.Before(q.From)) && (q.To.IsZero() || d.DueAt.Before(q.To))
}

// DeliveryOf returns the delivery of an id.
func DeliveryOf(ctx context.Context, r DeliveryReader, id string) (d incident.Delivery, err error) {
	page, _, err := r.Deliveries(ctx, DeliveryQuery{ID: id, Limit: 1})
	if err != nil {
		return d, err
	}
	if id == "" || len(page) == 0 {
		return d, NotFound("delivery", id)
	}
	return page[0], nil
}

// DeliveryRecords returns the records of a delivery's outcomes, the first first: none while it
// is pending, seldom more than one.
func DeliveryRecords(ctx context.Context, r LogReader, id string) ([]Record, error) {
	return r.Records(ctx, RecordQuery{Kind: ledger.Delivery, Delivery: id})
}
