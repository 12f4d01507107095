package ledger

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"math/bits"

	"golang.org/x/mod/sumdb/tlog"
)

// An Exported is a leaf of a log of which a part is handed on.
type Exported struct {
	Index int64
	Kind  Kind
	// Name says which it is, for people. It is not proven.
	Name string
}

// A proofLine is a line of proofs.jsonl. The lines cover the log from its first leaf
// to the last of the checkpoint, without gap or overlap. One with a kind is a leaf
// that was handed on; the others are stretches that were not: 1, 2, 4, 8, … leaves,
// beginning at a multiple of that, with the root of their subtree. Whoever hashes
// neighbours of one size together, from left to right, gets the checkpoint's root.
type proofLine struct {
	Index  int64  `json:"index"`
	Kind   string `json:"kind,omitempty"`
	Name   string `json:"name,omitempty"`
	Leaves int64  `json:"leaves,omitempty"`
	Hash   Hash   `json:"hash"` // in base64
}

// WriteProofs writes what proves that the leaves are in the log of size leaves. They
// come in the order of their indexes, each once. Leaves side by side share what
// proves them: of a log that is handed on as a whole there is one line for each leaf.
func WriteProofs(w io.Writer, size int64, leaves iter.Seq2[Exported, error], stored Hashes) error {
	p := proofWriter{out: bufio.NewWriter(w), size: size, stored: stored}
	for leaf, err := range leaves {
		if err != nil {
			return fmt.Errorf("write proofs: %w", err)
		}
		if leaf.Index < p.next || leaf.Index >= size || !leaf.Kind.Valid() {
			return fmt.Errorf("write proofs: leaf %d (%s) comes after leaf %d in a log of %d", leaf.Index, leaf.Kind, p.next-1, size)
		}
		if err := p.skipTo(leaf.Index); err != nil {
			return err
		}
		p.add(proofLine{Index: leaf.Index, Kind: leaf.Kind.String(), Name: leaf.Name}, 0)
		if err := p.flush(proofBatch); err != nil {
			return err
		}
	}
	if err := p.skipTo(size); err != nil {
		return err
	}
	if err := p.flush(1); err != nil {
		return err
	}
	if err := p.out.Flush(); err != nil {
		return fmt.Errorf("write proofs: %w", err)
	}
	return nil
}

// proofBatch is how many hashes are read at a time.
const proofBatch = 1024

type proofWriter struct {
	out     *bufio.Writer
	size    int64
	stored  Hashes
	next    int64 // the first leaf that is not yet covered
	lines   []proofLine
	numbers []int64 // of the lines' hashes
}

// add covers the subtree of 1<<level leaves that comes next.
func (p *proofWriter) add(line proofLine, level int) {
	p.lines = append(p.lines, line)
	p.numbers = append(p.numbers, tlog.StoredHashIndex(level, line.Index>>level))
	p.next += 1 << level
}

// skipTo covers all leaves up to an index, in the biggest subtrees that there are.
func (p *proofWriter) skipTo(index int64) error {
	for p.next < index {
		level := bits.Len64(uint64(index-p.next)) - 1
		if p.next > 0 {
			level = min(level, bits.TrailingZeros64(uint64(p.next)))
		}
		p.add(proofLine{Index: p.next, Leaves: 1 << level}, level)
		if err := p.flush(proofBatch); err != nil {
			return err
		}
	}
	return nil
}

// flush writes the lines out once there are that many.
func (p *proofWriter) flush(least int) error {
	if len(p.lines) < least {
		return nil
	}
	hashes, err := p.stored.ReadHashes(p.numbers)
	if err == nil && len(hashes) != len(p.numbers) {
		err = fmt.Errorf("%d of %d hashes", len(hashes), len(p.numbers))
	}
	if err != nil {
		return fmt.Errorf("write proofs: %w", err)
	}
	for i := range p.lines {
		p.lines[i].Hash = hashes[i]
		b, err := json.Marshal(&p.lines[i])
		if err != nil {
			return fmt.Errorf("write proofs: %w", err)
		}
		if _, err := p.out.Write(append(b, '\n')); err != nil {
			return fmt.Errorf("write proofs: %w", err)
		}
	}
	p.lines, p.numbers = p.lines[:0], p.numbers[:0]
	return nil
}

