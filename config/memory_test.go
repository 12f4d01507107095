package config_test

import (
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"sitrep/config"
)

// organisationOf writes a config of so many SLOs, ten in a file, and returns its path.
func organisationOf(t testing.TB, slos int) string {
	files := map[string]string{"sitrep.yml": fmt.Sprintf(houseOfSLOs, "slos/*.yml")}
	for team := range slos / 10 {
		var b strings.Builder
		fmt.Fprintf(&b, "team: unit%05d\non_call: {email: [unit%05d-oncall@example.org]}\nstakeholders: [support]\nslos:\n", team, team)
		for i := range 10 {
			fmt.Fprintf(&b, `  - id: unit%05d-s%d-availability
    use_case: Customers of unit%05d cannot use function %d
    sli: availability
    service: unit%05d-s%d
    affects: Customers of unit%05d
    priority: P1
    runbook: https://wiki.example.org/unit%05d/s%d
`, team, i, team, i, team, i, team, team, i)
		}
		files[fmt.Sprintf("slos/unit%05d.yml", team)] = b.String()
	}
	return write(t, files)
}

// inUse returns the bytes that live, and all that were ever allocated.
func inUse() (live, all int64) {
	runtime.GC()
	runtime.GC() // what the first finalized
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc), int64(m.TotalAlloc)
}

// TestMemoryOfAnSLO: with 100,000 SLOs each KB of one is 100 MB of a process, and two configs live while
// one is reloaded. The bounds leave half as much again.
func TestMemoryOfAnSLO(t *testing.T) {
	const slos = 5000
	load(t, organisationOf(t, 10)) // what is there once for all
	path := organisationOf(t, slos)
	before, allBefore := inUse()
	c, at, err := config.LoadWithPositions(path)
	if err != nil {
		t.Fatal(err)
	}
	located, all := inUse()
	if file, line, _ := at.Team(slos/10-1, "slos[9].id"); filepath.Base(file) != fmt.Sprintf("unit%05d.yml", slos/10-1) || line != 68 {
		t.Errorf("the last SLO stands in %s:%d", file, line)
	}
	kept, _ := inUse() // the places are not needed any more
	if n := len(c.Policy().SLOs); n != slos {
		t.Fatalf("%d SLOs", n)
	}
	for _, f := range []struct {
		what       string
		got, bound int64
	}{
		{"are kept", kept - before, 1200},
		{"are held while its places are known", located - before, 1500},
		{"were allocated to load it", all - allBefore, 12_000},
	} {
		t.Logf("%d bytes of each SLO %s", f.got/slos, f.what)
		if f.got/slos > f.bound {
			t.Errorf("%d bytes of each SLO %s, more than %d", f.got/slos, f.what, f.bound)
		}
	}
}
