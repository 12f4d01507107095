package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"sitrep/incident"
	"sitrep/storage"
)

const (
	// leaseItems is how many due subscriptions, and how many due notices, a lease has at most.
	leaseItems = 1000
	// sentKept and sentFor say how many times of messages to a recipient are kept, and for how
	// long after the latest.
	sentKept = 256
	sentFor  = 2 * time.Minute
)

// heldIncidents are the incidents that pending deliveries to q.recipient hold back; $1 is now.
const heldIncidents = `array(select x.incident from deliveries d join delivery_incidents x using (arrival)
	where d.recipient = q.recipient and d.state = 1 and d.retry_at > $1 and x.incident is not null)`

// heldPulses are the pulses that they hold back.
const heldPulses = `array(select d.pulse from deliveries d
	where d.recipient = q.recipient and d.state = 1 and d.retry_at > $1 and d.pulse is not null)`

// A move is what changes of a recipient's place in the queue, beside what is due to it.
type move struct {
	lease             leaseChange
	until             time.Time
	retryAt, released time.Time
	yields            incident.Urgency
	hurry             int     // the most urgent that became due since, notHurried if nothing did
	had               []int64 // the incidents that who releases the lease had
}

const notHurried = 1 + int(incident.LeastUrgent)

// A leaseChange is what happened to a lease.
type leaseChange int16

const (
	leaseKept leaseChange = iota
	leaseExtended
	leaseReleased
)

// places are how recipients move in the queue, and what is known of why they need not.
type places struct {
	moves        map[string]*move
	knownReaders map[int64]bool // incidents of which all subscriptions were read
	knownDue     map[dueKey]dueItem
}

// moved returns what changes of the place of a recipient. That is stored with all others, in
// order, before the queue is asked or the transaction commits.
func (t *tx) moved(recipient string) *move {
	recipient = text(recipient)
	if t.moves[recipient] == nil {
		if t.moves == nil {
			t.moves = map[string]*move{}
		}
		t.moves[recipient] = &move{hurry: notHurried}
	}
	t.writes++
	return t.moves[recipient]
}

// moveAll moves recipients to their places in the queue. Their rows are locked first, and what
// is due to them is looked at after that: whoever of two comes later sees what both did. It is a
// function of the database, as planning it costs more than doing it.
func (t *tx) moveAll() {
	if len(t.moves) == 0 {
		return
	}
	ids := slices.Sorted(maps.Keys(t.moves))
	n := len(ids)
	leases, until, retry, released := make([]int16, n), make([]*time.Time, n), make([]*time.Time, n), make([]*time.Time, n)
	yields, hurry, had := make([]int16, n), make([]int16, n), []int64{}
	for i, id := range ids {
		m := t.moves[id]
		leases[i], until[i], retry[i], released[i] = int16(m.lease), moment(m.until), moment(m.retryAt), moment(m.released)
		yields[i], hurry[i] = int16(m.yields), int16(m.hurry)
		had = append(had, m.had...)
	}
	t.moves = nil
	t.exec(`select move_in_queue($1, $2, $3, $4, $5, $6, $7, $8)`, ids, leases, until, retry, released, yields, hurry, had)
}

func (r *reader) NextDue(ctx context.Context, after time.Time) (time.Time, error) {
	var next *time.Time
	_, err := r.one(ctx, []any{&next}, `select least(
		(select next_at from agendas where next_at > $1 order by next_at limit 1),
		(select next_at from queue where next_at > $1 order by next_at limit 1))`, after)
	return timeOf(next), err
}

func (t *tx) NextDue(ctx context.Context, after time.Time) (time.Time, error) {
	if err := t.settleQueue(ctx); err != nil {
		return time.Time{}, err
	}
	return t.reader.NextDue(ctx, after)
}

func (r *reader) Waiting(ctx context.Context, now time.Time, limit int) (all []storage.Waiting, err error) {
	var ids []string
	err = r.each(ctx, func(rows pgx.Rows) error {
		var w storage.Waiting
		err := rows.Scan(&w.Recipient, &w.Since)
		w.Since = w.Since.UTC()
		all, ids = append(all, w), append(ids, w.Recipient)
		return err
	}, `select recipient, next_at from queue where next_at <= $1 order by next_at, recipient limit $2`, now, limit)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	at := 0
	err = r.each(ctx, func(rows pgx.Rows) error {
		err := rows.Scan(&all[at].Urgency, &all[at].Incident)
		at++
		return err
	}, waitingFor, now, ids)
	return all, err
}

