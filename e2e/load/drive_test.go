package main

import (
	"slices"
	"sync/atomic"
	"testing"
	"time"
)

// A measurement of so many posts makes as many, by all clients together.
func TestSoManyPostsAreMade(t *testing.T) {
	var made atomic.Int64
	r := drive(options{clients: 4, alerts: 10, posts: 30}, func(int) (func() error, func()) {
		return func() error { made.Add(1); return nil }, func() {}
	})
	if made.Load() != 30 || r.posts != 30 || r.alerts != 300 {
		t.Errorf("%d made; %d posts of %d alerts", made.Load(), r.posts, r.alerts)
	}
}

// Whoever waits for a mail of the first priority is not told of one of another, nor of those of others.
func TestASinkTellsOfWhatIsWaitedFor(t *testing.T) {
	s, err := newSink()
	if err != nil {
		t.Fatal(err)
	}
	defer s.listener.Close()
	told := s.watch("storm", "P1")
	s.took("storm-01@example.org", "P2")
	s.took("own-0001@example.org", "P1")
	if len(told) != 0 {
		t.Error("told of a mail that nobody waits for")
	}
	s.took("storm-01@example.org", "P1")
	if len(told) != 1 || s.count.Load() != 3 || s.latest().IsZero() {
		t.Errorf("told %d times of %d mails, the latest at %s", len(told), s.count.Load(), s.latest())
	}
}

func TestQuantiles(t *testing.T) {
	var all []time.Duration
	for i := range 100 {
		all = append(all, time.Duration(i))
	}
	slices.Reverse(all)
	if one := quantile([]time.Duration{7}, 99); one != 7 || quantile(nil, 50) != 0 {
		t.Errorf("of one %d, of none %d", one, quantile(nil, 50))
	}
	if a, b, c := quantile(all, 50), quantile(all, 99), quantile(all, 100); a != 49 || b != 98 || c != 99 {
		t.Errorf("p50 %d p99 %d p100 %d", a, b, c)
	}
}
