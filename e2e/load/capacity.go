package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"go.etcd.io/bbolt"
	"golang.org/x/sync/errgroup"

	"sitrep/e2e/rig"
	"sitrep/storage/postgres"
	"sitrep/storage/postgres/postgrestest"
)

// A simulation is how large the organisation is that capacity is measured with, and how much of its year.
type simulation struct {
	teams, incidents int
}

// slosOfTeam is how many SLOs a team has.
const slosOfTeam = 10

// fullIncidents is the year of the whole organisation: three incidents of each SLO.
const fullIncidents = 300_000

// yearTeams is how many teams the year is of: its incidents are three of each SLO, as in the whole.
func (s simulation) yearTeams(incidents int) int {
	return max(teamsOfZone, incidents/(fullIncidents/10_000))
}

// A capacity is what was measured.
type capacity struct {
	simulation
	configs  []configFigures // of a tenth, and all of it
	shared   configFigures   // of all of it with a database, as far as that makes a difference
	years    []yearFigures   // on a database: of a quarter, and all of it
	files    []yearFigures   // the same, in files
	throughs []through
}

// configFigures are what a configuration takes, of a sitrep with a file.
type configFigures struct {
	organisation
	bytes       int64 // of the teams' files
	check       spent
	checkMemory int64
	ready       spent // from the start until it is ready
	heap, most  int64 // in use once it has been running, and the most it had
	reload      spent
	kept        int64 // of a configuration that was in force
	scrape      spent
	series      int
	idle        spent // of a minute
	looks       []looked
}

// SLOs returns how many there are.
func (o organisation) all() int { return o.teams * o.slos }

// startConfig starts a sitrep with the configuration of an organisation.
func (p programs) startConfig(url string, o organisation) (fleet, configFigures, error) {
	f := configFigures{organisation: o}
	files := o.files()
	for _, text := range files {
		f.bytes += int64(len(text))
	}
	began := time.Now()
	all, err := p.startOn(url, o.config("mail: {directory: outbox, from: incidents@example.org}\n"), files, "warn")
	if err == nil {
		f.ready = spent{wall: time.Since(began), cpu: postgrestest.UsedBy(all[0].PID())}
	}
	return all, f, err
}

// reloaded measures what it takes to load another configuration.
func (m *meter) reloaded(o organisation) (spent, error) {
	s := m.fleet[0]
	if err := s.Write("slos/"+unitName(0)+".yml", strings.Replace(o.file(0), "Customers of", "All customers of", 1)); err != nil {
		return spent{}, err
	}
	return m.of(func() error {
		_, err := ask(s, http.MethodPost, "/-/reload")
		return err
	})
}

// measureSharedConfig measures what a configuration takes that is kept in a database.
func (p programs) measureSharedConfig(ctx context.Context, o organisation) (f configFigures, err error) {
	url, err := p.cluster.Create()
	if err != nil {
		return f, err
	}
	all, f, err := p.startConfig(url, o)
	if err != nil {
		return f, err
	}
	defer all.kill()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return f, err
	}
	defer conn.Close(ctx)
	if f.reload, err = (&meter{p: p, fleet: all, conn: conn}).reloaded(o); err != nil {
		return f, err
	}
	return f, conn.QueryRow(ctx, "select sum(pg_column_size(body)) / 2 from configs").Scan(&f.kept)
}

