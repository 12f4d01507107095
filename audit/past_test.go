package audit_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sitrep/audit"
	"sitrep/incident"
	"sitrep/ledger"
	"sitrep/storage"
	"sitrep/storage/bolt"
)

// A frozen store is one snapshot, whatever is read of it.
type frozen struct {
	storage.Store
	r storage.Snapshot
}

func (f frozen) Read(_ context.Context, fn func(storage.Snapshot) error) error { return fn(f.r) }

// A shaken store does something before each snapshot, and before each question to one.
type shaken struct {
	storage.Store
	before func() // nil: nothing
	asked  func(what string, incidents ...int64) error
}

func (s *shaken) Read(ctx context.Context, fn func(storage.Snapshot) error) error {
	if s.before != nil {
		s.before()
	}
	return s.Store.Read(ctx, func(r storage.Snapshot) error {
		if s.asked == nil {
			return fn(r)
		}
		return fn(shakenSnapshot{r, s.asked})
	})
}

type shakenSnapshot struct {
	storage.Snapshot
	asked func(what string, incidents ...int64) error
}

func (s shakenSnapshot) IncidentsByNumber(ctx context.Context, numbers []int64) (map[int64]*incident.Incident, error) {
	if err := s.asked("incidents", numbers...); err != nil {
		return nil, err
	}
	return s.Snapshot.IncidentsByNumber(ctx, numbers)
}

func (s shakenSnapshot) Incidents(ctx context.Context, q storage.IncidentQuery) ([]incident.Incident, string, error) {
	if err := s.asked("incidents"); err != nil {
		return nil, "", err
	}
	return s.Snapshot.Incidents(ctx, q)
}

func (s shakenSnapshot) Records(ctx context.Context, q storage.RecordQuery) ([]storage.Record, error) {
	if err := s.asked("records", q.Incident); err != nil {
		return nil, err
	}
	return s.Snapshot.Records(ctx, q)
}

func (s shakenSnapshot) RecordsSince(ctx context.Context, after map[int64]int64, limit int) (map[int64][]storage.Record, error) {
	var numbers []int64
	for number := range after {
		numbers = append(numbers, number)
	}
	if err := s.asked("records", numbers...); err != nil {
		return nil, err
	}
	return s.Snapshot.RecordsSince(ctx, after, limit)
}

func (s shakenSnapshot) LogHead(ctx context.Context) (storage.LogHead, error) {
	if err := s.asked("head"); err != nil {
		return storage.LogHead{}, err
	}
	return s.Snapshot.LogHead(ctx)
}

func (s shakenSnapshot) Leaves(ctx context.Context, from int64, limit int) ([]storage.Leaf, error) {
	if err := s.asked("leaves"); err != nil {
		return nil, err
	}
	return s.Snapshot.Leaves(ctx, from, limit)
}

func (s shakenSnapshot) ReadHashes(ctx context.Context, numbers []int64) ([]ledger.Hash, error) {
	if err := s.asked("hashes"); err != nil {
		return nil, err
	}
	return s.Snapshot.ReadHashes(ctx, numbers)
}

func (s shakenSnapshot) Checkpoints(ctx context.Context, after int64, limit int) ([][]byte, error) {
	if err := s.asked("checkpoints"); err != nil {
		return nil, err
	}
	return s.Snapshot.Checkpoints(ctx, after, limit)
}

func (s shakenSnapshot) Deliveries(ctx context.Context, q storage.DeliveryQuery) ([]incident.Delivery, string, error) {
	if err := s.asked("deliveries", q.Incident); err != nil {
		return nil, "", err
	}
	return s.Snapshot.Deliveries(ctx, q)
}

func (s shakenSnapshot) Message(ctx context.Context, id string) ([]byte, error) {
	if err := s.asked("message"); err != nil {
		return nil, err
	}
	return s.Snapshot.Message(ctx, id)
}

