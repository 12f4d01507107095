package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"sitrep/incident"
	"sitrep/storage"
	"sitrep/storage/postgres"
)

// breachOf is a breach of no incident.
func breachOf(fingerprint string) []*incident.Breach {
	return []*incident.Breach{{Fingerprint: fingerprint, State: incident.BreachEnded, StartsAt: now()}}
}

// putTogether puts a breach in a write that may share its transaction. It runs then once what it needs
// is locked.
func putTogether(ctx context.Context, db storage.Store, fingerprint string, then func() error) error {
	return db.Write(storage.Together(ctx), func(tx storage.Tx) error {
		if err := tx.Lock(ctx, storage.Needs{Fingerprints: []string{fingerprint}}); err != nil {
			return err
		}
		if then != nil {
			if err := then(); err != nil {
				return err
			}
		}
		return tx.PutBreaches(ctx, breachOf(fingerprint))
	})
}

// crowd holds up all transactions that writes may share, lets writes come, and returns once they are
// done.
func crowd(t *testing.T, db *postgres.DB, writes ...func()) {
	t.Helper()
	held, free := make(chan struct{}, postgres.Gatherers), make(chan struct{})
	var all sync.WaitGroup
	for i := range postgres.Gatherers {
		all.Go(func() {
			err := putTogether(t.Context(), db, fmt.Sprint("holds ", i, t.Name()), func() error {
				select {
				case held <- struct{}{}:
				default: // it is run again
				}
				<-free
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	for range postgres.Gatherers {
		<-held
	}
	for _, write := range writes {
		all.Go(write)
	}
	for !postgres.Waits(db, len(writes)) {
		if err := t.Context().Err(); err != nil {
			t.Fatal(err)
		}
	}
	close(free)
	all.Wait()
}

// stored reports whether a breach is there.
func stored(t *testing.T, db storage.Store, fingerprint string) (found bool) {
	t.Helper()
	err := db.Read(t.Context(), func(r storage.Snapshot) error {
		b, err := storage.LatestBreach(t.Context(), r, fingerprint)
		found = b != nil
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// Writes that come while others are under way share one transaction, and each is stored.
func TestWritesThatComeAtOnceShareATransaction(t *testing.T) {
	const writes = 40
	var trips counter
	db := openWith(t, newStore(t), postgres.Options{Trace: trips.add})
	postgres.Still(db)
	var all []func()
	for i := range writes {
		all = append(all, func() {
			if err := putTogether(t.Context(), db, fmt.Sprint("shared ", i), nil); err != nil {
				t.Error(err)
			}
		})
	}
	crowd(t, db, all...)
	for i := range writes {
		if !stored(t, db, fmt.Sprint("shared ", i)) {
			t.Errorf("%d is not stored", i)
		}
	}
	if n := trips.of("commit"); n > postgres.Gatherers+2 {
		t.Errorf("%d commits of %d writes", n, writes)
	}
}

// In a transaction that is shared each write sees what those before it wrote, fails by itself, and is
// not stored once whoever asked for it has left.
func TestWritesThatShareATransactionFailByThemselves(t *testing.T) {
	failure := errors.New("this one fails")
	for name, fails := range map[string]func(ctx context.Context, leave func(), tx storage.Tx) error{
		"before it writes": func(context.Context, func(), storage.Tx) error { return failure },
		"after it wrote": func(ctx context.Context, _ func(), tx storage.Tx) error {
			return errors.Join(tx.PutBreaches(ctx, breachOf("bad")), failure)
		},
		"as who asked for it left": func(ctx context.Context, leave func(), tx storage.Tx) error {
			leave()
			return tx.PutBreaches(context.WithoutCancel(ctx), breachOf("bad"))
		},
		"in the database": func(ctx context.Context, _ func(), tx storage.Tx) error {
			return tx.PutJournal(ctx, storage.JournalOutages, []storage.Entry{{At: now(), Body: nil}})
		},
		"by a panic": func(context.Context, func(), storage.Tx) error { panic(failure) },
	} {
		t.Run(name, func(t *testing.T) {
			db := openWith(t, newStore(t), postgres.Options{})
			var writes []func()
			for i := range 10 {
				writes = append(writes, func() {
					if err := putTogether(t.Context(), db, fmt.Sprint("good ", i), nil); err != nil {
						t.Error(err)
					}
				})
			}
			writes = append(writes, func() {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				defer func() {
					if p := recover(); p != nil && name != "by a panic" {
						t.Error(p)
					}
				}()
				err := db.Write(storage.Together(ctx), func(tx storage.Tx) error {
					if err := tx.Lock(ctx, storage.Needs{Fingerprints: []string{"bad"}}); err != nil {
						return err
					}
					return fails(ctx, cancel, tx)
				})
				if err == nil || name == "by a panic" {
					t.Errorf("the one that fails: %v", err)
				}
			})
			crowd(t, db, writes...)
			for i := range 10 {
				if !stored(t, db, fmt.Sprint("good ", i)) {
					t.Errorf("%d is not stored, as another failed", i)
				}
			}
			if stored(t, db, "bad") {
				t.Error("the one that failed is stored")
			}
		})
	}
}

// Of two writes that share a transaction and open an incident of one SLO the second joins it, and
// numbers have no gap.
func TestPostsThatShareATransactionJoinOneIncident(t *testing.T) {
	url := newStore(t)
	db := openWith(t, url, postgres.Options{})
	in := taker(t, db)
	slos := in.Repo.Policy().SLOs
	var posts []func()
	for i := range 30 {
		posts = append(posts, func() {
			if _, err := in.Take(t.Context(), postOf(slos[i%2].ID, fmt.Sprint("together ", i), 3, false)); err != nil {
				t.Error(err)
			}
		})
	}
	crowd(t, db, posts...)
	if n, last := count(t, url, "select count(*) from incidents"), count(t, url, "select last from numbers"); n != 2 || last != 2 {
		t.Errorf("%d incidents, the latest number is %d", n, last)
	}
	if n := count(t, url, "select count(*) from breaches where incident > 0"); n != 90 {
		t.Errorf("%d breaches", n)
	}
	if n := count(t, url, "select sum(n)::bigint from incident_counts"); n != 2 {
		t.Errorf("%d incidents are counted", n)
	}
}

// A lease is taken once, however many ask for it at the same time.
func TestALeaseIsTakenOnceInASharedTransaction(t *testing.T) {
	db := openWith(t, newStore(t), postgres.Options{})
	at := now()
	must(t, db.Write(t.Context(), func(tx storage.Tx) error {
		return tx.PutSubscriptions(t.Context(), []incident.Subscription{{Incident: 1, Recipient: "mail:ada", DueAt: at}, {Incident: 1, Recipient: "mail:bob", DueAt: at}}, nil)
	}))
	var mu sync.Mutex
	taken := map[string]int{}
	var takers []func()
	for i := range 12 {
		to := []string{"mail:ada", "mail:bob", "mail:nobody"}[i%3]
		takers = append(takers, func() {
			var leases []storage.Lease
			err := db.Write(storage.Together(t.Context()), func(tx storage.Tx) (err error) {
				leases, err = tx.TakeLeases(t.Context(), now(), "me", storage.GenerationEvery, []string{to})
				return err
			})
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			for _, l := range leases {
				if taken[l.Recipient]++; len(l.Subscriptions) != 1 {
					t.Errorf("the lease of %q has %d subscriptions", l.Recipient, len(l.Subscriptions))
				}
			}
		})
	}
	crowd(t, db, takers...)
	if len(taken) != 2 || taken["mail:ada"] != 1 || taken["mail:bob"] != 1 {
		t.Errorf("taken: %v", taken)
	}
}

// A counter counts the statements that go to a database.
type counter struct {
	mu  sync.Mutex
	all map[string]int
}

func (c *counter) add(statements []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all == nil {
		c.all = map[string]int{}
	}
	for _, sql := range statements {
		c.all[sql]++
	}
}

func (c *counter) of(sql string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.all[sql]
}
