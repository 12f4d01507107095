package ledger

import (
	"fmt"
	"slices"

	"golang.org/x/mod/sumdb/tlog"
)

// A Tree is the right edge of the log: enough to append to it, and to know its root.
// The zero value is the empty tree. It is for one goroutine at a time.
type Tree struct {
	size int64
	// edge are the roots of the complete subtrees that the tree consists of, from left
	// to right: one for each bit of size.
	edge []Hash

	buffer []byte
	hashes []Hash
}

// LoadTree returns the tree of the first size leaves whose hashes are stored. It
// reads at most 63 of them.
func LoadTree(size int64, stored Hashes) (*Tree, error) {
	if size < 0 {
		return nil, fmt.Errorf("load tree: size %d", size)
	}
	t := &Tree{size: size}
	if size == 0 {
		return t, nil
	}
	var indexes []int64
	start := int64(0)
	for level := 62; level >= 0; level-- {
		if size>>level&1 == 1 {
			indexes = append(indexes, tlog.StoredHashIndex(level, start>>level))
			start += 1 << level
		}
	}
	edge, err := stored.ReadHashes(indexes)
	if err != nil {
		return nil, fmt.Errorf("load tree of %d leaves: %w", size, err)
	}
	if len(edge) != len(indexes) {
		return nil, fmt.Errorf("load tree of %d leaves: %d of %d hashes", size, len(edge), len(indexes))
	}
	t.edge = slices.Clone(edge)
	return t, nil
}

// Size returns how many leaves the tree has. It is the index of the next one.
func (t *Tree) Size() int64 { return t.size }

// Append adds a leaf. It returns the hashes to store with it, which in tlog's order
// have the numbers from tlog.StoredHashIndex(0, index) on: that of the leaf, and
// those of the subtrees of 2, 4, 8, … leaves that it completes. They are valid until
// the next call.
func (t *Tree) Append(leaf Leaf) []Hash {
	var h Hash
	h, t.buffer = leaf.hash(t.buffer)
	return t.AppendHash(h)
}

// AppendHash is Append of a leaf of which only the hash is at hand.
func (t *Tree) AppendHash(h Hash) []Hash {
	t.hashes = append(t.hashes[:0], h)
	for size := t.size; size&1 == 1; size >>= 1 {
		h = tlog.NodeHash(t.edge[len(t.edge)-1], h)
		t.edge = t.edge[:len(t.edge)-1]
		t.hashes = append(t.hashes, h)
	}
	t.edge = append(t.edge, h)
	t.size++
	return t.hashes
}

// appendSubtree adds the complete subtree of 1<<level leaves with that root. The
// size must be a multiple of that.
func (t *Tree) appendSubtree(level int, h Hash) {
	for size := t.size >> level; size&1 == 1; size >>= 1 {
		h = tlog.NodeHash(t.edge[len(t.edge)-1], h)
		t.edge = t.edge[:len(t.edge)-1]
	}
	t.edge = append(t.edge, h)
	t.size += 1 << level
}

// Root returns the hash of the whole tree; of the empty one that of no bytes.
func (t *Tree) Root() Hash {
	if t.size == 0 {
		return emptyRoot()
	}
	root := t.edge[len(t.edge)-1]
	for i := len(t.edge) - 2; i >= 0; i-- {
		root = tlog.NodeHash(t.edge[i], root)
	}
	return root
}

// RootAt returns the root that the tree had when it had size leaves.
func RootAt(size int64, stored Hashes) (Hash, error) {
	t, err := LoadTree(size, stored)
	if err != nil {
		return Hash{}, err
	}
	return t.Root(), nil
}

func emptyRoot() Hash {
	h, _ := tlog.TreeHash(0, nil) // reads nothing
	return h
}

// StoredAt returns with which leaf a stored hash is kept, and at which place among
// those of that leaf.
func StoredAt(number int64) (leaf int64, place int) {
	level, n := tlog.SplitStoredHashIndex(number)
	return (n+1)<<level - 1, level
}
