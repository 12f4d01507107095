package bolt

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"sitrep/incident"
	"sitrep/storage"
)

// upgradePiece is how many incidents are brought up in one transaction.
const upgradePiece = 1000

// oldLists are the buckets that listed and counted incidents up to version 3.
var oldLists = []string{"incident_states", "open_counts"}

// upgrade brings a store of an earlier version up to this one, version by version. What may be
// much is done in pieces; what is done of that is no harm if it ends in between, and is done again.
func (db *DB) upgrade(ctx context.Context) error {
	from := db.version
	if from < 4 {
		if err := db.inPieces(ctx, from, (*tx).upgradeLists); err != nil {
			return err
		}
		if err := db.bolt.Update(func(btx *bbolt.Tx) error { return newTx(btx).upgrade(ctx, from) }); err != nil {
			return err
		}
	}
	if from < 5 {
		if err := db.upgradeLatest(ctx, 5, db.upgrading); err != nil {
			return err
		}
	}
	if from < 6 {
		if err := db.inPieces(ctx, from, (*tx).upgradeDeliveryIndex); err != nil {
			return err
		}
	}
	if from < 7 {
		if err := db.inPieces(ctx, from, (*tx).upgradeUrgent); err != nil {
			return err
		}
	}
	// Configurations that are there stay as they are: both forms are read.
	err := db.bolt.Update(func(btx *bbolt.Tx) error {
		if err := dropBucket(btx, bucketNames[bRecipientDue]); err != nil {
			return err
		}
		t := newTx(btx)
		if err := t.addBuckets(from); err != nil {
			return err
		}
		return t.setVersion(formVersion)
	})
	if err == nil {
		db.version = formVersion
	}
	return err
}

