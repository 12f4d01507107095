package bolt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"sitrep/storage"
)

const (
	// blockSize is how many bytes of entries are in a block, about; two fit a page.
	blockSize = 1900
	// mergeFrom is how many runs of about the same length are merged.
	mergeFrom = 8
	// leastRun is up to how many entries runs are of the shortest kind; those of each other
	// kind are up to mergeFrom times as long.
	leastRun = 1024
	// mergeRate is how many entries each merge takes for each that is added. With as many as
	// mergeFrom a merge would always be done before the next of that length begins.
	mergeRate = 4
	// mergeStep is how many entries are merged in one go at least.
	mergeStep = 512
	// mergeAtOnce is up to how many entries are merged at once.
	mergeAtOnce = 4096
	// goneShare is of how many entries one at most says that something was deleted, more or
	// less.
	goneShare = 4
	// deleteStep is how many values of runs that were merged a commit deletes at least.
	deleteStep = 4
	// deleteShare is for how many entries that are added it deletes one value.
	deleteShare = 8
	// mergePause is for how many entries a merge is put off that met damage.
	mergePause = 1 << 20
)

// What the key of a value in bBreachRuns has after the number of the run.
const (
	runFilter byte = iota // and then the number of a part of the filter
	runBlock              // and then the last key of the block
)

// A run is a run of entries.
type run struct {
	id    uint64
	count int // entries
	gone  int // how many of them say that one was deleted
	lines int // of its filter
}

// A merge of runs is under way.
type merge struct {
	inputs []uint64
	out    run
	done   key // up to which key; nil if nothing is
	owed   int // how many entries it should have taken by now
}

// A runList is what runs there are.
type runList struct {
	next   uint64 // the number of the next run
	runs   []run
	merges []merge
	gone   []uint64 // runs that were merged and are to be deleted
}

// take returns a number for a run.
func (l *runList) take() uint64 {
	l.next++
	return l.next - 1
}

func appendRunList(b []byte, l *runList) []byte {
	number := func(n uint64) { b = binary.AppendUvarint(b, n) }
	numbers := func(all []uint64) {
		number(uint64(len(all)))
		for _, n := range all {
			number(n)
		}
	}
	one := func(r run) {
		number(r.id)
		number(uint64(r.count))
		number(uint64(r.gone))
		number(uint64(r.lines))
	}
	number(l.next)
	number(uint64(len(l.runs)))
	for _, r := range l.runs {
		one(r)
	}
	number(uint64(len(l.merges)))
	for _, m := range l.merges {
		numbers(m.inputs)
		one(m.out)
		b = binary.AppendVarint(b, int64(m.owed))
		number(uint64(len(m.done)))
		b = append(b, m.done...)
	}
	numbers(l.gone)
	return b
}

// cutRunList reads what appendRunList wrote; of nothing it is empty.
func cutRunList(b []byte) (l runList, err error) {
	if len(b) == 0 {
		return l, nil
	}
	c := cutter{b: b}
	numbers := func() (all []uint64) {
		for range c.count() {
			all = append(all, c.number())
		}
		return all
	}
	one := func() run {
		return run{id: c.number(), count: int(c.number()), gone: int(c.number()), lines: int(c.number())}
	}
	l.next = c.number()
	for range c.count() {
		l.runs = append(l.runs, one())
	}
	for range c.count() {
		m := merge{inputs: numbers(), out: one()}
		owed, size := binary.Varint(c.b)
		if size <= 0 {
			c.broken = true
			break
		}
		m.owed, c.b = int(owed), c.b[size:]
		if done := c.text(); len(done) > 0 {
			m.done = bytes.Clone(done)
		}
		l.merges = append(l.merges, m)
	}
	l.gone = numbers()
	if c.broken || len(c.b) > 0 {
		return l, fmt.Errorf("the list of the runs of fingerprints is malformed: %w", storage.ErrDamaged)
	}
	return l, nil
}

// A runWriter writes a run, whose entries are added in order.
type runWriter struct {
	t     *tx
	run   run
	block []byte
	last  key // of the entry that was added last
	lines []byte
	chunk int // the part of the filter that lines is
}

// newRunWriter goes on with a run that has entries up to the key done, nil if it has none.
func newRunWriter(t *tx, of run, done key) *runWriter {
	w := &runWriter{t: t, run: of}
	if done != nil {
		w.chunk = filterLine(hashOf(done), of.lines) / chunkLines
	}
	w.lines = make([]byte, w.chunkSize())
	return w
}

// resume reads the part of the filter that is not complete.
func (w *runWriter) resume() error {
	v, err := w.t.get(bBreachRuns, chunkKey(w.run.id, w.chunk))
	if err == nil && len(v) != len(w.lines) {
		err = fmt.Errorf("a part of the filter of run %d is missing: %w", w.run.id, storage.ErrDamaged)
	}
	copy(w.lines, v)
	return err
}

