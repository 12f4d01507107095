package bolt_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"sitrep/incident"
	"sitrep/storage"
	"sitrep/storage/bolt"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// filled returns the path of a closed store with n posts in it.
func filled(t *testing.T, n int64) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sitrep.db")
	db, err := bolt.Open(t.Context(), path, bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		at := noon.Add(time.Duration(i) * time.Minute)
		in, list := post(1, i+1, at)
		if err := store(t.Context(), db, in, list, at); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAStoreIsWholeAfterReopening(t *testing.T) {
	path := filled(t, 3)
	file, err := os.Stat(path)
	if err != nil || file.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", file.Mode(), err)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("beside the store there are %v, %v", entries, err)
	}
	db, err := bolt.Open(t.Context(), path, bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if n := countBreaches(t, db); n != 300 {
		t.Errorf("%d breaches", n)
	}
	if err := db.Check(t.Context()); err != nil {
		t.Error(err)
	}
	in, list := post(1, 4, noon.Add(time.Hour))
	if err := store(t.Context(), db, in, list, noon); err != nil {
		t.Error(err)
	}
}

func countBreaches(t *testing.T, db *bolt.DB) (n int) {
	t.Helper()
	err := db.Read(t.Context(), func(r storage.Snapshot) error {
		for cursor := ""; ; {
			page, next, err := r.Breaches(t.Context(), 1, 1000, cursor)
			n += len(page)
			if cursor = next; err != nil || next == "" {
				return err
			}
		}
	})
	if err != nil {
		t.Error(err)
	}
	return n
}

func TestAStoreIsMadeInAFolderThatIsNotThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data", "deep", "sitrep.db")
	db, err := bolt.Open(t.Context(), path, bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}

func TestALockedStoreSaysWhoHasIt(t *testing.T) {
	path := filled(t, 1)
	db, err := bolt.Open(t.Context(), path, bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	begin := time.Now()
	for name, open := range map[string]func() (*bolt.DB, error){
		"writing": func() (*bolt.DB, error) { return bolt.Open(t.Context(), path, bolt.Options{}) },
		"reading": func() (*bolt.DB, error) { return bolt.OpenReadOnly(t.Context(), path) },
	} {
		_, err = open()
		if err == nil || !strings.Contains(err.Error(), "locked") || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
		if _, statErr := os.Stat("/proc/locks"); statErr == nil && !strings.Contains(fmt.Sprint(err), fmt.Sprintf("process %d has it open", os.Getpid())) {
			t.Logf("%s: the holder is not named: %v", name, err) // some containers hide it
		}
	}
	if passed := time.Since(begin); passed > 8*time.Second {
		t.Errorf("it took %v", passed)
	}
}

func TestManyReadAtATime(t *testing.T) {
	path := filled(t, 1)
	for range 2 {
		db, err := bolt.OpenReadOnly(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if n := countBreaches(t, db); n != 100 {
			t.Errorf("%d breaches", n)
		}
		if err := db.Write(t.Context(), func(storage.Tx) error { return nil }); err == nil {
			t.Error("write: no error")
		}
	}
	none := filepath.Join(t.TempDir(), "none.db")
	if _, err := bolt.OpenReadOnly(t.Context(), none); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("none: %v", err)
	}
	if _, err := os.Stat(none); err == nil {
		t.Error("it was created")
	}
}

func TestANewerStoreIsRefused(t *testing.T) {
	path := filled(t, 1)
	bolt.SetVersion(t, path, 99)
	before := read(t, path)
	_, err := bolt.Open(t.Context(), path, bolt.Options{})
	if !errors.Is(err, storage.ErrNewer) || !strings.Contains(err.Error(), "version is 99") {
		t.Errorf("open: %v", err)
	}
	if !bytes.Equal(read(t, path), before) {
		t.Error("the file was changed")
	}
}

// A store that was made before anything was forgotten forgets what closed back then.
func TestAnOlderStoreIsBroughtUp(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sitrep.db")
	db := openAt(t, path)
	at := time.Now().UTC().Truncate(time.Microsecond).Add(-100 * time.Hour)
	in := incident.Incident{Number: 1, Sequence: 1, Key: "k", State: incident.StateClosed, ClosedAt: at, AcknowledgedBy: "ada"}
	d := incident.Delivery{
		ID: "watchdog.1", Kind: incident.KindWatchdog, Recipient: "ada", State: incident.DeliveryDelivered, FinishedAt: at,
		Covers: []incident.Cover{{Kind: incident.KindWatchdog}},
	}
	told := incident.Delivery{
		ID: "INC-1.1", Incident: 1, Recipient: "bob", State: incident.DeliveryDelivered, FinishedAt: at, Covers: []incident.Cover{{Incident: 1}},
	}
	mustWrite(t, db, func(tx storage.Tx) error {
		if err := tx.PutIncidents(t.Context(), []*incident.Incident{&in}); err != nil {
			return err
		}
		if err := tx.PutSubscriptions(t.Context(), []incident.Subscription{{Incident: 0, Recipient: "ada"}, {Incident: 1, Recipient: "ada"}, {Incident: 1, Recipient: "bob"}, {Incident: 2, Recipient: "bob", DueAt: at}}, nil); err != nil {
			return err
		}
		if err := tx.PutDelivery(t.Context(), &told, []byte("bob")); err != nil {
			return err
		}
		return tx.PutDelivery(t.Context(), &d, []byte("ada"))
	})
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	bolt.MakeOld(t, path)

	db, err := bolt.OpenReadOnly(t.Context(), path)
	if err != nil {
		t.Fatalf("for reading: %v", err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db = openAt(t, path)
	mustWrite(t, db, func(tx storage.Tx) error {
		more, err := storage.Forget(t.Context(), tx, at.Add(time.Hour), 100)
		if more {
			t.Error("more is left")
		}
		return err
	})
	err = db.Read(t.Context(), func(r storage.Snapshot) error {
		in, err := storage.IncidentOf(t.Context(), r, 1)
		if err != nil {
			return err
		}
		var readers []string
		for number := range int64(3) {
			subs, err := storage.SubscriptionsOf(t.Context(), r, number)
			if err != nil {
				return err
			}
			for _, s := range subs {
				readers = append(readers, fmt.Sprint(s.Incident, " ", s.Recipient, " ", s.Reader))
			}
		}
		if want := []string{"1 forgotten 1 1", "1 forgotten 2 2", "2 bob 1"}; !slices.Equal(readers, want) {
			t.Errorf("readers %q, want %q", readers, want)
		}
		if d, err := storage.DeliveryOf(t.Context(), r, "INC-1.1"); err != nil || d.Covers[0].Reader != 2 {
			t.Errorf("told %+v, %v", d, err)
		}
		d, err := storage.DeliveryOf(t.Context(), r, "watchdog.1")
		if in.AcknowledgedBy != incident.Forgotten || d.Recipient != incident.Forgotten {
			t.Errorf("kept %+v, %+v", in, d)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func openAt(t *testing.T, path string) *bolt.DB {
	t.Helper()
	db, err := bolt.Open(t.Context(), path, bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func mustWrite(t testing.TB, db *bolt.DB, fn func(storage.Tx) error) {
	t.Helper()
	if err := db.Write(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// used returns a file without the room that bbolt keeps at its end.
func used(file []byte) []byte {
	n := len(bytes.TrimRight(file, "\x00"))
	return file[:min(len(file), (n+4095)&^4095)]
}

func TestWhatIsNoWholeStoreIsRefusedAndLeftAlone(t *testing.T) {
	whole := used(read(t, filled(t, 3)))
	other := filepath.Join(t.TempDir(), "other.db")
	b, err := bbolt.Open(other, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Update(func(tx *bbolt.Tx) error { _, err := tx.CreateBucket([]byte("meta")); return err }); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	cases := map[string][]byte{
		"an empty file":             {},
		"a text":                    []byte(strings.Repeat("no store\n", 5000)),
		"a short text":              []byte("x"),
		"zeros":                     make([]byte, 1<<16),
		"a file of another program": read(t, other),
		"a broken head":             append(bytes.Repeat([]byte{0xff}, 2*os.Getpagesize()), whole[2*os.Getpagesize():]...),
	}
	for _, size := range []int{1, 100, 4096, 5000, 8192, 12_288, 16_384, 20_000, len(whole) / 2, len(whole) - 1} {
		cases[fmt.Sprintf("the first %d bytes", size)] = whole[:size]
	}
	for name, content := range cases {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "sitrep.db")
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
			for _, open := range []func() (*bolt.DB, error){
				func() (*bolt.DB, error) { return bolt.Open(t.Context(), path, bolt.Options{}) },
				func() (*bolt.DB, error) { return bolt.OpenReadOnly(t.Context(), path) },
			} {
				begin := time.Now()
				_, err := open()
				if !errors.Is(err, storage.ErrDamaged) {
					t.Fatalf("open: %v", err)
				}
				if s := err.Error(); strings.ContainsAny(s, "\n\r") || !strings.Contains(s, path) {
					t.Errorf("not one clear line: %q", s)
				}
				if passed := time.Since(begin); passed > time.Second {
					t.Errorf("it took %v", passed) // a lock was left
				}
			}
			if !bytes.Equal(read(t, path), content) {
				t.Error("the file was changed")
			}
		})
	}
	if _, err := bolt.Open(t.Context(), t.TempDir(), bolt.Options{}); err == nil || !strings.Contains(err.Error(), "directory") {
		t.Errorf("a directory: %v", err)
	}
}

func TestAFlippedBitIsFoundOrDoesNoHarm(t *testing.T) {
	path := filled(t, 2)
	whole := used(read(t, path))
	whole = append(whole, make([]byte, 1<<16)...)
	db, err := bolt.OpenReadOnly(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	want := dump(t, db)
	db.Close()

	found, harmless := 0, 0
	random := rand.New(rand.NewPCG(1, 2))
	for range 120 {
		// Not in the two heads: when one is broken, bbolt goes on from the other, which is a
		// commit older, and only a witness outside the file could tell.
		const heads = 2 * 4096
		at := heads + random.IntN(len(whole)-heads-1<<16)
		broken := bytes.Clone(whole)
		broken[at] ^= 1 << random.IntN(8)
		path := filepath.Join(t.TempDir(), "sitrep.db")
		if err := os.WriteFile(path, broken, 0o600); err != nil {
			t.Fatal(err)
		}
		db, err := bolt.OpenReadOnly(t.Context(), path)
		if err != nil {
			found++
			continue
		}
		if err := db.Check(t.Context()); err != nil {
			if !errors.Is(err, storage.ErrDamaged) {
				t.Errorf("byte %d: %v", at, err)
			}
			found++
		} else if got := dump(t, db); got != want {
			t.Errorf("byte %d: what is read has changed, and nobody noticed", at)
		} else {
			harmless++
		}
		db.Close()
	}
	t.Logf("%d found, %d harmless", found, harmless)
	if found < 50 {
		t.Errorf("only %d found", found)
	}
}

// dump returns all that the posts stored.
func dump(t *testing.T, db *bolt.DB) string {
	t.Helper()
	var all strings.Builder
	err := db.Read(t.Context(), func(r storage.Snapshot) error {
		in, err := storage.IncidentOf(t.Context(), r, 1)
		if err != nil {
			return err
		}
		breaches, _, err := r.Breaches(t.Context(), 1, 1000, "")
		if err != nil {
			return err
		}
		events, err := storage.EventsOf(t.Context(), r, 1, 0, 1000)
		if err != nil {
			return err
		}
		silent, err := r.DueBreaches(t.Context(), storage.BreachesSilent, noon.Add(time.Hour), 1000)
		fmt.Fprintf(&all, "%+v %+v %+v %+v", in, breaches, events, silent)
		for _, b := range breaches {
			latest, err := storage.LatestBreach(t.Context(), r, b.Fingerprint)
			if err != nil || latest == nil {
				return fmt.Errorf("the latest breach of %s: %v, %w", b.Fingerprint, latest, err)
			}
			fmt.Fprintf(&all, " %d", latest.Ordinal)
		}
		return err
	})
	if err != nil {
		return err.Error()
	}
	return all.String()
}

func TestABackupIsAStore(t *testing.T) {
	db := open(t, bolt.Options{})
	for i := range int64(3) {
		in, list := post(1, i+1, noon)
		if err := store(t.Context(), db, in, list, noon); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "backup.db")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	// It writes on while the copy is made.
	pipe, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := db.Backup(t.Context(), func(storage.Snapshot, int64) (io.Writer, error) { return w, nil })
		done <- errors.Join(err, w.Close())
	}()
	head := make([]byte, 100)
	if _, err := io.ReadFull(pipe, head); err != nil {
		t.Fatal(err)
	}
	in, list := post(1, 4, noon)
	if err := store(t.Context(), db, in, list, noon); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(f, io.MultiReader(bytes.NewReader(head), pipe)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(<-done, f.Close()); err != nil {
		t.Fatal(err)
	}
	backup, err := bolt.Open(t.Context(), path, bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer backup.Close()
	if n := countBreaches(t, backup); n != 300 {
		t.Errorf("%d breaches", n)
	}
	if err := backup.Check(t.Context()); err != nil {
		t.Error(err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := db.Backup(ctx, func(storage.Snapshot, int64) (io.Writer, error) { return io.Discard, nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("backup for nobody: %v", err)
	}
}

// claimDue claims those who have waited longest.
func claimDue(ctx context.Context, tx storage.Tx, now time.Time, owner string, lease time.Duration, limit int) ([]storage.Lease, error) {
	waiting, err := tx.Waiting(ctx, now, limit)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, w := range waiting {
		ids = append(ids, w.Recipient)
	}
	return tx.TakeLeases(ctx, now, owner, lease, ids)
}

// Who opens the file knows that the process that held claims is gone, and need not wait.
func TestClaimsEndWithTheirProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sitrep.db")
	db := openAt(t, path)
	now := time.Now().UTC().Truncate(time.Microsecond)
	var claims []storage.Lease
	claim := func(owner string) storage.Lease {
		t.Helper()
		mustWrite(t, db, func(tx storage.Tx) (err error) {
			claims, err = claimDue(t.Context(), tx, now, owner, time.Hour, 10)
			return err
		})
		if len(claims) != 1 {
			t.Fatalf("%s claimed %+v", owner, claims)
		}
		return claims[0]
	}
	mustWrite(t, db, func(tx storage.Tx) error {
		return tx.PutSubscriptions(t.Context(), []incident.Subscription{{Incident: 1, Recipient: "a", DueAt: now}, {Incident: 1, Recipient: "b"}}, nil)
	})
	first := claim("one")
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db = openAt(t, path)
	second := claim("two")
	if second.Attempt != first.Attempt+1 {
		t.Errorf("the claims are %+v and %+v", first, second)
	}
	err := db.Write(t.Context(), func(tx storage.Tx) error { return tx.ExtendLease(t.Context(), &first, now, time.Hour) })
	if !errors.Is(err, storage.ErrLost) {
		t.Errorf("the first holds: %v", err)
	}
}

func TestLeasesEndAtTheTimeGiven(t *testing.T) {
	db := open(t, bolt.Options{})
	write := func(fn func(storage.Tx) error) error { return db.Write(t.Context(), fn) }
	claim := func(now time.Time) (claims []storage.Lease) {
		if err := write(func(tx storage.Tx) (err error) {
			claims, err = claimDue(t.Context(), tx, now, "me", time.Minute, 10)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return claims
	}
	sub := incident.Subscription{Incident: 1, Recipient: "a", DueAt: noon}
	if err := write(func(tx storage.Tx) error { return tx.PutSubscriptions(t.Context(), []incident.Subscription{sub}, nil) }); err != nil {
		t.Fatal(err)
	}
	if n := len(claim(noon.Add(-time.Microsecond))); n != 0 {
		t.Errorf("%d claims before it is due", n)
	}
	first := claim(noon)
	if len(first) != 1 || !first[0].Until.Equal(noon.Add(time.Minute)) {
		t.Fatalf("claims %+v", first)
	}
	last := noon.Add(time.Minute - time.Microsecond)
	if n := len(claim(last)); n != 0 {
		t.Errorf("%d claims before the lease ends", n)
	}
	if err := write(func(tx storage.Tx) error { return tx.ExtendLease(t.Context(), &first[0], last, time.Microsecond) }); err != nil {
		t.Errorf("hold at the end: %v", err)
	}
	if err := write(func(tx storage.Tx) error {
		return tx.ExtendLease(t.Context(), &first[0], noon.Add(time.Minute), time.Hour)
	}); !errors.Is(err, storage.ErrLost) {
		t.Errorf("hold after the end: %v", err)
	}
	second := claim(noon.Add(time.Minute))
	if len(second) != 1 || second[0].Attempt != 2 {
		t.Fatalf("claims %+v", second)
	}
	retry := noon.Add(time.Hour)
	if err := write(func(tx storage.Tx) error {
		return tx.ReleaseLease(t.Context(), &second[0], noon.Add(time.Minute), retry, "refused", 0)
	}); err != nil {
		t.Fatal(err)
	}
	if n := len(claim(retry.Add(-time.Microsecond))); n != 0 {
		t.Errorf("%d claims before the time to retry", n)
	}
	if third := claim(retry); len(third) != 1 || third[0].LastError != "refused" || !third[0].FailingSince.Equal(noon.Add(time.Minute)) {
		t.Errorf("claims %+v", third)
	}
}
