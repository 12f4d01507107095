package postgres_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"sitrep/storage"
	"sitrep/storage/postgres"
	"sitrep/storage/postgres/postgrestest"
)

func TestOpenMakesTheSchemaOnce(t *testing.T) {
	url := postgrestest.Database(t)
	for range 2 {
		db, err := postgres.Open(t.Context(), url, postgres.Options{Migrate: true})
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestVersionsOfTheSchema: an older sitrep runs on the schema of a newer one as long as that says
// so, else it says what it is; and one that may not migrate waits for somebody who does.
func TestVersionsOfTheSchema(t *testing.T) {
	url := postgrestest.Database(t)
	opened := make(chan error, 1)
	go func() {
		db, err := postgres.Open(t.Context(), url, postgres.Options{})
		if err == nil {
			err = db.Close()
		}
		opened <- err
	}()
	if _, err := postgres.Migrate(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	if err := <-opened; err != nil {
		t.Fatalf("one that waits: %v", err)
	}
	running := open(t, url)
	run(t, url, "insert into schema_versions (version_id, is_applied) values (1000, true)", "alter table incidents add column later text")
	again := open(t, url)
	for _, db := range []*postgres.DB{running, again} {
		if err := db.Write(t.Context(), func(tx storage.Tx) error {
			return tx.PutAlive(t.Context(), storage.Replica{Owner: "a", SeenAt: time.Now()})
		}); err != nil {
			t.Errorf("on a newer schema: %v", err)
		}
	}
	run(t, url, "update form set oldest = 1000")
	if _, err := postgres.Open(t.Context(), url, postgres.Options{Migrate: true}); !errors.Is(err, storage.ErrNewer) {
		t.Errorf("on a schema that it cannot use: %v", err)
	}
}

// A connection that was lost while it was used takes no place in the pool from then on, however long
// the server says nothing to its end.
func TestALostConnectionTakesNoPlace(t *testing.T) {
	t.Parallel()
	cluster := postgrestest.Start(t)
	url := cluster.Database(t)
	if _, err := postgres.Migrate(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	for name, use := range map[string]func(ctx context.Context, db *postgres.DB) error{
		"a glance": func(ctx context.Context, db *postgres.DB) error {
			_, err := db.Glance(ctx)
			return err
		},
		"a read": func(ctx context.Context, db *postgres.DB) error {
			return db.Read(ctx, func(r storage.Snapshot) error {
				_, err := r.Pulses(ctx)
				return err
			})
		},
		"a write": func(ctx context.Context, db *postgres.DB) error {
			return db.Write(ctx, func(tx storage.Tx) error { return tx.Lock(ctx, storage.Needs{Pulses: []string{"eu"}}) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			db := open(t, url)
			postgres.Still(db)
			stranger, err := pgx.Connect(t.Context(), url)
			if err != nil {
				t.Fatal(err)
			}
			defer stranger.Close(context.WithoutCancel(t.Context()))
			if _, err := stranger.Exec(t.Context(), "begin; lock table pulses"); err != nil {
				t.Fatal(err)
			}
			ctx, leave := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- use(ctx, db) }()
			waits := "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
			for deadline := time.Now().Add(patience); count(t, url, waits) == 0; time.Sleep(10 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatal("it does not wait for the lock")
				}
			}
			before := postgres.Places(db)
			cluster.Pause(t)
			defer cluster.Resume(t)
			leave()
			if err := <-done; !errors.Is(err, context.Canceled) {
				t.Errorf("it ends with %v", err)
			}
			if n := postgres.Places(db); n != before-1 {
				t.Errorf("%d connections are in the pool of %d before", n, before)
			}
		})
	}
}
