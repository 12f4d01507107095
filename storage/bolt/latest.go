package bolt

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"

	"sitrep/storage"
)

// Where the latest breach of each fingerprint is. Fingerprints come in no order, and each
// is looked for once with each alert, and written once with each breach: kept in one tree,
// as all else is, each of them takes a page of its own, and the more there are, the more
// of the time goes into that.
//
// So what is new stands in one small value, of what came last (bBreachRecent), and each time
// that is full it becomes a run: entries in the order of the hashes of their fingerprints,
// in blocks, with a filter that says of most fingerprints that they are not in it. Runs
// are never changed. Of those that are about as long, several are merged into one, piece by
// piece, a little with each commit, in proportion to what it adds. So a commit never
// waits for a long merge, and there are some dozens of runs at most. Their filters are kept in
// memory: two bytes for each fingerprint.
//
// An entry has the arrival of its breach. Of several of one fingerprint that with the latest
// arrival holds, wherever it stands, and of two with the same one that says that it was
// deleted. All of it changes in the transaction that changes the breaches.

// A latest is what is kept of a fingerprint: where its latest breach is.
type latest struct {
	place
	ordinal int64
	gone    bool // it was deleted
}

// after reports whether this was noted after the other, of the same fingerprint.
func (l latest) after(o latest) bool {
	return l.arrival > o.arrival || l.arrival == o.arrival && l.gone && !o.gone
}

// The kinds of keys of fingerprints.
const (
	fingerprintHash byte = 1 // 8 bytes, all of which the hash has
	fingerprintText byte = 2 // a text follows
)

// hashSize is how long the hash is that a key of a fingerprint begins with.
const hashSize = 8

// fingerprintKey returns the key of a fingerprint: a hash, by which they are in order, and
// what else tells it from others. Alertmanager's take 9 bytes.
func fingerprintKey(k key, s string) key {
	if len(s) == 16 {
		var b [8]byte
		if _, err := hex.Decode(b[:], []byte(s)); err == nil && hex.EncodeToString(b[:]) == s {
			return k.int(int64(mix(binary.BigEndian.Uint64(b[:])))).byte(fingerprintHash)
		}
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(s))
	return k.int(int64(mix(h.Sum64()))).byte(fingerprintText).text(s)
}

func hashOf(fp key) uint64 { return binary.BigEndian.Uint64(fp) }

// An entry is a latest in a block.
type entry struct {
	fp key // of the fingerprint
	latest
}

// appendEntry appends an entry to a block.
func appendEntry(b []byte, e *entry) []byte {
	b = append(b, e.fp...)
	ordinal := uint64(e.ordinal) << 1
	if e.gone {
		ordinal |= 1
	}
	b = binary.AppendUvarint(b, ordinal)
	b = binary.AppendUvarint(b, uint64(e.number))
	return binary.AppendUvarint(b, uint64(e.arrival))
}

// cutEntry returns the first entry of a block, and what follows. The key is a part of the
// block.
func cutEntry(b []byte) (e entry, rest []byte, err error) {
	n := hashSize + 1
	if len(b) < n {
		return e, nil, errBlock
	}
	switch b[hashSize] {
	case fingerprintHash:
	case fingerprintText:
		if len(b) < n+2 {
			return e, nil, errBlock
		}
		size := int(binary.BigEndian.Uint16(b[n:]))
		if size == 0xffff {
			size = 32 // a hash, see key.text
		}
		n += 2 + size
	default:
		return e, nil, errBlock
	}
	if len(b) < n {
		return e, nil, errBlock
	}
	e.fp, rest = b[:n:n], b[n:]
	var numbers [3]uint64
	for i := range numbers {
		v, size := binary.Uvarint(rest)
		if size <= 0 {
			return e, nil, errBlock
		}
		numbers[i], rest = v, rest[size:]
	}
	e.ordinal, e.gone = int64(numbers[0]>>1), numbers[0]&1 != 0
	e.number, e.arrival = int64(numbers[1]), int64(numbers[2])
	return e, rest, nil
}

