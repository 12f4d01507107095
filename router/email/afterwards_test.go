package email

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sitrep/router/email/mailtest"
)

// TestTheNextMailGoes: there is one connection at most, and whatever became of the mails
// before, the next gets it at once. One that is never given back would be missed by all
// mails from then on.
func TestTheNextMailGoes(t *testing.T) {
	lost := errors.New("taken over")
	for _, tc := range []struct {
		name   string
		server mailtest.Behaviour
		// before sends what goes before, and returns when it is over.
		before func(t *testing.T, s *SMTP, send func(ctx context.Context, to string) error)
	}{
		{name: "after none"},
		{name: "after one that was taken", before: one(nil)},
		{name: "after one that was refused", server: doing("RCPT", "first 1 550 no such user"), before: one(nil)},
		{name: "after one that was refused at its end", server: doing("dot", "first 1 554 spam"), before: one(nil)},
		{name: "after a connection that was refused", before: one(errors.New("connection refused"))},
		{name: "after a greeting that refuses", server: doing("greeting", "first 1 554 go away"), before: one(nil)},
		{name: "after a connection that ended at once", server: doing("greeting", "first 1 cut"), before: one(nil)},
		{name: "after a connection that ended at RCPT", server: doing("RCPT", "first 1 cut"), before: one(nil)},
		{name: "after a connection that ended with the mail", server: doing("dot", "first 1 cut"), before: one(nil)},
		{name: "after a server that never greeted", server: doing("greeting", "first 1 stall"), before: one(nil)},
		{name: "after a server that fell silent at RCPT", server: doing("RCPT", "first 1 stall"), before: one(nil)},
		{name: "after a server that fell silent at the end", server: doing("dot", "first 1 stall"), before: one(nil)},
		{name: "as one before it ends", server: doing("RCPT", "first 1 wait 500ms"), before: func(t *testing.T, _ *SMTP, send func(context.Context, string) error) {
			go func() { _ = send(t.Context(), "first@example.org") }()
			synctest.Wait()
		}},
		{name: "after one that left while the server said nothing", server: doing("RCPT", "first 1 stall"), before: leaving},
		{name: "after one that left while the connection was made", server: doing("greeting", "first 1 stall"), before: leaving},
		{name: "after one that left while it waited for its turn", server: doing("RCPT", "first 1 wait 10s"), before: func(t *testing.T, _ *SMTP, send func(context.Context, string) error) {
			var wg sync.WaitGroup
			wg.Go(func() { _ = send(t.Context(), "first@example.org") })
			synctest.Wait()
			leaving(t, nil, send)
			wg.Wait()
		}},
		{name: "after one whose claim was lost while it waited for its turn", server: doing("RCPT", "first 1 wait 10s"), before: func(t *testing.T, s *SMTP, send func(context.Context, string) error) {
			var wg sync.WaitGroup
			wg.Go(func() { _ = send(t.Context(), "first@example.org") })
			synctest.Wait()
			start := time.Now()
			err := s.Send(t.Context(), envelope(t, "second@example.org"), func(context.Context) error { return lost })
			if took := time.Since(start); !errors.Is(err, lost) || took > askEvery {
				t.Errorf("it went on waiting for %v (%v)", took, err)
			}
			wg.Wait()
		}},
		{name: "after one that left as its turn came", before: func(t *testing.T, s *SMTP, _ func(context.Context, string) error) {
			c, _, err := s.pool.take(t.Context(), 0, false, time.Now().Add(time.Minute), carryOn)
			if err != nil {
				t.Fatal(err)
			}
			first := sync.OnceFunc(func() { s.pool.put(c) })
			_ = s.Send(t.Context(), envelope(t, "second@example.org"), func(context.Context) error { first(); return lost })
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := mailtest.New(tc.server)
				s := bubbled(t, server, func(c *Config) { c.MaxConnections = 1 })
				send := func(ctx context.Context, to string) error {
					ctx, cancel := context.WithTimeout(ctx, time.Hour) // longer than anything takes
					defer cancel()
					return s.Send(ctx, envelope(t, to), carryOn)
				}
				if tc.before != nil {
					start := time.Now()
					tc.before(t, s, send)
					if took := time.Since(start); took > 11*time.Minute {
						t.Errorf("what was before took %v", took)
					}
				}
				start := time.Now()
				err := send(t.Context(), "next@example.org")
				if took := time.Since(start); err != nil || took > time.Second {
					t.Errorf("the next mail took %v (%v): the connection was not given back, or nobody was told", took, err)
				}
			})
		})
	}
}

