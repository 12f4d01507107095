package postgres

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"sitrep/incident"
	"sitrep/ledger"
	"sitrep/storage"
)

// expire notes that something is over, so that in time it goes.
func (t *tx) expire(at time.Time, number int64, what ...storage.Expiry) {
	whats := make([]int16, len(what))
	for i, w := range what {
		whats[i] = int16(w)
	}
	t.exec(`insert into expired (what, since, number) select w, $2, $3 from unnest($1::smallint[]) w
		on conflict do nothing`, whats, at, number)
}

func (r *reader) Expired(ctx context.Context, what storage.Expiry, before time.Time, limit int) ([]storage.Expired, error) {
	return r.expired(ctx, what, before, limit, "")
}

func (t *tx) Expired(ctx context.Context, what storage.Expiry, before time.Time, limit int) ([]storage.Expired, error) {
	return t.expired(ctx, what, before, limit, " for update skip locked")
}

func (r *reader) expired(ctx context.Context, what storage.Expiry, before time.Time, limit int, lock string) (all []storage.Expired, err error) {
	var arrivals []int64
	err = r.each(ctx, func(rows pgx.Rows) error {
		e := storage.Expired{What: what}
		err := rows.Scan(&e.Since, &e.Number, &e.Stage.Event, &e.Stage.Delivery, &e.Stage.Again)
		e.Since = e.Since.UTC()
		all, arrivals = append(all, e), append(arrivals, e.Number)
		return err
	}, `select since, number, event, delivery, again from expired where what = $1 and since < $2 order by since, number limit $3`+lock,
		int16(what), before, max(limit, 0))
	if err != nil || what != storage.ExpiryWatchdogMessage && what != storage.ExpiryWatchdogPeople {
		return all, err
	}
	deliveries, err := r.deliveriesAt(ctx, arrivals, wholeCovers)
	for i := range deliveries {
		all[i].Delivery = deliveries[i]
	}
	return all, err
}

func (t *tx) NoteExpired(_ context.Context, done, left []storage.Expired) error {
	if n := len(done); n > 0 {
		whats, since, numbers := make([]int16, n), make([]time.Time, n), make([]int64, n)
		for i := range done {
			whats[i], since[i], numbers[i] = int16(done[i].What), done[i].Since, done[i].Number
		}
		t.exec(`delete from expired e using unnest($1::smallint[], $2::timestamptz[], $3::bigint[]) d(what, since, number)
			where e.what = d.what and e.since = d.since and e.number = d.number`, whats, since, numbers)
	}
	for i := range left {
		e := &left[i]
		t.exec(`insert into expired (what, since, number, event, delivery, again) values ($1, $2, $3, $4, $5, $6)
			on conflict (what, since, number) do update set event = excluded.event, delivery = excluded.delivery, again = excluded.again`,
			int16(e.What), e.Since, e.Number, e.Stage.Event, e.Stage.Delivery, e.Stage.Again)
	}
	return nil
}

func (t *tx) DeleteBreaches(ctx context.Context, numbers []int64, heardBefore time.Time, limit int) (int, error) {
	if len(numbers) == 0 || limit <= 0 {
		return 0, nil
	}
	var of, arrivals []int64
	heard := map[int64]bool{} // incidents in which one was reached that was heard of since
	err := t.each(ctx, func(rows pgx.Rows) error {
		var number, arrival int64
		var body []byte
		if err := rows.Scan(&number, &arrival, &body); err != nil || heard[number] || len(of) == limit {
			return err
		}
		if body != nil {
			var b incident.Breach
			if err := decode("breach", body, &b); err != nil {
				return err
			}
			if heard[number] = !slices.MaxFunc([]time.Time{b.StartsAt, b.HeardAt, b.EndHeardAt}, time.Time.Compare).Before(heardBefore); heard[number] {
				return nil
			}
		}
		of, arrivals = append(of, number), append(arrivals, arrival)
		return nil
	}, `select n.number, b.arrival, case when $3 then b.body end
		from unnest($1::bigint[]) with ordinality n(number, place)
		cross join lateral (select * from breaches where incident = n.number order by arrival limit $2 for update skip locked) b
		order by n.place, b.arrival`, numbers, limit, !heardBefore.IsZero())
	if err != nil || len(of) == 0 {
		return 0, err
	}
	clear(t.breaches)
	// Where the latest goes, none before it comes in its place.
	t.exec(`update breaches b set old = true from unnest($1::bigint[], $2::bigint[]) d (incident, arrival), breaches g
		where g.incident = d.incident and g.arrival = d.arrival and not g.old
		and b.fingerprint = g.fingerprint and b.ordinal < g.ordinal and not b.old
		and not exists (select from breaches l where l.fingerprint = g.fingerprint and l.ordinal > g.ordinal and not l.old)`, of, arrivals)
	t.exec(`delete from breaches b using unnest($1::bigint[], $2::bigint[]) d (incident, arrival) where b.incident = d.incident and b.arrival = d.arrival`, of, arrivals)
	return len(of), nil
}

