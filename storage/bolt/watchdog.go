package bolt

import (
	"cmp"
	"context"
	"slices"
	"time"

	"sitrep/incident"
)

func (r *reader) Pulses(_ context.Context, names ...string) (incident.Pulses, error) {
	var all incident.Pulses
	add := func(k, v []byte) (bool, error) {
		var p incident.Pulse
		err := decode(bPulses, k, v, &p)
		all = append(all, p)
		return true, err
	}
	if len(names) == 0 {
		err := r.ascend(bPulses, nil, nil, add)
		slices.SortFunc(all, func(a, b incident.Pulse) int { return cmp.Compare(a.Name, b.Name) })
		return all, err
	}
	for _, name := range distinct(names) {
		k := key(nil).text(name)
		v, err := r.get(bPulses, k)
		if err == nil && v != nil {
			_, err = add(k, v)
		}
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// distinct returns the names, each once, in order.
func distinct(names []string) []string {
	names = slices.Clone(names)
	slices.Sort(names)
	return slices.Compact(names)
}

func (t *tx) PutPulses(ctx context.Context, put []incident.Pulse, gone []string) error {
	for i := range put {
		if err := t.putJSON(bPulses, key(nil).text(put[i].Name), &put[i]); err != nil {
			return err
		}
	}
	if len(gone) == 0 {
		return nil
	}
	notices, err := t.Notices(ctx, gone...)
	if err != nil {
		return err
	}
	if err := t.PutNotices(ctx, nil, notices); err != nil {
		return err
	}
	for _, name := range gone {
		if err := t.delete(bPulses, key(nil).text(name)); err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) Notices(_ context.Context, pulses ...string) (all []incident.Notice, err error) {
	prefixes := []key{nil}
	if len(pulses) > 0 {
		prefixes = nil
		for _, name := range distinct(pulses) {
			prefixes = append(prefixes, key(nil).text(name))
		}
	}
	for _, prefix := range prefixes {
		err := r.ascend(bNotices, prefix, nil, func(k, v []byte) (bool, error) {
			var n incident.Notice
			err := decode(bNotices, k, v, &n)
			all = append(all, n)
			return true, err
		})
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

func noticeKey(n *incident.Notice) key { return key(nil).text(n.Pulse).rest(n.Recipient) }

func (t *tx) PutNotices(_ context.Context, put, gone []incident.Notice) error {
	for i := range put {
		n := &put[i]
		var old incident.Notice
		if _, err := t.getJSON(bNotices, noticeKey(n), &old); err != nil {
			return err
		}
		if err := t.putJSON(bNotices, noticeKey(n), n); err != nil {
			return err
		}
		if err := t.moveNotice(n, old.DueAt, n.DueAt); err != nil {
			return err
		}
	}
	for i := range gone {
		n := &gone[i]
		if err := t.delete(bNotices, noticeKey(n)); err != nil {
			return err
		}
		if err := t.moveNotice(n, n.DueAt, time.Time{}); err != nil {
			return err
		}
	}
	return nil
}

// moveNotice keeps when a notice is due, and its recipient's place in the queue.
func (t *tx) moveNotice(n *incident.Notice, from, to time.Time) error {
	if from.Equal(to) {
		return nil
	}
	if err := t.indexNotice(n, from, to); err != nil {
		return err
	}
	return t.changeRecipient(n.Recipient, func(*recipient) {})
}

// indexNotice keeps when a notice is due.
func (t *tx) indexNotice(n *incident.Notice, from, to time.Time) error {
	due := func(at time.Time) key { return append(key(nil).time(at), noticeKey(n)...) }
	if err := t.move(bNoticesDue, from, to, due, nil); err != nil {
		return err
	}
	recipientDue := func(at time.Time) key { return key(nil).text(n.Recipient).time(at).rest(n.Pulse) }
	return t.move(bRecipientNotices, from, to, recipientDue, nil)
}
