package storagetest

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"sitrep/incident"
	"sitrep/ledger"
	"sitrep/storage"
)

// awaitLog waits until the log has a size: engines may place leaves within a second.
func (f *fixture) awaitLog(size int64) {
	f.Helper()
	f.awaitLogOf(f.other, size)
}

func (f *fixture) awaitLogOf(s storage.Store, size int64) {
	f.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		have := f.logHeadOf(s).Size
		if have == size {
			return
		}
		if have > size || time.Now().After(deadline) {
			f.Fatalf("the log has %d leaves, want %d", have, size)
		}
	}
}

func (f *fixture) logHead() (head storage.LogHead) {
	f.Helper()
	return f.logHeadOf(f.other)
}

func (f *fixture) logHeadOf(s storage.Store) (head storage.LogHead) {
	f.Helper()
	err := s.Read(f.Context(), func(r storage.Snapshot) (err error) {
		head, err = r.LogHead(f.Context())
		return err
	})
	if err != nil {
		f.Fatalf("read: %v", err)
	}
	return head
}

// leaves returns the whole log, read in pages.
func (f *fixture) leaves() (all []storage.Leaf) {
	f.Helper()
	f.read(func(r storage.Snapshot) error {
		for {
			page, err := r.Leaves(f.Context(), int64(len(all)), 7)
			if err != nil || len(page) == 0 {
				return err
			}
			all = append(all, page...)
		}
	})
	return all
}

