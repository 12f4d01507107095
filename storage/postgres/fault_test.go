package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5"

	"sitrep/intake"
	"sitrep/storage"
	"sitrep/storage/postgres"
	"sitrep/storage/postgres/postgrestest"
	"sitrep/storage/storagetest"
)

// patience is how long something may take that takes a moment on a machine with nothing else to do.
const patience = time.Minute

// posters is how many post at once.
const posters = 6

// A load is alerts that are posted all the time, each again and again until it is taken, as
// Alertmanager does.
type load struct {
	t       *testing.T
	store   *postgres.DB
	url     string
	stop    context.CancelFunc
	posting sync.WaitGroup
	refused atomic.Int64          // posts
	of      [posters]atomic.Int64 // and by who posted
	unknown atomic.Int64          // of them, posts of which nobody knows
	ill     atomic.Bool           // the store said so since it was reset
	sick    atomic.Int64          // how often a healthy store became ill

	mu    sync.Mutex
	taken map[string]bool // fingerprints
}

// newLoad starts to post.
func newLoad(t *testing.T, url string) *load {
	ctx, stop := context.WithCancel(t.Context())
	l := &load{t: t, store: open(t, url), url: url, stop: stop, taken: map[string]bool{}}
	in := taker(t, l.store)
	slos := in.Repo.Policy().SLOs
	began := now().Add(-time.Hour)
	for w := range posters {
		l.posting.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				all := alerts(slos[(w+i)%len(slos)].ID, fmt.Sprint(w, "-", i), 2, began, false)
				_, err := in.Take(ctx, intake.Post{Alerts: all, At: now()})
				for err != nil && ctx.Err() == nil {
					if !errors.Is(err, storage.ErrUnavailable) && !errors.Is(err, storage.ErrUnknown) {
						t.Errorf("take: %v", err)
						return
					}
					l.refused.Add(1)
					l.of[w].Add(1)
					if errors.Is(err, storage.ErrUnknown) {
						l.unknown.Add(1)
					}
					wait(ctx, 20*time.Millisecond)
					_, err = in.Take(ctx, intake.Post{Alerts: all, At: now()})
				}
				if err == nil {
					l.mu.Lock()
					for _, a := range all {
						l.taken[a.Fingerprint] = true
					}
					l.mu.Unlock()
				}
				wait(ctx, 10*time.Millisecond)
			}
		})
	}
	l.posting.Go(func() { // as the service does
		for ; ctx.Err() == nil; wait(ctx, 50*time.Millisecond) {
			_ = l.store.Probe(ctx)
		}
	})
	l.posting.Go(func() {
		for was := false; ctx.Err() == nil; wait(ctx, 20*time.Millisecond) {
			info, err := l.store.Info(ctx)
			if is := err == nil && info.Trouble != nil; is {
				l.ill.Store(true)
				if !was {
					l.sick.Add(1)
				}
				was = true
			} else {
				was = false
			}
		}
	})
	t.Cleanup(func() {
		stop()
		l.posting.Wait()
	})
	return l
}

// wait waits for a while, or until ctx is done.
func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

func (l *load) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.taken)
}

// eventually waits until done returns true.
func (l *load) eventually(what string, done func() bool) {
	l.t.Helper()
	for deadline := time.Now().Add(patience); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			info, err := l.store.Info(l.t.Context())
			l.t.Fatalf("not within %s: %s; %+v, %v", patience, what, info, err)
		}
	}
}

// goesOn waits until more alerts are taken, and the store says that it works.
func (l *load) goesOn() {
	l.t.Helper()
	l.eventually("it goes on", func() bool {
		info, err := l.store.Info(l.t.Context())
		return err == nil && info.Trouble == nil && l.store.Present(l.t.Context()) == nil
	})
	before := l.count()
	l.eventually("alerts are taken", func() bool { return l.count() >= before+20 })
}

// refusedAndIll waits until posts are refused and the store says that it does not work.
func (l *load) refusedAndIll() {
	l.t.Helper()
	refused := l.refused.Load()
	l.eventually("posts are refused, and the store says why", func() bool { return l.refused.Load() > refused && l.ill.Load() })
}