var errBlock = fmt.Errorf("a block of fingerprints is malformed: %w", storage.ErrDamaged)

// findIn returns the entry of a fingerprint in a block.
func findIn(block []byte, fp key) (l latest, found bool, err error) {
	hash := hashOf(fp)
	for len(block) > hashSize {
		h := hashOf(block)
		if h > hash {
			return l, false, nil
		}
		if h < hash && block[hashSize] == fingerprintHash { // most are only passed over
			n, numbers := hashSize+1, 3
			for ; numbers > 0 && n < len(block); n++ {
				if block[n] < 0x80 {
					numbers--
				}
			}
			if numbers > 0 {
				return l, false, errBlock
			}
			block = block[n:]
			continue
		}
		e, rest, err := cutEntry(block)
		if err != nil {
			return l, false, err
		}
		if bytes.Equal(e.fp, fp) {
			return e.latest, true, nil
		}
		block = rest
	}
	if len(block) > 0 {
		return l, false, errBlock
	}
	return l, false, nil
}

// recentSize is how many bytes of entries are kept as what came last, until they
// become a run.
const recentSize = blockSize

var (
	runsKey   = []byte("runs")   // the list of runs
	recentKey = []byte("recent") // the block of what came last
)

// A latestIndex is what a reader knows of where breaches are.
type latestIndex struct {
	list    runList
	filters []filter // of the runs of the list; nil where one could not be read
	recent  []byte
	// older is set where the store is of an earlier form, which is only read or being
	// brought up.
	older bool
}

// index returns what is known of where breaches are.
func (r *reader) index() (*latestIndex, error) {
	if r.known != nil {
		return r.known, nil
	}
	x := &latestIndex{older: r.bucket(bBreachLatest) != nil}
	b, err := r.get(bBreachRecent, runsKey)
	if err != nil {
		return nil, err
	}
	if x.list, err = cutRunList(b); err != nil {
		return nil, err
	}
	if x.recent, err = r.get(bBreachRecent, recentKey); err != nil {
		return nil, err
	}
	if x.filters, err = r.filters.read(x.list.runs, r.readFilter); err != nil {
		return nil, err
	}
	r.known = x
	return x, nil
}

// readFilter reads the filter of a run. It is nil where that is damaged, which the check
// tells of: then all blocks are looked at.
func (r *reader) readFilter(of run) (filter, error) {
	f := make(filter, 0, of.lines*lineSize)
	prefix := key(nil).int(int64(of.id)).byte(runFilter)
	err := r.ascend(bBreachRuns, prefix, nil, func(_, v []byte) (bool, error) {
		f = append(f, v...)
		return true, nil
	})
	if errors.Is(err, storage.ErrDamaged) || err == nil && len(f) != of.lines*lineSize {
		return nil, nil
	}
	return f, err
}

// latest returns where the latest breach of a fingerprint is, and its ordinal.
func (r *reader) latest(fingerprint string) (latest, bool, error) {
	var scrap [64]byte
	return r.find(fingerprintKey(scrap[:0], fingerprint), fingerprint)
}

func (r *reader) find(fp key, fingerprint string) (l latest, found bool, err error) {
	if l, found = r.pending[string(fp)]; found {
		return l, !l.gone, nil
	}
	x, err := r.index()
	if err != nil {
		return l, false, err
	}
	if x.older {
		return r.olderLatest(fingerprint)
	}
	l, found, err = findIn(x.recent, fp)
	if err != nil || found { // of the same fingerprint, what is in the runs came before
		return l, found && !l.gone, err
	}
	hash := hashOf(fp)
	for i := range x.list.runs {
		if !x.filters[i].has(hash) {
			continue
		}
		in, has, err := r.findInRun(x.list.runs[i].id, fp)
		if err != nil {
			return l, false, err
		}
		if has && (!found || in.after(l)) {
			l, found = in, true
		}
	}
	return l, found && !l.gone, nil
}

// findInRun returns the entry of a fingerprint in a run.
func (r *reader) findInRun(id uint64, fp key) (l latest, found bool, err error) {
	var scrap [64]byte
	block, _, err := r.block(id, key(scrap[:0]), fp)
	if block == nil || err != nil {
		return l, false, err
	}
	return findIn(block, fp)
}

