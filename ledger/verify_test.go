package ledger_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"sitrep/ledger"
)

func TestVerifyLogOfAllSizes(t *testing.T) {
	m := &memory{}
	var heads []ledger.Checkpoint
	for i := range 1100 {
		heads = append(heads, m.checkpoint("log"))
		if i%97 == 0 || i < 20 {
			for _, hashes := range []ledger.Hashes{nil, m} {
				v, err := ledger.VerifyLog(ledger.Log{Size: int64(i), Leaves: all(m.leaves), Hashes: hashes}, heads)
				if err != nil {
					t.Fatalf("%d leaves: %v", i, err)
				}
				if v.Size != int64(i) || v.Signed != int64(i) || v.Root != m.tree.Root() {
					t.Fatalf("%d leaves: %+v", i, v)
				}
			}
		}
		m.append(newLeaf(i))
	}
	v, err := ledger.VerifyLog(ledger.Log{Size: 1100, Leaves: all(m.leaves), Hashes: m}, heads[:800])
	if err != nil || v.Size != 1100 || v.Signed != 799 {
		t.Errorf("a tail that is not signed: %+v, %v", v, err)
	}
}

// A change is one way to tamper with a list of leaves.
type change struct {
	name string
	do   func(r *rand.Rand, leaves []ledger.Leaf) []ledger.Leaf
}

var changes = []change{
	{"a byte changed", func(r *rand.Rand, l []ledger.Leaf) []ledger.Leaf {
		i := r.IntN(len(l))
		l[i].Bytes = slices.Clone(l[i].Bytes)
		l[i].Bytes[r.IntN(len(l[i].Bytes))] ^= byte(1 + r.IntN(255))
		return l
	}},
	{"a byte added", func(r *rand.Rand, l []ledger.Leaf) []ledger.Leaf {
		i := r.IntN(len(l))
		l[i].Bytes = slices.Insert(slices.Clone(l[i].Bytes), r.IntN(len(l[i].Bytes)+1), byte(r.IntN(256)))
		return l
	}},
	{"another kind", func(r *rand.Rand, l []ledger.Leaf) []ledger.Leaf {
		i := r.IntN(len(l))
		l[i].Kind = 1 + (l[i].Kind+ledger.Kind(r.IntN(2)))%3
		return l
	}},
	{"a leaf removed", func(r *rand.Rand, l []ledger.Leaf) []ledger.Leaf {
		i := r.IntN(len(l))
		return slices.Delete(l, i, i+1)
	}},
	{"a leaf doubled", func(r *rand.Rand, l []ledger.Leaf) []ledger.Leaf {
		return slices.Insert(l, r.IntN(len(l)), l[r.IntN(len(l))])
	}},
	{"a leaf moved", func(r *rand.Rand, l []ledger.Leaf) []ledger.Leaf {
		from, to := r.IntN(len(l)), r.IntN(len(l)-1)
		if to >= from {
			to++
		}
		leaf := l[from]
		return slices.Insert(slices.Delete(l, from, from+1), to, leaf)
	}},
	{"a leaf replaced by another", func(r *rand.Rand, l []ledger.Leaf) []ledger.Leaf {
		i := r.IntN(len(l))
		l[i] = l[(i+1+r.IntN(len(l)-1))%len(l)]
		return l
	}},
	{"cut off", func(r *rand.Rand, l []ledger.Leaf) []ledger.Leaf { return l[:r.IntN(len(l))] }},
}

