package postgres

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"sitrep/incident"
	"sitrep/storage"
)

// backlogLimit is up to how many due subscriptions and notices Backlog counts.
const backlogLimit = 10_000

func (r *reader) Subscriptions(ctx context.Context, numbers []int64, recipients ...string) (map[int64][]incident.Subscription, error) {
	all := make(map[int64][]incident.Subscription, len(numbers))
	if len(numbers) == 0 {
		return all, nil
	}
	where, args := "incident = any ($1)", []any{numbers}
	if len(recipients) > 0 {
		ids, _ := texts(recipients)
		where, args = where+" and recipient = any ($2)", append(args, ids)
	}
	err := r.each(ctx, func(rows pgx.Rows) error {
		var number int64
		var body []byte
		if err := rows.Scan(&number, &body); err != nil {
			return err
		}
		var sub incident.Subscription
		err := decode("subscription", body, &sub)
		all[number] = append(all[number], sub)
		return err
	}, `select incident, body from subscriptions where `+where+` order by incident, recipient`, args...)
	return all, err
}

// Subscriptions keeps what a write read, so that it moves only those in the queue to whom
// something else is due than before. Of readers that were locked with their incidents it asks
// nothing.
func (t *tx) Subscriptions(ctx context.Context, numbers []int64, recipients ...string) (map[int64][]incident.Subscription, error) {
	all, err := t.heldSubscriptions(numbers, recipients)
	if all == nil && err == nil {
		all, err = t.reader.Subscriptions(ctx, numbers, recipients...)
	}
	for _, number := range numbers {
		if len(recipients) == 0 {
			put(&t.knownReaders, number, true)
		}
		for i := range all[number] {
			t.noteDue(&all[number][i])
		}
	}
	return all, err
}

// heldSubscriptions returns subscriptions of which all are known; nil if not all are.
func (t *tx) heldSubscriptions(numbers []int64, recipients []string) (map[int64][]incident.Subscription, error) {
	if len(recipients) == 0 {
		return nil, nil
	}
	ids, _ := texts(recipients)
	slices.Sort(ids)
	for _, number := range numbers {
		for _, id := range ids {
			if _, known := t.subscriptions[dueKey{number, id}]; !known {
				return nil, nil
			}
		}
	}
	all := make(map[int64][]incident.Subscription, len(numbers))
	for _, number := range numbers {
		if all[number] != nil {
			continue
		}
		for _, id := range ids {
			body := t.subscriptions[dueKey{number, id}]
			if body == nil {
				continue
			}
			var sub incident.Subscription
			if err := decode("subscription", body, &sub); err != nil {
				return nil, err
			}
			all[number] = append(all[number], sub)
		}
	}
	return all, nil
}

// queueSubscriptions asks for the subscriptions of readers of incidents, which are locked.
func (t *tx) queueSubscriptions(readers []storage.Reader) {
	if len(readers) == 0 {
		return
	}
	numbers, ids := make([]int64, len(readers)), make([]string, len(readers))
	for i, r := range readers {
		numbers[i], ids[i] = r.Incident, text(r.Recipient)
	}
	t.ask(func(rows pgx.Rows) error {
		for i, number := range numbers {
			t.subscriptions[dueKey{number, ids[i]}] = nil
		}
		return eachRow(func(rows pgx.Rows) error {
			var number int64
			var id string
			var body []byte
			err := rows.Scan(&number, &id, &body)
			t.subscriptions[dueKey{number, id}] = body
			return err
		})(rows)
	}, `select u.incident, u.recipient, s.body from unnest($1::bigint[], $2::text[]) u (incident, recipient), lateral (
		select body from subscriptions where incident = u.incident and recipient = u.recipient limit 1) s`, numbers, ids)
}

// A dueKey is who is owed something about what.
type dueKey struct {
	incident  int64
	recipient string
}

// A dueItem is when something is due, and how urgent it is.
type dueItem struct {
	at      time.Time
	urgency incident.Urgency
}

func (t *tx) noteDue(s *incident.Subscription) {
	put(&t.knownDue, dueKey{s.Incident, s.Recipient}, dueItem{s.DueAt, s.Urgency})
}

// sameDue reports whether a subscription is surely due as it was, and as urgent.
func (t *tx) sameDue(s *incident.Subscription) bool {
	was, known := t.knownDue[dueKey{s.Incident, s.Recipient}]
	if !known && !t.knownReaders[s.Incident] {
		return false
	}
	return was.at.Equal(s.DueAt) && (was.urgency == s.Urgency || s.DueAt.IsZero())
}

func (r *reader) Backlog(ctx context.Context, now time.Time) (due int, oldest time.Time, err error) {
	var first *time.Time
	_, err = r.one(ctx, []any{&due, &first}, `select least($2,
			(select count(*) from (select from subscriptions where due_at <= $1 limit $2) s) +
			(select count(*) from (select from notices where due_at <= $1 limit $2) n)),
		least((select due_at from subscriptions where due_at <= $1 order by due_at limit 1),
			(select due_at from notices where due_at <= $1 order by due_at limit 1))`, now, backlogLimit)
	return due, timeOf(first), err
}

