package bolt

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/v1" // see bucket.go

	"sitrep/incident"
	"sitrep/ledger"
	"sitrep/storage"
)

// deliveryStates are the states of a delivery in keys.
var deliveryStates = map[incident.DeliveryState]byte{
	incident.DeliveryPending: 1, incident.DeliveryDelivered: 2, incident.DeliveryFailed: 3, incident.DeliverySuperseded: 4,
}

// arrival returns the number of a delivery, 0 if there is none of that id.
func (r *reader) arrival(id string) (int64, error) {
	b, err := r.get(bDeliveryIDs, key(nil).text(id))
	if b == nil || err != nil {
		return 0, err
	}
	return intAt(b, 0), nil
}

func (r *reader) deliveryAt(arrival int64) (d incident.Delivery, err error) {
	if d, ok := r.digests.find(arrival); ok {
		return d, nil
	}
	if err = r.needJSON(bDeliveries, key(nil).int(arrival), &d); err == nil && len(d.Covers) >= digestCovers && !r.tx.Writable() {
		if r.digests == nil {
			r.digests = new(digests)
		}
		r.digests.keep(arrival, d)
	}
	return d, err
}

// digests are the large deliveries that a snapshot decoded last. Who goes through incidents
// meets each digest as often as it covers one: decoded each time, that would be its size
// squared.
type digests struct {
	arrivals [8]int64
	all      [8]incident.Delivery
	next     int
}

// digestCovers is from how many incidents on a delivery is kept.
const digestCovers = 16

func (c *digests) find(arrival int64) (incident.Delivery, bool) {
	if c == nil {
		return incident.Delivery{}, false
	}
	for i, a := range c.arrivals {
		if a == arrival {
			return c.all[i], true
		}
	}
	return incident.Delivery{}, false
}

func (c *digests) keep(arrival int64, d incident.Delivery) {
	c.arrivals[c.next], c.all[c.next] = arrival, d
	c.next = (c.next + 1) % len(c.all)
}

func (r *reader) Message(_ context.Context, id string) ([]byte, error) {
	arrival, err := r.arrival(id)
	if err != nil {
		return nil, err
	}
	message, err := r.get(bMessages, key(nil).int(arrival))
	if err != nil {
		return nil, err
	}
	if message == nil {
		return nil, storage.NotFound("message of a delivery", id)
	}
	return bytes.Clone(message), nil
}

// What a delivery is found by in its index, in the order of DueAt.
const (
	deliveriesByDue byte = iota + 1
	deliveriesByGroup
	deliveriesByAddress
)

// deliveryIndex are the keys of a delivery in its index, without its arrival.
func deliveryIndex(d *incident.Delivery) [3]key {
	return [...]key{
		key(nil).byte(deliveriesByDue).time(d.DueAt),
		key(nil).byte(deliveriesByGroup).text(d.Group).time(d.DueAt),
		key(nil).byte(deliveriesByAddress).text(d.Address).time(d.DueAt),
	}
}

// reindexDelivery keeps what a delivery is found by in the order of DueAt; of a new one, old is
// nil.
func (t *tx) reindexDelivery(arrival int64, old, d *incident.Delivery) error {
	var was [3]key
	if old != nil {
		was = deliveryIndex(old)
	}
	for i, is := range deliveryIndex(d) {
		if bytes.Equal(was[i], is) {
			continue
		}
		if was[i] != nil {
			if err := t.delete(bDeliveryIndex, was[i].int(arrival)); err != nil {
				return err
			}
		}
		if err := t.put(bDeliveryIndex, is.int(arrival), nil); err != nil {
			return err
		}
	}
	return nil
}

// A deliveryWalk is what is walked for a page of deliveries.
type deliveryWalk struct {
	id       bucketID
	prefix   key
	from, to key  // bounds of keys; nil: none
	due      bool // keys end with DueAt and arrival, else with the arrival
}

