package bolt

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"sitrep/incident"
	"sitrep/storage"
)

// checkPiece is how many values are checked in one snapshot, as one that is held for
// long lets the file grow.
const checkPiece = 5000

// Check reads all there is: each checksum, that each value is found by its key, that
// no event is missing, and that what an index names is there. The error is
// storage.ErrDamaged for the first thing that is wrong, or that of ctx. It may run
// while the store is in use.
func (db *DB) Check(ctx context.Context) error {
	return db.CheckTelling(ctx, func(int64, int64) {})
}

// CheckTelling is [DB.Check], and tells after each piece how many bytes of the store were read, of how many
// about.
func (db *DB) CheckTelling(ctx context.Context, tell func(done, total int64)) error {
	var done, total int64
	for id := range bucketCount {
		var last []byte
		for more := true; more; {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := db.failure(); err != nil {
				return err
			}
			err := db.view(func(r *reader) (err error) {
				if total == 0 {
					total = r.tx.Size() - int64(db.bolt.Stats().FreePageN)*int64(db.bolt.Info().PageSize)
				}
				var n int64
				last, n, more, err = r.check(id, last)
				done += n
				return err
			})
			if err != nil {
				return fmt.Errorf("check store %q: %w", db.path, err)
			}
			tell(done, total)
		}
	}
	return nil
}

// check looks at a piece of a bucket from a key on. It returns the key to go on from, and how many bytes the
// piece has.
func (r *reader) check(id bucketID, from []byte) (last []byte, bytesRead int64, more bool, err error) {
	n := 0
	var before []byte
	err = r.ascend(id, nil, from, func(k, v []byte) (bool, error) {
		if n++; n > checkPiece {
			last, more = bytes.Clone(k), true
			return false, nil
		}
		if before != nil && bytes.Compare(before, k) >= 0 {
			return false, wrong(id, k, "it stands in the wrong order")
		}
		before = k
		bytesRead += int64(len(k) + len(v))
		if found, err := r.get(id, k); err != nil || found == nil || !bytes.Equal(found, v) {
			return false, wrong(id, k, "it is not found by its key")
		}
		return true, r.checkValue(id, k, v)
	})
	return last, bytesRead, more, err
}

func wrong(id bucketID, k []byte, how string) error {
	return fmt.Errorf("%s %x: %s: %w", bucketNames[id], k, how, storage.ErrDamaged)
}

// checkValue looks at what a value leads to.
func (r *reader) checkValue(id bucketID, k, v []byte) error {
	there := func(in bucketID, key []byte) error {
		if addedIn[in] > r.version {
			return nil // it is older
		}
		found, err := r.get(in, key)
		if err == nil && found == nil {
			err = wrong(id, k, "what it names is missing in "+bucketNames[in])
		}
		return err
	}
	switch id {
	case bFresh:
		_, err := cutFresh(v)
		return err
	case bIncidents:
		in, err := decodeIncident(k, v)
		if err != nil {
			return err
		}
		if err := there(bIncidentTexts, key(nil).int(in.Number).int(0)); err != nil {
			return err
		}
		is := lineOf(&in)
		if err := is.keys(in.Number, func(k key) error { return there(bIncidentIndex, k) }); err != nil {
			return err
		}
		return r.checkEvents(&in)
	case bIncidentTexts:
		if intAt(k, 8) == 0 {
			return there(bIncidents, k[:8])
		}
		return there(bEvents, k)
	case bIncidentIndex:
		return there(bIncidents, k[len(k)-8:])
	case bIncidentKeys:
		return there(bIncidents, v)
	case bBreaches:
		b, err := decodeBreach(k, v)
		if err != nil {
			return err
		}
		l, found, err := r.latest(b.Fingerprint)
		switch {
		case err != nil:
			return wrong(id, k, err.Error())
		case !found && b.State != incident.BreachEnded, found && (l.ordinal < b.Ordinal || l.ordinal == b.Ordinal && b.Ordinal > 0 && !bytes.Equal(l.key(), k)):
			return wrong(id, k, "its index names another")
		}
		if headOf(&b).silent {
			return there(bBreachesSilent, append(key(nil).time(b.QuietSince()), k...))
		}
	case bBreachRecent:
		return r.checkRecent(k, v)
	case bBreachRuns:
		return r.checkRun(k, v)
	case bBreachLatest:
		return there(bBreaches, v[8:])
	case bBreachesSilent, bBreachesToAsk:
		return there(bBreaches, k[8:])
	case bSubscriptions:
		var s incident.Subscription
		if err := decode(id, k, v, &s); err != nil || s.DueAt.IsZero() {
			return err
		}
		if err := there(bDue, append(key(nil).time(s.DueAt), k...)); err != nil {
			return err
		}
		if err := there(bUrgent, urgentKey(&s)); err != nil {
			return err
		}
		return there(bRecipients, key(nil).rest(s.Recipient))
	case bDue:
		return there(bSubscriptions, k[8:])
	case bNotices:
		var n incident.Notice
		if err := decode(id, k, v, &n); err != nil || n.DueAt.IsZero() {
			return err
		}
		if err := there(bNoticesDue, append(key(nil).time(n.DueAt), k...)); err != nil {
			return err
		}
		return there(bRecipients, key(nil).rest(n.Recipient))
	case bNoticesDue:
		return there(bNotices, k[8:])
	case bDeliveries:
		d, err := r.deliveryAt(intAt(k, 0))
		if err != nil {
			return err
		}
		if arrival, err := r.arrival(d.ID); err != nil || arrival != intAt(k, 0) {
			return errors.Join(err, wrong(id, k, "it is not found by its id"))
		}
		for _, number := range d.Incidents() {
			if err := there(bDeliveryIncidents, key(nil).int(number).int(intAt(k, 0))); err != nil {
				return err
			}
		}
		for _, by := range deliveryIndex(&d) {
			if addedIn[bDeliveryIndex] > r.version {
				break
			}
			if err := there(bDeliveryIndex, by.int(intAt(k, 0))); err != nil {
				return err
			}
		}
		if d.State != incident.DeliveryPending {
			return there(bDeliveryRecords, key(bytes.Clone(k)).int(1))
		}
	case bDeliveryIDs:
		return there(bDeliveries, v)
	case bDeliveryIndex:
		return there(bDeliveries, k[len(k)-8:])
	case bLeaves:
		kind, recordKey, _, err := cutLeaf(k, v)
		if err != nil {
			return err
		}
		return there(recordBuckets[kind], recordKey)
	case bLoadings:
		record, err := storage.ParseRecord(v)
		if err != nil {
			return wrong(id, k, err.Error())
		}
		l, err := storage.DecodeLoading(record)
		if err != nil {
			return wrong(id, k, err.Error())
		}
		if l.Public != "" {
			// Of one that another followed, this form is left.
			return there(bConfigs, key(nil).text(l.Public))
		}
		return there(bConfigs, key(nil).text(l.Hash))
	}
	return nil
}

// checkEvents makes sure that an incident has all its events.
func (r *reader) checkEvents(in *incident.Incident) error {
	var last int64
	err := r.ascend(bEvents, key(nil).int(in.Number), nil, func(k, _ []byte) (bool, error) {
		if last++; intAt(k, 8) != last {
			return false, wrong(bEvents, k, fmt.Sprintf("event %d before it is missing", last))
		}
		return true, nil
	})
	if err == nil && last != in.Sequence {
		err = wrong(bIncidents, key(nil).int(in.Number), fmt.Sprintf("it has %d of %d events", last, in.Sequence))
	}
	return err
}
