package bolt

import (
	"bytes"
	"context"
	"math"
	"time"

	"sitrep/incident"
	"sitrep/storage"
)

// forgetAgain is how long what something is still owed to is left alone.
const forgetAgain = 24 * time.Hour

// forgottenKey is where it is kept which loadings of configurations were forgotten.
var forgottenKey = []byte("forgotten_loadings")

// A forgetting drops what is personal from before a time, in one transaction.
type forgetting struct {
	*tx
	before time.Time
	left   int // how many things may still be looked at
}

func (t *tx) Forget(ctx context.Context, before time.Time, limit int) (more bool, err error) {
	if before.IsZero() {
		return false, nil
	}
	f := &forgetting{tx: t, before: before, left: limit}
	for _, step := range []func(context.Context) error{f.incidents, f.loose, f.watchdog, f.configs, f.refusals} {
		if err := step(ctx); err != nil {
			return false, err
		}
	}
	swept, err := t.sweepAnswers(before)
	return f.left <= 0 || swept == answerSweep, err
}

// A stage is how far an incident is forgotten: up to which event, and up to which
// delivery. Again is set if something was left out.
type stage struct {
	event, arrival int64
	again          bool
}

func cutStage(b []byte) (s stage) {
	if len(b) == 17 {
		s = stage{intAt(b, 0), intAt(b, 8), b[16] == 1}
	}
	return s
}

func (s stage) bytes() []byte {
	again := byte(0)
	if s.again {
		again = 1
	}
	return key(nil).int(s.event).int(s.arrival).byte(again)
}

// incidents forgets the people of incidents that closed before.
func (f *forgetting) incidents(ctx context.Context) error {
	for f.left > 0 {
		first, value, err := f.nextOver(closedPersonal, f.before)
		if err != nil || first == nil {
			return err
		}
		number, s := intAt(first, 9), cutStage(value)
		done, err := f.incident(ctx, number, &s)
		if err != nil {
			return err
		}
		if !done {
			return f.put(bClosed, first, s.bytes())
		}
		f.left--
		if err := f.delete(bClosed, first); err != nil {
			return err
		}
		if s.again {
			if err := f.expire(f.before.Add(forgetAgain), number, closedPersonal); err != nil {
				return err
			}
		}
	}
	return nil
}

// incident forgets the people of one, and reports whether that is done. The state comes
// first, so that it names nobody whom the events do not.
func (f *forgetting) incident(ctx context.Context, number int64, s *stage) (done bool, err error) {
	if *s == (stage{}) {
		in, err := f.Incident(ctx, number)
		if err != nil {
			return false, err
		}
		in.Forget()
		if err := f.putIncident(&in); err != nil {
			return false, err
		}
	}
	if done, err := f.events(number, s); err != nil || !done {
		return false, err
	}
	if done, err := f.deliveries(ctx, number, s); err != nil || !done {
		return false, err
	}
	return true, f.readers(number, s)
}

func (f *forgetting) events(number int64, s *stage) (done bool, err error) {
	if s.event == math.MaxInt64 {
		return true, nil
	}
	done = true
	err = f.forgetRecords(bEvents, key(nil).int(number), key(nil).int(number).int(s.event+1), func(k []byte) bool {
		if f.left <= 0 {
			done = false
			return false
		}
		f.left--
		s.event = intAt(k, 8)
		return true
	})
	if done {
		s.event = math.MaxInt64
	}
	return done, err
}

func (f *forgetting) deliveries(ctx context.Context, number int64, s *stage) (done bool, err error) {
	var arrivals []int64
	done = true
	err = f.ascend(bDeliveryIncidents, key(nil).int(number), key(nil).int(number).int(s.arrival+1), func(k, _ []byte) (bool, error) {
		if f.left <= 0 {
			done = false
			return false, nil
		}
		f.left--
		s.arrival = intAt(k, 8)
		arrivals = append(arrivals, s.arrival)
		return true, nil
	})
	if err != nil {
		return false, err
	}
	for _, arrival := range arrivals {
		d, err := f.deliveryAt(arrival)
		if err != nil {
			return false, err
		}
		if d.State == incident.Pending {
			s.again = true
			continue
		}
		// A digest is forgotten with the last of its incidents.
		all, err := f.allClosed(ctx, &d, number, f.before)
		if err != nil {
			return false, err
		}
		if all {
			if err := f.delivery(ctx, arrival, &d); err != nil {
				return false, err
			}
		}
	}
	return done, nil
}

// delivery forgets to whom a message went, and the message.
func (f *forgetting) delivery(ctx context.Context, arrival int64, d *incident.Delivery) error {
	k := key(nil).int(arrival)
	if err := f.forgetRecords(bDeliveryRecords, k, nil, func([]byte) bool { return true }); err != nil {
		return err
	}
	recipient := d.Recipient
	records, err := f.DeliveryRecords(ctx, d.ID)
	if err != nil {
		return err
	}
	if len(records) == 0 {
		return wrong(bDeliveries, k, "it has no record")
	}
	if err := storage.ForgetDelivery(d, records[len(records)-1]); err != nil {
		return err
	}
	if err := f.putJSON(bDeliveries, k, d); err != nil {
		return err
	}
	if err := f.delete(bMessages, k); err != nil {
		return err
	}
	_, err = f.recipient(recipient)
	return err
}

