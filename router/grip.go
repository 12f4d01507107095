package router

import (
	"context"
	"errors"
	"sync"
	"time"

	"sitrep/storage"
)

// A grip keeps a claim while an attempt is under way, however slow the far end is. A
// process that stands still does not, and finds the claim lost when it goes on.
type grip struct {
	d *Dispatcher
	// ctx ends when the claim is lost.
	ctx    context.Context
	cancel context.CancelCauseFunc
	done   sync.WaitGroup
	over   chan struct{}

	turn  chan struct{} // holds a token while the claim is used
	claim *storage.Claim
}

func (d *Dispatcher) grip(ctx context.Context, c *storage.Claim) *grip {
	g := &grip{d: d, claim: c, over: make(chan struct{}), turn: make(chan struct{}, 1)}
	g.ctx, g.cancel = context.WithCancelCause(ctx)
	g.done.Go(g.keep)
	return g
}

// keep extends the claim long before its lease is over, until release.
func (g *grip) keep() {
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

func (g *grip) extend(ctx context.Context) error {
	g.turn <- struct{}{}
	defer func() { <-g.turn }()
	at, held := now(), *g.claim
	err := g.d.Door.Store.Write(ctx, func(tx storage.Tx) error {
		held = *g.claim
		return tx.Hold(ctx, &held, at, at.Add(lease))
	})
	if err == nil {
		*g.claim = held
	}
	return err
}

// hold checks that the claim still holds for the next step, and extends it when
// little of it is left.
func (g *grip) hold(ctx context.Context) error {
	g.turn <- struct{}{}
	left := g.claim.Until.Sub(now())
	<-g.turn
	if left > leaseMargin {
		return nil
	}
	return g.extend(ctx)
}

// release ends the grip, not the claim. It returns storage.ErrLost if that was lost.
func (g *grip) release() error {
	close(g.over)
	g.done.Wait()
	defer g.cancel(nil)
	if err := context.Cause(g.ctx); errors.Is(err, storage.ErrLost) {
		return err
	}
	return nil
}
