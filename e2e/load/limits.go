package main

import (
	"fmt"
	"strings"
)

// A limit is something of which there is only so much.
type limit struct {
	name   string
	most   string                   // how much, in words
	share  func(e *example) float64 // of it that an organisation uses; 1 is all
	file   bool                     // with a file
	shared bool                     // with a database
	then   string                   // what to do where it is reached
}

const (
	// filesMost is how many bytes all the teams' files may have, and foldersMost how many names are
	// looked at in their folders.
	filesMost, foldersMost = 32 << 20, 100_000
	// fileLarge is how many GiB of a file are too many for most: a start after a crash reads all of
	// it, and a backup copies it.
	fileLarge = 64
	// mailPace is how many mails a minute a tenant of Exchange Online takes from one sender.
	mailPace = 30
	// connectionsEach is how many connections a process has at most, and connectionsMost how many
	// PostgreSQL takes by default, but for those that it keeps for superusers.
	connectionsEach, connectionsMost = 16, 97
	// memoryLarge is how many MiB of memory a process is given here.
	memoryLarge = 4096
)

// limits are those that organisations meet. A storm is when one SLO in ten fires within a minute.
func (c *capacity) limits(costs *costs) []limit {
	whole := &c.configs[len(c.configs)-1]
	bytesEach := float64(whole.bytes) / float64(whole.all())
	memoryEach := float64(whole.most) / float64(whole.all())
	most := max(c.throughs[1].rate(), c.throughs[2].rate())
	storm := func(rate float64) func(*example) float64 {
		return func(e *example) float64 { return e.slos / 10 * e.alerts / 60 / rate }
	}
	return []limit{
		{
			"the teams' files", "32 MiB in all, 1 MiB each", func(e *example) float64 { return e.slos * bytesEach / filesMost }, true, true,
			fmt.Sprintf("`check` and `serve` refuse more. An SLO has %.0f bytes here, and of 100,000 each may have %d. Leave out comments and what is the default, or give a part of the organisation a sitrep of its own", bytesEach, filesMost/100_000),
		},
		{
			"names in the folders of `slo_files`", "100,000", func(e *example) float64 { return e.slos / slosOfTeam / foldersMost }, true, true,
			"fewer and longer files",
		},
		{
			"memory of a process", fmt.Sprintf("%d MiB, say", memoryLarge), func(e *example) float64 { return e.slos * memoryEach / (memoryLarge << 20) }, true, true,
			"give it more; a reload needs most",
		},
		{
			"alerts of a storm, with a file", thousands(c.throughs[0].rate()) + " alerts/s here", storm(c.throughs[0].rate()), true, false,
			"that much more than a minute passes until all are taken in, and nothing is lost, as Alertmanager repeats what it has no answer to. A file has one writer: a disk that syncs faster helps, and so do fewer and larger posts (`group_interval`)",
		},
		{
			"alerts of a storm, with a database", thousands(most) + " alerts/s here", storm(most), false, true,
			"the same; more CPUs for the database, then for the processes",
		},
		{
			"CPU of a process with a file", "one CPU, half of it busy", func(e *example) float64 { return costs.sum(e, fileCPU) / (24 * 60) * 2 }, true, false,
			"more CPUs: all but the writer uses them",
		},
		{
			"CPU of the processes with a database", "one CPU each, half of it busy", func(e *example) float64 { return costs.sum(e, replicaCPU) / (24 * 60) * 2 / e.processes }, false, true,
			"more CPUs or processes; a loading costs each of them the same",
		},
		{
			"CPU of the database", "one CPU, half of it busy", func(e *example) float64 { return costs.sum(e, databaseCPU) / (24 * 60) * 2 }, false, true,
			"more CPUs",
		},
		{
			"connections", fmt.Sprintf("`max_connections`, %d of them free by default", connectionsMost), func(e *example) float64 { return e.processes * connectionsEach / connectionsMost }, false, true,
			fmt.Sprintf("up to %d a process: raise `max_connections`, lower `pool_max_conns` in the URL, or pgbouncer in transaction mode", connectionsEach),
		},
		{
			"mails", fmt.Sprintf("%d a minute, as Exchange Online takes", mailPace), func(e *example) float64 { return e.count(ofMail, fileCPU) / (24 * 60) / mailPace }, true, true,
			"in the mean: after a storm they are late by what the pace makes them, the most urgent first, and above `digest_above` a reader gets one for many. A relay of your own takes more",
		},
		{
			"the size of a file", fmt.Sprintf("%d GiB after a year, say", fileLarge), func(e *example) float64 { return costs.sum(e, fileKept) / fileLarge }, true, false,
			"there is no bound, but a start after a crash reads all of it, a second for each GiB, and so does a backup. Shorten `retention`, load configurations more rarely, or move to a database",
		},
		{
			"the size of a database", "1 TiB after a year, say", func(e *example) float64 { return costs.sum(e, databaseKept) / 1024 }, false, true,
			"more disk; shorten `retention`",
		},
	}
}

// limitTable is that of the limits.
func limitTable(all []limit) string {
	var b strings.Builder
	b.WriteString("| limit | how much |")
	for i := range examples {
		name, _, _ := strings.Cut(examples[i].name, ":")
		fmt.Fprintf(&b, " %s uses |", name)
	}
	b.WriteString(" where it is reached |\n|---|---|" + strings.Repeat("---|", len(examples)) + "---|\n")
	for _, l := range all {
		fmt.Fprintf(&b, "| %s | %s |", l.name, l.most)
		for i := range examples {
			fmt.Fprintf(&b, " %s %% |", percent(l.share(&examples[i])))
		}
		fmt.Fprintf(&b, " %s |\n", l.then)
	}
	return b.String()
}

func percent(f float64) string {
	if f*100 < 1 {
		return "< 1"
	}
	return thousands(f * 100)
}

// first returns which limit an organisation comes to first.
func first(all []limit, e *example, applies func(*limit) bool) (found limit) {
	for _, l := range all {
		if applies(&l) && (found.share == nil || l.share(e) > found.share(e)) {
			found = l
		}
	}
	return found
}
