package bolt

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"go.etcd.io/bbolt"

	"sitrep/storage"
)

// The states of a job. The writer moves it from taken to committing and back; who
// waits moves it from committing to left.
const (
	taken int32 = iota
	committing
	left // nobody waits any more
)

// A job is one call of Write.
type job struct {
	ctx   context.Context
	fn    func(storage.Tx) error
	wrote bool
	state atomic.Int32
	done  chan result // has room for the one result
}

type result struct {
	err      error
	panicked any // what fn panicked with
	stack    []byte
}

func (j *job) finish(err error) { j.done <- result{err: err} }

// Write hands fn to the writer and waits for the commit. See storage.Store; the
// error of an unknown outcome is storage.ErrUnknown. A panic of fn is passed on.
func (db *DB) Write(ctx context.Context, fn func(storage.Tx) error) error {
	if db.readOnly {
		return fmt.Errorf("write to store %q: %w", db.path, errReadOnly)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	db.mu.Lock()
	slowly, slow, failed := db.slowly, db.slow, db.failed
	db.mu.Unlock()
	if failed != nil {
		return failed
	}
	if !slow.IsZero() {
		return db.stalled()
	}

	// The writer takes a job when it begins with it: before that it is surely not
	// stored.
	j := &job{ctx: ctx, fn: fn, done: make(chan result, 1)}
	select {
	case db.jobs <- j:
	case <-ctx.Done():
		return ctx.Err()
	case <-slowly:
		return db.stalled()
	case <-db.closing:
		return fmt.Errorf("write to store %q: it is closing: %w", db.path, storage.ErrUnavailable)
	case <-db.stopped:
		return fmt.Errorf("write to store %q: it has stopped: %w", db.path, storage.ErrUnavailable)
	}

	gone := ctx.Done()
	for {
		select {
		case r := <-j.done:
			if r.panicked != nil {
				panic(fmt.Sprintf("%v\n\n%s", r.panicked, r.stack))
			}
			return r.err
		case <-slowly:
			slowly = nil
			if j.state.CompareAndSwap(committing, left) {
				return fmt.Errorf("write to store %q: the disk has not answered for %v: %w", db.path, db.patience, storage.ErrUnknown)
			}
		case <-gone:
			gone = nil
			// Before the commit, the writer sees that ctx is done and leaves the job out. A
			// deadline is kept even then; who has merely left can be told the truth.
			if errors.Is(ctx.Err(), context.DeadlineExceeded) && j.state.CompareAndSwap(committing, left) {
				return fmt.Errorf("write to store %q: %w during the commit: %w", db.path, ctx.Err(), storage.ErrUnknown)
			}
		case <-db.stopped:
			select {
			case r := <-j.done:
				return r.err
			default:
				return fmt.Errorf("write to store %q: the writer has stopped: %w", db.path, storage.ErrUnknown)
			}
		}
	}
}

func (db *DB) stalled() error {
	return fmt.Errorf("write to store %q: the disk has not answered for %v: %w", db.path, db.patience, storage.ErrUnavailable)
}

// write takes jobs and commits them, group by group, until the DB closes.
func (db *DB) write() {
	defer close(db.stopped)
	debug.SetPanicOnFault(true)
	w := writer{db: db, limit: defaultGather}
	for {
		if len(w.waiting) == 0 {
			j := w.next()
			if j == nil {
				return
			}
			w.waiting = append(w.waiting, j)
		}
		if !w.group() {
			return
		}
	}
}

// A writer is the state of the goroutine that writes.
type writer struct {
	db *DB
	// waiting are jobs that were taken and not yet committed, as their transaction was
	// rolled back because of another.
	waiting []*job
	// limit is how many jobs are gathered. It is halved when a transaction had to be
	// rolled back, so that jobs that fail cost the others little.
	limit int
	slabs slabs
	// large is set while commits have so much that what they change is not fresh.
	large bool
	// poured is what was fresh when it was to go to its buckets.
	poured *freshAt
}

// next waits for a job, and returns nil once the DB closes. Where much is fresh and nobody writes for a moment, it is
// one of its own: that brings it to its buckets, so that the next who comes need not.
func (w *writer) next() *job {
	var rest <-chan time.Time
	is := w.db.fresh.Load()
	if is != nil && is != w.poured && is.size > freshLimit/2 {
		timer := time.NewTimer(restFor)
		defer timer.Stop()
		rest = timer.C
	}
	select {
	case j := <-w.db.jobs:
		return j
	case <-w.db.closing:
		return nil
	case <-rest:
		w.poured = is // once, as there may be no room
		return &job{ctx: context.Background(), done: make(chan result, 1), fn: func(x storage.Tx) error {
			t := x.(*tx)
			t.keeps = false
			t.writes++
			return nil
		}}
	}
}

// group runs and commits one group of jobs, and reports whether the writer can go
// on.
func (w *writer) group() bool {
	db := w.db
	defer db.watch()()

	btx, err := db.bolt.Begin(true)
	if err != nil {
		for _, j := range w.waiting {
			j.finish(fmt.Errorf("write to store %q: %w: %w", db.path, err, storage.ErrUnavailable))
		}
		w.waiting = nil
		return true
	}
	t := newTx(btx)
	t.filters, t.decoded = &db.filters, &db.decoded
	w.slabs.used = 0
	t.slabs = &w.slabs
	id := int64(btx.ID())
	if err := w.fresh(t); err != nil {
		for _, j := range w.waiting {
			j.finish(err)
		}
		w.waiting = nil
		return db.rollback(btx)
	}

	var group []*job
	again := func() bool { // after the transaction of group is not to be committed
		w.waiting = append(group, w.waiting...)
		return db.rollback(btx)
	}
	for began, n := time.Now(), 0; n < w.limit && t.bytes < gatherBytes && (n == 0 || time.Since(began) < gatherFor); n++ {
		j := w.take()
		if j == nil {
			break
		}
		if err := j.ctx.Err(); err != nil {
			j.finish(err)
			continue
		}
		before := t.writes
		r := db.run(j, t)
		j.wrote = t.writes != before
		if r.err == nil && r.panicked == nil {
			group = append(group, j)
			continue
		}
		j.done <- r
		if j.wrote {
			w.limit = max(1, len(group)/2)
			return again()
		}
	}

	if t.writes == 0 {
		ok := db.rollback(btx)
		for _, j := range group {
			j.finish(nil)
		}
		return ok
	}

	// From here on a job can be left by who waits for it, and no longer be left out.
	stay := group[:0:0]
	gone := false
	for _, j := range group {
		j.state.Store(committing)
		if err := j.ctx.Err(); err != nil {
			j.state.Store(taken)
			j.finish(err)
			gone = gone || j.wrote
			continue
		}
		stay = append(stay, j)
	}
	group = stay
	db.mu.Lock()
	slow := db.slow
	db.mu.Unlock()
	if !slow.IsZero() {
		for _, j := range group {
			j.state.Store(taken)
			j.finish(db.stalled())
		}
		return db.rollback(btx)
	}
	if gone {
		for _, j := range group {
			j.state.Store(taken)
		}
		return again()
	}

	if _, err := db.there(); err != nil {
		for _, j := range group {
			j.state.Store(taken)
			j.finish(fmt.Errorf("write to %w: %w", err, storage.ErrUnavailable))
		}
		return db.rollback(btx)
	}
	if err := db.flush(t); err != nil {
		for _, j := range group {
			j.state.Store(taken)
			j.finish(err)
		}
		return db.rollback(btx)
	}
	start := time.Now()
	err = db.try(btx)
	if err == nil {
		db.fresh.Store(&freshAt{int(id), t.fresh})
		w.large = t.bytes >= freshLeast
		db.observe(len(group), time.Since(start))
		db.noteRoom(allocated(btx), nil)
		var gone error
		if _, err := db.there(); err != nil { // it went away on the way
			gone = fmt.Errorf("write to %w: %w", err, storage.ErrUnknown)
		}
		for _, j := range group {
			j.finish(gone)
		}
		w.limit = min(2*w.limit, defaultGather)
		return true
	}
	if full := db.noRoom(err, id); full != nil {
		db.noteRoom(allocated(btx), full)
		for _, j := range group {
			j.finish(full)
		}
		return true
	}
	db.fail(fmt.Errorf("commit to store %q: %w: %w", db.path, err, storage.ErrUnknown))
	for _, j := range group {
		j.finish(db.failure())
	}
	return false
}

// allocated returns how many bytes of pages a transaction needed that was committed, or
// was to be.
func allocated(btx *bbolt.Tx) int {
	stats := btx.Stats()
	return int(stats.GetPageAlloc())
}

// take returns the next job that waits, nil if none does.
func (w *writer) take() *job {
	if len(w.waiting) > 0 {
		j := w.waiting[0]
		w.waiting = w.waiting[1:]
		return j
	}
	select {
	case j := <-w.db.jobs:
		return j
	default:
		return nil
	}
}

// run calls a job's function. A panic is for who waits, not for the writer.
func (db *DB) run(j *job, t *tx) (r result) {
	defer func() {
		if p := recover(); p != nil {
			r = result{panicked: p, stack: debug.Stack()}
			if damaged(p) {
				r = result{err: fmt.Errorf("write to store %q: %v: %w", db.path, p, storage.ErrDamaged)}
			}
			t.writes++ // whatever it was about to write may be half there
		}
	}()
	t.given = 0
	return result{err: j.fn(t)}
}

// fresh lets what a transaction changes be fresh, unless much is likely to.
func (w *writer) fresh(t *tx) (err error) {
	defer damage(w.db.path, &err)
	if err := t.ownFresh(&w.db.fresh); err != nil {
		return fmt.Errorf("write to store %q: %w", w.db.path, err)
	}
	t.keeps = !w.large
	return nil
}

// flush completes what the functions of a group wrote.
func (db *DB) flush(t *tx) (err error) {
	defer damage(db.path, &err)
	if err := t.flush(); err != nil {
		return fmt.Errorf("write to store %q: %w", db.path, err)
	}
	return nil
}

// try commits. A panic is an error of unknown outcome, as any that it does not know.
func (db *DB) try(btx *bbolt.Tx) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return db.commit(btx)
}