// walkOf returns where to look for deliveries.
func (r *reader) walkOf(q *storage.DeliveryQuery) deliveryWalk {
	w := deliveryWalk{id: bDeliveries}
	switch {
	case q.Incident != 0:
		w.id, w.prefix = bDeliveryIncidents, w.prefix.int(q.Incident)
		return w
	case q.ByDue() && r.bucket(bDeliveryIndex) != nil:
		w.id, w.due = bDeliveryIndex, true
		switch {
		case q.Address != "":
			w.prefix = w.prefix.byte(deliveriesByAddress).text(q.Address)
		case q.Group != "":
			w.prefix = w.prefix.byte(deliveriesByGroup).text(q.Group)
		default:
			w.prefix = w.prefix.byte(deliveriesByDue)
		}
		if !q.From.IsZero() {
			w.from = append(w.from, w.prefix...).time(q.From)
		}
		if !q.To.IsZero() {
			w.to = append(w.to, w.prefix...).time(q.To)
		}
	case q.State != "":
		w.id, w.prefix = bDeliveryStates, w.prefix.byte(deliveryStates[q.State])
	}
	return w
}

// cursorOf returns the cursor that stands for a key.
func (w *deliveryWalk) cursorOf(k []byte) string {
	arrival := strconv.FormatInt(intAt(k, len(k)-8), 10)
	if !w.due {
		return arrival
	}
	return strconv.FormatInt(timeAt(k, len(k)-16).UnixMicro(), 10) + "." + arrival
}

// keyOf returns the key that a cursor stands for, more on.
func (w *deliveryWalk) keyOf(cursor string, more int64) (key, error) {
	k := append(key(nil), w.prefix...)
	if w.due {
		due, rest, ok := strings.Cut(cursor, ".")
		at, err := strconv.ParseInt(due, 10, 64)
		if !ok || err != nil {
			return nil, badCursor(cursor)
		}
		k, cursor = k.time(time.UnixMicro(at)), rest
	}
	n, err := parseCursor(cursor)
	return k.int(n + more), err
}

func (r *reader) Deliveries(_ context.Context, q storage.DeliveryQuery) (page []incident.Delivery, next string, err error) {
	if err := checkLimit(q.Limit); err != nil {
		return nil, "", err
	}
	if q.ID != "" {
		return r.deliveryByID(&q)
	}
	w := r.walkOf(&q)
	from, below := w.from, w.to
	if q.Cursor != "" {
		if q.OldestFirst {
			from, err = w.keyOf(q.Cursor, 1)
		} else {
			below, err = w.keyOf(q.Cursor, 0)
		}
		if err != nil {
			return nil, "", err
		}
	}
	looked := 0
	var last []byte
	look := func(k, _ []byte) (bool, error) {
		switch {
		case !q.OldestFirst && w.from != nil && bytes.Compare(k, w.from) < 0, q.OldestFirst && w.to != nil && bytes.Compare(k, w.to) >= 0:
			return false, nil
		case looked == storage.DeliveriesLooked:
			next = w.cursorOf(last)
			return false, nil
		}
		d, fits, err := r.lookAt(intAt(k, len(k)-8), &q)
		if err != nil {
			return false, err
		}
		if !fits {
			looked++
			last = append(last[:0], k...)
			return true, nil
		}
		if len(page) == q.Limit {
			next = w.cursorOf(last)
			return false, nil
		}
		page, last = append(page, d), append(last[:0], k...)
		return true, nil
	}
	if q.OldestFirst {
		err = r.ascend(w.id, w.prefix, from, look)
	} else {
		err = r.descend(w.id, w.prefix, below, look)
	}
	return page, next, err
}

// deliveryByID returns the one delivery of an id, if the query is for it.
func (r *reader) deliveryByID(q *storage.DeliveryQuery) ([]incident.Delivery, string, error) {
	arrival, err := r.arrival(q.ID)
	if arrival == 0 || err != nil {
		return nil, "", err
	}
	d, fits, err := r.lookAt(arrival, q)
	if err != nil || !fits || q.Incident != 0 && !slices.Contains(d.Incidents(), q.Incident) {
		return nil, "", err
	}
	return []incident.Delivery{d}, "", nil
}

