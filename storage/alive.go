package storage

import (
	"context"
	"fmt"
	"time"

	"sitrep/ledger"
)

// lastLeaves is how many leaves from the end LastAlive looks at: those of one moment are in
// no order.
const lastLeaves = 32

// LastAlive returns when the service was last known to run: what it noted each minute
// or, if that is later, what it recorded since; zero if never. What came from started on
// is no sign of a life before that and does not count, unless started is zero. What several
// processes recorded is dated by clocks of their own: where they share a store, what was noted
// by its clock tells alone, see [ReplicaReader].
func LastAlive(ctx context.Context, r Snapshot, started time.Time) (time.Time, error) {
	alive, err := r.Alive(ctx)
	if err != nil {
		return alive, err
	}
	head, err := r.LogHead(ctx)
	if err != nil {
		return alive, err
	}
	leaves, err := r.Leaves(ctx, max(head.Size-lastLeaves, 0), lastLeaves)
	if err != nil {
		return alive, err
	}
	for _, l := range leaves {
		at, err := timeOf(l)
		if err != nil {
			return alive, fmt.Errorf("%w: %w", err, ErrDamaged)
		}
		if at.After(alive) && (started.IsZero() || at.Before(started)) {
			alive = at
		}
	}
	return alive, nil
}

// timeOf returns when a record was made.
func timeOf(l Leaf) (time.Time, error) {
	switch l.Kind {
	case ledger.Event:
		e, err := DecodeEvent(l.Record)
		return e.Time, err
	case ledger.Delivery:
		d, _, err := DecodeDelivery(l.Record)
		return d.FinishedAt, err
	}
	g, err := DecodeLoading(l.Record)
	return g.At, err
}