// inPieces does a piece after the other, each from the number on that the one before got to.
func (db *DB) inPieces(ctx context.Context, from uint32, piece func(t *tx, ctx context.Context, above int64) (last int64, more bool, err error)) error {
	last := int64(0)
	for more := true; more; {
		err := db.bolt.Update(func(btx *bbolt.Tx) (err error) {
			t := newTx(btx)
			if err := t.addBuckets(from); err != nil {
				return err
			}
			last, more, err = piece(t, ctx, last)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) setVersion(v uint32) error {
	return t.put(bMeta, formKey, binary.BigEndian.AppendUint32(nil, v))
}

// addBuckets makes the buckets that a store of an earlier version does not have.
func (t *tx) addBuckets(from uint32) error {
	for id, since := range addedIn {
		if since > from {
			if _, err := t.reader.tx.CreateBucketIfNotExists([]byte(bucketNames[id])); err != nil {
				return err
			}
		}
	}
	return nil
}

// upgradeLists lets incidents above a number be listed and searched, and returns the last one
// that it got to.
func (t *tx) upgradeLists(ctx context.Context, above int64) (last int64, more bool, err error) {
	if err := ctx.Err(); err != nil {
		return 0, false, err
	}
	var incidents []incident.Incident
	err = t.ascend(bIncidents, nil, key(nil).int(above+1), func(k, v []byte) (bool, error) {
		if more = len(incidents) == upgradePiece; more {
			return false, nil
		}
		in, err := decodeIncident(k, v)
		incidents = append(incidents, in)
		return true, err
	})
	for i := range incidents {
		if err != nil {
			return 0, false, err
		}
		last = incidents[i].Number
		if _, err = t.listIncident(&incidents[i]); err == nil {
			err = t.upgradeTexts(last)
		}
	}
	return last, more, err
}

// upgradeTexts keeps what people wrote in the events of an incident for the search.
func (t *tx) upgradeTexts(number int64) error {
	return t.ascend(bEvents, key(nil).int(number), nil, func(k, v []byte) (bool, error) {
		if !mayHaveText(v) {
			return true, nil
		}
		return true, t.keepText(k, v)
	})
}

// mayHaveText reports whether people may have written something in an event, of its leaf or its
// record.
func mayHaveText(b []byte) bool {
	return bytes.Contains(b, []byte(`"reason":`)) || bytes.Contains(b, []byte(`"message":`)) || bytes.Contains(b, []byte(`"escalated_to":`))
}

// upgradeDeliveryIndex lets deliveries above an arrival be found by address, group and due time,
// and returns the last one that it got to.
func (t *tx) upgradeDeliveryIndex(ctx context.Context, above int64) (last int64, more bool, err error) {
	if err := ctx.Err(); err != nil {
		return 0, false, err
	}
	n := 0
	err = t.ascend(bDeliveries, nil, key(nil).int(above+1), func(k, _ []byte) (bool, error) {
		if more = n == upgradePiece; more {
			return false, nil
		}
		n++
		last = intAt(k, 0)
		d, err := t.briefAt(last, 0)
		if err != nil {
			return false, err
		}
		return true, t.reindexDelivery(last, nil, &d)
	})
	return last, more, err
}

// upgrade does the rest in one transaction.
func (t *tx) upgrade(ctx context.Context, from uint32) error {
	if from < 3 {
		// First, as the other takes all subscriptions for those of readers of incidents.
		if err := t.upgradeWatchdog(ctx); err != nil {
			return err
		}
		if from < 2 {
			if err := t.upgradeForgetting(); err != nil {
				return err
			}
		}
		if err := t.upgradeBreaches(ctx); err != nil {
			return err
		}
	}
	for _, name := range oldLists {
		if err := dropBucket(t.tx, name); err != nil {
			return err
		}
	}
	if err := t.flush(); err != nil {
		return err
	}
	return t.setVersion(4)
}

// dropBucket deletes a bucket, if it is there.
func dropBucket(btx *bbolt.Tx, name string) error {
	if err := btx.DeleteBucket([]byte(name)); err != nil && !errors.Is(err, berrors.ErrBucketNotFound) {
		return fmt.Errorf("delete bucket %s: %w", name, err)
	}
	return nil
}

// upgradeUrgent lets what is due about incidents above a number be found by its urgency, and
// returns the last one that it got to.
func (t *tx) upgradeUrgent(ctx context.Context, above int64) (last int64, more bool, err error) {
	if err := ctx.Err(); err != nil {
		return 0, false, err
	}
	n := 0
	err = t.ascend(bSubscriptions, nil, key(nil).int(above+1), func(k, v []byte) (bool, error) {
		number := intAt(k, 0)
		if more = n >= upgradePiece && number != last; more {
			return false, nil
		}
		n++
		last = number
		var s incident.Subscription
		if err := decode(bSubscriptions, k, v, &s); err != nil || s.DueAt.IsZero() {
			return err == nil, err
		}
		return true, t.put(bUrgent, urgentKey(&s), nil)
	})
	return last, more, err
}

// upgradeBreaches finds breaches by fingerprint alone, where they were found by startsAt too,
// and notes when each incident changed last.
func (t *tx) upgradeBreaches(ctx context.Context) error {
	older := map[string][]place{} // by fingerprint
	if old := t.tx.Bucket([]byte(breachOlder)); old != nil {
		err := old.ForEach(func(k, v []byte) error {
			if len(k) < 8 || len(v) != sumSize+16 {
				return fmt.Errorf("read %s %x: malformed: %w", breachOlder, k, storage.ErrDamaged)
			}
			fp := string(k[:len(k)-8])
			older[fp] = append(older[fp], place{intAt(v, sumSize), intAt(v, sumSize+8)})
			return nil
		})
		if err != nil {
			return err
		}
		if err := t.tx.DeleteBucket([]byte(breachOlder)); err != nil {
			return fmt.Errorf("delete bucket %s: %w", breachOlder, err)
		}
	}
	if err := t.numberLatest(older); err != nil {
		return err
	}
	if err := t.upgradeChangedAt(ctx); err != nil {
		return err
	}
	for _, places := range older {
		for _, p := range places {
			if err := t.endOlder(ctx, p); err != nil {
				return err
			}
		}
	}
	return nil
}

// numberLatest notes an ordinal where the latest breach of each fingerprint is found:
// 0, or 1 where there are older ones, so that those are told apart.
func (t *tx) numberLatest(older map[string][]place) error {
	var fingerprints []key
	var places []place
	err := t.ascend(bBreachLatest, nil, nil, func(k, v []byte) (bool, error) {
		fingerprints, places = append(fingerprints, append(key(nil), k...)), append(places, place{intAt(v, 8), intAt(v, 16)})
		return true, nil
	})
	if err != nil {
		return err
	}
	for i, fp := range fingerprints {
		p, ordinal := places[i], int64(0)
		if others := older[string(fp)]; len(others) > 0 {
			b, err := t.at(p)
			if err != nil {
				return err
			}
			for k := 0; k < len(others) && b.State == incident.BreachEnded; k++ {
				// A clock was wrong when the latest began, and what began since goes on.
				other, err := t.at(others[k])
				if err != nil {
					return err
				}
				if other.State != incident.BreachEnded {
					p, others[k], b = others[k], p, other
				}
			}
			ordinal = 1
			b.Ordinal = ordinal
			if err := t.putBreachAt(p, headOf(&b), &b); err != nil {
				return err
			}
		}
		if err := t.put(bBreachLatest, fp, key(nil).int(ordinal).int(p.number).int(p.arrival)); err != nil {
			return err
		}
	}
	return nil
}

// upgradeChangedAt notes when each incident changed last.
func (t *tx) upgradeChangedAt(ctx context.Context) error {
	var incidents []incident.Incident
	err := t.ascend(bIncidents, nil, nil, func(k, v []byte) (bool, error) {
		in, err := decodeIncident(k, v)
		incidents = append(incidents, in)
		return true, err
	})
	if err != nil {
		return err
	}
	for i := range incidents {
		in := &incidents[i]
		last, err := storage.EventsOf(ctx, t, in.Number, in.Sequence-1, 1)
		if err != nil {
			return err
		}
		if len(last) == 0 {
			continue // a damage that the check tells of
		}
		in.ChangedAt = last[0].Time
		if err := t.putIncident(in); err != nil {
			return err
		}
	}
	return nil
}

// endOlder ends a breach that is not the latest of its fingerprint, if it had not ended:
// nothing that is heard concerns it any more.
func (t *tx) endOlder(ctx context.Context, p place) error {
	b, err := t.at(p)
	if err != nil {
		return err
	}
	if b.State == incident.BreachEnded && b.AskAt.IsZero() {
		return nil
	}
	was := headOf(&b)
	b.Supersede()
	if b.State != incident.BreachEnded && b.Incident != 0 {
		in, err := storage.IncidentOf(ctx, t, b.Incident)
		for err == nil && in.MergedInto != 0 {
			in, err = storage.IncidentOf(ctx, t, in.MergedInto)
		}
		if err != nil {
			return err
		}
		events := in.EndUnseen(incident.Stamp{At: in.ChangedAt, Actor: incident.ActorScheduler}, &b)
		for _, e := range events {
			if err := in.Apply(e); err != nil {
				return err
			}
		}
		if err := t.putIncident(&in); err != nil {
			return err
		}
		if err := t.AppendEvents(ctx, events); err != nil {
			return err
		}
		agenda, err := t.agenda(in.Number)
		if err != nil {
			return err
		}
		agenda.Incident, agenda.NextAt = in.Number, in.ChangedAt
		if err := t.PutAgendas(ctx, []incident.Agenda{agenda}); err != nil {
			return err
		}
	}
	h := headOf(&b)
	if err := t.putBreachAt(p, h, &b); err != nil {
		return err
	}
	return t.indexBreach(p, p, was, h)
}

// breachOlder is a bucket of versions 1 and 2: where the breaches before the latest are.
const breachOlder = "breach_older"

// upgradeForgetting brings a store of version 1, which knew of nothing to forget, up to 2.
func (t *tx) upgradeForgetting() error {
	var arrivals []int64
	err := t.ascend(bIncidents, nil, nil, func(k, v []byte) (bool, error) {
		in, err := decodeIncident(k, v)
		if err == nil && in.State == incident.StateClosed {
			err = t.expire(in.ClosedAt, in.Number, storage.ExpiryPeople)
		}
		return true, err
	})
	if err != nil {
		return err
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
	if d.State != incident.DeliveryPending && len(d.Incidents()) == 0 {
		if err := t.expire(d.FinishedAt, arrival, storage.ExpiryWatchdogMessage, storage.ExpiryWatchdogPeople); err != nil {
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
