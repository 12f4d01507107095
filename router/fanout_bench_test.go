package router_test

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sitrep/incident"
	"sitrep/incident/incidenttest"
	"sitrep/intake"
	"sitrep/router"
	"sitrep/storage"
	"sitrep/storage/bolt"
)

// taker takes each message at once, and says when it has had as many as were wanted.
type taker struct {
	left atomic.Int64
	done chan struct{}
}

func (t *taker) Render(m *incident.Message) ([]byte, error) { return []byte(m.ID), nil }

func (t *taker) Send(ctx context.Context, _ router.Envelope, leased func(context.Context) error) error {
	if err := leased(ctx); err != nil {
		return err
	}
	if t.left.Add(-1) == 0 {
		close(t.done)
	}
	return nil
}

// sending returns the repository of a scheduler that sends by t, and what starts it; that returns
// what stops it.
func sending(b *testing.B, db storage.Store, p *incident.Policy, t *taker) (repo *storage.Repository, run func() (stop func())) {
	log, metrics := slog.New(slog.DiscardHandler), router.NewMetrics(prometheus.NewRegistry())
	var scheduler *router.Scheduler
	repo = &storage.Repository{Store: db, Policy: func() *incident.Policy { return p }, Wake: func() { scheduler.Wake() }}
	scheduler = &router.Scheduler{
		Repo: repo, Log: log, Metrics: metrics, Intake: &intake.Intake{Repo: repo, Catalog: func() intake.Catalog { return nil }, Log: log},
		Asker: func() router.Asker { return nil }, Retention: func() router.Retention { return router.Retention{} },
		Dispatcher: &router.Dispatcher{Repo: repo, Owner: "a", Log: log, Metrics: metrics, Sender: func(incident.Channel) (router.Sender, bool) { return t, true }},
	}
	return repo, func() func() {
		ctx, cancel := context.WithCancel(b.Context())
		stopped := make(chan struct{})
		go func() {
			defer close(stopped)
			_ = scheduler.Run(ctx)
		}()
		return func() {
			cancel()
			<-stopped
		}
	}
}

// BenchmarkFanOut tells one incident to many readers: what a message costs beside its
// rendering and the far end must not grow with them.
func BenchmarkFanOut(b *testing.B) {
	for _, readers := range []int{10, 100, 1500, 10_000} {
		b.Run(fmt.Sprintf("readers=%d", readers), func(b *testing.B) { benchmarkFanOut(b, readers) })
	}
}

func benchmarkFanOut(b *testing.B, readers int) {
	db, err := bolt.Open(b.Context(), filepath.Join(b.TempDir(), "bench.db"), bolt.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	p := policy()
	p.Groups = p.Groups[:1]
	p.Groups[0].Recipients = nil
	for i := range readers {
		p.Groups[0].Recipients = append(p.Groups[0].Recipients, incidenttest.Mail(fmt.Sprintf("reader-%05d", i)))
	}
	p.Teams[0].OnCall = nil
	p.Index()
	t := &taker{}
	repo, run := sending(b, db, p, t)
	stop := run()
	var cpu time.Duration
	slo := incidenttest.SLO("p1", "P1")
	for i := range b.N {
		t.left.Store(int64(readers))
		t.done = make(chan struct{})
		before := used()
		at := time.Now().UTC().Truncate(time.Microsecond)
		one := slo
		one.ID, one.Key = fmt.Sprint("slo-", i), fmt.Sprint("slo-", i)
		err := repo.Change(b.Context(), at, func(c *storage.Change) error {
			in, _, err := c.IncidentFor(&one, incident.ActorAlertmanager)
			if err != nil {
				return err
			}
			br := incident.NewBreach(&incident.Alert{Fingerprint: fmt.Sprintf("%016x", i), StartsAt: at}, nil, at)
			return c.RecordBreach(in, &br, in.Fire(c.Stamp(incident.ActorAlertmanager), &br, nil, "", p.Priorities[0], p))
		})
		if err != nil {
			b.Fatal(err)
		}
		<-t.done
		cpu += used() - before
	}
	stop()
	b.ReportMetric(float64(cpu.Microseconds())/float64(b.N)/float64(readers), "cpu-µs/mail")
	b.ReportMetric(float64(b.N*readers)/b.Elapsed().Seconds(), "mails/s")
}

// A timed store notes how long its longest write took: others wait for that.
type timed struct {
	storage.Store
	longest atomic.Int64 // in nanoseconds
}

func (s *timed) Write(ctx context.Context, fn func(storage.Tx) error) error {
	return s.Store.Write(ctx, func(tx storage.Tx) error {
		began := time.Now()
		err := fn(tx)
		for took := int64(time.Since(began)); ; {
			if was := s.longest.Load(); took <= was || s.longest.CompareAndSwap(was, took) {
				return err
			}
		}
	})
}

// BenchmarkDigests tells many incidents to one reader, by digests.
func BenchmarkDigests(b *testing.B) {
	const incidents = 10_000
	db, err := bolt.Open(b.Context(), filepath.Join(b.TempDir(), "bench.db"), bolt.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	p := policy()
	p.Groups = p.Groups[:1]
	p.Teams[0].OnCall = nil
	p.Index()
	t := &taker{done: make(chan struct{})}
	t.left.Store(1 << 60)
	store := &timed{Store: db}
	repo, run := sending(b, store, p, t)
	at := time.Now().UTC().Truncate(time.Microsecond).Add(-time.Hour) // no digest waits for more
	slo := incidenttest.SLO("p2", "P2")
	for i := range b.N * incidents / 100 {
		err := repo.Change(b.Context(), at, func(c *storage.Change) error {
			for k := range 100 {
				one := slo
				one.ID, one.Key = fmt.Sprint("slo-", i, k), fmt.Sprint("slo-", i, k)
				in, _, err := c.IncidentFor(&one, incident.ActorAlertmanager)
				if err != nil {
					return err
				}
				br := incident.NewBreach(&incident.Alert{Fingerprint: fmt.Sprintf("%08x%08x", i, k), StartsAt: at}, nil, at)
				if err := c.RecordBreach(in, &br, in.Fire(c.Stamp(incident.ActorAlertmanager), &br, nil, "", p.Priorities[1], p)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	store.longest.Store(0)
	b.ResetTimer()
	before := used()
	stop := run()
	for due := 1; due > 0; time.Sleep(10 * time.Millisecond) {
		err := db.Read(b.Context(), func(r storage.Snapshot) (err error) {
			due, _, err = r.Backlog(b.Context(), time.Now())
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	cpu := used() - before
	stop()
	b.ReportMetric(float64(cpu.Microseconds())/float64(b.N*incidents), "cpu-µs/incident")
	b.ReportMetric(float64(store.longest.Load())/1e6, "ms/longest-write")
}

// used returns how much of the processors this process has used.
func used() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