// waitingFor says of recipients how urgent the most urgent is that is due to them and not held
// back, and the incident if that one is all.
const waitingFor = `select u.urgency, u.incident
	from unnest($2::text[]) with ordinality as q(recipient, place)
	cross join lateral (
		select coalesce(min(due.urgency), 255) as urgency,
			case when count(*) = 1 and not exists (select from deliveries d where d.recipient = q.recipient and d.state = 1)
				and not exists (select from claims c where c.recipient = q.recipient and c.settling is not null) then max(due.incident) else 0 end as incident
		from (
			select s.urgency, s.incident from subscriptions s
			where s.recipient = q.recipient and s.due_at <= $1 and s.incident <> all (` + heldIncidents + `)
			union all
			select 0, 0 from notices n
			where n.recipient = q.recipient and n.due_at <= $1 and n.pulse <> all (` + heldPulses + `)
		) due
	) u order by q.place`

func (t *tx) Waiting(ctx context.Context, now time.Time, limit int) ([]storage.Waiting, error) {
	if err := t.settleQueue(ctx); err != nil {
		return nil, err
	}
	return t.reader.Waiting(ctx, now, limit)
}

func (r *reader) Backoffs(ctx context.Context, recipients []string, now time.Time) (map[string]storage.Backoff, error) {
	ids, of := texts(recipients)
	all := map[string]storage.Backoff{}
	r.ask(eachRow(func(rows pgx.Rows) error {
		var id string
		var until time.Time
		err := rows.Scan(&id, &until)
		all[of[id]] = storage.Backoff{Until: until.UTC()}
		return err
	}), `select q.recipient, q.retry_at from queue q join claims c using (recipient)
		where q.recipient = any ($1) and q.retry_at > $2 and c.failures > 0`, ids, now)
	err := r.each(ctx, func(rows pgx.Rows) error {
		var id string
		var number int64
		var until time.Time
		if err := rows.Scan(&id, &number, &until); err != nil {
			return err
		}
		held := all[of[id]]
		put(&held.Incidents, number, until.UTC())
		all[of[id]] = held
		return nil
	}, `select d.recipient, x.incident, max(d.retry_at) from deliveries d join delivery_incidents x using (arrival)
		where d.recipient = any ($1) and d.state = 1 and d.retry_at > $2 and x.incident is not null
		group by d.recipient, x.incident`, ids, now)
	return all, err
}

func (t *tx) Backoffs(ctx context.Context, recipients []string, now time.Time) (map[string]storage.Backoff, error) {
	if err := t.settleQueue(ctx); err != nil {
		return nil, err
	}
	return t.reader.Backoffs(ctx, recipients, now)
}

func (r *reader) RecipientStates(ctx context.Context, recipients []string) (map[string]storage.RecipientState, error) {
	ids, of := texts(recipients)
	all := make(map[string]storage.RecipientState, len(ids))
	if len(ids) == 0 {
		return all, nil
	}
	err := r.each(ctx, func(rows pgx.Rows) error {
		var id string
		var since, sent *time.Time
		var said []byte
		err := rows.Scan(&id, &since, &said, &sent)
		all[of[id]] = storage.RecipientState{SentAt: timeOf(sent), FailingSince: timeOf(since), LastError: string(said)}
		return err
	}, `select recipient, failing_since, last_error, sent[cardinality(sent)] from claims where recipient = any ($1)`, ids)
	return all, err
}

func (t *tx) RecipientStates(ctx context.Context, recipients []string) (map[string]storage.RecipientState, error) {
	if err := t.settleQueue(ctx); err != nil {
		return nil, err
	}
	return t.reader.RecipientStates(ctx, recipients)
}

// texts returns recipients as they are stored, each once, and who they are.
func texts(recipients []string) (ids []string, of map[string]string) {
	of = make(map[string]string, len(recipients))
	for _, s := range recipients {
		id := text(s)
		if _, twice := of[id]; !twice {
			ids = append(ids, id)
			of[id] = s
		}
	}
	return ids, of
}

// put makes the map with its first entry.
func put[K comparable, V any](m *map[K]V, key K, value V) {
	if *m == nil {
		*m = map[K]V{}
	}
	(*m)[key] = value
}

