// Command load measures how many alerts a second sitrep makes durable, beside what the
// same machine reaches in the same run without making anything durable:
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
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"sitrep/e2e/rig"
	"sitrep/storage/postgres/postgrestest"
)

func main() {
	var o options
	var bare, page string
	var readers, incidents, first int
	var whole bool
	var sim simulation
	var storage string
	flag.IntVar(&o.clients, "clients", 16, "clients that post at once")
	flag.IntVar(&o.alerts, "alerts", 100, "alerts in a post")
	flag.IntVar(&o.bytes, "bytes", 1024, "bytes of an alert")
	flag.IntVar(&o.slos, "slos", 5, "SLOs that the alerts of a post are spread over")
	flag.DurationVar(&o.duration, "duration", 5*time.Second, "how long each measurement takes")
	flag.IntVar(&o.rounds, "rounds", 1, "how often all is measured")
	flag.StringVar(&storage, "storage", "bbolt", "bbolt, or postgres: measure on a PostgreSQL that is started for it, too, or instead of bbolt with -fan-out, -storm and -first")
	flag.IntVar(&o.replicas, "replicas", 1, "how many sitreps have the database together")
	flag.StringVar(&page, "page", "", "measure posts of several sizes, and write the figures into this file, as docs/performance.md has them")
	flag.IntVar(&readers, "fan-out", 0, "measure instead how fast one incident is told to so many readers, beside raw SMTP")
	flag.IntVar(&incidents, "storm", 0, "measure instead how fast so many incidents at once are told, and a fresh one of the first priority meanwhile")
	flag.IntVar(&first, "first", 0, "measure instead how long it takes from a post to the first webhook, so many times")
	flag.BoolVar(&whole, "capacity", false, "measure instead what one of each thing costs in CPU, disk and database, on a simulated organisation, and write -page, as docs/capacity.md is")
	flag.IntVar(&sim.teams, "teams", wholeTeams, "with -capacity: teams of the organisation, with ten SLOs each")
	flag.IntVar(&sim.incidents, "incidents", partIncidents, "with -capacity: how many incidents of its year are made, for as many teams as have so many; 300000 are all")
	flag.StringVar(&bare, "bare", "", "be the bare server, on this address")
	flag.Parse()
	switch storage {
	case "bbolt":
	case "postgres":
		o.postgres = true
	default:
		fmt.Fprintf(os.Stderr, "load: there is no storage %q; it is bbolt or postgres\n", storage)
		os.Exit(2)
	}
	run := func() error { return measure(context.Background(), o, os.Stdout) }
	if page != "" {
		run = func() error { return writePage(context.Background(), o, page, os.Stdout) }
	}
	if whole {
		if page == "" {
			fmt.Fprintln(os.Stderr, "load: -capacity needs -page, such as docs/capacity.md: the file that it writes")
			os.Exit(2)
		}
		run = func() error { return writeCapacity(context.Background(), sim, page, os.Stdout) }
	}
	if readers > 0 {
		run = func() error {
			return alone(context.Background(), o, func(p programs) error { return p.fanOut(readers, os.Stdout) })
		}
	}
	if incidents > 0 {
		run = func() error {
			return alone(context.Background(), o, func(p programs) error { return p.storm(incidents, os.Stdout) })
		}
	}
	if first > 0 {
		run = func() error {
			return alone(context.Background(), o, func(p programs) error { return p.first(first, os.Stdout) })
		}
	}
	if bare != "" {
		run = func() error { return serveBare(bare) }
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
	postgres                                       bool
}

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

// alone measures one thing.
func alone(ctx context.Context, o options, fn func(programs) error) error {
	p, remove, err := build(ctx, io.Discard)
	if err != nil {
		return err
	}
	defer remove()
	if o.postgres {
		if p, err = p.onDatabase(o.replicas); err != nil {
			return err
		}
		defer p.cluster.End()
	}
	return fn(p)
}

// A round is what all reached one after the other.
type round struct {
	decode, bare, alertmanager, sitrep result
	postgres, fleet                    result // one on PostgreSQL, and all replicas
}

// run measures all, and prints each as it is done.
func (p programs) run(o options, out io.Writer) (r round, err error) {
	fmt.Fprintf(out, "\n%-14s %12s %10s %10s %10s %10s\n", "", "alerts/s", "p50", "p99", "memory", "CPU/alert")
	r.decode = decodeOnly(o)
	r.decode.print(out, "decode")
	if r.bare, err = bareHTTP(o); err != nil {
		return r, err
	}
	r.bare.print(out, "bare http")
	if p.alertmanager != "" {
		if r.alertmanager, err = alertmanagerAPI(o, p.alertmanager, p.dir); err != nil {
			return r, err
		}
		r.alertmanager.print(out, "alertmanager")
	}
	if r.sitrep, err = p.whole(o); err != nil {
		return r, err
	}
	r.sitrep.print(out, "sitrep")
	fmt.Fprintf(out, "sitrep reaches %.2f of decode, %.2f of bare http", r.sitrep.rate()/r.decode.rate(), r.sitrep.rate()/r.bare.rate())
	if r.alertmanager.posts > 0 {
		fmt.Fprintf(out, ", %.2f of alertmanager", r.sitrep.rate()/r.alertmanager.rate())
	}
	fmt.Fprintln(out)
	if o.postgres {
		err = p.runOnPostgres(o, &r, out)
	}
	return r, err
}

// runOnPostgres goes on with what sitrep reaches on PostgreSQL.
func (p programs) runOnPostgres(o options, r *round, out io.Writer) error {
	measure := func(replicas int, name string, into *result) error {
		p, err := p.onDatabase(replicas) // each a server of its own, which the one before left nothing to do
		if err != nil {
			return err
		}
		defer p.cluster.End()
		if *into, err = p.whole(o); err != nil {
			return err
		}
		into.print(out, name)
		return nil
	}
	if err := measure(1, "on postgres", &r.postgres); err != nil {
		return err
	}
	if o.replicas > 1 {
		if err := measure(o.replicas, fmt.Sprintf("%d replicas", o.replicas), &r.fleet); err != nil {
			return err
		}
	}
	fmt.Fprintf(out, "on PostgreSQL it reaches %.2f of bbolt", r.postgres.rate()/r.sitrep.rate())
	if r.alertmanager.posts > 0 {
		fmt.Fprintf(out, ", %.2f of alertmanager", r.postgres.rate()/r.alertmanager.rate())
	}
	if o.replicas > 1 {
		fmt.Fprintf(out, "; %d replicas %.2f of one", o.replicas, r.fleet.rate()/r.postgres.rate())
	}
	fmt.Fprintln(out)
	return nil
}

// measure prints a table of all measurements, once a round.
func measure(ctx context.Context, o options, out io.Writer) error {
	p, remove, err := build(ctx, out)
	if err != nil {
		return err
	}
	defer remove()
	fmt.Fprintf(out, "%d clients, %d alerts of %d bytes a post, %d SLOs, %s each, %d CPUs\n", o.clients, o.alerts, o.bytes, o.slos, o.duration, runtime.NumCPU())
	for range o.rounds {
		if _, err := p.run(o, out); err != nil {
			return err
		}
	}
	return nil
}

// decodeOnly decodes bodies as the others do, and does no more.
func decodeOnly(o options) result {
	o.clients = runtime.GOMAXPROCS(0)
	return drive(o, func(int) (func() error, func()) {
		b := newBody(o, webhookForm)
		return func() error {
			b.renew()
			var p payload
			return json.Unmarshal(b.bytes, &p)
		}, func() {}
	})
}

// bareHTTP posts to a server, another process as sitrep is, that only decodes.
func bareHTTP(o options) (result, error) {
	self, err := os.Executable()
	if err != nil {
		return result{}, err
	}
	addr, err := rig.FreeAddress()
	if err != nil {
		return result{}, err
	}
	cmd := exec.Command(self, "-bare", addr)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return result{}, err
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	if !rig.Poll(10*time.Second, func() bool {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
		}
		return err == nil
	}) {
		return result{}, errors.New("the bare server does not answer")
	}
	return driveServer(o, []int{cmd.Process.Pid}, poster(o, one("http://"+addr+"/"), webhookForm, "")), nil
}

