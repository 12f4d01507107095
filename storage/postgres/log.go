package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/jackc/pgx/v5"

	"sitrep/ledger"
	"sitrep/storage"
)

const (
	// sequenceEvery is how often leaves get their places while there are any, and sequenceAgain
	// when that is tried again which failed.
	sequenceEvery = 200 * time.Millisecond
	sequenceAgain = 2 * time.Second
	// sequenceChunks is how many chunks get their places in one transaction.
	sequenceChunks = 2000
	// foldCounts is from how many rows on the counts of incidents are folded.
	foldCounts = 500
)

// A record is one that is to be written: see the table of records.
type record struct {
	kind ledger.Kind
	a, b int64
	storage.Record
}

// putRecord makes a record part of what is written at the end, and its leaf of the log.
func (t *tx) putRecord(kind ledger.Kind, a, b int64, r storage.Record) {
	t.writes++
	t.records, t.leaves = append(t.records, record{kind, a, b, r}), true
}

// putRecords queues the records that were put, as one chunk of the log.
func (t *tx) putRecords() {
	if len(t.records) == 0 {
		return
	}
	n := len(t.records)
	hashes := make([]byte, 0, n*len(ledger.Hash{}))
	kinds, as, bs, pos := make([]int16, n), make([]int64, n), make([]int64, n), make([]int32, n)
	leaves, salts, personals := make([][]byte, n), make([][]byte, n), make([][]byte, n)
	for i := range t.records {
		r := &t.records[i]
		h := ledger.Leaf{Kind: r.kind, Bytes: r.Leaf}.Hash()
		hashes = append(hashes, h[:]...)
		kinds[i], as[i], bs[i], pos[i] = int16(r.kind), r.a, r.b, int32(i)
		leaves[i], salts[i] = r.Leaf, r.Salt
		if r.Personal != nil {
			personals[i], _ = json.Marshal(r.Personal) // texts never fail
		}
	}
	t.records = nil
	t.exec(`with c as (insert into chunks (n, hashes) values ($1, $2) returning id)
		insert into records (kind, a, b, chunk, pos, leaf, salt, personal)
		select unnest($3::smallint[]), unnest($4::bigint[]), unnest($5::bigint[]), c.id, unnest($6::int[]), unnest($7::bytea[]), unnest($8::bytea[]), unnest($9::bytea[]) from c`,
		n, hashes, kinds, as, bs, pos, leaves, salts, personals)
}

// scanRecord reads a record whose columns are index, leaf, salt, personal, then others.
func scanRecord(rows pgx.Rows, others ...any) (r storage.Record, err error) {
	var index *int64
	var personal []byte
	if err := rows.Scan(append([]any{&index, &r.Leaf, &r.Salt, &personal}, others...)...); err != nil {
		return r, err
	}
	if r.Index = -1; index != nil {
		r.Index = *index
	}
	if personal != nil {
		err = decode("record", personal, &r.Personal)
	}
	return r, err
}

// recordIndex is the index in the log of a record r: no join, so that each is looked up.
const recordIndex = "(select first from chunks where id = r.chunk) + r.pos"

func (r *reader) Records(ctx context.Context, q storage.RecordQuery) (records []storage.Record, err error) {
	limit := int64(math.MaxInt64)
	if q.Limit > 0 {
		limit = int64(q.Limit)
	}
	a, after := int64(0), int64(math.MinInt64)
	switch q.Kind {
	case ledger.Event:
		a, after = q.Incident, max(q.After, 0)
	case ledger.Delivery:
		if a, err = r.arrival(ctx, q.Delivery); err != nil {
			return nil, err
		}
		if a == 0 {
			return nil, storage.NotFound("delivery", q.Delivery)
		}
	}
	err = r.each(ctx, func(rows pgx.Rows) error {
		record, err := scanRecord(rows)
		records = append(records, record)
		return err
	}, `select `+recordIndex+`, r.leaf, r.salt, r.personal from records r
		where r.kind = $1 and r.a = $2 and r.b > $3 order by r.b limit $4`, int16(q.Kind), a, after, limit)
	return records, err
}

// Records sees what the transaction put.
func (t *tx) Records(ctx context.Context, q storage.RecordQuery) ([]storage.Record, error) {
	t.putRecords()
	return t.reader.Records(ctx, q)
}

