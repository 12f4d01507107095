package postgres

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"sitrep/incident"
	"sitrep/storage"
)

// latestBreaches is the question for the latest breaches of fingerprints.
const latestBreaches = `select f.fingerprint, b.ordinal, b.incident, b.body from unnest($1::text[]) f (fingerprint), lateral (
	select ordinal, incident, body from breaches where fingerprint = f.fingerprint and not old order by ordinal desc limit 1%s) b`

var (
	readBreaches = fmt.Sprintf(latestBreaches, "")
	lockBreaches = fmt.Sprintf(latestBreaches, " for update")
)

func scanBreach(rows pgx.Rows) (fingerprint string, b *heldBreach, err error) {
	b = new(heldBreach)
	err = rows.Scan(&fingerprint, &b.ordinal, &b.incident, &b.body)
	return fingerprint, b, err
}

func decodeBreach(body []byte) (*incident.Breach, error) {
	b := new(incident.Breach)
	return b, decode("breach", body, b)
}

func (r *reader) LatestBreaches(ctx context.Context, fingerprints []string) (map[string]*incident.Breach, error) {
	all, of := names(fingerprints)
	found := map[string]*incident.Breach{}
	if len(all) == 0 {
		return found, nil
	}
	r.queueUnmapped(selectUnmapped, all, of) // asked for next, by whoever looks what is known of alerts
	return found, r.each(ctx, func(rows pgx.Rows) error {
		fp, held, err := scanBreach(rows)
		if err != nil {
			return err
		}
		found[of[fp]], err = decodeBreach(held.body)
		return err
	}, readBreaches, all)
}

// queueBreaches asks for the latest breaches of fingerprints, by their sorted names, and locks
// them.
func (t *tx) queueBreaches(sorted []string, of map[string]string) {
	t.ask(func(rows pgx.Rows) error {
		for _, fp := range of {
			t.breaches[fp] = nil
		}
		return eachRow(func(rows pgx.Rows) error {
			fp, held, err := scanBreach(rows)
			t.breaches[of[fp]] = held
			return err
		})(rows)
	}, lockBreaches, sorted)
}

// loadBreaches locks and reads the latest breaches of those of the fingerprints that are not held
// yet.
func (t *tx) loadBreaches(ctx context.Context, fingerprints []string) error {
	asked := missing(fingerprints, t.breaches)
	if len(asked) == 0 {
		return nil
	}
	sorted, of := names(asked)
	slices.Sort(sorted)
	t.queueBreaches(sorted, of)
	return t.send(ctx)
}

func (t *tx) LatestBreaches(ctx context.Context, fingerprints []string) (map[string]*incident.Breach, error) {
	if err := t.loadBreaches(ctx, fingerprints); err != nil {
		return nil, err
	}
	found := map[string]*incident.Breach{}
	for _, fp := range fingerprints {
		held := t.breaches[fp]
		if held == nil || found[fp] != nil {
			continue
		}
		b, err := decodeBreach(held.body)
		if err != nil {
			return nil, err
		}
		found[fp] = b
	}
	return found, nil
}

func (r *reader) Breaches(ctx context.Context, number int64, limit int, cursor string) (page []incident.Breach, next string, err error) {
	if err := checkLimit(limit); err != nil {
		return nil, "", err
	}
	after := int64(-1)
	if cursor != "" {
		if after, err = parseCursor(cursor); err != nil {
			return nil, "", err
		}
	}
	var last int64
	err = r.each(ctx, func(rows pgx.Rows) error {
		var arrival int64
		var body []byte
		if err := rows.Scan(&arrival, &body); err != nil {
			return err
		}
		if len(page) == limit {
			next = strconv.FormatInt(last, 10)
			return nil
		}
		b, err := decodeBreach(body)
		page, last = append(page, *b), arrival
		return err
	}, "select arrival, body from breaches where incident = $1 and arrival > $2 order by arrival limit $3", number, after, limit+1)
	return page, next, err
}

func (r *reader) FirstBreaches(ctx context.Context, numbers []int64, limit int) (map[int64]storage.BreachPage, error) {
	if err := checkLimit(limit); err != nil {
		return nil, err
	}
	all := make(map[int64]storage.BreachPage, len(numbers))
	if len(numbers) == 0 {
		return all, nil
	}
	asked := slices.Clone(numbers)
	slices.Sort(asked)
	last := map[int64]int64{}
	return all, r.each(ctx, func(rows pgx.Rows) error {
		var number, arrival int64
		var body []byte
		if err := rows.Scan(&number, &arrival, &body); err != nil {
			return err
		}
		p := all[number]
		if len(p.Breaches) == limit {
			p.Next = strconv.FormatInt(last[number], 10)
			all[number] = p
			return nil
		}
		b, err := decodeBreach(body)
		p.Breaches, last[number] = append(p.Breaches, *b), arrival
		all[number] = p
		return err
	}, `select q.number, b.arrival, b.body from unnest($1::bigint[]) q (number),
			lateral (select arrival, body from breaches where incident = q.number order by arrival limit $2) b
		order by q.number, b.arrival`, slices.Compact(asked), limit+1)
}

