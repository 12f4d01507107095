package storage

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"sitrep/incident"
)

// errClaim is a change that is to be run again without [Repository.Claim].
var errClaim = errors.New("nobody is leased in this change")

// claims are what a change leases for those who send. An engine may run a function once more
// whose caller was already told that the outcome is unknown: nothing is leased any more then.
type claims struct {
	claim func(context.Context, Tx, []incident.Subscription) (func(kept bool), error)

	mu   sync.Mutex
	over bool
	held func(kept bool) // what the latest run leased; nil if nothing
}

// begin begins a run of the function: the one before is not kept.
func (c *claims) begin() { c.settle(false, false) }

// end is called when the engine has answered.
func (c *claims) end(kept bool) { c.settle(kept, true) }

func (c *claims) settle(kept, over bool) {
	c.mu.Lock()
	held := c.held
	c.held, c.over = nil, c.over || over
	c.mu.Unlock()
	if held != nil {
		held(kept)
	}
}

// make leases those to whom something is due.
func (c *claims) make(ctx context.Context, tx Tx, due []incident.Subscription) error {
	if c.claim == nil || len(due) == 0 {
		return nil
	}
	held, err := c.claim(ctx, tx, due)
	if err != nil {
		return fmt.Errorf("%w: %w", errClaim, err)
	}
	c.mu.Lock()
	over := c.over
	if !over {
		c.held = held
	}
	c.mu.Unlock()
	if over && held != nil {
		held(false)
	}
	return nil
}
