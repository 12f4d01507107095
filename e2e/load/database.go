package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"sitrep/storage"
	"sitrep/storage/postgres"
)

// databaseShapes are the posts that a page has figures of on PostgreSQL.
var databaseShapes = []shape{
	{clients: 16, alerts: 100, slos: 1000, figures: func(r *round) []figure {
		return append([]figure{
			atLeast("durable alerts/s, 100 a post, 1,000 SLOs ÷ on a file", r.postgres.rate()/r.sitrep.rate(), 0.5, ""),
			atLeast("durable alerts/s, 100 a post, 1,000 SLOs ÷ Alertmanager's API", r.postgres.rate()/r.alertmanager.rate(), 0.6, ""),
		}, r.together("1,000 SLOs")...)
	}},
	{clients: 16, alerts: 100, slos: 1, figures: func(r *round) []figure {
		return append([]figure{atLeast("durable alerts/s, 100 a post, one SLO ÷ on a file", r.postgres.rate()/r.sitrep.rate(), 0.5, "")}, r.together("one SLO")...)
	}},
	{clients: 64, alerts: 1, slos: 1000, figures: func(*round) []figure { return nil }},
	{clients: 1, alerts: 1, slos: 1000, figures: func(*round) []figure { return nil }},
}

// together is the figure of several replicas on one database, if there are several.
func (r *round) together(of string) []figure {
	if r.fleet.posts == 0 {
		return nil
	}
	return []figure{atLeast(fmt.Sprintf("alerts/s of %d replicas ÷ one, 100 a post, %s", r.replicas, of), r.fleet.rate()/r.postgres.rate(), 0.95, "")}
}

// databaseIntake measures how many alerts a second are taken in on PostgreSQL.
func (p programs) databaseIntake(_ context.Context, o options, s *sheet) (all []figure, err error) {
	if p.alertmanager == "" {
		return nil, errWithoutAlertmanager
	}
	fmt.Fprintf(&s.table, "Each alert is a new breach of %d bytes; there are %d replicas.\n\n", o.bytes, o.replicas)
	s.table.WriteString("| clients | alerts a post | SLOs | Alertmanager, alerts/s | file | PostgreSQL | ÷ file | ÷ Alertmanager | replicas ÷ one | p50 | p99 | processors: file | database |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|\n")
	deadlocks := 0
	for _, one := range databaseShapes {
		o.clients, o.alerts, o.slos = one.clients, one.alerts, one.slos
		fmt.Fprintf(s.out, "\n%d clients, %d alerts a post, %d SLOs\n", o.clients, o.alerts, o.slos)
		var r round
		if err := p.runPrograms(o, &r, s.out); err != nil {
			return nil, err
		}
		if err := p.runOnPostgres(o, &r, s.out); err != nil {
			return nil, err
		}
		replicas := "-"
		if r.fleet.posts > 0 {
			replicas = fmt.Sprintf("%.2f", r.fleet.rate()/r.postgres.rate())
		}
		fmt.Fprintf(&s.table, "| %d | %d | %d | %.0f | %.0f | %.0f | %.2f | %.2f | %s | %s | %s | %s | %s + %s |\n", o.clients, o.alerts, o.slos, r.alertmanager.rate(), r.sitrep.rate(), r.postgres.rate(),
			r.postgres.rate()/r.sitrep.rate(), r.postgres.rate()/r.alertmanager.rate(), replicas, fine(r.postgres.p50), fine(r.postgres.p99),
			r.sitrep.each(r.sitrep.used), r.postgres.each(r.postgres.used), r.postgres.each(r.postgres.served))
		deadlocks += r.deadlocks
		all = append(all, one.figures(&r)...)
	}
	return append(all,
		atMost("deadlocks meanwhile", float64(deadlocks), 0, ""),
		tested("round trips of a post of 1, 100 or 1,000 alerts", 6, "TestAPostTakesFewRoundTrips"),
	), nil
}

// onDatabaseOf lets a function measure on a database of its own, with so many replicas.
func (p programs) onDatabaseOf(replicas int, fn func(p programs) error) error {
	p, err := p.onDatabase(replicas)
	if err != nil {
		return err
	}
	defer p.cluster.End()
	return fn(p)
}

// deadlocks returns how many the server of the programs has found.
func (p programs) deadlocks() (n int, err error) {
	conn, err := pgx.Connect(context.Background(), p.cluster.URL("postgres"))
	if err != nil {
		return 0, err
	}
	defer conn.Close(context.Background())
	return n, conn.QueryRow(context.Background(), "select sum(deadlocks)::int from pg_stat_database").Scan(&n)
}