func (t *tx) DeleteMessages(ctx context.Context, deliveries []string) (n int, err error) {
	if len(deliveries) == 0 {
		return 0, nil
	}
	ids, _ := names(deliveries)
	_, err = t.one(ctx, []any{&n}, `with gone as (
			delete from messages m using deliveries d where d.arrival = m.arrival and d.id = any ($1) returning 1
		) select count(*) from gone`, ids)
	return n, err
}

// forgetRecords drops what stands beside the leaves of some records.
const forgetRecords = `update records r set salt = null, personal = null from f
	where r.kind = f.kind and r.a = f.a and r.b = f.b and r.salt is not null`

func (t *tx) ForgetEvents(ctx context.Context, number, after int64, limit int) (last int64, err error) {
	t.putRecords()
	_, err = t.one(ctx, []any{&last}, `with f as (
			select kind, a, b from records where kind = $1 and a = $2 and b > $3 order by b limit $4
		), forgotten as (`+forgetRecords+`)
		select coalesce(max(b), $3) from f`, int16(ledger.Event), number, after, max(limit, 0))
	if err != nil {
		return last, err
	}
	return last, t.forgetTexts(ctx, number, after, last)
}

// forgetTexts keeps of what events are searched by what was not forgotten.
func (t *tx) forgetTexts(ctx context.Context, number, after, last int64) error {
	var sequences []int64
	var kept []string
	err := t.each(ctx, func(rows pgx.Rows) error {
		var r storage.Record
		if err := rows.Scan(&r.Leaf); err != nil {
			return err
		}
		e, err := storage.DecodeEvent(r)
		sequences, kept = append(sequences, e.Sequence), append(kept, text(storage.EventText(&e)))
		return err
	}, `select r.leaf from event_texts e join records r on r.kind = $1 and r.a = e.incident and r.b = e.sequence
		where e.incident = $2 and e.sequence > $3 and e.sequence <= $4`, int16(ledger.Event), number, after, last)
	if err != nil || len(sequences) == 0 {
		return err
	}
	t.exec(`update event_texts e set text = k.text from unnest($2::bigint[], $3::text[]) k (sequence, text)
		where e.incident = $1 and e.sequence = k.sequence and e.text <> k.text`, number, sequences, kept)
	t.exec(`delete from event_texts where incident = $1 and sequence = any ($2) and text = ''`, number, sequences)
	return nil
}

func (t *tx) ForgetDeliveries(ctx context.Context, all []incident.Delivery) error {
	if len(all) == 0 {
		return nil
	}
	t.putRecords()
	ids := make([]string, len(all))
	for i := range all {
		ids[i] = name(all[i].ID)
	}
	t.exec(`with f as (select r.kind, r.a, r.b from deliveries d join records r on r.a = d.arrival where d.id = any ($1) and r.kind = $2) `+forgetRecords,
		ids, int16(ledger.Delivery))
	type latest struct {
		arrival int64
		storage.Record
	}
	records := make(map[string]latest, len(all))
	err := t.each(ctx, func(rows pgx.Rows) error {
		var id string
		var l latest
		err := rows.Scan(&id, &l.arrival, &l.Leaf)
		records[id] = l
		return err
	}, `select d.id, d.arrival, r.leaf from deliveries d
		cross join lateral (select leaf from records where kind = $2 and a = d.arrival order by b desc limit 1) r
		where d.id = any ($1)`, ids, int16(ledger.Delivery))
	if err != nil {
		return err
	}
	var rows deliveryRows
	for i, d := range all {
		l, found := records[ids[i]]
		if !found {
			return fmt.Errorf("forget delivery %q: it has no record: %w", d.ID, storage.ErrDamaged)
		}
		if err := storage.ForgetDelivery(&d, l.Record); err != nil {
			return err
		}
		if err := rows.put(&storedDelivery{arrival: l.arrival}, &d); err != nil {
			return err
		}
	}
	t.queueDeliveries(&rows)
	t.exec(`delete from messages m using deliveries d where d.arrival = m.arrival and d.id = any ($1)`, ids)
	return nil
}

