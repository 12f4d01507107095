package bolt

import (
	"context"
	"fmt"
	"slices"
	"time"

	"sitrep/incident"
	"sitrep/storage"
)

const (
	// claimSubscriptions is how many due subscriptions, and how many due notices, a claim
	// holds at most.
	claimSubscriptions = 1000
	// sentKept and sentFor say how many times of messages to a recipient are kept, and
	// for how long after the latest.
	sentKept = 256
	sentFor  = 2 * time.Minute
)

// A recipient is what the queue knows of one. Next is where it stands in the queue:
// when all of this is over: something is due, nobody holds it, and RetryAt.
type recipient struct {
	Next         time.Time   `json:"next,omitzero"`
	Attempt      int64       `json:"attempt,omitempty"`
	Owner        string      `json:"owner,omitempty"`
	Until        time.Time   `json:"until,omitzero"`
	RetryAt      time.Time   `json:"retry_at,omitzero"`
	ReleasedAt   time.Time   `json:"released_at,omitzero"` // the wait until RetryAt began then
	Failures     int         `json:"failures,omitempty"`
	FailingSince time.Time   `json:"failing_since,omitzero"`
	LastError    string      `json:"last_error,omitempty"`
	Sent         []time.Time `json:"sent,omitempty"`
}

func (r *reader) recipient(id string) (recipient, error) {
	var p recipient
	_, err := r.getJSON(bRecipients, key(nil).rest(id), &p)
	return p, err
}

// changeRecipient changes what is known of a recipient and moves it to its place in
// the queue.
func (t *tx) changeRecipient(id string, change func(*recipient)) error {
	p, err := t.recipient(id)
	if err != nil {
		return err
	}
	old := p.Next
	change(&p)
	held, err := t.pendingBackoffs(id)
	if err != nil {
		return err
	}
	due, err := t.earliest(id, held)
	if err != nil {
		return err
	}
	p.Next = due
	if !due.IsZero() {
		p.Next = latestOf(due, p.Until, p.RetryAt)
	}
	if err := t.move(bQueue, old, p.Next, func(at time.Time) key { return key(nil).time(at).rest(id) }, nil); err != nil {
		return err
	}
	return t.putJSON(bRecipients, key(nil).rest(id), &p)
}

func latestOf(times ...time.Time) time.Time {
	return slices.MaxFunc(times, time.Time.Compare)
}

func (r *reader) NextDue(_ context.Context, after time.Time) (time.Time, error) {
	var next time.Time
	var from key
	if !after.IsZero() {
		from = key(nil).time(after.Add(time.Microsecond))
	}
	for _, index := range []bucketID{bAgendasDue, bQueue} {
		err := r.ascend(index, nil, from, func(k, _ []byte) (bool, error) {
			if at := timeAt(k, 0); next.IsZero() || at.Before(next) {
				next = at
			}
			return false, nil
		})
		if err != nil {
			return next, err
		}
	}
	return next, nil
}

func (r *reader) Waiting(_ context.Context, now time.Time, limit int) (all []storage.Waiting, err error) {
	err = r.ascend(bQueue, nil, nil, func(k, _ []byte) (bool, error) {
		if len(all) == limit || timeAt(k, 0).After(now) {
			return false, nil
		}
		all = append(all, storage.Waiting{Recipient: string(k[8:]), Since: timeAt(k, 0)})
		return true, nil
	})
	for i := range all {
		if err != nil {
			return nil, err
		}
		all[i].Urgency, err = r.urgency(all[i].Recipient, now)
	}
	return all, err
}

func (r *reader) RecipientStates(_ context.Context, recipients []string) (map[string]storage.RecipientState, error) {
	all := make(map[string]storage.RecipientState, len(recipients))
	for _, id := range recipients {
		var p recipient
		found, err := r.getJSON(bRecipients, key(nil).rest(id), &p)
		if err != nil {
			return nil, err
		}
		if !found {
			continue
		}
		state := storage.RecipientState{FailingSince: p.FailingSince, LastError: p.LastError}
		if n := len(p.Sent); n > 0 {
			state.SentAt = p.Sent[n-1]
		}
		all[id] = state
	}
	return all, nil
}