func (r *reader) DueBreaches(ctx context.Context, by storage.BreachTime, until time.Time, limit int) (list []incident.Breach, err error) {
	at := "quiet_since"
	if by == storage.BreachesToAsk {
		at = "ask_at"
	}
	err = r.each(ctx, func(rows pgx.Rows) error {
		var body []byte
		if err := rows.Scan(&body); err != nil {
			return err
		}
		b, err := decodeBreach(body)
		list = append(list, *b)
		return err
	}, fmt.Sprintf("select body from breaches where %s <= $1 order by %s, incident, arrival limit $2", at, at), until, limit)
	return list, err
}

// breachRows are breaches as the columns of a statement.
type breachRows struct {
	sql                string
	fingerprints       []string
	ordinals, incident []int64
	quiet, ask         []*time.Time
	bodies             [][]byte
	at                 map[string]int // by fingerprint
}

// quietSince is since when nothing was heard of a breach of an incident, as it is stored; nil of
// one that does not fire and is not unknown.
func quietSince(b *incident.Breach) *time.Time {
	if b.Incident == 0 || b.State != incident.BreachFiring && b.State != incident.BreachUnknown {
		return nil
	}
	if at := moment(b.QuietSince()); at != nil {
		return at
	}
	return new(time.Unix(0, 0)) // since ever
}

func (r *breachRows) put(b *incident.Breach, body []byte) {
	quiet, fp := quietSince(b), name(b.Fingerprint)
	i, again := r.at[fp]
	if !again {
		if r.at == nil {
			r.at = map[string]int{}
		}
		i = len(r.fingerprints)
		r.at[fp] = i
		r.fingerprints, r.ordinals, r.incident = append(r.fingerprints, fp), append(r.ordinals, 0), append(r.incident, 0)
		r.quiet, r.ask, r.bodies = append(r.quiet, nil), append(r.ask, nil), append(r.bodies, nil)
	}
	r.ordinals[i], r.incident[i], r.quiet[i], r.ask[i], r.bodies[i] = b.Ordinal, b.Incident, quiet, moment(b.AskAt), body
}

func (r *breachRows) args() []any {
	return []any{r.fingerprints, r.ordinals, r.incident, r.quiet, r.ask, r.bodies}
}

// breachRoom is what room most breaches need.
const breachRoom = 1536

const (
	// What unnest returns in a list of columns is not kept aside first, as it is in a list of tables.
	breachColumns = "select unnest($1::text[]) as fingerprint, unnest($2::bigint[]) as ordinal, unnest($3::bigint[]) as incident, unnest($4::timestamptz[]) as quiet_since, unnest($5::timestamptz[]) as ask_at, unnest($6::bytea[]) as body"
	insertBreach  = "insert into breaches (fingerprint, ordinal, incident, quiet_since, ask_at, body) " + breachColumns
	// One that moves to another incident comes last there.
	updateBreach = `update breaches b set incident = u.incident, quiet_since = u.quiet_since, ask_at = u.ask_at, body = u.body,
			arrival = case when b.incident = u.incident then b.arrival else nextval('breach_arrivals') end
		from (` + breachColumns + `) u where b.fingerprint = u.fingerprint and b.ordinal = u.ordinal and not b.old`
)

func (t *tx) PutBreaches(ctx context.Context, all []*incident.Breach) error {
	fingerprints := make([]string, len(all))
	for i, b := range all {
		fingerprints[i] = b.Fingerprint
	}
	if err := t.loadBreaches(ctx, fingerprints); err != nil {
		return err
	}
	for _, b := range all {
		held := t.breaches[b.Fingerprint]
		if held != nil && held.ordinal > b.Ordinal {
			return fmt.Errorf("put breach %d of %q: number %d began since", b.Ordinal, b.Fingerprint, held.ordinal)
		}
		body := storage.AppendBreach(make([]byte, 0, breachRoom), b)
		how, moves := updateBreach, false
		if held == nil || held.ordinal < b.Ordinal {
			how = insertBreach
		} else {
			moves = held.incident != b.Incident
		}
		_, again := t.putBreaches.at[name(b.Fingerprint)]
		if how != t.putBreaches.sql || moves || again {
			t.queueBreachRows()
			t.putBreaches.sql = how
		}
		t.putBreaches.put(b, body)
		t.writes++
		if moves {
			t.queueBreachRows()
		}
		t.breaches[b.Fingerprint] = &heldBreach{b.Ordinal, b.Incident, body}
	}
	return nil
}

