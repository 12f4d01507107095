package postgres

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"sitrep/incident"
	"sitrep/ledger"
	"sitrep/storage"
)

var (
	_ storage.Copyable = (*DB)(nil)
	_ storage.Dumper   = (*reader)(nil)
	_ storage.Loader   = (*tx)(nil)
)

// Dump implements storage.Copyable. Leaves of the log that have no place yet get theirs first.
func (db *DB) Dump(ctx context.Context, fn func(storage.Dumper) error) error {
	if err := db.placeAll(ctx); err != nil {
		return err
	}
	return db.Read(ctx, func(r storage.Snapshot) error { return fn(r.(*reader)) })
}

// Load implements storage.Copyable.
func (db *DB) Load(ctx context.Context, fn func(storage.Loader) error) error {
	return db.Write(ctx, func(x storage.Tx) error { return fn(x.(*tx)) })
}

// placeAll waits until all leaves have their places in the log.
func (db *DB) placeAll(ctx context.Context) error {
	for {
		waits := false
		s := db.newRead(ctx)
		_, err := s.one(ctx, []any{&waits}, "select exists (select from chunks where first is null)")
		s.end()
		if err != nil || !waits {
			return err
		}
		if !db.writes {
			return fmt.Errorf("%s: some leaves of the ledger have no place yet: open it as a user who may write: %w", db.path, storage.ErrUnavailable)
		}
		if more, err := db.place(ctx); err != nil {
			return err
		} else if more {
			continue
		}
		select { // another process may be at it
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(sequenceEvery / 10):
		}
	}
}

// whole returns an error if the store is a copy that is not whole yet.
func (db *DB) whole(ctx context.Context) error {
	return db.Read(ctx, func(r storage.Snapshot) error {
		s, err := r.(*reader).Unfinished(ctx)
		if s != nil {
			err = s.Error(s.To)
		}
		return err
	})
}

func (r *reader) Unfinished(ctx context.Context) (*storage.CopyState, error) {
	return r.unfinished(ctx, "")
}

func (t *tx) Unfinished(ctx context.Context) (*storage.CopyState, error) {
	return t.unfinished(ctx, " for update")
}

func (r *reader) unfinished(ctx context.Context, lock string) (*storage.CopyState, error) {
	var body []byte
	if found, err := r.one(ctx, []any{&body}, "select state from unfinished_copy"+lock); err != nil || !found {
		return nil, err
	}
	s := new(storage.CopyState)
	return s, decode("state of a copy", body, s)
}

func (t *tx) PutUnfinished(_ context.Context, s *storage.CopyState) error {
	if s == nil {
		t.exec("delete from unfinished_copy")
		return nil
	}
	body, err := encode("state of a copy", s)
	if err == nil {
		t.exec("insert into unfinished_copy (state) values ($1) on conflict (one) do update set state = excluded.state", body)
	}
	return err
}

// itemTables are the tables that have the items of each kind.
var itemTables = map[storage.ItemKind]string{
	storage.ItemConfigs: "configs", storage.ItemIncidents: "incidents", storage.ItemAgendas: "agendas", storage.ItemRecords: "records",
	storage.ItemBreaches: "breaches", storage.ItemSubscriptions: "subscriptions", storage.ItemPulses: "pulses", storage.ItemNotices: "notices",
	storage.ItemDeliveries: "deliveries", storage.ItemRecipients: "claims", storage.ItemUnmapped: "unmapped", storage.ItemRefusals: "refusals",
	storage.ItemAmbiguities: "ambiguities", storage.ItemOutages: "outages", storage.ItemAnswers: "answers", storage.ItemExpired: "expired",
	storage.ItemCheckpoints: "checkpoints",
}

// CountItems returns what the server believes.
func (r *reader) CountItems(ctx context.Context) (map[storage.ItemKind]int64, error) {
	rowsOf := map[string]int64{}
	err := r.each(ctx, func(rows pgx.Rows) error {
		var table string
		var n int64
		err := rows.Scan(&table, &n)
		rowsOf[table] = n
		return err
	}, `select t, greatest(c.reltuples::bigint, pg_stat_get_live_tuples(c.oid), 0)
		from unnest($1::text[]) t join pg_class c on c.oid = t::regclass`, slices.Collect(maps.Values(itemTables)))
	counts := map[storage.ItemKind]int64{}
	for kind, table := range itemTables {
		counts[kind] = rowsOf[table]
	}
	return counts, err
}

