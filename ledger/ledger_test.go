package ledger_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"sitrep/ledger"
)

// A memory is a log in memory.
type memory struct {
	leaves []ledger.Leaf
	hashes []ledger.Hash
	tree   ledger.Tree
}

func (m *memory) append(leaves ...ledger.Leaf) {
	for _, l := range leaves {
		m.leaves = append(m.leaves, l)
		m.hashes = append(m.hashes, m.tree.Append(l)...)
	}
}

func (m *memory) ReadHashes(numbers []int64) ([]ledger.Hash, error) {
	var out []ledger.Hash
	for _, n := range numbers {
		if n < 0 || n >= int64(len(m.hashes)) {
			return nil, fmt.Errorf("no hash %d", n)
		}
		out = append(out, m.hashes[n])
	}
	return out, nil
}

func (m *memory) checkpoint(origin string) ledger.Checkpoint {
	return ledger.Checkpoint{Origin: origin, Size: m.tree.Size(), Root: m.tree.Root(), At: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
}

// newMemory returns a log of n leaves that all differ.
func newMemory(n int) *memory {
	m := &memory{}
	for i := range n {
		m.append(newLeaf(i))
	}
	return m
}

func newLeaf(i int) ledger.Leaf {
	return ledger.Leaf{Kind: ledger.Kind(1 + i%3), Bytes: fmt.Appendf(nil, `{"v":1,"incident":"INC-%d","sequence":%d}`, 1+i/7, i)}
}

func all(leaves []ledger.Leaf) iter.Seq2[ledger.Leaf, error] {
	return func(yield func(ledger.Leaf, error) bool) {
		for _, l := range leaves {
			if !yield(l, nil) {
				return
			}
		}
	}
}

// random is the same in each run, so that what fails once fails again.
func random() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }

func TestLeafHash(t *testing.T) {
	leaf := ledger.Leaf{Kind: ledger.Event, Bytes: []byte(`{"v":1}`)}
	if want := ledger.Hash(sha256.Sum256([]byte("\x00event\n{\"v\":1}"))); leaf.Hash() != want {
		t.Errorf("hash %v, want %v", leaf.Hash(), want)
	}
	seen := map[ledger.Hash]string{}
	for _, kind := range []ledger.Kind{ledger.Event, ledger.Config, ledger.Delivery} {
		for _, body := range []string{"", "x", "event\n", "event\nx"} {
			h := ledger.Leaf{Kind: kind, Bytes: []byte(body)}.Hash()
			if other := seen[h]; other != "" {
				t.Errorf("%s %q hashes as %s", kind, body, other)
			}
			seen[h] = fmt.Sprintf("%s %q", kind, body)
		}
		if got, ok := ledger.ParseKind(kind.String()); !ok || got != kind {
			t.Errorf("kind %s reads as %v", kind, got)
		}
	}
	if _, ok := ledger.ParseKind("unknown"); ok {
		t.Error("unknown is a kind")
	}
}

func TestTreeEqualsTlog(t *testing.T) {
	var tree ledger.Tree
	var hashes []ledger.Hash
	reader := tlog.HashReaderFunc(func(numbers []int64) ([]ledger.Hash, error) {
		var out []ledger.Hash
		for _, n := range numbers {
			out = append(out, hashes[n])
		}
		return out, nil
	})
	for i := range int64(600) {
		root, err := tlog.TreeHash(i, reader)
		if err != nil {
			t.Fatal(err)
		}
		if tree.Root() != root || tree.Size() != i {
			t.Fatalf("%d leaves: root %v of %d, want %v", i, tree.Root(), tree.Size(), root)
		}
		loaded, err := ledger.LoadTree(i, reader)
		if err != nil {
			t.Fatal(err)
		}
		if loaded.Root() != root {
			t.Fatalf("%d leaves: loaded root %v, want %v", i, loaded.Root(), root)
		}
		leaf := newLeaf(int(i))
		want, err := tlog.StoredHashesForRecordHash(i, leaf.Hash(), reader)
		if err != nil {
			t.Fatal(err)
		}
		if got := loaded.Append(leaf); !slices.Equal(got, want) {
			t.Fatalf("%d leaves: loaded tree stores %v, want %v", i, got, want)
		}
		got := tree.Append(leaf)
		if !slices.Equal(got, want) {
			t.Fatalf("%d leaves: stores %v, want %v", i, got, want)
		}
		if first := tlog.StoredHashIndex(0, i); first != int64(len(hashes)) {
			t.Fatalf("%d leaves: the first hash is %d, want %d", i, len(hashes), first)
		}
		for place := range got {
			if leaf, at := ledger.StoredAt(int64(len(hashes) + place)); leaf != i || at != place {
				t.Fatalf("hash %d is at %d of leaf %d, want %d of %d", len(hashes)+place, at, leaf, place, i)
			}
		}
		hashes = append(hashes, got...)
	}
}

