package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"sitrep/incident"
	"sitrep/incident/incidenttest"
	"sitrep/intake"
	"sitrep/storage"
	"sitrep/storage/postgres"
	"sitrep/storage/postgres/postgrestest"
)

// catalog finds the SLO of an alert by its label slo.
type catalog struct{ p *incident.Policy }

func (c catalog) Lookup(labels map[string]string) intake.Match {
	for i := range c.p.SLOs {
		if c.p.SLOs[i].ID == labels["slo"] {
			return intake.Match{SLO: &c.p.SLOs[i]}
		}
	}
	return intake.Match{}
}

// taker returns an intake as the service has one.
func taker(t testing.TB, s storage.Store) *intake.Intake {
	t.Helper()
	p := incidenttest.Policy()
	return &intake.Intake{
		Repo: &storage.Repository{Store: s, Policy: func() *incident.Policy { return p }}, Catalog: func() intake.Catalog { return catalog{p} },
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
}

// now is the time of a post.
func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

// alerts are n alerts of an SLO.
func alerts(slo, name string, n int, began time.Time, resolved bool) []incident.Alert {
	var all []incident.Alert
	for i := range n {
		a := incident.Alert{Fingerprint: fmt.Sprint(name, "-", i), StartsAt: began, Labels: map[string]string{"alertname": "Down", "slo": slo, "instance": fmt.Sprint(i)}}
		if resolved {
			a.Resolved, a.EndsAt = true, began.Add(time.Second)
		}
		all = append(all, a)
	}
	return all
}

// A post takes a few round trips, however many alerts it has: to open an incident, to join
// it, and to end what it began.
func TestAPostTakesFewRoundTrips(t *testing.T) {
	most := map[bool]int64{false: 4, true: 6} // by whether it ends what began
	var trips atomic.Int64
	db := openWith(t, newStore(t), postgres.Options{Trace: func([]string) { trips.Add(1) }})
	in := taker(t, db)
	slo := in.Repo.Policy().SLOs[0].ID
	began := now().Add(-time.Hour)
	post := func(name string, n int, resolved bool) int64 {
		t.Helper()
		before := trips.Load()
		if _, err := in.Take(t.Context(), intake.Post{Alerts: alerts(slo, name, n, began, resolved), At: now()}); err != nil {
			t.Fatal(err)
		}
		return trips.Load() - before
	}
	postgres.Still(db) // what it does beside is not counted
	post("first", 1, false)
	for _, name := range []string{"warm", "warm again"} {
		post(name, 2, false)
		post(name, 2, true)
	}
	for _, n := range []int{1, 100, 1000} {
		name := fmt.Sprint("of ", n)
		for _, resolved := range []bool{false, true} {
			if took := post(name, n, resolved); took > most[resolved] {
				t.Errorf("a post of %d alerts, resolved %v, took %d round trips, more than %d", n, resolved, took, most[resolved])
			} else {
				t.Logf("a post of %d alerts, resolved %v: %d round trips", n, resolved, took)
			}
		}
	}
}

// Three processes take in what comes at once, to few SLOs and in any order: all is there once, and
// nobody waited for another who waited for it.
func TestThreeProcessesTakeAlertsAtOnce(t *testing.T) {
	url := newStore(t)
	p := incidenttest.Policy()
	var takers []*intake.Intake
	for range 3 {
		takers = append(takers, taker(t, open(t, url)))
	}
	deadlocks := count(t, url, "select deadlocks from pg_stat_database where datname = current_database()")
	const rounds, writers, each = 6, 12, 20
	began := now().Add(-time.Hour)
	for round := range rounds {
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				// Three hear of the same alerts, in different orders.
				var all []incident.Alert
				for i := range p.SLOs {
					slo := p.SLOs[(i+w)%len(p.SLOs)].ID
					all = append(all, alerts(slo, fmt.Sprint(slo, round, w/3), each, began, false)...)
				}
				if _, err := takers[w%3].Take(t.Context(), intake.Post{Alerts: all, At: now()}); err != nil {
					t.Errorf("take: %v", err)
				}
			})
		}
		wg.Wait()
	}
	if n := count(t, url, "select count(*) from breaches"); n != int64(rounds*writers/3*each*len(p.SLOs)) {
		t.Errorf("%d breaches", n)
	}
	if n := count(t, url, "select count(*) from incidents"); n != int64(len(p.SLOs)) {
		t.Errorf("%d incidents", n)
	}
	if n := count(t, url, "select pg_stat_clear_snapshot() is null, deadlocks from pg_stat_database where datname = current_database()") - deadlocks; n != 0 {
		t.Errorf("%d deadlocks", n)
	}
}