func (t *tx) DeleteRecipients(ctx context.Context, recipients []string, before time.Time) (map[string]bool, error) {
	claimed := map[string]bool{}
	ids, of := texts(recipients)
	if len(ids) == 0 {
		return claimed, nil
	}
	if err := t.settleQueue(ctx); err != nil {
		return nil, err
	}
	var gone []string
	err := t.each(ctx, func(rows pgx.Rows) error {
		var id string
		var locked, due, held bool
		if err := rows.Scan(&id, &locked, &due, &held); err != nil {
			return err
		}
		switch {
		case due:
		case locked, held:
			claimed[of[id]] = true
		default:
			gone = append(gone, id)
		}
		return nil
	}, `with c as materialized (
			select recipient, owner is not null and until >= $2 as held from claims where recipient = any ($1) order by recipient for update skip locked
		), q as materialized (
			select recipient, due_at is not null as due from queue where recipient = any ($1) order by recipient for update skip locked
		)
		select k.recipient, c.recipient is null or q.recipient is null, coalesce(q.due, false), coalesce(c.held, false)
		from claims k left join c using (recipient) left join q using (recipient)
		where k.recipient = any ($1)`, ids, before)
	if err != nil || len(gone) == 0 {
		return claimed, err
	}
	t.exec(`delete from queue where recipient = any ($1)`, gone)
	t.exec(`delete from claims where recipient = any ($1)`, gone)
	for _, id := range gone {
		delete(t.claims, id)
	}
	return claimed, nil
}

// rememberedLoadings are the records of loadings that were not forgotten.
const rememberedLoadings = ` from records where kind = 2 and a = 0 and b > coalesce((select number from marks where name = '` + markForgotten + `'), 0) order by b`

func (r *reader) rememberedLoadings(ctx context.Context, lock string) (all []storage.Loading, err error) {
	err = r.each(ctx, func(rows pgx.Rows) error {
		record, err := scanRecord(rows)
		if err != nil {
			return err
		}
		l, err := storage.DecodeLoading(record)
		all = append(all, l)
		return err
	}, `select null::bigint, leaf, salt, personal`+rememberedLoadings+lock)
	return all, err
}

func (r *reader) RememberedLoadings(ctx context.Context) ([]storage.Loading, error) {
	return r.rememberedLoadings(ctx, "")
}

func (t *tx) RememberedLoadings(ctx context.Context) ([]storage.Loading, error) {
	t.putRecords()
	return t.rememberedLoadings(ctx, " for update")
}

func (t *tx) ForgetLoadings(_ context.Context, n int, forms []string) error {
	t.putRecords()
	if n > 0 {
		t.exec(`with f as (select kind, a, b`+rememberedLoadings+` limit $1), forgotten as (`+forgetRecords+`)
			insert into marks (name, number) select $2, max(b) from f having count(*) > 0
			on conflict (name) do update set number = excluded.number`, n, markForgotten)
	}
	if len(forms) > 0 {
		hashes, _ := names(forms)
		t.exec(`delete from configs where hash = any ($1)`, hashes)
	}
	return nil
}

func (t *tx) DeleteJournal(ctx context.Context, before time.Time, limit int) (int, error) {
	var refusals, answers int
	if limit <= 0 {
		return 0, nil
	}
	if _, err := t.one(ctx, []any{&refusals}, `with gone as (delete from refusals where number in (
			select number from refusals where at < $1 order by number limit $2 for update skip locked) returning 1
		) select count(*) from gone`, before, limit); err != nil || refusals == limit {
		return refusals, err
	}
	_, err := t.one(ctx, []any{&answers}, `with gone as (`+sweepAnswers+` returning 1) select count(*) from gone`, before, limit-refusals)
	return refusals + answers, err
}
