package postgres

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"sitrep/incident"
	"sitrep/ledger"
	"sitrep/storage"
)

// deliveryStates are the states of a delivery as they are stored. Indexes and questions have
// the first as a number.
var deliveryStates = map[incident.DeliveryState]int16{
	incident.DeliveryPending: 1, incident.DeliveryDelivered: 2, incident.DeliveryFailed: 3, incident.DeliverySuperseded: 4,
}

// arrival returns the number of a delivery, 0 if there is none of that id.
func (r *reader) arrival(ctx context.Context, id string) (arrival int64, err error) {
	_, err = r.one(ctx, []any{&arrival}, `select arrival from deliveries where id = $1`, name(id))
	return arrival, err
}

func (r *reader) Message(ctx context.Context, id string) (message []byte, err error) {
	found, err := r.one(ctx, []any{&message}, `select m.body from deliveries d join messages m using (arrival) where d.id = $1`, name(id))
	if err == nil && !found {
		err = storage.NotFound("message of a delivery", id)
	}
	return message, err
}

// A deliverySet is put together of deliveries and their covers.
type deliverySet map[int64]*incident.Delivery

// scan reads a delivery whose columns are arrival, body, then others.
func (s deliverySet) scan(rows pgx.Rows, others ...any) (arrival int64, err error) {
	var body []byte
	if err := rows.Scan(append([]any{&arrival, &body}, others...)...); err != nil {
		return 0, err
	}
	d := &incident.Delivery{}
	s[arrival] = d
	return arrival, decode("delivery", body, d)
}

// scanCover reads a cover whose columns are arrival and body, in their order.
func (s deliverySet) scanCover(rows pgx.Rows) error {
	var arrival int64
	var body []byte
	if err := rows.Scan(&arrival, &body); err != nil || s[arrival] == nil {
		return err
	}
	var c incident.Cover
	err := decode("cover of a delivery", body, &c)
	s[arrival].Covers = append(s[arrival].Covers, c)
	return err
}

func (s deliverySet) list(arrivals []int64) (all []incident.Delivery, err error) {
	for _, arrival := range arrivals {
		d := s[arrival]
		if d == nil {
			return nil, fmt.Errorf("read the delivery that arrived as %d: it is not there: %w", arrival, storage.ErrDamaged)
		}
		all = append(all, *d)
	}
	return all, nil
}

// Which covers of a delivery are read: those about one incident, or by these all or the first.
const (
	wholeCovers = 0
	firstCovers = -1
)

// deliveriesAt returns deliveries in the order of their arrivals given.
func (r *reader) deliveriesAt(ctx context.Context, arrivals []int64, covers int64) ([]incident.Delivery, error) {
	if len(arrivals) == 0 {
		return nil, nil
	}
	where, args := "", []any{arrivals}
	switch {
	case covers == firstCovers:
		where, args = " and place < $2", append(args, storage.BriefCovers)
	case covers != wholeCovers:
		where, args = " and incident = $2", append(args, covers)
	}
	set := deliverySet{}
	r.ask(eachRow(func(rows pgx.Rows) error {
		_, err := set.scan(rows)
		return err
	}), `select arrival, body from deliveries where arrival = any ($1)`, arrivals)
	err := r.each(ctx, set.scanCover, `select arrival, body from delivery_incidents
		where arrival = any ($1) and body is not null`+where+` order by arrival, place`, args...)
	if err != nil {
		return nil, err
	}
	return set.list(arrivals)
}

// A deliveryWalk is what is walked for a page of deliveries, and what those on it have to be.
type deliveryWalk struct {
	args   []any
	from   string
	where  []string
	by     string   // the arrival
	before string   // by what they are in order before that, if anything
	due    bool     // that is DueAt
	fits   []string // what not all that are walked are
}

// arg returns how a value stands in the question.
func (w *deliveryWalk) arg(v any) string {
	w.args = append(w.args, v)
	return "$" + strconv.Itoa(len(w.args))
}