func (r *reader) DueReaders(ctx context.Context, at time.Time, limit int, cursor string) (page []storage.DueReader, next string, err error) {
	if err := checkLimit(limit); err != nil {
		return nil, "", err
	}
	where, args := "due_at <= $1", []any{at, limit + 1}
	if cursor != "" {
		last, err := parseDueCursor(cursor)
		if err != nil {
			return nil, "", err
		}
		where, args = where+" and (due_at, incident, recipient) > ($3, $4, $5)", append(args, last.Since, last.Incident, last.Recipient)
	}
	err = r.each(ctx, func(rows pgx.Rows) error {
		var d storage.DueReader
		err := rows.Scan(&d.Since, &d.Incident, &d.Recipient)
		d.Since = d.Since.UTC()
		page = append(page, d)
		return err
	}, `select due_at, incident, recipient from subscriptions where `+where+` order by due_at, incident, recipient limit $2`, args...)
	if err == nil && len(page) > limit {
		page = page[:limit]
		next = dueCursor(page[limit-1])
	}
	return page, next, err
}

func dueCursor(d storage.DueReader) string {
	return fmt.Sprintf("%d.%d.%s", d.Since.UnixMicro(), d.Incident, d.Recipient)
}

func parseDueCursor(cursor string) (d storage.DueReader, err error) {
	parts := strings.SplitN(cursor, ".", 3)
	if len(parts) != 3 {
		return d, badCursor(cursor)
	}
	at, err := strconv.ParseInt(parts[0], 10, 64)
	if err == nil {
		d.Incident, err = strconv.ParseInt(parts[1], 10, 64)
	}
	if err != nil {
		return d, badCursor(cursor)
	}
	d.Since, d.Recipient = time.UnixMicro(at).UTC(), text(parts[2])
	return d, nil
}

func (t *tx) PutSubscriptions(ctx context.Context, all, gone []incident.Subscription) error {
	for i := range gone {
		if s := &gone[i]; !s.DueAt.IsZero() {
			return fmt.Errorf("delete a reader of %s: something is due to it", incident.ID(s.Incident))
		}
	}
	if len(gone) > 0 {
		if err := t.flush(ctx); err != nil {
			return err
		}
		numbers, ids := make([]int64, len(gone)), make([]string, len(gone))
		for i := range gone {
			numbers[i], ids[i] = gone[i].Incident, text(gone[i].Recipient)
			delete(t.knownDue, dueKey{gone[i].Incident, gone[i].Recipient})
			t.subscriptions[dueKey{numbers[i], ids[i]}] = nil
		}
		t.exec(`delete from subscriptions s using unnest($1::bigint[], $2::text[]) g(incident, recipient)
			where s.incident = g.incident and s.recipient = g.recipient`, numbers, ids)
	}
	return t.putSubscriptions(all)
}

// putSubscriptions notes subscriptions that are stored with all others of the transaction.
func (t *tx) putSubscriptions(all []incident.Subscription) error {
	for i := range all { // of two of one reader the latter counts
		s := &all[i]
		body, err := encode("subscription", s)
		if err != nil {
			return err
		}
		key := dueKey{s.Incident, text(s.Recipient)}
		t.subscriptions[key] = body
		put(&t.putSubs, key, putSub{moment(s.DueAt), int16(s.Urgency), body})
		t.writes++
		if t.sameDue(s) {
			continue
		}
		t.noteDue(s)
		if m := t.moved(s.Recipient); !s.DueAt.IsZero() {
			m.hurry = min(m.hurry, int(s.Urgency))
		}
	}
	return nil
}

// A putSub is a subscription that is to be stored.
type putSub struct {
	due     *time.Time
	urgency int16
	body    []byte
}

// flushSubscriptions queues the subscriptions that were put.
func (t *tx) flushSubscriptions() {
	n := len(t.putSubs)
	if n == 0 {
		return
	}
	keys := slices.SortedFunc(maps.Keys(t.putSubs), func(a, b dueKey) int {
		return cmp.Or(cmp.Compare(a.incident, b.incident), cmp.Compare(a.recipient, b.recipient))
	})
	numbers, ids, due, urgency, bodies := make([]int64, n), make([]string, n), make([]*time.Time, n), make([]int16, n), make([][]byte, n)
	for i, key := range keys {
		s := t.putSubs[key]
		numbers[i], ids[i], due[i], urgency[i], bodies[i] = key.incident, key.recipient, s.due, s.urgency, s.body
	}
	t.putSubs = nil
	t.exec(`insert into subscriptions as s (incident, recipient, due_at, urgency, body)
		select * from unnest($1::bigint[], $2::text[], $3::timestamptz[], $4::smallint[], $5::bytea[])
		on conflict (incident, recipient) do update set due_at = excluded.due_at, urgency = excluded.urgency, body = excluded.body`,
		numbers, ids, due, urgency, bodies)
}