func (r *reader) RecordsSince(ctx context.Context, after map[int64]int64, limit int) (map[int64][]storage.Record, error) {
	if err := checkLimit(limit); err != nil {
		return nil, err
	}
	all := make(map[int64][]storage.Record, len(after))
	if len(after) == 0 {
		return all, nil
	}
	numbers, sequences := make([]int64, 0, len(after)), make([]int64, 0, len(after))
	for number, sequence := range after {
		numbers, sequences = append(numbers, number), append(sequences, max(sequence, 0))
	}
	return all, r.each(ctx, func(rows pgx.Rows) error {
		var number int64
		record, err := scanRecord(rows, &number)
		all[number] = append(all[number], record)
		return err
	}, `select `+recordIndex+`, r.leaf, r.salt, r.personal, q.number from unnest($2::bigint[], $3::bigint[]) q (number, after),
			lateral (select * from records where kind = $1 and a = q.number and b > q.after order by b limit $4) r
		order by q.number, r.b`, int16(ledger.Event), numbers, sequences, limit)
}

// RecordsSince sees what the transaction put.
func (t *tx) RecordsSince(ctx context.Context, after map[int64]int64, limit int) (map[int64][]storage.Record, error) {
	t.putRecords()
	return t.reader.RecordsSince(ctx, after, limit)
}

func (r *reader) LogHead(ctx context.Context) (head storage.LogHead, err error) {
	_, err = r.one(ctx, []any{&head.Size, &head.Waiting, &head.Signed}, `select size, (select coalesce(sum(n), 0) from chunks where first is null),
		(select signed from checkpoints order by size desc, n desc limit 1) from ledger`)
	return head, err
}

func (r *reader) Leaves(ctx context.Context, from int64, limit int) (leaves []storage.Leaf, err error) {
	if limit <= 0 {
		return nil, nil
	}
	from = max(from, 0)
	err = r.each(ctx, func(rows pgx.Rows) error {
		var kind int16
		record, err := scanRecord(rows, &kind)
		if err != nil {
			return err
		}
		if !ledger.Kind(kind).Valid() || record.Index != from+int64(len(leaves)) {
			return fmt.Errorf("read leaf %d: it or one before it is missing or malformed: %w", record.Index, storage.ErrDamaged)
		}
		leaves = append(leaves, storage.Leaf{Kind: ledger.Kind(kind), Record: record})
		return nil
	}, `select c.first + r.pos, r.leaf, r.salt, r.personal, r.kind from chunks c join records r on r.chunk = c.id
		where c.first >= coalesce((select max(first) from chunks where first <= $1), 0) and c.first < $1 + $2
			and c.first + r.pos >= $1 and c.first + r.pos < $1 + $2 order by c.first, r.pos`, from, int64(limit))
	return leaves, err
}

func (r *reader) ReadHashes(ctx context.Context, numbers []int64) ([]ledger.Hash, error) {
	hashes := make([]ledger.Hash, len(numbers))
	leaves := make([]int64, len(numbers))
	for i, number := range numbers {
		leaves[i], _ = ledger.StoredAt(number)
	}
	if len(numbers) == 0 {
		return hashes, nil
	}
	var size int64
	if _, err := r.one(ctx, []any{&size}, "select size from ledger"); err != nil {
		return nil, err
	}
	found := 0
	err := r.each(ctx, func(rows pgx.Rows) error {
		var at int
		var h []byte
		if err := rows.Scan(&at, &h); err != nil {
			return err
		}
		if len(h) != len(hashes[at-1]) || leaves[at-1] >= size {
			return fmt.Errorf("read hash %d of the log: it is not there: %w", numbers[at-1], storage.ErrDamaged)
		}
		copy(hashes[at-1][:], h)
		found++
		return nil
	}, `select q.at, substring(c.stored from ((q.number - c.base) * 32 + 1)::int for 32)
		from unnest($1::bigint[], $2::bigint[]) with ordinality q (number, leaf, at),
			lateral (select stored, 2 * first - bit_count(first::bit(64)) as base
				from chunks where first <= q.leaf order by first desc limit 1) c`, numbers, leaves)
	if err == nil && found < len(numbers) {
		err = fmt.Errorf("read hashes of the log: %d of %d are not there: %w", len(numbers)-found, len(numbers), storage.ErrDamaged)
	}
	return hashes, err
}