// A dump is a page of items that is being read.
type dump struct {
	page  []storage.Item
	bytes int
	last  string // the cursor of the last item
	full  bool   // there is no room for another
	next  string
}

// add puts an item on the page, if there is room, and otherwise notes where the next begins.
func (d *dump) add(item storage.Item, bytes int, cursor string) {
	if d.full = d.full || len(d.page) >= storage.DumpItems || d.bytes >= storage.DumpBytes; d.full {
		d.next = d.last
		return
	}
	d.page, d.bytes, d.last = append(d.page, item), d.bytes+bytes, cursor
}

// dumpLimit is how many rows are asked for: a page and one that says that there are more.
const dumpLimit = storage.DumpItems + 1

func (r *reader) Dump(ctx context.Context, kind storage.ItemKind, cursor string) ([]storage.Item, string, error) {
	d := new(dump)
	var err error
	switch kind {
	case storage.ItemConfigs, storage.ItemUnmapped, storage.ItemRecipients, storage.ItemSubscriptions:
		err = r.dumpByText(ctx, d, kind, cursor)
	case storage.ItemIncidents, storage.ItemAgendas, storage.ItemRecords, storage.ItemCheckpoints:
		err = r.dumpByNumber(ctx, d, kind, cursor)
	case storage.ItemBreaches:
		err = r.dumpBreaches(ctx, d, cursor)
	case storage.ItemDeliveries:
		err = r.dumpDeliveries(ctx, d, cursor)
	case storage.ItemPulses:
		var all incident.Pulses
		all, err = r.Pulses(ctx)
		for i := range all {
			d.page = append(d.page, &storage.PulseItem{Pulse: all[i]})
		}
	case storage.ItemNotices:
		var all []incident.Notice
		all, err = r.Notices(ctx)
		for i := range all {
			d.page = append(d.page, &storage.NoticeItem{Notice: all[i]})
		}
	case storage.ItemRefusals, storage.ItemAmbiguities, storage.ItemOutages:
		err = r.dumpJournal(ctx, d, kind, cursor)
	case storage.ItemAnswers:
		err = r.dumpAnswers(ctx, d, cursor)
	case storage.ItemExpired:
		err = r.dumpExpired(ctx, d, cursor)
	case storage.ItemMarks:
		err = r.dumpMarks(ctx, d)
	default:
		err = fmt.Errorf("dump %q: %w", kind, storage.ErrNewer)
	}
	return d.page, d.next, err
}

// dumpByNumber reads items in the order of one number, which is the cursor.
func (r *reader) dumpByNumber(ctx context.Context, d *dump, kind storage.ItemKind, cursor string) error {
	after := int64(-1)
	if cursor != "" {
		var err error
		if after, err = parseCursor(cursor); err != nil {
			return err
		}
	}
	if kind == storage.ItemRecords {
		return r.dumpRecords(ctx, d, after)
	}
	sql := map[storage.ItemKind]string{
		storage.ItemIncidents:   "select number, body from incidents where number > $1 order by number limit $2",
		storage.ItemAgendas:     "select number, body from agendas where number > $1 order by number limit $2",
		storage.ItemCheckpoints: "select distinct on (size) size, signed from checkpoints where size > $1 order by size, n desc limit $2",
	}[kind]
	return r.each(ctx, func(rows pgx.Rows) error {
		var number int64
		var body []byte
		if err := rows.Scan(&number, &body); err != nil || d.full {
			return err
		}
		var item storage.Item
		var err error
		switch kind {
		case storage.ItemIncidents:
			x := new(storage.IncidentItem)
			item, err = x, decode(incident.ID(number), body, &x.Incident)
		case storage.ItemAgendas:
			x := new(storage.AgendaItem)
			item, err = x, decode("agenda of "+incident.ID(number), body, &x.Agenda)
		default:
			item = &storage.CheckpointItem{Size: number, Signed: body}
		}
		d.add(item, len(body), strconv.FormatInt(number, 10))
		return err
	}, sql, after, dumpLimit)
}

