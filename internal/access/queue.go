package access

import (
	"context"
	"errors"
	"sync"
)

const (
	// maxWaiting is how many wait to have their password compared, maxWaitingEach how
	// many of them from one address.
	maxWaiting     = 256
	maxWaitingEach = 8
)

var errCrowded = errors.New("too many wait to have their password compared")

// A queue lets one at a time through, and takes turns among addresses: who sends a
// thousand guesses waits behind himself, and all others go before.
type queue struct {
	mu    sync.Mutex
	taken bool
	n     int
	lines []*line // of the addresses that wait, the next first
}

// A line is those who wait at one address.
type line struct {
	address string
	waiting []chan struct{} // each closed when it is its turn
}

// enter returns when it is the caller's turn; it must leave afterwards. It returns
// errCrowded at once if too many wait already, or the error of ctx.
func (q *queue) enter(ctx context.Context, address string) error {
	q.mu.Lock()
	if !q.taken {
		q.taken = true
		q.mu.Unlock()
		return nil
	}
	turn, err := q.join(address)
	q.mu.Unlock()
	if err != nil {
		return err
	}
	select {
	case _, open := <-turn:
		if open {
			return errCrowded // pushed out
		}
		return nil
	case <-ctx.Done():
	}
	q.mu.Lock()
	gone := q.remove(address, turn)
	q.mu.Unlock()
	if !gone { // it was our turn, or we were pushed out, at that moment
		if _, open := <-turn; !open {
			q.leave()
		}
	}
	return ctx.Err()
}

// leave lets the next through.
func (q *queue) leave() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.lines) == 0 {
		q.taken = false
		return
	}
	l := q.lines[0]
	q.lines = q.lines[1:]
	turn := l.waiting[0]
	l.waiting = l.waiting[1:]
	if len(l.waiting) > 0 {
		q.lines = append(q.lines, l) // behind all others
	}
	q.n--
	close(turn)
}

// join adds one who waits. If all places are taken, the last of the longest line has
// to go, unless the own one is as long.
func (q *queue) join(address string) (chan struct{}, error) {
	var own, longest *line
	for _, l := range q.lines {
		if l.address == address {
			own = l
		}
		if longest == nil || len(l.waiting) > len(longest.waiting) {
			longest = l
		}
	}
	length := 0
	if own != nil {
		length = len(own.waiting)
	}
	switch {
	case length >= maxWaitingEach:
		return nil, errCrowded
	case q.n >= maxWaiting && len(longest.waiting) <= length+1:
		return nil, errCrowded
	case q.n >= maxWaiting:
		last := longest.waiting[len(longest.waiting)-1]
		longest.waiting = longest.waiting[:len(longest.waiting)-1]
		q.n--
		last <- struct{}{} // has room for one
	}
	if own == nil {
		own = &line{address: address}
		q.lines = append(q.lines, own)
	}
	turn := make(chan struct{}, 1)
	own.waiting = append(own.waiting, turn)
	q.n++
	return turn, nil
}

// remove takes one who waits out, and reports whether it still waited.
func (q *queue) remove(address string, turn chan struct{}) bool {
	for i, l := range q.lines {
		if l.address != address {
			continue
		}
		for j, w := range l.waiting {
			if w != turn {
				continue
			}
			l.waiting = append(l.waiting[:j:j], l.waiting[j+1:]...)
			if len(l.waiting) == 0 {
				q.lines = append(q.lines[:i:i], q.lines[i+1:]...)
			}
			q.n--
			return true
		}
	}
	return false
}
