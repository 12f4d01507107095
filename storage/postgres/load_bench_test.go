package postgres_test

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"sitrep/incident"
	"sitrep/incident/incidenttest"
	"sitrep/intake"
	"sitrep/router"
	"sitrep/storage"
	"sitrep/storage/postgres"
	"sitrep/storage/postgres/postgrestest"
)

var showStatements = flag.Bool("statements", false, "benchmarks print what the statements of the database cost; needs its pg_stat_statements")

// BenchmarkPosts takes in alerts, each a new breach, as Alertmanager posts them, and tells who is to be
// told: what an alert costs both processes, and what it asks of the database.
func BenchmarkPosts(b *testing.B) {
	for _, s := range []struct{ clients, alerts, slos int }{{16, 100, 1000}, {16, 100, 1}, {64, 1, 1000}, {1, 1, 1000}} {
		b.Run(fmt.Sprintf("clients=%d/alerts=%d/slos=%d", s.clients, s.alerts, s.slos), func(b *testing.B) {
			p := incidenttest.Policy()
			p.SLOs = nil
			for i := range s.slos {
				p.SLOs = append(p.SLOs, incidenttest.SLO(fmt.Sprintf("slo-%06d", i), "P1"))
			}
			p.Index()
			w := newWorkload(b, p, &sink{})
			defer w.end()
			var next atomic.Int64
			one := func() error {
				n := int(next.Add(1))
				var all []incident.Alert
				for i := range s.alerts {
					slo := p.SLOs[(n*7919+i%10)%len(p.SLOs)].ID
					all = append(all, alertOf(slo, uint64(n*s.alerts+i)*0x9E3779B97F4A7C15))
				}
				_, err := w.intake.Take(b.Context(), intake.Post{Alerts: all, At: now()})
				return err
			}
			w.measure(b, "alert", s.alerts, func() {
				var left atomic.Int64
				left.Store(int64(b.N))
				var wg sync.WaitGroup
				for range s.clients {
					wg.Go(func() {
						for left.Add(-1) >= 0 {
							if err := one(); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				wg.Wait()
			})
		})
	}
}

// BenchmarkDeliveries tells one incident to 1,500 readers.
func BenchmarkDeliveries(b *testing.B) {
	const readers = 1500
	p := incidenttest.Policy(incidenttest.SLO("one", "P1"))
	p.Groups = p.Groups[:1]
	p.Groups[0].Recipients = nil
	for i := range readers {
		p.Groups[0].Recipients = append(p.Groups[0].Recipients, incidenttest.Mail(fmt.Sprintf("reader-%05d", i)))
	}
	p.Teams[0].OnCall = nil
	p.Index()
	to := &sink{}
	w := newWorkload(b, p, to)
	defer w.end()
	w.measure(b, "message", readers, func() {
		for i := range b.N {
			told := to.wait(readers)
			fingerprint := uint64(i) * 0x9E3779B97F4A7C15
			if _, err := w.intake.Take(b.Context(), intake.Post{Alerts: []incident.Alert{alertOf("one", fingerprint)}, At: now()}); err != nil {
				b.Fatal(err)
			}
			<-told
		}
	})
}

// alertOf is an alert of about a kilobyte.
func alertOf(slo string, fingerprint uint64) incident.Alert {
	id := fmt.Sprintf("%016x", fingerprint)
	return incident.Alert{
		Fingerprint: id, StartsAt: now().Truncate(time.Millisecond), GeneratorURL: "http://prometheus.example:9090/graph?g0.expr=slo",
		Labels: map[string]string{
			"alertname": "LoadAvailability", "category": "availability", "cluster": "prod", "severity": "critical", "service": "load",
			"slo": slo, "sloth_severity": "page", "team": "load", "instance": id,
		},
		Annotations: map[string]string{
			"runbook_url": "https://runbooks.example/load", "summary": "Application cannot register with notification services", "description": strings.Repeat("x", 450),
		},
	}
}

// A sink takes each message at once.
type sink struct {
	left atomic.Int64
	done chan struct{}
}

// wait returns what is closed once so many more messages were taken.
func (s *sink) wait(n int) <-chan struct{} {
	s.done = make(chan struct{})
	s.left.Store(int64(n))
	return s.done
}

func (s *sink) Render(m *incident.Message) ([]byte, error) {
	return []byte(m.ID + strings.Repeat(" about 10 KiB of mail", 500)), nil
}

func (s *sink) Send(ctx context.Context, _ router.Envelope, leased func(context.Context) error) error {
	if err := leased(ctx); err != nil {
		return err
	}
	if s.left.Add(-1) == 0 {
		close(s.done)
	}
	return nil
}

// A workload is a service on a database that it has for itself, and what is counted of both.
type workload struct {
	cluster           *postgrestest.Cluster
	url               string
	db                *postgres.DB
	intake            *intake.Intake
	end               func()
	trips, statements atomic.Int64
}

func newWorkload(b *testing.B, p *incident.Policy, to router.Sender) *workload {
	w := &workload{cluster: postgrestest.Start(b)}
	if *showStatements {
		w.cluster.Do(b, "postgres", "alter system set shared_preload_libraries = 'pg_stat_statements'")
		w.cluster.Stop(b, false)
		w.cluster.Start(b)
		w.cluster.Do(b, "postgres", "alter system set pg_stat_statements.track = 'all'", "select pg_reload_conf()")
	}
	w.url = w.cluster.Database(b)
	if _, err := postgres.Migrate(b.Context(), w.url); err != nil {
		b.Fatal(err)
	}
	if *showStatements {
		run(b, w.url, "create extension pg_stat_statements")
	}
	w.db = openWith(b, w.url, postgres.Options{Trace: func(all []string) {
		w.trips.Add(1)
		w.statements.Add(int64(len(all)))
	}})
	log, metrics := slog.New(slog.DiscardHandler), router.NewMetrics(prometheus.NewRegistry())
	var scheduler *router.Scheduler
	repo := &storage.Repository{Store: w.db, Policy: func() *incident.Policy { return p }, Wake: func() { scheduler.Wake() }}
	found := map[string]*incident.SLO{}
	for i := range p.SLOs {
		found[p.SLOs[i].ID] = &p.SLOs[i]
	}
	w.intake = &intake.Intake{Repo: repo, Catalog: func() intake.Catalog { return byID(found) }, Log: log}
	scheduler = &router.Scheduler{
		Repo: repo, Log: log, Metrics: metrics, Intake: w.intake,
		Asker: func() router.Asker { return nil }, Retention: func() router.Retention { return router.Retention{} },
		Dispatcher: &router.Dispatcher{Repo: repo, Owner: "a", Log: log, Metrics: metrics, Sender: func(incident.Channel) (router.Sender, bool) { return to, true }},
	}
	ctx, cancel := context.WithCancel(b.Context())
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		_ = scheduler.Run(ctx)
	}()
	w.end = sync.OnceFunc(func() {
		cancel()
		<-stopped
	})
	return w
}

// byID are SLOs by what the label slo of their alerts says.
type byID map[string]*incident.SLO

func (c byID) Lookup(labels map[string]string) intake.Match {
	return intake.Match{SLO: c[labels["slo"]]}
}

// measure runs what is to be measured b.N times, and reports what each of its things, of which
// it has so many, cost.
func (w *workload) measure(b *testing.B, thing string, things int, run func()) {
	const figures = "select (select sum(xact_commit) from pg_stat_database where datname = current_database())::bigint, pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint"
	ask := func() (commits, wal int64) {
		conn, err := pgx.Connect(b.Context(), w.url)
		if err != nil {
			b.Fatal(err)
		}
		defer conn.Close(context.WithoutCancel(b.Context()))
		if err := conn.QueryRow(b.Context(), figures).Scan(&commits, &wal); err != nil {
			b.Fatal(err)
		}
		return commits, wal
	}
	commits, wal := ask()
	trips, statements := w.trips.Load(), w.statements.Load()
	own, database := ownUsed(), w.cluster.Used()
	b.ResetTimer()
	run()
	b.StopTimer()
	own, database = ownUsed()-own, w.cluster.Used()-database
	trips, statements = w.trips.Load()-trips, w.statements.Load()-statements
	after, walAfter := ask()
	n := float64(b.N) * float64(things)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(n/b.Elapsed().Seconds(), thing+"s/s")
	b.ReportMetric(float64(own.Microseconds())/n, "own-µs/"+thing)
	b.ReportMetric(float64(database.Microseconds())/n, "database-µs/"+thing)
	b.ReportMetric(float64(trips)/n, "trips/"+thing)
	b.ReportMetric(float64(statements)/n, "statements/"+thing)
	b.ReportMetric(float64(after-commits)/n, "commits/"+thing)
	b.ReportMetric(float64(walAfter-wal)/n, "wal-bytes/"+thing)
	if *showStatements {
		w.printStatements(b)
	}
}

// printStatements prints what statements cost the database, the dearest first.
func (w *workload) printStatements(b *testing.B) {
	conn, err := pgx.Connect(b.Context(), w.url)
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(b.Context()))
	rows, err := conn.Query(b.Context(), `select calls, rows, total_exec_time, wal_bytes::bigint, left(regexp_replace(query, '\s+', ' ', 'g'), 150)
		from pg_stat_statements where dbid = (select oid from pg_database where datname = current_database()) order by total_exec_time desc limit 40`)
	if err != nil {
		b.Fatal(err)
	}
	defer rows.Close()
	fmt.Fprintf(os.Stderr, "%10s %10s %10s %12s  statement\n", "calls", "rows", "ms", "WAL")
	for rows.Next() {
		var calls, n, wal int64
		var ms float64
		var sql string
		if err := rows.Scan(&calls, &n, &ms, &wal, &sql); err != nil {
			b.Fatal(err)
		}
		fmt.Fprintf(os.Stderr, "%10d %10d %10.1f %12d  %s\n", calls, n, ms, wal, sql)
	}
	if err := rows.Err(); err != nil {
		b.Fatal(err)
	}
}

// ownUsed returns how much of the processors this process has used.
func ownUsed() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
