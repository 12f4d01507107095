package ledger_test

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"

	"sitrep/ledger"
)

func exported(m *memory, indexes []int) iter.Seq2[ledger.Exported, error] {
	return func(yield func(ledger.Exported, error) bool) {
		for _, i := range indexes {
			if !yield(ledger.Exported{Index: int64(i), Kind: m.leaves[i].Kind, Name: fmt.Sprint("leaf-", i)}, nil) {
				return
			}
		}
	}
}

func writeProofs(t testing.TB, m *memory, indexes []int) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := ledger.WriteProofs(&b, m.tree.Size(), exported(m, indexes), m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestProofsOfAnyPart(t *testing.T) {
	r := random()
	for range 200 {
		m := newMemory(r.IntN(200))
		var indexes []int
		often := 1 + r.IntN(20)
		for i := range m.leaves {
			if r.IntN(often) == 0 {
				indexes = append(indexes, i)
			}
		}
		p, err := ledger.ReadProofs(bytes.NewReader(writeProofs(t, m, indexes)), m.checkpoint("log"))
		if err != nil {
			t.Fatalf("%v of %d: %v", indexes, len(m.leaves), err)
		}
		if p.Len() != len(indexes) {
			t.Fatalf("%d leaves, want %d", p.Len(), len(indexes))
		}
		for n, i := range slices.Backward(indexes) {
			if first, ok := p.Missing(); !ok || first.Index != int64(indexes[0]) {
				t.Fatalf("missing %v, want %d", first, indexes[n])
			}
			if got, err := p.Take(m.leaves[i]); err != nil || got != int64(i) {
				t.Fatalf("leaf %d: %d, %v", i, got, err)
			}
			if _, err := p.Take(m.leaves[i]); !errors.Is(err, ledger.ErrNotProven) {
				t.Fatalf("leaf %d twice: %v", i, err)
			}
		}
		if first, ok := p.Missing(); ok {
			t.Fatalf("missing %v", first)
		}
		if _, err := p.Take(newLeaf(1000)); !errors.Is(err, ledger.ErrNotProven) {
			t.Fatalf("a leaf that is none: %v", err)
		}
	}
}

func TestProofsOfAllNeedNoOtherHash(t *testing.T) {
	m := newMemory(37)
	var indexes []int
	for i := range m.leaves {
		indexes = append(indexes, i)
	}
	if got := bytes.Count(writeProofs(t, m, indexes), []byte("\n")); got != 37 {
		t.Errorf("%d lines, want 37", got)
	}
	if got := bytes.Count(writeProofs(t, m, nil), []byte("\n")); got != 3 {
		t.Errorf("%d lines of 32 + 4 + 1 leaves, want 3", got)
	}
}

func TestEveryByteOfProofsCounts(t *testing.T) {
	r := random()
	m := newMemory(41)
	c := m.checkpoint("log")
	good := writeProofs(t, m, []int{3, 4, 5, 17, 40})
	read := func(b []byte) (*ledger.Proofs, error) {
		p, err := ledger.ReadProofs(bytes.NewReader(b), c)
		if err != nil {
			return nil, err
		}
		for _, i := range []int{3, 4, 5, 17, 40} {
			if index, err := p.Take(m.leaves[i]); err != nil || index != int64(i) {
				return nil, fmt.Errorf("leaf %d: %d, %w", i, index, err)
			}
		}
		if first, ok := p.Missing(); ok {
			return nil, fmt.Errorf("missing %v", first)
		}
		return p, nil
	}
	if _, err := read(good); err != nil {
		t.Fatal(err)
	}
	accepted := 0
	for i := range good {
		bad := slices.Clone(good)
		bad[i] ^= byte(1 + r.IntN(255))
		// What is accepted still proves exactly these leaves: a name, or bits of base64
		// that mean nothing.
		if _, err := read(bad); err == nil {
			accepted++
		}
	}
	if accepted > len(good)/4 {
		t.Errorf("%d of %d changes accepted", accepted, len(good))
	}
	lines := strings.SplitAfter(strings.TrimSuffix(string(good), "\n"), "\n")
	for i := range lines {
		for name, bad := range map[string][]string{
			"removed": slices.Delete(slices.Clone(lines), i, i+1),
			"doubled": slices.Insert(slices.Clone(lines), i, lines[i]),
			"moved":   append(slices.Delete(slices.Clone(lines), i, i+1), "\n"+lines[i]),
		} {
			if name == "moved" && i == len(lines)-1 {
				continue
			}
			if _, err := read([]byte(strings.Join(bad, ""))); err == nil {
				t.Errorf("line %d %s: accepted", i, name)
			}
		}
	}
	other := newMemory(42).checkpoint("log")
	if _, err := ledger.ReadProofs(bytes.NewReader(good), other); !errors.Is(err, ledger.ErrNotProven) {
		t.Errorf("another checkpoint: %v", err)
	}
}

func TestWriteProofsRefuses(t *testing.T) {
	m := newMemory(10)
	for _, indexes := range [][]int{{3, 3}, {4, 3}} {
		if err := ledger.WriteProofs(&bytes.Buffer{}, 10, exported(m, indexes), m); err == nil {
			t.Errorf("%v: no error", indexes)
		}
	}
	if err := ledger.WriteProofs(&bytes.Buffer{}, 5, exported(m, []int{7}), m); err == nil {
		t.Error("a leaf beyond the size: no error")
	}
	broken := errors.New("broken")
	err := ledger.WriteProofs(&bytes.Buffer{}, 5, func(yield func(ledger.Exported, error) bool) { yield(ledger.Exported{}, broken) }, m)
	if !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
}

func BenchmarkReadProofs(b *testing.B) {
	m := newMemory(1 << 20)
	r := random()
	var indexes []int
	for i := range m.leaves {
		if r.IntN(10) == 0 {
			indexes = append(indexes, i)
		}
	}
	proofs := writeProofs(b, m, indexes)
	c := m.checkpoint("log")
	b.ReportMetric(float64(len(proofs))/float64(len(indexes)), "bytes/leaf")
	for b.Loop() {
		p, err := ledger.ReadProofs(bytes.NewReader(proofs), c)
		if err != nil {
			b.Fatal(err)
		}
		for _, i := range indexes {
			if _, err := p.Take(m.leaves[i]); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(len(proofs))/float64(len(indexes)), "bytes/leaf")
}
