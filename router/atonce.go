package router

import (
	"context"
	"time"

	"sitrep/incident"
	"sitrep/storage"
)

// claimAtOnce is to how many recipients something may have become due by one change for them to
// be leased in its transaction: their messages are made in there, while others wait to write.
const claimAtOnce = 4

// Claim is for [storage.Repository]: it leases recipients to whom a change made something due in
// the transaction of that change and, where one message is all that is due, records the attempt.
// Once that is durable they are served. Those who cannot be served now are left out, and found
// by the scheduler.
func (d *Dispatcher) Claim(ctx context.Context, tx storage.Tx, due []incident.Subscription) (end func(kept bool), err error) {
	if len(due) > claimAtOnce {
		return nil, nil
	}
	var taken []func(kept bool)
	end = func(kept bool) {
		for _, end := range taken {
			end(kept)
		}
	}
	for i := range due {
		one, err := d.claimOne(ctx, tx, due[i].Recipient, due[i].Incident)
		if err != nil {
			end(false)
			return nil, err
		}
		if one != nil {
			taken = append(taken, one)
		}
	}
	if len(taken) == 0 {
		return nil, nil
	}
	return end, nil
}

// claimOne leases one recipient, of whom nobody else is about to.
func (d *Dispatcher) claimOne(ctx context.Context, tx storage.Tx, recipient string, number int64) (end func(kept bool), err error) {
	srv := d.reserve(recipient)
	if srv == nil {
		return nil, nil
	}
	giveUp := func() {
		d.begun(recipient)
		srv.take(-1)
		d.serving.Done()
	}
	at := now()
	leases, err := tx.TakeLeases(ctx, at, d.Owner, lease, []string{recipient})
	if err != nil || len(leases) == 0 {
		giveUp()
		return nil, err
	}
	c := newTurn(&leases[0], srv)
	var dr *draft
	if c.isAll(number, d.Repo.Policy(), at) {
		if dr = d.draftOnly(ctx, tx, recipient, number, at); dr != nil {
			if err := tx.PutDelivery(ctx, &dr.delivery, dr.body); err != nil {
				giveUp()
				return nil, err
			}
		}
	}
	return func(kept bool) {
		if !kept {
			giveUp()
			return
		}
		d.begun(recipient)
		go func() {
			defer d.serving.Done()
			d.carryOut(c, dr)
			srv.take(-1)
			d.free()
		}()
	}, nil
}

// reserve takes a hand for a recipient who is about to be leased; nil if none is free, or nobody
// is to be leased any more.
func (d *Dispatcher) reserve(recipient string) *server {
	d.mu.Lock()
	running := d.servers != nil && !d.stopping && !d.beginning[recipient]
	d.mu.Unlock()
	if _, known := d.Repo.Policy().Recipient(recipient); !running || !known {
		return nil
	}
	srv := d.server(recipient)
	if !srv.tryTake(time.Now()) {
		return nil
	}
	d.mu.Lock()
	if d.stopping || d.beginning[recipient] {
		d.mu.Unlock()
		srv.take(-1)
		return nil
	}
	if d.beginning == nil {
		d.beginning = map[string]bool{}
	}
	d.beginning[recipient] = true
	d.serving.Add(1)
	d.mu.Unlock()
	return srv
}