// dumpRecords reads leaves after an index.
func (r *reader) dumpRecords(ctx context.Context, d *dump, after int64) error {
	expect := after + 1
	return r.each(ctx, func(rows pgx.Rows) error {
		if d.full {
			return nil
		}
		var kind int16
		x := new(storage.RecordItem)
		var err error
		if x.Record, err = scanRecord(rows, &kind, &x.Of, &x.Count); err != nil {
			return err
		}
		if x.Kind = ledger.Kind(kind); !x.Kind.Valid() || x.Record.Index != expect {
			return fmt.Errorf("read leaf %d: it is missing or malformed: %w", expect, storage.ErrDamaged)
		}
		expect++
		d.add(x, len(x.Record.Leaf)+64, strconv.FormatInt(x.Record.Index, 10))
		return nil
	}, `select c.first + r.pos, r.leaf, r.salt, r.personal, r.kind, r.a, r.b from chunks c join records r on r.chunk = c.id
		where c.first >= coalesce((select max(first) from chunks where first <= $1), 0) and c.first < $1 + $2
			and c.first + r.pos >= $1 and c.first + r.pos < $1 + $2 order by c.first, r.pos`, after+1, int64(dumpLimit))
}

// dumpByText reads items in the order of a text, of subscriptions with the number of the incident
// and a dot before it, which is the cursor.
func (r *reader) dumpByText(ctx context.Context, d *dump, kind storage.ItemKind, cursor string) error {
	args := []any{cursor, dumpLimit}
	sql := ""
	switch kind {
	case storage.ItemConfigs:
		sql = "select hash, body from configs where hash > $1 order by hash limit $2"
	case storage.ItemUnmapped:
		sql = "select fingerprint, body from unmapped where fingerprint > $1 order by fingerprint limit $2"
	case storage.ItemRecipients:
		return r.dumpRecipients(ctx, d, cursor)
	default:
		number, recipient, found := strings.Cut(cursor, ".")
		after := int64(-1)
		if found {
			var err error
			if after, err = parseCursor(number); err != nil {
				return err
			}
		}
		sql = "select incident || '.' || recipient, body from subscriptions where (incident, recipient) > ($1, $2) order by incident, recipient limit $3"
		args = []any{after, recipient, dumpLimit}
	}
	return r.each(ctx, func(rows pgx.Rows) error {
		var key string
		var body []byte
		if err := rows.Scan(&key, &body); err != nil || d.full {
			return err
		}
		var item storage.Item
		var err error
		switch kind {
		case storage.ItemConfigs:
			item = &storage.ConfigItem{Config: storage.Config{Hash: key, Body: body}}
		case storage.ItemUnmapped:
			x := new(storage.UnmappedItem)
			item, err = x, decode("unmapped alert", body, &x.Alert)
		default:
			x := new(storage.SubscriptionItem)
			item, err = x, decode("subscription", body, &x.Subscription)
		}
		d.add(item, len(body), key)
		return err
	}, sql, args...)
}

// dumpRecipients reads what is kept of recipients. Each that is in the queue has a row among the
// claims.
func (r *reader) dumpRecipients(ctx context.Context, d *dump, after string) error {
	return r.each(ctx, func(rows pgx.Rows) error {
		x := new(storage.RecipientItem)
		var retryAt, releasedAt, failingSince *time.Time
		var said, openings, settling []byte
		err := rows.Scan(&x.Recipient, &x.Attempt, &x.Failures, &failingSince, &said, &x.Sent, &openings, &settling, &retryAt, &releasedAt, &x.Yields)
		if err != nil || d.full {
			return err
		}
		x.RetryAt, x.ReleasedAt, x.FailingSince, x.LastError = timeOf(retryAt), timeOf(releasedAt), timeOf(failingSince), string(said)
		for i := range x.Sent {
			x.Sent[i] = x.Sent[i].UTC()
		}
		if openings != nil {
			err = decode("openings", openings, &x.Openings)
		}
		if err == nil && settling != nil {
			err = decode("settling", settling, &x.Settling)
		}
		d.add(x, 64+len(said)+len(openings)+8*len(x.Sent), x.Recipient)
		return err
	}, `select c.recipient, c.attempt, c.failures, c.failing_since, c.last_error, c.sent, c.openings, c.settling, q.retry_at, q.released_at, coalesce(q.yields, 0)
		from claims c left join queue q using (recipient) where c.recipient > $1 order by c.recipient limit $2`, after, dumpLimit)
}

// pair reads a cursor of two numbers; of none it returns what comes before all.
func pair(cursor string) (a, b int64, err error) {
	if cursor == "" {
		return -1, -1, nil
	}
	x, y, _ := strings.Cut(cursor, ".")
	if a, err = parseCursor(x); err == nil {
		b, err = parseCursor(y)
	}
	return a, b, err
}