func TestLoadTreeFails(t *testing.T) {
	m := newMemory(5)
	for name, load := range map[string]func() (*ledger.Tree, error){
		"negative size": func() (*ledger.Tree, error) { return ledger.LoadTree(-1, m) },
		"too large":     func() (*ledger.Tree, error) { return ledger.LoadTree(9, m) },
		"too few hashes": func() (*ledger.Tree, error) {
			return ledger.LoadTree(5, tlog.HashReaderFunc(func([]int64) ([]ledger.Hash, error) { return nil, nil }))
		},
	} {
		if _, err := load(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestProofsOfLeavesAndGrowth(t *testing.T) {
	r := random()
	m := &memory{}
	var heads []ledger.Checkpoint
	for i := range 90 {
		heads = append(heads, m.checkpoint("log"))
		m.append(newLeaf(i))
	}
	for size := 1; size < len(heads); size++ {
		head := heads[size]
		for index := range size {
			proof, err := ledger.ProveLeaf(int64(size), int64(index), m)
			if err != nil {
				t.Fatal(err)
			}
			if err := ledger.CheckLeaf(head, int64(index), m.leaves[index], proof); err != nil {
				t.Fatalf("leaf %d of %d: %v", index, size, err)
			}
			other := (index + 1 + r.IntN(len(m.leaves)-1)) % len(m.leaves)
			if err := ledger.CheckLeaf(head, int64(index), m.leaves[other], proof); !errors.Is(err, ledger.ErrNotProven) {
				t.Fatalf("leaf %d as %d of %d: %v", other, index, size, err)
			}
			if size > 1 {
				proof[r.IntN(len(proof))][r.IntN(32)] ^= 1 << r.IntN(8)
				if err := ledger.CheckLeaf(head, int64(index), m.leaves[index], proof); !errors.Is(err, ledger.ErrNotProven) {
					t.Fatalf("leaf %d of %d with a wrong proof: %v", index, size, err)
				}
			}
		}
		for older := range size + 1 {
			proof, err := ledger.ProveGrowth(int64(size), int64(older), m)
			if err != nil {
				t.Fatal(err)
			}
			if err := ledger.CheckGrowth(head, heads[older], proof); err != nil {
				t.Fatalf("from %d to %d: %v", older, size, err)
			}
			forged := heads[older]
			forged.Root[r.IntN(32)] ^= 1
			if err := ledger.CheckGrowth(head, forged, proof); !errors.Is(err, ledger.ErrNotProven) {
				t.Fatalf("from a forged %d to %d: %v", older, size, err)
			}
		}
	}
	if _, err := ledger.ProveGrowth(3, 4, m); err == nil {
		t.Error("a log shrinks")
	}
	if err := ledger.CheckGrowth(heads[3], heads[4], nil); !errors.Is(err, ledger.ErrNotProven) {
		t.Errorf("a log shrinks: %v", err)
	}
	other := heads[3]
	other.Origin = "other"
	if err := ledger.CheckGrowth(heads[3], other, nil); !errors.Is(err, ledger.ErrNotProven) {
		t.Errorf("another log: %v", err)
	}
	if _, err := ledger.ProveLeaf(3, 3, m); err == nil {
		t.Error("a leaf beyond the end is proven")
	}
}

// Appending a hundred leaves is what a busy commit does.
func BenchmarkAppend(b *testing.B) {
	batch := make([]ledger.Leaf, 100)
	for i := range batch {
		batch[i] = ledger.Leaf{Kind: ledger.Event, Bytes: make([]byte, 300)}
	}
	var tree ledger.Tree
	b.ReportAllocs()
	for b.Loop() {
		for _, l := range batch {
			tree.Append(l)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(batch)), "ns/leaf")
}
