package access

import (
	"crypto/sha256"
	"sync"
	"time"
)

// How failed log-ins are slowed. A person who mistypes does not notice; who guesses
// gets two guesses a minute for one name from one address.
const (
	freeFailures = 5
	maxPenalty   = 30 * time.Second
	forgetAfter  = 15 * time.Minute
	maxWatched   = 8192
)

// A throttle remembers failed log-ins, by address and name. What it remembers is
// bounded: beyond maxWatched, those whose penalty is over go first.
type throttle struct {
	mu   sync.Mutex
	seen map[[sha256.Size]byte]*failures
}

type failures struct {
	count int
	last  time.Time
	until time.Time         // no attempt is looked at before
	bad   [sha256.Size]byte // the credentials that failed last
}

func newThrottle() *throttle { return &throttle{seen: map[[sha256.Size]byte]*failures{}} }

// wait returns how long attempts of who are not looked at, and whether credentials
// are those that failed last: a program with an old password guesses nothing, and
// must not lock out the person whose password it was.
func (t *throttle) wait(who, credentials [sha256.Size]byte, now time.Time) (wait time.Duration, repeated bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.seen[who]
	if f == nil {
		return 0, false
	}
	return f.until.Sub(now), f.bad == credentials
}

// failed notes a failure and returns how many there were lately.
func (t *throttle) failed(who, credentials [sha256.Size]byte, now time.Time) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.seen[who]
	if f != nil && now.Sub(f.last) > forgetAfter {
		f = nil
	}
	if f == nil {
		t.makeRoom(now)
		f = &failures{}
		t.seen[who] = f
	}
	f.count++
	f.last, f.bad = now, credentials
	f.until = now.Add(penalty(f.count))
	return f.count
}

// penalty is how long after so many failures no attempt is looked at.
func penalty(count int) time.Duration {
	over := count - freeFailures
	if over < 0 {
		return 0
	}
	return min(time.Second<<min(over, 10), maxPenalty)
}

// succeeded forgets the failures, and reports whether there were any.
func (t *throttle) succeeded(who [sha256.Size]byte) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, known := t.seen[who]
	delete(t.seen, who)
	return known
}

func (t *throttle) makeRoom(now time.Time) {
	if len(t.seen) < maxWatched {
		return
	}
	for who, f := range t.seen {
		if now.After(f.until) {
			delete(t.seen, who)
		}
	}
	// Make room for many at once: going through all of them for each one would let
	// anybody with many addresses stop the others.
	for who := range t.seen {
		if len(t.seen) < maxWatched*3/4 {
			return
		}
		delete(t.seen, who)
	}
}

// maxVerified bounds the credentials that are remembered as right.
const maxVerified = 1024

// verified remembers credentials that were right, by their keyed digest, so that
// bcrypt's tenth of a second is paid once and not with each request.
type verified struct {
	mu   sync.Mutex
	seen map[[sha256.Size]byte]struct{}
}

func newVerified() *verified { return &verified{seen: map[[sha256.Size]byte]struct{}{}} }

func (v *verified) has(d [sha256.Size]byte) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	_, ok := v.seen[d]
	return ok
}

func (v *verified) add(d [sha256.Size]byte) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for old := range v.seen {
		if len(v.seen) < maxVerified {
			break
		}
		delete(v.seen, old)
	}
	v.seen[d] = struct{}{}
}
