package ledger_test

import (
	"errors"
	"slices"
	"testing"

	"sitrep/ledger"
)

// A replicas is a store that many write to: rows that are committed in any order, and
// a tree that one transaction at a time may hold.
type replicas struct {
	rows map[int]*row
	log  memory
}

type row struct {
	leaf  ledger.Leaf
	index int64 // -1 while it waits
}

// A sequence is a transaction of it. What it placed counts once committed.
type sequence struct {
	*replicas
	placed []ledger.Placed[int]
}

func (s *sequence) ReadHashes(n []int64) ([]ledger.Hash, error) { return s.log.ReadHashes(n) }
func (s *sequence) Size() (int64, error)                        { return int64(len(s.log.leaves)), nil }

func (s *sequence) Pending(limit int) ([]ledger.Pending[int], error) {
	var ids []int
	for id, row := range s.rows {
		if row.index < 0 {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	var out []ledger.Pending[int]
	for _, id := range ids[:min(limit, len(ids))] {
		out = append(out, ledger.Pending[int]{ID: id, Leaf: s.rows[id].leaf})
	}
	return out, nil
}

func (s *sequence) Place(leaves []ledger.Placed[int]) error {
	s.placed = leaves
	return nil
}

func (s *sequence) commit() {
	for _, p := range s.placed {
		row := s.rows[p.ID]
		row.index = p.Index
		s.log.leaves = append(s.log.leaves, row.leaf)
		s.log.hashes = append(s.log.hashes, p.Hashes...)
	}
}

func TestIntegrateLosesNothing(t *testing.T) {
	r := random()
	for range 200 {
		s := &replicas{rows: map[int]*row{}}
		var uncommitted []int
		next := 0
		for range 60 {
			switch r.IntN(4) {
			case 0, 1: // a writer begins, and takes its number
				uncommitted = append(uncommitted, next)
				next++
			case 2: // one of them commits, maybe long after a higher number
				if len(uncommitted) > 0 {
					i := r.IntN(len(uncommitted))
					id := uncommitted[i]
					uncommitted = slices.Delete(uncommitted, i, i+1)
					s.rows[id] = &row{newLeaf(id), -1}
				}
			case 3: // a sequencer runs, and may die before it commits
				tx := &sequence{replicas: s}
				if _, err := ledger.Integrate(tx, 1+r.IntN(5)); err != nil {
					t.Fatal(err)
				}
				if r.IntN(3) > 0 {
					tx.commit()
				}
			}
		}
		for n := 1; n > 0; {
			tx := &sequence{replicas: s}
			var err error
			if n, err = ledger.Integrate(tx, 7); err != nil {
				t.Fatal(err)
			}
			tx.commit()
		}
		if len(s.log.leaves) != len(s.rows) {
			t.Fatalf("%d of %d leaves are in the log", len(s.log.leaves), len(s.rows))
		}
		for id, row := range s.rows {
			if row.index < 0 || s.log.leaves[row.index].Hash() != row.leaf.Hash() {
				t.Fatalf("leaf %d has the index %d", id, row.index)
			}
		}
		want := &memory{}
		want.append(s.log.leaves...)
		log := ledger.Log{Size: int64(len(s.rows)), Leaves: all(s.log.leaves), Hashes: &s.log}
		if _, err := ledger.VerifyLog(log, []ledger.Checkpoint{want.checkpoint("log")}); err != nil {
			t.Fatal(err)
		}
	}
}

// A failing is a sequence of which one call fails.
type failing struct {
	sequence
	at string
}

func (f *failing) fail(at string) error {
	if f.at == at {
		return errors.New(at)
	}
	return nil
}

func (f *failing) ReadHashes(n []int64) ([]ledger.Hash, error) {
	h, err := f.sequence.ReadHashes(n)
	return h, errors.Join(err, f.fail("hashes"))
}

func (f *failing) Size() (int64, error) {
	n, err := f.sequence.Size()
	return n, errors.Join(err, f.fail("size"))
}

func (f *failing) Pending(limit int) ([]ledger.Pending[int], error) {
	p, err := f.sequence.Pending(limit)
	return p, errors.Join(err, f.fail("pending"))
}

func (f *failing) Place(p []ledger.Placed[int]) error {
	return errors.Join(f.sequence.Place(p), f.fail("place"))
}

func TestIntegrateFails(t *testing.T) {
	newStore := func() *replicas {
		s := &replicas{rows: map[int]*row{}}
		for i := range 3 {
			s.rows[i] = &row{newLeaf(i), -1}
		}
		tx := &sequence{replicas: s}
		if _, err := ledger.Integrate(tx, 2); err != nil {
			t.Fatal(err)
		}
		tx.commit()
		return s
	}
	for _, at := range []string{"hashes", "size", "pending", "place"} {
		f := &failing{sequence{replicas: newStore()}, at}
		if n, err := ledger.Integrate(f, 9); err == nil || n != 0 {
			t.Errorf("%s: %d, %v", at, n, err)
		}
	}
	s := newStore()
	s.rows[9] = &row{ledger.Leaf{Kind: 7}, -1}
	if _, err := ledger.Integrate(&sequence{replicas: s}, 9); err == nil {
		t.Error("a leaf of no kind is placed")
	}
	if _, err := ledger.Integrate(&sequence{replicas: s}, 0); err == nil {
		t.Error("a limit of 0 is fine")
	}
}
