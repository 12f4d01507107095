package email

import (
	"context"
	"sync"
	"time"
)

// A pool bounds the connections open at once, and keeps those not in use for a
// while.
type pool struct {
	slots chan struct{}
	idle  time.Duration

	mu     sync.Mutex
	conns  []*conn // the one used last is at the end
	timer  *time.Timer
	closed bool
}

func newPool(size int, idle time.Duration) *pool {
	return &pool{slots: make(chan struct{}, size), idle: idle}
}

// acquire waits until one more connection may be open.
func (p *pool) acquire(ctx context.Context) error {
	select {
	case p.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (p *pool) release() { <-p.slots }

// get returns a kept connection, or nil.
func (p *pool) get() *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.conns) > 0 {
		c := p.conns[len(p.conns)-1]
		p.conns = p.conns[:len(p.conns)-1]
		if time.Since(c.idleAt) < p.idle {
			return c
		}
		go c.quit()
	}
	return nil
}

// put keeps a connection for the next mail. It reports false if it is not to be
// kept.
func (p *pool) put(c *conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.idle < 0 || len(p.conns) >= cap(p.slots) {
		return false
	}
	c.idleAt = time.Now()
	p.conns = append(p.conns, c)
	if p.timer == nil {
		p.timer = time.AfterFunc(p.idle, p.expire)
	}
	return true
}

// expire closes the connections that were idle for too long.
func (p *pool) expire() {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for n < len(p.conns) && time.Since(p.conns[n].idleAt) >= p.idle {
		go p.conns[n].quit()
		n++
	}
	p.conns = append([]*conn(nil), p.conns[n:]...)
	p.timer = nil
	if len(p.conns) > 0 && !p.closed {
		p.timer = time.AfterFunc(p.idle-time.Since(p.conns[0].idleAt), p.expire)
	}
}

func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	if p.timer != nil {
		p.timer.Stop()
	}
	for _, c := range p.conns {
		c.quit()
	}
	p.conns = nil
}
