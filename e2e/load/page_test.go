package main

import (
	"io"
	"strings"
	"testing"
	"time"
)

// The page begins with all figures, each in a row, and has the details of each measurement below.
func TestPerformancePage(t *testing.T) {
	p := &performance{options: options{duration: 2 * time.Second, postgres: true, replicas: 2, scale: 1}}
	table, lines := &sheet{out: io.Discard}, &sheet{out: io.Discard}
	table.table.WriteString("| clients |\n|---|\n| 16 |\n")
	lines.say("a post took %s", time.Millisecond)
	p.add(&measurement{name: "intake", title: "Intake", about: "Of alerts."}, []figure{atLeast("alerts/s ÷ others", 1.5, 2, "")}, table)
	p.add(&measurement{name: "database-idle", title: "An idle database", about: "Statements.", database: true}, []figure{atMost("statements", 1.5, 2, "/s")}, lines)
	page := string(p.bytes())
	at := 0
	for _, want := range []string{
		"# How fast it is\n\nMade by `go run ./e2e/load -page docs/performance.md -duration 2s -storage postgres -replicas 2` on ",
		"\n\nWith a file:\n\n| figure | measured | goal | |\n|---|---|---|---|\n| alerts/s ÷ others | 1.50 | ≥ 2 | not yet |\n",
		"\n\nWith a PostgreSQL on the same machine:\n\n| figure | measured | goal | |\n|---|---|---|---|\n| statements | 1.50 /s | ≤ 2 /s | reached |\n",
		"\n\n## Intake\n\nOf alerts.\n\n| clients |\n|---|\n| 16 |\n",
		"\n\n## An idle database\n\nStatements.\n\n```text\na post took 1ms\n```\n",
	} {
		i := strings.Index(page[at:], want)
		if i < 0 {
			t.Fatalf("after %d bytes there is no\n%s\nin\n%s", at, want, page)
		}
		at += i + len(want) - 2 // what follows begins with the end of a line
	}
	if strings.Contains(page, "of their size") || strings.Contains(page, " -only ") {
		t.Errorf("all was measured in full, but it reads\n%s", page)
	}
	p.scale, p.only = 0.1, "intake,storm"
	for _, want := range []string{"-replicas 2 -only intake,storm -scale 0.1`", "on 0.1 of their size"} {
		if !strings.Contains(string(p.bytes()), want) {
			t.Errorf("of a part there is no %q in\n%s", want, p.bytes())
		}
	}
}

// What is asked for by name is measured, and else all that the storage allows.
func TestMeasurementsAreChosen(t *testing.T) {
	for _, tt := range []struct {
		only     string
		database bool
		want     int
	}{{"growth", false, 1}, {"database-idle,storm", false, 2}, {"", true, len(measurements)}} {
		got, err := choose(tt.only, tt.database)
		if err != nil || len(got) != tt.want || tt.only != "" && strings.Join(names(got), ",") != tt.only {
			t.Errorf("%q: %v, %v", tt.only, names(got), err)
		}
	}
	for _, m := range must(choose("", false)) {
		if m.database {
			t.Errorf("%s is measured without a database", m.name)
		}
	}
	if _, err := choose("growth,grwth", false); err == nil || !strings.Contains(err.Error(), `"grwth"`) {
		t.Errorf("a name that there is not: %v", err)
	}
	seen := map[string]bool{}
	for _, m := range measurements {
		if seen[m.name] || m.title == "" || m.about == "" {
			t.Errorf("measurement %+v", m)
		}
		seen[m.name] = true
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// What a server logs of the statements that it is sent is counted, and nothing else.
func TestStatementsAreCounted(t *testing.T) {
	log := "2026-11-29 20:00:00 UTC [1] LOG:  statement: begin\n2026-11-29 20:00:00 UTC [1] LOG:  execute stmt_1: select 1\n" +
		"2026-11-29 20:00:00 UTC [1] DETAIL:  parameters: $1 = '1'\n2026-11-29 20:00:00 UTC [1] LOG:  checkpoint starting: time\n"
	if got := statements([]byte(log)); got != 2 {
		t.Errorf("%d statements", got)
	}
}
