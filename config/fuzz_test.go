package config_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sitrep/config"
)

// FuzzLoad loads any text as the main file, and another as a team's: it never
// panics, each problem is one line with a place, and what loads is whole.
func FuzzLoad(f *testing.F) {
	f.Add(full["sitrep.yml"], full["slos/shop.yml"])
	f.Add(lookupMain, lookupTeam)
	names, err := filepath.Glob("testdata/mistakes/*.txt")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		main, rest, _ := strings.Cut(strings.TrimPrefix(string(text), "-- sitrep.yml --\n"), "-- ")
		_, team, _ := strings.Cut(rest, " --\n")
		team, _, _ = strings.Cut(team, "-- ")
		f.Add(main, team)
	}
	f.Fuzz(func(t *testing.T, main, team string) {
		if strings.Contains(main+team, "/") && strings.ContainsAny(main, "*?[") && strings.Contains(main, "slo_files") {
			main = strings.ReplaceAll(main, "/*", "/x") // do not walk the machine's disk
		}
		path := write(t, map[string]string{"sitrep.yml": main, "slos/shop.yml": team})
		c, err := config.Load(path)
		if err != nil {
			var p *config.Problems
			if !errors.As(err, &p) || p.Errors() == 0 {
				t.Fatalf("error is %v", err)
			}
			for _, q := range p.List {
				if strings.ContainsAny(q.String(), "\n\r\x00") || q.Text == "" || (q.Line == 0) != (q.Column == 0) {
					t.Errorf("problem is %q at %d:%d", q.String(), q.Line, q.Column)
				}
			}
			return
		}
		if !json.Valid(c.Canonical()) {
			t.Errorf("canonical form is %s", c.Canonical())
		}
		if !json.Valid(c.Public()) {
			t.Errorf("public form is %s", c.Public())
		}
		for _, s := range c.Policy().SLOs {
			c.Lookup(map[string]string{"sitrep_slo": s.ID, "alertname": s.ID})
		}
	})
}