// Whoever tampers may leave the stored hashes as they were, or make them fit; may or may not
// change the size that the store says; and the checkpoints may cover all or a part.
func TestVerifyLogFindsEveryChange(t *testing.T) {
	r := random()
	for _, c := range changes {
		t.Run(c.name, func(t *testing.T) {
			for range 500 {
				m := newMemory(2 + r.IntN(70))
				middle := newMemory(1 + r.IntN(len(m.leaves))).checkpoint("log")
				checkpoints := []ledger.Checkpoint{m.checkpoint("log"), middle}
				bad := c.do(r, slices.Clone(m.leaves))
				first := 0 // the first leaf that differs
				for first < len(bad) && first < len(m.leaves) && bad[first].Hash() == m.leaves[first].Hash() {
					first++
				}
				if first == len(bad) && len(bad) == len(m.leaves) {
					continue // a copy in the place of itself
				}
				if first == len(m.leaves) {
					continue // a copy after all that is signed
				}
				log := ledger.Log{Size: int64(len(m.leaves)), Leaves: all(bad)}
				if r.IntN(2) == 0 {
					log.Size = int64(len(bad))
				}
				fits := r.IntN(3)
				switch fits {
				case 1:
					log.Hashes = m
				case 2:
					forged := &memory{}
					forged.append(bad...)
					if log.Size = int64(len(bad)); len(bad) > 0 {
						log.Hashes = forged
					}
				}
				_, err := ledger.VerifyLog(log, checkpoints)
				if fits == 1 && log.Size > int64(len(m.leaves)) && err != nil {
					continue // the hashes end too early for the size
				}
				var mismatch *ledger.Mismatch
				if !errors.As(err, &mismatch) {
					t.Fatalf("%d leaves became %d, first at %d: %v", len(m.leaves), len(bad), first, err)
				}
				if mismatch.Index > int64(first) && log.Size <= int64(len(bad)) {
					t.Fatalf("leaf %d is the first that differs, and it says: %v", first, err)
				}
				if fits == 1 && mismatch.Index != int64(first) && !strings.Contains(err.Error(), "cut off") {
					t.Fatalf("with the hashes as they were it finds leaf %d: %v", first, err)
				}
			}
		})
	}
}

func TestVerifyLogFindsChangedHashes(t *testing.T) {
	r := random()
	for range 1000 {
		m := newMemory(1 + r.IntN(100))
		m.hashes[r.IntN(len(m.hashes))][r.IntN(32)] ^= 1 << r.IntN(8)
		_, err := ledger.VerifyLog(ledger.Log{Size: int64(len(m.leaves)), Leaves: all(m.leaves), Hashes: m}, nil)
		var mismatch *ledger.Mismatch
		if !errors.As(err, &mismatch) {
			t.Fatalf("%d leaves: %v", len(m.leaves), err)
		}
	}
}

func TestVerifyLogOfAnother(t *testing.T) {
	m := newMemory(50)
	log := ledger.Log{Size: 50, Leaves: all(m.leaves), Hashes: m}
	rolledBack := newMemory(60).checkpoint("log")
	fork := newMemory(30)
	fork.append(newLeaf(31))
	fork.append(m.leaves[31:]...)
	for _, c := range []struct {
		name string
		c    ledger.Checkpoint
		want string
	}{
		{"a checkpoint ahead of the log", rolledBack, "it was cut off, or is an older copy"},
		{"a checkpoint of a fork", fork.checkpoint("log"), "leaves 20 to 49 are not those"},
	} {
		_, err := ledger.VerifyLog(log, []ledger.Checkpoint{m.checkpoint("log"), c.c, newMemory(20).checkpoint("log")})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	broken := errors.New("disk")
	log.Leaves = func(yield func(ledger.Leaf, error) bool) {
		if yield(m.leaves[0], nil) {
			yield(ledger.Leaf{}, broken)
		}
	}
	if _, err := ledger.VerifyLog(log, nil); !errors.Is(err, broken) || !strings.Contains(err.Error(), "leaf 1") {
		t.Errorf("an error of the store: %v", err)
	}
	log.Leaves = all(m.leaves)
	log.Hashes = tlog.HashReaderFunc(func(numbers []int64) ([]ledger.Hash, error) {
		if slices.Max(numbers) > tlog.StoredHashIndex(0, 40) {
			return nil, broken
		}
		return m.ReadHashes(numbers)
	})
	if _, err := ledger.VerifyLog(log, nil); !errors.Is(err, broken) || !strings.Contains(err.Error(), "leaf 41") {
		t.Errorf("a hash that cannot be read: %v", err)
	}
	log.Leaves = all([]ledger.Leaf{{Kind: 9}})
	if _, err := ledger.VerifyLog(log, nil); err == nil {
		t.Error("a leaf of no kind is fine")
	}
}