// block returns the first block of a run that ends with a key or after it, and the key that
// it ends with; nil if there is none.
func (r *reader) block(id uint64, scrap, from key) (block []byte, last key, err error) {
	b := r.bucket(bBreachRuns)
	if b == nil {
		return nil, nil, nil
	}
	prefix := len(scrap.int(int64(id)).byte(runBlock))
	want := append(scrap.int(int64(id)).byte(runBlock), from...)
	k, v := b.Cursor().Seek(want)
	if k == nil || !bytes.HasPrefix(k, want[:prefix]) {
		return nil, nil, nil
	}
	block, err = checked(bBreachRuns, k, v)
	return block, k[prefix:], err
}

// noteLatest notes where the latest breach of a fingerprint is, or that it was deleted.
func (t *tx) noteLatest(fingerprint string, l latest) {
	fp := fingerprintKey(make([]byte, 0, 32), fingerprint)
	if t.pending == nil {
		t.pending = map[string]latest{}
	}
	t.pending[string(fp)] = l
	t.writes++
	t.bytes += len(fp) + 16
}

// flush stores what was noted while a transaction ran. It is called once, before the commit.
func (t *tx) flush() error {
	if err := t.flushRecipients(); err != nil {
		return err
	}
	if err := t.flushLatest(); err != nil {
		return err
	}
	return t.flushFresh()
}

// flushLatest stores what was noted of fingerprints.
func (t *tx) flushLatest() error {
	if len(t.pending) == 0 {
		return nil
	}
	x, err := t.index()
	if err != nil {
		return err
	}
	all, err := t.recentEntries(x)
	if err != nil {
		return err
	}
	was := appendRunList(nil, &x.list)
	block := make([]byte, 0, recentSize)
	for i := range all {
		block = appendEntry(block, &all[i])
	}
	if len(block) > recentSize {
		id := x.list.take()
		w := newRunWriter(t, run{id: id, lines: linesFor(len(all))}, nil)
		for i := range all {
			if err := w.add(&all[i]); err != nil {
				return err
			}
		}
		if err := w.finish(); err != nil {
			return err
		}
		x.list.runs, x.filters = append(x.list.runs, w.run), append(x.filters, nil)
		block = nil
	}
	if err := t.put(bBreachRecent, recentKey, block); err != nil {
		return err
	}
	if err := t.mergeRuns(x, len(t.pending)); err != nil {
		return err
	}
	if is := appendRunList(nil, &x.list); !bytes.Equal(was, is) {
		if err := t.put(bBreachRecent, runsKey, is); err != nil {
			return err
		}
	}
	// What is read from here on was not committed yet.
	t.pending, t.known, t.filters = nil, nil, nil
	return nil
}

// recentEntries returns what came last and what the transaction noted, in order.
func (t *tx) recentEntries(x *latestIndex) ([]entry, error) {
	all := make([]entry, 0, len(t.pending)+len(x.recent)/12)
	for fp, l := range t.pending {
		if k := key(fp); !l.gone || x.mayHave(k, nil) {
			all = append(all, entry{k, l})
		}
	}
	for rest := x.recent; len(rest) > 0; {
		var e entry
		var err error
		if e, rest, err = cutEntry(rest); err != nil {
			return nil, err
		}
		if _, newer := t.pending[string(e.fp)]; !newer {
			all = append(all, e)
		}
	}
	slices.SortFunc(all, func(a, b entry) int {
		if c := cmp.Compare(hashOf(a.fp), hashOf(b.fp)); c != 0 {
			return c
		}
		return bytes.Compare(a.fp, b.fp)
	})
	return all, nil
}

// mayHave reports whether a run may have a fingerprint, those left out that are named.
func (x *latestIndex) mayHave(fp key, but []uint64) bool {
	hash := hashOf(fp)
	for i := range x.list.runs {
		if x.filters[i].has(hash) && !slices.Contains(but, x.list.runs[i].id) {
			return true
		}
	}
	return false
}