func (s shakenSnapshot) Config(ctx context.Context, hash string) (storage.Config, error) {
	if err := s.asked("config"); err != nil {
		return storage.Config{}, err
	}
	return s.Snapshot.Config(ctx, hash)
}

func (s shakenSnapshot) Subscriptions(ctx context.Context, numbers []int64, recipients ...string) (map[int64][]incident.Subscription, error) {
	if err := s.asked("subscriptions", numbers...); err != nil {
		return nil, err
	}
	return s.Snapshot.Subscriptions(ctx, numbers, recipients...)
}

// An owing store knows who is owed what from another.
type owing struct {
	storage.Store
	subscriptions storage.Store
}

type owingSnapshot struct {
	storage.Snapshot
	subscriptions storage.Store
}

func (o owing) Read(ctx context.Context, fn func(storage.Snapshot) error) error {
	return o.Store.Read(ctx, func(r storage.Snapshot) error { return fn(owingSnapshot{r, o.subscriptions}) })
}

func (o owingSnapshot) Subscriptions(ctx context.Context, numbers []int64, recipients ...string) (all map[int64][]incident.Subscription, err error) {
	err = o.subscriptions.Read(ctx, func(r storage.Snapshot) (err error) {
		all, err = r.Subscriptions(ctx, numbers, recipients...)
		return err
	})
	return all, err
}

// pastNow is when the exports and reports are made; what happens meanwhile happens later.
var pastNow = noon.Add(40 * time.Hour)

