package bolt

import (
	"errors"
	"time"

	"sitrep/incident"
)

func (t *tx) Prune(breaches, messages time.Time, limit int) (int, error) {
	n, err := t.pruneClosed(closedBreaches, breaches, limit, t.pruneBreaches)
	if err != nil {
		return n, err
	}
	m, err := t.pruneLoose(breaches, limit-n)
	if n += m; err != nil {
		return n, err
	}
	m, err = t.pruneClosed(closedMessages, messages, limit-n, func(number int64, limit int) (int, error) {
		return t.pruneMessages(number, messages, limit)
	})
	return n + m, err
}

// pruneClosed calls prune for the incidents that closed before a time, until limit
// things are deleted. An incident that has no more of them is done.
func (t *tx) pruneClosed(what byte, before time.Time, limit int, prune func(number int64, limit int) (int, error)) (int, error) {
	total := 0
	for total < limit && !before.IsZero() {
		var first key
		err := t.ascend(bClosed, key(nil).byte(what), nil, func(k, _ []byte) (bool, error) {
			if timeAt(k, 1).Before(before) {
				first = append(first, k...)
			}
			return false, nil
		})
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
func (t *tx) pruneMessages(number int64, before time.Time, limit int) (int, error) {
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
		gone, err := t.allClosed(arrival, number, before)
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

// allClosed reports whether all incidents that a delivery is about, beside number,
// closed before a time.
func (t *tx) allClosed(arrival, number int64, before time.Time) (bool, error) {
	d, err := t.deliveryAt(arrival)
	if err != nil {
		return false, err
	}
	for _, other := range covered(&d) {
		if other == number {
			continue
		}
		in, err := t.Incident(other)
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