// walkOf returns where to look for deliveries.
func walkOf(q *storage.DeliveryQuery) *deliveryWalk {
	w := &deliveryWalk{from: "deliveries d", by: "d.arrival", due: q.ByDue()}
	if w.due {
		w.before = "d.due_at"
	}
	is := func(list *[]string, column, is string, v any) { *list = append(*list, column+" "+is+" "+w.arg(v)) }
	state, address, group, bounds := &w.fits, &w.fits, &w.fits, &w.fits
	switch {
	case q.ID != "":
		is(&w.where, "d.id", "=", name(q.ID))
		if q.Incident != 0 {
			w.fits = append(w.fits, "exists (select from delivery_incidents x where x.arrival = d.arrival and x.incident = "+w.arg(q.Incident)+")")
		}
	case q.Incident != 0:
		w.from, w.by = "delivery_incidents x join deliveries d using (arrival)", "x.arrival"
		is(&w.where, "x.incident", "=", q.Incident)
	case w.due:
		bounds = &w.where
		if q.Address != "" {
			address = &w.where
		} else {
			group = &w.where
		}
	default:
		state = &w.where
	}
	switch s := deliveryStates[q.State]; {
	case q.State == "":
	case state == &w.where: // a stretch of an index, and asked for as one, so that no other seems better
		is(state, "d.state", ">=", s)
		is(state, "d.state", "<=", s)
		w.before = "d.state"
	default:
		is(state, "d.state", "=", s)
	}
	if q.Address != "" {
		is(address, "d.address", "=", name(q.Address))
	}
	if q.Group != "" {
		is(group, "d.audience", "=", name(q.Group))
	}
	if !q.From.IsZero() {
		is(bounds, "d.due_at", ">=", q.From)
	}
	if !q.To.IsZero() {
		is(bounds, "d.due_at", "<", q.To)
	}
	if q.Kind != "" {
		is(&w.fits, "d.kind", "=", name(string(q.Kind)))
	}
	if q.Channel != "" {
		is(&w.fits, "d.channel", "=", name(string(q.Channel)))
	}
	if q.Message {
		w.fits = append(w.fits, "coalesce((select true from messages m where m.arrival = d.arrival), false)") // looked up one by one
	}
	return w
}

// after lets the walk begin after a cursor.
func (w *deliveryWalk) after(cursor string, oldestFirst bool) error {
	columns, values := w.by, ""
	if w.due {
		due, arrival, ok := strings.Cut(cursor, ".")
		at, err := strconv.ParseInt(due, 10, 64)
		if !ok || err != nil {
			return badCursor(cursor)
		}
		columns, values, cursor = "(d.due_at, "+w.by+")", "("+w.arg(time.UnixMicro(at).UTC())+", ", arrival
	}
	n, err := parseCursor(cursor)
	if err != nil {
		return err
	}
	if values += w.arg(n); w.due {
		values += ")"
	}
	is := " < "
	if oldestFirst {
		is = " > "
	}
	w.where = append(w.where, columns+is+values)
	return nil
}

// question returns what is asked for a page of up to limit deliveries.
func (w *deliveryWalk) question(limit int, oldestFirst bool) string {
	fits, where := "true", ""
	if limit++; len(w.fits) > 0 { // one more says that there is a next page
		fits, limit = strings.Join(w.fits, " and "), limit+storage.DeliveriesLooked
	}
	if len(w.where) > 0 {
		where = " where " + strings.Join(w.where, " and ")
	}
	direction := " desc"
	if oldestFirst {
		direction = ""
	}
	order := w.by + direction
	if w.before != "" {
		order = w.before + direction + ", " + order
	}
	return "select " + w.by + ", d.due_at, " + fits + " from " + w.from + where + " order by " + order + " limit " + w.arg(limit)
}

func (r *reader) Deliveries(ctx context.Context, q storage.DeliveryQuery) (page []incident.Delivery, next string, err error) {
	if err := checkLimit(q.Limit); err != nil {
		return nil, "", err
	}
	w := walkOf(&q)
	if q.Cursor != "" && q.ID == "" {
		if err := w.after(q.Cursor, q.OldestFirst); err != nil {
			return nil, "", err
		}
	}
	var arrivals []int64
	looked, last := 0, ""
	err = r.each(ctx, func(rows pgx.Rows) error {
		var arrival int64
		var due time.Time
		var fits bool
		if err := rows.Scan(&arrival, &due, &fits); err != nil || next != "" {
			return err
		}
		if looked == storage.DeliveriesLooked || fits && len(arrivals) == q.Limit {
			next = last
			return nil
		}
		if last = strconv.FormatInt(arrival, 10); w.due {
			last = strconv.FormatInt(due.UnixMicro(), 10) + "." + last
		}
		if fits {
			arrivals = append(arrivals, arrival)
		} else {
			looked++
		}
		return nil
	}, w.question(q.Limit, q.OldestFirst), w.args...)
	if err != nil {
		return nil, "", err
	}
	covers := int64(wholeCovers)
	if q.Brief {
		if covers = firstCovers; q.Incident != 0 {
			covers = q.Incident
		}
	}
	page, err = r.deliveriesAt(ctx, arrivals, covers)
	return page, next, err
}