// lookAt reads a delivery, and reports whether the query is for it.
func (r *reader) lookAt(arrival int64, q *storage.DeliveryQuery) (d incident.Delivery, fits bool, err error) {
	if q.Message {
		if message, err := r.get(bMessages, key(nil).int(arrival)); message == nil || err != nil {
			return d, false, err
		}
	}
	if q.Brief || q.Kind != "" || q.Channel != "" || q.ByDue() || q.Incident != 0 {
		if d, err = r.briefAt(arrival, q.Incident); q.Brief || err != nil || !q.Fits(&d) {
			return d, err == nil && q.Fits(&d), err
		}
	}
	d, err = r.deliveryAt(arrival)
	return d, err == nil && q.Fits(&d), err
}

// coversBegin is what stands before the covers of a delivery: they are the last in it.
var coversBegin = []byte(`,"covers":[`)

// headOf reads a delivery without its covers, which it returns as they are stored, without what
// begins them; they are nil if it has none, and valid until the transaction ends.
func (r *reader) headOf(arrival int64) (d incident.Delivery, covers []byte, err error) {
	k := key(nil).int(arrival)
	stored, err := r.get(bDeliveries, k)
	if err != nil {
		return d, nil, err
	}
	head, covers, ok := bytes.Cut(stored, coversBegin)
	if !ok {
		// It has null there.
		return d, nil, r.needJSON(bDeliveries, k, &d)
	}
	if d, found := r.decoded.delivery(arrival, stored); found {
		return d, covers, nil
	}
	return d, covers, decode(bDeliveries, k, append(bytes.Clone(head), '}'), &d)
}

// briefAt reads a delivery with the cover of an incident alone or, if that is 0, with its first
// covers. What it does not need is not decoded: the covers are the last in a row, and only they
// may be large.
func (r *reader) briefAt(arrival, number int64) (d incident.Delivery, err error) {
	k := key(nil).int(arrival)
	d, covers, err := r.headOf(arrival)
	if covers == nil || err != nil {
		return d, err
	}
	limit := storage.BriefCovers
	if number != 0 {
		// Nothing else begins like that: a quote in a text has a backslash before it.
		at := bytes.Index(covers, fmt.Appendf(nil, `{"incident":%d,`, number))
		if at < 0 {
			return d, nil
		}
		covers, limit = covers[at:], 1
	}
	for dec := json.NewDecoder(io.MultiReader(strings.NewReader("["), bytes.NewReader(covers))); ; {
		if len(d.Covers) == 0 {
			if _, err := dec.Token(); err != nil {
				return d, wrong(bDeliveries, k, err.Error())
			}
		}
		if len(d.Covers) == limit || !dec.More() {
			return d, nil
		}
		var c incident.Cover
		if err := dec.Decode(&c); err != nil {
			return d, wrong(bDeliveries, k, err.Error())
		}
		d.Covers = append(d.Covers, c)
	}
}