func (t *tx) TakeLeases(ctx context.Context, now time.Time, owner string, term time.Duration, recipients []string) ([]storage.Lease, error) {
	if len(recipients) == 0 {
		return nil, nil
	}
	taken, err := t.together.takeLeases(take{now, owner, term, recipients})
	if err != nil {
		return nil, err
	}
	if taken == nil {
		if taken, err = t.takeLeases(ctx, &take{now, owner, term, recipients}); err != nil {
			return nil, err
		}
	}
	var all []storage.Lease
	seen := make(map[string]bool, len(recipients))
	for _, recipient := range recipients {
		id := text(recipient)
		if l := taken[id]; l != nil && !seen[id] {
			seen[id] = true
			l.Recipient = recipient
			all = append(all, *l)
		}
	}
	return all, nil
}

// A take is what leases are asked for.
type take struct {
	now        time.Time
	owner      string
	term       time.Duration
	recipients []string
}

// takeLeases takes leases, and returns them by recipient.
func (t *tx) takeLeases(ctx context.Context, n *take) (map[string]*storage.Lease, error) {
	if err := t.settleQueue(ctx); err != nil {
		return nil, err
	}
	ids, _ := texts(n.recipients)
	t.class = classClaim
	leases := make(map[string]*storage.Lease, len(ids))
	t.ask(eachRow(func(rows pgx.Rows) error {
		var id string
		var until time.Time // by the clock of the database
		var settling []byte
		held := &heldClaim{there: true, owner: n.owner}
		if err := rows.Scan(&id, &held.attempt, &until, &held.failures, &held.failingSince, &held.lastError, &held.sent, &held.openings, &settling); err != nil {
			return err
		}
		held.until, held.clock = until, until.Add(-n.term)
		t.claims[id] = held
		l := &storage.Lease{
			Recipient: id, Owner: n.owner, Attempt: held.attempt, Until: n.now.Add(n.term), Failures: held.failures, FailingSince: timeOf(held.failingSince), LastError: string(held.lastError),
		}
		for _, at := range held.sent {
			l.Sent = append(l.Sent, at.UTC())
		}
		leases[id] = l
		m := t.moved(id)
		m.lease, m.until = leaseExtended, until
		if settling != nil {
			if err := decode("settling", settling, &l.Settling); err != nil {
				return err
			}
		}
		if held.openings == nil {
			return nil
		}
		return decode("openings", held.openings, &l.Openings)
	}), `select * from take_leases($1, $2, $3, $4)`, ids, n.now, n.term, text(n.owner))
	return leases, t.askDue(ctx, leases, n.now, ids)
}

// What due_to returns.
const (
	dueSubscription = iota + 1
	dueNotice
	_ // a pending delivery, by its arrival
)

// askDue adds to leases what is due. It is asked with what takes them, so of all that were to
// be taken.
func (t *tx) askDue(ctx context.Context, leases map[string]*storage.Lease, now time.Time, ids []string) error {
	var pending []int64
	var to []*storage.Lease
	err := t.each(ctx, func(rows pgx.Rows) error {
		var what int16
		var id string
		var arrival *int64
		var body []byte
		if err := rows.Scan(&what, &id, &arrival, &body); err != nil || leases[id] == nil {
			return err
		}
		l := leases[id]
		switch what {
		case dueSubscription:
			var s incident.Subscription
			err := decode("subscription", body, &s)
			l.Subscriptions = append(l.Subscriptions, s)
			t.subscriptions[dueKey{s.Incident, id}] = body
			return err
		case dueNotice:
			var n incident.Notice
			err := decode("notice", body, &n)
			l.Notices = append(l.Notices, n)
			return err
		}
		pending, to = append(pending, *arrival), append(to, l)
		return nil
	}, `select * from due_to($1, $2, $3)`, ids, now, leaseItems)
	if err != nil {
		return err
	}
	deliveries, err := t.deliveriesAt(ctx, pending, wholeCovers)
	for i := range deliveries {
		to[i].Pending = append(to[i].Pending, deliveries[i])
	}
	return err
}

func (t *tx) lost(c *storage.Lease) error {
	return fmt.Errorf("claim %d of %q for %q: %w", c.Attempt, c.Recipient, c.Owner, storage.ErrLost)
}