var logRules = []rule{
	{"an empty log has no leaves", func(f *fixture) {
		f.awaitLog(0)
		f.equal("leaves", len(f.leaves()), 0)
	}},
	{"events, configurations and outcomes are leaves, each once", func(f *fixture) {
		f.write(func(tx storage.Tx) error {
			if err := tx.AppendEvents(f.Context(), f.newEvents(1, 5)); err != nil {
				return err
			}
			return tx.PutConfig(f.Context(), storage.Loading{Hash: "h", At: f.now, Actor: "ada"}, storage.Config{Hash: "h", Body: []byte("x")})
		})
		d := f.newDelivery("one", "a", 1)
		f.deliver(d)
		d.State = incident.DeliverySuperseded
		f.deliver(d)
		f.deliver(d)
		f.write(func(tx storage.Tx) error { return tx.AppendEvents(f.Context(), f.newEvents(2, 3)) })
		f.awaitLog(10)

		leaves := f.leaves()
		kinds := map[ledger.Kind]int{}
		events := map[int64]int64{}
		for i, l := range leaves {
			kinds[l.Kind]++
			f.equal("index", l.Record.Index, int64(i))
			switch l.Kind {
			case ledger.Event:
				e, err := storage.DecodeEvent(l.Record)
				if err != nil || e.Sequence != events[e.Incident]+1 {
					f.Errorf("leaf %d: event %d/%d after %d, %v", i, e.Incident, e.Sequence, events[e.Incident], err)
				}
				events[e.Incident] = e.Sequence
			case ledger.Config:
				got, err := storage.DecodeLoading(l.Record)
				f.equal("loading", got, storage.Loading{Hash: "h", At: f.now, Actor: "ada"})
				f.equal("error", err, nil)
			case ledger.Delivery:
				got, _, err := storage.DecodeDelivery(l.Record)
				f.equal("delivery", got, *d)
				f.equal("error", err, nil)
			}
		}
		f.equal("kinds", kinds, map[ledger.Kind]int{ledger.Event: 8, ledger.Config: 1, ledger.Delivery: 1})
		f.read(func(r storage.Snapshot) error {
			records, err := storage.EventRecords(f.Context(), r, 2, 0, 10)
			for _, record := range records {
				f.equal("by the index", leaves[record.Index].Record, record)
			}
			return err
		})
	}},
	{"the hashes are those of the leaves", func(f *fixture) {
		for n := int64(1); n <= 9; n++ {
			f.write(func(tx storage.Tx) error { return tx.AppendEvents(f.Context(), f.newEvents(n, int(n))) })
		}
		const size = 45
		f.awaitLog(size)
		var tree ledger.Tree
		for _, l := range f.leaves() {
			tree.Append(ledger.Leaf{Kind: l.Kind, Bytes: l.Record.Leaf})
		}
		f.read(func(r storage.Snapshot) error {
			loaded, err := ledger.LoadTree(size, storage.Hashes(f.Context(), r))
			if err != nil {
				return err
			}
			f.equal("root", loaded.Root(), tree.Root())
			proof, err := ledger.ProveLeaf(size, 17, storage.Hashes(f.Context(), r))
			if err != nil {
				return err
			}
			l, err := r.Leaves(f.Context(), 17, 1)
			if err != nil {
				return err
			}
			leaf := ledger.Leaf{Kind: l[0].Kind, Bytes: l[0].Record.Leaf}
			f.equal("proof", ledger.CheckLeaf(ledger.Checkpoint{Size: size, Root: tree.Root()}, 17, leaf, proof), nil)
			_, err = r.ReadHashes(f.Context(), []int64{tlog.StoredHashIndex(0, size)})
			f.fails("one that is not there", err, storage.ErrDamaged)
			return nil
		})
	}},
	{"a write that fails adds nothing to the log, among many that add", func(f *fixture) {
		broken := errors.New("broken")
		f.each(30, func(i int, s storage.Store) {
			n := int64(i + 1)
			err := s.Write(f.Context(), func(tx storage.Tx) error {
				if err := tx.AppendEvents(f.Context(), f.newEvents(n, 3)); err != nil {
					return err
				}
				if n%3 == 0 {
					return broken
				}
				return nil
			})
			if (n%3 == 0) != errors.Is(err, broken) {
				f.Errorf("write %d: %v", n, err)
			}
		})
		f.awaitLog(60)
		var tree ledger.Tree
		for i, l := range f.leaves() {
			f.equal("index", l.Record.Index, int64(i))
			tree.Append(ledger.Leaf{Kind: l.Kind, Bytes: l.Record.Leaf})
		}
		f.read(func(r storage.Snapshot) error {
			root, err := ledger.RootAt(60, storage.Hashes(f.Context(), r))
			f.equal("root", root, tree.Root())
			return err
		})
	}},
	{"what waits for its place in the log is counted", func(f *fixture) {
		for n := int64(1); n <= 5; n++ {
			hash := fmt.Sprint("config ", n)
			f.write(func(tx storage.Tx) error {
				return tx.PutConfig(f.Context(), storage.Loading{Hash: hash, At: f.now, Actor: "ada"}, storage.Config{Hash: hash, Body: []byte("{}")})
			})
			head := f.logHead()
			f.equal("leaves, and records that wait", head.Size+head.Waiting, n)
		}
	}},
	{"signed heads are kept by size", func(f *fixture) {
		f.equal("none", f.logHead(), storage.LogHead{})
		for _, size := range []int64{5, 0, 3, 9} {
			f.write(func(tx storage.Tx) error { return tx.PutCheckpoint(f.Context(), size, fmt.Append(nil, "head ", size)) })
		}
		f.write(func(tx storage.Tx) error { return tx.PutCheckpoint(f.Context(), 3, []byte("head 3 again")) })
		f.read(func(r storage.Snapshot) error {
			list, err := r.Checkpoints(f.Context(), -1, 2)
			if err != nil {
				return err
			}
			f.equal("first", list, [][]byte{[]byte("head 0"), []byte("head 3 again")})
			if list, err = r.Checkpoints(f.Context(), 3, 9); err != nil {
				return err
			}
			f.equal("after", list, [][]byte{[]byte("head 5"), []byte("head 9")})
			if list, err = r.Checkpoints(f.Context(), 9, 9); err != nil {
				return err
			}
			f.equal("end", len(list), 0)
			return err
		})
		f.equal("last", f.logHead(), storage.LogHead{Signed: []byte("head 9")})
	}},
}
