package email

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

const (
	// askEvery is how often a mail that waits says so.
	askEvery = 5 * time.Second
	// longestWait is how long a mail waits for its turn. What it says grows stale then,
	// and it is better planned anew.
	longestWait = 3 * time.Minute
	// fewerFor is how long fewer connections are opened than allowed after the server
	// refused one more.
	fewerFor = time.Minute
)

// A pool opens connections, as many at once as allowed, keeps those not in use for a
// while, and gives each to the mail whose turn it is: those of the highest priority first,
// and of these the one that came first. A mail waits for a connection that is ready, not
// for one in particular.
type pool struct {
	size int
	idle time.Duration
	open func(context.Context) (*conn, error)

	mu      sync.Mutex
	pace    pace
	conns   []*conn // not in use; the one used last is at the end
	opened  int     // all of them: in use, kept and being made
	dials   []*dial
	waiting []*waiter
	arrived int64       // waiters so far
	few     int         // how many connections the server allows, as it seems; zero: all
	until   time.Time   // when few is over
	refused error       // why the server is spoken to more slowly
	turn    *time.Timer // for the pace
	expiry  *time.Timer // for what is idle
	closed  bool
}

// A waiter is a mail that waits for its turn.
type waiter struct {
	rank    int
	fresh   bool // a connection that was used before will not do
	arrival int64
	got     chan grant // of one; answered once
}

// A grant is a connection for one mail, or why there is none.
type grant struct {
	conn *conn
	at   time.Time
	err  error
}

// A dial is a connection that is being made.
type dial struct {
	cancel context.CancelFunc
	// before is the arrival of the last mail that waited when it began.
	before int64
}

func newPool(size int, idle time.Duration, rate Rate, open func(context.Context) (*conn, error)) *pool {
	return &pool{size: size, idle: idle, open: open, pace: pace{rate: rate}}
}

// take waits for the turn of a mail, at most until the deadline, and returns a connection
// for it and when its turn came. It calls leased as time passes, and gives up if that returns
// an error. Each connection is given back by put or drop.
func (p *pool) take(ctx context.Context, rank int, fresh bool, deadline time.Time, leased func(context.Context) error) (*conn, time.Time, error) {
	w := &waiter{rank: rank, fresh: fresh, got: make(chan grant, 1)}
	p.mu.Lock()
	p.arrived++
	w.arrival = p.arrived
	p.waiting = append(p.waiting, w)
	slices.SortStableFunc(p.waiting, func(a, b *waiter) int { return a.rank - b.rank })
	p.serve()
	p.mu.Unlock()
	select {
	case g := <-w.got:
		return g.conn, g.at, g.err
	default:
	}

	timeout := time.NewTimer(time.Until(deadline))
	defer timeout.Stop()
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	for {
		select {
		case g := <-w.got:
			return g.conn, g.at, g.err
		case <-ctx.Done():
			return p.leave(w, context.Cause(ctx))
		case <-timeout.C:
			return p.leave(w, p.why())
		case <-tick.C:
			if err := leased(ctx); err != nil {
				return p.leave(w, err)
			}
		}
	}
}

// errTurn is a mail whose turn did not come: it was not tried.
var errTurn = errors.New("the mail's turn did not come")

// A connectError is why there is no connection that is ready for mails: a word about the
// server or this side's way to it, and not about a mail. It may hold a refusal.
type connectError struct{ err error }

func (e *connectError) Error() string { return e.err.Error() }

func (e *connectError) Unwrap() error { return e.err }

// why says what kept a mail from its turn.
func (p *pool) why() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.pace.gap > 0 && p.refused != nil:
		return fmt.Errorf("%w: the mail server wants mails more slowly: %w", errTurn, p.refused)
	case p.pace.rate.Mails > 0 && time.Until(p.pace.at()) > 0:
		return fmt.Errorf("%w: more mails are due than rate allows", errTurn)
	}
	return fmt.Errorf("%w: all %d connections are busy", errTurn, p.opened)
}

// leave takes a mail out of the queue. Its turn may have come just now: then it goes on.
func (p *pool) leave(w *waiter, err error) (*conn, time.Time, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case g := <-w.got:
		return g.conn, g.at, g.err
	default:
	}
	p.waiting = slices.DeleteFunc(p.waiting, func(o *waiter) bool { return o == w })
	if len(p.waiting) == 0 {
		for _, d := range p.dials {
			d.cancel()
		}
	}
	return nil, time.Time{}, err
}