func (r *reader) Checkpoints(ctx context.Context, after int64, limit int) (list [][]byte, err error) {
	if limit <= 0 {
		return nil, nil
	}
	err = r.each(ctx, func(rows pgx.Rows) error {
		var signed []byte
		err := rows.Scan(&signed)
		list = append(list, signed)
		return err
	}, "select distinct on (size) signed from checkpoints where size > $1 order by size, n desc limit $2", after, limit)
	return list, err
}

func (t *tx) PutCheckpoint(_ context.Context, size int64, signed []byte) error {
	t.exec("insert into checkpoints (size, n, signed) select $1, count(*), $2 from checkpoints where size = $1", size, signed)
	return nil
}

func (db *DB) wakeSequencer() {
	select {
	case db.wake <- struct{}{}:
	default:
	}
}

// sequence gives leaves their places in the log until the store is closed, and folds the counts
// of incidents. It is woken by a write that put some, and by a glance that finds some, as of a process
// that is gone. Of all processes that do so, one works at a time.
func (db *DB) sequence(ctx context.Context) {
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-pause.C:
		case <-db.wake:
		}
		more, err := db.place(ctx)
		var met *again
		if err != nil && ctx.Err() == nil && !errors.Is(err, storage.ErrUnavailable) && !errors.Is(err, storage.ErrUnknown) && !errors.As(err, &met) {
			db.log.Error("the log cannot be continued", "error", err)
		}
		switch {
		case err != nil:
			pause.Reset(sequenceAgain)
		case more:
			pause.Reset(sequenceEvery)
		}
		select { // what it is woken for meanwhile is done with the next
		case <-ctx.Done():
			return
		case <-time.After(sequenceEvery):
		}
	}
}

// place gives the leaves that have none their places, up to a limit, and reports whether there
// are or may be more.
func (db *DB) place(ctx context.Context) (more bool, err error) {
	// Mostly there are none, and a look needs no transaction.
	if err := db.look(ctx, classSequence, &more, "select exists (select from chunks where first is null)"); err != nil || !more {
		return false, err
	}
	s := db.newWrite(ctx, classSequence)
	defer s.end()
	var size int64
	if free, err := s.one(ctx, []any{&size}, "select size from ledger for update skip locked"); err != nil || !free {
		return true, err
	}
	var ids, firsts []int64
	var stored, hashes [][]byte
	// In a statement of its own: what another placed until it gave the row back is seen.
	if err := s.each(ctx, func(rows pgx.Rows) error {
		var id int64
		var h []byte
		err := rows.Scan(&id, &h)
		ids, hashes = append(ids, id), append(hashes, h)
		return err
	}, "select id, hashes from chunks where first is null order by id limit $1", sequenceChunks); err != nil {
		return false, err
	}
	if len(ids) == 0 {
		return false, nil
	}
	tree, err := ledger.LoadTree(size, storage.Hashes(ctx, newReader(s)))
	if err != nil {
		return false, err
	}
	for _, h := range hashes {
		firsts = append(firsts, tree.Size())
		out := make([]byte, 0, 2*len(h))
		for ; len(h) > 0; h = h[len(ledger.Hash{}):] {
			for _, one := range tree.AppendHash(ledger.Hash(h)) {
				out = append(out, one[:]...)
			}
		}
		stored = append(stored, out)
	}
	s.exec(`update chunks c set first = p.first, stored = p.stored, hashes = null
		from unnest($1::bigint[], $2::bigint[], $3::bytea[]) p (id, first, stored) where c.id = p.id`, ids, firsts, stored)
	s.exec("update ledger set size = $1", tree.Size())
	s.exec(`with gone as (delete from incident_counts where (select count(*) from incident_counts) > $1 returning *)
		insert into incident_counts (state, priority, team, drill, n)
		select state, priority, team, drill, sum(n) from gone group by state, priority, team, drill having sum(n) <> 0`, foldCounts)
	return len(ids) == sequenceChunks, s.commit()
}