// holder returns the claim of a lease, locked, if that holds; else the error is storage.ErrLost.
func (t *tx) holder(ctx context.Context, c *storage.Lease) (*heldClaim, error) {
	id := text(c.Recipient)
	if t.queueClaims([]string{id}) {
		if err := t.send(ctx); err != nil {
			return nil, err
		}
	}
	held := t.claims[id]
	if !held.there || held.attempt != c.Attempt || held.owner != text(c.Owner) || !held.until.After(held.clock) {
		return nil, t.lost(c)
	}
	return held, nil
}

func (t *tx) ExtendLease(ctx context.Context, c *storage.Lease, now time.Time, term time.Duration) error {
	held, err := t.holder(ctx, c)
	if err != nil {
		return err
	}
	c.Until = now.Add(term)
	held.until, held.changed = held.clock.Add(term), true
	m := t.moved(c.Recipient)
	m.lease, m.until = leaseExtended, held.until
	return nil
}

func (t *tx) ReleaseLease(ctx context.Context, c *storage.Lease, now, retryAt time.Time, why string, yields incident.Urgency) error {
	held, err := t.holder(ctx, c)
	if err != nil {
		return err
	}
	held.owner, held.until, held.changed = "", time.Time{}, true
	if why != "" {
		held.failures, held.lastError = held.failures+1, []byte(why)
		if held.failingSince == nil {
			held.failingSince = moment(now)
		}
	}
	had := make([]int64, len(c.Subscriptions))
	for i := range c.Subscriptions {
		had[i] = c.Subscriptions[i].Incident
	}
	*t.moved(c.Recipient) = move{lease: leaseReleased, retryAt: retryAt, released: now, yields: yields, hurry: notHurried, had: had}
	return nil
}

func (t *tx) Settle(ctx context.Context, c *storage.Lease, _ time.Time, s *storage.Settling) error {
	var left []byte
	var since *time.Time
	if s != nil {
		var err error
		if left, err = json.Marshal(s); err != nil {
			return err
		}
		since = &s.Since
	}
	if _, err := t.holder(ctx, c); err != nil {
		return err
	}
	t.exec(`update claims set settling = $2, settles_since = $3 where recipient = $1`, text(c.Recipient), left, since)
	t.moved(c.Recipient) // something may be due, or nothing any more
	return nil
}

func (t *tx) EndWaits(ctx context.Context, now time.Time) (n int, err error) {
	if err := t.settleQueue(ctx); err != nil {
		return 0, err
	}
	// Deliveries first, and then the queue in one go: also those who are to be moved because of them.
	var arrivals []int64
	err = t.each(ctx, func(rows pgx.Rows) error {
		var arrival int64
		err := rows.Scan(&arrival)
		arrivals = append(arrivals, arrival)
		return err
	}, `select arrival from deliveries where state = 1 and retry_at > $1 and refused_at > $1 order by arrival for update`, now)
	if err != nil {
		return 0, err
	}
	waiting, err := t.deliveriesAt(ctx, arrivals, wholeCovers)
	if err != nil {
		return 0, err
	}
	to := make([]string, len(waiting))
	for i := range waiting {
		to[i] = text(waiting[i].Recipient)
		waiting[i].RetryAt = time.Time{}
		if err := t.PutDelivery(ctx, &waiting[i], nil); err != nil {
			return 0, err
		}
	}
	_, err = t.one(ctx, []any{&n}, `with locked as materialized (
			select recipient, released_at > $1 and retry_at > $1 as waits from queue
			where released_at > $1 and retry_at > $1 or recipient = any ($2) order by recipient for update
		), ended as (
			update queue q set retry_at = null from locked where q.recipient = locked.recipient and locked.waits returning 1
		) select count(*) from ended`, now, to)
	return n + len(waiting), err
}

// A heldClaim is a row of the leases that the transaction has locked, as it is now.
type heldClaim struct {
	there        bool
	changed      bool // and is to be stored
	attempt      int64
	owner        string    // empty if nobody has the lease
	until, clock time.Time // when the lease ends, and when it was looked at, by the clock of the database
	failures     int
	failingSince *time.Time
	lastError    []byte
	sent         []time.Time // when the latest messages were handed over
	openings     []byte      // those of them that were openings
}