// measureConfig measures what a configuration takes, with a file.
func (p programs) measureConfig(ctx context.Context, o organisation) (configFigures, error) {
	all, f, err := p.startConfig("", o)
	if err != nil {
		return f, err
	}
	defer all.kill()
	s, m := all[0], &meter{p: p, fleet: all}
	if f.check, f.checkMemory, err = p.command(ctx, "check", filepath.Join(s.Dir, "sitrep.yml")); err != nil {
		return f, err
	}
	if f.reload, err = m.reloaded(o); err != nil {
		return f, err
	}
	if f.looks, err = m.looksOf(2, []look{
		{"front page", "/"},
		{"SLOs", "/slos"},
		{"coverage", "/coverage"},
		{"groups and teams", "/groups"},
		{"priorities", "/priorities"},
		{"status", "/status"},
		{"the API's list of SLOs", "/api/v1/slos"},
	}); err != nil {
		return f, err
	}
	if f.series, err = series(s); err != nil {
		return f, err
	}
	if f.scrape, err = m.of(func() error {
		for range 10 {
			if _, err := ask(s, http.MethodGet, "/metrics"); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return f, err
	}
	f.scrape = f.scrape.each(10)
	if f.idle, err = m.idle(); err != nil {
		return f, err
	}
	heap, err := metric(s, "go_memstats_heap_inuse_bytes")
	f.heap, f.most = int64(heap), memory(s.PID(), "VmHWM:")
	if err != nil {
		return f, err
	}
	if err := s.Stop(); err != nil {
		return f, err
	}
	buckets, err := bucketSizes(filepath.Join(s.Dir, "data", "sitrep.db"))
	f.kept = buckets["configs"] / 2 // before and after the change
	return f, err
}

// idleFor is how long an idle sitrep is looked at: a third of a minute, with one scrape.
const idleFor = 20 * time.Second

// rest waits until what came before has come to rest: of a database, its cleaning too.
func (m *meter) rest() error {
	time.Sleep(3 * time.Second)
	if m.conn == nil {
		return nil
	}
	// Autovacuum would analyze what was filled in the middle of something else. A checkpoint is not for us
	// to bring about: after it each page is written to the log whole.
	_, err := m.conn.Exec(context.Background(), "vacuum analyze")
	if err != nil {
		return fmt.Errorf("vacuum analyze: %w", err)
	}
	rested := rig.Poll(2*time.Minute, func() bool {
		busy := 0
		err = m.conn.QueryRow(context.Background(), "select count(*) from pg_stat_activity where backend_type = 'autovacuum worker'").Scan(&busy)
		return err != nil || busy == 0
	})
	if err == nil && !rested {
		err = errors.New("the database is cleaned still after 2 minutes")
	}
	return err
}

// idle returns what is spent in a minute in which nothing happens but scrapes.
func (m *meter) idle() (spent, error) {
	if err := m.rest(); err != nil {
		return spent{}, err
	}
	s, err := m.of(func() error {
		for _, s := range m.fleet {
			if _, err := ask(s, http.MethodGet, "/metrics"); err != nil {
				return err
			}
		}
		time.Sleep(idleFor)
		return nil
	})
	s = s.each(len(m.fleet))
	n := time.Minute / idleFor
	return spent{s.wall * n, s.cpu * n, s.served * n, s.wal * int64(n)}, err
}

// bucketSizes returns how many bytes of a file of bbolt's that no sitrep has open are each bucket's.
func bucketSizes(path string) (map[string]int64, error) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true, Timeout: 2 * time.Second})
	if err != nil {
		return nil, err
	}
	defer db.Close()
	sizes := map[string]int64{}
	return sizes, db.View(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
			s := b.Stats()
			sizes[string(name)] = int64(s.LeafAlloc + s.BranchAlloc)
			return nil
		})
	})
}

// yearFigures are what a year of incidents takes.
type yearFigures struct {
	incidents int
	breaches  int64
	events    int64
	mails     int64
	filled    time.Duration // how long it took to make
	bytes     int64         // of the store, in use
	// What is kept of one breach, incident and mail, of the incident without the others.
	keptAlert, keptIncident, keptMail int64
	goes                              float64 // the share of the store that is deleted after a while
	alert, repeat, incident, mail     spent
	view                              spent
	idle                              spent
	memory                            int64
	part                              bool // of the year: what does not depend on it is left out
	looks                             []looked
	verify                            spent
	pruned                            spent // of one incident that got too old
	connections                       int
	vacuums, dead                     int // how often autovacuum came, and the largest share of dead rows in %
}

// measuring is what the configuration of a year has beside the organisation.
func measuring(s *sink, more string) string {
	return fmt.Sprintf("mail: {smarthost: '%s', from: incidents@example.org, tls: none}\nincidents: {resolve_after: 1h, digest_above: 1000000}\n%s", s.address(), more)
}

// makeYear makes a year of incidents in a new database.
func (p programs) makeYear(ctx context.Context, o organisation, incidents int, s *sink, out io.Writer) (url string, f yearFigures, err error) {
	f.incidents = incidents
	if url, err = p.cluster.Create(); err != nil {
		return url, f, err
	}
	if _, err := postgres.Migrate(ctx, url); err != nil {
		return url, f, err
	}
	if err := runSQL(ctx, url, fmt.Sprintf("update numbers set last = %d", firstLived-1)); err != nil {
		return url, f, err
	}
	all, err := p.startOn(url, o.config(measuring(s, "")), o.files(), "warn")
	if err != nil {
		return url, f, err
	}
	if err := liveThrough(all[0], s, firstLived, 0); err != nil {
		all.kill()
		return url, f, err
	}
	if err := all[0].Stop(); err != nil {
		return url, f, err
	}
	began := time.Now()
	if err := multiply(ctx, url, o, incidents, func(step string) { fmt.Fprintln(out, "  "+step) }); err != nil {
		return url, f, err
	}
	f.filled = time.Since(began)
	return url, f, nil
}