func (r *reader) dumpBreaches(ctx context.Context, d *dump, cursor string) error {
	number, arrival, err := pair(cursor)
	if err != nil {
		return err
	}
	return r.each(ctx, func(rows pgx.Rows) error {
		x := new(storage.BreachItem)
		var body []byte
		if err := rows.Scan(&x.Arrival, &x.Latest, &body); err != nil || d.full {
			return err
		}
		err := decode("breach", body, &x.Breach)
		d.add(x, len(body), fmt.Sprintf("%d.%d", x.Breach.Incident, x.Arrival))
		return err
	}, `select arrival, not old and not exists (select from breaches l where l.fingerprint = b.fingerprint and l.ordinal > b.ordinal and not l.old), body
		from breaches b where (incident, arrival) > ($1, $2) order by incident, arrival limit $3`, number, arrival, dumpLimit)
}

// dumpDeliveries finds out first of how many there is room on the page, as their messages may be
// large.
func (r *reader) dumpDeliveries(ctx context.Context, d *dump, cursor string) error {
	after := int64(0)
	if cursor != "" {
		var err error
		if after, err = parseCursor(cursor); err != nil {
			return err
		}
	}
	var arrivals []int64
	all := map[int64]*storage.DeliveryItem{}
	err := r.each(ctx, func(rows pgx.Rows) error {
		x := new(storage.DeliveryItem)
		var bytes int
		if err := rows.Scan(&x.Arrival, &bytes); err != nil {
			return err
		}
		if d.add(x, bytes, strconv.FormatInt(x.Arrival, 10)); !d.full {
			arrivals, all[x.Arrival] = append(arrivals, x.Arrival), x
		}
		return nil
	}, `select d.arrival, octet_length(d.body)
			+ coalesce((select octet_length(m.body) from messages m where m.arrival = d.arrival), 0)
			+ coalesce((select sum(octet_length(x.body))::int from delivery_incidents x where x.arrival = d.arrival), 0)
		from deliveries d where d.arrival > $1 order by d.arrival limit $2`, after, dumpLimit)
	if err != nil || len(arrivals) == 0 {
		return err
	}
	r.ask(eachRow(func(rows pgx.Rows) error {
		var arrival int64
		var message []byte
		err := rows.Scan(&arrival, &message)
		all[arrival].Message = message
		return err
	}), "select arrival, body from messages where arrival = any ($1)", arrivals)
	deliveries, err := r.deliveriesAt(ctx, arrivals, wholeCovers)
	for i := range deliveries {
		all[arrivals[i]].Delivery = deliveries[i]
	}
	return err
}

// dumpJournal reads the entries of a journal that are kept.
func (r *reader) dumpJournal(ctx context.Context, d *dump, kind storage.ItemKind, cursor string) error {
	sql, args := "", []any{storage.JournalKept}
	switch {
	case kind != storage.ItemOutages:
		sql = fmt.Sprintf("select at, body from (select * from %s order by number desc limit $1) t order by number", itemTables[kind])
	case cursor == "":
		sql, args = "select at, body from outages order by at limit $1", []any{dumpLimit}
	default:
		at, err := strconv.ParseInt(cursor, 10, 64)
		if err != nil {
			return badCursor(cursor)
		}
		sql, args = "select at, body from outages where at > $1 order by at limit $2", []any{time.UnixMicro(at).UTC(), dumpLimit}
	}
	return r.each(ctx, func(rows pgx.Rows) error {
		x := &storage.EntryItem{Journal: kind.JournalOf()}
		if err := rows.Scan(&x.Entry.At, &x.Entry.Body); err != nil || d.full {
			return err
		}
		x.Entry.At = x.Entry.At.UTC()
		d.add(x, len(x.Entry.Body), strconv.FormatInt(x.Entry.At.UnixMicro(), 10))
		return nil
	}, sql, args...)
}

