package bolt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"go.etcd.io/bbolt"
	"pgregory.net/rapid"

	"sitrep/storage"
)

// freshBuckets are some of which all keys can be anything.
var freshBuckets = []bucketID{bDue, bEvents, bAnswers}

// A shelf is what should be in a store.
type shelf struct {
	in     map[bucketID]map[string]string
	counts map[bucketID]int64
}

func newShelf() *shelf {
	s := &shelf{in: map[bucketID]map[string]string{}, counts: map[bucketID]int64{}}
	for _, id := range freshBuckets {
		s.in[id] = map[string]string{}
	}
	return s
}

func (s *shelf) clone() *shelf {
	c := &shelf{in: map[bucketID]map[string]string{}, counts: maps.Clone(s.counts)}
	for id, all := range s.in {
		c.in[id] = maps.Clone(all)
	}
	return c
}

// look makes sure that a reader finds what is on the shelf, in each way of looking.
func (s *shelf) look(t *rapid.T, r *reader, between string) {
	for _, id := range freshBuckets {
		want := slices.Sorted(maps.Keys(s.in[id]))
		if got := r.count(id); got != s.counts[id] {
			t.Fatalf("%s counts %d, want %d", bucketNames[id], got, s.counts[id])
		}
		for _, k := range append(want, between) {
			v, err := r.get(id, []byte(k))
			if value, there := s.in[id][k]; err != nil || there != (v != nil) || string(v) != value {
				t.Fatalf("%s %q is %q, %v", bucketNames[id], k, v, err)
			}
		}
		at, _ := slices.BinarySearch(want, between)
		check := func(how string, want []string, walk func(fn func(k, v []byte) (bool, error)) error) {
			var got []string
			err := walk(func(k, v []byte) (bool, error) {
				got = append(got, string(k))
				if s.in[id][string(k)] != string(v) {
					t.Fatalf("%s %q has another value", bucketNames[id], k)
				}
				return true, nil
			})
			if err != nil || !slices.Equal(got, want) {
				t.Fatalf("%s %s: %q, %v, want %q", bucketNames[id], how, got, err, want)
			}
		}
		check("up", want, func(fn func(k, v []byte) (bool, error)) error { return r.ascend(id, nil, nil, fn) })
		check("up from", want[at:], func(fn func(k, v []byte) (bool, error)) error { return r.ascend(id, nil, []byte(between), fn) })
		down := slices.Clone(want)
		slices.Reverse(down)
		check("down", down, func(fn func(k, v []byte) (bool, error)) error { return r.descend(id, nil, nil, fn) })
		check("down from", down[len(want)-at:], func(fn func(k, v []byte) (bool, error)) error { return r.descend(id, nil, []byte(between), fn) })
	}
}

// Whatever is put and deleted, in commits of any size, with or without a clean stop, is found as if
// it stood in its bucket.
func TestWhatIsFreshIsFound(t *testing.T) {
	dir := t.TempDir()
	round := 0
	rapid.Check(t, func(t *rapid.T) {
		round++
		path := filepath.Join(dir, fmt.Sprint(round))
		open := func() *DB {
			db, err := Open(context.Background(), path, Options{})
			if err != nil {
				t.Fatal(err)
			}
			return db
		}
		db := open()
		defer func() { _ = db.Close() }()
		keys := rapid.SampledFrom([]string{"a", "aa", "ab", "b", "c", "ca", "d", "e", "f", "g", "ga", "h"})
		is := newShelf()
		for range rapid.IntRange(1, 8).Draw(t, "commits") {
			before, failed := is.clone(), rapid.IntRange(0, 9).Draw(t, "fails") == 0
			between := keys.Draw(t, "between")
			err := db.Write(context.Background(), func(x storage.Tx) error {
				is = before.clone()
				w := x.(*tx)
				for range rapid.IntRange(0, 12).Draw(t, "changes") {
					id, k := rapid.SampledFrom(freshBuckets).Draw(t, "bucket"), keys.Draw(t, "key")
					switch rapid.IntRange(0, 5).Draw(t, "what") {
					case 0, 1:
						if err := w.delete(id, []byte(k)); err != nil {
							return err
						}
						delete(is.in[id], k)
					case 2:
						n, err := w.next(id)
						if is.counts[id]++; err != nil || n != is.counts[id] {
							return fmt.Errorf("the next is %d, want %d: %w", n, is.counts[id], err)
						}
					default:
						v := bytes.Repeat([]byte(k), rapid.SampledFrom([]int{0, 1, 300, 1400, freshValue, freshLeast}).Draw(t, "long"))
						if err := w.put(id, []byte(k), v); err != nil {
							return err
						}
						is.in[id][k] = string(v)
					}
				}
				is.look(t, &w.reader, between)
				if failed {
					return fmt.Errorf("none of it")
				}
				return nil
			})
			if (err != nil) != failed {
				t.Fatal(err)
			}
			if failed {
				is = before
			}
			look := func(db *DB) {
				if err := db.view(func(r *reader) error { is.look(t, r, between); return nil }); err != nil {
					t.Fatal(err)
				}
			}
			look(db)
			if db.fresh.Store(nil); rapid.Bool().Draw(t, "read anew") {
				look(db)
			}
			switch rapid.IntRange(0, 4).Draw(t, "then") {
			case 0:
				if err := db.Close(); err != nil {
					t.Fatal(err)
				}
				plain(t, path)
				db = open()
				look(db)
			case 1: // as after a crash
				b, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				other := path + ".crashed"
				if err := os.WriteFile(other, b, 0o600); err != nil {
					t.Fatal(err)
				}
				only, err := OpenReadOnly(context.Background(), other)
				if err != nil {
					t.Fatal(err)
				}
				look(only)
				if err := only.Close(); err != nil {
					t.Fatal(err)
				}
				if err := db.Close(); err != nil {
					t.Fatal(err)
				}
				path = other
				db = open()
				look(db)
			}
		}
	})
}

