package bolt

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"go.etcd.io/bbolt"

	"sitrep/incident"
	"sitrep/storage"
)

// A latestModel is what a store should say of fingerprints: the ordinal and the incident of
// the latest breach of each.
type latestModel map[string]struct{ ordinal, number int64 }

// fingerprints of the model: few enough that each is met again, of all forms.
func modelFingerprint(n int) string {
	switch n % 16 {
	case 0:
		return fmt.Sprintf("text-%d", n)
	case 1:
		return fmt.Sprintf("%s-%d", string(make([]byte, 2000)), n)
	case 2:
		return fmt.Sprintf("%016X", n) // no fingerprint of Alertmanager's
	}
	return fmt.Sprintf("%016x", uint64(n)*0x9e3779b97f4a7c15)
}

// begin begins a breach of a fingerprint, or moves the latest to another incident.
func (m latestModel) begin(ctx context.Context, tx storage.Tx, fp string, move bool, number int64) error {
	was, found := m[fp]
	is := was
	is.number = number
	if found && !move {
		is.ordinal++
	}
	m[fp] = is
	return tx.PutBreaches(ctx, []*incident.Breach{{Fingerprint: fp, Ordinal: is.ordinal, Incident: number, State: incident.BreachEnded}})
}

// prune deletes all breaches of the incidents up to a number.
func (m latestModel) prune(ctx context.Context, tx storage.Tx, number int64) error {
	maps.DeleteFunc(m, func(_ string, is struct{ ordinal, number int64 }) bool { return is.number <= number })
	var numbers []int64
	for n := range number + 1 {
		numbers = append(numbers, n)
	}
	_, err := tx.DeleteBreaches(ctx, numbers, noon, 1<<30)
	return err
}

// same makes sure that a store says what the model does, of all fingerprints there are.
func (m latestModel) same(t *testing.T, s storage.Snapshot, of int) {
	t.Helper()
	fps := make([]string, of)
	for i := range fps {
		fps[i] = modelFingerprint(i)
	}
	found, err := s.LatestBreaches(t.Context(), fps)
	if err != nil {
		t.Fatal(err)
	}
	for _, fp := range fps {
		want, is := m[fp]
		got := found[fp]
		switch {
		case (got != nil) != is:
			t.Fatalf("the latest of %.40q is %v, want %+v (%v)", fp, got, want, is)
		case is && (got.Ordinal != want.ordinal || got.Incident != want.number || got.Fingerprint != fp):
			t.Fatalf("the latest of %.40q is %d of %d, want %+v", fp, got.Ordinal, got.Incident, want)
		}
	}
}

// Of each fingerprint the latest breach is found, whatever begins, moves and is deleted, and
// after restarts and crashes at any time; and no more is kept of it than there are runs.
func TestTheLatestBreachIsFound(t *testing.T) {
	for _, of := range []struct {
		seed         uint64
		fingerprints int
		steps        int
		most         int // breaches in a write
	}{{1, 300, 300, 3}, {2, 10_000, 80, 600}, {3, 4000, 150, 120}, {4, 30_000, 40, 3000}} {
		t.Run(fmt.Sprint(of.fingerprints), func(t *testing.T) {
			t.Parallel()
			testLatest(t, rand.New(rand.NewPCG(of.seed, 7)), of.fingerprints, of.steps, of.most)
		})
	}
}