func (t *tx) TakeLeases(_ context.Context, now time.Time, owner string, lease time.Duration, recipients []string) ([]storage.Lease, error) {
	var claims []storage.Lease
	for _, id := range recipients {
		p, err := t.recipient(id)
		if err != nil {
			return nil, err
		}
		if p.Next.IsZero() || p.Next.After(now) {
			continue
		}
		c, err := t.claim(id, now, owner, now.Add(lease))
		if err != nil {
			return nil, err
		}
		claims = append(claims, c)
	}
	return claims, nil
}

func (t *tx) claim(id string, now time.Time, owner string, until time.Time) (storage.Lease, error) {
	c := storage.Lease{Recipient: id, Owner: owner, Until: until}
	prefix := key(nil).text(id)
	held, err := t.pendingBackoffs(id)
	if err != nil {
		return c, err
	}
	err = t.ascend(bRecipientDue, prefix, nil, func(k, _ []byte) (bool, error) {
		if len(c.Subscriptions) == claimSubscriptions || timeAt(k, len(prefix)).After(now) {
			return false, nil
		}
		if held.incidents[intAt(k, len(prefix)+8)].After(now) {
			return true, nil
		}
		var s incident.Subscription
		err := t.needJSON(bSubscriptions, key(nil).int(intAt(k, len(prefix)+8)).rest(id), &s)
		c.Subscriptions = append(c.Subscriptions, s)
		return true, err
	})
	if err != nil {
		return c, err
	}
	err = t.ascend(bRecipientNotices, prefix, nil, func(k, _ []byte) (bool, error) {
		if len(c.Notices) == claimSubscriptions || timeAt(k, len(prefix)).After(now) {
			return false, nil
		}
		n := incident.Notice{Pulse: string(k[len(prefix)+8:]), Recipient: id}
		if held.pulses[n.Pulse].After(now) {
			return true, nil
		}
		err := t.needJSON(bNotices, noticeKey(&n), &n)
		c.Notices = append(c.Notices, n)
		return true, err
	})
	if err != nil {
		return c, err
	}
	err = t.ascend(bDeliveriesPending, prefix, nil, func(k, v []byte) (bool, error) {
		if retryAt(v).After(now) {
			return true, nil
		}
		d, err := t.deliveryAt(intAt(k, len(prefix)+8))
		c.Pending = append(c.Pending, d)
		return true, err
	})
	if err != nil {
		return c, err
	}
	return c, t.changeRecipient(id, func(p *recipient) {
		p.Attempt++
		p.Owner, p.Until = owner, until
		c.Attempt, c.Sent = p.Attempt, p.Sent
		c.Failures, c.FailingSince, c.LastError = p.Failures, p.FailingSince, p.LastError
	})
}

// held returns what is known of a claim's recipient if the claim holds.
func (t *tx) owned(c *storage.Lease, now time.Time) error {
	p, err := t.recipient(c.Recipient)
	if err != nil {
		return err
	}
	if p.Attempt != c.Attempt || p.Owner != c.Owner || !p.Until.After(now) {
		return fmt.Errorf("claim %d of %q for %q: %w", c.Attempt, c.Recipient, c.Owner, storage.ErrLost)
	}
	return nil
}

func (t *tx) ExtendLease(_ context.Context, c *storage.Lease, now, until time.Time) error {
	if err := t.owned(c, now); err != nil {
		return err
	}
	c.Until = until
	return t.changeRecipient(c.Recipient, func(p *recipient) { p.Until = until })
}

func (t *tx) ReleaseLease(_ context.Context, c *storage.Lease, now, retryAt time.Time, why string) error {
	if err := t.owned(c, now); err != nil {
		return err
	}
	return t.changeRecipient(c.Recipient, func(p *recipient) {
		p.Owner, p.Until, p.RetryAt, p.ReleasedAt = "", time.Time{}, retryAt, now
		if why != "" {
			p.Failures++
			p.LastError = why
			if p.FailingSince.IsZero() {
				p.FailingSince = now
			}
		}
	})
}

// sent notes that a message to a recipient was handed over.
func (p *recipient) sent(at time.Time) {
	p.Failures, p.FailingSince, p.LastError = 0, time.Time{}, ""
	p.Sent = append(p.Sent, at)
	slices.SortFunc(p.Sent, time.Time.Compare)
	old := p.Sent[len(p.Sent)-1].Add(-sentFor)
	first := max(0, len(p.Sent)-sentKept)
	for p.Sent[first].Before(old) {
		first++
	}
	p.Sent = p.Sent[first:]
}
