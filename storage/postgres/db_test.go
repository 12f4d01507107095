package postgres_test

import (
	"testing"

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
