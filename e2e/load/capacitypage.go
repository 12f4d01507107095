package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"text/template"
	"time"
)

//go:embed capacity.md.tmpl
var capacityText string

var capacityPage = template.Must(template.New("capacity.md").Parse(capacityText))

// A row of a table.
type row struct {
	Name   string
	Values []string
}

func ms(d time.Duration) string { return digits3(float64(d) / float64(time.Millisecond)) }

func inSeconds(d time.Duration) string { return digits3(d.Seconds()) }

func mib(bytes int64) string { return digits3(float64(bytes) / (1 << 20)) }

// costs returns what one of each kind costs, with a year in the store, as the page has it.
func (c *capacity) costs() (costs, error) {
	file, db, whole := &c.files[len(c.files)-1], &c.years[len(c.years)-1], &c.configs[len(c.configs)-1]
	day := func(minute time.Duration) time.Duration { return minute * 24 * 60 }
	var all costs
	for k, of := range map[kind][2]spent{
		ofAlert: {file.alert, db.alert}, ofRepeat: {file.repeat, db.repeat}, ofIncident: {file.incident, db.incident}, ofMail: {file.mail, db.mail},
		ofView: {file.view, db.view}, ofLoading: {whole.reload.each(whole.all()), c.shared.reload.each(whole.all())},
		ofProcess: {{cpu: day(file.idle.cpu)}, {cpu: day(db.idle.cpu), served: day(db.idle.served), wal: db.idle.wal * 24 * 60}},
	} {
		all[k] = [columns]float64{
			fileCPU: of[0].cpu.Seconds() * 1000, replicaCPU: of[1].cpu.Seconds() * 1000, databaseCPU: of[1].served.Seconds() * 1000,
			databaseWAL: float64(of[1].wal) / 1024,
		}
	}
	for k, of := range map[kind][2]float64{
		ofAlert: {float64(file.keptAlert), float64(db.keptAlert)}, ofIncident: {float64(file.keptIncident), float64(db.keptIncident)},
		ofMail: {float64(file.keptMail), float64(db.keptMail)}, ofLoading: {float64(whole.kept) / float64(whole.all()), float64(c.shared.kept) / float64(whole.all())},
	} {
		all[k][fileKept], all[k][databaseKept] = of[0]/1024, of[1]/1024
	}
	return all.read()
}

// growth says what an alert and an incident cost with all of the year, beside what they do with a quarter.
func (c *capacity) growth() string {
	ratio := func(years []yearFigures, of func(*yearFigures) time.Duration) string {
		return fmt.Sprintf("%.2f", float64(of(&years[len(years)-1]))/float64(max(1, of(&years[0]))))
	}
	alert := func(f *yearFigures) time.Duration { return f.alert.cpu + f.alert.served }
	mail := func(f *yearFigures) time.Duration { return f.mail.cpu + f.mail.served }
	return fmt.Sprintf("with all of the year below in the store an alert costs %s times what it does with a quarter of it in a file, and %s times in a database; a mail %s and %s times.",
		ratio(c.files, alert), ratio(c.years, alert), ratio(c.files, mail), ratio(c.years, mail))
}