// serve gives connections to the mails whose turn it is, and has more made where some
// wait. It is called with mu held, whenever something changed.
func (p *pool) serve() {
	now := time.Now()
	for len(p.waiting) > 0 {
		if at := p.pace.at(); at.After(now) {
			p.wakeAt(at.Sub(now))
			return
		}
		i := slices.IndexFunc(p.waiting, func(w *waiter) bool { return p.fits(w) >= 0 })
		if i < 0 {
			break
		}
		w := p.waiting[i]
		p.waiting = slices.Delete(p.waiting, i, i+1)
		at := p.fits(w)
		c := p.conns[at]
		p.conns = slices.Delete(p.conns, at, at+1)
		p.pace.begin(now)
		w.got <- grant{conn: c, at: now}
	}
	p.dial(now)
}

// fits is the place of a kept connection that will do, the one used last; below zero if
// there is none.
func (p *pool) fits(w *waiter) int {
	for i, c := range slices.Backward(p.conns) {
		if !w.fresh || !c.used {
			return i
		}
	}
	return -1
}

// dial makes as many connections as mails wait for one and are allowed.
func (p *pool) dial(now time.Time) {
	if p.few > 0 && !now.Before(p.until) {
		p.few = 0
	}
	limit := cmp.Or(p.few, p.size)
	want := len(p.waiting)
	if p.pace.gap > 0 {
		want = min(want, 1)
	}
	for len(p.dials) < want {
		if p.opened >= limit {
			// Those that are kept will not do for who waits.
			if len(p.conns) > 0 {
				go p.drop(p.conns[0])
				p.conns = slices.Delete(p.conns, 0, 1)
			}
			return
		}
		ctx, cancel := context.WithCancel(context.Background())
		d := &dial{cancel: cancel, before: p.arrived}
		p.dials = append(p.dials, d)
		p.opened++
		go p.make(ctx, d, now)
	}
}

// make makes a connection. If that fails, all mails that have waited since before hear
// it, as each would fare the same. But where the server refuses one while others work, it
// wants no more of them at once; and one that has no time now is asked later.
func (p *pool) make(ctx context.Context, d *dial, began time.Time) {
	c, err := p.open(ctx)
	d.cancel()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dials = slices.DeleteFunc(p.dials, func(o *dial) bool { return o == d })
	if err == nil {
		p.keep(c, false)
		p.serve()
		return
	}
	err = &connectError{err}
	p.opened--
	now := time.Now()
	var r *refusal
	slow := errors.As(err, &r) && r.rate()
	switch {
	case ctx.Err() != nil && len(p.waiting) == 0:
	case p.opened > 0 && (slow || gone(err)):
		// Of those that are being made the last to fail speaks for all.
		p.few, p.until = p.opened, now.Add(fewerFor)
	case slow:
		p.pace.slow(began, now)
		p.refused = err
	default:
		p.few = 0
		p.fail(d, err)
	}
	p.serve()
}

// fail tells the mails that have waited since before a dial why there is no connection.
func (p *pool) fail(d *dial, err error) {
	p.waiting = slices.DeleteFunc(p.waiting, func(w *waiter) bool {
		if w.arrival > d.before {
			return false
		}
		w.got <- grant{err: err}
		return true
	})
}

// wakeAt has serve called after a while.
func (p *pool) wakeAt(d time.Duration) {
	if p.turn != nil {
		p.turn.Stop()
	}
	p.turn = time.AfterFunc(d, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.serve()
	})
}

// put gives a connection back, for the next mail.
func (p *pool) put(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keep(c, true)
	p.serve()
}

// drop closes a connection, and makes room for another.
func (p *pool) drop(c *conn) {
	c.quit()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.opened--
	p.serve()
}

// keep keeps a connection for the next mail. A pool that is closed keeps one only for a
// mail that waits.
func (p *pool) keep(c *conn, used bool) {
	if (p.closed || p.idle < 0 && used) && len(p.waiting) == 0 {
		go p.drop(c)
		return
	}
	c.idleAt = time.Now()
	c.used = c.used || len(p.waiting) == 0
	p.conns = append(p.conns, c)
	if p.expiry == nil {
		p.expiry = time.AfterFunc(max(p.idle, 0), p.expire)
	}
}

// expire closes the connections that were idle for too long.
func (p *pool) expire() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns = slices.DeleteFunc(p.conns, func(c *conn) bool {
		old := time.Since(c.idleAt) >= p.idle
		if old {
			go p.drop(c)
		}
		return old
	})
	p.expiry = nil
	if len(p.conns) > 0 {
		p.expiry = time.AfterFunc(p.idle-time.Since(p.conns[0].idleAt), p.expire)
	}
}

// slow notes that the server refused a mail that began at that time, as it wants them
// more slowly.
func (p *pool) slow(began time.Time, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pace.slow(began, time.Now())
	p.refused = err
}

// taken notes that the server took a mail that began at that time.
func (p *pool) taken(began time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pace.taken(began)
}

// close closes the connections that are not in use. Mails that wait still get their turn.
func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	if len(p.waiting) > 0 {
		return
	}
	for _, c := range p.conns {
		c.quit()
	}
	p.opened -= len(p.conns)
	p.conns = nil
}
