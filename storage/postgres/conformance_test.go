package postgres_test

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"sitrep/storage"
	"sitrep/storage/bolt"
	"sitrep/storage/postgres"
	"sitrep/storage/postgres/postgrestest"
	"sitrep/storage/storagetest"
)

// urls are those of open stores, to open them once more.
var urls sync.Map

func TestStore(t *testing.T) {
	storagetest.Run(t, storagetest.Engine{
		Open: func(t *testing.T) storage.Store { return open(t, newStore(t)) },
		Foreign: func(t *testing.T) storage.Store {
			db, err := bolt.Open(t.Context(), filepath.Join(t.TempDir(), "sitrep.db"), bolt.Options{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = db.Close() })
			return db
		},
		Again: func(t *testing.T, s storage.Store) storage.Store {
			url, _ := urls.Load(s)
			return open(t, url.(string))
		},
	})
}

// free are databases with the schema and nothing in them: to empty one takes a tenth of the time
// that it takes to make one.
var free = make(chan string, 8)

// newStore returns the URL of a database with the schema and nothing in it.
func newStore(t testing.TB) string {
	t.Helper()
	var url string
	select {
	case url = <-free:
	default:
		url = postgrestest.New(t)
		if _, err := postgres.Migrate(t.Context(), url); err != nil {
			t.Fatal(err)
		}
		run(t, url, "create schema pristine", eachTable("public", "create table pristine.%1$I as table %1$I"))
	}
	t.Cleanup(func() { // after those who have it open are gone
		run(t, url, "set session_replication_role = replica", eachTable("public", "delete from %1$I"), eachTable("pristine", "insert into public.%1$I select * from pristine.%1$I"))
		select {
		case free <- url:
		default:
		}
	})
	return url
}

// eachTable is a statement that carries out another for each table of a schema that has rows.
func eachTable(schema, sql string) string {
	return fmt.Sprintf(`do $$ declare t record; filled boolean; begin
		for t in select tablename from pg_tables where schemaname = '%[1]s' loop
			execute format('select exists (select from %[1]s.%%I)', t.tablename) into filled;
			if filled then execute format('%[2]s', t.tablename); end if;
		end loop; end $$`, schema, sql)
}

// run carries out statements.
func run(t testing.TB, url string, statements ...string) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	for _, sql := range statements {
		if _, err := conn.Exec(ctx, sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
}

// open opens a store, which is closed when the test ends.
func open(t testing.TB, url string) *postgres.DB {
	t.Helper()
	return openWith(t, url, postgres.Options{})
}

// openWith is open with options, but for the log.
func openWith(t testing.TB, url string, o postgres.Options) *postgres.DB {
	t.Helper()
	o.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	db, err := postgres.Open(t.Context(), url, o)
	if err != nil {
		t.Fatal(err)
	}
	urls.Store(db, url)
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// The contract holds also through a pooler that gives each transaction any connection.
func TestStoreThroughABouncer(t *testing.T) {
	through := postgrestest.Bouncer(t)
	storagetest.Run(t, storagetest.Engine{
		Open: func(t *testing.T) storage.Store { return open(t, through(newStore(t))) },
		Again: func(t *testing.T, s storage.Store) storage.Store {
			url, _ := urls.Load(s)
			return open(t, url.(string))
		},
		Groups: []string{"transactions", "breaches", "subscriptions", "claims", "deliveries", "log", "configurations", "jobs", "replicas", "two writers", "a queue of two writers"},
	})
}