// yearRows are the figures of the years, each a column.
func yearRows(all []*yearFigures) (rows []row) {
	add := func(name string, value func(f *yearFigures) string) {
		r := row{Name: name}
		for _, f := range all {
			r.Values = append(r.Values, value(f))
		}
		rows = append(rows, r)
	}
	cpu := func(s spent) string {
		if s.served == 0 {
			return ms(s.cpu)
		}
		return ms(s.cpu) + " + " + ms(s.served)
	}
	add("breaches", func(f *yearFigures) string { return thousands(float64(f.breaches)) })
	add("events", func(f *yearFigures) string { return thousands(float64(f.events)) })
	add("mails", func(f *yearFigures) string { return thousands(float64(f.mails)) })
	add("size in use, MiB", func(f *yearFigures) string { return mib(f.bytes) })
	add("for each incident, KiB", func(f *yearFigures) string { return digits3(float64(f.bytes) / 1024 / float64(f.incidents)) })
	add("an alert, ms", func(f *yearFigures) string { return cpu(f.alert) })
	add("an incident, ms", func(f *yearFigures) string { return cpu(f.incident) })
	add("a mail, ms", func(f *yearFigures) string { return cpu(f.mail) })
	for i := range all[0].looks {
		add(all[0].looks[i].name+", ms", func(f *yearFigures) string { return cpu(f.looks[i].spent) + ", in " + ms(f.looks[i].wall) })
	}
	add("`audit verify`, s", func(f *yearFigures) string {
		if f.verify.served == 0 {
			return inSeconds(f.verify.cpu) + ", in " + inSeconds(f.verify.wall)
		}
		return inSeconds(f.verify.cpu) + " + " + inSeconds(f.verify.served) + ", in " + inSeconds(f.verify.wall)
	})
	add("deleting breaches and mails of an incident that are too old, ms", func(f *yearFigures) string {
		if f.pruned.cpu == 0 {
			return "-"
		}
		return cpu(f.pruned)
	})
	add("idle, ms a minute", func(f *yearFigures) string {
		if f.part {
			return "-"
		}
		return cpu(f.idle)
	})
	add("memory of sitrep, MiB", func(f *yearFigures) string { return mib(f.memory) })
	add("connections", func(f *yearFigures) string {
		if f.connections == 0 {
			return "-"
		}
		return strconv.Itoa(f.connections)
	})
	return rows
}

// short says it in a few sentences.
func (c *capacity) short(costs *costs, limits []limit) string {
	small, large := &examples[0], &examples[1]
	one := first(limits, small, func(l *limit) bool { return l.file })
	file := first(limits, large, func(l *limit) bool { return l.file })
	shared := first(limits, large, func(l *limit) bool { return l.shared })
	return fmt.Sprintf(`- **One process with a file** takes %s new alerts a second here. A small organisation of 20 teams takes %s minutes of CPU a day and %s GiB of disk a year. What it comes to first is %s: it uses %s %% of that.
- **A large organisation with one file**, of 10,000 teams, takes %s minutes of CPU a day and %s GiB a year. First: %s, of which it uses %s %%.
- **Three processes and one database** take %s minutes of CPU a day for it, all three together, the database %s more, and %s GiB a year. First: %s, of which it uses %s %%.
- **Beyond that** part the organisation: a sitrep for each part, with its own configuration and store, and a receiver of Alertmanager for each.`,
		thousands(c.throughs[0].rate()), digits3(costs.sum(small, fileCPU)), digits3(costs.sum(small, fileKept)), one.name, percent(one.share(small)),
		digits3(costs.sum(large, fileCPU)), digits3(costs.sum(large, fileKept)), file.name, percent(file.share(large)),
		digits3(costs.sum(large, replicaCPU)), digits3(costs.sum(large, databaseCPU)), digits3(costs.sum(large, databaseKept)), shared.name, percent(shared.share(large)))
}

// wholeTeams and partIncidents are the size of what is simulated unless it is said otherwise.
const wholeTeams, partIncidents = 10_000, 2000

// command is the one that makes the page.
func (c *capacity) command() string {
	command := "go run ./e2e/load -capacity -page docs/capacity.md"
	if c.teams != wholeTeams {
		command += fmt.Sprintf(" -teams %d", c.teams)
	}
	if c.incidents != partIncidents {
		command += fmt.Sprintf(" -incidents %d", c.incidents)
	}
	return command
}

