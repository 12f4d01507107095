package postgres_test

import (
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"sitrep/storage"
	"sitrep/storage/postgres"
	"sitrep/storage/postgres/postgrestest"
	"sitrep/storage/storagetest"
)

// documented returns the statements of each part of SQL in docs/high-availability.md.
func documented(t *testing.T) (parts [][]string) {
	t.Helper()
	page, err := os.ReadFile("../../docs/high-availability.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range regexp.MustCompile("(?s)```sql\n(.*?)```").FindAllSubmatch(page, -1) {
		text := regexp.MustCompile(`(?m)^--.*$`).ReplaceAllString(string(part[1]), "")
		text = strings.ReplaceAll(text, `\connect sitrep`, `\connect sitrep;`)
		var statements []string
		for _, s := range strings.Split(text, ";") {
			if s = strings.TrimSpace(s); s != "" {
				statements = append(statements, s)
			}
		}
		parts = append(parts, statements)
	}
	return parts
}

// TestTheRolesThatAreDocumented: with the roles of docs/high-availability.md the owner migrates, the
// program does all that it has to, nobody but the owner can change a leaf, a checkpoint or a
// loading, and the auditor reads and does nothing else.
func TestTheRolesThatAreDocumented(t *testing.T) {
	cluster := postgrestest.Start(t)
	as := func(role string) string {
		return strings.Replace(cluster.URL("sitrep"), "//postgres@", "//"+role+"@", 1)
	}
	parts := documented(t)
	if len(parts) < 2 {
		t.Fatalf("%d parts of SQL", len(parts))
	}
	database := "postgres"
	for _, s := range parts[0] {
		if s == `\connect sitrep` {
			database = "sitrep"
			continue
		}
		cluster.Do(t, database, s)
	}
	if _, err := postgres.Migrate(t.Context(), as("sitrep_owner")); err != nil {
		t.Fatal(err)
	}
	run(t, as("sitrep_owner"), parts[1]...)
	super := cluster.URL("sitrep")
	run(t, super, "create schema pristine", eachTable("public", "create table pristine.%1$I as table %1$I"))

	storagetest.Run(t, storagetest.Engine{
		Open: func(t *testing.T) storage.Store {
			run(t, super, "set session_replication_role = replica", eachTable("public", "delete from %1$I"), eachTable("pristine", "insert into public.%1$I select * from pristine.%1$I"))
			return open(t, as("sitrep"))
		},
		Again:  func(t *testing.T, _ storage.Store) storage.Store { return open(t, as("sitrep")) },
		Groups: []string{"incidents", "events", "breaches", "agendas", "subscriptions", "claims", "watchdog", "deliveries", "log", "configurations", "journals", "retention", "jobs", "replicas", "log-ins", "pruning", "forgetting"},
	})

	for role, refused := range map[string][]string{
		"sitrep": {
			"update records set leaf = ''", "delete from records", "truncate records", "update checkpoints set signed = ''", "delete from checkpoints",
			"update loadings set hash = ''", "delete from loadings", "create table public.mine (a int)", "drop table records",
		},
		"sitrep_auditor": {"update records set salt = null", "delete from checkpoints", "delete from incidents", "update incidents set state = 3"},
	} {
		conn, err := pgx.Connect(t.Context(), as(role))
		if err != nil {
			t.Fatal(err)
		}
		for _, sql := range refused {
			_, err := conn.Exec(t.Context(), sql)
			var said *pgconn.PgError
			if !errors.As(err, &said) || said.Code != "42501" {
				t.Errorf("%s: %s: %v", role, sql, err)
			}
		}
		if err := conn.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	auditor := openWith(t, as("sitrep_auditor"), postgres.Options{ReadOnly: true})
	err := auditor.Read(t.Context(), func(r storage.Snapshot) error {
		if _, err := r.LogHead(t.Context()); err != nil {
			return err
		}
		_, _, err := r.Incidents(t.Context(), storage.IncidentQuery{Limit: 10})
		return err
	})
	if err != nil {
		t.Errorf("the auditor: %v", err)
	}
}
