package router

import (
	"context"
	"errors"
	"sync"
	"time"

	"sitrep/storage"
)

// A keeper keeps a lease while an attempt is under way, however slow the far end is. A
// process that stands still does not, and finds the lease lost when it goes on.
type keeper struct {
	d *Dispatcher
	// ctx ends when the lease is lost.
	ctx    context.Context
	cancel context.CancelCauseFunc
	done   sync.WaitGroup
	over   chan struct{}

	turn  chan struct{} // holds a token while the claim is used
	claim *storage.Lease
	// The lease had this long to go then, which a clock that is set changes nothing about.
	left  time.Duration
	since time.Time
}

func (d *Dispatcher) keeper(ctx context.Context, c *storage.Lease) *keeper {
	g := &keeper{d: d, claim: c, over: make(chan struct{}), turn: make(chan struct{}, 1)}
	g.left, g.since = c.Until.Sub(now()), time.Now()
	g.ctx, g.cancel = context.WithCancelCause(ctx)
	g.done.Go(g.keep)
	return g
}

// keep extends the lease long before it is over, until release.
func (g *keeper) keep() {
	ticker := time.NewTicker(lease - leaseMargin - 2*time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-g.over:
			return
		case <-ticker.C:
		}
		if err := g.extend(g.ctx); errors.Is(err, storage.ErrLost) {
			g.cancel(err)
			return
		}
	}
}

func (g *keeper) extend(ctx context.Context) error {
	g.turn <- struct{}{}
	defer func() { <-g.turn }()
	at, held, asked := now(), *g.claim, time.Now()
	err := g.d.Repo.Store.Write(ctx, func(tx storage.Tx) error {
		held = *g.claim
		return tx.ExtendLease(ctx, &held, at, lease)
	})
	if err == nil {
		*g.claim, g.left, g.since = held, lease, asked
	}
	return err
}

// check finds out whether the lease still holds for the next step, and extends it when
// little of it is left.
func (g *keeper) check(ctx context.Context) error {
	g.turn <- struct{}{}
	left := min(g.claim.Until.Sub(now()), g.left-time.Since(g.since))
	<-g.turn
	if left > leaseMargin {
		return nil
	}
	return g.extend(ctx)
}

// release ends the keeper, not the lease. It returns storage.ErrLost if that was lost.
func (g *keeper) release() error {
	close(g.over)
	g.done.Wait()
	defer g.cancel(nil)
	if err := context.Cause(g.ctx); errors.Is(err, storage.ErrLost) {
		return err
	}
	return nil
}
