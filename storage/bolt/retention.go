package bolt

import (
	"bytes"
	"context"
	"strconv"
	"time"

	"sitrep/incident"
	"sitrep/storage"
)

// forgottenKey is where the key of the latest loading of a configuration is kept that was
// forgotten.
var forgottenKey = []byte("forgotten_loadings")

// expire notes that something is over, so that in time it goes.
func (t *tx) expire(at time.Time, number int64, what ...storage.Expiry) error {
	for _, w := range what {
		if err := t.put(bClosed, expiredKey(&storage.Expired{What: w, Since: at, Number: number}), nil); err != nil {
			return err
		}
	}
	return nil
}

func expiredKey(e *storage.Expired) key {
	return key(nil).byte(byte(e.What)).time(e.Since).int(e.Number)
}

func (r *reader) Expired(_ context.Context, what storage.Expiry, before time.Time, limit int) (all []storage.Expired, err error) {
	err = r.ascend(bClosed, key(nil).byte(byte(what)), nil, func(k, v []byte) (bool, error) {
		e := storage.Expired{What: what, Since: timeAt(k, 1), Number: intAt(k, 9), Stage: cutStage(v)}
		if len(all) >= limit || !e.Since.Before(before) {
			return false, nil
		}
		var err error
		if what == storage.ExpiryWatchdogMessage || what == storage.ExpiryWatchdogPeople {
			e.Delivery, err = r.deliveryAt(e.Number)
		}
		all = append(all, e)
		return true, err
	})
	return all, err
}

// cutStage returns a stage as it is stored: the event, the arrival of the delivery, and
// whether something was left out. Nothing is stored of none.
func cutStage(b []byte) (s storage.Stage) {
	if len(b) != 17 {
		return s
	}
	s.Event, s.Again = intAt(b, 0), b[16] == 1
	if arrival := intAt(b, 8); arrival > 0 {
		s.Delivery = strconv.FormatInt(arrival, 10)
	}
	return s
}

func stageBytes(s storage.Stage) (_ []byte, err error) {
	if s == (storage.Stage{}) {
		return nil, nil
	}
	var arrival int64
	if s.Delivery != "" {
		arrival, err = parseCursor(s.Delivery)
	}
	again := byte(0)
	if s.Again {
		again = 1
	}
	return key(nil).int(s.Event).int(arrival).byte(again), err
}

