package bolt

import (
	"cmp"
	"context"
	"slices"
	"time"

	"sitrep/incident"
)

func (r *reader) Pulse(_ context.Context, name string) (incident.Pulse, error) {
	p := incident.Pulse{Name: name}
	_, err := r.getJSON(bPulses, key(nil).text(name), &p)
	return p, err
}

func (r *reader) Pulses(_ context.Context) (incident.Pulses, error) {
	var all incident.Pulses
	err := r.ascend(bPulses, nil, nil, func(k, v []byte) (bool, error) {
		var p incident.Pulse
		err := decode(bPulses, k, v, &p)
		all = append(all, p)
		return true, err
	})
	slices.SortFunc(all, func(a, b incident.Pulse) int { return cmp.Compare(a.Name, b.Name) })
	return all, err
}

func (t *tx) PutPulse(_ context.Context, p incident.Pulse) error {
	return t.putJSON(bPulses, key(nil).text(p.Name), p)
}

func (t *tx) DeletePulse(ctx context.Context, name string) error {
	notices, err := t.Notices(ctx, name)
	if err != nil {
		return err
	}
	if err := t.DeleteNotices(ctx, notices); err != nil {
		return err
	}
	return t.delete(bPulses, key(nil).text(name))
}

func (r *reader) Notices(_ context.Context, pulse string) ([]incident.Notice, error) {
	return r.notices(key(nil).text(pulse))
}

// notices returns those whose keys begin with prefix.
func (r *reader) notices(prefix key) ([]incident.Notice, error) {
	var all []incident.Notice
	err := r.ascend(bNotices, prefix, nil, func(k, v []byte) (bool, error) {
		var n incident.Notice
		err := decode(bNotices, k, v, &n)
		all = append(all, n)
		return true, err
	})
	return all, err
}

func noticeKey(n *incident.Notice) key { return key(nil).text(n.Pulse).rest(n.Recipient) }

func (t *tx) PutNotices(_ context.Context, notices []incident.Notice) error {
	for i := range notices {
		n := &notices[i]
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
	return nil
}

func (t *tx) DeleteNotices(_ context.Context, notices []incident.Notice) error {
	for i := range notices {
		n := &notices[i]
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
	if !from.IsZero() {
		if err := t.delete(bNoticesDue, append(key(nil).time(from), noticeKey(n)...)); err != nil {
			return err
		}
		if err := t.delete(bRecipientNotices, key(nil).text(n.Recipient).time(from).rest(n.Pulse)); err != nil {
			return err
		}
	}
	if !to.IsZero() {
		if err := t.put(bNoticesDue, append(key(nil).time(to), noticeKey(n)...), nil); err != nil {
			return err
		}
		if err := t.put(bRecipientNotices, key(nil).text(n.Recipient).time(to).rest(n.Pulse), nil); err != nil {
			return err
		}
	}
	return t.changeRecipient(n.Recipient, func(*recipient) {})
}