// queueBreachRows queues the breaches that were put. Those of one kind are put together; which come one
// after the other says the order.
func (t *tx) queueBreachRows() {
	if len(t.putBreaches.fingerprints) > 0 {
		t.exec(t.putBreaches.sql, t.putBreaches.args()...)
	}
	t.putBreaches = breachRows{}
}

// selectUnmapped is the question for the alerts of fingerprints that no SLO claims.
const selectUnmapped = "select fingerprint, body from unmapped where fingerprint = any($1)"

const lockUnmapped = selectUnmapped + " order by fingerprint for update"

// queueUnmapped asks for the alerts of fingerprints that no SLO claims, by their names.
func (r *reader) queueUnmapped(sql string, all []string, of map[string]string) {
	r.ask(func(rows pgx.Rows) error {
		for _, fp := range of {
			r.unmapped[fp] = nil
		}
		return eachRow(func(rows pgx.Rows) error {
			var fp string
			var body []byte
			err := rows.Scan(&fp, &body)
			r.unmapped[of[fp]] = body
			return err
		})(rows)
	}, sql, all)
}

func (r *reader) Unmapped(ctx context.Context, fingerprints []string) (map[string]*incident.UnmappedAlert, error) {
	return r.loadUnmapped(ctx, selectUnmapped, fingerprints)
}

func (t *tx) Unmapped(ctx context.Context, fingerprints []string) (map[string]*incident.UnmappedAlert, error) {
	return t.loadUnmapped(ctx, lockUnmapped, fingerprints)
}

func (r *reader) loadUnmapped(ctx context.Context, sql string, fingerprints []string) (map[string]*incident.UnmappedAlert, error) {
	if asked := missing(fingerprints, r.unmapped); len(asked) > 0 {
		all, of := names(asked)
		slices.Sort(all)
		r.queueUnmapped(sql, all, of)
		if err := r.send(ctx); err != nil {
			return nil, err
		}
	}
	found := map[string]*incident.UnmappedAlert{}
	for _, fp := range fingerprints {
		if body := r.unmapped[fp]; body != nil {
			a := new(incident.UnmappedAlert)
			if err := decode("unmapped alert", body, a); err != nil {
				return nil, err
			}
			found[fp] = a
		}
	}
	return found, nil
}

func (r *reader) UnmappedAlerts(ctx context.Context, limit int, cursor string) (page []incident.UnmappedAlert, next string, err error) {
	if err := checkLimit(limit); err != nil {
		return nil, "", err
	}
	err = r.each(ctx, func(rows pgx.Rows) error {
		var body []byte
		if err := rows.Scan(&body); err != nil {
			return err
		}
		if len(page) == limit {
			next = page[len(page)-1].Fingerprint
			return nil
		}
		var a incident.UnmappedAlert
		err := decode("unmapped alert", body, &a)
		page = append(page, a)
		return err
	}, "select body from unmapped where fingerprint > $1 order by fingerprint limit $2", name(cursor), limit+1)
	return page, next, err
}

func (t *tx) PutUnmapped(_ context.Context, put []*incident.UnmappedAlert, gone []string) error {
	bodies := map[string][]byte{}
	for _, a := range put {
		if a.Fingerprint == "" || len(a.Fingerprint) > longText {
			return &incident.Problem{Kind: incident.ErrInvalid, Text: fmt.Sprintf("a fingerprint has 1 to %d bytes, not %d", longText, len(a.Fingerprint))}
		}
		body, err := encode("unmapped alert", a)
		if err != nil {
			return err
		}
		bodies[name(a.Fingerprint)], t.unmapped[a.Fingerprint] = body, body
	}
	if len(bodies) > 0 {
		fingerprints := slices.Sorted(maps.Keys(bodies))
		var values [][]byte
		for _, fp := range fingerprints {
			values = append(values, bodies[fp])
		}
		t.exec(`insert into unmapped (fingerprint, body) select * from unnest($1::text[], $2::bytea[])
			on conflict (fingerprint) do update set body = excluded.body`, fingerprints, values)
	}
	if len(gone) > 0 {
		all, _ := names(gone)
		t.exec("delete from unmapped where fingerprint = any($1)", all)
		for _, fp := range gone {
			t.unmapped[fp] = nil
		}
	}
	return nil
}
