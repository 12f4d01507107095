package bolt

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/go-json-experiment/json/v1" // see bucket.go

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
	// Openings are those that were messages of their own, and Yields to what the wait until
	// RetryAt gives way: what is more urgent; 0: to nothing.
	Openings []storage.Opening `json:"openings,omitempty"`
	Yields   incident.Urgency  `json:"yields,omitempty"`
	Settling *storage.Settling `json:"settling,omitempty"`
}

func (r *reader) recipient(id string) (recipient, error) {
	p, _, err := r.knownRecipient(id)
	return p, err
}

// knownRecipient is recipient, and reports whether anything is known of it.
func (r *reader) knownRecipient(id string) (p recipient, known bool, err error) {
	if c := r.recipients[id]; c != nil {
		return c.recipient, true, nil
	}
	k := key(nil).rest(id)
	b, err := r.get(bRecipients, k)
	if b == nil || err != nil {
		return p, false, err
	}
	p, err = r.decoded.recipient(k, b)
	return p, true, err
}

// A changed is a recipient that a transaction changed, or to whom something else is due by it:
// it is stored at the end, once, however often that was.
type changed struct {
	recipient
	queued time.Time // where it stands in the queue
	moved  bool      // that may be wrong
}

// changeRecipient changes what is known of a recipient. Its place in the queue follows from that
// and from what is due to it, before anybody asks.
func (t *tx) changeRecipient(id string, change func(*recipient)) error {
	c := t.recipients[id]
	if c == nil {
		p, err := t.recipient(id)
		if err != nil {
			return err
		}
		if t.recipients == nil {
			t.recipients = map[string]*changed{}
		}
		c = &changed{recipient: p, queued: p.Next}
		t.recipients[id] = c
	}
	change(&c.recipient)
	c.moved = true
	t.writes++
	return nil
}

// place moves a recipient that changed to its place in the queue.
func (t *tx) place(id string, c *changed) error {
	if !c.moved {
		return nil
	}
	held, err := t.pendingBackoffs(id)
	if err != nil {
		return err
	}
	due, err := t.earliest(id, held)
	if err != nil {
		return err
	}
	if s := c.Settling; s != nil && (due.IsZero() || s.Since.Before(due)) {
		due = s.Since
	}
	if c.Next = due; !due.IsZero() {
		c.Next = latestOf(due, c.Until, c.RetryAt)
	}
	if err := t.move(bQueue, c.queued, c.Next, func(at time.Time) key { return key(nil).time(at).rest(id) }, nil); err != nil {
		return err
	}
	c.queued, c.moved = c.Next, false
	return nil
}

// flushRecipients stores the recipients that changed.
func (t *tx) flushRecipients() error {
	for _, id := range slices.Sorted(maps.Keys(t.recipients)) {
		c := t.recipients[id]
		if err := t.place(id, c); err != nil {
			return err
		}
		k := key(nil).rest(id)
		b, err := json.Marshal(&c.recipient)
		if err != nil {
			return fmt.Errorf("put recipient %q: %w", id, err)
		}
		if err := t.put(bRecipients, k, b); err != nil {
			return err
		}
		t.decoded.keepRecipient(k, b, c.recipient)
	}
	clear(t.recipients)
	return nil
}

func (t *tx) NextDue(ctx context.Context, after time.Time) (time.Time, error) {
	if err := t.flushRecipients(); err != nil {
		return time.Time{}, err
	}
	return t.reader.NextDue(ctx, after)
}

func (t *tx) Waiting(ctx context.Context, now time.Time, limit int) ([]storage.Waiting, error) {
	if err := t.flushRecipients(); err != nil {
		return nil, err
	}
	return t.reader.Waiting(ctx, now, limit)
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
		all[i].Urgency, all[i].Incident, err = r.urgency(all[i].Recipient, now)
	}
	return all, err
}

