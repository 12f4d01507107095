package ledger

import (
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// ErrNotProven is a proof that does not prove what it is for.
var ErrNotProven = errors.New("not proven")

// ProveLeaf returns the proof that the log of size leaves has a leaf at an index:
// about log₂ size hashes.
func ProveLeaf(size, index int64, stored Hashes) ([]Hash, error) {
	if index < 0 || index >= size {
		return nil, fmt.Errorf("prove leaf %d: the log has %d leaves", index, size)
	}
	p, err := tlog.ProveRecord(size, index, stored)
	if err != nil {
		return nil, fmt.Errorf("prove leaf %d of %d: %w", index, size, err)
	}
	return p, nil
}

// CheckLeaf checks the proof that the checkpoint's log has the leaf at an index. The
// error is ErrNotProven.
func CheckLeaf(c Checkpoint, index int64, leaf Leaf, proof []Hash) error {
	if err := tlog.CheckRecord(proof, c.Size, c.Root, index, leaf.Hash()); err != nil {
		return fmt.Errorf("check leaf %d of %d: %w", index, c.Size, ErrNotProven)
	}
	return nil
}

// ProveGrowth returns the proof that the log of newer leaves begins with that of
// older ones: about log₂ newer hashes.
func ProveGrowth(newer, older int64, stored Hashes) ([]Hash, error) {
	if older < 0 || older > newer {
		return nil, fmt.Errorf("prove growth from %d to %d leaves: a log does not shrink", older, newer)
	}
	if older == 0 {
		return nil, nil
	}
	p, err := tlog.ProveTree(newer, older, stored)
	if err != nil {
		return nil, fmt.Errorf("prove growth from %d to %d leaves: %w", older, newer, err)
	}
	return p, nil
}

// CheckGrowth checks the proof that the newer checkpoint's log begins with the
// older's. The error is ErrNotProven.
func CheckGrowth(newer, older Checkpoint, proof []Hash) error {
	if newer.Origin != older.Origin {
		return fmt.Errorf("check growth: %q and %q are two logs: %w", older.Origin, newer.Origin, ErrNotProven)
	}
	if older.Size == 0 && len(proof) == 0 && older.Root == emptyRoot() {
		return nil
	}
	if err := tlog.CheckTree(proof, newer.Size, newer.Root, older.Size, older.Root); err != nil {
		return fmt.Errorf("check growth from %d to %d leaves: %w", older.Size, newer.Size, ErrNotProven)
	}
	return nil
}
