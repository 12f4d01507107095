package access

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"sync"
	"time"
)

const (
	// readWithin is how long a log-in waits to learn what other processes saw, and readers how
	// many do so at once: beyond that what this process saw decides alone.
	readWithin = time.Second
	readers    = 4
	// countEvery is how often failures are written down at most, maxCounted of how many at once,
	// and countWithin how long that may take. However many fail, a store has no more to do.
	countEvery  = 100 * time.Millisecond
	maxCounted  = 1024
	countWithin = 5 * time.Second
)

// Failures is where failed log-ins are counted for all processes together, so that many of
// them allow no more guesses than one. Whoever failed is named by a hash.
type Failures interface {
	// Recent returns how often somebody failed lately, and when last.
	Recent(ctx context.Context, who string) (count int, last time.Time, err error)
	// Take counts an attempt as a failure at that time before it is looked at, if may says of
	// what Recent returns that it may be: of many at the same time one after the other.
	Take(ctx context.Context, who string, at time.Time, may func(count int, last time.Time) bool) error
	// Count adds failures, and forgets those of who succeeded.
	Count(ctx context.Context, failed map[string]int, succeeded []string, at time.Time) error
}

// Share lets failed log-ins count in all processes that have the same key, which nobody else
// knows. It is called before the guard is used.
func (g *Guard) Share(f Failures, key []byte) {
	g.shared = &sharing{failures: f, key: key, slots: make(chan struct{}, readers), warn: g.warn, failed: map[string]int{}, succeeded: map[string]struct{}{}}
}

// A sharing tells other processes who failed, and learns it from them. What it cannot learn or
// tell in time counts in this process alone.
type sharing struct {
	failures Failures
	key      []byte
	slots    chan struct{}
	warn     func(what, client string, args ...any)

	mu sync.Mutex
	// What follows is to be written down: who failed how often, and who succeeded.
	failed    map[string]int
	succeeded map[string]struct{}
	writing   bool // somebody does
}

// name names who tries, without telling it to those who read the store.
func (s *sharing) name(values []string) string {
	mac := hmac.New(sha256.New, s.key)
	for _, v := range values {
		mac.Write([]byte(strconv.Itoa(len(v)) + ":" + v))
	}
	return hex.EncodeToString(mac.Sum(nil)[:16])
}

// wait returns how long attempts of a trial are not looked at. Where one more failure would
// bring a penalty it counts as one at once, so that as many processes that are asked at the same
// time look at one attempt.
func (s *sharing) wait(ctx context.Context, t *trial, now time.Time) (wait time.Duration) {
	who := s.name(t.values)
	ctx, cancel := context.WithTimeout(ctx, readWithin)
	defer cancel()
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return 0
	}
	look := func(count int, last time.Time) bool {
		if last.After(now) { // by another clock
			last = now
		}
		wait, t.failed = last.Add(penalty(count)).Sub(now), count > 0
		return wait <= 0
	}
	count, last, err := s.failures.Recent(ctx, who)
	if err == nil && look(count, last) && count >= freeFailures-1 {
		if err = s.failures.Take(ctx, who, now, look); err == nil {
			t.counted = wait <= 0
		}
	}
	if err != nil {
		s.warn("failed log-ins of other processes are not known", "", "err", err)
		return 0
	}
	return wait
}

// note notes that somebody failed, or succeeded, and has it written down soon.
func (s *sharing) note(who string, succeeded bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.failed)+len(s.succeeded) >= maxCounted {
		return
	}
	if succeeded {
		delete(s.failed, who)
		s.succeeded[who] = struct{}{}
	} else {
		s.failed[who]++
	}
	if !s.writing {
		s.writing = true
		go s.write()
	}
}

// write writes down what there is until there is no more.
func (s *sharing) write() {
	for {
		s.mu.Lock()
		failed, succeeded := s.failed, make([]string, 0, len(s.succeeded))
		for who := range s.succeeded {
			succeeded = append(succeeded, who)
		}
		s.failed, s.succeeded = map[string]int{}, map[string]struct{}{}
		if s.writing = len(failed)+len(succeeded) > 0; !s.writing {
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
		ctx, cancel := context.WithTimeout(context.Background(), countWithin)
		err := s.failures.Count(ctx, failed, succeeded, time.Now())
		cancel()
		if err != nil {
			s.warn("failed log-ins count in this process alone", "", "err", err)
		}
		time.Sleep(countEvery)
	}
}

// A trial is an attempt to log in by one who is told apart by the values.
type trial struct {
	who    [sha256.Size]byte
	values []string
	// failed is set if there were failures before, and counted if this one was counted as one
	// in the store, as far as is known.
	failed, counted bool
}

// wait returns how long the attempts of a trial are not looked at, and whether its credentials
// are those that failed last here. Others are asked only where nothing stands against it here.
func (g *Guard) wait(ctx context.Context, t *trial, credentials [sha256.Size]byte) (wait time.Duration, repeated bool) {
	now := time.Now()
	wait, repeated = g.failures.wait(t.who, credentials, now)
	if wait <= 0 && !repeated && g.shared != nil {
		wait = g.shared.wait(ctx, t, now)
	}
	return wait, repeated
}

func (g *Guard) failed(t *trial, credentials [sha256.Size]byte) {
	g.failures.failed(t.who, credentials, time.Now())
	if g.shared != nil && !t.counted {
		g.shared.note(g.shared.name(t.values), false)
	}
}

func (g *Guard) succeeded(t *trial) {
	if known := g.failures.succeeded(t.who); (known || t.failed) && g.shared != nil {
		g.shared.note(g.shared.name(t.values), true)
	}
}