func (r *reader) RecipientStates(_ context.Context, recipients []string) (map[string]storage.RecipientState, error) {
	all := make(map[string]storage.RecipientState, len(recipients))
	for _, id := range recipients {
		p, known, err := r.knownRecipient(id)
		if err != nil {
			return nil, err
		}
		if !known {
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
		if c := t.recipients[id]; c != nil {
			if err := t.place(id, c); err != nil {
				return nil, err
			}
		}
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
	numbers, err := t.dueIncidents(prefix, held, now)
	if err != nil {
		return c, err
	}
	for _, number := range numbers {
		var s incident.Subscription
		k := key(nil).int(number).rest(id)
		found, err := t.subscription(k, &s)
		if err == nil && !found {
			err = wrong(bSubscriptions, k, "missing")
		}
		if err != nil {
			return c, err
		}
		c.Subscriptions = append(c.Subscriptions, s)
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
		c.Attempt, c.Sent, c.Openings = p.Attempt, slices.Clone(p.Sent), slices.Clone(p.Openings)
		c.Settling = p.Settling
		c.Failures, c.FailingSince, c.LastError = p.Failures, p.FailingSince, p.LastError
	})
}

// dueIncidents returns the incidents of which something is due to a recipient and not held
// back, the longest first: of more than a lease has, the most urgent.
func (t *tx) dueIncidents(prefix key, held backoffs, now time.Time) (numbers []int64, err error) {
	type due struct {
		number int64
		at     time.Time
	}
	var all []due
	err = t.byUrgency(prefix, func(_ incident.Urgency, at time.Time, number int64) (bool, error) {
		if at.After(now) {
			return false, nil
		}
		if !held.incidents[number].After(now) {
			all = append(all, due{number, at})
		}
		if len(all) == claimSubscriptions {
			return false, errEnough
		}
		return true, nil
	})
	slices.SortFunc(all, func(a, b due) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.number, b.number)) })
	for _, d := range all {
		numbers = append(numbers, d.number)
	}
	return numbers, err
}

// owned returns an error unless the claim holds.
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

func (t *tx) ExtendLease(_ context.Context, c *storage.Lease, now time.Time, term time.Duration) error {
	if err := t.owned(c, now); err != nil {
		return err
	}
	c.Until = now.Add(term)
	return t.changeRecipient(c.Recipient, func(p *recipient) { p.Until = c.Until })
}

func (t *tx) ReleaseLease(_ context.Context, c *storage.Lease, now, retryAt time.Time, why string, yields incident.Urgency) error {
	if err := t.owned(c, now); err != nil {
		return err
	}
	if yields != 0 && !retryAt.IsZero() {
		came, err := t.came(c, now, yields)
		if err != nil {
			return err
		}
		if came {
			retryAt, yields = time.Time{}, 0
		}
	}
	return t.changeRecipient(c.Recipient, func(p *recipient) {
		p.Owner, p.Until, p.RetryAt, p.ReleasedAt, p.Yields = "", time.Time{}, retryAt, now, yields
		if why != "" {
			p.Failures++
			p.LastError = why
			if p.FailingSince.IsZero() {
				p.FailingSince = now
			}
		}
	})
}

func (t *tx) Settle(_ context.Context, c *storage.Lease, now time.Time, s *storage.Settling) error {
	if err := t.owned(c, now); err != nil {
		return err
	}
	if s != nil {
		own := *s
		s = &own
	}
	return t.changeRecipient(c.Recipient, func(p *recipient) { p.Settling = s })
}

// came reports whether something that is more urgent than that is due, and was not when the lease
// was taken.
func (t *tx) came(c *storage.Lease, now time.Time, than incident.Urgency) (came bool, err error) {
	had := make(map[int64]bool, len(c.Subscriptions))
	for i := range c.Subscriptions {
		had[c.Subscriptions[i].Incident] = true
	}
	err = t.byUrgency(key(nil).text(c.Recipient), func(u incident.Urgency, at time.Time, number int64) (bool, error) {
		if u >= than {
			return false, errEnough
		}
		if came = !at.After(now) && !had[number]; came {
			return false, errEnough
		}
		return !at.After(now), nil
	})
	return came, err
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
	p.Openings = slices.DeleteFunc(p.Openings, func(o storage.Opening) bool { return o.At.Before(old) })
}
