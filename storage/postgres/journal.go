package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"sitrep/storage"
)

// answerKept is how long an answer is kept, and answerSweep how many that are older are deleted
// with each new one.
const (
	answerKept  = 24 * time.Hour
	answerSweep = 16
)

// The marks.
const (
	markAlive     = "alive"              // when somebody said last that it has the store
	markForgotten = "forgotten loadings" // the number of the last one
)

func (r *reader) Journal(ctx context.Context, j storage.Journal, limit int) (all [][]byte, err error) {
	from := "outages order by at desc"
	switch j {
	case storage.JournalRefusals:
		from, limit = "refusals order by number desc", min(limit, storage.JournalKept)
	case storage.JournalAmbiguities:
		from, limit = "ambiguities order by number desc", min(limit, storage.JournalKept)
	}
	err = r.each(ctx, func(rows pgx.Rows) error {
		var body []byte
		err := rows.Scan(&body)
		all = append(all, body)
		return err
	}, `select body from `+from+` limit $1`, max(limit, 0))
	return all, err
}

// PutJournal adds entries. Of those that are too many some may stay while another writer deletes
// them too; they are not read.
func (t *tx) PutJournal(_ context.Context, j storage.Journal, entries []storage.Entry) error {
	table := ""
	switch j {
	case storage.JournalRefusals:
		table = "refusals"
	case storage.JournalAmbiguities:
		table = "ambiguities"
	default:
		for _, e := range entries {
			t.exec(`insert into outages (at, body) values ($1, $2) on conflict (at) do update set body = excluded.body`, e.At, e.Body)
		}
		return nil
	}
	entries = entries[max(0, len(entries)-storage.JournalKept):]
	times, bodies := make([]time.Time, len(entries)), make([][]byte, len(entries))
	for i, e := range entries {
		times[i], bodies[i] = e.At, e.Body
	}
	t.exec(`insert into `+table+` (at, body) select e.at, e.body
		from unnest($1::timestamptz[], $2::bytea[]) with ordinality e(at, body, place) order by e.place`, times, bodies)
	t.exec(`delete from `+table+` where number in (select number from `+table+`
		where number <= (select number from `+table+` order by number desc offset $1 limit 1) order by number for update skip locked)`, storage.JournalKept)
	return nil
}

func (r *reader) Answer(ctx context.Context, key string) (a storage.Answer, err error) {
	var body []byte
	found, err := r.one(ctx, []any{&body}, `select body from answers where key = $1 and body is not null`, name(key))
	switch {
	case err != nil:
		return a, err
	case !found:
		return a, storage.NotFound("answer to", key)
	}
	return a, decode("answer", body, &a)
}

func (t *tx) Answer(ctx context.Context, key string) (storage.Answer, error) {
	t.exec(`insert into answers (key) values ($1) on conflict (key) do update set key = excluded.key where false`, name(key))
	return t.reader.Answer(ctx, key)
}

func (t *tx) PutAnswer(_ context.Context, a storage.Answer) error {
	body, err := encode("answer", &a)
	if err != nil {
		return err
	}
	t.exec(`insert into answers (key, at, body) values ($1, $2, $3)
		on conflict (key) do update set at = excluded.at, body = excluded.body`, name(a.Key), a.At, body)
	t.exec(sweepAnswers, a.At.Add(-answerKept), answerSweep)
	return nil
}

// sweepAnswers deletes answers from before a time, but for those that somebody has locked.
const sweepAnswers = `delete from answers where key = any(array(select key from answers where at < $1 order by at limit $2 for update skip locked))`