func runSQL(ctx context.Context, url string, statements ...string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	for _, sql := range statements {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return fmt.Errorf("%s: %w", sql, err)
		}
	}
	return nil
}

// onDatabaseYear measures what sitrep takes on a year in a database.
func (p programs) onDatabaseYear(ctx context.Context, url string, o organisation, s *sink, f *yearFigures) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	all, err := p.startOn(url, o.config(measuring(s, "")), o.files(), "warn")
	if err != nil {
		return err
	}
	defer func() { all.kill() }()
	m := &meter{p: p, fleet: all, conn: conn}
	if err := f.readDatabase(ctx, url, conn); err != nil {
		return err
	}
	if err := m.measureYear(s, f); err != nil {
		return err
	}
	if err := conn.QueryRow(ctx, "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()").Scan(&f.connections); err != nil {
		return err
	}
	if err := conn.QueryRow(ctx, `select coalesce(sum(autovacuum_count), 0), coalesce(max(100 * n_dead_tup / greatest(n_live_tup + n_dead_tup, 1)) filter (where n_live_tup > 1000), 0)
		from pg_stat_user_tables`).Scan(&f.vacuums, &f.dead); err != nil {
		return err
	}
	if err := all[0].Stop(); err != nil {
		return err
	}
	before := p.usedByDatabase()
	if f.verify, _, err = p.command(ctx, "audit", "verify", "--no-key", "--storage", url); err != nil {
		return err
	}
	f.verify.served = p.usedByDatabase() - before
	return p.measurePruning(ctx, conn, url, o, s, f)
}

// keptDays is of how many days' incidents breaches and messages are kept when it is measured what
// deleting others takes.
const keptDays = 200

func (p programs) measurePruning(ctx context.Context, conn *pgx.Conn, url string, o organisation, s *sink, f *yearFigures) error {
	const old = "select count(*) from expired where what = ascii('m') and since < now() - make_interval(days => $1)"
	var n int
	if err := conn.QueryRow(ctx, old, keptDays).Scan(&n); err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, "delete from jobs"); err != nil {
		return err
	}
	all, err := p.startOn(url, o.config(measuring(s, fmt.Sprintf("retention: {breaches: %dd, messages: %dd, personal: 1100d}\n", keptDays, keptDays))), o.files(), "warn")
	if err != nil {
		return err
	}
	defer all.kill()
	m := &meter{p: p, fleet: all, conn: conn}
	f.pruned, err = m.of(func() error {
		for range 6000 {
			var left int
			if err := conn.QueryRow(ctx, old, keptDays).Scan(&left); err != nil || left == 0 {
				return err
			}
			time.Sleep(100 * time.Millisecond)
		}
		return fmt.Errorf("what is old is not deleted\n%s", all.log())
	})
	f.pruned = f.pruned.each(n)
	return err
}

// readDatabase reads how large what is.
func (f *yearFigures) readDatabase(ctx context.Context, url string, conn *pgx.Conn) error {
	rows, err := conn.Query(ctx, "select relname::text, pg_total_relation_size(oid) from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace")
	if err != nil {
		return err
	}
	sizes := map[string]int64{}
	var name string
	var size int64
	if _, err := pgx.ForEachRow(rows, []any{&name, &size}, func() error {
		sizes[name] = size
		f.bytes += size
		return nil
	}); err != nil {
		return err
	}
	if err := f.count(ctx, url); err != nil {
		return err
	}
	f.split(sizes["breaches"], sizes["records"]+sizes["chunks"], sizes["deliveries"]+sizes["delivery_incidents"]+sizes["messages"], sizes["configs"], sizes["messages"])
	return nil
}

// split says of how many bytes each kind of thing is the cause. A breach has two events, a mail one
// outcome. Breaches and messages are deleted after a while.
func (f *yearFigures) split(breaches, leaves, mails, configs, messages int64) {
	leaf := leaves / max(f.events+f.mails, 1)
	f.keptAlert = breaches/max(f.breaches, 1) + 2*leaf
	f.keptMail = mails/max(f.mails, 1) + leaf
	f.goes = float64(breaches+messages) / float64(max(f.bytes-configs, 1))
	f.keptIncident = (f.bytes - configs - f.breaches*f.keptAlert - f.mails*f.keptMail) / int64(f.incidents+lived)
}

