package storage

import (
	"context"

	"sitrep/ledger"
)

// A LogReader reads the tamper-evident log.
type LogReader interface {
	// Records returns the records of one thing, in the order in which they were made.
	Records(ctx context.Context, q RecordQuery) ([]Record, error)
	// RecordsSince returns of each incident the records of its events with a sequence above the one
	// that stands there, the first limit (1 or more) of each; an incident that has none is left out.
	RecordsSince(ctx context.Context, after map[int64]int64, limit int) (map[int64][]Record, error)
	// LogHead returns how far the log reaches. A record of the last second may have no index
	// yet.
	LogHead(ctx context.Context) (LogHead, error)
	// Leaves returns up to limit leaves of the log, in order, from an index on.
	Leaves(ctx context.Context, from int64, limit int) ([]Leaf, error)
	// ReadHashes returns the stored hashes of the log with those numbers, as
	// ledger.Hashes. The error for one that is not there is ErrDamaged.
	ReadHashes(ctx context.Context, numbers []int64) ([]ledger.Hash, error)
	// Checkpoints returns up to limit signed heads of the log with a size above after,
	// the smallest first. After is -1 for the first.
	Checkpoints(ctx context.Context, after int64, limit int) ([][]byte, error)
}

// A LogHead is how far the log reaches, and how far that is signed.
type LogHead struct {
	Size    int64  // how many leaves the log has
	Waiting int64  // how many records have no index yet
	Signed  []byte // the checkpoint with the largest size; nil if there is none
}

// A RecordQuery selects the records of one thing: of the events of an incident, of the outcomes
// of a delivery, or of all loadings of configurations.
type RecordQuery struct {
	Kind     ledger.Kind
	Incident int64  // whose events
	After    int64  // only events with a sequence above
	Delivery string // the id of the one whose outcomes; it has to be there
	Limit    int    // the first so many; 0: all
}

// Hashes returns the stored hashes of the log, for proofs.
func Hashes(ctx context.Context, r LogReader) ledger.Hashes {
	return ledger.HashesFunc(func(numbers []int64) ([]ledger.Hash, error) { return r.ReadHashes(ctx, numbers) })
}

// A LogWriter writes the signed heads of the log. Its leaves come with what they are of.
type LogWriter interface {
	// PutCheckpoint keeps a signed head of the log of that size.
	PutCheckpoint(ctx context.Context, size int64, signed []byte) error
}