// dumpAnswers reads answers by time; a page has all of one time, as their keys may be hashes here.
func (r *reader) dumpAnswers(ctx context.Context, d *dump, cursor string) error {
	sql, args := "", []any{storage.DumpItems}
	if cursor != "" {
		at, err := strconv.ParseInt(cursor, 10, 64)
		if err != nil {
			return badCursor(cursor)
		}
		sql, args = " and at > $2", append(args, time.UnixMicro(at).UTC())
	}
	last, bytes, more := time.Time{}, 0, false
	err := r.each(ctx, func(rows pgx.Rows) error {
		var body []byte
		if err := rows.Scan(&body); err != nil || more {
			return err
		}
		x := new(storage.AnswerItem)
		if err := decode("answer", body, &x.Answer); err != nil {
			return err
		}
		if more = bytes >= storage.DumpBytes && !x.Answer.At.Equal(last); more {
			return nil
		}
		d.page, last, bytes = append(d.page, x), x.Answer.At, bytes+len(body)
		return nil
	}, "select body from answers where body is not null"+sql+" order by at fetch first $1 rows with ties", args...)
	slices.SortFunc(d.page, func(a, b storage.Item) int {
		x, y := &a.(*storage.AnswerItem).Answer, &b.(*storage.AnswerItem).Answer
		return cmp.Or(x.At.Compare(y.At), cmp.Compare(x.Key, y.Key))
	})
	if more || len(d.page) >= storage.DumpItems {
		d.next = strconv.FormatInt(last.UnixMicro(), 10)
	}
	return err
}

func (r *reader) dumpExpired(ctx context.Context, d *dump, cursor string) error {
	args := []any{int16(-1), time.Time{}, int64(0), dumpLimit}
	if cursor != "" {
		part := strings.SplitN(cursor, ".", 3)
		var numbers [3]int64
		for i := range numbers {
			var err error
			if len(part) == 3 {
				numbers[i], err = strconv.ParseInt(part[i], 10, 64)
			}
			if len(part) != 3 || err != nil {
				return badCursor(cursor)
			}
		}
		args = []any{int16(numbers[0]), time.UnixMicro(numbers[1]).UTC(), numbers[2], dumpLimit}
	}
	return r.each(ctx, func(rows pgx.Rows) error {
		var what int16
		var e storage.Expired
		if err := rows.Scan(&what, &e.Since, &e.Number, &e.Stage.Event, &e.Stage.Delivery, &e.Stage.Again); err != nil || d.full {
			return err
		}
		e.What, e.Since = storage.Expiry(what), e.Since.UTC()
		d.add(&storage.ExpiredItem{Expired: e}, 64, fmt.Sprintf("%d.%d.%d", what, e.Since.UnixMicro(), e.Number))
		return nil
	}, `select what, since, number, event, delivery, again from expired where (what, since, number) > ($1, $2, $3)
		order by what, since, number limit $4`, args...)
}

func (r *reader) dumpMarks(ctx context.Context, d *dump) (err error) {
	m := new(storage.MarksItem)
	if m.Alive, err = r.Alive(ctx); err != nil {
		return err
	}
	if m.Generation, err = r.Generation(ctx); err != nil {
		return err
	}
	_, err = r.one(ctx, []any{&m.Forgotten}, "select coalesce(number, 0) from marks where name = $1", markForgotten)
	if *m != (storage.MarksItem{}) {
		d.page = append(d.page, m)
	}
	return err
}

func (t *tx) Load(ctx context.Context, page []storage.Item) error {
	switch page[0].(type) {
	case *storage.IncidentItem:
		return t.loadIncidents(page)
	case *storage.RecordItem:
		return t.loadRecords(ctx, page)
	case *storage.BreachItem:
		return t.loadBreachItems(page)
	case *storage.SubscriptionItem:
		return t.loadSubscriptions(page)
	case *storage.RecipientItem:
		return t.loadRecipients(page)
	case *storage.DeliveryItem:
		return t.loadDeliveries(page)
	}
	for _, item := range page {
		if err := t.loadItem(ctx, item); err != nil {
			return err
		}
	}
	return nil
}

