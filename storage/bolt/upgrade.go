package bolt

import (
	"encoding/binary"
	"errors"
	"fmt"

	berrors "go.etcd.io/bbolt/errors"

	"sitrep/incident"
)

// upgrade brings a store of an earlier version up to this one.
func (t *tx) upgrade(from uint32) error {
	for id, since := range addedIn {
		if since > from {
			if _, err := t.reader.tx.CreateBucketIfNotExists([]byte(bucketNames[id])); err != nil {
				return err
			}
		}
	}
	// First, as the other takes all subscriptions for those of readers of incidents.
	if err := t.upgradeWatchdog(); err != nil {
		return err
	}
	if from < 2 {
		if err := t.upgradeForgetting(); err != nil {
			return err
		}
	}
	if err := t.upgradeBreaches(); err != nil {
		return err
	}
	return t.put(bMeta, formKey, binary.BigEndian.AppendUint32(nil, formVersion))
}

// upgradeBreaches finds breaches by fingerprint alone, where they were found by startsAt too,
// and notes when each incident changed last.
func (t *tx) upgradeBreaches() error {
	var fingerprints []key
	var places [][]byte
	err := t.ascend(bBreachLatest, nil, nil, func(k, v []byte) (bool, error) {
		fingerprints, places = append(fingerprints, append(key(nil), k...)), append(places, append([]byte(nil), v[8:]...))
		return true, nil
	})
	if err != nil {
		return err
	}
	for i, fp := range fingerprints {
		// Those of old files have no ordinal.
		if err := t.put(bBreachLatest, fp, append(key(nil).int(0), places[i]...)); err != nil {
			return err
		}
	}
	if err := t.tx.DeleteBucket([]byte(breachOlder)); err != nil && !errors.Is(err, berrors.ErrBucketNotFound) {
		return fmt.Errorf("delete bucket %s: %w", breachOlder, err)
	}
	var incidents []incident.Incident
	err = t.ascend(bIncidents, nil, nil, func(k, v []byte) (bool, error) {
		in, err := decodeIncident(k, v)
		incidents = append(incidents, in)
		return true, err
	})
	if err != nil {
		return err
	}
	for i := range incidents {
		in := &incidents[i]
		last, err := t.Events(in.Number, in.Sequence-1, 1)
		if err != nil {
			return err
		}
		if len(last) == 0 {
			continue // a damage that the check tells of
		}
		in.ChangedAt = last[0].Time
		if err := t.PutIncident(in); err != nil {
			return err
		}
	}
	return nil
}

// breachOlder is a bucket of versions 1 and 2: where the breaches before the latest are.
const breachOlder = "breach_older"

// upgradeForgetting brings a store of version 1, which knew of nothing to forget, up to 2.
func (t *tx) upgradeForgetting() error {
	var closed, arrivals []int64
	err := t.ascend(bIncidentStates, key(nil).byte(stateBytes[incident.Closed]), nil, func(k, _ []byte) (bool, error) {
		closed = append(closed, intAt(k, 1))
		return true, nil
	})
	if err != nil {
		return err
	}
	for _, number := range closed {
		in, err := t.Incident(number)
		if err == nil {
			err = t.expire(in.ClosedAt, number, closedPersonal)
		}
		if err != nil {
			return err
		}
	}
	if err := t.numberReaders(); err != nil {
		return err
	}
	err = t.ascend(bDeliveries, nil, nil, func(k, _ []byte) (bool, error) {
		arrivals = append(arrivals, intAt(k, 0))
		return true, nil
	})
	if err != nil {
		return err
	}
	for _, arrival := range arrivals {
		if err := t.upgradeDelivery(arrival); err != nil {
			return err
		}
	}
	return nil
}

// numberReaders gives the readers of incidents their numbers.
func (t *tx) numberReaders() error {
	var subs []incident.Subscription
	err := t.ascend(bSubscriptions, nil, nil, func(k, v []byte) (bool, error) {
		var s incident.Subscription
		err := decode(bSubscriptions, k, v, &s)
		subs = append(subs, s)
		return true, err
	})
	if err != nil {
		return err
	}
	number := 0
	for i := range subs {
		s := &subs[i]
		if number++; i == 0 || subs[i-1].Incident != s.Incident {
			number = 1
		}
		s.Reader = number
		if err := t.putJSON(bSubscriptions, key(nil).int(s.Incident).rest(s.Recipient), s); err != nil {
			return err
		}
	}
	return nil
}

// upgradeDelivery notes in a delivery which readers it is for, and what is over.
func (t *tx) upgradeDelivery(arrival int64) error {
	d, err := t.deliveryAt(arrival)
	if err != nil {
		return err
	}
	if d.State != incident.Pending && len(covered(&d)) == 0 {
		if err := t.expire(d.SettledAt, arrival, looseMessage, loosePersonal); err != nil {
			return err
		}
	}
	for i := range d.Covers {
		var s incident.Subscription
		if _, err := t.getJSON(bSubscriptions, key(nil).int(d.Covers[i].Incident).rest(d.Recipient), &s); err != nil {
			return err
		}
		d.Covers[i].Reader = s.Reader
	}
	return t.putJSON(bDeliveries, key(nil).int(arrival), &d)
}
