// Command load measures how many alerts a second sitrep makes durable, beside what the
// same machine reaches in the same run without making anything durable:
//
//   - decode: encoding/json alone, in one goroutine for each CPU
//   - bare http: a server that decodes and answers, no more
//   - alertmanager: Alertmanager's own API v2, if it can be built
//   - sitrep: the whole program, each alert a new breach, answered after the commit
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
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"sitrep/e2e/rig"
)

func main() {
	var o options
	var bare string
	flag.IntVar(&o.clients, "clients", 16, "clients that post at once")
	flag.IntVar(&o.alerts, "alerts", 100, "alerts in a post")
	flag.IntVar(&o.bytes, "bytes", 1024, "bytes of an alert")
	flag.IntVar(&o.slos, "slos", 5, "SLOs that the alerts of a post are spread over")
	flag.DurationVar(&o.duration, "duration", 5*time.Second, "how long each measurement takes")
	flag.IntVar(&o.rounds, "rounds", 1, "how often all is measured")
	flag.StringVar(&bare, "bare", "", "be the bare server, on this address")
	flag.Parse()
	run := func() error { return measure(context.Background(), o, os.Stdout) }
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
	clients, alerts, bytes, slos, rounds int
	duration                             time.Duration
}

// measure prints a table of all measurements, once a round.
func measure(ctx context.Context, o options, out io.Writer) error {
	dir, err := os.MkdirTemp("", "sitrep-load")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	sitrep, err := rig.BuildSitrep(ctx, dir)
	if err != nil {
		return err
	}
	alertmanager, err := rig.BuildAlertmanager(ctx)
	if err != nil {
		fmt.Fprintf(out, "without Alertmanager: %v\n", err)
	}
	fmt.Fprintf(out, "%d clients, %d alerts of %d bytes a post, %d SLOs, %s each, %d CPUs\n", o.clients, o.alerts, o.bytes, o.slos, o.duration, runtime.NumCPU())
	for round := range o.rounds {
		fmt.Fprintf(out, "\n%-14s %12s %10s %10s %10s\n", "", "alerts/s", "p50", "p99", "memory")
		d := decodeOnly(o)
		d.print(out, "decode")
		h, err := bareHTTP(o)
		if err != nil {
			return err
		}
		h.print(out, "bare http")
		var a result
		if alertmanager != "" {
			if a, err = alertmanagerAPI(o, alertmanager, dir); err != nil {
				return err
			}
			a.print(out, "alertmanager")
		}
		s, err := whole(o, sitrep, filepath.Join(dir, fmt.Sprint("round-", round)))
		if err != nil {
			return err
		}
		s.print(out, "sitrep")
		fmt.Fprintf(out, "sitrep reaches %.2f of decode, %.2f of bare http", s.rate()/d.rate(), s.rate()/h.rate())
		if a.posts > 0 {
			fmt.Fprintf(out, ", %.2f of alertmanager", s.rate()/a.rate())
		}
		fmt.Fprintln(out)
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
	r := drive(o, poster(o, "http://"+addr+"/", webhookForm, ""))
	r.memory = memory(cmd.Process.Pid)
	return r, nil
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
	r := drive(o, poster(o, am.URL()+"/api/v2/alerts", apiForm, ""))
	r.memory = memory(am.PID())
	return r, nil
}

// whole posts to sitrep as Alertmanager would.
func whole(o options, program, dir string) (result, error) {
	if err := os.MkdirAll(filepath.Join(dir, "slos"), 0o700); err != nil {
		return result{}, err
	}
	s, err := rig.NewSitrep(program, dir, `
mail: {directory: outbox, from: incidents@example.org}
priorities:
  - {name: P1, summary: Severe, criteria: [A core use case is broken], inform: [management, stakeholders], update_every: 2h}
management: [leadership]
groups: [{name: leadership, email: [cto@example.org]}]
slo_files: [slos/*.yml]
`+rig.Access)
	if err != nil {
		return result{}, err
	}
	s.LogLevel = "warn"
	var slos strings.Builder
	slos.WriteString("team: load\non_call: {email: [oncall@example.org]}\nstakeholders: [leadership]\nslos:\n")
	for i := range o.slos {
		fmt.Fprintf(&slos, "  - {id: %s, use_case: Use case %d is broken, sli: availability, priority: P1}\n", sloID(i), i)
	}
	if err := s.Write("slos/load.yml", slos.String()); err != nil {
		return result{}, err
	}
	if err := s.Start(); err != nil {
		return result{}, err
	}
	defer s.Kill()
	r := drive(o, poster(o, s.URL()+"/alertmanager", webhookForm, rig.ReceiverToken))
	r.memory = memory(s.PID())
	if r.err != nil {
		return r, fmt.Errorf("%w\n%s", r.err, s.Log())
	}
	return r, nil
}
