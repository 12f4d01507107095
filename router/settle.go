package router

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"sitrep/incident"
	"sitrep/storage"
)

// settlePiece is of how many incidents it is noted in one transaction what became of a message
// about them: others wait for that.
const settlePiece = 100

// outagesRead is how many of the latest outages are looked at for why a message was late.
const outagesRead = 20

// A why is what went wrong before an attempt: for the message, its reader, and its server.
type why struct{ message, reader, server string }

// settle notes in the incidents that a delivery covers what became of it, from one of them on,
// piece by piece. How far it got stands in the store: whoever has the lease of the recipient next
// goes on from there, before anything else is sent to it but what hurries.
func (d *Dispatcher) settle(ctx context.Context, c *turn, del *incident.Delivery, from int) error {
	reasons := why{}
	if del.Cause.Kind == incident.CauseSaid {
		reasons.message = del.Cause.Said
	}
	for ; from < len(del.Covers); from += settlePiece {
		at := now()
		err := d.Repo.Change(ctx, at, func(ch *storage.Change) error {
			if err := ch.Tx.ExtendLease(ctx, c.Lease, at, lease); err != nil {
				return err
			}
			return d.settlePart(ch, c, reasons, del, from, del.FinishedAt)
		})
		if err != nil {
			return err
		}
		if next := from + settlePiece; next < len(del.Covers) {
			if err := d.letBy(ctx, c, del.Covers[next:]); err != nil {
				return err
			}
		}
	}
	return nil
}

// letBy lets by what hurries, if anything came since: it is asked between the pieces of a settling,
// before each message that is planned, and before a digest is recorded. What is told already, or is
// about to be, is held.
func (d *Dispatcher) letBy(ctx context.Context, c *turn, held []incident.Cover) error {
	if c.between || c.aloneFirst(d.Repo.Policy(), now()) == 0 || !c.hurried.Swap(false) {
		return nil
	}
	c.between = true
	defer func() { c.between = false }()
	return d.tellBetween(ctx, c, held)
}