// count returns the last value of the one row of a question.
func count(t testing.TB, url, sql string) (n int64) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	rows, err := conn.Query(t.Context(), sql)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	if rows.Next() {
		values, err := rows.Values()
		if err != nil {
			t.Fatal(err)
		}
		n, _ = values[len(values)-1].(int64)
	}
	return n
}

// A server that goes away and comes back: what was said to be stored is there, what was said to be
// not is not, and the store works again by itself.
func TestAServerThatGoesAway(t *testing.T) {
	cluster := postgrestest.Start(t)
	url := cluster.Database(t)
	if _, err := postgres.Migrate(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	db := open(t, url)
	put := func(fingerprint string) error {
		return db.Write(t.Context(), func(tx storage.Tx) error {
			return tx.PutBreaches(t.Context(), []*incident.Breach{{Fingerprint: fingerprint, State: incident.BreachEnded, StartsAt: now()}})
		})
	}
	const writers = 8
	said := make([]map[string]error, writers)
	for round, stop := range []func(){func() { cluster.Kill(t) }, func() { cluster.Stop(t, true) }, func() { cluster.Stop(t, false) }} {
		var wg sync.WaitGroup
		stopped := make(chan struct{})
		for w := range writers {
			if said[w] == nil {
				said[w] = map[string]error{}
			}
			wg.Go(func() {
				for i := 0; ; i++ {
					fp := fmt.Sprint(round, "-", w, "-", i)
					err := put(fp)
					said[w][fp] = err
					if err != nil && !errors.Is(err, storage.ErrUnavailable) && !errors.Is(err, storage.ErrUnknown) {
						t.Errorf("put: %v", err)
					}
					select {
					case <-stopped:
						return
					default:
					}
				}
			})
		}
		time.Sleep(200 * time.Millisecond) // they write meanwhile
		stop()
		if err := put("away"); !errors.Is(err, storage.ErrUnavailable) {
			t.Errorf("put while the server is away: %v", err)
		}
		if info, err := db.Info(t.Context()); err != nil || info.Trouble == nil {
			t.Errorf("info while the server is away: %+v, %v", info, err)
		}
		close(stopped)
		wg.Wait()
		cluster.Start(t)
		for deadline := time.Now().Add(30 * time.Second); put(fmt.Sprint("back", round)) != nil; time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("the store does not work again")
			}
		}
		if info, err := db.Info(t.Context()); err != nil || info.Trouble != nil {
			t.Errorf("info once the server is back: %+v, %v", info, err)
		}
	}
	stored, failed := 0, 0
	err := db.Read(t.Context(), func(r storage.Snapshot) error {
		for _, all := range said {
			for fp, err := range all {
				b, failure := storage.LatestBreach(t.Context(), r, fp)
				if failure != nil {
					return failure
				}
				switch {
				case err == nil && b == nil:
					t.Errorf("%s was said to be stored and is not there", fp)
				case errors.Is(err, storage.ErrUnavailable) && b != nil:
					t.Errorf("%s was said to be not stored (%v) and is there", fp, err)
				case err == nil:
					stored++
				default:
					failed++
				}
			}
		}
		return nil
	})
	if err != nil || stored == 0 || failed == 0 {
		t.Errorf("%d stored, %d failed, %v", stored, failed, err)
	}
}

// postOf is a post of alerts of an SLO that begin or, once they have, end.
func postOf(slo, name string, n int, resolved bool) intake.Post {
	return intake.Post{Alerts: alerts(slo, name, n, time.Date(2026, 6, 16, 9, 0, 0, 0, time.UTC), resolved), At: now()}
}