// databaseOpenings measures how many incidents a second open on PostgreSQL, by posts of one alert.
func (p programs) databaseOpenings(_ context.Context, o options, s *sheet) ([]figure, error) {
	o.clients, o.alerts, o.slos, o.perInstance = 64, 1, 10, true
	var r result
	err := p.onDatabaseOf(1, func(p programs) (err error) {
		r, err = p.whole(o)
		return err
	})
	s.say("%d clients: %.0f openings/s, p50 %s p99 %s; CPU of each %s of sitrep and %s of the database, with its messages", o.clients, r.rate(), fine(r.p50), fine(r.p99), r.each(r.used), r.each(r.served))
	return []figure{atLeast("openings, one a post, 64 clients", r.rate(), 500, "/s")}, err
}

// databaseFanOut measures how fast one incident is told to many readers on PostgreSQL.
func (p programs) databaseFanOut(_ context.Context, o options, s *sheet) ([]figure, error) {
	var f spread
	err := p.onDatabaseOf(1, func(p programs) (err error) {
		f, err = p.spread(o, s)
		return err
	})
	return []figure{atLeast(fmt.Sprintf("mails of an incident to %s readers", thousands(float64(f.readers))), f.rate, 500, "/s")}, err
}

// databaseStorm measures a storm on PostgreSQL, of which there are no goals.
func (p programs) databaseStorm(_ context.Context, o options, s *sheet) ([]figure, error) {
	to, err := newSink()
	if err != nil {
		return nil, err
	}
	defer to.listener.Close()
	n := o.sized(10_000)
	err = p.onDatabaseOf(1, func(p programs) error {
		f, _, err := p.storm(n, to, s)
		f.kill()
		return err
	})
	if err != nil {
		return nil, err
	}
	return nil, p.onDatabaseOf(1, func(p programs) error {
		_, err := p.inStorm(n, to, s)
		return err
	})
}

// databaseLag measures how long leaves wait for their places in the log while as much as possible is
// taken in.
func (p programs) databaseLag(ctx context.Context, o options, s *sheet) ([]figure, error) {
	o.alerts, o.slos, o.duration = 100, 1000, 2*o.duration
	var ages []time.Duration
	err := p.onDatabaseOf(1, func(p programs) error {
		url, err := p.cluster.Create()
		if err != nil {
			return err
		}
		f, err := p.startOn(url, intakeConfig, intakeFiles(o), "warn")
		if err != nil {
			return err
		}
		defer f.kill()
		watched, done := make(chan error, 1), make(chan struct{})
		go func() {
			var err error
			ages, err = watchLag(ctx, url, done)
			watched <- err
		}()
		r, err := f.drive(o)
		close(done)
		s.say("%.0f alerts/s meanwhile", r.rate())
		return errors.Join(err, <-watched)
	})
	s.say("the oldest chunk without a place: p50 %s p99 %s, looked at %d times", fine(quantile(ages, 50)), fine(quantile(ages, 99)), len(ages))
	return []figure{atMost("age of the oldest leaf without its place in the log, under full intake, p99", quantile(ages, 99).Seconds(), 1, "s")}, err
}

// watchLag looks each 50 ms which chunks have no place, until done is closed, and returns how old the
// oldest was each time. A chunk counts from the look before the one that found it.
func watchLag(ctx context.Context, url string, done <-chan struct{}) (ages []time.Duration, err error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return nil, err
	}
	defer conn.Close(ctx)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	since := map[int64]time.Time{}
	for before := time.Now(); ; {
		select {
		case <-done:
			return ages, nil
		case <-tick.C:
		}
		at := time.Now()
		rows, err := conn.Query(ctx, "select id from chunks where first is null")
		if err != nil {
			return nil, err
		}
		waiting, err := pgx.CollectRows(rows, pgx.RowTo[int64])
		if err != nil {
			return nil, err
		}
		found, oldest := make(map[int64]time.Time, len(waiting)), at
		for _, id := range waiting {
			began, known := since[id]
			if !known {
				began = before
			}
			if found[id] = began; began.Before(oldest) {
				oldest = began
			}
		}
		since, before = found, at
		ages = append(ages, at.Sub(oldest))
	}
}

// fillQueue stores subscriptions of readers that are all due.
const fillQueue = `
	insert into subscriptions (incident, recipient, due_at, urgency, body)
		select i / 5 + 1, 'mail:user' || (i * 7919) % {readers} || '@example.org', now() - (i * 104729) % 86400000 * interval '1 ms', i % 7,
		convert_to('{"incident":' || i / 5 + 1 || ',"recipient":"mail:user' || (i * 7919) % {readers} || '@example.org"}', 'UTF8')
		from generate_series(0::bigint, {subscriptions} - 1) i on conflict do nothing;
	insert into queue (recipient, due_at) select recipient, min(due_at) from subscriptions group by 1;
	insert into claims (recipient) select recipient from queue`

