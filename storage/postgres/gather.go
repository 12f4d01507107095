package postgres

import (
	"context"
	"errors"
	"slices"
	"sync"

	"sitrep/storage"
)

const (
	// gatherers is how many transactions that several writes share are under way at most: while one
	// commits, the next is put together.
	gatherers = 4
	// gatherMost is how many writes share one at most.
	gatherMost = 64
)

// A gatherer lets writes that come at the same time share transactions, see storage.Together. One that
// comes while fewer than gatherers are under way does not wait, and has one for itself.
type gatherer struct {
	db      *DB
	mu      sync.Mutex
	running int
	waiting []*job
}

// A job is a write that is to be done.
type job struct {
	ctx  context.Context
	fn   func(storage.Tx) error
	lead chan []*job   // is sent the group that it leads, itself first
	end  chan struct{} // closed once it is over
	// What became of it, once it is over: alone if it is to be run in a transaction of its own.
	alone bool
	err   error
}

// write is Write of a write that may share a transaction.
func (g *gatherer) write(ctx context.Context, fn func(storage.Tx) error) error {
	j := &job{ctx: ctx, fn: fn, lead: make(chan []*job, 1), end: make(chan struct{})}
	g.mu.Lock()
	if g.running < gatherers {
		g.running++
		j.lead <- []*job{j}
	} else {
		g.waiting = append(g.waiting, j)
	}
	g.mu.Unlock()
	select {
	case group := <-j.lead:
		return g.run(j, group)
	case <-j.end:
	case <-ctx.Done():
		if g.leave(j) {
			return ctx.Err()
		}
		select {
		case group := <-j.lead:
			return g.run(j, group)
		case <-j.end:
		}
	}
	return g.result(j)
}

// run runs a group as one that leads it, and hands on to the next.
func (g *gatherer) run(j *job, group []*job) error {
	defer g.next()
	if len(group) == 1 {
		return g.db.writeAlone(j.ctx, j.fn)
	}
	g.db.runGroup(group)
	return g.result(j)
}

// result returns what became of a job that is over.
func (g *gatherer) result(j *job) error {
	if j.alone {
		return g.db.writeAlone(j.ctx, j.fn)
	}
	return j.err
}

// leave takes a job back whose turn has not come, and reports whether that could be.
func (g *gatherer) leave(j *job) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	i := slices.Index(g.waiting, j)
	if i >= 0 {
		g.waiting = slices.Delete(g.waiting, i, i+1)
	}
	return i >= 0
}

// next lets the first of those that wait lead them.
func (g *gatherer) next() {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := min(len(g.waiting), gatherMost)
	if n == 0 {
		g.running--
		return
	}
	group := slices.Clone(g.waiting[:n])
	g.waiting = slices.Delete(g.waiting, 0, n)
	group[0].lead <- group
}

// finish says what became of a job.
func (j *job) finish(err error) {
	j.err = err
	close(j.end)
}

// apart lets a job be run in a transaction of its own.
func (j *job) apart() {
	j.alone = true
	close(j.end)
}

// runGroup runs jobs in one transaction, and says what became of each. Where one of them spoils that
// each is run by itself.
func (db *DB) runGroup(group []*job) {
	for again := true; again; {
		group = slices.DeleteFunc(group, func(j *job) bool {
			err := db.ready(j.ctx)
			if err != nil {
				j.finish(err)
			}
			return err != nil
		})
		if again = len(group) > 1; again {
			group, again = db.tryGroup(group)
		}
	}
	for _, j := range group {
		j.apart()
	}
}

// tryGroup runs the jobs of a group in one transaction. It returns those that are not over, and
// whether they may share one once more, without those that have left.
func (db *DB) tryGroup(group []*job) (rest []*job, again bool) {
	s := db.newWrite(context.Background(), classWrite)
	defer s.end()
	t := newTx(s, false)
	w := newTogether(t)
	defer w.dismiss()
	var members []*turn
	for _, j := range group {
		if turn := w.start(j); !turn.done {
			members = append(members, turn)
		} else {
			rest = append(rest, j)
		}
	}
	if len(members) < 2 || s.writes > 0 {
		return group, false
	}
	if err := w.prepare(members); err != nil {
		return db.failed(group, err), false
	}
	for _, m := range members {
		before, leased := s.writes, w.leased(m)
		w.resume(m)
		switch {
		case s.err != nil:
			return db.failed(group, s.err), false
		case m.spoilt, m.err != nil && (leased || s.writes > before):
			return group, false // what it wrote is not to be stored
		}
		t.sendAhead()
	}
	if slices.ContainsFunc(members, func(m *turn) bool { return m.job.ctx.Err() != nil }) {
		return group, true
	}
	err := t.finish()
	if err == nil {
		err = s.commit()
	}
	if err != nil {
		return db.failed(group, err), false
	}
	if t.leaves {
		db.wakeSequencer()
	}
	for _, m := range members {
		m.job.finish(m.err)
	}
	return rest, false
}

// failed returns those of a group that failed as a whole that may fare better by themselves: all, if
// nothing was stored and the database is there.
func (db *DB) failed(group []*job, err error) []*job {
	if errors.Is(err, errTooLong) || !errors.Is(err, storage.ErrUnavailable) && !errors.Is(err, storage.ErrUnknown) {
		return group
	}
	for _, j := range group {
		j.finish(err)
	}
	return nil
}