// copyYear copies a year to a file.
func (p programs) copyYear(ctx context.Context, url string, of yearFigures) (path string, f yearFigures, err error) {
	path = filepath.Join(p.dir, fmt.Sprintf("year-%d.db", of.incidents))
	if err := runSQL(ctx, url, "delete from replicas"); err != nil { // they are gone
		return path, f, err
	}
	if _, _, err := p.command(ctx, "storage", "copy", url, path); err != nil {
		return path, f, err
	}
	f = yearFigures{incidents: of.incidents}
	if err := f.count(ctx, url); err != nil {
		return path, f, err
	}
	sizes, err := bucketSizes(path)
	if err != nil {
		return path, f, err
	}
	for _, size := range sizes {
		f.bytes += size // a file is larger, as it grows by much at once
	}
	sum := func(names ...string) (all int64) {
		for _, name := range names {
			all += sizes[name]
		}
		return all
	}
	f.split(sum("breaches", "breach_recent", "breach_runs", "breaches_silent", "breaches_doubted"), sum("events", "delivery_records", "leaves"),
		sum("deliveries", "delivery_ids", "delivery_incidents", "delivery_states", "delivery_index", "messages"), sizes["configs"], sizes["messages"])
	f.verify, _, err = p.command(ctx, "audit", "verify", "--no-key", "--storage", path)
	return path, f, err
}

// count counts what is in a database.
func (f *yearFigures) count(ctx context.Context, url string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	return conn.QueryRow(ctx, "select (select count(*) from breaches), (select count(*) from records where kind = 1), (select count(*) from deliveries)").Scan(&f.breaches, &f.events, &f.mails)
}

// onFileYear measures what sitrep takes on a year in a file.
func (p programs) onFileYear(path string, o organisation, s *sink, f *yearFigures) error {
	all, err := p.startOn(path, o.config(measuring(s, "")), o.files(), "warn")
	if err != nil {
		return err
	}
	defer all.kill()
	return (&meter{p: p, fleet: all}).measureYear(s, f)
}

const (
	// livedTeams is how many teams live through an incident of each SLO to measure what one costs.
	livedTeams = 4
	// alertPosts is how many posts are made to measure what an alert costs, and alertsEach how many
	// alerts each has: as many as an incident has.
	alertPosts, alertsEach = 300, breachesEach
	// crowds is how many incidents are told to a crowd.
	crowds = 5
)

// measureYear measures what things cost while a year is in the store.
func (m *meter) measureYear(s *sink, f *yearFigures) (err error) {
	sitrep := m.fleet[0]
	first := firstLived + lived
	var teams []int
	for team := range livedTeams {
		teams = append(teams, team+1)
	}
	whole, err := m.of(func() error { return liveThrough(sitrep, s, first, teams...) })
	if err != nil {
		return err
	}
	whole = whole.each(livedTeams * lived)
	if err := m.measureAlerts(s, f); err != nil {
		return err
	}
	if f.mail, err = m.of(func() error {
		return s.after(crowds*(crowd+1), func() error {
			for range crowds {
				if err := fire(sitrep, "crowded", 1); err != nil {
					return err
				}
			}
			return nil
		})
	}); err != nil {
		return err
	}
	f.mail = f.mail.each(crowds * (crowd + 1))
	f.incident = whole.minus(breachesEach, f.alert).minus(mailsEach(), f.mail)
	views := []look{
		{"front page", "/"},
		{"list of a team", "/?team=" + unitName(1)},
		{"an incident", fmt.Sprintf("/incidents/INC-%d", first)},
		{"a search", "/?q=function+7"},
		{"messages", "/deliveries"},
	}
	if f.looks, err = m.looksOf(10, views); err != nil {
		return err
	}
	for _, l := range f.looks {
		f.view = f.view.plus(l.spent)
	}
	f.view = f.view.each(len(views))
	now := time.Now().UTC()
	day := func(ago int) string { return now.AddDate(0, 0, -ago).Format(time.DateOnly) }
	long, err := m.looksOf(1, []look{
		{"export of an incident", "/api/v1/audit/export?incident=INC-1"},
		{"report of a month", "/api/v1/audit/report?from=" + day(60) + "&to=" + day(30)},
		{"report of the year", "/api/v1/audit/report?from=" + day(yearDays+yearEnds+1) + "&to=" + day(0)},
		{"export of a month", "/api/v1/audit/export?from=" + day(60) + "&to=" + day(30)},
	})
	if err != nil {
		return err
	}
	f.looks = append(f.looks, long...)
	f.memory = memory(sitrep.PID(), "VmRSS:")
	if !f.part {
		f.idle, err = m.idle()
	}
	return err
}