// databaseQueue measures what it takes to find and lease those who wait among many, and to look whether
// there is anything to do.
func (p programs) databaseQueue(ctx context.Context, o options, s *sheet) ([]figure, error) {
	n := o.sized(1_000_000)
	var claims, polls []time.Duration
	err := p.onDatabaseOf(1, func(p programs) error {
		url, err := p.cluster.Create()
		if err != nil {
			return err
		}
		if _, err := postgres.Migrate(ctx, url); err != nil {
			return err
		}
		began := time.Now()
		fill := strings.NewReplacer("{readers}", fmt.Sprint(n/5+1), "{subscriptions}", fmt.Sprint(n)).Replace(fillQueue)
		if err := runSQL(ctx, url, append(strings.Split(fill, ";"), "vacuum analyze")...); err != nil {
			return err
		}
		s.say("%s subscriptions of %s readers, all due, made in %s", thousands(float64(n)), thousands(float64(n/5+1)), time.Since(began).Round(time.Second))
		db, err := postgres.Open(ctx, url, postgres.Options{})
		if err != nil {
			return err
		}
		defer db.Close()
		for range 100 {
			began := time.Now()
			if err := claim(ctx, db); err != nil {
				return err
			}
			claims = append(claims, time.Since(began))
			began = time.Now()
			if _, err := db.Glance(ctx); err != nil {
				return err
			}
			polls = append(polls, time.Since(began))
		}
		return nil
	})
	s.say("claim of %d: p50 %s p99 %s; poll: p50 %s p99 %s", claimed, fine(quantile(claims, 50)), fine(quantile(claims, 99)), fine(quantile(polls, 50)), fine(quantile(polls, 99)))
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	return []figure{
		atMost(fmt.Sprintf("claim of %d readers beside %s subscriptions that are due, p50", claimed, thousands(float64(n))), ms(quantile(claims, 50)), 20, "ms"),
		atMost(fmt.Sprintf("poll beside %s subscriptions, p50", thousands(float64(n))), ms(quantile(polls, 50)), 1, "ms"),
	}, err
}

// claimed is how many readers are leased at once.
const claimed = 64

// claim finds those who wait, and leases them.
func claim(ctx context.Context, db *postgres.DB) error {
	return db.Write(ctx, func(tx storage.Tx) error {
		at := time.Now().UTC()
		waiting, err := tx.Waiting(ctx, at, claimed)
		if err != nil {
			return err
		}
		all := make([]string, len(waiting))
		for i := range waiting {
			all[i] = waiting[i].Recipient
		}
		leases, err := tx.TakeLeases(ctx, at, "load", time.Hour, all)
		if err == nil && len(leases) == 0 {
			err = errors.New("nobody was leased")
		}
		return err
	})
}

// databaseIdle counts what idle replicas ask the server for.
func (p programs) databaseIdle(ctx context.Context, o options, s *sheet) ([]figure, error) {
	o.slos = 3 // so that nobody waits for a digest
	each := 0.0
	err := p.onDatabaseOf(o.replicas, func(p programs) error {
		url, err := p.cluster.Create()
		if err != nil {
			return err
		}
		// Each statement that the server is sent is in its log.
		if err := runSQL(ctx, p.cluster.URL("postgres"), "alter system set log_statement = 'all'", "select pg_reload_conf()"); err != nil {
			return err
		}
		f, err := p.startOn(url, intakeConfig, intakeFiles(o), "warn")
		if err != nil {
			return err
		}
		defer f.kill()
		for i := range o.slos {
			if err := fire(f[0], sloID(i), 1); err != nil {
				return err
			}
		}
		if err := untilNothingIsDue(f[0], tellWithin); err != nil {
			return err
		}
		if err := untilTold(f[0]); err != nil {
			return err
		}
		time.Sleep(3 * time.Second) // it comes to rest
		const idleFor = time.Minute // what is done each minute is in it
		before := statements(p.cluster.Log())
		time.Sleep(idleFor)
		sent := statements(p.cluster.Log()) - before
		each = float64(sent) / idleFor.Seconds() / float64(len(f))
		s.say("%d replicas, %s: %d statements", len(f), idleFor, sent)
		return nil
	})
	return []figure{atMost("statements of an idle replica", each, 2, "/s")}, err
}

// statements returns of how many statements the log of a server tells.
func statements(log []byte) int {
	return bytes.Count(log, []byte("LOG:  statement: ")) + bytes.Count(log, []byte("LOG:  execute "))
}
