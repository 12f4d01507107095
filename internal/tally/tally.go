// Package tally says which of the things that strangers can make happen at will are
// worth a line in the log: of each of them the first, the second, the fourth and so
// on, so that who tries for hours neither fills the disk nor hides what others did.
package tally

import (
	"math/bits"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// maxKeys bounds how many are told apart; two times that are remembered.
	maxKeys = 4096
	// forgetAfter is when the count of one begins anew, at the latest after twice that.
	forgetAfter = time.Hour
	// perSecond and burst bound how many are worth a line in all, whoever did them: an
	// attacker has as many addresses as he likes.
	perSecond = 1
	burst     = 50
)

// A Tally counts by key. It is safe for concurrent use.
type Tally struct {
	mu          sync.Mutex
	now, before map[string]int
	since       time.Time // of now
	limit       *rate.Limiter
}

// New returns a tally that has counted nothing.
func New() *Tally {
	return &Tally{now: map[string]int{}, limit: rate.NewLimiter(perSecond, burst)}
}

// Count counts one more of key, and returns how many there were lately and whether
// this one is worth a line.
func (t *Tally) Count(key string) (n int, worth bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	at := time.Now()
	if len(t.now) >= maxKeys || at.Sub(t.since) > forgetAfter {
		if at.Sub(t.since) > 2*forgetAfter {
			t.now = nil
		}
		t.before, t.now, t.since = t.now, map[string]int{}, at
	}
	n, ok := t.now[key]
	if !ok {
		n = t.before[key]
	}
	n++
	t.now[key] = n
	return n, bits.OnesCount(uint(n)) == 1 && t.limit.AllowN(at, 1)
}
