package bolt

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"sort"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"

	"sitrep/storage"
)

// A commit writes each page that it changes, and all that lead to it: a post of one alert puts 2 KiB into a dozen
// buckets, which are 70 KiB of pages. So what small commits change stands first in one value (bFresh), all of it, and
// goes where it belongs with the commit that would make that too long. A commit of much goes there at once.
//
// All who read see a bucket as it is with what is fresh of it. That changes in the transaction that changes the bucket, so it
// is of the same snapshot. Where nobody writes for a moment, it goes to the buckets before they have to. A clean stop
// leaves nothing of it.

const (
	// freshLimit is how long the value may get, and freshValue how long one is that goes into it.
	freshLimit = 12 << 10
	freshValue = 3 << 10
	// freshLeast is from how much in a commit on the next is taken for one that goes to the buckets at once.
	freshLeast = 8 * freshLimit
	// restFor is for how long nobody writes until much that is fresh goes to its buckets.
	restFor = 10 * time.Millisecond
)

var freshKey = []byte("fresh")

// A change is what was put into a bucket under a key, with its checksum, or that it was deleted.
type change struct {
	key    []byte
	stored []byte // nil: it was deleted, if it was there
}

// fresh is what has to go to its buckets. What was committed is not changed any more.
type fresh struct {
	of     [bucketCount][]change // by their keys
	counts [bucketCount]uint64   // of buckets, what was given last; 0: what stands in the bucket
	size   int                   // of it as it is stored, about
}

// freshAt is what is fresh as of a commit, by the number of that: kept, as all who read need it.
type freshAt struct {
	id int
	*fresh
}

// find returns where a key stands among changes, or would.
func find(all []change, key []byte) (at int, found bool) {
	at = sort.Search(len(all), func(i int) bool { return bytes.Compare(all[i].key, key) >= 0 })
	return at, at < len(all) && bytes.Equal(all[at].key, key)
}

// seeFresh finds what is fresh in the snapshot of a transaction; last is what is of the latest commit, if that is known.
func (r *reader) seeFresh(last *atomic.Pointer[freshAt]) error {
	id := r.tx.ID()
	if r.tx.Writable() {
		id-- // the commit before it
	}
	if known := last.Load(); known != nil && known.id == id {
		r.fresh = known.fresh
		return nil
	}
	v, err := r.get(bFresh, freshKey)
	if err != nil {
		return err
	}
	r.fresh, err = cutFresh(bytes.Clone(v))
	return err
}

// changes are those of a bucket that are fresh.
func (r *reader) changes(id bucketID) []change {
	if r.fresh == nil {
		return nil
	}
	return r.fresh.of[id]
}

// count returns the number that a bucket gave last.
func (r *reader) count(id bucketID) int64 {
	if r.fresh != nil && r.fresh.counts[id] > 0 {
		return int64(r.fresh.counts[id])
	}
	if b := r.bucket(id); b != nil {
		return int64(b.Sequence())
	}
	return 0
}

// ownFresh makes what is fresh the transaction's own, to be changed.
func (t *tx) ownFresh(last *atomic.Pointer[freshAt]) error {
	if err := t.seeFresh(last); err != nil {
		return err
	}
	own := *t.fresh
	t.fresh = &own
	return nil
}

// isFresh reports whether a change of so many bytes is to be fresh. Once one has no room, none is
// any more, and all goes to the buckets at the end.
func (t *tx) isFresh(id bucketID, size int) bool {
	if !t.keeps || id == bBreachRuns || size > freshValue {
		return false
	}
	t.keeps = t.fresh.size+size+changeSize <= freshLimit
	return t.keeps
}

// changeSize is how many bytes a change takes beside its key and its value, about.
const changeSize = 3

// own makes the changes of a bucket those of this transaction alone.
func (t *tx) own(id bucketID) {
	t.dirty = true
	if !t.owns[id] {
		t.fresh.of[id] = append(make([]change, 0, len(t.fresh.of[id])+8), t.fresh.of[id]...)
		t.owns[id] = true
	}
}