// Proofs are the leaves that were proven to be in a log, of which each is to be found
// in what was handed on.
type Proofs struct {
	leaves  []Exported
	byHash  map[Hash][]int // which of the leaves, as two may be alike
	missing int
}

// ReadProofs reads what WriteProofs wrote and checks that it leads to the
// checkpoint's root. The error is ErrNotProven if it does not.
func ReadProofs(r io.Reader, c Checkpoint) (*Proofs, error) {
	p := &Proofs{byHash: map[Hash][]int{}}
	var t Tree
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 64<<10)
	for n := 1; lines.Scan(); n++ {
		wrong := func(what string) error {
			return fmt.Errorf("read proofs: line %d: %s: %w", n, what, ErrNotProven)
		}
		var l proofLine
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			return nil, wrong(err.Error())
		}
		if l.Index != t.Size() {
			return nil, wrong(fmt.Sprintf("leaf %d is missing", t.Size()))
		}
		if l.Kind == "" {
			if l.Leaves < 1 || bits.OnesCount64(uint64(l.Leaves)) != 1 || l.Index%l.Leaves != 0 || l.Leaves > c.Size-l.Index {
				return nil, wrong(fmt.Sprintf("%d leaves from %d on are no subtree of %d", l.Leaves, l.Index, c.Size))
			}
			t.appendSubtree(bits.TrailingZeros64(uint64(l.Leaves)), l.Hash)
			continue
		}
		kind, ok := ParseKind(l.Kind)
		if !ok || l.Leaves != 0 || l.Index >= c.Size {
			return nil, wrong(fmt.Sprintf("leaf %d (%q) is none of the log of %d", l.Index, l.Kind, c.Size))
		}
		t.AppendHash(l.Hash)
		p.byHash[l.Hash] = append(p.byHash[l.Hash], len(p.leaves))
		p.leaves = append(p.leaves, Exported{Index: l.Index, Kind: kind, Name: l.Name})
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read proofs: %w", err)
	}
	if t.Size() != c.Size {
		return nil, fmt.Errorf("read proofs: they end after %d of %d leaves: %w", t.Size(), c.Size, ErrNotProven)
	}
	if t.Root() != c.Root {
		return nil, fmt.Errorf("read proofs: they lead to the root %v, and the checkpoint has %v: %w", t.Root(), c.Root, ErrNotProven)
	}
	p.missing = len(p.leaves)
	return p, nil
}

// Len returns how many leaves were handed on.
func (p *Proofs) Len() int { return len(p.leaves) }

// Take returns the index of a leaf that was handed on, each time it is found there.
// The error is ErrNotProven if the log has no such leaf, or not so many.
func (p *Proofs) Take(leaf Leaf) (index int64, err error) {
	h := leaf.Hash()
	list, known := p.byHash[h]
	for i, n := range list {
		if p.leaves[n].Kind != leaf.Kind {
			continue
		}
		p.byHash[h] = append(list[:i:i], list[i+1:]...)
		p.missing--
		return p.leaves[n].Index, nil
	}
	if known {
		return 0, fmt.Errorf("take %s: it is there once too often: %w", leaf.Kind, ErrNotProven)
	}
	return 0, fmt.Errorf("take %s: the log has none with these bytes: %w", leaf.Kind, ErrNotProven)
}

// Missing returns the first leaf that was to be handed on and was not taken, and
// whether there is one.
func (p *Proofs) Missing() (Exported, bool) {
	if p.missing == 0 {
		return Exported{}, false
	}
	first := -1
	for _, list := range p.byHash {
		for _, n := range list {
			if first < 0 || n < first {
				first = n
			}
		}
	}
	return p.leaves[first], true
}