// rollback gives a transaction up, and reports whether the writer can go on.
func (db *DB) rollback(btx *bbolt.Tx) (ok bool) {
	defer func() {
		if p := recover(); p != nil {
			db.fail(fmt.Errorf("roll back in store %q: panic: %v: %w", db.path, p, storage.ErrUnavailable))
			ok = false
		}
	}()
	if err := btx.Rollback(); err != nil {
		db.fail(fmt.Errorf("roll back in store %q: %w: %w", db.path, err, storage.ErrUnavailable))
		return false
	}
	return true
}

// noRoom returns the error for the writes of a commit that failed because there was
// no room, nil if it failed for another reason. Only a write, or growing the file
// before it, can fail so without leaving the outcome open, and only before the head of
// the file was written: the transaction that failed is not the latest then.
func (db *DB) noRoom(err error, id int64) error {
	cause := err
	var p *fs.PathError
	switch {
	case errors.As(err, &p):
		cause = p.Err
		if p.Op != "write" || !errors.Is(cause, syscall.ENOSPC) && !errors.Is(cause, syscall.EDQUOT) && !errors.Is(cause, syscall.EFBIG) {
			return nil
		}
	case !strings.HasPrefix(err.Error(), "file resize error: "): // bbolt does not wrap this one
		return nil
	}
	var latest int64
	if err := db.view(func(r *reader) error { latest = int64(r.tx.ID()); return nil }); err != nil || latest >= id {
		return nil
	}
	free := "unknown"
	if n, err := Free(db.path); err == nil {
		free = fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Errorf("write to store %q: %w (free space: %s); make room there: %w", db.path, cause, free, storage.ErrUnavailable)
}

// fail notes that nothing can be said of the store any more, and ends the process.
func (db *DB) fail(err error) {
	db.mu.Lock()
	db.failed = err
	db.mu.Unlock()
	db.fatal(err)
}

// watch sets Slow if the group that begins is not done in time. The function that
// it returns ends the watch.
func (db *DB) watch() (end func()) {
	start := time.Now()
	db.mu.Lock()
	db.group++
	group := db.group
	db.mu.Unlock()
	timer := time.AfterFunc(db.patience, func() {
		db.mu.Lock()
		defer db.mu.Unlock()
		if db.group == group {
			db.slow = start.UTC().Truncate(time.Microsecond)
			close(db.slowly)
		}
	})
	return func() {
		timer.Stop()
		db.mu.Lock()
		defer db.mu.Unlock()
		db.group++
		if !db.slow.IsZero() {
			db.slow = time.Time{}
			db.slowly = make(chan struct{})
		}
	}
}
