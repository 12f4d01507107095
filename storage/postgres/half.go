package postgres

import (
	"context"
	"time"

	"sitrep/storage"
)

// What of the contract is not there yet.
type (
	rest       struct{ storage.Snapshot }
	restWrites struct{ restOfTx }
	restOfTx   struct{ restInTx }
	restInTx   struct{ storage.Tx }
)

func (r *reader) arrival(context.Context, string) (int64, error) { return 0, nil }

func (t *tx) expire(time.Time, int64, ...storage.Expiry) {}

func (t *tx) lockPulses([]string) {}