// goOn lets much happen in a store of a sample with three incidents or more: the first goes on, the
// second is merged into it, the third is closed, messages go out, and there is a new incident and a
// new configuration.
func (s *sample) goOn(t testing.TB, db storage.Store) {
	t.Helper()
	p := newPolicy()
	at := pastNow.Add(10 * time.Hour)
	repo := storage.Repository{Store: db, Policy: func() *incident.Policy { return p }}
	do := func(number int64, fn func(c *storage.Change, s *incident.Situation) ([]incident.Event, error)) {
		t.Helper()
		if err := repo.Change(t.Context(), at, func(c *storage.Change) error {
			s, err := c.Situation(number)
			if err != nil {
				return err
			}
			events, err := fn(c, s)
			if err != nil {
				return err
			}
			return c.Record(s, events...)
		}); err != nil {
			t.Fatal(err)
		}
	}
	for _, number := range []int64{1, 2} {
		do(number, func(c *storage.Change, s *incident.Situation) ([]incident.Event, error) {
			return s.Incident.Reopen(c.Stamp("ada"), "it is back")
		})
	}
	do(1, func(c *storage.Change, into *incident.Situation) ([]incident.Event, error) {
		second, err := c.Situation(2)
		if err != nil {
			return nil, err
		}
		from, to, err := second.Incident.Merge(c.Stamp("ada"), p, &into.Incident, "the same")
		return to, errors.Join(err, c.Record(second, from...))
	})
	do(3, func(c *storage.Change, s *incident.Situation) ([]incident.Event, error) {
		return s.Incident.ChangeAction(c.Stamp("grace"), "hotfix", incident.ActionDone, "", "")
	})
	do(3, func(c *storage.Change, s *incident.Situation) ([]incident.Event, error) {
		return s.Incident.Close(c.Stamp("grace"), "it is over")
	})
	err := db.Write(t.Context(), func(tx storage.Tx) error {
		for i := range 3 { // the first of these is about an incident that goes on, the last about the one that is closed
			d, err := storage.DeliveryOf(t.Context(), tx, fmt.Sprintf("%d-pending", i))
			if err != nil {
				return err
			}
			d.State, d.SentAt, d.FinishedAt = incident.DeliveryDelivered, at, at
			if err := tx.PutDelivery(t.Context(), &d, nil); err != nil {
				return err
			}
		}
		for _, state := range []incident.DeliveryState{incident.DeliveryPending, incident.DeliveryDelivered} {
			d := incident.Delivery{
				ID: "digest-" + string(state), Incident: 1, Kind: incident.KindUpdate, Channel: incident.ChannelEmail, Recipient: "email:eve@example.org", Address: "eve@example.org",
				DueAt: at, Promised: at.Add(time.Minute), CreatedAt: at, Attempts: 1, State: state,
				Covers: []incident.Cover{{Incident: 1, Kind: incident.KindUpdate, DueAt: at}, {Incident: 3, Kind: incident.KindUpdate, DueAt: at}},
			}
			if state == incident.DeliveryDelivered {
				d.SentAt, d.FinishedAt = at, at
			}
			if err := tx.PutDelivery(t.Context(), &d, []byte("Subject: two\r\n\r\n"+d.ID)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	putConfig(t, db, at, "Europe/Paris")
	s.fill(t, db, p, 60)
	if _, err := storage.SignLog(t.Context(), db, s.key, at); err != nil {
		t.Fatal(err)
	}
}

// putConfig lets a configuration come into force, which has a public form.
func putConfig(t testing.TB, db storage.Store, at time.Time, zone string) {
	t.Helper()
	whole, public := newConfig([]byte("timezone: "+zone)), newConfig([]byte("timezone: other than "+zone))
	err := db.Write(t.Context(), func(tx storage.Tx) error {
		return tx.PutConfig(t.Context(), storage.Loading{Hash: whole.Hash, At: at, Actor: "grace", Public: public.Hash}, whole, public)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// open opens the store of a sample, until the test ends.
func (s *sample) open(t testing.TB) *bolt.DB {
	t.Helper()
	db, err := bolt.Open(t.Context(), s.path, bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// atOnce returns what fn makes of one snapshot of a store.
func atOnce[T any](t testing.TB, s storage.Store, fn func(storage.Store) T) (made T) {
	t.Helper()
	if err := s.Read(t.Context(), func(r storage.Snapshot) error { made = fn(frozen{s, r}); return nil }); err != nil {
		t.Fatal(err)
	}
	return made
}

func report(t testing.TB, s storage.Store) string {
	t.Helper()
	rep, err := audit.MakeReport(t.Context(), s, audit.ReportOptions{Now: pastNow})
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.MarshalIndent(rep, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Exports that are made of many snapshots, and what they are made with.
func (s *sample) exports() map[string]audit.ExportOptions {
	return map[string]audit.ExportOptions{
		"all":                {Now: pastNow, Key: s.key},
		"the latest signed":  {Now: pastNow},
		"one incident":       {Now: pastNow, Key: s.key, Selection: audit.Selection{Incident: 1}},
		"one that is closed": {Now: pastNow, Key: s.key, Selection: audit.Selection{Incident: 3}},
		"by priority":        {Now: pastNow, Key: s.key, Selection: audit.Selection{Priority: "P2"}, Pseudonyms: true},
		"to a time":          {Now: pastNow, Key: s.key, Selection: audit.Selection{From: noon.Add(20 * time.Minute)}},
	}
}

// What is made in pages is, byte for byte, what is made in one snapshot.
func TestPagesAreAsOneSnapshot(t *testing.T) {
	aDay(t, func(w *world, ev *evidence) {
		for name, o := range map[string]audit.ExportOptions{
			"all": {Now: ev.at, Key: ev.key}, "without a key": {Now: ev.at}, "with pseudonyms": {Now: ev.at, Key: ev.key, Pseudonyms: true},
			"one": {Now: ev.at, Key: ev.key, Selection: audit.Selection{Incident: 2}},
		} {
			make := func(s storage.Store) []byte { b, _ := export(w.t, s, o); return b }
			if !bytes.Equal(make(w.Store()), atOnce(w.t, w.Store(), make)) {
				w.t.Errorf("%s: an export in pages is not the one in one snapshot", name)
			}
		}
		make := func(s storage.Store) string { return report(w.t, s) }
		if make(w.Store()) != atOnce(w.t, w.Store(), make) {
			w.t.Error("a report in pages is not the one in one snapshot")
		}
	})
}

// Whatever happens between any two snapshots, an export or a report is the one of the moment in which
// it began, and nothing is found to be wrong.
func TestWhatHappensMeanwhileIsLeftOut(t *testing.T) {
	s := newSample(t, 4)
	before, after := s.open(t), s.after(t, s.goOn)
	for name, o := range s.exports() {
		make := func(s storage.Store) []byte { b, _ := export(t, s, o); return b }
		whole := atOnce(t, before, make)
		meanwhile(t, name, before, after, func(db storage.Store, k int) {
			b := make(db)
			s.sound(t, name, k, b)
			if k > 1 && !bytes.Equal(b, whole) {
				t.Errorf("%s: what happened before snapshot %d is in the export", name, k)
				want := files(t, whole)
				for file, content := range files(t, b) {
					sameLines(t, file, content, want[file])
				}
			}
		})
	}
	rep := atOnce(t, before, func(s storage.Store) string { return report(t, s) })
	// Who is owed what is no record, and is as it is when it is read.
	meanwhile(t, "the report", before, owing{after, before}, func(db storage.Store, k int) {
		if got := report(t, db); k > 1 {
			sameLines(t, fmt.Sprint("the report, snapshot ", k), got, rep)
		}
	})
	meanwhile(t, "verify", before, after, func(db storage.Store, k int) { s.verifies(t, db, k) })
}

// The same, and a message that was not handed over is made anew, about another incident; and all who
// had to do with what is over are forgotten at once, with their messages.
func TestWhatIsForgottenMeanwhile(t *testing.T) {
	s := newSample(t, 4)
	before := s.open(t)
	putConfig(t, before, noon.Add(time.Hour), "Europe/Rome")
	after := s.after(t, func(t testing.TB, db storage.Store) {
		s.goOn(t, db)
		err := db.Write(t.Context(), func(tx storage.Tx) error {
			anew, err := storage.DeliveryOf(t.Context(), tx, "3-pending")
			if err != nil {
				return err
			}
			anew.Incident, anew.Covers[0].Incident = 1, 1
			if err := tx.PutDelivery(t.Context(), &anew, nil); err != nil {
				return err
			}
			_, err = storage.Prune(t.Context(), tx, noon.Add(1000*time.Hour), noon.Add(1000*time.Hour), 1000)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		forget(t, db, noon.Add(1000*time.Hour))
	})
	for name, o := range s.exports() {
		meanwhile(t, name, before, after, func(db storage.Store, k int) {
			b, _ := export(t, db, o)
			s.sound(t, name, k, b)
		})
	}
	meanwhile(t, "the report", before, after, func(db storage.Store, _ int) { report(t, db) })
	meanwhile(t, "verify", before, after, func(db storage.Store, k int) { s.verifies(t, db, k) })
}

// after returns a copy of the sample in which something has happened.
func (s *sample) after(t testing.TB, happens func(testing.TB, storage.Store)) storage.Store {
	t.Helper()
	c := s.copied(t)
	db := c.open(t)
	happens(t, db)
	return db
}

// meanwhile calls make with a store in which something happens before the first snapshot of it, then
// with one where it does before the second, and so on.
func meanwhile(t *testing.T, name string, before, after storage.Store, make func(db storage.Store, k int)) {
	t.Helper()
	for k, done := 1, false; !done; k++ {
		n := 0
		db := &shaken{Store: before}
		db.before = func() {
			if n++; n == k {
				db.Store = after
			}
		}
		make(db, k)
		if done = n < k; done && n < 5 {
			t.Errorf("%s was made of %d snapshots", name, n)
		}
	}
}

// sameLines names the first line in which two texts differ.
func sameLines(t testing.TB, name, got, want string) {
	t.Helper()
	a, b := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range a {
		if i >= len(b) || a[i] != b[i] {
			t.Errorf("%s: line %d is %s, want %s", name, i+1, a[i], b[min(i, len(b)-1)])
			return
		}
	}
	if len(a) != len(b) {
		t.Errorf("%s has %d lines, want %d", name, len(a), len(b))
	}
}

// sound checks that nothing is wrong with an export.
func (s *sample) sound(t testing.TB, name string, k int, b []byte) {
	t.Helper()
	if v := verify(t, b, audit.VerifyOptions{Keys: []string{s.key.Public()}}); !v.OK() {
		t.Fatalf("%s: as something happened before snapshot %d, it is found %v", name, k, v.Findings)
	}
}

// verifies checks that nothing is wrong with a store.
func (s *sample) verifies(t testing.TB, db storage.Store, k int) {
	t.Helper()
	v, err := audit.Verify(t.Context(), db, audit.VerifyOptions{Keys: []string{s.key.Public()}})
	if err != nil || !v.OK() {
		t.Fatalf("as something happened before snapshot %d, it is found %v, %v", k, v.Findings, err)
	}
}

// A snapshot that is lost, at whichever question, is read again, and nothing of it is there twice.
func TestALostSnapshotIsReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSample(t, 3)
		db := s.open(t)
		for name, make := range map[string]func(storage.Store) string{
			"export": func(db storage.Store) string {
				b, _ := export(t, db, audit.ExportOptions{Now: pastNow, Key: s.key})
				return string(b)
			},
			"report": func(db storage.Store) string { return report(t, db) },
			"verify": func(db storage.Store) string {
				v, err := audit.Verify(t.Context(), db, audit.VerifyOptions{Keys: []string{s.key.Public()}})
				return fmt.Sprint(v, err)
			},
		} {
			want := make(db)
			for k, done := 1, false; !done; k++ {
				n := 0
				got := make(&shaken{Store: db, asked: func(string, ...int64) error {
					if n++; n == k {
						return fmt.Errorf("%w: the connection was cut", storage.ErrUnavailable)
					}
					return nil
				}})
				if got != want {
					t.Fatalf("%s, with a snapshot lost at question %d: %q, want %q", name, k, got, want)
				}
				if done = n < k; done && n < 10 {
					t.Errorf("%s asked %d questions", name, n)
				}
			}
		}
		// What stays away is no reason to wait for ever.
		began := time.Now()
		_, err := audit.Export(t.Context(), &shaken{Store: db, asked: func(string, ...int64) error { return storage.ErrUnavailable }}, io.Discard, audit.ExportOptions{Now: pastNow, Key: s.key})
		if !errors.Is(err, storage.ErrUnavailable) || time.Since(began) > time.Minute {
			t.Errorf("%v after %s", err, time.Since(began))
		}
	})
}

// No snapshot is held for more than a hundred incidents, deliveries or messages, or for many megabytes.
func TestNoSnapshotIsHeldForLong(t *testing.T) {
	const incidents, most, large, mostLarge = 350, 100, 24, 8
	s := newStorm(t, incidents)
	db := s.open(t)
	if err := db.Write(t.Context(), func(tx storage.Tx) error {
		for i := range large {
			d := incident.Delivery{ID: fmt.Sprint("large", i), Recipient: "email:ada@example.org", Incident: 1, Kind: incident.KindUpdate, State: incident.DeliveryDelivered, CreatedAt: noon, SentAt: noon, FinishedAt: noon}
			if err := tx.PutDelivery(t.Context(), &d, bytes.Repeat([]byte("large "), 200_000)); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for name, make := range map[string]func(storage.Store) error{
		"export": func(db storage.Store) error {
			_, err := audit.Export(t.Context(), db, io.Discard, audit.ExportOptions{Now: pastNow, Key: s.key})
			return err
		},
		"report": func(db storage.Store) error {
			_, err := audit.MakeReport(t.Context(), db, audit.ReportOptions{Now: pastNow})
			return err
		},
		"verify": func(db storage.Store) error {
			v, err := audit.Verify(t.Context(), db, audit.VerifyOptions{Keys: []string{s.key.Public()}})
			if err == nil && !v.OK() {
				err = fmt.Errorf("findings %v", v.Findings)
			}
			return err
		},
	} {
		snapshots, questions, messages := 0, 0, 0
		about, all := map[int64]bool{}, map[int64]bool{}
		err := make(&shaken{Store: db, before: func() {
			snapshots++
			questions, messages = 0, 0
			clear(about)
		}, asked: func(what string, numbers ...int64) error {
			for _, number := range numbers {
				if number != 0 {
					about[number], all[number] = true, true
				}
			}
			if what == "message" && name == "export" {
				messages++
			}
			if questions++; len(about) > most || questions > 10*most || messages > mostLarge {
				return fmt.Errorf("a snapshot is held for %d incidents, %d questions and %d large messages", len(about), questions, messages)
			}
			return nil
		}})
		if err != nil || len(all) != incidents || snapshots < 2*incidents/most {
			t.Errorf("%s, of %d snapshots and %d incidents: %v", name, snapshots, len(all), err)
		}
	}
}

// A tardy store has records that have no place in the log until a time.
type tardy struct {
	storage.Store
	size    int64 // of the log until then
	waiting int64
	until   time.Time // zero: nobody gives them one
}

type tardySnapshot struct {
	storage.Snapshot
	*tardy
}

func (d *tardy) Read(ctx context.Context, fn func(storage.Snapshot) error) error {
	if !d.until.IsZero() && !time.Now().Before(d.until) {
		return d.Store.Read(ctx, fn)
	}
	return d.Store.Read(ctx, func(r storage.Snapshot) error { return fn(tardySnapshot{r, d}) })
}

func (d tardySnapshot) LogHead(ctx context.Context) (storage.LogHead, error) {
	head, err := d.Snapshot.LogHead(ctx)
	head.Size, head.Waiting = d.size, d.waiting
	return head, err
}

func (d tardySnapshot) Records(ctx context.Context, q storage.RecordQuery) ([]storage.Record, error) {
	records, err := d.Snapshot.Records(ctx, q)
	for i := range records {
		if records[i].Index >= d.size {
			records[i].Index = -1
		}
	}
	return records, err
}

func (d tardySnapshot) RecordsSince(ctx context.Context, after map[int64]int64, limit int) (map[int64][]storage.Record, error) {
	all, err := d.Snapshot.RecordsSince(ctx, after, limit)
	for _, records := range all {
		for i := range records {
			if records[i].Index >= d.size {
				records[i].Index = -1
			}
		}
	}
	return all, err
}

// What has no place in the log yet is waited for; where nobody gives it one it is there all the same,
// and the export says that it is not proven.
func TestAnExportOfWhatHasNoPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSample(t, 2)
		db := s.open(t)
		_, whole := export(t, db, audit.ExportOptions{Now: pastNow, Key: s.key})
		const waiting = 4 // the last two events of the last incident, and what became of its messages
		for name, c := range map[string]struct {
			until time.Time
			waits int
		}{
			"placed soon": {time.Now().Add(time.Second), 0}, "never placed": {time.Time{}, waiting},
		} {
			b, sum := export(t, &tardy{db, whole.Size - waiting, waiting, c.until}, audit.ExportOptions{Now: pastNow, Key: s.key})
			if sum.Waiting != c.waits || sum.Proven != whole.Proven-c.waits || sum.Events != whole.Events || sum.Deliveries != whole.Deliveries {
				t.Errorf("%s: %+v, want what is in %+v", name, sum, whole)
			}
			s.sound(t, name, 0, b)
		}
	})
}