func (t *tx) PutDelivery(ctx context.Context, d *incident.Delivery, message []byte) error {
	state, ok := deliveryStates[d.State]
	if !ok {
		return fmt.Errorf("put delivery %q: state %q", d.ID, d.State)
	}
	arrival, err := t.arrival(d.ID)
	if err != nil {
		return err
	}
	var old incident.Delivery
	var covers []byte // as they stand there
	if arrival == 0 {
		if arrival, err = t.next(bDeliveries); err != nil {
			return err
		}
		if err := t.put(bDeliveryIDs, key(nil).text(d.ID), key(nil).int(arrival)); err != nil {
			return err
		}
	} else if old, covers, err = t.headOf(arrival); err != nil {
		return err
	}

	stored, err := json.Marshal(d)
	if err != nil {
		return fmt.Errorf("put delivery %q: %w", d.ID, err)
	}
	_, is, _ := bytes.Cut(stored, coversBegin)
	same := covers != nil && bytes.Equal(is, covers) && old.Incident == d.Incident && old.Kind == d.Kind
	if covers != nil && !same {
		if old, err = t.deliveryAt(arrival); err != nil {
			return err
		}
	}
	if err := t.put(bDeliveries, key(nil).int(arrival), stored); err != nil {
		return err
	}
	t.decoded.keepDelivery(arrival, stored, *d)
	if message != nil {
		if err := t.put(bMessages, key(nil).int(arrival), message); err != nil {
			return err
		}
	}
	was := &old
	if old.ID == "" {
		was = nil
	}
	if err := t.reindexDelivery(arrival, was, d); err != nil {
		return err
	}
	if err := t.indexDelivery(arrival, &old, d, state, same); err != nil {
		return err
	}
	if d.State != incident.DeliveryPending && d.State != old.State {
		if len(d.Incidents()) == 0 {
			if err := t.expire(d.FinishedAt, arrival, storage.ExpiryWatchdogMessage, storage.ExpiryWatchdogPeople); err != nil {
				return err
			}
		}
		if err := t.recordDelivery(ctx, arrival, d); err != nil {
			return err
		}
	}
	if old.ID != "" && old.Recipient != d.Recipient {
		if err := t.changeRecipient(old.Recipient, func(*recipient) {}); err != nil {
			return err
		}
	}
	return t.changeRecipient(d.Recipient, func(p *recipient) {
		if d.State == incident.DeliveryDelivered && old.State != incident.DeliveryDelivered {
			p.sent(d.SentAt)
			if d.Kind == incident.KindOpened && len(d.Covers) == 1 {
				p.Openings = append(p.Openings, storage.Opening{At: d.SentAt, Priority: d.Covers[0].Priority})
				p.Openings = p.Openings[max(0, len(p.Openings)-sentKept):]
			}
		}
	})
}

// indexDelivery keeps what a delivery is found by. If it covers the same as before, old may be
// without covers.
func (t *tx) indexDelivery(arrival int64, old, d *incident.Delivery, state byte, same bool) error {
	if old.State != d.State {
		if old.State != "" {
			if err := t.delete(bDeliveryStates, key(nil).byte(deliveryStates[old.State]).int(arrival)); err != nil {
				return err
			}
		}
		if err := t.put(bDeliveryStates, key(nil).byte(state).int(arrival), nil); err != nil {
			return err
		}
	}
	if old.State == incident.DeliveryPending {
		if err := t.delete(bDeliveriesPending, key(nil).text(old.Recipient).time(old.CreatedAt).int(arrival)); err != nil {
			return err
		}
	}
	if d.State == incident.DeliveryPending {
		if err := t.put(bDeliveriesPending, key(nil).text(d.Recipient).time(d.CreatedAt).int(arrival), encodeBackoff(d)); err != nil {
			return err
		}
	}
	if same {
		return nil
	}
	was, is := old.Incidents(), d.Incidents()
	for _, number := range was {
		if _, still := slices.BinarySearch(is, number); !still {
			if err := t.delete(bDeliveryIncidents, key(nil).int(number).int(arrival)); err != nil {
				return err
			}
		}
	}
	for _, number := range is {
		if _, before := slices.BinarySearch(was, number); !before {
			if err := t.put(bDeliveryIncidents, key(nil).int(number).int(arrival), nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// recordDelivery appends the record of an outcome.
func (t *tx) recordDelivery(ctx context.Context, arrival int64, d *incident.Delivery) error {
	message, err := t.get(bMessages, key(nil).int(arrival))
	if err != nil {
		return err
	}
	record, err := storage.EncodeDelivery(*d, message)
	if err != nil {
		return err
	}
	prefix := key(nil).int(arrival)
	var count int64
	err = t.descend(bDeliveryRecords, prefix, nil, func(k, _ []byte) (bool, error) {
		count = intAt(k, 8)
		return false, nil
	})
	if err != nil {
		return err
	}
	return t.putRecord(ctx, ledger.Delivery, prefix.int(count+1), record)
}
