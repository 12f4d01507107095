package postgres

import (
	"cmp"
	"context"
	"fmt"
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
// something else is due than before.
func (t *tx) Subscriptions(ctx context.Context, numbers []int64, recipients ...string) (map[int64][]incident.Subscription, error) {
	all, err := t.reader.Subscriptions(ctx, numbers, recipients...)
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

func (t *tx) PutSubscriptions(_ context.Context, all, gone []incident.Subscription) error {
	for i := range gone {
		if s := &gone[i]; !s.DueAt.IsZero() {
			return fmt.Errorf("delete a reader of %s: something is due to it", incident.ID(s.Incident))
		}
	}
	if len(gone) > 0 {
		numbers, ids := make([]int64, len(gone)), make([]string, len(gone))
		for i := range gone {
			numbers[i], ids[i] = gone[i].Incident, text(gone[i].Recipient)
			delete(t.knownDue, dueKey{gone[i].Incident, gone[i].Recipient})
		}
		t.exec(`delete from subscriptions s using unnest($1::bigint[], $2::text[]) g(incident, recipient)
			where s.incident = g.incident and s.recipient = g.recipient`, numbers, ids)
	}
	return t.putSubscriptions(all)
}

func (t *tx) putSubscriptions(all []incident.Subscription) error {
	if len(all) == 0 {
		return nil
	}
	subs := make([]*incident.Subscription, len(all))
	for i := range all {
		subs[len(all)-1-i] = &all[i] // of two of one reader the latter
	}
	slices.SortStableFunc(subs, func(a, b *incident.Subscription) int {
		return cmp.Or(cmp.Compare(a.Incident, b.Incident), cmp.Compare(a.Recipient, b.Recipient))
	})
	subs = slices.CompactFunc(subs, func(a, b *incident.Subscription) bool {
		return a.Incident == b.Incident && a.Recipient == b.Recipient
	})
	n := len(subs)
	numbers, ids, due, urgency, bodies := make([]int64, n), make([]string, n), make([]*time.Time, n), make([]int16, n), make([][]byte, n)
	for i, s := range subs {
		body, err := encode("subscription", s)
		if err != nil {
			return err
		}
		numbers[i], ids[i], due[i], urgency[i], bodies[i] = s.Incident, text(s.Recipient), moment(s.DueAt), int16(s.Urgency), body
		if t.sameDue(s) {
			continue
		}
		t.noteDue(s)
		if m := t.moved(s.Recipient); !s.DueAt.IsZero() {
			m.hurry = min(m.hurry, int(s.Urgency))
		}
	}
	t.exec(`insert into subscriptions as s (incident, recipient, due_at, urgency, body)
		select * from unnest($1::bigint[], $2::text[], $3::timestamptz[], $4::smallint[], $5::bytea[])
		on conflict (incident, recipient) do update set due_at = excluded.due_at, urgency = excluded.urgency, body = excluded.body`,
		numbers, ids, due, urgency, bodies)
	return nil
}