func (t *tx) NoteExpired(_ context.Context, done, left []storage.Expired) error {
	for i := range done {
		if err := t.delete(bClosed, expiredKey(&done[i])); err != nil {
			return err
		}
	}
	for i := range left {
		stage, err := stageBytes(left[i].Stage)
		if err == nil {
			err = t.put(bClosed, expiredKey(&left[i]), stage)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) DeleteBreaches(_ context.Context, numbers []int64, heardBefore time.Time, limit int) (n int, err error) {
	for _, number := range numbers {
		var places []place
		var list []incident.Breach
		err := t.ascend(bBreaches, key(nil).int(number), nil, func(k, v []byte) (bool, error) {
			if n+len(list) >= limit {
				return false, nil
			}
			b, err := decodeBreach(k, v)
			if err != nil || !heardBefore.IsZero() && !latestOf(b.StartsAt, b.HeardAt, b.EndHeardAt).Before(heardBefore) {
				return false, err
			}
			places, list = append(places, place{number, intAt(k, 8)}), append(list, b)
			return true, nil
		})
		if err != nil {
			return n, err
		}
		for i := range list {
			if err := t.deleteBreach(places[i], &list[i]); err != nil {
				return n, err
			}
			n++
		}
	}
	return n, nil
}

func (t *tx) DeleteMessages(_ context.Context, deliveries []string) (n int, err error) {
	for _, id := range deliveries {
		arrival, err := t.arrival(id)
		if err != nil {
			return n, err
		}
		k := key(nil).int(arrival)
		message, err := t.get(bMessages, k)
		if err != nil {
			return n, err
		}
		if message == nil {
			continue
		}
		if err := t.delete(bMessages, k); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

func (t *tx) ForgetEvents(_ context.Context, number, after int64, limit int) (last int64, err error) {
	n := 0
	last = after
	err = t.forgetRecords(bEvents, key(nil).int(number), key(nil).int(number).int(after+1), func(k []byte) bool {
		if n++; n > limit {
			return false
		}
		last = intAt(k, 8)
		return true
	})
	if err != nil {
		return last, err
	}
	// In what they are found by, too.
	var texts []key
	err = t.ascend(bIncidentTexts, key(nil).int(number), key(nil).int(number).int(after+1), func(k, _ []byte) (bool, error) {
		if intAt(k, 8) > last {
			return false, nil
		}
		texts = append(texts, bytes.Clone(k))
		return true, nil
	})
	for _, k := range texts {
		if err != nil {
			return last, err
		}
		var stored []byte
		if stored, err = t.get(bEvents, k); err == nil {
			err = t.keepText(k, stored)
		}
	}
	return last, err
}

// forgetRecords drops what stands beside the leaves of records, from a key on, while
// look returns true for their keys.
func (t *tx) forgetRecords(id bucketID, prefix, from []byte, look func(k []byte) bool) error {
	var keys []key
	var records []storage.Record
	err := t.ascend(id, prefix, from, func(k, v []byte) (bool, error) {
		if !look(k) {
			return false, nil
		}
		record, err := storage.ParseRecord(v)
		if err == nil && record.Salt != nil {
			keys, records = append(keys, bytes.Clone(k)), append(records, record)
		}
		return true, err
	})
	for i := range records {
		if err != nil {
			return err
		}
		records[i].Forget()
		t.scrap = storage.AppendRecord(t.scrap[:0], records[i])
		err = t.put(id, keys[i], t.scrap)
	}
	return err
}

func (t *tx) ForgetDeliveries(ctx context.Context, all []incident.Delivery) error {
	for _, d := range all {
		arrival, err := t.arrival(d.ID)
		if err != nil {
			return err
		}
		k := key(nil).int(arrival)
		if err := t.forgetRecords(bDeliveryRecords, k, nil, func([]byte) bool { return true }); err != nil {
			return err
		}
		records, err := storage.DeliveryRecords(ctx, t, d.ID)
		if err != nil {
			return err
		}
		if len(records) == 0 {
			return wrong(bDeliveries, k, "it has no record")
		}
		was := d
		if err := storage.ForgetDelivery(&d, records[len(records)-1]); err != nil {
			return err
		}
		if err := t.putJSON(bDeliveries, k, &d); err != nil {
			return err
		}
		if err := t.reindexDelivery(arrival, &was, &d); err != nil {
			return err
		}
		if err := t.delete(bMessages, k); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) DeleteRecipients(_ context.Context, recipients []string, before time.Time) (claimed map[string]bool, err error) {
	if err := t.flushRecipients(); err != nil {
		return nil, err
	}
	claimed = map[string]bool{}
	for _, id := range recipients {
		p, err := t.recipient(id)
		switch {
		case err != nil:
			return nil, err
		case !p.Next.IsZero():
		case p.Owner != "" && !p.Until.Before(before):
			claimed[id] = true
		default:
			if err := t.delete(bRecipients, key(nil).rest(id)); err != nil {
				return nil, err
			}
		}
	}
	return claimed, nil
}

func (r *reader) RememberedLoadings(context.Context) (all []storage.Loading, err error) {
	from, err := r.remembered()
	if err != nil {
		return nil, err
	}
	err = r.ascend(bLoadings, nil, from, func(_, v []byte) (bool, error) {
		record, err := storage.ParseRecord(v)
		if err != nil {
			return false, err
		}
		l, err := storage.DecodeLoading(record)
		all = append(all, l)
		return true, err
	})
	return all, err
}

// remembered returns the key from which on loadings were not forgotten.
func (r *reader) remembered() (key, error) {
	last, err := r.get(bMeta, forgottenKey)
	if last == nil || err != nil {
		return nil, err
	}
	return append(bytes.Clone(last), 0), nil
}

func (t *tx) ForgetLoadings(_ context.Context, n int, forms []string) error {
	from, err := t.remembered()
	if err != nil {
		return err
	}
	var last key
	err = t.forgetRecords(bLoadings, nil, from, func(k []byte) bool {
		if n--; n < 0 {
			return false
		}
		last = bytes.Clone(k)
		return true
	})
	if err != nil {
		return err
	}
	for _, hash := range forms {
		if err := t.delete(bConfigs, key(nil).text(hash)); err != nil {
			return err
		}
	}
	if last == nil {
		return nil
	}
	return t.put(bMeta, forgottenKey, last)
}

func (t *tx) DeleteJournal(_ context.Context, before time.Time, limit int) (int, error) {
	old, err := t.keys(bRefusals, limit, func(k, v []byte) (bool, error) {
		var r storage.Refusal
		err := decode(bRefusals, k, v, &r)
		return err == nil && r.At.Before(before), err
	})
	if err != nil {
		return 0, err
	}
	for _, k := range old {
		if err := t.delete(bRefusals, k); err != nil {
			return 0, err
		}
	}
	n, err := t.sweepAnswers(before, limit-len(old))
	return len(old) + n, err
}
