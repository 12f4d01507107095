// Package bolt keeps a store in one file of go.etcd.io/bbolt.
//
// One goroutine writes. It gathers the writes that wait into one transaction and
// one fsync, so that the cost of the disk is shared by all that came meanwhile. A
// commit that fails for a reason that leaves open whether it was stored ends the
// process: what failed may be there after a restart, and nothing in the running
// process can tell.
//
// Each value carries a checksum over its bucket's key and itself. Big records stand
// in order of arrival, as pages that are only appended to are written once; what is
// looked up by strangers' names has small indexes.
package bolt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"

	"sitrep/storage"
)

const (
	// defaultGather is how many writes are gathered into one commit at most.
	defaultGather = 1024
	// gatherFor is for how long functions run that are gathered into one commit, until no further
	// one is taken.
	gatherFor = 5 * time.Millisecond
	// gatherBytes is how many bytes are gathered into one commit, until no further
	// write is taken.
	gatherBytes = 8 << 20
	// slowAfter is how long a commit may take until those who wait are told.
	slowAfter = 8 * time.Second
	// leastRoom is how many bytes have to fit once there was no room for a commit.
	leastRoom = 64 << 10
)

// Options are what a DB is opened with. The zero value is fine.
type Options struct {
	// Fatal is called, once, when a commit failed and nobody can say whether it was
	// stored. It must end the process and not return; if nil, it panics.
	Fatal func(error)
	// Observe is told after each commit how many writes it held and how long it took.
	// It is called by the goroutine that writes; nil is fine.
	Observe func(gathered int, commit time.Duration)
	// Upgrading is told while a store of an earlier build is brought up, how much of it is
	// done; nil is fine.
	Upgrading func(done, total int)
	// Unfinished opens a store to copy to it: one that is a copy and not whole yet, too. What is
	// there is not brought up, and no lease is ended.
	Unfinished bool
	// SlowAfter is how long a commit may be under way until writes fail; 8 s if zero.
	SlowAfter time.Duration
}

// A DB is a store in one file. It is safe for use by many goroutines.
type DB struct {
	path     string
	bolt     *bbolt.DB
	file     fs.FileInfo // of the file that is open
	readOnly bool
	version  uint32 // of the stored form
	fatal    func(error)
	observe  func(int, time.Duration)
	// upgrading is Options.Upgrading.
	upgrading func(done, total int)
	patience  time.Duration
	// commit is bbolt's, but for tests.
	commit func(*bbolt.Tx) error

	jobs    chan *job
	closing chan struct{} // closed by Close
	stopped chan struct{} // closed when the writer has stopped
	once    sync.Once
	closed  error
	filters filters
	decoded decoded
	fresh   atomic.Pointer[freshAt]

	mu     sync.Mutex
	slow   time.Time     // since when the group under way is too slow; zero if it is not
	slowly chan struct{} // closed when slow is set
	failed error         // set once a commit was fatal
	full   error         // why the last commit found no room; nil if there is room
	needs  int           // how many bytes of pages that commit needed
	group  int64         // counts the groups
}

var _ storage.Store = (*DB)(nil)

// Open opens the store in the file at path, and creates it if nothing is there. A
// file that is there is never created anew, whatever it holds. If another process
// has it open, Open fails after 2 s. The error is storage.ErrNewer if a newer sitrep
// wrote it, and storage.ErrDamaged if it is not whole or no store at all.
func Open(ctx context.Context, path string, o Options) (*DB, error) {
	if err := create(path); err != nil {
		return nil, fmt.Errorf("create store %q: %w", path, err)
	}
	db, err := open(ctx, path, false, o)
	if err != nil {
		return nil, fmt.Errorf("open store %q: %w", path, err)
	}
	go db.write()
	return db, nil
}

func (db *DB) use(o Options) {
	if o.Fatal != nil {
		db.fatal = o.Fatal
	}
	if o.Observe != nil {
		db.observe = o.Observe
	}
	if o.Upgrading != nil {
		db.upgrading = o.Upgrading
	}
	if o.SlowAfter > 0 {
		db.patience = o.SlowAfter
	}
}

// OpenReadOnly opens the store in the file at path for reading. Many may do so at a
// time, but not while a process has it open for writing. Write fails.
func OpenReadOnly(ctx context.Context, path string) (*DB, error) {
	db, err := open(ctx, path, true, Options{})
	if err != nil {
		return nil, fmt.Errorf("open store %q: %w", path, err)
	}
	close(db.stopped)
	return db, nil
}

// wrap makes a DB of what bbolt opened, without a writer.
func wrap(path string, b *bbolt.DB, file fs.FileInfo, readOnly bool) *DB {
	return &DB{
		path: path, bolt: b, file: file, readOnly: readOnly,
		fatal:     func(err error) { panic(err) },
		observe:   func(int, time.Duration) {},
		upgrading: func(int, int) {},
		patience:  slowAfter,
		commit:    (*bbolt.Tx).Commit,
		jobs:      make(chan *job),
		closing:   make(chan struct{}),
		stopped:   make(chan struct{}),
		slowly:    make(chan struct{}),
	}
}

// Close waits for the commit under way and for the readers, and closes the file, in a
// form in which it is opened quickly.
// Writes that wait fail with storage.ErrUnavailable.
func (db *DB) Close() error {
	db.once.Do(func() {
		close(db.closing)
		<-db.stopped
		err := db.saveFreeList()
		if err == nil {
			err = db.bolt.Close()
		}
		if err != nil {
			db.closed = fmt.Errorf("close store %q: %w", db.path, err)
		}
	})
	return db.closed
}