// one sends a mail, whose connection may be refused.
func one(refused error) func(*testing.T, *SMTP, func(context.Context, string) error) {
	return func(t *testing.T, s *SMTP, send func(context.Context, string) error) {
		if refused != nil {
			dial := s.dial
			s.dial = func(context.Context) (net.Conn, error) { return nil, refused }
			defer func() { s.dial = dial }()
		}
		if err := send(t.Context(), "first@example.org"); refused != nil && !errors.Is(err, refused) {
			t.Errorf("%v, want %v", err, refused)
		}
	}
}

// leaving sends a mail, and leaves after a second.
func leaving(t *testing.T, _ *SMTP, send func(context.Context, string) error) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	time.AfterFunc(time.Second, cancel)
	start := time.Now()
	err := send(ctx, "leaving@example.org")
	if took := time.Since(start); !errors.Is(err, context.Canceled) || took != time.Second {
		t.Errorf("who left after a second waited for %v (%v)", took, err)
	}
}

// TestNoConnectionIsHeardByAllWhoWait: at once, so that each can be tried again in time.
func TestNoConnectionIsHeardByAllWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := bubbled(t, mailtest.New(doing("RCPT", "wait 10s cut")), func(c *Config) { c.MaxConnections = 1 })
		var wg sync.WaitGroup
		wg.Go(func() { _ = s.Send(t.Context(), envelope(t, "first@example.org"), carryOn) })
		synctest.Wait()
		refused := errors.New("connection refused")
		s.dial = func(context.Context) (net.Conn, error) { return nil, refused }
		start := time.Now()
		for i := range 3 {
			wg.Go(func() {
				err := s.Send(t.Context(), envelope(t, fmt.Sprintf("r%d@example.org", i)), carryOn)
				if took := time.Since(start); !errors.Is(err, refused) || took != 10*time.Second {
					t.Errorf("one of three who wait for a connection heard %v after %v, want %v after 10 s", err, took, refused)
				}
			})
		}
		wg.Wait()
	})
}

// TestEachIdleConnectionIsClosed: the second too, which was used later.
func TestEachIdleConnectionIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := mailtest.New(doing("RCPT", "first 1 wait 3s"))
		s := bubbled(t, server, nil)
		var wg sync.WaitGroup
		for i := range 2 {
			wg.Go(func() {
				if err := s.Send(t.Context(), envelope(t, fmt.Sprintf("r%d@example.org", i)), carryOn); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		time.Sleep(time.Minute)
		synctest.Wait()
		s.pool.mu.Lock()
		defer s.pool.mu.Unlock()
		if made, _ := server.Connections(); made != 2 || s.pool.opened != 0 || len(s.pool.conns) != 0 {
			t.Errorf("of %d connections %d are open a minute after the last mail, want none of 2", made, s.pool.opened)
		}
	})
}

// TestAMailWaitsForItsTurnForAWhile: what it says grows stale, and it is planned anew.
func TestAMailWaitsForItsTurnForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := bubbled(t, mailtest.New(doing("RCPT", "wait 4m")), func(c *Config) { c.MaxConnections = 1 })
		var wg sync.WaitGroup
		wg.Go(func() { _ = s.Send(t.Context(), envelope(t, "first@example.org"), carryOn) })
		synctest.Wait()
		start := time.Now()
		err := s.Send(t.Context(), envelope(t, "second@example.org"), carryOn)
		if took := time.Since(start); !errors.Is(err, errTurn) || took != longestWait {
			t.Errorf("it waited %v (%v), want %v", took, err, longestWait)
		}
		wg.Wait()
	})
}
