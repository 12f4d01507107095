package bolt

import (
	"bytes"
	"context"
	"errors"
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
	if d.OfPulse() {
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
	sooner := func(at, until time.Time) (more bool) {
		if !first.IsZero() && !at.Before(first) {
			return false
		}
		if at = latestOf(at, until); first.IsZero() || at.Before(first) {
			first = at
		}
		return true
	}
	err := r.byUrgency(prefix, func(_ incident.Urgency, at time.Time, number int64) (bool, error) {
		return sooner(at, held.incidents[number]), nil
	})
	if err != nil {
		return first, err
	}
	err = r.ascend(bRecipientNotices, prefix, nil, func(k, _ []byte) (bool, error) {
		return sooner(timeAt(k, len(prefix)), held.pulses[string(k[len(prefix)+8:])]), nil
	})
	return first, err
}

// errEnough ends a walk by urgency.
var errEnough = errors.New("enough")

// byUrgency calls fn for what is due to a recipient at some time, the most urgent first, and of
// what is as urgent the earliest. What is as urgent is passed over once fn returns false; the
// walk ends with errEnough, which is not returned.
func (r *reader) byUrgency(prefix key, fn func(u incident.Urgency, at time.Time, number int64) (more bool, err error)) error {
	for from, left := []byte(prefix), true; left; {
		left = false
		err := r.ascend(bUrgent, prefix, from, func(k, _ []byte) (bool, error) {
			u := k[len(prefix)]
			more, err := fn(incident.Urgency(u), timeAt(k, len(prefix)+1), intAt(k, len(prefix)+9))
			if !more && err == nil && incident.Urgency(u) < incident.LeastUrgent {
				from, left = append(bytes.Clone(prefix), u+1), true
			}
			return more, err
		})
		if errors.Is(err, errEnough) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
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
	err = r.ascend(bRecipientNotices, prefix, nil, func(k, _ []byte) (bool, error) {
		if timeAt(k, len(prefix)).After(now) {
			return false, nil
		}
		if held.pulses[string(k[len(prefix)+8:])].After(now) {
			return true, nil
		}
		most = incident.MostUrgent
		n++
		return false, nil
	})
	if err != nil {
		return 0, 0, err
	}
	err = r.byUrgency(prefix, func(u incident.Urgency, at time.Time, number int64) (bool, error) {
		if at.After(now) {
			return false, nil
		}
		if held.incidents[number].After(now) {
			return true, nil
		}
		most, only = min(most, u), number
		if n++; n > 1 {
			return false, errEnough
		}
		return true, nil
	})
	if err != nil || n > 1 || !held.first.IsZero() {
		return most, 0, err
	}
	p, err := r.recipient(id)
	if p.Settling != nil {
		only = 0
	}
	return most, only, err
}

func (t *tx) EndWaits(ctx context.Context, now time.Time) (int, error) {
	if err := t.flushRecipients(); err != nil {
		return 0, err
	}
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