// measureAlerts measures what alerts cost that come to incidents which are open.
func (m *meter) measureAlerts(s *sink, f *yearFigures) error {
	sitrep := m.fleet[0]
	open, mails := 0, 0
	for slo := range slosOfTeam {
		a := alerter{livedTeams + 1, slo, fmt.Sprintf("beef%04d", slo)}
		mails += mailsOf(slo)
		if err := s.after(mailsOf(slo), func() error {
			_, err := sitrep.Alerts(a.body(0, 1, "firing"))
			return err
		}); err != nil {
			return err
		}
		open++
	}
	if err := untilTold(sitrep); err != nil {
		return err
	}
	bodies := func(status string) (all [][]byte) {
		for i := range alertPosts {
			all = append(all, alerter{livedTeams + 1, i % open, fmt.Sprintf("beef%04d", i%open)}.body(1+i*alertsEach, 1+(i+1)*alertsEach, status))
		}
		return all
	}
	post := func(status string) (spent, error) {
		all := bodies(status)
		return m.of(func() error {
			var next atomic.Int64
			var g errgroup.Group
			for range 4 {
				g.Go(func() error {
					for i := next.Add(1) - 1; i < int64(len(all)); i = next.Add(1) - 1 {
						if _, err := sitrep.Alerts(all[i]); err != nil {
							return err
						}
					}
					return nil
				})
			}
			return g.Wait()
		})
	}
	begins, err := post("firing")
	if err != nil {
		return err
	}
	repeats, err := post("firing")
	if err != nil {
		return err
	}
	ends, err := post("resolved")
	f.alert, f.repeat = begins.plus(ends).each(alertPosts*alertsEach), repeats.each(alertPosts*alertsEach)
	return err
}

// A through is how much is taken at most.
type through struct {
	name string
	result
}

// measureThrough measures how many alerts a second are taken at most.
func (p programs) measureThrough(replicas int, name string) (through, error) {
	o := options{clients: 16, alerts: alertsEach, bytes: 1024, slos: 1000, duration: 4 * time.Second}
	if replicas > 0 {
		var err error
		if p, err = p.onDatabase(replicas); err != nil {
			return through{}, err
		}
		defer p.cluster.End()
	} else {
		p.cluster = nil
	}
	r, err := p.whole(o)
	return through{name, r}, err
}

// writeCapacity measures, and writes the page.
func writeCapacity(ctx context.Context, sim simulation, path string, out io.Writer) error {
	if sim.teams < 10*livedTeams || sim.incidents < 4*lived {
		return errors.New("at least 40 teams and 40 incidents are needed")
	}
	p, remove, err := buildSitrep(ctx)
	if err != nil {
		return err
	}
	defer remove()
	began := time.Now()
	say := func(format string, args ...any) {
		fmt.Fprintf(out, "%6s  %s\n", time.Since(began).Round(time.Second), fmt.Sprintf(format, args...))
	}
	c := &capacity{simulation: sim}
	for _, teams := range []int{sim.teams / 10, sim.teams} {
		say("a configuration of %d teams", teams)
		f, err := p.measureConfig(ctx, organisation{teams, slosOfTeam})
		if err != nil {
			return err
		}
		c.configs = append(c.configs, f)
	}
	if p, err = p.onDatabase(1); err != nil {
		return err
	}
	defer p.cluster.End()
	say("a configuration of %d teams, with a database", sim.teams)
	if c.shared, err = p.measureSharedConfig(ctx, organisation{sim.teams, slosOfTeam}); err != nil {
		return err
	}
	s, err := newSink()
	if err != nil {
		return err
	}
	defer s.listener.Close()
	for _, incidents := range []int{sim.incidents / 4, sim.incidents} {
		o := organisation{sim.yearTeams(sim.incidents), slosOfTeam}
		say("a year of %d incidents of %d teams, in a database", incidents, o.teams)
		url, f, err := p.makeYear(ctx, o, incidents, s, out)
		if err != nil {
			return err
		}
		say("a copy of it, in a file")
		path, file, err := p.copyYear(ctx, url, f)
		if err != nil {
			return err
		}
		f.part = incidents < sim.incidents
		file.part = f.part
		say("what it costs in the database")
		if err := p.onDatabaseYear(ctx, url, o, s, &f); err != nil {
			return err
		}
		say("what it costs in the file")
		if err := p.onFileYear(path, o, s, &file); err != nil {
			return err
		}
		c.years, c.files = append(c.years, f), append(c.files, file)
	}
	for _, t := range []struct {
		replicas int
		name     string
	}{{0, "one, with a file"}, {1, "one, with a database"}, {3, "three, with one database"}} {
		say("how much is taken at most: %s", t.name)
		r, err := p.measureThrough(t.replicas, t.name)
		if err != nil {
			return err
		}
		c.throughs = append(c.throughs, r)
	}
	say("done")
	return c.write(path)
}
