package bolt

import (
	"context"
	"errors"
	"time"

	"sitrep/incident"
)

// What bClosed begins with: what of a closed incident, or of a delivery that is about
// none, has a time to go.
const (
	closedBreaches byte = 'b'
	closedMessages byte = 'm'
	closedPersonal byte = 'p'
	looseMessage   byte = 'M'
	loosePersonal  byte = 'P'
)

// expire notes that something is over, so that in time it goes.
func (t *tx) expire(at time.Time, number int64, what ...byte) error {
	for _, w := range what {
		if err := t.put(bClosed, key(nil).byte(w).time(at).int(number), nil); err != nil {
			return err
		}
	}
	return nil
}

// nextOver returns the first of what was over before a time, nil if there is none, and
// what is kept with it.
func (r *reader) nextOver(what byte, before time.Time) (first key, value []byte, err error) {
	if before.IsZero() {
		return nil, nil, nil
	}
	err = r.ascend(bClosed, key(nil).byte(what), nil, func(k, v []byte) (bool, error) {
		if timeAt(k, 1).Before(before) {
			first, value = append(first, k...), v
		}
		return false, nil
	})
	return first, value, err
}

func (t *tx) Prune(ctx context.Context, breaches, messages time.Time, limit int) (int, error) {
	n, err := t.pruneClosed(closedBreaches, breaches, limit, t.pruneBreaches)
	if err != nil {
		return n, err
	}
	m, err := t.pruneLoose(breaches, limit-n)
	if n += m; err != nil {
		return n, err
	}
	m, err = t.pruneClosed(closedMessages, messages, limit-n, func(number int64, limit int) (int, error) {
		return t.pruneMessages(ctx, number, messages, limit)
	})
	if n += m; err != nil {
		return n, err
	}
	m, err = t.pruneClosed(looseMessage, messages, limit-n, t.pruneLooseMessage)
	return n + m, err
}

// pruneClosed calls prune for what was over before a time, until limit things are
// deleted. What has no more of them is done.
func (t *tx) pruneClosed(what byte, before time.Time, limit int, prune func(number int64, limit int) (int, error)) (int, error) {
	total := 0
	for total < limit {
		first, _, err := t.nextOver(what, before)
		if err != nil || first == nil {
			return total, err
		}
		n, err := prune(intAt(first, 9), limit-total)
		if total += n; err != nil || total == limit {
			return total, err
		}
		if err := t.delete(bClosed, first); err != nil {
			return total, err
		}
	}
	return total, nil
}

// pruneBreaches deletes up to limit breaches of an incident.
func (t *tx) pruneBreaches(number int64, limit int) (int, error) {
	return t.dropBreaches(number, limit, func(*incident.Breach) bool { return true })
}

// pruneLoose deletes up to limit breaches that belong to no incident and of which
// nothing was heard since before.
func (t *tx) pruneLoose(before time.Time, limit int) (int, error) {
	if before.IsZero() {
		return 0, nil
	}
	return t.dropBreaches(0, limit, func(b *incident.Breach) bool {
		return latestOf(b.StartsAt, b.HeardAt, b.EndHeardAt).Before(before)
	})
}

// dropBreaches deletes up to limit breaches of an incident in order of arrival, up to
// the first that is not old.
func (t *tx) dropBreaches(number int64, limit int, old func(*incident.Breach) bool) (int, error) {
	var places []place
	var list []incident.Breach
	err := t.ascend(bBreaches, key(nil).int(number), nil, func(k, v []byte) (bool, error) {
		if len(list) >= limit {
			return false, nil
		}
		b, err := decodeBreach(k, v)
		if err != nil || !old(&b) {
			return false, err
		}
		places, list = append(places, place{number, intAt(k, 8)}), append(list, b)
		return true, nil
	})
	if err != nil {
		return 0, err
	}
	for i := range list {
		if err := t.deleteBreach(places[i], &list[i]); err != nil {
			return i, err
		}
	}
	return len(list), nil
}

// pruneMessages deletes up to limit messages of an incident. One that is about
// others too goes with the last of them.
func (t *tx) pruneMessages(ctx context.Context, number int64, before time.Time, limit int) (int, error) {
	var old []key
	prefix := key(nil).int(number)
	err := t.ascend(bDeliveryIncidents, prefix, nil, func(k, _ []byte) (bool, error) {
		if len(old) >= limit {
			return false, nil
		}
		arrival := intAt(k, 8)
		message, err := t.get(bMessages, key(nil).int(arrival))
		if message == nil || err != nil {
			return err == nil, err
		}
		d, err := t.deliveryAt(arrival)
		if err != nil {
			return false, err
		}
		gone, err := t.allClosed(ctx, &d, number, before)
		if gone {
			old = append(old, key(nil).int(arrival))
		}
		return true, err
	})
	if err != nil {
		return 0, err
	}
	for i, k := range old {
		if err := t.delete(bMessages, k); err != nil {
			return i, err
		}
	}
	return len(old), nil
}

// pruneLooseMessage deletes the message of a delivery that is about no incident.
func (t *tx) pruneLooseMessage(arrival int64, _ int) (int, error) {
	d, err := t.deliveryAt(arrival)
	if err != nil || d.State == incident.Pending {
		return 0, err // begun anew: it is noted again when it is over
	}
	k := key(nil).int(arrival)
	message, err := t.get(bMessages, k)
	if message == nil || err != nil {
		return 0, err
	}
	return 1, t.delete(bMessages, k)
}

// allClosed reports whether all incidents that a delivery is about, beside number,
// closed before a time.
func (t *tx) allClosed(ctx context.Context, d *incident.Delivery, number int64, before time.Time) (bool, error) {
	for _, other := range covered(d) {
		if other == number {
			continue
		}
		in, err := t.Incident(ctx, other)
		if errors.Is(err, incident.ErrNotFound) {
			continue
		}
		if err != nil {
			return false, err
		}
		if in.State != incident.Closed || !in.ClosedAt.Before(before) {
			return false, nil
		}
	}
	return true, nil
}