// Read runs fn on a snapshot. It fails if ctx is done before fn starts. A snapshot
// held for long lets the file grow, and may keep writes waiting when it has grown by
// a GiB; so fn should not wait for others.
func (db *DB) Read(ctx context.Context, fn func(storage.Snapshot) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := db.failure(); err != nil {
		return err
	}
	return db.view(func(r *reader) error { return fn(r) })
}

func (db *DB) view(fn func(*reader) error) (err error) {
	tx, err := db.bolt.Begin(false)
	if err != nil {
		return fmt.Errorf("read store %q: %w", db.path, err)
	}
	defer func() { _ = tx.Rollback() }()
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer damage(db.path, &err)
	r := newReader(tx, db.version)
	r.filters, r.decoded = &db.filters, &db.decoded
	if err := r.seeFresh(&db.fresh); err != nil {
		return err
	}
	return fn(r)
}

// Info says what the engine is and how it fares.
func (db *DB) Info(context.Context) (storage.Info, error) {
	info := storage.Info{Engine: "bbolt", Version: formVersion, Path: db.path}
	db.mu.Lock()
	info.Slow, info.Trouble = db.slow, db.full
	failed := db.failed
	db.mu.Unlock()
	if failed != nil {
		return info, failed
	}
	file, err := db.there()
	if err != nil {
		info.Trouble = db.present()
		return info, db.view(func(r *reader) error { info.Bytes = r.tx.Size(); return nil })
	}
	info.Bytes = file.Size()
	return info, nil
}

// Present implements storage.Store. It returns an error while the file that is open is not the
// one at its path: it was deleted or replaced, and nothing that is stored would last.
func (db *DB) Present(context.Context) error { return db.present() }

func (db *DB) present() error {
	if _, err := db.there(); err != nil {
		return fmt.Errorf("%w: %w", err, storage.ErrUnavailable)
	}
	return nil
}

// there returns the file at the path. The error says that it is no longer the one that is
// open: what is written to that is lost when the process ends.
func (db *DB) there() (fs.FileInfo, error) {
	file, err := os.Stat(db.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = errors.New("its file was deleted while sitrep runs on it, and what is stored goes when sitrep stops: before that take a backup (sitrep storage backup --url) and restore it")
	case err == nil && !os.SameFile(file, db.file):
		err = errors.New("another file was put in its place while sitrep runs on the one before, which goes when sitrep stops: before that take a backup of it (sitrep storage backup --url), or start again to use the other")
	}
	if err != nil {
		return nil, fmt.Errorf("store %q: %w", db.path, err)
	}
	return file, nil
}

// Probe finds out whether there is room again once a commit found none: it stores as
// much as that one had, and deletes it. It does nothing else, and nothing while there is
// room. The error is why there is none.
func (db *DB) Probe(ctx context.Context) error {
	db.mu.Lock()
	full, needs := db.full, db.needs
	db.mu.Unlock()
	if full == nil {
		return nil
	}
	err := db.Write(ctx, func(x storage.Tx) error { return x.(*tx).put(bMeta, probeKey, make([]byte, needs)) })
	if err != nil {
		return err
	}
	return db.Write(ctx, func(x storage.Tx) error { return x.(*tx).delete(bMeta, probeKey) })
}

var probeKey = []byte("probe")

// noteRoom notes whether a commit of so many bytes found room. One of fewer bytes than
// one that found none says nothing: pages of the file that are free have room for it.
func (db *DB) noteRoom(bytes int, full error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	switch {
	case full != nil:
		db.full, db.needs = full, max(bytes, db.needs, leastRoom)
	case bytes >= db.needs:
		db.full, db.needs = nil, 0
	}
}

// Backup writes a consistent copy of the store to what begin returns, which can be
// opened as it is. Begin is called once, with the snapshot that is copied and how many
// bytes that takes. Writes go on meanwhile; a writer that is slow lets the file grow. It
// also works once the file was deleted.
func (db *DB) Backup(ctx context.Context, begin func(r storage.Snapshot, size int64) (io.Writer, error)) (err error) {
	if err := db.failure(); err != nil {
		return err
	}
	tx, err := db.bolt.Begin(false)
	if err != nil {
		return fmt.Errorf("back up store %q: %w", db.path, err)
	}
	defer func() { _ = tx.Rollback() }()
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer damage(db.path, &err)
	r := newReader(tx, db.version)
	if err := r.seeFresh(&db.fresh); err != nil {
		return err
	}
	w, err := begin(r, tx.Size())
	if err != nil {
		return err
	}
	to := &contextWriter{ctx: ctx, w: w}
	if _, err := tx.WriteTo(to); err != nil {
		if to.err != nil {
			err = to.err // bbolt does not wrap it
		}
		return fmt.Errorf("back up store %q: %w", db.path, err)
	}
	return nil
}

// failure returns the error of everything after a fatal commit.
func (db *DB) failure() error {
	db.mu.Lock()
	defer db.mu.Unlock()
	return db.failed
}

// errReadOnly is a write to a store that was opened for reading.
var errReadOnly = errors.New("opened for reading only")

// A contextWriter writes until ctx is done, and keeps the error.
type contextWriter struct {
	ctx context.Context
	w   io.Writer
	err error
}

func (c *contextWriter) Write(p []byte) (n int, err error) {
	if c.err = c.ctx.Err(); c.err == nil {
		n, c.err = c.w.Write(p)
	}
	return n, c.err
}
