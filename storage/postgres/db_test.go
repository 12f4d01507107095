package postgres_test

import (
	"errors"
	"testing"
	"time"

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
