package router

import (
	"context"
	"maps"
	"slices"
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
	d.hurry(due)
	if len(due) > claimAtOnce {
		return nil, nil
	}
	at := now()
	var parties parties
	for i := range due {
		if srv := d.reserve(due[i].Recipient); srv != nil {
			parties.add(storage.Waiting{Recipient: due[i].Recipient, Incident: due[i].Incident}, srv)
		}
	}
	var all []leased
	for _, p := range parties {
		taken, err := d.takeNow(ctx, tx, p, at)
		if err != nil {
			d.giveUp(parties, nil)
			return nil, err
		}
		all = append(all, taken...)
	}
	d.giveUp(parties, all)
	if len(all) == 0 {
		return nil, nil
	}
	return func(kept bool) {
		for _, one := range all {
			if !kept {
				d.release(one.Recipient, one.server)
				continue
			}
			d.begun(one.Recipient)
			go func() {
				defer d.serving.Done()
				d.carryOut(one.turn, one.draft)
				one.server.take(-1)
				d.free()
			}()
		}
	}, nil
}

// takeNow leases recipients of whom nobody else is about to, and records what is attempted.
func (d *Dispatcher) takeNow(ctx context.Context, tx storage.Tx, p *party, at time.Time) ([]leased, error) {
	number := p.some[0].Incident
	taken, alone, err := d.take(ctx, tx, p, number, at)
	if err != nil || len(alone) == 0 {
		return taken, err
	}
	told := &party{some: slices.DeleteFunc(slices.Clone(p.some), func(w storage.Waiting) bool { return !slices.Contains(alone, w.Recipient) })}
	if err := d.plan(ctx, tx, parties{told}, at); err != nil {
		return taken, nil // what is wrong is said to who plans under the lease
	}
	d.renderAll(told.drafts)
	return taken, record(ctx, tx, taken, slices.Collect(maps.Values(told.drafts)))
}

// giveUp releases all who were reserved but those who were leased.
func (d *Dispatcher) giveUp(all parties, leased []leased) {
	kept := map[string]bool{}
	for _, one := range leased {
		kept[one.Recipient] = true
	}
	for _, p := range all {
		for _, id := range p.recipients() {
			if !kept[id] {
				d.release(id, p.server)
			}
		}
	}
}

// release gives back what was reserved for a recipient.
func (d *Dispatcher) release(recipient string, srv *server) {
	d.begun(recipient)
	srv.take(-1)
	d.serving.Done()
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
