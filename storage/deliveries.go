package storage

import (
	"context"

	"sitrep/incident"
	"sitrep/ledger"
)

// A DeliveryReader reads the attempts to bring messages to recipients.
type DeliveryReader interface {
	// Message returns the bytes of a delivery as they were sent.
	Message(ctx context.Context, id string) ([]byte, error)
	// Deliveries returns a page, the latest first unless it is asked otherwise. Those of an incident are all that
	// cover it, digests too.
	Deliveries(ctx context.Context, q DeliveryQuery) (page []incident.Delivery, next string, err error)
}

// A DeliveryWriter writes the attempts to bring messages to recipients.
type DeliveryWriter interface {
	// PutDelivery stores a delivery, and its message if not nil. With an outcome it
	// appends the record of it, once for each state. Delivered, the recipient's
	// Failures are 0 again and its Sent has SentAt.
	PutDelivery(ctx context.Context, d *incident.Delivery, message []byte) error
}

// A DeliveryQuery selects deliveries; empty fields select all.
type DeliveryQuery struct {
	ID       string
	Incident int64
	State    incident.DeliveryState
	Message  bool // those whose message is kept
	// OldestFirst turns the order round. A cursor of it is kept for days, and goes on.
	OldestFirst bool
	Limit       int // 1 to 1000
	Cursor      string
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