// keep makes a change fresh. Key and value are kept.
func (t *tx) keep(id bucketID, c change) {
	t.own(id)
	all := t.fresh.of[id]
	i, found := find(all, c.key)
	if found {
		t.fresh.size += len(c.stored) - len(all[i].stored)
		all[i] = c
		return
	}
	t.fresh.size += len(c.key) + len(c.stored) + changeSize
	all = append(all, change{})
	copy(all[i+1:], all[i:])
	all[i] = c
	t.fresh.of[id] = all
}

// leave forgets a change that another takes the place of, in the bucket.
func (t *tx) leave(id bucketID, key []byte) {
	i, found := find(t.changes(id), key)
	if !found {
		return
	}
	t.own(id)
	all := t.fresh.of[id]
	t.fresh.size -= len(all[i].key) + len(all[i].stored) + changeSize
	t.fresh.of[id] = append(all[:i], all[i+1:]...)
}

// setCount sets the number that a bucket gave last.
func (t *tx) setCount(id bucketID, n int64) error {
	t.writes++
	if t.keeps {
		t.fresh.counts[id], t.dirty = uint64(n), true
		return nil
	}
	if t.fresh != nil && t.fresh.counts[id] > 0 {
		t.fresh.counts[id], t.dirty = 0, true
	}
	if err := t.bucket(id).SetSequence(uint64(n)); err != nil {
		return fmt.Errorf("count in %s: %w", bucketNames[id], err)
	}
	return nil
}

// flushFresh stores what is fresh, or brings it to its buckets.
func (t *tx) flushFresh() error {
	switch {
	case t.fresh == nil:
		return nil
	case !t.keeps:
		return t.pour()
	case !t.dirty:
		return nil
	}
	t.keeps = false // this is no change that is fresh
	t.scrap = appendFresh(t.scrap[:0], t.fresh)
	return t.put(bFresh, freshKey, t.scrap)
}

// pour brings what is fresh to its buckets.
func (t *tx) pour() error {
	for id := range bucketCount {
		if n := t.fresh.counts[id]; n > 0 {
			if err := t.bucket(id).SetSequence(n); err != nil {
				return fmt.Errorf("count in %s: %w", bucketNames[id], err)
			}
		}
		for _, c := range t.fresh.of[id] {
			var err error
			if c.stored == nil {
				err = t.bucket(id).Delete(c.key)
			} else {
				err = t.bucket(id).Put(c.key, c.stored)
			}
			if err != nil {
				return fmt.Errorf("put %s: %w", bucketNames[id], err)
			}
		}
	}
	t.fresh = &fresh{}
	if err := t.bucket(bFresh).Delete(freshKey); err != nil {
		return fmt.Errorf("delete from %s: %w", bucketNames[bFresh], err)
	}
	return nil
}

// pourAll brings what is fresh to its buckets, in a transaction of its own if there is anything. It returns the number of that.
func (db *DB) pourAll() (id int64, err error) {
	there := false
	err = db.view(func(r *reader) error {
		v, err := r.get(bFresh, freshKey)
		there = v != nil
		return err
	})
	if err != nil || !there {
		return 0, err
	}
	err = db.bolt.Update(func(btx *bbolt.Tx) error {
		id = int64(btx.ID())
		t := newTx(btx)
		if err := t.ownFresh(&db.fresh); err != nil {
			return err
		}
		return t.pour()
	})
	return id, err
}