// tellBetween tells of what hurries: openings of the first priority that may go by themselves. The
// lease is taken anew for that, as it tells what is due. What is held is owed still, and is left out.
func (d *Dispatcher) tellBetween(ctx context.Context, c *turn, held []incident.Cover) error {
	at := now()
	var leases []storage.Lease
	err := d.Repo.Store.Write(ctx, func(tx storage.Tx) (err error) {
		if err := tx.ReleaseLease(ctx, c.Lease, at, time.Time{}, "", 0); err != nil {
			return err
		}
		leases, err = tx.TakeLeases(ctx, at, d.Owner, lease, []string{c.Recipient})
		return err
	})
	if err != nil {
		return err
	}
	if len(leases) == 0 {
		return fmt.Errorf("go on with %q: %w", c.Recipient, storage.ErrLost)
	}
	l := &leases[0]
	c.Attempt, c.Until, c.sent, c.openings = l.Attempt, l.Until, l.Sent, l.Openings
	told := map[int64]bool{}
	for _, number := range covered(held) {
		told[number] = true
	}
	for i := range l.Pending { // what was attempted before has its turn, and its id
		for _, number := range covered(l.Pending[i].Covers) {
			told[number] = true
		}
	}
	policy := d.Repo.Policy()
	left := c.aloneFirst(policy, at)
	for i := range l.Subscriptions {
		sub := &l.Subscriptions[i]
		if left == 0 || told[sub.Incident] || c.refused[subject{incident: sub.Incident}] || !opensFirst(sub, policy) {
			continue
		}
		left--
		c.Subscriptions = append(c.Subscriptions, *sub)
		err := d.send(ctx, c, nil, func(r storage.Snapshot, at time.Time) (*draft, error) {
			return d.incidentDraft(ctx, r, c.Recipient, []int64{sub.Incident}, at)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// hurry notes of recipients whom this process tells more than one message that an opening of the
// first priority became due to them meanwhile.
func (d *Dispatcher) hurry(due []incident.Subscription) {
	policy := d.Repo.Policy()
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range due {
		if c := d.turns[due[i].Recipient]; c != nil && opensFirst(&due[i], policy) {
			c.hurried.Store(true)
		}
	}
}

// finishSettling goes on with what was not settled when an earlier lease ended.
func (d *Dispatcher) finishSettling(ctx context.Context, c *turn) error {
	var del incident.Delivery
	err := d.Repo.Store.Read(ctx, func(r storage.Snapshot) (err error) {
		del, err = storage.DeliveryOf(ctx, r, c.Settling.Delivery)
		return err
	})
	if errors.Is(err, incident.ErrNotFound) {
		return d.Repo.Store.Write(ctx, func(tx storage.Tx) error { return tx.Settle(ctx, c.Lease, now(), nil) })
	}
	if err != nil {
		return err
	}
	return d.settle(ctx, c, &del, c.Settling.Next)
}

// settlePart is one piece of settle, which begins with the lease. The outcome is of that time.
func (d *Dispatcher) settlePart(ch *storage.Change, c *turn, before why, del *incident.Delivery, from int, at time.Time) error {
	to := min(from+settlePiece, len(del.Covers))
	if del.State == incident.DeliveryPending {
		to = len(del.Covers) // nothing is noted in them
	}
	part := del.Covers[from:to]
	numbers := covered(part)
	if del.State != incident.DeliveryPending && len(numbers) > 0 {
		if err := ch.Lock(storage.Needs{Incidents: numbers}); err != nil {
			return err
		}
		if err := ch.LoadReader(numbers, del.Recipient); err != nil {
			return err
		}
	}
	outages := outagesOf(ch.Context(), ch.Tx)
	for _, cover := range part {
		if err := recordOutcome(ch, before, outages, del, cover, at); err != nil {
			return err
		}
	}
	switch {
	case to < len(del.Covers):
		return ch.Tx.Settle(ch.Context(), c.Lease, ch.At, &storage.Settling{Delivery: del.ID, Since: del.FinishedAt, Next: to})
	case from > 0:
		return ch.Tx.Settle(ch.Context(), c.Lease, ch.At, nil)
	}
	return nil
}

// recordOutcome notes in an incident what became of a message about it, and in the delivery
// why it was late.
func recordOutcome(ch *storage.Change, before why, outages outages, del *incident.Delivery, cover incident.Cover, at time.Time) error {
	if cover.OfPulse() {
		return recordNotice(ch, before, outages, del, &cover, at)
	}
	if del.State == incident.DeliveryPending {
		return nil
	}
	s, err := ch.Reader(cover.Incident, del.Recipient)
	if err != nil {
		return err
	}
	switch del.State {
	case incident.DeliveryDelivered:
		cause, err := cause(before, outages, s.Subscription(del.Recipient), cover, at)
		if err != nil {
			return err
		}
		del.Cause = cmp.Or(del.Cause, cause)
		return ch.Note(s, s.Delivered(del.Recipient, cover, at, cause, ch.Policy))
	case incident.DeliveryFailed:
		return ch.Note(s, s.Undelivered(del.Recipient, cover, at, del.Address))
	}
	return nil
}

// causeOf says of a message about incidents why it was late: of the first of which it was.
func causeOf(ctx context.Context, r storage.Snapshot, before why, del *incident.Delivery, at time.Time) (incident.Cause, error) {
	subs, err := r.Subscriptions(ctx, covered(del.Covers), del.Recipient)
	if err != nil {
		return incident.Cause{}, err
	}
	outages := outagesOf(ctx, r)
	for _, cover := range del.Covers {
		var sub *incident.Subscription
		if one := subs[cover.Incident]; len(one) > 0 {
			sub = &one[0]
		}
		if cause, err := cause(before, outages, sub, cover, at); err != nil || cause != (incident.Cause{}) {
			return cause, err
		}
	}
	return incident.Cause{}, nil
}

// outages returns the latest outages, which are read once, if at all.
type outages func() ([]storage.Outage, error)

func outagesOf(ctx context.Context, r storage.Snapshot) outages {
	return sync.OnceValues(func() ([]storage.Outage, error) { return storage.Outages(ctx, r, outagesRead) })
}

// cause says why a message was late, or a scheduled update before it was missed:
// earlier attempts failed, nobody ran to make one, the clock was set, or it cannot be known. It is zero
// if neither was. A farewell to somebody who was not told is late, as an opening was owed
// for too long. The subscription is as it was before the message; nil of the watchdog's.
func cause(before why, outages outages, sub *incident.Subscription, cover incident.Cover, at time.Time) (incident.Cause, error) {
	since, late := cover.DueAt, at.After(cover.Promised) || cover.First && cover.Kind == incident.KindLeft
	if sub != nil && cover.Kind != incident.KindReminder && !sub.NextBy.IsZero() && at.After(sub.NextBy) {
		late = true
		if sub.CadenceAt.Before(since) {
			since = sub.CadenceAt
		}
	}
	if !late {
		return incident.Cause{}, nil
	}
	if said := cmp.Or(before.message, before.reader, before.server); said != "" {
		return incident.Cause{Kind: incident.CauseSaid, Said: said}, nil
	}
	all, err := outages()
	if err != nil {
		return incident.Cause{}, err
	}
	for _, o := range all {
		switch {
		case o.Kind == storage.ClockSet:
			// By the time before it was set it may have been in time.
			if o.From.Before(since) && since.Before(o.To) {
				return incident.Cause{Kind: incident.CauseClock, From: o.From, To: o.To}, nil
			}
		case o.From.Before(at) && o.To.After(since):
			return incident.Cause{Kind: incident.CauseDown, From: o.From, To: o.To}, nil
		}
	}
	return incident.Cause{Kind: incident.CauseNoneFound}, nil
}
