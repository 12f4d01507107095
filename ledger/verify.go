package ledger

import (
	"fmt"
	"iter"
	"slices"

	"golang.org/x/mod/sumdb/tlog"
)

// A Log is a whole log as it is stored.
type Log struct {
	// Size is how many leaves the store says that there are.
	Size int64
	// Leaves are all of them, from the first on. It ends at an error.
	Leaves iter.Seq2[Leaf, error]
	// Hashes are what is stored beside them. With them, what is wrong is found at its
	// place; without, at the next checkpoint. May be nil.
	Hashes Hashes
}

// Verified says of what a log was found to be whole.
type Verified struct {
	Size int64
	Root Hash
	// Signed is how many of the leaves the latest checkpoint covers. The others are
	// only as good as the store.
	Signed int64
}

// A Mismatch is the first thing in a log that is not as it was.
type Mismatch struct {
	// Index is where: of the leaf, or of the first leaf of those of which one is wrong.
	Index int64
	// Kind is that of the leaf; 0 if it is not one leaf.
	Kind Kind
	What string
}

func (m *Mismatch) Error() string {
	if m.Kind.Valid() {
		return fmt.Sprintf("leaf %d (%s): %s", m.Index, m.Kind, m.What)
	}
	return fmt.Sprintf("from leaf %d on: %s", m.Index, m.What)
}

// VerifyLog checks that the log holds what the checkpoints signed: all of it,
// unchanged and in order. Signatures are for OpenCheckpoint to verify before. The
// order of the checkpoints does not matter, and they may come from elsewhere: one that
// is ahead of the log shows that it was cut off or rolled back. The error is a
// *Mismatch that names the first thing wrong, or an error of Leaves or Hashes.
func VerifyLog(log Log, checkpoints []Checkpoint) (Verified, error) {
	checkpoints = slices.Clone(checkpoints)
	slices.SortStableFunc(checkpoints, func(a, b Checkpoint) int { return int(max(min(a.Size-b.Size, 1), -1)) })
	v := logVerifier{size: log.Size, stored: log.Hashes, checkpoints: checkpoints}
	if err := v.checkpoint(); err != nil {
		return v.verified(), err
	}
	for leaf, err := range log.Leaves {
		if err != nil {
			return v.verified(), fmt.Errorf("read leaf %d: %w", v.tree.Size(), err)
		}
		if err := v.leaf(leaf); err != nil {
			return v.verified(), err
		}
	}
	size := v.tree.Size()
	if size < log.Size {
		return v.verified(), &Mismatch{Index: size, What: fmt.Sprintf("missing; the log is said to have %d leaves", log.Size)}
	}
	if len(v.checkpoints) > 0 {
		c := v.checkpoints[0]
		return v.verified(), &Mismatch{Index: v.signed, What: fmt.Sprintf("the log ends after %d leaves, and the %s signed %d: it was cut off, or is an older copy", size, c.name(), c.Size)}
	}
	return v.verified(), nil
}

type logVerifier struct {
	tree        Tree
	size        int64
	stored      Hashes
	ahead       []Hash // stored hashes that were read and not yet compared
	checkpoints []Checkpoint
	signed      int64
}

func (v *logVerifier) verified() Verified {
	return Verified{Size: v.tree.Size(), Root: v.tree.Root(), Signed: v.signed}
}

// readAhead is of how many leaves the stored hashes are read at a time.
const readAhead = 512

func (v *logVerifier) leaf(leaf Leaf) error {
	index := v.tree.Size()
	if index >= v.size {
		return &Mismatch{index, leaf.Kind, fmt.Sprintf("the log is said to have %d leaves, and there is more", v.size)}
	}
	if !leaf.Kind.Valid() {
		return &Mismatch{Index: index, What: fmt.Sprintf("a leaf of kind %d", leaf.Kind)}
	}
	hashes := v.tree.Append(leaf)
	if v.stored != nil {
		if len(v.ahead) == 0 {
			if err := v.read(index); err != nil {
				return err
			}
		}
		for level, h := range hashes {
			if v.ahead[level] == h {
				continue
			}
			if level == 0 {
				return &Mismatch{index, leaf.Kind, "it is not what was logged at this place"}
			}
			first := index + 1 - 1<<level
			return &Mismatch{Index: first, What: fmt.Sprintf("the stored hash over leaves %d to %d is not theirs", first, index)}
		}
		v.ahead = v.ahead[len(hashes):]
	}
	return v.checkpoint()
}

// read reads the stored hashes of the leaves from index on; of that alone if those of
// a later one cannot be read.
func (v *logVerifier) read(index int64) error {
	var err error
	for _, end := range []int64{min(index+readAhead, v.size), index + 1} {
		numbers := make([]int64, 0, 2*readAhead)
		for n := tlog.StoredHashCount(index); n < tlog.StoredHashCount(end); n++ {
			numbers = append(numbers, n)
		}
		v.ahead, err = v.stored.ReadHashes(numbers)
		if err == nil && len(v.ahead) != len(numbers) {
			err = fmt.Errorf("%d of %d", len(v.ahead), len(numbers))
		}
		if err == nil {
			return nil
		}
	}
	return fmt.Errorf("read stored hashes of leaf %d: %w", index, err)
}

// checkpoint compares the root with the checkpoints of the size that is reached.
func (v *logVerifier) checkpoint() error {
	size := v.tree.Size()
	for len(v.checkpoints) > 0 && v.checkpoints[0].Size == size {
		c := v.checkpoints[0]
		if c.Root != v.tree.Root() {
			return &Mismatch{Index: v.signed, What: fmt.Sprintf("leaves %d to %d are not those that the %s signed", v.signed, size-1, c.name())}
		}
		v.checkpoints = v.checkpoints[1:]
		if len(v.checkpoints) == 0 || v.checkpoints[0].Size != size {
			v.signed = size
		}
	}
	return nil
}

// name is what the checkpoint is called in words.
func (c *Checkpoint) name() string {
	if c.At.IsZero() {
		return fmt.Sprintf("checkpoint of %q", c.Origin)
	}
	return fmt.Sprintf("checkpoint of %q of %s", c.Origin, c.At.Format("2006-01-02 15:04:05 UTC"))
}
