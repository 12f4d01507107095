package app

import (
	"context"
	"log/slog"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"sitrep/config"
	"sitrep/storage"
)

// endsWithin fails the test if f takes longer than that, in the clock of its bubble.
func endsWithin(t *testing.T, d time.Duration, what string, f func()) {
	t.Helper()
	start, done := time.Now(), make(chan struct{})
	go func() { defer close(done); f() }()
	select {
	case <-done:
		if took := time.Since(start); took > d {
			t.Errorf("%s took %v to end, want at most %v", what, took, d)
		}
	case <-time.After(d + 24*time.Hour):
		t.Fatalf("%s does not end, and holds up the stop of the service", what)
	}
}

// TestWhatRunsBesideEndsWithTheService: the stop waits for each.
func TestWhatRunsBesideEndsWithTheService(t *testing.T) {
	for name, run := range map[string]func(context.Context, *office){
		"who signs the ledger": func(ctx context.Context, o *office) { o.run(ctx) },
		"who checks the store": func(ctx context.Context, o *office) { o.check(ctx, o.store.Check) },
		"who watches the store": func(ctx context.Context, o *office) {
			(&Service{store: &engine{Store: o.store}, log: slog.New(slog.DiscardHandler)}).watchStore(ctx)
		},
		"who waits for a signal": func(ctx context.Context, _ *office) { (&Service{}).reloadOn(ctx, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOffice(t, time.Hour)
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(30*time.Minute, cancel)
				endsWithin(t, 30*time.Minute, name, func() { run(ctx, o) })
			})
		})
	}
}

// TestAWitnessThatHangsHoldsUpNothing: the ledger is signed all the same.
func TestAWitnessThatHangsHoldsUpNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, time.Minute)
		o.notary.tell = func(ctx context.Context, _ *config.Witness, _ []byte) error {
			<-ctx.Done()
			return ctx.Err()
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(10*time.Minute, cancel)
		go func() {
			time.Sleep(5*time.Minute + time.Second)
			o.work()
		}()
		endsWithin(t, 10*time.Minute, "who signs the ledger", func() { o.run(ctx) })
		o.want("signed", o.signed(), "1 of 1")
		if n := testutil.ToFloat64(o.failures.WithLabelValues("witness")); n < 5 {
			t.Errorf("a witness that hangs was given up %v times within 10 min", n)
		}
	})
}

// A stuck store takes nothing until who writes gives up.
type stuck struct{ storage.Store }

func (stuck) Write(ctx context.Context, _ func(storage.Tx) error) error {
	<-ctx.Done()
	return ctx.Err()
}

// TestTheLastSigningGivesUp: a store that hangs does not keep the service from ending.
func TestTheLastSigningGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, 0)
		o.work()
		o.notary.store = stuck{o.store}
		endsWithin(t, lastSign, "the last signing", o.end)
	})
}

// TestTheStoreIsCheckedEachDay, and not only once.
func TestTheStoreIsCheckedEachDay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, 0)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(4*checkEvery, cancel)
		checks := 0
		endsWithin(t, 4*checkEvery, "who checks the store", func() { o.check(ctx, func(context.Context) error { checks++; return nil }) })
		if checks != 4 {
			t.Errorf("checked %d times within 4 days, want 4", checks)
		}
	})
}

// TestAConnectionThatIsOverHoldsNoSeat: else new ones were refused in the end.
func TestAConnectionThatIsOverHoldsNoSeat(t *testing.T) {
	c := serveCrowd(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	until := func(what string, is func() bool) {
		t.Helper()
		for deadline := time.After(10 * time.Second); ; {
			c.mu.Lock()
			now := is()
			c.mu.Unlock()
			if now {
				return
			}
			select {
			case <-deadline:
				t.Fatalf("10 s later still not so: %s", what)
			case <-time.After(5 * time.Millisecond):
			}
		}
	}
	for range 20 {
		conn := dial(t, c)
		if got := answerLine(t, conn, "/"); got != "HTTP/1.1 200 OK" {
			t.Fatal(got)
		}
		until("a connection that was answered is not at work, and gives way to others", func() bool { return len(c.seats) == 1 && c.loser() != nil })
		if err := conn.Close(); err != nil {
			t.Fatal(err)
		}
		until("a connection that was closed holds no place", func() bool { return len(c.seats) == 0 })
	}
}
