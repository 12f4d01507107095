package bolt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"sitrep/storage"
)

// soon is how long a test waits for what takes milliseconds before it says that it hangs.
const soon = 5 * time.Second

// ends reports whether f ends soon.
func ends(f func()) bool {
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	select {
	case <-done:
		return true
	case <-time.After(soon):
		return false
	}
}

// TestEveryWriteIsAnsweredOnce: whatever becomes of the writes of a group, each of those
// who wait hears it, and the writer goes on.
func TestEveryWriteIsAnsweredOnce(t *testing.T) {
	broken, panics := errors.New("broken"), errors.New("a panic")
	store := func(_ *DB, tx storage.Tx) error {
		return tx.PutAlive(t.Context(), storage.Replica{Owner: "a", SeenAt: noon})
	}
	type write struct {
		fn   func(db *DB, tx storage.Tx) error
		want error // nil: it is stored
	}
	// The contexts of all writes of a case; those that run later may end those before.
	var cancel []context.CancelFunc
	for _, c := range []struct {
		name   string
		commit func(db *DB, tx *bbolt.Tx) error
		writes []write
		ends   bool // the process
	}{
		{name: "all are stored", writes: []write{{store, nil}, {store, nil}, {store, nil}}},
		{name: "none writes anything", writes: []write{
			{func(*DB, storage.Tx) error { return nil }, nil}, {func(*DB, storage.Tx) error { return nil }, nil},
		}},
		{name: "one fails before it wrote", writes: []write{{store, nil}, {func(*DB, storage.Tx) error { return broken }, broken}, {store, nil}}},
		{name: "one fails after it wrote", writes: []write{
			{store, nil}, {func(db *DB, tx storage.Tx) error { return errors.Join(store(db, tx), broken) }, broken}, {store, nil},
		}},
		{name: "one panics", writes: []write{{store, nil}, {func(*DB, storage.Tx) error { panic(panics) }, panics}, {store, nil}}},
		{name: "one leaves after it ran, and again it is its turn as another fails", writes: []write{
			{store, context.Canceled},
			{func(db *DB, tx storage.Tx) error { cancel[0](); return errors.Join(store(db, tx), broken) }, broken},
			{store, nil},
		}},
		{name: "one leaves after it ran, before the commit", writes: []write{
			{store, context.Canceled}, {func(db *DB, tx storage.Tx) error { cancel[0](); return store(db, tx) }, nil}, {store, nil},
		}},
		{name: "all are held too long", writes: []write{
			{store, storage.ErrUnavailable},
			{func(db *DB, tx storage.Tx) error {
				db.mu.Lock()
				slowly := db.slowly
				db.mu.Unlock()
				<-slowly
				return store(db, tx)
			}, storage.ErrUnavailable},
		}},
		{
			name: "the disk is full", commit: func(_ *DB, tx *bbolt.Tx) error {
				_ = tx.Rollback()
				return &fs.PathError{Op: "write", Path: "sitrep.db", Err: syscall.ENOSPC}
			},
			writes: []write{{store, storage.ErrUnavailable}, {store, storage.ErrUnavailable}},
		},
		{
			name: "the file is gone", writes: []write{
				{func(db *DB, tx storage.Tx) error { return errors.Join(store(db, tx), os.Remove(db.path)) }, storage.ErrUnavailable},
				{store, storage.ErrUnavailable},
			},
		},
		{
			name: "the file goes away during the commit", commit: func(db *DB, tx *bbolt.Tx) error { return errors.Join(tx.Commit(), os.Remove(db.path)) },
			writes: []write{{store, storage.ErrUnknown}, {store, storage.ErrUnknown}},
		},
		{
			name: "nobody knows whether it is stored", commit: func(_ *DB, tx *bbolt.Tx) error { _ = tx.Rollback(); return syscall.EIO },
			writes: []write{{store, storage.ErrUnknown}, {store, storage.ErrUnknown}}, ends: true,
		},
	} {
		if !t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "sitrep.db")
			if err := create(path); err != nil {
				t.Fatal(err)
			}
			db, err := open(t.Context(), path, false, Options{})
			if err != nil {
				t.Fatal(err)
			}
			db.use(Options{SlowAfter: 50 * time.Millisecond, Fatal: func(error) {}})
			if c.commit != nil {
				db.commit = func(tx *bbolt.Tx) error { return c.commit(db, tx) }
			}
			w := writer{db: db, limit: defaultGather}
			cancel = nil
			jobs := make([]*job, len(c.writes))
			for i := range c.writes {
				ctx, stop := context.WithCancel(t.Context())
				cancel = append(cancel, stop)
				jobs[i] = &job{ctx: ctx, fn: func(tx storage.Tx) error { return c.writes[i].fn(db, tx) }, done: make(chan result, 1)}
			}
			w.waiting = append(w.waiting, jobs...)
			goesOn := true
			if !ends(func() {
				for goesOn && len(w.waiting) > 0 {
					goesOn = w.group()
				}
			}) {
				t.Fatal("the writer hangs, and with it all who write from now on: a transaction was not given up, or somebody is answered twice")
			}
			if goesOn == c.ends {
				t.Errorf("the writer goes on: %t", goesOn)
			}
			for i, j := range jobs {
				select {
				case r := <-j.done:
					got := r.err
					if r.panicked != nil {
						got = fmt.Errorf("%w", r.panicked.(error))
					}
					if !errors.Is(got, c.writes[i].want) {
						t.Errorf("write %d of %d was answered %v, want %v", i+1, len(jobs), got, c.writes[i].want)
					}
				default:
					t.Errorf("write %d of %d was never answered: who made it waits for ever", i+1, len(jobs))
				}
			}
			if !ends(func() { _ = db.bolt.Close() }) {
				t.Error("the file cannot be closed: a transaction was not given up")
			}
		}) {
			return // it may hang in each case
		}
	}
}

