package bolt

import (
	"context"
	"fmt"
	"slices"
	"time"

	"sitrep/incident"
	"sitrep/storage"
)

// backlogLimit is up to how many due subscriptions and notices Backlog counts.
const backlogLimit = 10_000

func (r *reader) Subscriptions(_ context.Context, numbers []int64, recipients ...string) (map[int64][]incident.Subscription, error) {
	all := make(map[int64][]incident.Subscription, len(numbers))
	recipients = slices.Sorted(slices.Values(recipients))
	for _, number := range numbers {
		read := r.subscriptions
		if len(recipients) > 0 {
			read = func(number int64) ([]incident.Subscription, error) { return r.subscriptionsTo(number, recipients) }
		}
		subs, err := read(number)
		if err != nil {
			return nil, err
		}
		if len(subs) > 0 {
			all[number] = subs
		}
	}
	return all, nil
}

// subscriptionsTo returns those of recipients, who are in order.
func (r *reader) subscriptionsTo(number int64, recipients []string) (subs []incident.Subscription, err error) {
	for i, id := range recipients {
		if i > 0 && recipients[i-1] == id {
			continue
		}
		var s incident.Subscription
		found, err := r.subscription(key(nil).int(number).rest(id), &s)
		if err != nil {
			return nil, err
		}
		if found {
			subs = append(subs, s)
		}
	}
	return subs, nil
}

// subscription reads the subscription of a key into s and reports whether there is one.
func (r *reader) subscription(k key, s *incident.Subscription) (bool, error) {
	stored, err := r.get(bSubscriptions, k)
	if stored == nil || err != nil {
		return false, err
	}
	return true, r.decoded.subscription(k, stored, s)
}

func (r *reader) subscriptions(number int64) ([]incident.Subscription, error) {
	var subs []incident.Subscription
	err := r.ascend(bSubscriptions, key(nil).int(number), nil, func(k, v []byte) (bool, error) {
		var s incident.Subscription
		err := decode(bSubscriptions, k, v, &s)
		subs = append(subs, s)
		return true, err
	})
	return subs, err
}

func (r *reader) Backlog(_ context.Context, now time.Time) (due int, oldest time.Time, err error) {
	for _, index := range []bucketID{bDue, bNoticesDue} {
		err = r.ascend(index, nil, nil, func(k, _ []byte) (bool, error) {
			at := timeAt(k, 0)
			if at.After(now) {
				return false, nil
			}
			if oldest.IsZero() || at.Before(oldest) {
				oldest = at
			}
			due++
			return due < backlogLimit, nil
		})
		if err != nil {
			return due, oldest, err
		}
	}
	return min(due, backlogLimit), oldest, nil
}

func (r *reader) DueReaders(_ context.Context, at time.Time, limit int, cursor string) (page []storage.DueReader, next string, err error) {
	if err := checkLimit(limit); err != nil {
		return nil, "", err
	}
	var from, last key
	if cursor != "" {
		from = key(cursor).byte(0) // the first key after it
	}
	err = r.ascend(bDue, nil, from, func(k, _ []byte) (bool, error) {
		if timeAt(k, 0).After(at) {
			return false, nil
		}
		if len(page) == limit {
			next = string(last)
			return false, nil
		}
		last = append(last[:0], k...)
		page = append(page, storage.DueReader{Since: timeAt(k, 0), Incident: intAt(k, 8), Recipient: string(k[16:])})
		return true, nil
	})
	return page, next, err
}

func (t *tx) PutSubscriptions(_ context.Context, put, gone []incident.Subscription) error {
	for i := range gone {
		s := &gone[i]
		if !s.DueAt.IsZero() {
			return fmt.Errorf("delete a reader of %s: something is due to it", incident.ID(s.Incident))
		}
		if err := t.delete(bSubscriptions, key(nil).int(s.Incident).rest(s.Recipient)); err != nil {
			return err
		}
	}
	var moved []*incident.Subscription // those whose due times changed
	for i := range put {
		s := &put[i]
		changed, err := t.keepSubscription(s)
		if err != nil {
			return err
		}
		if changed {
			moved = append(moved, s)
		}
	}
	for _, s := range moved {
		err := t.changeRecipient(s.Recipient, func(p *recipient) {
			if !s.DueAt.IsZero() && s.Urgency < p.Yields {
				p.RetryAt, p.Yields = time.Time{}, 0
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// urgentKey is where what is due to a reader stands by its urgency.
func urgentKey(s *incident.Subscription) key {
	return key(nil).text(s.Recipient).byte(byte(s.Urgency)).time(s.DueAt).int(s.Incident)
}

// keepSubscription stores a subscription and what it is found by, and reports whether its place
// in the queue changed, which is not.
func (t *tx) keepSubscription(s *incident.Subscription) (moved bool, err error) {
	k := key(nil).int(s.Incident).rest(s.Recipient)
	var old incident.Subscription
	if _, err := t.subscription(k, &old); err != nil {
		return false, err
	}
	if err := t.putJSON(bSubscriptions, k, s); err != nil {
		return false, err
	}
	if old.DueAt.Equal(s.DueAt) && old.Urgency == s.Urgency {
		return false, nil
	}
	due := func(at time.Time) key { return key(nil).time(at).int(s.Incident).rest(s.Recipient) }
	if err := t.move(bDue, old.DueAt, s.DueAt, due, nil); err != nil {
		return false, err
	}
	if !old.DueAt.IsZero() {
		if err := t.delete(bUrgent, urgentKey(&old)); err != nil {
			return false, err
		}
	}
	if s.DueAt.IsZero() {
		return true, nil
	}
	return true, t.put(bUrgent, urgentKey(s), nil)
}
