package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"sitrep/audit"
	"sitrep/config"
	"sitrep/e2e/rig"
	"sitrep/storage"
	"sitrep/storage/bolt"
	"sitrep/storage/postgres"
	"sitrep/storage/postgres/postgrestest"
)

// costsOn reads the costs on the page.
func costsOn(t *testing.T, page string) (c costs) {
	t.Helper()
	for k, name := range kindNames {
		_, rest, found := strings.Cut(page, "\n| "+name+" | "+strings.ReplaceAll(counts[k], " ", " × ")+" | ")
		line, _, _ := strings.Cut(rest, "\n")
		cells := strings.Split(strings.TrimSuffix(line, " |"), " | ")
		if !found || len(cells) != int(columns) {
			t.Fatalf("the page does not say what %s costs, or in other columns: %q", name, line)
		}
		for of, cell := range cells {
			var err error
			if c[k][of], err = strconv.ParseFloat(cell, 64); err != nil {
				t.Fatal(err)
			}
		}
	}
	return c
}

// What the page makes of its costs is what the table of formulas does.
func TestThePageSaysWhatItsCostsComeTo(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("..", "..", "docs", "capacity.md"))
	if err != nil {
		t.Fatal(err)
	}
	page := string(b)
	c := costsOn(t, page)
	for what, table := range map[string]string{"costs": c.table(), "examples": c.exampleTable()} {
		if !strings.Contains(page, table) {
			t.Errorf("the page's table of %s is not this; run its command:\n%s", what, table)
		}
	}
}

func TestCostsAddUp(t *testing.T) {
	e := &example{slos: 100, incidents: 2, alerts: 3, repeats: 5, mails: 7, views: 11, load: 13, processes: 3}
	want := [kinds]float64{ofAlert: 6, ofRepeat: 30, ofIncident: 2, ofMail: 14, ofView: 11, ofLoading: 1300, ofProcess: 3}
	for k := range kinds {
		var c costs
		c[k] = [columns]float64{fileCPU: 60_000, databaseCPU: 120_000, databaseWAL: 1024, fileKept: 1 << 20}
		for of, each := range map[column]float64{fileCPU: 1, databaseCPU: 2, databaseWAL: 1, fileKept: 365} {
			if got := c.sum(e, of); got != want[k]*each {
				t.Errorf("%s, %s: got %g, want %g", kindNames[k], units[of].sum, got, want[k]*each)
			}
		}
	}
	if n := e.count(ofLoading, replicaCPU); n != 3900 {
		t.Errorf("three processes load %g SLOs, want 3900", n)
	}
	if got := (&costs{ofAlert: {fileCPU: 0.12345, replicaCPU: 12.345, databaseCPU: 1234.5}}).table(); !strings.Contains(got, "| 0.123 | 12.3 | 1234 |") {
		t.Errorf("three digits are to count:\n%s", got)
	}
}

func TestTheFirstLimitIsTheOneThatIsUsedMost(t *testing.T) {
	of := func(name string, share float64, file, shared bool) limit {
		return limit{name: name, share: func(*example) float64 { return share }, file: file, shared: shared}
	}
	all := []limit{of("a", 0.2, true, true), of("b", 0.5, true, false), of("c", 0.3, false, true)}
	if got := first(all, &examples[0], func(l *limit) bool { return l.file }).name; got != "b" {
		t.Errorf("with a file: %s, want b", got)
	}
	if got := first(all, &examples[0], func(l *limit) bool { return l.shared }).name; got != "c" {
		t.Errorf("with a database: %s, want c", got)
	}
}

// The bounds on the page are those of the program, where they are not for others to see.
func TestLimitsAreThoseOfTheProgram(t *testing.T) {
	for _, says := range []struct{ file, line string }{
		{"config/disk.go", fmt.Sprintf("maxTeams = %d << 20", filesMost>>20)},
		{"config/disk.go", fmt.Sprintf("maxEntries = %d_000", foldersMost/1000)},
		{"storage/postgres/db.go", fmt.Sprintf("connections = %d", connectionsEach)},
		{"receiver/decode.go", "MaxBody = 32 << 20"},
	} {
		b, err := os.ReadFile(filepath.Join("..", "..", says.file))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(b), says.line) {
			t.Errorf("%s does not say %q any more: say what it is now in limits.go and on the page", says.file, says.line)
		}
	}
}

// A small organisation has no error and no warning; the command loads the large one.
func TestTheOrganisationIsAValidConfiguration(t *testing.T) {
	o := organisation{teams: 2*teamsOfZone + 1, slos: slosOfTeam}
	dir := t.TempDir()
	files := o.files()
	files["sitrep.yml"] = o.config("mail: {directory: outbox, from: incidents@example.org}\n")
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err := config.Load(filepath.Join(dir, "sitrep.yml"))
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Warnings) > 0 {
		t.Errorf("warnings: %v", c.Warnings)
	}
	p := c.Policy()
	of := map[string]int{}
	for _, s := range p.SLOs {
		if s.Team == unitName(o.teams-1) {
			of[s.Priority]++
		}
	}
	if len(p.SLOs) != o.all()+measuredSLOs || of["P1"] != 1 || of["P2"] != 3 || of["P3"] != 6 {
		t.Errorf("%d SLOs; of the last team by priority: %v", len(p.SLOs), of)
	}
}

// A year that was made in the database, and its copy in a file, are what sitrep itself would have
// left there: every hash, every event and every message belongs to the others.
func TestAYearIsWhatSitrepWouldHaveKept(t *testing.T) {
	cluster := postgrestest.Start(t)
	dir := t.TempDir()
	program, err := rig.BuildSitrep(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	p := programs{dir: dir, sitrep: program, cluster: cluster, replicas: 1}
	s, err := newSink()
	if err != nil {
		t.Fatal(err)
	}
	defer s.listener.Close()
	o := organisation{teams: teamsOfZone + 1, slos: slosOfTeam}
	const incidents = 40
	url, f, err := p.makeYear(t.Context(), o, incidents, s, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	path, file, err := p.copyYear(t.Context(), url, f)
	if err != nil {
		t.Fatal(err)
	}
	if file.breaches != (incidents+lived)*breachesEach || float64(file.mails) != (incidents+lived)*mailsEach() {
		t.Errorf("%d breaches and %d mails of %d incidents", file.breaches, file.mails, incidents+lived)
	}
	verify := func(name string, store storage.Store) {
		defer store.Close()
		v, err := audit.Verify(context.Background(), store, audit.VerifyOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if v.Incidents != incidents+lived || int64(v.Deliveries) != file.mails || int64(v.Events) != file.events || v.Messages != v.Deliveries {
			t.Errorf("%s: %+v", name, v)
		}
		if len(v.Findings) > 0 {
			t.Errorf("%s: %d findings, such as %v", name, len(v.Findings), v.Findings[:min(5, len(v.Findings))])
		}
		teams := map[string]bool{}
		if err := store.Read(t.Context(), func(r storage.Snapshot) error {
			all, _, err := r.Incidents(t.Context(), storage.IncidentQuery{Limit: 100})
			for _, in := range all {
				teams[in.Team] = true
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if want := []string{unitName(0), unitName(7919 % o.teams)}; len(teams) < 4 || slices.ContainsFunc(want, func(team string) bool { return !teams[team] }) {
			t.Errorf("%s: incidents are of the teams %v", name, teams)
		}
	}
	db, err := postgres.Open(t.Context(), url, postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	verify("database", db)
	at, err := bolt.Open(t.Context(), path, bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	verify("file", at)
}
