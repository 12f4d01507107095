package postgres_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"sitrep/audit"
	"sitrep/incident"
	"sitrep/ledger"
	"sitrep/storage"
	"sitrep/storage/postgres"
	"sitrep/storage/postgres/postgrestest"
)

var soakFor = flag.Duration("soak", 0, "how long TestDeadRowsAreBounded takes, 6m or more to tell something; 0: it is skipped")

// soakRate is how many deliveries a second are made while it soaks.
const soakRate = 500

// soakIncidents is how many incidents the exports are of that are made while it soaks.
const soakIncidents = 500

// Deliveries go on for long, while exports of much are made one after the other: the tables that each
// delivery changes do not grow with how many there were, and no transaction is open for long.
func TestDeadRowsAreBounded(t *testing.T) {
	if *soakFor == 0 {
		t.Skip("-soak says for how long")
	}
	cluster := postgrestest.Start(t)
	database := cluster.Database(t)
	if _, err := postgres.Migrate(t.Context(), database); err != nil {
		t.Fatal(err)
	}
	fill(t, database, planRows)
	db := open(t, database)
	happen(t, db)
	key, err := ledger.GenerateKey("sitrep.example.org/ledger")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), *soakFor)
	defer cancel()
	at := time.Date(2027, 1, 4, 0, 0, 0, 0, time.UTC) // all is due
	var made atomic.Int64
	var wg sync.WaitGroup
	recipients := make(chan string)
	wg.Go(func() {
		defer close(recipients)
		pace := time.NewTicker(time.Second / soakRate)
		defer pace.Stop()
		for ctx.Err() == nil { // those who have waited longest, as a service does
			var waiting []storage.Waiting
			err := db.Read(ctx, func(r storage.Snapshot) (err error) {
				waiting, err = r.Waiting(ctx, at, 2*soakRate)
				return err
			})
			if err != nil && ctx.Err() == nil {
				t.Error(err)
			}
			for i := range waiting {
				select {
				case <-ctx.Done():
					return
				case <-pace.C:
				}
				select {
				case <-ctx.Done():
					return
				case recipients <- waiting[i].Recipient:
				}
			}
		}
	})
	for hand := range 16 {
		wg.Go(func() {
			for to := range recipients {
				if err := deliver(ctx, db, at, fmt.Sprint("hand", hand), to, made.Add(1)); err != nil && ctx.Err() == nil && !errors.Is(err, storage.ErrLost) {
					t.Error(err)
					return
				}
			}
		})
	}
	// Two exports at a time.
	var exports atomic.Int64
	for range 2 {
		wg.Go(func() {
			for ctx.Err() == nil {
				sum, err := audit.Export(ctx, db, io.Discard, audit.ExportOptions{Selection: audit.Selection{Team: "soak"}, Now: at, Key: key})
				if ctx.Err() != nil {
					return
				}
				if err != nil || sum.Incidents != soakIncidents || sum.Waiting != 0 {
					t.Errorf("%+v, %v", sum, err)
					return
				}
				exports.Add(1)
			}
		})
	}
	tables := []string{"queue", "claims", "subscriptions"}
	half, dead := map[string]int64{}, map[string]int64{}
	var pages, slowest, longest float64 // of the question what is due first, and of a transaction
	began := time.Now()
	for look := time.NewTicker(5 * time.Second); ctx.Err() == nil; {
		select {
		case <-ctx.Done():
		case <-look.C:
		}
		n, took := first(t, database)
		pages, slowest, longest = max(pages, n), max(slowest, took), max(longest, oldest(t, database))
		for _, table := range tables {
			bytes, n := grown(t, database, table)
			dead[table] = max(dead[table], n)
			if time.Since(began) <= *soakFor/2 {
				half[table] = bytes
			}
		}
	}
	wg.Wait()
	rate := float64(made.Load()) / time.Since(began).Seconds()
	// What comes until vacuum has been there, which looks each minute: each delivery leaves four dead rows
	// of a table at most.
	most := int64(4 * rate * (2 * time.Minute).Seconds())
	t.Logf("%.0f deliveries a second, beside %d exports of %s each; a snapshot was held for %.1f s at most; who is first in the queue is found by %.0f pages at most, in %.1f ms",
		rate, exports.Load(), 2*(time.Since(began)/time.Duration(max(exports.Load(), 1))).Round(time.Millisecond), longest, pages, slowest)
	for _, table := range tables {
		bytes, _ := grown(t, database, table)
		t.Logf("%s: %d kB at half time, %d kB at the end, at most %d dead rows", table, half[table]>>10, bytes>>10, dead[table])
		if bytes > half[table]+half[table]/2 {
			t.Errorf("%s grows: %d kB at half time, %d kB at the end", table, half[table]>>10, bytes>>10)
		}
		if dead[table] > most {
			t.Errorf("%s has %d dead rows, want at most %d", table, dead[table], most)
		}
	}
}

