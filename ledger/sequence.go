package ledger

import (
	"errors"
	"fmt"
	"slices"
)

// A Pending is a leaf that is stored and has no index yet. ID is the engine's own
// name for it.
type Pending[ID any] struct {
	ID   ID
	Leaf Leaf
}

// A Placed is a leaf that got its index, with the hashes to store beside it; see
// [Tree.Append].
type Placed[ID any] struct {
	ID     ID
	Index  int64
	Hashes []Hash
}

// A Sequence is a transaction of an engine with many writers that gives leaves their
// indexes. It holds the tree alone: from Size on until its end no other may place.
type Sequence[ID any] interface {
	Hashes
	// Size returns how many leaves have an index.
	Size() (int64, error)
	// Pending returns up to limit leaves that are committed and have no index, the
	// oldest first as far as the engine can tell. None may be passed over for good.
	Pending(limit int) ([]Pending[ID], error)
	// Place gives leaves their indexes, which follow on the size and on each other, and
	// stores the hashes. It fails if one of them has an index already.
	Place(leaves []Placed[ID]) error
}

// Integrate gives up to limit pending leaves the next indexes, and returns how many.
// Call it again while that is limit. What it did counts when the transaction commits.
func Integrate[ID any](s Sequence[ID], limit int) (int, error) {
	if limit < 1 {
		return 0, errors.New("integrate leaves: the limit is below 1")
	}
	size, err := s.Size()
	if err != nil {
		return 0, fmt.Errorf("integrate leaves: %w", err)
	}
	pending, err := s.Pending(limit)
	if err != nil {
		return 0, fmt.Errorf("integrate leaves after %d: %w", size, err)
	}
	if len(pending) == 0 {
		return 0, nil
	}
	t, err := LoadTree(size, s)
	if err != nil {
		return 0, fmt.Errorf("integrate leaves after %d: %w", size, err)
	}
	placed := make([]Placed[ID], len(pending))
	for i, p := range pending {
		if !p.Leaf.Kind.Valid() {
			return 0, fmt.Errorf("integrate leaf %v: kind %d", p.ID, p.Leaf.Kind)
		}
		placed[i] = Placed[ID]{ID: p.ID, Index: t.Size()}
		placed[i].Hashes = slices.Clone(t.Append(p.Leaf))
	}
	if err := s.Place(placed); err != nil {
		return 0, fmt.Errorf("integrate leaves after %d: %w", size, err)
	}
	return len(placed), nil
}
