package bolt

import (
	"context"
	"time"

	"sitrep/incident"
	"sitrep/storage"
)

// What a pending delivery holds back stands in its index: until when, and its incidents
// or its pulse. Nothing is there if it holds back nothing.
const (
	backoffIncidents byte = 1 // numbers follow
	backoffPulse     byte = 2 // its name follows
)

// encodeBackoff returns what a delivery holds back, as its index has it.
func encodeBackoff(d *incident.Delivery) []byte {
	if d.RetryAt.IsZero() {
		return nil
	}
	v := key(nil).time(d.RetryAt)
	if d.Watchdog() {
		return v.byte(backoffPulse).rest(d.Pulse())
	}
	v = v.byte(backoffIncidents)
	for _, number := range d.Incidents() {
		v = v.int(number)
	}
	return v
}

// retryAt returns until when an entry of the index holds something back, zero if it does
// not.
func retryAt(v []byte) time.Time {
	if len(v) < 9 {
		return time.Time{}
	}
	return timeAt(v, 0)
}

// backoffs are what the pending deliveries to one recipient hold back until when, and
// since when the first of them can be tried.
type backoffs struct {
	incidents map[int64]time.Time
	pulses    map[string]time.Time
	first     time.Time
}

// pendingBackoffs returns what is held back of a recipient.
func (r *reader) pendingBackoffs(id string) (h backoffs, err error) {
	prefix := key(nil).text(id)
	err = r.ascend(bDeliveriesPending, prefix, nil, func(k, v []byte) (bool, error) {
		until := retryAt(v)
		if at := latestOf(timeAt(k, len(prefix)), until); h.first.IsZero() || at.Before(h.first) {
			h.first = at
		}
		if until.IsZero() {
			return true, nil
		}
		if v[8] == backoffPulse {
			if h.pulses == nil {
				h.pulses = map[string]time.Time{}
			}
			pulse := string(v[9:])
			h.pulses[pulse] = latestOf(h.pulses[pulse], until)
			return true, nil
		}
		if h.incidents == nil {
			h.incidents = map[int64]time.Time{}
		}
		for at := 9; at+8 <= len(v); at += 8 {
			number := intAt(v, at)
			h.incidents[number] = latestOf(h.incidents[number], until)
		}
		return true, nil
	})
	return h, err
}

func (r *reader) Backoffs(_ context.Context, recipients []string, now time.Time) (map[string]storage.Backoff, error) {
	all := map[string]storage.Backoff{}
	for _, id := range recipients {
		h, err := r.backoff(id, now)
		if err != nil {
			return nil, err
		}
		if !h.Until.IsZero() || h.Incidents != nil {
			all[id] = h
		}
	}
	return all, nil
}

func (r *reader) backoff(id string, now time.Time) (h storage.Backoff, err error) {
	p, err := r.recipient(id)
	if err != nil {
		return h, err
	}
	if p.Failures > 0 && p.RetryAt.After(now) {
		h.Until = p.RetryAt
	}
	held, err := r.pendingBackoffs(id)
	for number, until := range held.incidents {
		if until.After(now) {
			if h.Incidents == nil {
				h.Incidents = map[int64]time.Time{}
			}
			h.Incidents[number] = until
		}
	}
	return h, err
}

// earliest returns since when something is due to a recipient and not held back, zero if
// nothing is.
func (r *reader) earliest(id string, held backoffs) (time.Time, error) {
	first := held.first
	prefix := key(nil).text(id)
	for _, index := range []bucketID{bRecipientDue, bRecipientNotices} {
		err := r.ascend(index, prefix, nil, func(k, _ []byte) (bool, error) {
			at := timeAt(k, len(prefix))
			if !first.IsZero() && !at.Before(first) {
				return false, nil
			}
			if at = latestOf(at, held.until(index, k, len(prefix)+8)); first.IsZero() || at.Before(first) {
				first = at
			}
			return true, nil
		})
		if err != nil {
			return first, err
		}
	}
	return first, nil
}

// until returns until when what stands in a key, from a place on, is held back.
func (h *backoffs) until(index bucketID, k []byte, at int) time.Time {
	if index == bRecipientNotices {
		return h.pulses[string(k[at:])]
	}
	return h.incidents[intAt(k, at)]
}

// urgency returns that of the most urgent that is due to a recipient and not held back, and
// the incident if that one is all.
func (r *reader) urgency(id string, now time.Time) (most incident.Urgency, only int64, err error) {
	held, err := r.pendingBackoffs(id)
	if err != nil {
		return 0, 0, err
	}
	most = incident.LeastUrgent
	n := 0
	prefix := key(nil).text(id)
	for _, index := range []bucketID{bRecipientDue, bRecipientNotices} {
		err := r.ascend(index, prefix, nil, func(k, v []byte) (bool, error) {
			if timeAt(k, len(prefix)).After(now) {
				return false, nil
			}
			if held.until(index, k, len(prefix)+8).After(now) {
				return true, nil
			}
			most = min(most, urgencyOf(v))
			if n++; index == bRecipientDue {
				only = intAt(k, len(prefix)+8)
			}
			return most != incident.MostUrgent || n < 2, nil
		})
		if err != nil {
			return 0, 0, err
		}
	}
	if n > 1 || !held.first.IsZero() {
		only = 0
	}
	return most, only, nil
}

// urgencyOf returns that of what is due, as an index has it.
func urgencyOf(v []byte) incident.Urgency {
	if len(v) == 0 {
		return incident.MostUrgent // a notice, and what an older sitrep stored
	}
	return incident.Urgency(v[0])
}

func (t *tx) EndWaits(ctx context.Context, now time.Time) (int, error) {
	var ids []string
	err := t.ascend(bRecipients, nil, nil, func(k, v []byte) (bool, error) {
		var p recipient
		err := decode(bRecipients, k, v, &p)
		if p.ReleasedAt.After(now) && p.RetryAt.After(now) {
			ids = append(ids, string(k))
		}
		return true, err
	})
	if err != nil {
		return 0, err
	}
	for _, id := range ids {
		if err := t.changeRecipient(id, func(p *recipient) { p.RetryAt = time.Time{} }); err != nil {
			return 0, err
		}
	}
	var waiting []incident.Delivery
	err = t.ascend(bDeliveriesPending, nil, nil, func(k, v []byte) (bool, error) {
		if !retryAt(v).After(now) {
			return true, nil
		}
		d, err := t.deliveryAt(intAt(k, len(k)-8))
		if d.RefusedAt.After(now) {
			waiting = append(waiting, d)
		}
		return true, err
	})
	if err != nil {
		return 0, err
	}
	for i := range waiting {
		waiting[i].RetryAt = time.Time{}
		if err := t.PutDelivery(ctx, &waiting[i], nil); err != nil {
			return 0, err
		}
	}
	return len(ids) + len(waiting), nil
}