// happen opens incidents that concern nobody.
func happen(t *testing.T, db storage.Store) {
	t.Helper()
	p := &incident.Policy{Location: time.UTC, Priorities: []incident.Priority{{Name: "P1"}}}
	repo := &storage.Repository{Store: db, Policy: func() *incident.Policy { return p }}
	for from := 0; from < soakIncidents; from += 100 {
		if err := repo.Change(t.Context(), now(), func(c *storage.Change) error {
			for i := from; i < from+100; i++ {
				slo := &incident.SLO{ID: fmt.Sprint("soak", i), Key: fmt.Sprint("soak", i), UseCase: "nobody is notified", Team: "soak", Priority: "P1"}
				in, _, err := c.IncidentFor(slo, incident.ActorAlertmanager)
				if err != nil {
					return err
				}
				b := incident.NewBreach(&incident.Alert{Fingerprint: slo.ID, StartsAt: now()}, nil, now())
				if err := c.RecordBreach(in, &b, in.Fire(c.Stamp(incident.ActorAlertmanager), &b, nil, "", p.Priorities[0], p)); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
}

// row reads what a question finds.
func row(t *testing.T, database string, into []any, sql string, args ...any) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	conn, err := pgx.Connect(ctx, database)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if err := conn.QueryRow(ctx, sql, args...).Scan(into...); err != nil {
		t.Fatal(err)
	}
}

// oldest returns for how many seconds the oldest snapshot of a client has been held.
func oldest(t *testing.T, database string) (held float64) {
	t.Helper()
	row(t, database, []any{&held}, `select coalesce(max(extract(epoch from clock_timestamp() - xact_start)), 0)::float8 from pg_stat_activity
		where datname = current_database() and backend_xmin is not null and pid <> pg_backend_pid()`)
	return held
}

// grown returns how large a table is, with its indexes, and how many dead rows are known of.
func grown(t *testing.T, database, table string) (bytes, dead int64) {
	t.Helper()
	row(t, database, []any{&bytes, &dead}, "select pg_total_relation_size($1::text::regclass), n_dead_tup from pg_stat_user_tables where schemaname = 'public' and relname = $1", table)
	return bytes, dead
}

// first returns how many pages are touched, and for how many milliseconds, to find who is first in the
// queue.
func first(t *testing.T, database string) (pages, took float64) {
	t.Helper()
	var plans []struct {
		Plan struct {
			Hit  float64 `json:"Shared Hit Blocks"`
			Read float64 `json:"Shared Read Blocks"`
		}
		Took float64 `json:"Execution Time"`
	}
	row(t, database, []any{&plans}, "explain (analyze, buffers, format json) select next_at from queue where next_at is not null order by next_at limit 1")
	if len(plans) != 1 {
		t.Fatalf("%d plans", len(plans))
	}
	return plans[0].Plan.Hit + plans[0].Plan.Read, plans[0].Took
}

// deliver takes the lease of a recipient, records a message, that it was handed over, and what is
// due next, as a service does. Whoever is not to be had is left out.
func deliver(ctx context.Context, db storage.Store, at time.Time, owner, to string, n int64) error {
	var l *storage.Lease
	d := incident.Delivery{ID: fmt.Sprint("soak", n), Kind: incident.KindUpdate, Recipient: to, State: incident.DeliveryPending, CreatedAt: at, DueAt: at}
	err := db.Write(ctx, func(tx storage.Tx) error {
		l = nil
		leases, err := tx.TakeLeases(ctx, at, owner, time.Hour, []string{to})
		if err != nil || len(leases) == 0 || len(leases[0].Subscriptions) == 0 {
			return err
		}
		l = &leases[0]
		s := &l.Subscriptions[0]
		d.Incident, d.Covers = s.Incident, []incident.Cover{{Incident: s.Incident, DueAt: s.DueAt}}
		return tx.PutDelivery(ctx, &d, make([]byte, 5000))
	})
	if err != nil || l == nil {
		return err
	}
	return db.Write(ctx, func(tx storage.Tx) error {
		c := *l
		if err := tx.ExtendLease(ctx, &c, at, time.Hour); err != nil {
			return err
		}
		s := c.Subscriptions[0]
		s.DueAt = s.DueAt.Add(time.Hour) // due again after most others
		if err := tx.PutSubscriptions(ctx, []incident.Subscription{s}, nil); err != nil {
			return err
		}
		done := d
		done.State, done.SentAt, done.FinishedAt = incident.DeliveryDelivered, at, at
		if err := tx.PutDelivery(ctx, &done, nil); err != nil {
			return err
		}
		return tx.ReleaseLease(ctx, &c, at, time.Time{}, "", 0)
	})
}