// TestClosingEnds: what was read before holds the file for ever only if a transaction was
// not given up, and then the process would not end.
func TestClosingEnds(t *testing.T) {
	broken := errors.New("broken")
	read := func(fn func(storage.Snapshot) error) func(*DB) {
		return func(db *DB) { _ = db.Read(context.Background(), fn) }
	}
	for name, use := range map[string]func(*DB){
		"after nothing":            func(*DB) {},
		"after a read":             read(func(storage.Snapshot) error { return nil }),
		"after a read that failed": read(func(storage.Snapshot) error { return broken }),
		"after a read that panicked": func(db *DB) {
			defer func() { _ = recover() }()
			read(func(storage.Snapshot) error { panic(broken) })(db)
		},
		"after a write that failed": func(db *DB) {
			_ = db.Write(context.Background(), func(tx storage.Tx) error {
				return errors.Join(tx.PutAlive(t.Context(), storage.Replica{Owner: "a", SeenAt: noon}), broken)
			})
		},
		"after a backup that did not begin": func(db *DB) {
			_ = db.Backup(context.Background(), func(storage.Snapshot, int64) (io.Writer, error) { return nil, broken })
		},
		"after a backup whose reader left": func(db *DB) {
			ctx, cancel := context.WithCancel(context.Background())
			_ = db.Backup(ctx, func(storage.Snapshot, int64) (io.Writer, error) { cancel(); return io.Discard, nil })
		},
	} {
		if !t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "sitrep.db")
			db, err := Open(t.Context(), path, Options{})
			if err != nil {
				t.Fatal(err)
			}
			use(db)
			if !ends(func() { _ = db.Close() }) {
				t.Fatal("Close waits for ever")
			}
			reader, err := OpenReadOnly(t.Context(), path)
			if err != nil {
				t.Fatal(err)
			}
			use(reader)
			if !ends(func() { _ = reader.Close() }) {
				t.Fatal("Close waits for ever where it was opened for reading only")
			}
		}) {
			return // it may hang in each case
		}
	}
}