// plain makes sure that nothing of a store is fresh that was stopped.
func plain(t *rapid.T, path string) {
	b, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = b.View(func(btx *bbolt.Tx) error {
		if k, _ := btx.Bucket([]byte("fresh")).Cursor().First(); k != nil {
			return fmt.Errorf("%q is fresh", k)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
}

// A commit that changes little in many buckets writes few pages, and what it adds up to is brought to
// the buckets now and then.
func TestASmallCommitWritesFewPages(t *testing.T) {
	pages, commits, most := 0, 0, 0
	db := openWith(t, Options{}, func(btx *bbolt.Tx) error {
		size := btx.DB().Info().PageSize
		err := btx.Commit()
		n := allocated(btx) / size
		pages, commits, most = pages+n, commits+1, max(most, n)
		return err
	})
	for i := range 200 {
		err := db.Write(t.Context(), func(x storage.Tx) error {
			for _, id := range []bucketID{bEvents, bBreaches, bBreachesSilent, bLeaves, bIncidents, bAgendas, bDue, bUrgent, bQueue, bRecipients} {
				k := key(nil).int(int64(i % 5)).int(int64(i))
				if err := x.(*tx).put(id, k, bytes.Repeat([]byte("x"), 150)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if each := float64(pages) / float64(commits); commits != 200 || each > 12 || most < 20 {
		t.Errorf("%d commits wrote %.1f pages each, the largest %d", commits, each, most)
	}
}

// Where nobody writes, much that is fresh goes to its buckets.
func TestFreshGoesToItsBucketsInARest(t *testing.T) {
	commits := make(chan int, 10)
	db := openWith(t, Options{Observe: func(int, time.Duration) { commits <- 1 }}, nil)
	size := func() int { return db.fresh.Load().size }
	mustWriteIn(t, db, func(w *tx) error { return w.put(bDue, []byte("a"), make([]byte, 2000)) })
	<-commits
	before := size()
	mustWriteIn(t, db, func(w *tx) error {
		return errors.Join(w.put(bDue, []byte("b"), make([]byte, 2000)), w.put(bDue, []byte("c"), make([]byte, 2500)))
	})
	<-commits
	select {
	case <-commits:
	case <-time.After(10 * time.Second):
		t.Fatal("it does not go to its buckets")
	}
	mustWriteIn(t, db, func(*tx) error { return nil }) // what the last commit left is there
	if before < 2000 || size() != 0 {
		t.Errorf("%d bytes were fresh before, and %d are after the rest", before, size())
	}
	n := 0
	err := db.view(func(r *reader) error {
		return r.ascend(bDue, nil, nil, func(_, v []byte) (bool, error) { n += len(v); return true, nil })
	})
	if err != nil || n != 6500 {
		t.Errorf("%d bytes, %v", n, err)
	}
}

// What is fresh and damaged is said to be, and not taken for nothing.
func TestFreshThatIsDamagedIsAnError(t *testing.T) {
	db := openWith(t, Options{}, nil)
	marker := []byte("a text that is found in the file")
	mustWriteIn(t, db, func(w *tx) error { return w.put(bAgendas, key(nil).int(1), marker) })
	b, err := os.ReadFile(db.path)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.LastIndex(b, marker)
	if at < 0 {
		t.Fatal("it is not in the file")
	}
	for _, offset := range []int{-20, 0} { // what stands before it, and itself
		path := filepath.Join(t.TempDir(), "sitrep.db")
		b[at+offset] ^= 1
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		b[at+offset] ^= 1
		only, err := OpenReadOnly(t.Context(), path)
		if err == nil {
			err = only.Check(t.Context())
			_ = only.Close()
		}
		if !errors.Is(err, storage.ErrDamaged) {
			t.Errorf("damaged at %d: %v", offset, err)
		}
	}
}

// Of a value that is cut off or has more than it says nothing is taken.
func TestFreshIsReadWholeOrNotAtAll(t *testing.T) {
	f := &fresh{}
	f.of[bDue] = []change{{[]byte("a"), []byte("1234x")}, {[]byte("b"), nil}}
	f.counts[bDue] = 700
	whole := appendFresh(nil, f)
	is, err := cutFresh(whole)
	if err != nil || len(is.of[bDue]) != 2 || is.of[bDue][1].stored != nil || is.counts[bDue] != 700 || !bytes.Equal(appendFresh(nil, is), whole) {
		t.Errorf("%+v, %v", is, err)
	}
	for n := 1; n < len(whole); n++ {
		if _, err := cutFresh(whole[:n]); !errors.Is(err, storage.ErrDamaged) {
			t.Errorf("cut off after %d bytes: %v", n, err)
		}
	}
	if _, err := cutFresh(append(bytes.Clone(whole), 1)); !errors.Is(err, storage.ErrDamaged) {
		t.Errorf("with a byte more: %v", err)
	}
}

func mustWriteIn(t *testing.T, db *DB, fn func(*tx) error) {
	t.Helper()
	if err := db.Write(t.Context(), func(x storage.Tx) error { return fn(x.(*tx)) }); err != nil {
		t.Fatal(err)
	}
}
