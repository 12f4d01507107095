package bolt

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/bbolt"

	"sitrep/storage"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// fatalities are the errors that Fatal was called with.
type fatalities struct {
	mu  sync.Mutex
	all []error
}

func (f *fatalities) add(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all = append(f.all, err)
}

func (f *fatalities) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.all)
}

// openWith opens a store whose commits go through commit, which may be nil.
func openWith(t *testing.T, o Options, commit func(*bbolt.Tx) error) *DB {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sitrep.db")
	if err := create(path); err != nil {
		t.Fatal(err)
	}
	db, err := open(t.Context(), path, false, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if commit != nil {
		db.commit = commit
	}
	db.use(o)
	go db.write()
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func putAlive(ctx context.Context, at time.Time) func(storage.Tx) error {
	return func(tx storage.Tx) error { return tx.PutAlive(ctx, storage.Replica{Owner: "a", SeenAt: at}) }
}

func alive(t *testing.T, db *DB) (at time.Time) {
	t.Helper()
	err := db.Read(t.Context(), func(r storage.Snapshot) (err error) {
		at, err = r.Alive(t.Context())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func TestACommitOfUnknownOutcomeEndsTheProcess(t *testing.T) {
	for name, commit := range map[string]func(*bbolt.Tx) error{
		"an error":                            func(tx *bbolt.Tx) error { _ = tx.Rollback(); return errors.New("input/output error") },
		"an error of a sync":                  func(tx *bbolt.Tx) error { _ = tx.Rollback(); return syscall.EIO },
		"a full disk at a sync":               func(tx *bbolt.Tx) error { _ = tx.Rollback(); return syscall.ENOSPC },
		"another error of a write":            func(tx *bbolt.Tx) error { _ = tx.Rollback(); return &fs.PathError{Op: "write", Err: syscall.EIO} },
		"a panic":                             func(tx *bbolt.Tx) error { _ = tx.Rollback(); panic("page 2 already freed") },
		"a full disk after the head was made": func(tx *bbolt.Tx) error { _ = tx.Commit(); return &fs.PathError{Op: "write", Err: syscall.ENOSPC} },
	} {
		t.Run(name, func(t *testing.T) {
			var dead fatalities
			db := openWith(t, Options{Fatal: dead.add}, commit)
			err := db.Write(t.Context(), putAlive(t.Context(), noon))
			if !errors.Is(err, storage.ErrUnknown) || errors.Is(err, storage.ErrUnavailable) {
				t.Errorf("write: %v", err)
			}
			if dead.count() != 1 {
				t.Errorf("fatal was called %d times", dead.count())
			}
			for range 3 {
				if err := db.Write(t.Context(), putAlive(t.Context(), noon)); err == nil {
					t.Error("a later write: no error")
				}
			}
			if err := db.Read(t.Context(), func(storage.Snapshot) error { return nil }); err == nil {
				t.Error("read: no error")
			}
			if _, err := db.Info(t.Context()); err == nil {
				t.Error("info: no error")
			}
			if dead.count() != 1 {
				t.Errorf("fatal was called %d times", dead.count())
			}
		})
	}
}

func TestAFileThatMayNotGrowIsUnavailable(t *testing.T) {
	db := openWith(t, Options{Fatal: func(err error) { t.Errorf("fatal: %v", err) }}, func(tx *bbolt.Tx) error {
		_ = tx.Rollback()
		return errors.New("file resize error: truncate sitrep.db: file too large")
	})
	if err := db.Write(t.Context(), putAlive(t.Context(), noon)); !errors.Is(err, storage.ErrUnavailable) {
		t.Errorf("write: %v", err)
	}
}

func TestAFullDiskIsUnavailableUntilThereIsRoom(t *testing.T) {
	full := true
	var dead fatalities
	db := openWith(t, Options{Fatal: dead.add}, func(tx *bbolt.Tx) error {
		if full {
			_ = tx.Rollback()
			return &fs.PathError{Op: "write", Path: "sitrep.db", Err: syscall.ENOSPC}
		}
		return tx.Commit()
	})
	err := db.Write(t.Context(), putAlive(t.Context(), noon))
	if !errors.Is(err, storage.ErrUnavailable) || errors.Is(err, storage.ErrUnknown) {
		t.Errorf("write: %v", err)
	}
	for _, word := range []string{db.path, "no space left", "free"} {
		if !strings.Contains(fmt.Sprint(err), word) {
			t.Errorf("the error does not say %q: %v", word, err)
		}
	}
	if at := alive(t, db); !at.IsZero() {
		t.Errorf("alive %v", at)
	}
	full = false
	if err := db.Write(t.Context(), putAlive(t.Context(), noon)); err != nil {
		t.Errorf("with room: %v", err)
	}
	if dead.count() != 0 {
		t.Error("fatal was called")
	}
}

// A file that goes away while a commit is under way: the disk has it, and nobody will
// ever find it.
func TestACommitToAFileThatGoesAwayIsUnknown(t *testing.T) {
	var db *DB
	db = openWith(t, Options{Fatal: func(err error) { t.Errorf("fatal: %v", err) }}, func(tx *bbolt.Tx) error {
		err := tx.Commit()
		return errors.Join(err, os.Remove(db.path))
	})
	if err := db.Write(t.Context(), putAlive(t.Context(), noon)); !errors.Is(err, storage.ErrUnknown) || errors.Is(err, storage.ErrUnavailable) {
		t.Errorf("write: %v", err)
	}
}

// A commit of some bytes says that there is room for as many, and not for more.
func TestThereIsRoomOnceAsMuchWasStored(t *testing.T) {
	room := 1 << 20
	var dead fatalities
	db := openWith(t, Options{Fatal: dead.add}, nil)
	size := 0
	db.commit = func(tx *bbolt.Tx) error {
		if size > room {
			_ = tx.Rollback()
			return &fs.PathError{Op: "write", Path: "sitrep.db", Err: syscall.ENOSPC}
		}
		return tx.Commit()
	}
	write := func(bytes int) error {
		size = bytes
		return db.Write(t.Context(), func(x storage.Tx) error { return x.(*tx).put(bMeta, probeKey, make([]byte, bytes)) })
	}
	trouble := func() error {
		info, err := db.Info(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return info.Trouble
	}
	if err := write(2 << 20); !errors.Is(err, storage.ErrUnavailable) || !errors.Is(trouble(), storage.ErrUnavailable) {
		t.Fatalf("full: %v, %v", err, trouble())
	}
	if err := write(1000); err != nil || trouble() == nil {
		t.Errorf("a small one: %v, %v", err, trouble())
	}
	size = 2 << 20
	if err := db.Probe(t.Context()); !errors.Is(err, storage.ErrUnavailable) || trouble() == nil {
		t.Errorf("a probe while it is full: %v, %v", err, trouble())
	}
	size = 0
	if err := db.Probe(t.Context()); err != nil || trouble() != nil {
		t.Errorf("a probe with room: %v, %v", err, trouble())
	}
	err := db.Read(t.Context(), func(r storage.Snapshot) error {
		left, err := r.(*reader).get(bMeta, probeKey)
		if left != nil {
			t.Errorf("the probe left %d bytes", len(left))
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if dead.count() != 0 {
		t.Error("fatal was called")
	}
}

// gate holds commits back until it is opened.
type gate struct {
	entered chan struct{}
	leave   chan struct{}
}

func newGate() *gate { return &gate{make(chan struct{}, 1000), make(chan struct{})} }

func (g *gate) commit(tx *bbolt.Tx) error {
	g.entered <- struct{}{}
	<-g.leave
	return tx.Commit()
}

func TestWritesThatWaitAreGathered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		var gathered []int
		db := openWith(t, Options{Observe: func(n int, _ time.Duration) { gathered = append(gathered, n) }}, g.commit)
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() {
				if err := db.Write(t.Context(), putAlive(t.Context(), noon.Add(time.Duration(i)*time.Second))); err != nil {
					t.Errorf("write: %v", err)
				}
			})
			if i == 0 {
				<-g.entered // the others come during the commit of the first
			}
		}
		synctest.Wait()
		close(g.leave)
		wg.Wait()
		if len(gathered) != 2 || gathered[0] != 1 || gathered[1] != 99 {
			t.Errorf("gathered %v", gathered)
		}
	})
}

func TestOneThatFailsAfterItWroteCostsTheOthersNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		var dead fatalities
		db := openWith(t, Options{Fatal: dead.add}, g.commit)
		broken := errors.New("broken")
		runs := make([]int, 40)
		var wg sync.WaitGroup
		wg.Go(func() { _ = db.Write(t.Context(), putAlive(t.Context(), noon)) })
		<-g.entered
		for i := range runs {
			wg.Go(func() {
				err := db.Write(t.Context(), func(tx storage.Tx) error {
					runs[i]++
					if err := storage.PutOutage(t.Context(), tx, storage.Outage{From: noon.Add(time.Duration(i) * time.Hour)}); err != nil {
						return err
					}
					if i%4 == 3 {
						return broken
					}
					return nil
				})
				if want := i%4 == 3; want != errors.Is(err, broken) {
					t.Errorf("write %d: %v", i, err)
				}
			})
			synctest.Wait()
		}
		close(g.leave)
		wg.Wait()
		err := db.Read(t.Context(), func(r storage.Snapshot) error {
			all, err := storage.Outages(t.Context(), r, 100)
			if len(all) != 30 {
				t.Errorf("%d are stored", len(all))
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
		most := 0
		for i, n := range runs {
			if i%4 == 3 && n != 1 {
				t.Errorf("one that fails ran %d times", n)
			}
			most = max(most, n)
		}
		if most < 2 || most > 8 {
			t.Errorf("one ran %d times", most)
		}
	})
}

func TestASlowCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		db := openWith(t, Options{}, g.commit)
		begin := time.Now()
		errs := make(chan error, 3)
		go func() { errs <- db.Write(t.Context(), putAlive(t.Context(), noon)) }()
		<-g.entered
		go func() { errs <- db.Write(t.Context(), putAlive(t.Context(), noon.Add(time.Hour))) }()

		time.Sleep(slowAfter - time.Millisecond)
		if info, _ := db.Info(t.Context()); !info.Slow.IsZero() {
			t.Errorf("slow since %v", info.Slow)
		}
		for range 2 {
			switch err := <-errs; {
			case errors.Is(err, storage.ErrUnknown) == errors.Is(err, storage.ErrUnavailable):
				t.Errorf("write: %v", err)
			}
		}
		if passed := time.Since(begin); passed != slowAfter {
			t.Errorf("told after %v", passed)
		}
		if info, _ := db.Info(t.Context()); !info.Slow.Equal(begin) {
			t.Errorf("slow since %v, want %v", info.Slow, begin)
		}
		if err := db.Write(t.Context(), putAlive(t.Context(), noon)); !errors.Is(err, storage.ErrUnavailable) {
			t.Errorf("a write meanwhile: %v", err)
		}
		if at := alive(t, db); !at.IsZero() {
			t.Errorf("a read meanwhile: %v", at)
		}

		close(g.leave)
		synctest.Wait()
		if info, _ := db.Info(t.Context()); !info.Slow.IsZero() {
			t.Errorf("still slow since %v", info.Slow)
		}
		if at := alive(t, db); !at.Equal(noon) {
			t.Errorf("what was under way: %v", at)
		}
		if err := db.Write(t.Context(), putAlive(t.Context(), noon.Add(time.Minute))); err != nil {
			t.Errorf("a write afterwards: %v", err)
		}
	})
}

func TestWhoLeavesBeforeTheCommitIsNotStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		db := openWith(t, Options{}, g.commit)
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := db.Write(t.Context(), putAlive(t.Context(), noon)); err != nil {
				t.Errorf("first: %v", err)
			}
		})
		<-g.entered
		ctx, cancel := context.WithCancel(t.Context())
		wg.Go(func() {
			if err := db.Write(ctx, putAlive(ctx, noon.Add(time.Hour))); !errors.Is(err, context.Canceled) {
				t.Errorf("second: %v", err)
			}
		})
		synctest.Wait()
		cancel()
		synctest.Wait()
		close(g.leave)
		wg.Wait()
		if at := alive(t, db); !at.Equal(noon) {
			t.Errorf("alive %v", at)
		}
	})
}

func TestWhoLeavesDuringTheCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		db := openWith(t, Options{}, g.commit)
		deadline, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		leaving, leave := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { _ = db.Write(t.Context(), putAlive(deadline, noon)) })
		<-g.entered
		wg.Go(func() {
			err := db.Write(deadline, putAlive(deadline, noon.Add(1*time.Hour)))
			if !errors.Is(err, storage.ErrUnknown) || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("a deadline: %v", err)
			}
		})
		synctest.Wait()
		wg.Go(func() {
			if err := db.Write(leaving, putAlive(deadline, noon.Add(2*time.Hour))); err != nil {
				t.Errorf("who has left: %v", err)
			}
		})
		synctest.Wait()
		g.leave <- struct{}{} // the first
		<-g.entered
		leave()
		time.Sleep(2 * time.Second)
		g.leave <- struct{}{}
		wg.Wait()
		if at := alive(t, db); !at.Equal(noon.Add(2 * time.Hour)) {
			t.Errorf("alive %v", at)
		}
	})
}

// A group that is held for too long before its commit begins is not committed: who posted
// was told so, and may have posted something newer since.
func TestWhatIsHeldTooLongIsNotCommitted(t *testing.T) {
	for name, c := range map[string]struct {
		deadline time.Duration // of who waits
		want     error
	}{
		"by the patience of the store": {time.Hour, storage.ErrUnavailable},
		"by who waits":                 {7 * time.Second, context.DeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				commits := 0
				db := openWith(t, Options{}, func(tx *bbolt.Tx) error { commits++; return tx.Commit() })
				ctx, cancel := context.WithTimeout(t.Context(), c.deadline)
				defer cancel()
				err := db.Write(ctx, func(tx storage.Tx) error {
					time.Sleep(9 * time.Second) // as a page that the disk does not give
					return tx.PutAlive(ctx, storage.Replica{Owner: "a", SeenAt: noon})
				})
				if !errors.Is(err, c.want) || errors.Is(err, storage.ErrUnknown) {
					t.Errorf("write: %v", err)
				}
				synctest.Wait()
				if at := alive(t, db); !at.IsZero() || commits != 0 {
					t.Errorf("alive %v after %d commits", at, commits)
				}
			})
		})
	}
}

func TestClosingAnswersWhoWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		db := openWith(t, Options{}, g.commit)
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := db.Write(t.Context(), putAlive(t.Context(), noon)); err != nil {
				t.Errorf("under way: %v", err)
			}
		})
		<-g.entered
		wg.Go(func() {
			if err := db.Write(t.Context(), putAlive(t.Context(), noon)); !errors.Is(err, storage.ErrUnavailable) {
				t.Errorf("waiting: %v", err)
			}
		})
		synctest.Wait()
		wg.Go(func() {
			if err := db.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		})
		synctest.Wait()
		close(g.leave)
		wg.Wait()
	})
}

func TestAWriteThatWritesNothingCommitsNothing(t *testing.T) {
	commits := 0
	db := openWith(t, Options{}, func(tx *bbolt.Tx) error { commits++; return tx.Commit() })
	for range 3 {
		err := db.Write(t.Context(), func(tx storage.Tx) error {
			_, err := tx.Alive(t.Context())
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	if commits != 0 {
		t.Errorf("%d commits", commits)
	}
}
