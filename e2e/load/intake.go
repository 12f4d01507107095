package main

import (
	"context"
	"encoding/json"
	"errors"
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
)

// A round is what all reached one after the other.
type round struct {
	decode, bare, alertmanager, sitrep result
	postgres, fleet                    result // one on PostgreSQL, and all replicas
	replicas, deadlocks                int    // there
}

// A shape is of the posts that a page has figures of.
type shape struct {
	clients, alerts, slos int // slos of a file: as many as is said
	figures               func(r *round) []figure
}

// shapes are those on a file.
var shapes = []shape{
	{clients: 16, alerts: 100, figures: func(r *round) []figure {
		return []figure{
			atLeast("durable alerts/s, 100 a post ÷ Alertmanager's API, which keeps them in memory", r.sitrep.rate()/r.alertmanager.rate(), 2, ""),
			atLeast("durable alerts/s, 100 a post ÷ decoding alone", r.sitrep.rate()/r.decode.rate(), 0.3, ""),
		}
	}},
	{clients: 16, alerts: 10, figures: func(r *round) []figure {
		return []figure{atLeast("durable alerts/s, 10 a post ÷ Alertmanager's API", r.sitrep.rate()/r.alertmanager.rate(), 0.7, "")}
	}},
	{clients: 64, alerts: 1, figures: func(r *round) []figure {
		return []figure{atLeast("durable alerts/s, one a post, 64 clients ÷ Alertmanager's API", r.sitrep.rate()/r.alertmanager.rate(), 0.5, "")}
	}},
	{clients: 16, alerts: 1, figures: func(r *round) []figure {
		return []figure{atMost("p99 of a post, one alert each, 16 clients ÷ Alertmanager's", ratio(r.sitrep.p99, r.alertmanager.p99), 0.5, "")}
	}},
	{clients: 1, alerts: 1, figures: func(*round) []figure { return nil }},
}

// intake measures how many alerts a second are taken in.
func (p programs) intake(_ context.Context, o options, s *sheet) (all []figure, err error) {
	fmt.Fprintf(&s.table, "Each alert is a new breach of %d bytes, of one of %d SLOs.\n\n", o.bytes, o.slos)
	s.table.WriteString("| clients | alerts a post | decode, alerts/s | bare HTTP | Alertmanager | sitrep | ÷ decode | ÷ Alertmanager | p50 | p99 | memory |\n|---|---|---|---|---|---|---|---|---|---|---|\n")
	o.postgres = false
	for _, one := range shapes {
		o.clients, o.alerts = one.clients, one.alerts
		fmt.Fprintf(s.out, "\n%d clients, %d alerts a post", o.clients, o.alerts)
		r, err := p.run(o, s.out)
		if err == nil && r.alertmanager.posts == 0 {
			err = errWithoutAlertmanager
		}
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&s.table, "| %d | %d | %.0f | %.0f | %.0f | %.0f | %.2f | %.2f | %s | %s | %d MiB |\n", o.clients, o.alerts, r.decode.rate(), r.bare.rate(), r.alertmanager.rate(),
			r.sitrep.rate(), r.sitrep.rate()/r.decode.rate(), r.sitrep.rate()/r.alertmanager.rate(), fine(r.sitrep.p50), fine(r.sitrep.p99), r.sitrep.memory>>20)
		all = append(all, one.figures(&r)...)
	}
	return all, nil
}

// errWithoutAlertmanager is why figures have nothing that they could stand beside.
var errWithoutAlertmanager = errors.New("there are no figures of Alertmanager, as it could not be built")

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

// run measures all, and prints each as it is done.
func (p programs) run(o options, out io.Writer) (r round, err error) {
	fmt.Fprintf(out, "\n%-14s %12s %10s %10s %10s %10s\n", "", "alerts/s", "p50", "p99", "memory", "CPU/alert")
	r.decode = decodeOnly(o)
	r.decode.print(out, "decode")
	if r.bare, err = bareHTTP(o); err != nil {
		return r, err
	}
	r.bare.print(out, "bare http")
	if err := p.runPrograms(o, &r, out); err != nil {
		return r, err
	}
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

// runPrograms goes on with Alertmanager, if there is one, and sitrep.
func (p programs) runPrograms(o options, r *round, out io.Writer) (err error) {
	if p.alertmanager != "" {
		if r.alertmanager, err = alertmanagerAPI(o, p.alertmanager, p.dir); err != nil {
			return err
		}
		r.alertmanager.print(out, "alertmanager")
	}
	if r.sitrep, err = p.whole(o); err != nil {
		return err
	}
	r.sitrep.print(out, "sitrep")
	return nil
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
		n, err := p.deadlocks()
		r.deadlocks += n
		return err
	}
	r.replicas = o.replicas
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
	f, err := p.start(intakeConfig, intakeFiles(o), "warn")
	if err != nil {
		return result{}, err
	}
	defer f.kill()
	before := p.usedByDatabase()
	r, err := f.drive(o)
	r.served = p.usedByDatabase() - before
	return r, err
}

// intakeConfig is the configuration of sitreps that alerts are posted to.
const intakeConfig = `
mail: {directory: outbox, from: incidents@example.org}
priorities:
  - {name: P1, summary: Severe, criteria: [A core use case is broken], inform: [management, stakeholders], update_every: 2h}
management: [leadership]
groups: [{name: leadership, email: [cto@example.org]}]
slo_files: [slos/*.yml]
`

// intakeFiles are the files of its team.
func intakeFiles(o options) map[string]string {
	var slos strings.Builder
	slos.WriteString("team: load\non_call: {email: [oncall@example.org]}\nstakeholders: [leadership]\nslos:\n")
	per := ""
	if o.perInstance {
		per = ", incident_per: [instance]"
	}
	for i := range o.slos {
		fmt.Fprintf(&slos, "  - {id: %s, use_case: Use case %d is broken, sli: availability, priority: P1%s}\n", sloID(i), i, per)
	}
	return map[string]string{"slos/load.yml": slos.String()}
}

// drive posts to a fleet.
func (f fleet) drive(o options) (result, error) {
	r := driveServer(o, f.pids(), poster(o, f.url, webhookForm, rig.ReceiverToken))
	if r.err != nil {
		return r, fmt.Errorf("%w\n%s", r.err, f.log())
	}
	return r, nil
}