// loadItem stores an item of a kind of which there are few, or that is put in no other way.
func (t *tx) loadItem(ctx context.Context, item storage.Item) error {
	switch x := item.(type) {
	case *storage.ConfigItem:
		t.exec("insert into configs (hash, body) values ($1, $2)", name(x.Config.Hash), x.Config.Body)
	case *storage.AgendaItem:
		return t.PutAgendas(ctx, []incident.Agenda{x.Agenda})
	case *storage.PulseItem:
		return t.PutPulses(ctx, []incident.Pulse{x.Pulse}, nil)
	case *storage.NoticeItem:
		body, err := encode("notice", &x.Notice)
		if err != nil {
			return err
		}
		t.exec("insert into notices (pulse, recipient, due_at, body) values ($1, $2, $3, $4)",
			name(x.Notice.Pulse), text(x.Notice.Recipient), moment(x.Notice.DueAt), body)
	case *storage.UnmappedItem:
		return t.PutUnmapped(ctx, []*incident.UnmappedAlert{&x.Alert}, nil)
	case *storage.EntryItem:
		return t.PutJournal(ctx, x.Journal, []storage.Entry{x.Entry})
	case *storage.AnswerItem:
		body, err := encode("answer", &x.Answer)
		if err != nil {
			return err
		}
		t.exec("insert into answers (key, at, body) values ($1, $2, $3)", name(x.Answer.Key), x.Answer.At, body)
	case *storage.ExpiredItem:
		return t.NoteExpired(ctx, nil, []storage.Expired{x.Expired})
	case *storage.CheckpointItem:
		return t.PutCheckpoint(ctx, x.Size, x.Signed)
	case *storage.MarksItem:
		if !x.Alive.IsZero() {
			t.exec("insert into marks (name, at) values ($1, $2)", markAlive, moment(x.Alive))
		}
		if x.Forgotten > 0 {
			t.exec("insert into marks (name, number) values ($1, $2)", markForgotten, x.Forgotten)
		}
	default:
		return fmt.Errorf("load a %T: %w", item, storage.ErrNewer)
	}
	return nil
}

func (t *tx) loadIncidents(page []storage.Item) error {
	for _, item := range page {
		in := &item.(*storage.IncidentItem).Incident
		is := lineOf(in)
		if is.state == 0 || in.Number < 1 {
			return fmt.Errorf("load incident %d: state %q", in.Number, in.State)
		}
		body, err := encode("incident "+in.ID(), in)
		if err != nil {
			return err
		}
		t.putNew(in, &heldIncident{is, body})
	}
	return nil
}

// loadRecords stores the next leaves of the log as one chunk that has its place.
func (t *tx) loadRecords(ctx context.Context, page []storage.Item) error {
	var size int64
	if _, err := t.one(ctx, []any{&size}, "select size from ledger for update"); err != nil {
		return err
	}
	tree, err := ledger.LoadTree(size, storage.Hashes(ctx, t))
	if err != nil {
		return err
	}
	n := len(page)
	var stored []byte
	kinds, as, bs, pos := make([]int16, n), make([]int64, n), make([]int64, n), make([]int32, n)
	leaves, salts, personals := make([][]byte, n), make([][]byte, n), make([][]byte, n)
	for i, item := range page {
		x := item.(*storage.RecordItem)
		if x.Record.Index != tree.Size() {
			return fmt.Errorf("load leaf %d: it would be leaf %d: %w", x.Record.Index, tree.Size(), storage.ErrDamaged)
		}
		for _, h := range tree.Append(ledger.Leaf{Kind: x.Kind, Bytes: x.Record.Leaf}) {
			stored = append(stored, h[:]...)
		}
		kinds[i], as[i], bs[i], pos[i] = int16(x.Kind), x.Of, x.Count, int32(i)
		leaves[i], salts[i] = x.Record.Leaf, x.Record.Salt
		if x.Record.Personal != nil {
			personals[i], _ = json.Marshal(x.Record.Personal) // texts never fail
		}
		if err := t.loadFound(x); err != nil {
			return err
		}
	}
	t.exec(`with c as (insert into chunks (n, first, stored) values ($1, $2, $3) returning id)
		insert into records (kind, a, b, chunk, pos, leaf, salt, personal)
		select r.kind, r.a, r.b, c.id, r.pos, r.leaf, r.salt, r.personal
		from c, unnest($4::smallint[], $5::bigint[], $6::bigint[], $7::int[], $8::bytea[], $9::bytea[], $10::bytea[]) r (kind, a, b, pos, leaf, salt, personal)`,
		n, size, stored, kinds, as, bs, pos, leaves, salts, personals)
	t.exec("update ledger set size = $1", tree.Size())
	return nil
}

// loadFound stores what is found of a record elsewhere: the texts of an event, and which
// configuration came into force.
func (t *tx) loadFound(x *storage.RecordItem) error {
	switch x.Kind {
	case ledger.Event:
		e, err := storage.DecodeEvent(x.Record)
		if err != nil {
			return err
		}
		if s := storage.EventText(&e); s != "" {
			t.exec("insert into event_texts (incident, sequence, text) values ($1, $2, $3)", e.Incident, e.Sequence, text(s))
		}
	case ledger.Config:
		l, err := storage.DecodeLoading(x.Record)
		if err != nil {
			return err
		}
		t.exec("insert into loadings (number, at, hash) values ($1, $2, $3)", x.Count, moment(l.At), name(l.Hash))
	}
	return nil
}