// A deliveryPut is a delivery that is to be stored, and its message if not nil.
type deliveryPut struct {
	incident.Delivery
	message []byte
}

// A storedDelivery is what has to be known of a delivery that is stored anew.
type storedDelivery struct {
	arrival   int64
	state     int16 // 0 of a new one
	recipient string
	highest   int32 // place of a cover
	apart     bool  // one is about an incident that no cover is about
	records   int64
	message   []byte // read only if an outcome comes
}

// PutDelivery is stored with all others of the transaction, once something is asked of the database
// or the transaction ends.
func (t *tx) PutDelivery(_ context.Context, d *incident.Delivery, message []byte) error {
	if _, ok := deliveryStates[d.State]; !ok {
		return fmt.Errorf("put delivery %q: state %q", d.ID, d.State)
	}
	t.puts = append(t.puts, deliveryPut{*d, message})
	t.writes++
	return nil
}

// storedDeliveries asks for what has to be known of deliveries that are put, by their names, and
// locks the leases of those to whom messages were handed over.
func (t *tx) storedDeliveries(ctx context.Context, puts []deliveryPut) (map[string]*storedDelivery, error) {
	stored := make(map[string]*storedDelivery, len(puts))
	var ids, recipients []string
	var outcomes []bool
	at := make(map[string]int, len(puts))
	for i := range puts {
		d := &puts[i]
		id := name(d.ID)
		if _, twice := at[id]; !twice {
			at[id] = len(ids)
			ids, outcomes = append(ids, id), append(outcomes, false)
		}
		outcomes[at[id]] = outcomes[at[id]] || d.State != incident.DeliveryPending
		if d.State == incident.DeliveryDelivered {
			recipients = append(recipients, text(d.Recipient))
		}
	}
	t.queueClaims(recipients)
	return stored, t.each(ctx, func(rows pgx.Rows) error {
		var id string
		var highest *int32
		old := new(storedDelivery)
		err := rows.Scan(&id, &old.arrival, &old.state, &old.recipient, &highest, &old.apart, &old.records, &old.message)
		if highest != nil {
			old.highest = *highest
		}
		stored[id] = old
		return err
	}, `select * from stored_deliveries($1, $2)`, ids, outcomes)
}

// putDeliveries queues the deliveries that were put, and what follows from them.
func (t *tx) putDeliveries(ctx context.Context) error {
	puts := t.puts
	if t.puts = nil; len(puts) == 0 {
		return nil
	}
	stored, err := t.storedDeliveries(ctx, puts)
	if err != nil {
		return err
	}
	for i := range t.records {
		if r := &t.records[i]; r.kind == ledger.Delivery {
			for _, old := range stored {
				if old.arrival == r.a {
					old.records = max(old.records, r.b)
				}
			}
		}
	}
	var rows deliveryRows
	last := make(map[string]int, len(puts))
	for i := range puts {
		last[name(puts[i].ID)] = i
	}
	for i := range puts {
		d, id := &puts[i], name(puts[i].ID)
		old := stored[id]
		if old == nil {
			return fmt.Errorf("put delivery %q: it is not known whether it is there: %w", d.ID, storage.ErrDamaged)
		}
		if d.message != nil {
			old.message = d.message
			rows.message(old.arrival, d.message)
		}
		if last[id] == i {
			if err := rows.put(old, &d.Delivery); err != nil {
				return err
			}
		}
		if err := t.follow(old, &d.Delivery); err != nil {
			return err
		}
	}
	t.queueDeliveries(&rows)
	return nil
}