// appendFresh appends what is fresh as it is stored: of each bucket its name, the number that it gave last, and the
// changes with their lengths.
func appendFresh(b []byte, f *fresh) []byte {
	text := func(s []byte) {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	for id, all := range f.of {
		if len(all) == 0 && f.counts[id] == 0 {
			continue
		}
		text([]byte(bucketNames[id]))
		b = binary.AppendUvarint(b, f.counts[id])
		b = binary.AppendUvarint(b, uint64(len(all)))
		for _, c := range all {
			text(c.key)
			text(c.stored)
		}
	}
	return b
}

// cutFresh reads what appendFresh wrote, and refers to it; of nothing it is empty.
func cutFresh(b []byte) (*fresh, error) {
	f := &fresh{size: len(b)}
	broken := fmt.Errorf("read %s: malformed: %w", bucketNames[bFresh], storage.ErrDamaged)
	c := cutter{b: b}
	for len(c.b) > 0 && !c.broken {
		id, known := idOf(c.text())
		if !known || !id.in(formVersion) {
			return nil, broken
		}
		f.counts[id] = c.number()
		f.of[id] = make([]change, c.count())
		for i := range f.of[id] {
			is := change{key: c.text(), stored: c.text()}
			if len(is.stored) == 0 {
				is.stored = nil
			}
			if len(is.key) == 0 || i > 0 && bytes.Compare(f.of[id][i-1].key, is.key) >= 0 {
				return nil, broken
			}
			f.of[id][i] = is
		}
	}
	if c.broken {
		return nil, broken
	}
	return f, nil
}

// A cursor goes through the keys of a bucket as they are with what is fresh: forward from First or Seek, or
// back from Last or Seek.
type cursor struct {
	under *bbolt.Cursor
	k, v  []byte // where that is
	fresh []change
	at    int // the next of them in the direction
	back  bool
}

// cursor returns one for a bucket that is there.
func (r *reader) cursor(id bucketID) cursor {
	under := r.spare[id]
	if r.spare[id] = nil; under == nil {
		under = r.bucket(id).Cursor()
	}
	return cursor{under: under, fresh: r.changes(id)}
}

// done gives a cursor back, for the next who needs one.
func (r *reader) done(id bucketID, c *cursor) { r.spare[id] = c.under }

// First goes to the first key, which is nil if there is none, as those that the others return.
func (c *cursor) First() (key, stored []byte) {
	c.k, c.v = c.under.First()
	c.at, c.back = 0, false
	return c.here()
}

// Last goes to the last key.
func (c *cursor) Last() (key, stored []byte) {
	c.k, c.v = c.under.Last()
	c.at, c.back = len(c.fresh)-1, true
	return c.here()
}

// Seek goes to a key, or to the first after it.
func (c *cursor) Seek(to []byte) (key, stored []byte) {
	c.k, c.v = c.under.Seek(to)
	c.at, _ = find(c.fresh, to)
	c.back = false
	return c.here()
}

// Next goes on to the next key.
func (c *cursor) Next() (key, stored []byte) {
	c.step()
	return c.here()
}

// Prev goes back to the key before.
func (c *cursor) Prev() (key, stored []byte) {
	if c.back {
		c.step()
		return c.here()
	}
	// Both are at the key or after it.
	c.back = true
	c.at--
	if c.k == nil {
		c.k, c.v = c.under.Last()
	} else {
		c.k, c.v = c.under.Prev()
	}
	return c.here()
}

// order is below 0 if what is fresh comes before where the bucket is, in the direction, above 0 if it comes after it,
// and 0 if it takes its place.
func (c *cursor) order() int {
	switch {
	case c.at < 0 || c.at >= len(c.fresh):
		return 1
	case c.k == nil:
		return -1
	case c.back:
		return bytes.Compare(c.k, c.fresh[c.at].key)
	}
	return bytes.Compare(c.fresh[c.at].key, c.k)
}

func (c *cursor) step() {
	order := c.order()
	if order >= 0 && c.back {
		c.k, c.v = c.under.Prev()
	} else if order >= 0 {
		c.k, c.v = c.under.Next()
	}
	if order <= 0 && c.back {
		c.at--
	} else if order <= 0 {
		c.at++
	}
}

// here returns the key at which both are, past those that were deleted.
func (c *cursor) here() (key, stored []byte) {
	for {
		if c.order() > 0 {
			return c.k, c.v
		}
		if is := c.fresh[c.at]; is.stored != nil {
			return is.key, is.stored
		}
		c.step()
	}
}
