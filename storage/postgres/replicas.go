package postgres

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"sitrep/incident"
	"sitrep/storage"
)

const (
	// longOwner is how long the owner of a replica is at most.
	longOwner = 200
	// loginSweep is how many failures that no longer count are forgotten with those that are counted.
	loginSweep = 16
	// pingAfter is how long a connection was idle that is tried before it is used.
	pingAfter = time.Second
)

// Clock implements storage.Store.
func (db *DB) Clock(ctx context.Context) (at time.Time, err error) {
	if err := db.ready(ctx); err != nil {
		return at, err
	}
	err = db.look(ctx, classClock, &at, "select clock_timestamp()")
	return at.UTC(), err
}

// glance is one statement, which needs no transaction.
const glance = `select coalesce(g.number, 0), g.at, coalesce(g.hash, ''), array(select body from pulses where body is not null), least(
		(select next_at from agendas where next_at is not null order by next_at limit 1),
		(select next_at from queue where next_at is not null order by next_at limit 1)),
		(select quiet_since from breaches where quiet_since is not null order by quiet_since limit 1),
		(select ask_at from breaches where ask_at is not null order by ask_at limit 1),
		exists (select from chunks where first is null)
	from (select) one left join lateral (` + selectGeneration + `) g on true`

// unpinged is the key in a context of who finds out what became of a connection by what it asks.
type unpinged struct{}

// shouldPing reports whether a connection is tried before it is used, as it may have been lost
// since, and a read or a write that finds that out fails. A glance is repeated then.
func shouldPing(ctx context.Context, p pgxpool.ShouldPingParams) bool {
	return p.IdleDuration > pingAfter && ctx.Value(unpinged{}) == nil
}

// Glance implements storage.Store. It wakes what gives leaves their places where some have none.
func (db *DB) Glance(ctx context.Context) (g storage.Glance, err error) {
	if err := db.ready(ctx); err != nil {
		return g, err
	}
	g, ended, err := db.glance(context.WithValue(ctx, unpinged{}, true))
	if ended { // the others of the pool may be, too
		db.pool.Reset()
		g, _, err = db.glance(ctx)
	}
	return g, db.explain(ctx, err)
}

// glance is Glance once. It reports whether it failed as the connection was ended by the server, by
// now or long ago.
func (db *DB) glance(ctx context.Context) (g storage.Glance, ended bool, err error) {
	conn, err := db.take(ctx)
	if err != nil {
		return g, false, err
	}
	defer giveBack(conn)
	limited, cancel := context.WithTimeoutCause(ctx, answerPatience, errSilent)
	defer cancel()
	var at, next, silent, toAsk *time.Time
	var pulses [][]byte
	var leaves bool
	if err := conn.QueryRow(limited, glance).Scan(&g.Generation.Number, &at, &g.Generation.Hash, &pulses, &next, &silent, &toAsk, &leaves); err != nil {
		return g, limited.Err() == nil && conn.Conn().IsClosed(), err
	}
	db.well(byAnswer)
	if leaves {
		db.wakeSequencer()
	}
	g.Generation.At, g.NextDue, g.Silent, g.ToAsk = timeOf(at), timeOf(next), timeOf(silent), timeOf(toAsk)
	g.Pulses, err = decodePulses(pulses)
	return g, false, err
}

func (r *reader) Alive(ctx context.Context) (time.Time, error) {
	var at *time.Time
	_, err := r.one(ctx, []any{&at}, "select at from marks where name = $1", markAlive)
	return timeOf(at), err
}

func (t *tx) Alive(ctx context.Context) (time.Time, error) {
	t.exec("insert into marks (name) values ($1) on conflict (name) do update set name = excluded.name where false", markAlive)
	return t.reader.Alive(ctx)
}

func (r *reader) Replicas(ctx context.Context) (all []storage.Replica, err error) {
	err = r.each(ctx, func(rows pgx.Rows) error {
		var body []byte
		if err := rows.Scan(&body); err != nil {
			return err
		}
		var one storage.Replica
		err := decode("replica", body, &one)
		all = append(all, one)
		return err
	}, "select body from replicas")
	slices.SortFunc(all, func(a, b storage.Replica) int {
		return cmp.Or(cmp.Compare(a.Instance, b.Instance), cmp.Compare(a.Owner, b.Owner))
	})
	return all, err
}

func (t *tx) PutAlive(_ context.Context, r storage.Replica) error {
	if r.Owner == "" || len(r.Owner) > longOwner {
		return &incident.Problem{Kind: incident.ErrInvalid, Text: fmt.Sprintf("the owner of a replica has 1 to %d bytes, not %d", longOwner, len(r.Owner))}
	}
	body, err := encode("replica", &r)
	if err != nil {
		return err
	}
	// The mark first: those who say so at the same time wait for each other there.
	t.exec("insert into marks (name, at) values ($1, $2) on conflict (name) do update set at = excluded.at", markAlive, moment(r.SeenAt))
	t.exec("insert into replicas (owner, seen_at, body) values ($1, $2, $3) on conflict (owner) do update set seen_at = excluded.seen_at, body = excluded.body",
		name(r.Owner), r.SeenAt, body)
	t.exec("delete from replicas where seen_at < $1", r.SeenAt.Add(-storage.ReplicasKept))
	return nil
}

func (r *reader) LoginFailures(ctx context.Context, who []string, now time.Time) (map[string]storage.LoginFailures, error) {
	found := map[string]storage.LoginFailures{}
	all, of := names(who)
	if len(all) == 0 {
		return found, nil
	}
	return found, r.each(ctx, func(rows pgx.Rows) error {
		var who string
		var f storage.LoginFailures
		err := rows.Scan(&who, &f.Count, &f.LastAt)
		f.LastAt = f.LastAt.UTC()
		found[of[who]] = f
		return err
	}, "select who, count, last_at from login_failures where who = any($1) and count > 0 and last_at >= $2", all, now.Add(-storage.LoginFailuresKept))
}

// lockLogins locks the failures of those, in order, also of who has none.
func (t *tx) lockLogins(who []string, at time.Time) {
	slices.Sort(who)
	t.exec(`insert into login_failures (who, last_at) select unnest($1::text[]), $2
		on conflict (who) do update set who = excluded.who where false`, who, at)
}

func (t *tx) LoginFailures(ctx context.Context, who []string, now time.Time) (map[string]storage.LoginFailures, error) {
	if all, _ := names(who); len(all) > 0 {
		t.lockLogins(all, now)
	}
	return t.reader.LoginFailures(ctx, who, now)
}

func (t *tx) CountLogins(_ context.Context, failed map[string]int, succeeded []string, at time.Time) error {
	fails := slices.Collect(maps.Keys(failed))
	all, _ := names(append(slices.Clone(fails), succeeded...))
	if len(all) > 0 {
		t.lockLogins(all, at)
	}
	old := at.Add(-storage.LoginFailuresKept)
	if ids, of := names(fails); len(ids) > 0 {
		counts := make([]int32, len(ids))
		for i, id := range ids {
			counts[i] = int32(failed[of[id]])
		}
		t.exec(`update login_failures f set last_at = $3, count = case when f.last_at >= $4 then f.count else 0 end + n.count
			from unnest($1::text[], $2::int[]) n (who, count) where f.who = n.who`, ids, counts, at, old)
	}
	if gone, _ := names(succeeded); len(gone) > 0 {
		t.exec("delete from login_failures where who = any($1)", gone)
	}
	t.exec(`delete from login_failures where who in (select who from login_failures where last_at < $1 order by last_at limit $2 for update skip locked)`, old, loginSweep)
	return nil
}