func (w *runWriter) chunkSize() int {
	return min(chunkLines, w.run.lines-w.chunk*chunkLines) * lineSize
}

// add adds an entry.
func (w *runWriter) add(e *entry) error {
	hash := hashOf(e.fp)
	if err := w.chunksTo(hash); err != nil {
		return err
	}
	line := filterLine(hash, w.run.lines)
	setBits(w.lines[line%chunkLines*lineSize:][:lineSize], hash)
	w.block = appendEntry(w.block, e)
	w.last = append(w.last[:0], e.fp...)
	w.run.count++
	if e.gone {
		w.run.gone++
	}
	if len(w.block) < blockSize-40 {
		return nil
	}
	return w.putBlock()
}

func (w *runWriter) putBlock() error {
	k := append(key(make([]byte, 0, 32)).int(int64(w.run.id)).byte(runBlock), w.last...)
	err := w.t.put(bBreachRuns, k, w.block)
	w.block = w.block[:0]
	return err
}

func (w *runWriter) putChunk() error {
	return w.t.put(bBreachRuns, chunkKey(w.run.id, w.chunk), w.lines)
}

// chunksTo completes the parts of the filter before that of a hash.
func (w *runWriter) chunksTo(hash uint64) error {
	for filterLine(hash, w.run.lines)/chunkLines > w.chunk {
		if err := w.nextChunk(); err != nil {
			return err
		}
	}
	return nil
}

// pause stores what there is, all of it up to the key done, so that newRunWriter can go on.
func (w *runWriter) pause(done key) (key, error) {
	if len(w.block) > 0 {
		if err := w.putBlock(); err != nil {
			return nil, err
		}
	}
	if err := w.chunksTo(hashOf(done)); err != nil {
		return nil, err
	}
	return done, w.putChunk()
}

func (w *runWriter) nextChunk() error {
	if err := w.putChunk(); err != nil {
		return err
	}
	w.chunk++
	w.lines = w.lines[:w.chunkSize()]
	clear(w.lines)
	return nil
}

// finish completes the run.
func (w *runWriter) finish() error {
	if len(w.block) > 0 {
		if err := w.putBlock(); err != nil {
			return err
		}
	}
	for w.chunk < (w.run.lines-1)/chunkLines {
		if err := w.nextChunk(); err != nil {
			return err
		}
	}
	return w.putChunk()
}

// kind returns of which length a run is.
func (r run) kind() int {
	kind := 0
	for n := leastRun; r.count > n; n *= mergeFrom {
		kind++
	}
	return kind
}

// mergeRuns begins merges, takes those that are under way as far as is in proportion to
// the entries that were added, and deletes some of what was merged.
func (t *tx) mergeRuns(x *latestIndex, added int) error {
	x.beginMerges()
	for i := 0; i < len(x.list.merges); {
		m := x.list.merges[i] // a copy, taken over once it went well
		m.owed += added * mergeRate
		if m.owed < mergeStep {
			x.list.merges[i] = m
			i++
			continue
		}
		done, err := t.merge(x, &m)
		if errors.Is(err, storage.ErrDamaged) {
			// What is damaged must not keep all else from being stored.
			x.list.gone = append(x.list.gone, m.out.id)
			m.out = run{id: x.list.take(), lines: m.out.lines}
			m.done, m.owed = nil, -mergePause
			x.list.merges[i] = m
			i++
			continue
		}
		if err != nil {
			return err
		}
		if !done {
			x.list.merges[i] = m
			i++
			continue
		}
		x.complete(i, m)
		x.beginMerges()
	}
	return t.deleteGone(x, max(deleteStep, added/deleteShare))
}

// beginMerges begins a merge of runs of each kind of which there are enough. Where much was
// deleted, it begins one of all of them, after which nothing is kept of that.
func (x *latestIndex) beginMerges() {
	if len(x.list.merges) == 0 {
		count, gone := 0, 0
		for _, r := range x.list.runs {
			count, gone = count+r.count, gone+r.gone
		}
		if gone > leastRun && gone > count/goneShare {
			x.beginMerge(x.list.runs)
			return
		}
	}
	free := map[int][]run{}
	for _, r := range x.list.runs {
		if !slices.ContainsFunc(x.list.merges, func(m merge) bool { return slices.Contains(m.inputs, r.id) }) {
			free[r.kind()] = append(free[r.kind()], r)
		}
	}
	for kind := 0; len(free) > 0; kind++ {
		runs := free[kind]
		delete(free, kind)
		if len(runs) < mergeFrom {
			continue
		}
		x.beginMerge(runs)
	}
}

func (x *latestIndex) beginMerge(of []run) {
	m := merge{owed: mergeAtOnce}
	total := 0
	for _, r := range of {
		m.inputs = append(m.inputs, r.id)
		total += r.count
	}
	m.out = run{id: x.list.take(), lines: linesFor(total)}
	x.list.merges = append(x.list.merges, m)
}

