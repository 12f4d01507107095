package storage

import (
	"context"
	"time"

	"sitrep/incident"
)

// expiredPage is how many expired things Prune reads in one go.
const expiredPage = 100

// Prune deletes the breaches of incidents that closed before breaches, and the messages of
// those that closed before messages; a zero time keeps all. The breaches of one that was
// merged go with those of the one in which it goes on. The message of a digest goes when all
// its incidents closed before, one about the watchdog when it was over before. Breaches
// without an incident go once nothing was heard of them since breaches. Events and the
// records of deliveries stay. It deletes up to limit things and returns how many: call it
// again while that is limit.
func Prune(ctx context.Context, tx Tx, breaches, messages time.Time, limit int) (int, error) {
	p := &pruning{tx, limit}
	err := p.breaches(ctx, breaches)
	if err == nil {
		err = p.messages(ctx, messages)
	}
	return limit - p.left, err
}

// A pruning deletes what is old, in one transaction.
type pruning struct {
	tx   Tx
	left int // how many things may still be deleted
}

// each calls prune for pages of what was over before a time, until no more may be deleted.
// Prune returns of how many of a page, from the first, nothing is left: of all until then.
func (p *pruning) each(ctx context.Context, what Expiry, before time.Time, prune func(page []Expired) (done int, err error)) error {
	for p.left > 0 {
		page, err := p.tx.Expired(ctx, what, before, expiredPage)
		if err != nil || len(page) == 0 {
			return err
		}
		done, err := prune(page)
		if err != nil {
			return err
		}
		if err := p.tx.NoteExpired(ctx, page[:done], nil); err != nil {
			return err
		}
	}
	return nil
}

func (p *pruning) breaches(ctx context.Context, before time.Time) error {
	if before.IsZero() {
		return nil
	}
	err := p.each(ctx, ExpiryBreaches, before, func(page []Expired) (int, error) {
		numbers := make([]int64, len(page))
		for i := range page {
			numbers[i] = page[i].Number
		}
		n, err := p.tx.DeleteBreaches(ctx, numbers, time.Time{}, p.left)
		if p.left -= n; p.left <= 0 {
			return 0, err // nobody knows of how many of them nothing is left
		}
		return len(page), err
	})
	if err != nil || p.left <= 0 {
		return err
	}
	n, err := p.tx.DeleteBreaches(ctx, []int64{0}, before, p.left)
	p.left -= n
	return err
}

func (p *pruning) messages(ctx context.Context, before time.Time) error {
	err := p.each(ctx, ExpiryMessages, before, func(page []Expired) (int, error) {
		for i := range page {
			if err := p.messagesOf(ctx, page[i].Number, before); err != nil || p.left <= 0 {
				return i, err
			}
		}
		return len(page), nil
	})
	if err != nil {
		return err
	}
	return p.each(ctx, ExpiryWatchdogMessage, before, func(page []Expired) (int, error) {
		page = page[:min(len(page), p.left)]
		var ids []string
		for i := range page {
			if d := &page[i].Delivery; d.State != incident.DeliveryPending { // else it was begun anew, and is noted again when it is over
				ids = append(ids, d.ID)
			}
		}
		n, err := p.tx.DeleteMessages(ctx, ids)
		p.left -= n
		return len(page), err
	})
}

// messagesOf deletes the messages of one incident. One that is about others too goes with the
// last of them.
func (p *pruning) messagesOf(ctx context.Context, number int64, before time.Time) error {
	for q := (DeliveryQuery{Incident: number, Message: true, OldestFirst: true}); p.left > 0; {
		q.Limit = min(p.left, deliveriesPage)
		page, next, err := p.tx.Deliveries(ctx, q)
		if err != nil {
			return err
		}
		covered, err := incidentsOf(ctx, p.tx, page)
		if err != nil {
			return err
		}
		var ids []string
		for i := range page {
			if closedBefore(covered, &page[i], before) {
				ids = append(ids, page[i].ID)
			}
		}
		n, err := p.tx.DeleteMessages(ctx, ids)
		if err != nil {
			return err
		}
		p.left -= n
		if q.Cursor = next; next == "" {
			return nil
		}
	}
	return nil
}

// deliveriesPage is how many deliveries Prune and Forget read in one go.
const deliveriesPage = 1000

// incidentsOf returns the incidents that deliveries are about, and others.
func incidentsOf(ctx context.Context, tx Tx, deliveries []incident.Delivery, others ...int64) (map[int64]*incident.Incident, error) {
	for i := range deliveries {
		others = append(others, deliveries[i].Incidents()...)
	}
	return tx.IncidentsByNumber(ctx, others)
}

// closedBefore reports whether all incidents that a delivery is about closed before a time.
func closedBefore(all map[int64]*incident.Incident, d *incident.Delivery, before time.Time) bool {
	for _, number := range d.Incidents() {
		if in := all[number]; in != nil && (in.State != incident.StateClosed || !in.ClosedAt.Before(before)) {
			return false
		}
	}
	return true
}
