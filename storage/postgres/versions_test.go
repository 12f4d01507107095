package postgres_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"sitrep/internal/golden"
	"sitrep/storage"
	"sitrep/storage/postgres"
	"sitrep/storage/postgres/postgrestest"
	"sitrep/storage/storagetest"
)

// A knownVersion is what a sitrep that people run needs of the schema, by the latest version that it
// knows: in testdata/schema-VERSION.json. It is noted when a version of sitrep is made, and deleted
// once the oldest that the schema is for is a later one.
type knownVersion struct {
	Version    int               `json:"-"`
	Migrations map[string]string `json:"migrations"` // their hashes
	Statements []string          `json:"statements"` // that it sends
}

func readVersions(t *testing.T) (all []knownVersion) {
	t.Helper()
	paths, err := filepath.Glob("testdata/schema-*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		var v knownVersion
		b, err := os.ReadFile(path)
		if err == nil {
			err = json.Unmarshal(b, &v)
		}
		if err == nil {
			v.Version, err = strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(filepath.Base(path), "schema-"), ".json"))
		}
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		all = append(all, v)
	}
	slices.SortFunc(all, func(a, b knownVersion) int { return a.Version - b.Version })
	return all
}

// migrationFiles are the texts of all migrations, by name.
func migrationFiles(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := fs.WalkDir(os.DirFS("migrations"), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(filepath.Join("migrations", name))
		all[name] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func sum(text string) string {
	h := sha256.Sum256([]byte(text))
	return hex.EncodeToString(h[:])
}

// While processes are replaced one after the other, those of the version before run on the schema of
// the next. All that they send is prepared on it: each table, column and function that they name is
// there. What functions of the database need in turn is not seen by that, see TestMigrationsOnlyExpand.
func TestASitrepFromBeforeRunsOnThisSchema(t *testing.T) {
	url := postgrestest.Database(t)
	latest, err := postgres.Migrate(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	if golden.Update() {
		noteVersion(t, latest)
	}
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	var oldest int
	if err := conn.QueryRow(t.Context(), "select oldest from form").Scan(&oldest); err != nil {
		t.Fatal(err)
	}
	for _, v := range readVersions(t) {
		if v.Version < oldest {
			t.Errorf("version %d cannot use this schema, which is for %d and later: delete its file", v.Version, oldest)
			continue
		}
		if len(v.Statements) < 100 {
			t.Errorf("version %d sends %d statements", v.Version, len(v.Statements))
		}
		for _, what := range unfit(t, conn, v.Statements) {
			t.Errorf("a sitrep that knows version %d of the schema cannot run on this one: %s", v.Version, what)
		}
	}
}

// unfit says of those statements that cannot be prepared why.
func unfit(t *testing.T, conn *pgx.Conn, statements []string) (wrong []string) {
	t.Helper()
	for _, sql := range statements {
		if _, err := conn.Prepare(t.Context(), "before", sql); err != nil {
			wrong = append(wrong, fmt.Sprintf("%v\n%s", err, sql))
		} else if err := conn.Deallocate(t.Context(), "before"); err != nil {
			t.Fatal(err)
		}
	}
	return wrong
}

// That something is gone which those who run need is noticed.
func TestAStatementThatCannotRunIsNoticed(t *testing.T) {
	t.Parallel()
	url := postgrestest.Database(t)
	if _, err := postgres.Migrate(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	var sent noted
	db := openWith(t, url, postgres.Options{Trace: sent.note})
	someStatements(t, db)
	postgres.Still(db)
	all := sent.sorted()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	if wrong := unfit(t, conn, all); len(wrong) != 0 || len(all) < 50 {
		t.Errorf("of %d statements that are sent, on this schema: %s", len(all), wrong)
	}
	for _, change := range []string{"alter table agendas drop column next_at", "alter table incidents rename to outages2", "drop function due_to"} {
		before := len(unfit(t, conn, all))
		run(t, url, change)
		if len(unfit(t, conn, all)) == before {
			t.Errorf("%s: all that is sent can run", change)
		}
	}
}

// A noted has statements that were sent.
type noted struct {
	mu   sync.Mutex
	sent map[string]bool
}

func (n *noted) note(statements []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.sent == nil {
		n.sent = map[string]bool{}
	}
	for _, sql := range statements {
		n.sent[sql] = true
	}
}

func (n *noted) sorted() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Sorted(maps.Keys(n.sent))
}

// someStatements posts an alert and reads lists, and takes leases.
func someStatements(t *testing.T, db *postgres.DB) {
	t.Helper()
	in := taker(t, db)
	slo := in.Repo.Policy().SLOs[0].ID
	for _, resolved := range []bool{false, true} {
		if _, err := in.Take(t.Context(), postOf(slo, "a", 3, resolved)); err != nil {
			t.Fatal(err)
		}
	}
	_, err := db.Glance(t.Context())
	must(t, err)
	must(t, db.Read(t.Context(), func(r storage.Snapshot) error {
		_ = lists(t.Context(), r, time.Now(), slo) // not all of it is there
		return nil
	}))
	must(t, db.Write(t.Context(), func(tx storage.Tx) error {
		_, err := tx.TakeLeases(t.Context(), now(), "me", time.Minute, []string{"mail:a@example.org"})
		return err
	}))
}

// noteVersion notes what this sitrep needs.
func noteVersion(t *testing.T, version int) {
	v := knownVersion{Migrations: map[string]string{}}
	for name, text := range migrationFiles(t) {
		v.Migrations[name] = sum(text)
	}
	var sent noted
	traced := func(t *testing.T, url string) *postgres.DB {
		return openWith(t, url, postgres.Options{Trace: sent.note})
	}
	storagetest.Run(t, storagetest.Engine{
		Open: func(t *testing.T) storage.Store { return traced(t, newStore(t)) },
		Again: func(t *testing.T, s storage.Store) storage.Store {
			url, _ := urls.Load(s)
			return traced(t, url.(string))
		},
		Groups: []string{
			"transactions", "incidents", "events", "breaches", "agendas", "subscriptions", "claims", "watchdog", "deliveries", "log",
			"configurations", "journals", "retention", "jobs", "replicas", "log-ins", "pruning", "forgetting",
		},
	})
	someStatements(t, traced(t, newStore(t)))
	if t.Failed() {
		t.Fatal("not all that this sitrep needs is known, so nothing is noted")
	}
	v.Statements = sent.sorted()
	b, err := json.MarshalIndent(v, "", "\t")
	must(t, err)
	golden.Write(t, fmt.Sprintf("testdata/schema-%d.json", version), append(b, '\n'))
}

// What a migration may do, as processes of before go on and no table may be locked for long.
var expands = []*regexp.Regexp{
	regexp.MustCompile(`^create (unlogged )?table \w+ `),
	regexp.MustCompile(`^create sequence \w+`),
	regexp.MustCompile(`^create (unique )?index concurrently `),
	regexp.MustCompile(`^create function \w+`), // not: or replace
	regexp.MustCompile(`^alter table \w+ add column [^,]*$`),
	regexp.MustCompile(`^alter table \w+ set \([^)]*\)$`),
	regexp.MustCompile(`^update form set oldest = \d+$`),
	regexp.MustCompile(`^comment on `),
}

var (
	comments  = regexp.MustCompile(`(?m)--.*$`)
	bodies    = regexp.MustCompile(`(?s)\$\$.*?\$\$`)
	whites    = regexp.MustCompile(`\s+`)
	functions = regexp.MustCompile(`^create function (\w+)`)
	indexed   = regexp.MustCompile(`^create (?:unique )?index \w+ on (\w+)`)
	made      = regexp.MustCompile(`^create (?:unlogged )?table (\w+)`)
)

// statementsOf are those of the part of a migration that goes up.
func statementsOf(migration string) (all []string) {
	up, _, _ := strings.Cut(migration, "-- +goose Down")
	up = bodies.ReplaceAllString(comments.ReplaceAllString(up, ""), "$$$$")
	for _, sql := range strings.Split(up, ";") {
		if sql = strings.ToLower(strings.TrimSpace(whites.ReplaceAllString(sql, " "))); sql != "" {
			all = append(all, sql)
		}
	}
	return all
}

// contracts says of each statement of a migration that takes something away from those who run on the
// schema of before, or keeps them waiting, what it is. The functions are those of all migrations before.
func contracts(migration string, had map[string]bool) (wrong []string) {
	fresh := map[string]bool{}
	for _, sql := range statementsOf(migration) {
		if m := made.FindStringSubmatch(sql); m != nil {
			fresh[m[1]] = true
		}
		if m := functions.FindStringSubmatch(sql); m != nil && had[m[1]] {
			wrong = append(wrong, sql+": a function of that name is there, and a second one makes calls of the first ambiguous")
			continue
		}
		if m := indexed.FindStringSubmatch(sql); m != nil && fresh[m[1]] {
			continue
		}
		if !slices.ContainsFunc(expands, func(r *regexp.Regexp) bool { return r.MatchString(sql) }) {
			wrong = append(wrong, sql+": this is more than to add something")
			continue
		}
		if strings.HasPrefix(sql, "alter table") && strings.Contains(sql, "not null") && !strings.Contains(sql, "default") {
			wrong = append(wrong, sql+": who does not know the column cannot insert; it needs a default")
		}
	}
	return wrong
}

// A migration that people may have done is never changed, and those after it only add: what is to be
// taken away goes in a version of sitrep after the one that needs it no more, together with the oldest
// that the schema is for.
func TestMigrationsOnlyExpand(t *testing.T) {
	known := readVersions(t)
	if len(known) == 0 {
		return // nobody runs any yet
	}
	files := migrationFiles(t)
	had := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		released := false
		for _, v := range known {
			if hash, has := v.Migrations[name]; has {
				released = true
				if hash != sum(files[name]) {
					t.Errorf("%s was changed, which those have done who run version %d of the schema: put it as it was, and write another", name, v.Version)
				}
			}
		}
		if !released {
			for _, what := range contracts(files[name], had) {
				t.Errorf("%s: %s", name, what)
			}
		}
		for _, sql := range statementsOf(files[name]) {
			if m := functions.FindStringSubmatch(sql); m != nil {
				had[m[1]] = true
			}
		}
	}
	for _, v := range known {
		for name := range v.Migrations {
			if files[name] == "" {
				t.Errorf("%s is gone, which version %d of the schema has", name, v.Version)
			}
		}
	}
}

// What takes something away is noticed.
func TestWhatContractsIsNoticed(t *testing.T) {
	t.Parallel()
	had := map[string]bool{"take_leases": true}
	for sql, fine := range map[string]bool{
		"create table a (b text not null); create index on a (b); create index c on a (b);": false,
		"create table a (b text not null); create index c on a (b);":                        true,
		"-- drop table x;\nalter table a add column b text;":                                true,
		"alter table a add column b text not null default '';":                              true,
		"alter table a add column b text not null;":                                         false,
		"alter table a drop column b;":                                                      false,
		"alter table a add column b text, drop column c;":                                   false,
		"alter table a rename b to c;":                                                      false,
		"alter table a alter column b type bigint;":                                         false,
		"alter table a alter column b set not null;":                                        false,
		"drop table a;":                                 false,
		"drop function take_leases;":                    false,
		"create index c on incidents (b);":              false,
		"create index concurrently c on incidents (b);": true,
		"create or replace function f() returns void language sql as $$ select 1; $$;":     false,
		"create function f() returns void language sql as $$ drop table a; $$;":            true,
		"create function take_leases(a text) returns void language sql as $$ select 1 $$;": false,
		"delete from incidents;":                                                                         false,
		"update form set oldest = 7;":                                                                    true,
		"alter table queue set (fillfactor = 50);":                                                       true,
		"create table a (b text);\n-- +goose Down\ndrop table a;":                                        true,
		"create trigger a before insert on incidents for each row execute function f();":                 false,
		"alter table incidents add constraint a check (number > 0);":                                     false,
		"create unique index a on incidents (number);":                                                   false,
		"lock table incidents; create sequence s;":                                                       false,
		"create sequence s; comment on sequence s is 'of what comes'; create unlogged table u (a text);": true,
	} {
		if wrong := contracts("-- +goose Up\n"+sql, had); (len(wrong) == 0) != fine {
			t.Errorf("%s\n%v", sql, wrong)
		}
	}
}
