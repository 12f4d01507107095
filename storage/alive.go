package storage

import (
	"time"

	"sitrep/ledger"
)

// lastLeaves is how many leaves from the end LastAlive looks at.
const lastLeaves = 32

// LastAlive returns when the service was last known to run: what it noted each minute
// or, if that is later, what it recorded since; zero if never. That a configuration came
// into force does not count, as that is recorded before anything else after a start.
func LastAlive(r Reader) (time.Time, error) {
	alive, err := r.Alive()
	if err != nil {
		return alive, err
	}
	size, err := r.LogSize()
	if err != nil {
		return alive, err
	}
	leaves, err := r.Leaves(max(size-lastLeaves, 0), lastLeaves)
	if err != nil {
		return alive, err
	}
	for _, l := range leaves {
		var at time.Time
		switch l.Kind {
		case ledger.Event:
			e, err := DecodeEvent(l.Record)
			if err != nil {
				return alive, err
			}
			at = e.Time
		case ledger.Delivery:
			d, _, err := DecodeDelivery(l.Record)
			if err != nil {
				return alive, err
			}
			at = d.SettledAt
		}
		if at.After(alive) {
			alive = at
		}
	}
	return alive, nil
}