// readers forgets who the readers of an incident were. What they were told stays.
func (f *forgetting) readers(number int64, s *stage) error {
	subs, err := f.subscriptions(number)
	if err != nil {
		return err
	}
	for i := range subs {
		sub := &subs[i]
		recipient := sub.Recipient
		switch {
		case sub.Forgotten():
			continue
		case !sub.DueAt.IsZero():
			s.again = true
			continue
		}
		wait, err := f.recipient(recipient)
		if err != nil {
			return err
		}
		if wait {
			s.again = true
			continue
		}
		if err := f.delete(bSubscriptions, key(nil).int(number).rest(recipient)); err != nil {
			return err
		}
		sub.Forget()
		if err := f.putJSON(bSubscriptions, key(nil).int(number).rest(sub.Recipient), sub); err != nil {
			return err
		}
	}
	f.left -= len(subs)
	return nil
}

// recipient forgets what the queue knows of a recipient to whom nothing is owed: that is
// of use while something is. It reports whether that has to wait, as somebody claims it.
func (f *forgetting) recipient(id string) (wait bool, err error) {
	p, err := f.reader.recipient(id)
	switch {
	case err != nil || !p.Next.IsZero():
		return false, err
	case p.Owner != "" && !p.Until.Before(f.before):
		return true, nil
	}
	return false, f.delete(bRecipients, key(nil).rest(id))
}

// loose forgets to whom messages went that are about no incident.
func (f *forgetting) loose(ctx context.Context) error {
	for f.left > 0 {
		first, _, err := f.nextOver(loosePersonal, f.before)
		if err != nil || first == nil {
			return err
		}
		f.left--
		arrival := intAt(first, 9)
		d, err := f.deliveryAt(arrival)
		if err != nil {
			return err
		}
		if d.State != incident.Pending { // else it was begun anew, and is noted again when it is over
			if err := f.delivery(ctx, arrival, &d); err != nil {
				return err
			}
		}
		if err := f.delete(bClosed, first); err != nil {
			return err
		}
	}
	return nil
}

// watchdog forgets readers of the watchdog who were told nothing since before, and
// are owed nothing: whoever is to be told again becomes a reader again.
func (f *forgetting) watchdog(context.Context) error {
	notices, err := f.notices(nil)
	if err != nil {
		return err
	}
	for i := range notices {
		n := &notices[i]
		if !n.DueAt.IsZero() || !n.ToldAt.Before(f.before) {
			continue
		}
		wait, err := f.recipient(n.Recipient)
		if err != nil {
			return err
		}
		if wait {
			continue
		}
		if err := f.deleteNotice(n); err != nil {
			return err
		}
	}
	return nil
}

// configs forgets who loaded configurations that another followed before, and their
// whole form unless they were loaded again since.
func (f *forgetting) configs(context.Context) error {
	from, err := f.get(bMeta, forgottenKey)
	if err != nil {
		return err
	}
	var over []storage.Loading
	var loaded storage.Loading // the one before
	var at, last key           // of the one before, and of the last in over
	err = f.eachLoading(from, func(k []byte, l storage.Loading) bool {
		if at != nil {
			if f.left <= 0 || !l.At.Before(f.before) {
				return false
			}
			f.left--
			over, last = append(over, loaded), at
		}
		at, loaded = bytes.Clone(k), l
		return true
	})
	if err != nil || over == nil {
		return err
	}
	later := map[string]bool{}
	if err := f.eachLoading(last, func(_ []byte, l storage.Loading) bool { later[l.Hash] = true; return true }); err != nil {
		return err
	}
	if err := f.forgetRecords(bLoadings, nil, from, func(k []byte) bool { return bytes.Compare(k, last) <= 0 }); err != nil {
		return err
	}
	for _, l := range over {
		// One that names nobody is its own public form.
		if l.Public != "" && l.Public != l.Hash && !later[l.Hash] {
			if err := f.delete(bConfigs, key(nil).text(l.Hash)); err != nil {
				return err
			}
		}
	}
	return f.put(bMeta, forgottenKey, last)
}

// eachLoading calls fn for the loadings after the one with a key, the earliest first,
// while it returns true.
func (r *reader) eachLoading(after []byte, fn func(k []byte, l storage.Loading) bool) error {
	return r.ascend(bLoadings, nil, after, func(k, v []byte) (bool, error) {
		if bytes.Equal(k, after) {
			return true, nil
		}
		record, err := storage.ParseRecord(v)
		if err != nil {
			return false, err
		}
		l, err := storage.DecodeLoading(record)
		return err == nil && fn(k, l), err
	})
}

// refusals forgets from whom posts came that were refused before.
func (f *forgetting) refusals(context.Context) error {
	var old []key
	err := f.ascend(bRefusals, nil, nil, func(k, v []byte) (bool, error) {
		var r storage.Refusal
		err := decode(bRefusals, k, v, &r)
		if err != nil || !r.At.Before(f.before) {
			return false, err
		}
		old = append(old, bytes.Clone(k))
		return true, nil
	})
	for _, k := range old {
		if err == nil {
			err = f.delete(bRefusals, k)
		}
	}
	return err
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
