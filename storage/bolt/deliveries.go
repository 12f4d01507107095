package bolt

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strconv"

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

func (r *reader) Deliveries(_ context.Context, q storage.DeliveryQuery) (page []incident.Delivery, next string, err error) {
	if err := checkLimit(q.Limit); err != nil {
		return nil, "", err
	}
	id, prefix := bDeliveries, key(nil)
	switch {
	case q.Incident != 0:
		id, prefix = bDeliveryIncidents, prefix.int(q.Incident)
	case q.State != "":
		id, prefix = bDeliveryStates, prefix.byte(deliveryStates[q.State])
	}
	if q.ID != "" {
		arrival, err := r.arrival(q.ID)
		if arrival == 0 || err != nil {
			return nil, "", err
		}
		id, prefix = bDeliveries, key(nil).int(arrival)
	}
	walk := r.descend
	var from key
	if q.Cursor != "" {
		n, err := parseCursor(q.Cursor)
		if err != nil {
			return nil, "", err
		}
		if q.OldestFirst {
			n++
		}
		from = append(from, prefix...).int(n)
	}
	if q.OldestFirst {
		walk = r.ascend
	}
	var last int64
	err = walk(id, prefix, from, func(k, _ []byte) (bool, error) {
		arrival := intAt(k, len(k)-8)
		if q.Message {
			if message, err := r.get(bMessages, key(nil).int(arrival)); message == nil || err != nil {
				return err == nil, err
			}
		}
		d, err := r.deliveryAt(arrival)
		if err != nil || q.State != "" && d.State != q.State {
			return true, err
		}
		if len(page) == q.Limit {
			next = strconv.FormatInt(last, 10)
			return false, nil
		}
		page, last = append(page, d), arrival
		return true, nil
	})
	return page, next, err
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
	if arrival == 0 {
		if arrival, err = t.next(bDeliveries); err != nil {
			return err
		}
		if err := t.put(bDeliveryIDs, key(nil).text(d.ID), key(nil).int(arrival)); err != nil {
			return err
		}
	} else if old, err = t.deliveryAt(arrival); err != nil {
		return err
	}

	if err := t.putJSON(bDeliveries, key(nil).int(arrival), d); err != nil {
		return err
	}
	if message != nil {
		if err := t.put(bMessages, key(nil).int(arrival), message); err != nil {
			return err
		}
	}
	if err := t.indexDelivery(arrival, &old, d, state); err != nil {
		return err
	}
	if d.State != incident.DeliveryPending && d.State != old.State {
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
		}
	})
}

// indexDelivery keeps what a delivery is found by.
func (t *tx) indexDelivery(arrival int64, old, d *incident.Delivery, state byte) error {
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
	if d.State != old.State && d.State != incident.DeliveryPending && len(d.Incidents()) == 0 {
		if err := t.expire(d.FinishedAt, arrival, storage.ExpiryWatchdogMessage, storage.ExpiryWatchdogPeople); err != nil {
			return err
		}
	}
	if d.State == incident.DeliveryPending {
		if err := t.put(bDeliveriesPending, key(nil).text(d.Recipient).time(d.CreatedAt).int(arrival), encodeBackoff(d)); err != nil {
			return err
		}
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
