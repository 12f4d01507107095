package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"time"
)

// shapes are the posts that a page has figures of.
var shapes = []struct{ clients, alerts int }{{16, 100}, {16, 10}, {64, 1}, {1, 1}}

// databaseShapes are the posts that a page has figures of on PostgreSQL.
var databaseShapes = []struct{ clients, alerts, slos int }{{16, 100, 1000}, {16, 100, 1}, {64, 1, 1000}, {1, 1, 1000}}

// writePage measures posts of all shapes, and writes a page of what they reach.
func writePage(ctx context.Context, o options, path string, out io.Writer) error {
	p, remove, err := build(ctx, out)
	if err != nil {
		return err
	}
	defer remove()
	if p.alertmanager == "" {
		return errors.New("a page has Alertmanager's figures beside sitrep's, and it could not be built")
	}
	var b bytes.Buffer
	more := ""
	if o.postgres {
		more = fmt.Sprintf(" -storage postgres -replicas %d", o.replicas)
	}
	fmt.Fprintf(&b, `# How fast it is

Made by `+"`go run ./e2e/load -page docs/performance.md -duration %s%s`"+` on %s, %d CPUs, %s. Read ratios: all in one row was measured in one run,
one after the other, on the machine that also ran the clients. sitrep answers after the commit to the disk; the others keep nothing: *decode*
is encoding/json alone, *bare HTTP* a server that decodes and answers, *Alertmanager* its own API v2, which keeps alerts in memory. Each
alert is a new breach of %d bytes, of one of %d SLOs.

| clients | alerts a post | decode, alerts/s | bare HTTP | Alertmanager | sitrep | ÷ decode | ÷ Alertmanager | p50 | p99 | memory |
|---|---|---|---|---|---|---|---|---|---|---|
`, o.duration, more, processor(), runtime.NumCPU(), runtime.Version(), o.bytes, o.slos)
	for _, s := range shapes {
		o.clients, o.alerts = s.clients, s.alerts
		fmt.Fprintf(out, "\n%d clients, %d alerts a post", o.clients, o.alerts)
		onFile := o
		onFile.postgres = false
		r, err := p.run(onFile, out)
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "| %d | %d | %.0f | %.0f | %.0f | %.0f | %.2f | %.2f | %s | %s | %d MiB |\n", s.clients, s.alerts, r.decode.rate(), r.bare.rate(), r.alertmanager.rate(),
			r.sitrep.rate(), r.sitrep.rate()/r.decode.rate(), r.sitrep.rate()/r.alertmanager.rate(), r.sitrep.p50.Round(10*time.Microsecond), r.sitrep.p99.Round(10*time.Microsecond), r.sitrep.memory>>20)
	}
	b.WriteString(`
## How fast people are told

A mail server that takes all at once is the far end; one incident to many readers has raw SMTP beside it, and a storm of incidents,
each with two readers, what a fresh one of the first priority takes alone. What is beyond five messages in a minute goes as digests, for
which up to 40 seconds are waited, or 5 where a hundred are due and no more come.

`)
	if err := p.toldPart(&b, out); err != nil {
		return err
	}
	if o.postgres {
		if err := p.databasePart(o, &b, out); err != nil {
			return err
		}
	}
	return os.WriteFile(path, b.Bytes(), 0o644)
}

// toldPart writes how fast people are told.
func (p programs) toldPart(b *bytes.Buffer, out io.Writer) error {
	told := io.MultiWriter(b, out)
	for _, measure := range []func() error{
		func() error { return p.fanOut(1500, told) },
		func() error { return p.storm(10_000, told) },
	} {
		b.WriteString("```text\n")
		if err := measure(); err != nil {
			return err
		}
		b.WriteString("```\n")
	}
	return nil
}

// databasePart writes what sitrep reaches on PostgreSQL.
func (p programs) databasePart(o options, b *bytes.Buffer, out io.Writer) error {
	fmt.Fprintf(b, `
## On PostgreSQL

The same on a PostgreSQL with its own defaults, on the same machine: it answers after the server has its commit on the disk. The file and the database were measured in one
run, each alert a new breach of %d bytes. *Processors* is what an alert takes of them: of sitrep on the file, and of sitrep and the server on the database. %d replicas share the
processors, too.

| clients | alerts a post | SLOs | Alertmanager, alerts/s | file | PostgreSQL | ÷ file | ÷ Alertmanager | %d replicas ÷ one | p50 | p99 | processors: file | database |
|---|---|---|---|---|---|---|---|---|---|---|---|---|
`, o.bytes, o.replicas, o.replicas)
	for _, s := range databaseShapes {
		o.clients, o.alerts, o.slos = s.clients, s.alerts, s.slos
		fmt.Fprintf(out, "\n%d clients, %d alerts a post, %d SLOs", o.clients, o.alerts, o.slos)
		r, err := p.run(o, out)
		if err != nil {
			return err
		}
		replicas := "-"
		if o.replicas > 1 {
			replicas = fmt.Sprintf("%.2f", r.fleet.rate()/r.postgres.rate())
		}
		fmt.Fprintf(b, "| %d | %d | %d | %.0f | %.0f | %.0f | %.2f | %.2f | %s | %s | %s | %s | %s + %s |\n", s.clients, s.alerts, s.slos, r.alertmanager.rate(), r.sitrep.rate(), r.postgres.rate(),
			r.postgres.rate()/r.sitrep.rate(), r.postgres.rate()/r.alertmanager.rate(), replicas, r.postgres.p50.Round(10*time.Microsecond), r.postgres.p99.Round(10*time.Microsecond),
			r.sitrep.each(r.sitrep.used), r.postgres.each(r.postgres.used), r.postgres.each(r.postgres.served))
	}
	b.WriteString("\nOf people who are told, by one sitrep:\n\n")
	p, err := p.onDatabase(1)
	if err != nil {
		return err
	}
	defer p.cluster.End()
	return p.toldPart(b, out)
}

// processor names the processor of this machine.
func processor() string {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err == nil {
		for line := range strings.Lines(string(info)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				return strings.TrimSpace(value)
			}
		}
	}
	return runtime.GOARCH
}
