// Command load measures how fast sitrep is, and what that shall be: each figure of docs/performance.md,
// as a ratio to what the same machine reaches in the same run wherever there is such a thing.
//
// Without -page and -only it measures how many alerts a second are taken in, of the size that is
// asked for:
//
//   - decode: encoding/json alone, in one goroutine for each CPU
//   - bare http: a server that decodes and answers, no more
//   - alertmanager: Alertmanager's own API v2, if it can be built
//   - sitrep: the whole program, each alert a new breach, answered after the commit
//   - with -storage postgres: the same on a PostgreSQL of its own, and as several replicas
//
// With -capacity it measures what one of each thing costs, on a simulated organisation and its
// year, and what that comes to.
//
// Run it in the module as "go run ./e2e/load". All traffic is to 127.0.0.1, and it
// stops by itself.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"sitrep/e2e/rig"
	"sitrep/storage/postgres/postgrestest"
)

func main() {
	var o options
	var bare, page, storage string
	var whole bool
	var sim simulation
	flag.IntVar(&o.clients, "clients", 16, "clients that post at once")
	flag.IntVar(&o.alerts, "alerts", 100, "alerts in a post")
	flag.IntVar(&o.bytes, "bytes", 1024, "bytes of an alert")
	flag.IntVar(&o.slos, "slos", 5, "SLOs that the alerts of a post are spread over")
	flag.DurationVar(&o.duration, "duration", 5*time.Second, "how long each measurement of alerts a second takes")
	flag.IntVar(&o.rounds, "rounds", 1, "how often all is measured")
	flag.StringVar(&storage, "storage", "bbolt", "bbolt, or postgres: measure on a PostgreSQL that is started for it, too")
	flag.IntVar(&o.replicas, "replicas", 1, "how many sitreps have the database together")
	flag.StringVar(&page, "page", "", "measure all figures, and write them into this file, as docs/performance.md has them")
	flag.StringVar(&o.only, "only", "", "measure these figures alone, on the store that each is of, with commas between: "+strings.Join(names(measurements), ", "))
	flag.Float64Var(&o.scale, "scale", 1, "with -page or -only: of what is stored, sent or told, make so much of what the figures are of")
	flag.BoolVar(&whole, "capacity", false, "measure instead what one of each thing costs in CPU, disk and database, on a simulated organisation, and write -page, as docs/capacity.md is")
	flag.IntVar(&sim.teams, "teams", wholeTeams, "with -capacity: teams of the organisation, with ten SLOs each")
	flag.IntVar(&sim.incidents, "incidents", partIncidents, "with -capacity: how many incidents of its year are made, for as many teams as have so many; 300000 are all")
	flag.StringVar(&bare, "bare", "", "be the bare server, on this address")
	flag.Parse()
	wrong := func(format string, args ...any) {
		fmt.Fprintf(os.Stderr, "load: "+format+"\n", args...)
		os.Exit(2)
	}
	switch storage {
	case "bbolt":
	case "postgres":
		o.postgres = true
	default:
		wrong("there is no storage %q; it is bbolt or postgres", storage)
	}
	chosen, err := choose(o.only, o.postgres)
	if err != nil {
		wrong("%v", err)
	}
	ctx := context.Background()
	run := func() error { return measure(ctx, o, os.Stdout) }
	switch {
	case bare != "":
		run = func() error { return serveBare(bare) }
	case whole && page == "":
		wrong("-capacity needs -page, such as docs/capacity.md: the file that it writes")
	case whole:
		run = func() error { return writeCapacity(ctx, sim, page, os.Stdout) }
	case page != "" || o.only != "":
		run = func() error { return measureFigures(ctx, o, chosen, page, os.Stdout) }
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

// options are what is measured, and how.
type options struct {
	clients, alerts, bytes, slos, rounds, replicas int
	duration                                       time.Duration
	posts                                          int  // that is over after so many; 0: after the duration
	perInstance                                    bool // each alert opens an incident of its own
	postgres                                       bool
	only                                           string // measurements, with commas between; empty: all
	scale                                          float64
}

// sized returns how many there are of what a figure is of so many.
func (o options) sized(n int) int { return max(1, int(float64(n)*o.scale)) }

// programs are what is measured, built once.
type programs struct {
	dir, sitrep  string
	alertmanager string // empty if it cannot be built
	// cluster is where sitreps keep what they have, as many as there are replicas in one database;
	// nil: each in a file.
	cluster  *postgrestest.Cluster
	replicas int
}

// onDatabase returns the programs with a PostgreSQL for them.
func (p programs) onDatabase(replicas int) (programs, error) {
	var err error
	if p.cluster, err = postgrestest.Run(); err != nil {
		return p, err
	}
	p.replicas = replicas
	return p, nil
}

// buildSitrep builds sitrep alone.
func buildSitrep(ctx context.Context) (p programs, remove func(), err error) {
	if p.dir, err = os.MkdirTemp("", "sitrep-load"); err != nil {
		return p, nil, err
	}
	remove = func() { _ = os.RemoveAll(p.dir) }
	if p.sitrep, err = rig.BuildSitrep(ctx, p.dir); err != nil {
		remove()
	}
	return p, remove, err
}

func build(ctx context.Context, out io.Writer) (p programs, remove func(), err error) {
	if p, remove, err = buildSitrep(ctx); err != nil {
		return p, nil, err
	}
	if p.alertmanager, err = rig.BuildAlertmanager(ctx); err != nil {
		fmt.Fprintf(out, "without Alertmanager: %v\n", err)
	}
	return p, remove, nil
}
