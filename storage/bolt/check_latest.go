package bolt

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// checkRecent looks at what came last, and at the list of runs: that each run has as many
// entries as that says.
func (r *reader) checkRecent(k, v []byte) error {
	if bytes.Equal(k, recentKey) {
		return r.checkEntries(bBreachRecent, k, v, nil)
	}
	list, err := cutRunList(v)
	if err != nil {
		return wrong(bBreachRecent, k, err.Error())
	}
	for _, of := range list.runs {
		in := &runReader{r: r, id: of.id}
		n := 0
		for err = in.seek(nil); err == nil && in.has; err = in.next() {
			n++
		}
		if err == nil && n != of.count {
			err = fmt.Errorf("run %d has %d of %d entries", of.id, n, of.count)
		}
		if err != nil {
			return wrong(bBreachRecent, k, err.Error())
		}
		if f, err := r.readFilter(of); err != nil || f == nil {
			return wrong(bBreachRecent, k, fmt.Sprintf("the filter of run %d is damaged", of.id))
		}
	}
	return nil
}

// checkRun looks at a block of a run, if it is in use.
func (r *reader) checkRun(k, v []byte) error {
	if len(k) < 9 {
		return wrong(bBreachRuns, k, "malformed")
	}
	x, err := r.index()
	if err != nil || k[8] != runBlock {
		return err
	}
	id := binary.BigEndian.Uint64(k)
	for i, of := range x.list.runs {
		if of.id == id {
			return r.checkEntries(bBreachRuns, k, v, x.filters[i])
		}
	}
	return nil // of a merge that is under way, or to be deleted
}

// checkEntries makes sure that entries are in order, that the filter knows of each, and
// that what the latest of a fingerprint names is there.
func (r *reader) checkEntries(id bucketID, k, block []byte, f filter) error {
	var last key
	for rest := block; len(rest) > 0; {
		var e entry
		var err error
		if e, rest, err = cutEntry(rest); err != nil {
			return wrong(id, k, err.Error())
		}
		if last != nil && bytes.Compare(last, e.fp) >= 0 {
			return wrong(id, k, "its fingerprints are in the wrong order")
		}
		last = e.fp
		if !f.has(hashOf(e.fp)) {
			return wrong(id, k, "the filter of its run does not know of it")
		}
		if e.gone {
			continue
		}
		is, found, err := r.find(e.fp, "")
		if err != nil {
			return err
		}
		if !found || is != e.latest {
			continue // a later one holds
		}
		b, err := r.get(bBreaches, e.place.key())
		if err != nil {
			return err
		}
		if b == nil {
			return wrong(id, k, "what it names is missing in breaches")
		}
	}
	if id == bBreachRuns && !bytes.Equal(last, k[9:]) {
		return wrong(id, k, "it does not end with its key")
	}
	return nil
}
