package audit_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"

	"sitrep/audit"
	"sitrep/storage"
	"sitrep/storage/bolt"
	"sitrep/storage/postgres"
	"sitrep/storage/postgres/postgrestest"
)

// inDatabase copies a store to a database, and returns that with its URL.
func inDatabase(t *testing.T, from *bolt.DB) (*postgres.DB, string) {
	t.Helper()
	url := postgrestest.New(t)
	db, err := postgres.Open(t.Context(), url, postgres.Options{Migrate: true, Unfinished: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if _, err := storage.Copy(t.Context(), from, db, storage.CopyOptions{}); err != nil {
		t.Fatal(err)
	}
	return db, url
}

// What is made of a database in pages is what is made of a file in one snapshot, whatever happens
// between the pages, and whichever connection is lost on the way.
func TestPagesOfADatabase(t *testing.T) {
	s := newSample(t, 4)
	file := s.open(t)
	before, url := inDatabase(t, file)
	after, _ := inDatabase(t, s.after(t, s.goOn).(*bolt.DB))
	o := s.exports()["all"]
	make := func(db storage.Store) string {
		b, _ := export(t, db, o)
		return string(b)
	}
	want := atOnce(t, file, make)
	meanwhile(t, "the export", before, after, func(db storage.Store, k int) {
		if got := make(db); k > 1 && got != want {
			t.Errorf("what happened before snapshot %d is in the export", k)
		}
	})
	meanwhile(t, "verify", before, after, func(db storage.Store, k int) { s.verifies(t, db, k) })

	admin, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close(context.WithoutCancel(t.Context()))
	ends := 0
	const every = 12
	n := 0
	got := make(&shaken{Store: before, asked: func(string, ...int64) error {
		if n++; n%every != 0 {
			return nil
		}
		var ended int
		err := admin.QueryRow(t.Context(), `select count(pg_terminate_backend(pid)) from pg_stat_activity
			where datname = current_database() and backend_type = 'client backend' and pid <> pg_backend_pid()`).Scan(&ended)
		ends += min(ended, 1)
		return err
	}})
	if got != want || ends < 3 {
		t.Errorf("connections were ended %d times on the way, and the export is another: %t", ends, got != want)
	}
	if _, err := audit.MakeReport(t.Context(), before, audit.ReportOptions{Now: pastNow}); err != nil {
		t.Error(err)
	}
}

// Records that have no place in the log yet are waited for, and are proven like all others.
func TestAnExportWaitsForPlaces(t *testing.T) {
	s := newSample(t, 2)
	db, _ := inDatabase(t, s.open(t))
	for i := range 3 {
		s.fill(t, db, newPolicy(), 10+i)
		_, sum := export(t, db, audit.ExportOptions{Now: pastNow, Key: s.key})
		if sum.Incidents != 3+i || sum.Events != 7*(3+i) || sum.Waiting != 0 || int64(sum.Proven) != sum.Size {
			t.Errorf("%+v", sum)
		}
	}
}
