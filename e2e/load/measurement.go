package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
)

// A measurement finds out some of the figures.
type measurement struct {
	name     string // what -only calls it
	title    string // what the page calls it
	about    string // what the page says of it before its details
	database bool   // it is on PostgreSQL
	run      func(p programs, ctx context.Context, o options, s *sheet) ([]figure, error)
}

// A sheet is what a measurement says beside its figures.
type sheet struct {
	out   io.Writer       // whoever looks on
	table strings.Builder // of the page, in markdown
	lines strings.Builder // of the page, as they are
}

// say says something to whoever looks on, and on the page.
func (s *sheet) say(format string, args ...any) {
	fmt.Fprintf(io.MultiWriter(s.out, &s.lines), format+"\n", args...)
}

// measurements are all of them, in the order of the page.
var measurements = []measurement{
	{
		name: "intake", title: "How much is taken in", run: programs.intake,
		about: `sitrep answers after the commit to the disk; the others keep nothing: *decode* is encoding/json alone, *bare HTTP* a server that decodes and
answers, *Alertmanager* its own API v2, which keeps alerts in memory.`,
	},
	{
		name: "post", title: "What one post takes", run: programs.post,
		about: `Of one client that posts one new alert after the other, by turns with syncs of a file in the same folder.`,
	},
	{
		name: "growth", title: "What is kept", run: programs.growth,
		about: `CPU of sitrep for a new alert, by turns in a new store and in one that keeps breaches which have ended, of incidents that are closed: all of them were
posted, and posted again as resolved.`,
	},
	{
		name: "start", title: "The start", run: programs.starts,
		about: `Of the store of many breaches, by turns with a program that does nothing but open the same file: after a clean stop to read it, and after a crash to write to it.`,
	},
	{
		name: "deleted", title: "After much was deleted", run: programs.deleted,
		about: `The bytes that the kernel has written for a small commit.`,
	},
	{
		name: "first", title: "The first message", run: programs.first,
		about: `From the post of an alert that opens an incident to its webhook, by turns with Alertmanager, which keeps nothing and groups for no time.`,
	},
	{
		name: "fan-out", title: "One incident, many readers", run: programs.fanOut,
		about: `A mail server that takes all at once is the far end here and below. Raw SMTP to it was measured by turns.`,
	},
	{
		name: "readers", title: "What a mail costs", run: programs.readers,
		about: `CPU of sitrep for a mail of an incident that has ten readers, of many such, one after the other, and of one that has many; what an incident costs is in it.`,
	},
	{
		name: "storm", title: "A storm", run: programs.storms,
		about: `Many incidents at once, each with two readers, who are told by digests: those wait until no more comes, up to 40 s, or 5 where a hundred are due. Fresh ones of the first
priority are posted meanwhile: to readers of their own while a storm goes to the same two readers, and, in another storm, of ten teams that have two readers each, to these, as often as
` + "`digest_above`" + `, which is 10 there, lets that go by itself. No digest of the first storm waits for these, so that its end is its own. Then all of it is open while people look.`,
	},
	{
		name: "evidence", title: "Evidence", run: programs.evidence,
		about: `Of incidents that digests told, each to two readers.`,
	},
	{
		name: "database-intake", title: "How much a database takes in", run: programs.databaseIntake, database: true,
		about: `A PostgreSQL with its own defaults, on the same machine: sitrep answers after the server has its commit on the disk. The file and the database were measured in one
run. *Processors* is what an alert takes of them: of sitrep on the file, and of sitrep and the server on the database. Replicas share the processors, too.`,
	},
	{
		name: "database-lag", title: "The log of a database", run: programs.databaseLag, database: true,
		about: `How old the oldest chunk without its place in the log is, asked each 50 ms while as much as possible is taken in.`,
	},
	{
		name: "database-openings", title: "Openings on a database", run: programs.databaseOpenings, database: true,
		about: `Each post opens an incident of its own.`,
	},
	{
		name: "database-fan-out", title: "One incident, many readers, on a database", run: programs.databaseFanOut, database: true,
		about: `By one sitrep.`,
	},
	{
		name: "database-storm", title: "A storm on a database", run: programs.databaseStorm, database: true,
		about: `By one sitrep; as above.`,
	},
	{
		name: "database-queue", title: "The queue of a database", run: programs.databaseQueue, database: true,
		about: `What a claim takes, from the look at who waits to the commit, and what the poll of an idle process takes.`,
	},
	{
		name: "database-idle", title: "An idle database", run: programs.databaseIdle, database: true,
		about: `Statements that the server was sent while incidents were open and nothing was due.`,
	},
}

// names are those of measurements.
func names(all []measurement) (names []string) {
	for _, m := range all {
		names = append(names, m.name)
	}
	return names
}

// choose returns the measurements that are asked for by name, or all there are without a database
// or with one.
func choose(only string, database bool) (chosen []measurement, err error) {
	if only == "" {
		return slices.DeleteFunc(slices.Clone(measurements), func(m measurement) bool { return m.database && !database }), nil
	}
	for name := range strings.SplitSeq(only, ",") {
		i := slices.IndexFunc(measurements, func(m measurement) bool { return m.name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no measurement %q; there are %s", name, strings.Join(names(measurements), ", "))
		}
		chosen = append(chosen, measurements[i])
	}
	return chosen, nil
}

// measureFigures carries out measurements, prints their figures, and writes the page if it has a
// path. One that fails keeps no other from being made, but the page from being written.
func measureFigures(ctx context.Context, o options, chosen []measurement, path string, out io.Writer) error {
	p, remove, err := build(ctx, out)
	if err != nil {
		return err
	}
	defer remove()
	page := performance{options: o}
	var errs []error
	for _, m := range chosen {
		began := time.Now()
		fmt.Fprintf(out, "\n== %s\n", m.name)
		s := &sheet{out: out}
		figures, err := m.run(p, ctx, o, s)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", m.name, err))
			fmt.Fprintln(out, err)
			continue
		}
		if len(figures) > 0 {
			fmt.Fprint(out, figureTable(figures))
		}
		fmt.Fprintf(out, "in %s\n", time.Since(began).Round(time.Second))
		page.add(&m, figures, s)
	}
	if len(errs) > 0 || path == "" {
		return errors.Join(errs...)
	}
	return os.WriteFile(path, page.bytes(), 0o644)
}