// serveBare is the bare server.
func serveBare(addr string) error {
	return http.ListenAndServe(addr, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		var p payload
		if err := json.Unmarshal(body, &p); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		fmt.Fprintln(w, len(p.Alerts))
	}))
}

// alertmanagerAPI posts to Alertmanager's API, which keeps alerts in memory.
func alertmanagerAPI(o options, program, dir string) (result, error) {
	home, err := os.MkdirTemp(dir, "alertmanager")
	if err != nil {
		return result{}, err
	}
	am, err := rig.NewAlertmanager(program, home, "route: {receiver: none, group_by: [sloth_id], group_wait: 1h}\nreceivers: [{name: none}]\n")
	if err != nil {
		return result{}, err
	}
	am.LogLevel = "warn"
	if err := am.Start(); err != nil {
		return result{}, err
	}
	defer am.Kill()
	return driveServer(o, []int{am.PID()}, poster(o, one(am.URL()+"/api/v2/alerts"), apiForm, "")), nil
}

// whole posts to sitreps as Alertmanager would.
func (p programs) whole(o options) (result, error) {
	var slos strings.Builder
	slos.WriteString("team: load\non_call: {email: [oncall@example.org]}\nstakeholders: [leadership]\nslos:\n")
	for i := range o.slos {
		fmt.Fprintf(&slos, "  - {id: %s, use_case: Use case %d is broken, sli: availability, priority: P1}\n", sloID(i), i)
	}
	f, err := p.start(`
mail: {directory: outbox, from: incidents@example.org}
priorities:
  - {name: P1, summary: Severe, criteria: [A core use case is broken], inform: [management, stakeholders], update_every: 2h}
management: [leadership]
groups: [{name: leadership, email: [cto@example.org]}]
slo_files: [slos/*.yml]
`, map[string]string{"slos/load.yml": slos.String()}, "warn")
	if err != nil {
		return result{}, err
	}
	defer f.kill()
	before := p.usedByDatabase()
	r := driveServer(o, f.pids(), poster(o, f.url, webhookForm, rig.ReceiverToken))
	r.served = p.usedByDatabase() - before
	if r.err != nil {
		return r, fmt.Errorf("%w\n%s", r.err, f.log())
	}
	return r, nil
}