func testLatest(t *testing.T, r *rand.Rand, fingerprints, steps, most int) {
	db := openWith(t, Options{}, nil)
	model := latestModel{}
	number := int64(1)
	for step := range steps {
		next := maps.Clone(model)
		write := func(ctx context.Context, fail error) error {
			seed := r.Uint64()
			return db.Write(ctx, func(tx storage.Tx) error {
				r := rand.New(rand.NewPCG(seed, 1)) // the function may run twice
				next = maps.Clone(model)
				if r.IntN(20) == 0 {
					if err := next.prune(ctx, tx, number-2-int64(r.IntN(6))); err != nil {
						return err
					}
				}
				for range 1 + r.IntN(most) {
					if err := next.begin(ctx, tx, modelFingerprint(r.IntN(fingerprints)), r.IntN(5) == 0, number); err != nil {
						return err
					}
				}
				next.same(t, tx, min(fingerprints, 50))
				return fail
			})
		}
		switch what := r.IntN(20); {
		case what == 0: // what is not committed leaves nothing behind
			if err := write(t.Context(), errors.ErrUnsupported); !errors.Is(err, errors.ErrUnsupported) {
				t.Fatal(err)
			}
			next = model
		default:
			if err := write(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
		}
		model = next
		if r.IntN(7) == 0 {
			number++
		}
		switch r.IntN(12) {
		case 0:
			path := db.path
			if r.IntN(2) == 0 {
				path = copyFile(t, path) // it crashed
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			var err error
			if db, err = Open(t.Context(), path, Options{}); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = db.Close() })
		case 1:
			if step%3 == 0 {
				if err := db.Check(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		}
		if step%10 == 0 || step == steps-1 {
			if err := db.view(func(s *reader) error { model.same(t, s, fingerprints); return nil }); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := db.Check(t.Context()); err != nil {
		t.Error(err)
	}
	runs, entries := runsOf(t, db)
	t.Logf("%d fingerprints, %d runs with %d entries", len(model), runs, entries)
	if kinds := (run{count: max(1, entries)}).kind() + 1; runs > 3*mergeFrom*kinds {
		t.Errorf("%d runs", runs)
	}
}

// runsOf returns how many runs there are, and how many entries are in them.
func runsOf(t *testing.T, db *DB) (runs, entries int) {
	t.Helper()
	err := db.view(func(r *reader) error {
		x, err := r.index()
		if err != nil {
			return err
		}
		for _, of := range x.list.runs {
			runs, entries = runs+1, entries+of.count
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return runs, entries
}

// When all was pruned, little is left of it after as much came anew.
func TestWhatWasDeletedIsForgotten(t *testing.T) {
	t.Parallel()
	db := openWith(t, Options{}, nil)
	const each = 5000
	most := 0
	for round := range int64(20) {
		putMany(t, db, round+1, int(round)*each, each)
		if round > 0 {
			pruneAll(t, db, round)
		}
		_, entries := runsOf(t, db)
		most = max(most, entries)
	}
	t.Logf("up to %d entries", most)
	if most > 5*each {
		t.Errorf("%d entries are kept of %d breaches", most, 2*each)
	}
	if err := db.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

// However much there is, a commit merges in proportion to what it adds.
func TestNoCommitWaitsForALongMerge(t *testing.T) {
	t.Parallel()
	most, pages := 0, 0
	db := openWith(t, Options{}, func(tx *bbolt.Tx) error {
		err := tx.Commit()
		pages = allocated(tx)
		return err
	})
	putMany(t, db, 1, 0, 100_000)
	for i := range 300 {
		putMany(t, db, 2, 1_000_000+50*i, 50)
		most = max(most, pages)
	}
	t.Logf("a commit of 50 breaches wrote up to %d KiB", most>>10)
	if most > 1<<20 {
		t.Errorf("a commit of 50 breaches wrote %d bytes", most)
	}
}

// A block that is damaged keeps nothing else from being found or stored, and is found.
func TestADamagedRunIsFoundByTheCheck(t *testing.T) {
	t.Parallel()
	for _, kind := range []byte{runBlock, runFilter} {
		db := openWith(t, Options{}, nil)
		putMany(t, db, 1, 0, 6000)
		broken := 0
		err := db.bolt.Update(func(btx *bbolt.Tx) error {
			b := btx.Bucket([]byte(bucketNames[bBreachRuns]))
			var keys, values [][]byte
			err := b.ForEach(func(k, v []byte) error {
				if k[8] == kind && broken == 0 {
					broken++
					v = slices.Clone(v)
					v[len(v)-1] ^= 1
					keys, values = append(keys, slices.Clone(k)), append(values, v)
				}
				return nil
			})
			for i := range keys {
				err = errors.Join(err, b.Put(keys[i], values[i]))
			}
			return err
		})
		if err != nil || broken == 0 {
			t.Fatal(broken, err)
		}
		db.filters.of = nil
		if err := db.Check(t.Context()); !errors.Is(err, storage.ErrDamaged) {
			t.Errorf("kind %d: the check says %v", kind, err)
		}
		lost := 0
		for i := range 6000 {
			err := db.view(func(r *reader) error {
				b, err := storage.LatestBreach(t.Context(), r, fmt.Sprintf("%016x", i))
				if err == nil && b == nil {
					t.Fatalf("kind %d: %d is said not to be there", kind, i)
				}
				return err
			})
			if err != nil {
				lost++
			}
		}
		if lost > 300 || lost > 0 && kind == runFilter {
			t.Errorf("kind %d: %d are lost", kind, lost)
		}
		for round := range 40 {
			err := db.Write(t.Context(), func(tx storage.Tx) error {
				for i := range 500 {
					// New ones are not looked for in what is damaged, with some luck.
					b := incident.Breach{Fingerprint: fmt.Sprintf("%016x", 1<<40+round*500+i), Incident: 1, State: incident.BreachEnded}
					if err := tx.PutBreaches(t.Context(), []*incident.Breach{&b}); err != nil && !errors.Is(err, storage.ErrDamaged) {
						return err
					}
				}
				return nil
			})
			if err != nil {
				t.Fatalf("kind %d: round %d: %v", kind, round, err)
			}
		}
	}
}

// The list of runs is read back as it was written, and nothing else is taken for one.
func FuzzRunList(f *testing.F) {
	f.Add(appendRunList(nil, &runList{
		next: 9, runs: []run{{1, 2, 0, 3}, {4, 5, 1, 6}}, gone: []uint64{7, 8},
		merges: []merge{{inputs: []uint64{1, 4}, out: run{8, 1, 1, 1}, done: key("abc"), owed: -5}},
	}))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := cutRunList(b)
		if err != nil {
			return
		}
		again, err := cutRunList(appendRunList(nil, &l))
		if err != nil || fmt.Sprint(again) != fmt.Sprint(l) {
			t.Errorf("%+v, then %+v, %v", l, again, err)
		}
	})
}

// A block that is not whole is said to be so, and an entry is read back as it was written.
func FuzzBlock(f *testing.F) {
	e := entry{fingerprintKey(nil, "0123456789abcdef"), latest{place{5, 1 << 40}, 3, true}}
	f.Add(appendEntry(nil, &e))
	e = entry{fingerprintKey(nil, "a text"), latest{place{5, 1 << 40}, 3, true}}
	f.Add(appendEntry(nil, &e))
	f.Fuzz(func(t *testing.T, b []byte) {
		for len(b) > 0 {
			e, rest, err := cutEntry(b)
			if err != nil {
				return
			}
			again, _, err := cutEntry(appendEntry(nil, &e))
			if err != nil || fmt.Sprint(again) != fmt.Sprint(e) {
				t.Errorf("%+v, then %+v, %v", e, again, err)
			}
			b = rest
		}
	})
}

// A store of an earlier form finds what it found before, at each moment of being brought up,
// and one whose bringing up was cut off begins anew.
func TestALargeOlderStoreIsBroughtUpInPieces(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "sitrep.db")
	db, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	const n = 2*latestPiece + 1000
	putMany(t, db, 1, 0, n)
	putMany(t, db, 2, n, 100)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	MakeVersion4(t, path)
	finds := func(db *DB) {
		t.Helper()
		err := db.view(func(r *reader) error {
			for i := 0; i < n; i += 997 {
				b, err := storage.LatestBreach(t.Context(), r, fmt.Sprintf("%016x", i))
				if err != nil || b == nil || b.Incident != 1 {
					t.Fatalf("the latest of %d: %v, %v", i, b, err)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	reads := func() {
		t.Helper()
		old, err := OpenReadOnly(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		finds(old)
		if err := errors.Join(old.Check(t.Context()), old.Close()); err != nil {
			t.Error(err)
		}
	}
	reads()

	ctx, cancel := context.WithCancel(t.Context())
	if _, err := Open(ctx, path, Options{Upgrading: func(int, int) { cancel() }}); !errors.Is(err, context.Canceled) {
		t.Fatalf("cut off: %v", err)
	}
	reads()

	var told []string
	db, err = Open(t.Context(), path, Options{Upgrading: func(done, total int) { told = append(told, fmt.Sprintf("%d/%d", done, total)) }})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"16384/33868", "32768/33868", "33868/33868"}; !slices.Equal(told, want) {
		t.Errorf("told %q", told)
	}
	finds(db)
	if err := errors.Join(db.Check(t.Context()), db.Close()); err != nil {
		t.Error(err)
	}
	reads()
}
