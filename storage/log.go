package storage

import (
	"context"

	"sitrep/ledger"
)

// A LogReader reads the tamper-evident log.
type LogReader interface {
	// LogSize returns how many leaves the log has. A record of the last second may have no
	// index yet.
	LogSize(ctx context.Context) (int64, error)
	// Leaves returns up to limit leaves of the log, in order, from an index on.
	Leaves(ctx context.Context, from int64, limit int) ([]Leaf, error)
	// ReadHashes returns the stored hashes of the log with those numbers, as
	// ledger.Hashes. The error for one that is not there is ErrDamaged.
	ReadHashes(ctx context.Context, numbers []int64) ([]ledger.Hash, error)
	// Checkpoints returns up to limit signed heads of the log with a size above after,
	// the smallest first. After is -1 for the first.
	Checkpoints(ctx context.Context, after int64, limit int) ([][]byte, error)
	// LastCheckpoint returns the signed head with the largest size; nil if there is none.
	LastCheckpoint(ctx context.Context) ([]byte, error)
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