// follow notes what follows from a delivery that is put.
func (t *tx) follow(old *storedDelivery, d *incident.Delivery) error {
	state := deliveryStates[d.State]
	if d.State != incident.DeliveryPending && state != old.state {
		record, err := storage.EncodeDelivery(*d, old.message)
		if err != nil {
			return err
		}
		old.records++
		t.putRecord(ledger.Delivery, old.arrival, old.records, record)
		if len(d.Incidents()) == 0 {
			t.expire(d.FinishedAt, old.arrival, storage.ExpiryWatchdogMessage, storage.ExpiryWatchdogPeople)
		}
		if d.State == incident.DeliveryDelivered {
			if err := t.claim(text(d.Recipient)).handOver(d); err != nil {
				return err
			}
		}
	}
	if old.state != 0 {
		t.moved(old.recipient)
	}
	t.moved(d.Recipient)
	old.state, old.recipient = state, text(d.Recipient)
	return nil
}

// deliveryRows are deliveries as the columns of a statement.
type deliveryRows struct {
	arrivals                              []int64
	ids, recipients                       []string
	states                                []int16
	pulses                                []*string
	due, created                          []time.Time
	retry, refused                        []*time.Time
	audiences, addresses, kinds, channels []string
	heads                                 [][]byte
	fewer, covering                       []int64
	places                                []int32
	incidents                             []*int64
	covers                                [][]byte
	made                                  []int64
	messages                              [][]byte
	madeAt                                map[int64]int
}

// put adds a delivery, each once.
func (r *deliveryRows) put(old *storedDelivery, d *incident.Delivery) error {
	head := *d
	head.Covers = nil
	body, err := encode("delivery", &head)
	if err != nil {
		return err
	}
	places, incidents, covers, err := coverRows(d)
	if err != nil {
		return err
	}
	var pulse *string
	if d.OfPulse() {
		key := name(d.Pulse())
		pulse = &key
	}
	r.arrivals, r.ids, r.states, r.recipients = append(r.arrivals, old.arrival), append(r.ids, name(d.ID)), append(r.states, deliveryStates[d.State]), append(r.recipients, text(d.Recipient))
	r.pulses, r.due, r.created = append(r.pulses, pulse), append(r.due, d.DueAt), append(r.created, d.CreatedAt)
	r.retry, r.refused = append(r.retry, moment(d.RetryAt)), append(r.refused, moment(d.RefusedAt))
	r.audiences, r.addresses = append(r.audiences, name(d.Group)), append(r.addresses, name(d.Address))
	r.kinds, r.channels, r.heads = append(r.kinds, name(string(d.Kind))), append(r.channels, name(string(d.Channel))), append(r.heads, body)
	if apart := len(places) > len(d.Covers); old.state != 0 && (int(old.highest) >= len(d.Covers) || old.apart && !apart) {
		r.fewer = append(r.fewer, old.arrival)
	}
	for range places {
		r.covering = append(r.covering, old.arrival)
	}
	r.places, r.incidents, r.covers = append(r.places, places...), append(r.incidents, incidents...), append(r.covers, covers...)
	return nil
}

// message adds the message of a delivery; of two the latter counts.
func (r *deliveryRows) message(arrival int64, body []byte) {
	if at, again := r.madeAt[arrival]; again {
		r.messages[at] = body
		return
	}
	put(&r.madeAt, arrival, len(r.made))
	r.made, r.messages = append(r.made, arrival), append(r.messages, body)
}

func (t *tx) queueDeliveries(r *deliveryRows) {
	if len(r.arrivals) > 0 {
		t.exec(`select put_deliveries($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)`,
			r.arrivals, r.ids, r.states, r.recipients, r.pulses, r.due, r.created, r.retry, r.refused, r.audiences, r.addresses, r.kinds, r.channels, r.heads,
			r.fewer, r.covering, r.places, r.incidents, r.covers, r.made, r.messages)
	}
}

// coverRows returns what is stored of a delivery's covers.
func coverRows(d *incident.Delivery) (places []int32, incidents []*int64, bodies [][]byte, err error) {
	places, incidents, bodies = make([]int32, len(d.Covers)), make([]*int64, len(d.Covers)), make([][]byte, len(d.Covers))
	seen := make(map[int64]bool, len(d.Covers))
	for i := range d.Covers {
		if bodies[i], err = encode("cover of a delivery", &d.Covers[i]); err != nil {
			return nil, nil, nil, err
		}
		number := d.Covers[i].Incident
		if places[i] = int32(i); !d.OfPulse() && !seen[number] {
			seen[number], incidents[i] = true, &number
		}
	}
	if number := d.Incident; !d.OfPulse() && !seen[number] {
		places, incidents, bodies = append(places, -1), append(incidents, &number), append(bodies, nil)
	}
	return places, incidents, bodies, nil
}