// Whatever befalls the database while alerts are posted: they are refused, the store says why, and
// once it is over all goes on by itself; what was taken is there, once, and in the log.
func TestTheDatabaseUnderFaults(t *testing.T) {
	t.Parallel()
	cluster := postgrestest.Start(t)
	place := "pg_default"
	disk, err := cluster.Disk(t, 256<<20)
	if err == nil {
		place = "small"
		cluster.Do(t, "postgres", "create tablespace small location '"+disk+"'")
	} else if os.Getenv("CI") == "true" {
		t.Fatalf("a small disk: %v", err)
	}
	// What is acknowledged lasts, whatever somebody thought to win by this.
	cluster.Do(t, "postgres", "create role sitrep login", "alter role sitrep set synchronous_commit = off", "alter system set wal_writer_delay = '10s'", "select pg_reload_conf()",
		"create database sitrep owner sitrep tablespace "+place)
	url := strings.Replace(cluster.URL("sitrep"), "postgres@", "sitrep@", 1)
	if _, err := postgres.Migrate(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	l := newLoad(t, url)
	set := func(settings ...string) {
		t.Helper()
		cluster.Do(t, "postgres", append(settings, "select pg_reload_conf()")...)
	}
	const terminate = "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'sitrep' and random() < %g"

	for _, fault := range []struct {
		name string
		do   func(t *testing.T)
	}{
		{"connections are ended at random", func(*testing.T) {
			for range 20 {
				cluster.Do(t, "postgres", fmt.Sprintf(terminate, 0.5))
				time.Sleep(rand.N(100 * time.Millisecond))
			}
		}},
		{"the server is restarted", func(*testing.T) {
			cluster.Stop(t, false)
			l.refusedAndIll()
			cluster.Start(t)
		}},
		{"the server is restarted without telling anybody", func(*testing.T) {
			cluster.Stop(t, true)
			l.refusedAndIll()
			cluster.Start(t)
		}},
		{"the database is read only", func(*testing.T) {
			set("alter system set default_transaction_read_only = on")
			l.refusedAndIll()
			// Each connection hears of the setting in its own time. Then what is read all the while
			// does not make it well.
			quiet := false
			for range 2 {
				sick := l.sick.Load()
				time.Sleep(time.Second)
				quiet = quiet || l.sick.Load() == sick
			}
			if !quiet {
				t.Error("it says again and again that it works again")
			}
			if err := l.store.Present(l.t.Context()); !errors.Is(err, storage.ErrUnavailable) {
				t.Errorf("what is no news is taken: %v", err)
			}
			set("alter system reset default_transaction_read_only")
		}},
		{"the server takes two connections", func(*testing.T) {
			cluster.Do(t, "postgres", "alter role sitrep connection limit 2", fmt.Sprintf(terminate, 2.0))
			l.goesOn()
		}},
		{"the server takes no connections", func(*testing.T) {
			cluster.Do(t, "postgres", "alter role sitrep connection limit 0", fmt.Sprintf(terminate, 2.0))
			l.refusedAndIll()
			cluster.Do(t, "postgres", "alter role sitrep connection limit -1")
		}},
		{"a stranger holds locks", func(t *testing.T) {
			conn, err := pgx.Connect(t.Context(), cluster.URL("sitrep"))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close(context.WithoutCancel(t.Context()))
			tx, err := conn.Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := tx.Exec(t.Context(), "select from keys for update"); err != nil {
				t.Fatal(err)
			}
			refused := l.refused.Load()
			l.eventually("posts are refused", func() bool { return l.refused.Load() > refused })
			if err := tx.Rollback(t.Context()); err != nil {
				t.Fatal(err)
			}
		}},
		{"the disk is full", func(t *testing.T) {
			if place != "small" {
				t.Skip("a small disk needs root")
			}
			ballast := filepath.Join(disk, "ballast")
			f, err := os.Create(ballast)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			for piece := 1 << 20; piece > 0; {
				if _, err := f.Write(make([]byte, piece)); err != nil {
					piece /= 2
				}
			}
			l.refusedAndIll()
			if err := os.Remove(ballast); err != nil {
				t.Fatal(err)
			}
		}},
		{"no standby confirms", func(*testing.T) {
			set("alter system set synchronous_standby_names = 'nobody'")
			l.eventually("posts are refused, and the store says why", func() bool {
				// One that waits is told to go on without: it says that it is committed then.
				cluster.Do(t, "postgres", "select pg_cancel_backend(pid) from pg_stat_activity where usename = 'sitrep' and wait_event = 'SyncRep'")
				return l.unknown.Load() > 0 && l.ill.Load()
			})
			if err := l.store.Present(l.t.Context()); !errors.Is(err, storage.ErrUnavailable) {
				t.Errorf("what is no news is taken: %v", err)
			}
			set("alter system reset synchronous_standby_names")
		}},
		{"no standby answers", func(*testing.T) {
			set("alter system set synchronous_standby_names = 'nobody'")
			l.eventually("posts are refused, and the store says why", func() bool { return l.unknown.Load() > 0 && l.ill.Load() })
			if err := l.store.Present(l.t.Context()); !errors.Is(err, storage.ErrUnavailable) {
				t.Errorf("what is no news is taken: %v", err)
			}
			set("alter system reset synchronous_standby_names")
		}},
		{"the server stands still", func(*testing.T) {
			cluster.Pause(t)
			l.refusedAndIll()
			var before [posters]int64
			for w := range before {
				before[w] = l.of[w].Load()
			}
			l.eventually("nobody waits any longer", func() bool {
				for w := range before {
					if l.of[w].Load() == before[w] {
						return false
					}
				}
				return true
			})
			cluster.Resume(t)
		}},
		{"the server is killed", func(*testing.T) {
			cluster.Kill(t)
			l.refusedAndIll()
			cluster.Start(t)
		}},
	} {
		t.Run(fault.name, func(t *testing.T) {
			l.t = t
			l.goesOn()
			l.ill.Store(false)
			l.unknown.Store(0)
			began, before, refused := time.Now(), l.count(), l.refused.Load()
			fault.do(t)
			l.goesOn()
			t.Logf("%s: %d alerts taken, %d posts refused", time.Since(began).Round(time.Millisecond), l.count()-before, l.refused.Load()-refused)
		})
	}
	l.t = t
	l.stop()
	l.posting.Wait()
	l.check()
	if info, err := l.store.Info(t.Context()); err != nil || info.SynchronousCommit != "off" {
		t.Errorf("what the server is set to: %+v, %v", info, err)
	}
	if n := count(t, cluster.URL("sitrep"), "select deadlocks from pg_stat_database where datname = current_database()"); n != 0 {
		t.Errorf("%d deadlocks", n)
	}
}

// check looks for all that was taken, and whether the log has all that there is.
func (l *load) check() {
	t := l.t
	t.Helper()
	conn, err := pgx.Connect(t.Context(), l.url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	rows, err := conn.Query(t.Context(), "select fingerprint, count(*) from breaches group by fingerprint")
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]int64{}
	for rows.Next() {
		var fp string
		var n int64
		if err := rows.Scan(&fp, &n); err != nil {
			t.Fatal(err)
		}
		there[fp] = n
	}
	if rows.Err() != nil {
		t.Fatal(rows.Err())
	}
	missing := 0
	for fp := range l.taken {
		if there[fp] == 0 {
			missing++
		}
	}
	for fp, n := range there {
		if n > 1 {
			t.Errorf("%s is there %d times", fp, n)
		}
	}
	if missing > 0 || len(l.taken) == 0 {
		t.Errorf("%d of %d alerts that were taken are gone", missing, len(l.taken))
	}
	l.eventually("the log has all", func() bool { return count(t, l.url, "select count(*) from chunks where first is null") == 0 })
	storagetest.CheckHistory(t, l.store)
}

// Of two hosts the one that takes writes is found, also when the one before is there still and can
// be read.
func TestAFailover(t *testing.T) {
	t.Parallel()
	before, after := postgrestest.Start(t), postgrestest.Start(t)
	for _, c := range []*postgrestest.Cluster{before, after} {
		c.Do(t, "postgres", "create database sitrep")
		if _, err := postgres.Migrate(t.Context(), c.URL("sitrep")); err != nil {
			t.Fatal(err)
		}
	}
	after.Do(t, "postgres", "alter system set default_transaction_read_only = on", "select pg_reload_conf()")
	url := strings.Replace(before.URL("sitrep"), before.Address(), before.Address()+","+after.Address(), 1) + "&target_session_attrs=read-write"
	l := newLoad(t, url)
	l.goesOn()
	before.Do(t, "postgres", "alter system set default_transaction_read_only = on", "select pg_reload_conf()")
	l.refusedAndIll()
	after.Do(t, "postgres", "alter system reset default_transaction_read_only", "select pg_reload_conf()")
	l.goesOn()
	l.stop()
	l.posting.Wait()
	l.eventually("alerts are where they can be written", func() bool { return count(t, after.URL("sitrep"), "select count(*) from breaches") > 0 })
}

// Processes whose clocks differ by 40 s take what comes to the same SLO by turns: no event is from
// before the one that it follows on, and each alert is there once.
func TestProcessesWhoseClocksDiffer(t *testing.T) {
	url := newStore(t)
	type process struct {
		*intake.Intake
		ahead time.Duration
	}
	var all []process
	for _, ahead := range []time.Duration{0, 20 * time.Second, -20 * time.Second} {
		all = append(all, process{taker(t, open(t, url)), ahead})
	}
	slo := all[0].Repo.Policy().SLOs[0].ID
	began := now().Add(-time.Hour)
	var posting sync.WaitGroup
	for w, p := range all {
		posting.Go(func() {
			for i := range 20 {
				for _, resolved := range []bool{false, true} {
					post := intake.Post{Alerts: alerts(slo, fmt.Sprint(i), 2, began.Add(time.Duration(i)*time.Second), resolved), At: now().Add(p.ahead)}
					if _, err := p.Take(t.Context(), post); err != nil {
						t.Errorf("process %d: %v", w, err)
					}
				}
			}
		})
	}
	posting.Wait()
	storagetest.CheckHistory(t, open(t, url))
	if n := count(t, url, "select count(*) - count(distinct fingerprint) from breaches"); n != 0 {
		t.Errorf("%d alerts are there twice", n)
	}
}

// Connections that the server ended while nobody used them fail nobody who comes later. A glance
// notices by what it asks; before others use one it is tried.
func TestConnectionsThatEndedWhileIdle(t *testing.T) {
	t.Parallel()
	cluster := postgrestest.Start(t)
	url := cluster.Database(t)
	if _, err := postgres.Migrate(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	pings := func() int { return bytes.Count(cluster.Log(), []byte("-- ping")) }
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		db := open(t, url+"&options=-c%20log_statement%3Dall")
		in := taker(t, db)
		slo := in.Repo.Policy().SLOs[0].ID
		read := func() error {
			return db.Read(ctx, func(r storage.Snapshot) error {
				_, err := r.Pulses(ctx)
				return err
			})
		}
		for _, use := range []struct {
			name  string
			do    func(round int) error
			pings bool
		}{
			{"a glance", func(int) error { _, err := db.Glance(ctx); return err }, false},
			{"a read", func(int) error { return read() }, true},
			{"a post", func(round int) error {
				_, err := in.Take(ctx, intake.Post{Alerts: alerts(slo, fmt.Sprint(round), 2, now().Add(-time.Hour), false), At: now()})
				return err
			}, true},
		} {
			for round := range 3 {
				must(t, db.Read(ctx, func(r storage.Snapshot) error { // with another one inside: two connections
					if _, err := r.Pulses(ctx); err != nil {
						return err
					}
					return read()
				}))
				time.Sleep(2 * time.Second) // of the bubble
				before := pings()
				must(t, use.do(2*round))
				if pinged := pings() > before; pinged != use.pings {
					t.Errorf("%s: the connection is tried before: %t", use.name, pinged)
				}
				time.Sleep(2 * time.Second)
				const end = "select count(pg_terminate_backend(pid, 60000)) from pg_stat_activity where datname = current_database() and application_name = 'sitrep'"
				if n := count(t, url, end); n < 2 {
					t.Fatalf("%d connections were idle", n)
				}
				if err := use.do(2*round + 1); err != nil {
					t.Errorf("%s: %v", use.name, err)
				}
			}
		}
	})
}

// Leaves of a process that is gone get their places in the log by a glance of another, which looks for
// them at no other time.
func TestAGlanceFindsLeavesWithoutAPlace(t *testing.T) {
	url := newStore(t)
	synctest.Test(t, func(t *testing.T) {
		waiting := func() int64 { return count(t, url, "select count(*) from chunks where first is null") }
		stays, gone := open(t, url), open(t, url)
		time.Sleep(time.Second) // they have looked
		postgres.Still(gone)
		in := taker(t, gone)
		if _, err := in.Take(t.Context(), intake.Post{Alerts: alerts(in.Repo.Policy().SLOs[0].ID, "a", 2, now().Add(-time.Hour), false), At: now()}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if waiting() == 0 {
			t.Error("they are looked for without a glance")
		}
		if _, err := stays.Glance(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if n := waiting(); n != 0 {
			t.Errorf("%d have no place after a glance", n)
		}
	})
}