// loadBreachItems stores breaches. One that its fingerprint does not lead to is old to begin with.
func (t *tx) loadBreachItems(page []storage.Item) error {
	n := len(page)
	fingerprints, ordinals, numbers, arrivals, old := make([]string, n), make([]int64, n), make([]int64, n), make([]int64, n), make([]bool, n)
	quiet, ask, bodies := make([]*time.Time, n), make([]*time.Time, n), make([][]byte, n)
	for i, item := range page {
		x := item.(*storage.BreachItem)
		b := &x.Breach
		fingerprints[i], ordinals[i], numbers[i], arrivals[i], old[i] = name(b.Fingerprint), b.Ordinal, b.Incident, x.Arrival, !x.Latest
		quiet[i], ask[i], bodies[i] = quietSince(b), moment(b.AskAt), storage.AppendBreach(nil, b)
	}
	t.exec(`insert into breaches (fingerprint, ordinal, incident, arrival, old, quiet_since, ask_at, body)
		select * from unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::boolean[], $6::timestamptz[], $7::timestamptz[], $8::bytea[])`,
		fingerprints, ordinals, numbers, arrivals, old, quiet, ask, bodies)
	t.exec("select setval('breach_arrivals', greatest((select last_value from breach_arrivals), $1))", slices.Max(arrivals))
	return nil
}

func (t *tx) loadSubscriptions(page []storage.Item) error {
	n := len(page)
	numbers, ids, due, urgency, bodies := make([]int64, n), make([]string, n), make([]*time.Time, n), make([]int16, n), make([][]byte, n)
	for i, item := range page {
		s := &item.(*storage.SubscriptionItem).Subscription
		body, err := encode("subscription", s)
		if err != nil {
			return err
		}
		numbers[i], ids[i], due[i], urgency[i], bodies[i] = s.Incident, text(s.Recipient), moment(s.DueAt), int16(s.Urgency), body
	}
	t.exec(`insert into subscriptions (incident, recipient, due_at, urgency, body)
		select * from unnest($1::bigint[], $2::text[], $3::timestamptz[], $4::smallint[], $5::bytea[])`, numbers, ids, due, urgency, bodies)
	return nil
}

// loadRecipients stores what is kept of recipients, and moves them to their places in the queue.
func (t *tx) loadRecipients(page []storage.Item) error {
	for _, item := range page {
		x := item.(*storage.RecipientItem)
		id := text(x.Recipient)
		var said, openings []byte
		if x.LastError != "" {
			said = []byte(x.LastError)
		}
		if len(x.Openings) > 0 {
			var err error
			if openings, err = encode("openings", x.Openings); err != nil {
				return err
			}
		}
		var settling []byte
		var settles *time.Time
		if x.Settling != nil {
			var err error
			if settling, err = encode("settling", x.Settling); err != nil {
				return err
			}
			settles = &x.Settling.Since
		}
		t.exec("insert into queue (recipient, retry_at, released_at, yields) values ($1, $2, $3, $4)",
			id, moment(x.RetryAt), moment(x.ReleasedAt), int16(x.Yields))
		t.exec("insert into claims (recipient, attempt, failures, failing_since, last_error, sent, openings, settling, settles_since) values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
			id, x.Attempt, x.Failures, moment(x.FailingSince), said, x.Sent, openings, settling, settles)
		t.moved(id)
	}
	return nil
}

func (t *tx) loadDeliveries(page []storage.Item) error {
	last := int64(0)
	var rows deliveryRows
	for _, item := range page {
		x := item.(*storage.DeliveryItem)
		if deliveryStates[x.Delivery.State] == 0 {
			return fmt.Errorf("load delivery %q: state %q", x.Delivery.ID, x.Delivery.State)
		}
		if err := rows.put(&storedDelivery{arrival: x.Arrival}, &x.Delivery); err != nil {
			return err
		}
		if x.Message != nil {
			rows.message(x.Arrival, x.Message)
		}
		last = max(last, x.Arrival)
	}
	t.queueDeliveries(&rows)
	t.exec("select setval('delivery_arrivals', greatest((select last_value from delivery_arrivals), $1))", last)
	return nil
}