// queueClaims asks for leases that are not locked yet, by recipients as they are stored, and locks
// them. It reports whether there are any.
func (t *tx) queueClaims(recipients []string) bool {
	asked := missing(recipients, t.claims)
	if len(asked) == 0 {
		return false
	}
	slices.Sort(asked)
	t.ask(func(rows pgx.Rows) error {
		for _, id := range asked {
			t.claims[id] = new(heldClaim)
		}
		return eachRow(func(rows pgx.Rows) error {
			var id string
			var owner *string
			var until *time.Time
			held := &heldClaim{there: true}
			err := rows.Scan(&id, &held.attempt, &owner, &until, &held.clock, &held.failures, &held.failingSince, &held.lastError, &held.sent, &held.openings)
			if held.until = timeOf(until); owner != nil {
				held.owner = *owner
			}
			t.claims[id] = held
			return err
		})(rows)
	}, `select recipient, attempt, owner, until, clock_timestamp(), failures, failing_since, last_error, sent, openings from claims
		where recipient = any ($1) order by recipient for update`, asked)
	return true
}

// handOver notes that a message was handed over.
func (h *heldClaim) handOver(d *incident.Delivery) error {
	h.sent = append(h.sent, d.SentAt)
	slices.SortFunc(h.sent, time.Time.Compare)
	old := h.sent[len(h.sent)-1].Add(-sentFor)
	first := max(0, len(h.sent)-sentKept)
	for h.sent[first].Before(old) {
		first++
	}
	h.sent = h.sent[first:]
	var openings []storage.Opening
	if h.openings != nil {
		if err := decode("openings", h.openings, &openings); err != nil {
			return err
		}
	}
	openings = slices.DeleteFunc(openings, func(o storage.Opening) bool { return o.At.Before(old) })
	if d.Kind == incident.KindOpened && len(d.Covers) == 1 {
		openings = append(openings, storage.Opening{At: d.SentAt, Priority: d.Covers[0].Priority})
		openings = openings[max(0, len(openings)-sentKept):]
	}
	h.failures, h.failingSince, h.lastError, h.openings, h.changed = 0, nil, nil, nil, true
	if len(openings) == 0 {
		return nil
	}
	var err error
	h.openings, err = json.Marshal(openings)
	return err
}

// putClaims queues the leases that changed.
func (t *tx) putClaims() {
	var ids, owners, sent []string
	var until, since []*time.Time
	var failures []int32
	var said, openings [][]byte
	for _, id := range slices.Sorted(maps.Keys(t.claims)) {
		h := t.claims[id]
		if !h.changed {
			continue
		}
		h.changed, h.there = false, true
		ids, owners, until = append(ids, id), append(owners, h.owner), append(until, moment(h.until))
		failures, since, said = append(failures, int32(h.failures)), append(since, h.failingSince), append(said, h.lastError)
		sent, openings = append(sent, timesArray(h.sent)), append(openings, h.openings)
	}
	if len(ids) == 0 {
		return
	}
	t.exec(`insert into claims as c (recipient, owner, until, failures, failing_since, last_error, sent, openings)
		select u.recipient, nullif(u.owner, ''), u.until, u.failures, u.failing_since, u.last_error, nullif(u.sent, '{}')::timestamptz[], u.openings
		from unnest($1::text[], $2::text[], $3::timestamptz[], $4::int[], $5::timestamptz[], $6::bytea[], $7::text[], $8::bytea[])
			u (recipient, owner, until, failures, failing_since, last_error, sent, openings)
		on conflict (recipient) do update set owner = excluded.owner, until = excluded.until, failures = excluded.failures, failing_since = excluded.failing_since,
			last_error = excluded.last_error, sent = excluded.sent, openings = excluded.openings`, ids, owners, until, failures, since, said, sent, openings)
}

// timesArray returns times as PostgreSQL reads an array of them.
func timesArray(all []time.Time) string {
	b := []byte{'{'}
	for i, at := range all {
		if i > 0 {
			b = append(b, ',')
		}
		b = at.UTC().AppendFormat(append(b, '"'), time.RFC3339Nano)
		b = append(b, '"')
	}
	return string(append(b, '}'))
}

// claim returns the claim of a recipient, which is locked.
func (t *tx) claim(id string) *heldClaim {
	if t.claims[id] == nil {
		t.claims[id] = new(heldClaim)
	}
	return t.claims[id]
}

// settleQueue stores what was put and moves recipients to their places, before the queue is asked.
func (t *tx) settleQueue(ctx context.Context) error {
	if err := t.flush(ctx); err != nil {
		return err
	}
	t.moveAll()
	return nil
}
