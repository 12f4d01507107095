package app

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"sitrep/config"
	"sitrep/internal/coverage"
)

// TestGarbageIsLittleWhereMuchLives: where a large configuration lives, a multiple of it is not left to
// lie, and what the operator says by GOGC counts alone.
func TestGarbageIsLittleWhereMuchLives(t *testing.T) {
	for _, c := range []struct {
		most int
		live uint64
		want int
	}{
		{300, 0, 300}, {300, 20 << 20, 300}, {300, 64 << 20, 300}, {300, 96 << 20, 200}, {300, 192 << 20, 100}, {300, 4 << 30, 100}, {50, 4 << 30, 50}, {50, 0, 50},
	} {
		if got := gcPercent(c.most, c.live); got != c.want {
			t.Errorf("of %d MiB: %d %%, want %d %%", c.live>>20, got, c.want)
		}
	}

	const before = 77
	defer debug.SetGCPercent(debug.SetGCPercent(before))
	now := func() int {
		p := debug.SetGCPercent(before)
		debug.SetGCPercent(p)
		return p
	}
	own := Options{}
	own.collectSooner()
	own.settleGarbage()
	if got := now(); got != before {
		t.Errorf("left to the runtime: %d %%, want %d %%", got, before)
	}
	o := Options{GCPercent: 300}
	o.collectSooner()
	if got := now(); got != gcAtLeast {
		t.Errorf("while a configuration is loaded: %d %%, want %d %%", got, gcAtLeast)
	}
	large := make([]byte, 300<<20)
	o.settleGarbage()
	if got := now(); got != gcAtLeast {
		t.Errorf("with 300 MiB that live: %d %%, want %d %%", got, gcAtLeast)
	}
	runtime.KeepAlive(large)
	o.settleGarbage()
	if got := now(); got <= gcAtLeast {
		t.Errorf("with little that lives: %d %%", got)
	}
}

// TestMemoryOfAnSLOInForce: what a process keeps of each SLO of a configuration in force, its chain too. The
// bound leaves half as much again.
func TestMemoryOfAnSLOInForce(t *testing.T) {
	const slos, bound = 5000, 1500
	inUse := func() int {
		runtime.GC()
		runtime.GC() // what the first finalized
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc)
	}
	type living struct {
		lookout *lookout
		inForce *inForce
		report  *coverage.Report
	}
	live := func(slos int) (all living) {
		file := organisationOf(t, slos)
		all.lookout = newLookout(prometheus.NewRegistry())
		r := config.NewReloader(file, now)
		r.Locate(all.lookout.locate)
		if err := r.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		var err error
		if all.inForce, err = newInForce(r.Current(), "", all.lookout, nil); err != nil {
			t.Fatal(err)
		}
		chains := all.inForce.chains
		all.report = coverage.New(chains.watcher.Look(t.Context(), chains.promise, now()), false, false)
		return all
	}
	live(10) // what is there once for all
	before := inUse()
	all := live(slos)
	if got := (inUse() - before) / slos; got > bound {
		t.Errorf("%d bytes are kept of each SLO, more than %d", got, bound)
	} else {
		t.Logf("%d bytes are kept of each SLO", got)
	}
	if n := len(all.inForce.chains.promise.SLOs); n != slos || len(all.report.Counts) == 0 {
		t.Errorf("%d SLOs, %v", n, all.report.Counts)
	}
	runtime.KeepAlive(all)
}

// organisationOf writes a configuration of so many SLOs, ten in a file, and returns its path.
func organisationOf(t *testing.T, slos int) string {
	t.Helper()
	dir := t.TempDir()
	put := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "slos"), 0o700); err != nil {
		t.Fatal(err)
	}
	put("sitrep.yml", `mail: {directory: outbox, from: incidents@example.org}
priorities: [{name: P1, inform: [stakeholders], update_every: 2h}]
groups: [{name: support, email: [support@example.org]}]
slo_files: [slos/*.yml]
`)
	for team := range slos / 10 {
		unit := fmt.Sprintf("unit%05d", team)
		var b strings.Builder
		fmt.Fprintf(&b, "team: %s\non_call: {email: [%s-oncall@example.org]}\nstakeholders: [support]\nslos:\n", unit, unit)
		for i := range 10 {
			fmt.Fprintf(&b, "  - {id: %s-s%d-availability, use_case: Customers of %s cannot use function %d, sli: availability, service: %s-s%d, affects: Customers of %s, priority: P1, runbook: 'https://wiki.example.org/%s/s%d'}\n",
				unit, i, unit, i, unit, i, unit, unit, i)
		}
		put("slos/"+unit+".yml", b.String())
	}
	return filepath.Join(dir, "sitrep.yml")
}