// complete puts the result of a merge in the place of what it merged.
func (x *latestIndex) complete(i int, m merge) {
	x.list.merges = slices.Delete(x.list.merges, i, i+1)
	for k := len(x.list.runs) - 1; k >= 0; k-- {
		if slices.Contains(m.inputs, x.list.runs[k].id) {
			x.list.runs, x.filters = slices.Delete(x.list.runs, k, k+1), slices.Delete(x.filters, k, k+1)
		}
	}
	x.list.gone = append(x.list.gone, m.inputs...)
	if m.out.count == 0 {
		x.list.gone = append(x.list.gone, m.out.id)
		return
	}
	x.list.runs, x.filters = append(x.list.runs, m.out), append(x.filters, nil)
}

// merge takes a merge as far as it is owed, to the end of a block if that is near, and
// reports whether it is done.
func (t *tx) merge(x *latestIndex, m *merge) (done bool, err error) {
	w := newRunWriter(t, m.out, m.done)
	if m.done != nil {
		if err := w.resume(); err != nil {
			return false, err
		}
	}
	inputs := make([]*runReader, 0, len(m.inputs))
	for _, id := range m.inputs {
		in := &runReader{r: &t.reader, id: id}
		if err := in.seek(m.done); err != nil {
			return false, err
		}
		inputs = append(inputs, in)
	}
	var seen key // up to which all is taken
	for {
		var next *runReader // has the least key
		for _, in := range inputs {
			if in.has && (next == nil || in.hash < next.hash || in.hash == next.hash && bytes.Compare(in.e.fp, next.e.fp) < 0) {
				next = in
			}
		}
		if next == nil {
			break
		}
		if m.owed <= 0 && (len(w.block) == 0 || m.owed < -mergeStep) {
			m.done, err = w.pause(seen)
			m.out = w.run
			return false, err
		}
		e := next.e
		seen = append(seen[:0], e.fp...)
		for _, in := range inputs {
			if !in.has || in.hash != next.hash || in != next && !bytes.Equal(in.e.fp, e.fp) {
				continue
			}
			if in.e.after(e.latest) {
				e.latest = in.e.latest
			}
			m.owed--
		}
		for _, in := range inputs {
			if in != next && in.has && in.hash == next.hash && bytes.Equal(in.e.fp, e.fp) {
				if err := in.next(); err != nil {
					return false, err
				}
			}
		}
		if err := next.next(); err != nil {
			return false, err
		}
		if e.gone && !x.mayHave(e.fp, m.inputs) {
			continue // nothing is left that it could hide
		}
		if err := w.add(&e); err != nil {
			return false, err
		}
	}
	if w.run.count > 0 {
		err = w.finish()
	}
	m.out = w.run
	return true, err
}

// A runReader reads the entries of a run in order.
type runReader struct {
	r     *reader
	id    uint64
	block []byte // what is left of one
	last  key    // of the block
	e     entry
	hash  uint64
	has   bool
}

// seek goes to the first entry after a key, or the first of all.
func (in *runReader) seek(after key) error {
	if after == nil {
		return in.load(nil)
	}
	if err := in.load(after); err != nil {
		return err
	}
	for in.has && bytes.Compare(in.e.fp, after) <= 0 {
		if err := in.next(); err != nil {
			return err
		}
	}
	return nil
}

// load goes to the first entry of the first block that ends with a key or after it.
func (in *runReader) load(from key) (err error) {
	in.has = false
	if in.block, in.last, err = in.r.block(in.id, make(key, 0, 32), from); err != nil || in.block == nil {
		return err
	}
	return in.next()
}

func (in *runReader) next() (err error) {
	if len(in.block) == 0 {
		if in.last == nil {
			in.has = false
			return nil
		}
		from := append(bytes.Clone(in.last), 0)
		in.last = nil
		return in.load(from)
	}
	if in.e, in.block, err = cutEntry(in.block); err != nil {
		return err
	}
	in.hash, in.has = hashOf(in.e.fp), true
	return nil
}

// deleteGone deletes up to so many values of runs that were merged.
func (t *tx) deleteGone(x *latestIndex, limit int) error {
	for len(x.list.gone) > 0 && limit > 0 {
		prefix := key(nil).int(int64(x.list.gone[0]))
		var keys []key
		c := t.bucket(bBreachRuns).Cursor()
		for k, _ := c.Seek(prefix); k != nil && bytes.HasPrefix(k, prefix) && len(keys) < limit; k, _ = c.Next() {
			keys = append(keys, bytes.Clone(k))
		}
		for _, k := range keys {
			if err := t.delete(bBreachRuns, k); err != nil {
				return err
			}
		}
		if limit -= len(keys); limit > 0 {
			x.list.gone = x.list.gone[1:]
		}
	}
	return nil
}