// write writes the page.
func (c *capacity) write(path string) error {
	costs, err := c.costs()
	if err != nil {
		return err
	}
	limits := c.limits(&costs)
	whole, db := &c.configs[len(c.configs)-1], &c.years[len(c.years)-1]
	type configRow struct{ Teams, SLOs, MiB, Check, CheckMemory, Start, Reload, Heap, Most, Idle, Series, Scrape string }
	var configs []configRow
	for i := range c.configs {
		f := &c.configs[i]
		configs = append(configs, configRow{
			thousands(float64(f.teams)), thousands(float64(f.all())), mib(f.bytes), inSeconds(f.check.cpu), mib(f.checkMemory), inSeconds(f.ready.cpu), inSeconds(f.reload.cpu),
			mib(f.heap), mib(f.most), inSeconds(f.idle.cpu), strconv.Itoa(f.series), ms(f.scrape.cpu),
		})
	}
	type lookRow struct{ Name, Wall, KiB string }
	var looks []lookRow
	for _, l := range whole.looks {
		looks = append(looks, lookRow{l.name, ms(l.wall), digits3(float64(l.bytes) / 1024)})
	}
	var years []*yearFigures
	var names []row
	for i := range c.years {
		years = append(years, &c.files[i], &c.years[i])
		incidents := thousands(float64(c.years[i].incidents))
		names = append(names, row{Name: incidents + " incidents: file"}, row{Name: "database"})
	}
	type throughRow struct{ Name, Rate, CPU string }
	var throughs []throughRow
	for _, t := range c.throughs {
		cpu := t.each(t.used)
		if t.served > 0 {
			cpu += " + " + t.each(t.served)
		}
		throughs = append(throughs, throughRow{t.name, thousands(t.rate()), cpu})
	}
	part := float64(fullIncidents) / float64(db.incidents)
	var b bytes.Buffer
	if err := capacityPage.Execute(&b, map[string]any{
		"Command": c.command(), "Processor": processor(), "CPUs": runtime.NumCPU(), "Go": runtime.Version(),
		"Short": c.short(&costs, limits), "Costs": costs.table(), "Examples": costs.exampleTable(), "Growth": c.growth(),
		"Gone":    percent(c.files[len(c.files)-1].goes) + " % of it in a file and " + percent(db.goes) + " % in a database",
		"Configs": configs, "ConfigLooks": looks, "MostSLOs": thousands(float64(whole.all())),
		"MemoryRule": fmt.Sprintf("%s KiB for each SLO", digits3(float64(whole.most)/1024/float64(whole.all()))),
		"Years":      names, "YearRows": yearRows(years), "Vacuums": db.vacuums, "Dead": db.dead,
		"Each": alertsEach, "Throughs": throughs, "Limits": limitTable(limits),
		"WholeFill": thousands(time.Duration(float64(db.filled) * part).Minutes()), "WholeDisk": digits3(float64(db.bytes) * part / (1 << 30)),
		"Simulated": c.simulated(),
	}); err != nil {
		return err
	}
	return os.WriteFile(path, b.Bytes(), 0o644)
}

// simulated says what the organisation is.
func (c *capacity) simulated() string {
	year := &c.years[len(c.years)-1]
	return fmt.Sprintf(`%s teams with %d SLOs each: of ten, one has P1, three P2, six P3. Each team has one address on call, fifty teams have two stakeholders in common, and two managers hear of P1. The
whole has three incidents of an SLO a year, so %s. An incident has %d breaches, half of them from its beginning, seven commands of people (acknowledged, a phase, two updates, a note, resolved, closed),
and %.1f mails in the mean. The figures of a year are of %s such incidents of %d teams, over %d days: ten are lived through by sitrep itself, with real posts and mails, and PostgreSQL makes the others of
them in SQL, with numbers, teams, days and hashes of their own, so that `+"`sitrep audit verify`"+` finds nothing wrong. The file is a copy by `+"`sitrep storage copy`"+`, which compares both.`, thousands(float64(c.teams)), slosOfTeam, thousands(fullIncidents), breachesEach, mailsEach(), thousands(float64(year.incidents)), c.yearTeams(c.incidents), yearDays)
}
