package access

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// TestNobodyWaitsBehindAllGuesses: who comes alone goes before the second guess of
// each who makes many.
func TestNobodyWaitsBehindAllGuesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q queue
		var went []string
		if err := q.enter(t.Context(), "first"); err != nil {
			t.Fatal(err)
		}
		wait := func(address string) {
			go func() {
				if err := q.enter(t.Context(), address); err != nil {
					return
				}
				went = append(went, address)
				q.leave()
			}()
			synctest.Wait()
		}
		for range 20 {
			wait("attacker")
		}
		wait("ada")
		if q.n != maxWaitingEach+1 {
			t.Errorf("%d wait", q.n)
		}
		q.leave()
		synctest.Wait()
		if i := slices.Index(went, "ada"); i > 1 || i < 0 || len(went) != maxWaitingEach+1 {
			t.Errorf("went %v", went)
		}
		if q.taken || q.n != 0 || len(q.lines) != 0 {
			t.Errorf("left behind: %+v", &q)
		}
	})
}

// TestManyAddressesCannotFillTheQueue: whoever holds many places gives one to who
// holds none.
func TestManyAddressesCannotFillTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q queue
		if err := q.enter(t.Context(), "first"); err != nil {
			t.Fatal(err)
		}
		crowded := 0
		wait := func(ctx context.Context, address string, done func(error)) {
			go func() { done(q.enter(ctx, address)) }()
			synctest.Wait()
		}
		ctx, leave := context.WithCancel(t.Context())
		for i := range 100 {
			for range maxWaitingEach {
				wait(ctx, fmt.Sprint(i), func(err error) {
					if errors.Is(err, errCrowded) {
						crowded++
					}
				})
			}
		}
		if q.n != maxWaiting || crowded == 0 {
			t.Errorf("%d wait, %d were sent away", q.n, crowded)
		}
		came := false
		wait(t.Context(), "ada", func(err error) { came = err == nil; q.leave() })
		leave() // all others give up
		synctest.Wait()
		if q.n != 1 {
			t.Errorf("%d wait", q.n)
		}
		q.leave()
		synctest.Wait()
		if !came || q.taken || q.n != 0 || len(q.lines) != 0 {
			t.Errorf("came: %t; left behind: %+v", came, &q)
		}
	})
}

// A leaving context is that of somebody who leaves just as something else happens.
type leaving struct {
	context.Context
	now func()
}

func (l leaving) Done() <-chan struct{} {
	l.now()
	return l.Context.Done()
}

// TestAllWhoWaitAreLetThrough: one after the other, whatever those before them did.
func TestAllWhoWaitAreLetThrough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q queue
		for round := range 3 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			if err := q.enter(ctx, "first"); err != nil {
				t.Fatalf("round %d: nobody is there, and yet it is not the first one's turn: %v", round, err)
			}
			errs := make(chan error, 5)
			for range cap(errs) {
				go func() {
					err := q.enter(ctx, "next")
					if err == nil {
						q.leave()
					}
					errs <- err
				}()
			}
			synctest.Wait()
			q.leave()
			for range cap(errs) {
				select {
				case err := <-errs:
					if err != nil {
						t.Errorf("round %d: the turn of one who waits never comes: %v", round, err)
					}
				case <-time.After(2 * time.Minute):
					t.Fatalf("round %d: the turn of one who waits never comes, and he does not give up either", round)
				}
			}
			cancel()
		}
	})
}

// TestWhoLeavesAsTheTurnComesPassesItOn: else nobody could log in any more.
func TestWhoLeavesAsTheTurnComesPassesItOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gone, leave := context.WithCancel(t.Context())
		leave()
		left := 0
		for range 100 { // which of the two is noticed first is a matter of luck
			var q queue
			if err := q.enter(t.Context(), "first"); err != nil {
				t.Fatal(err)
			}
			entered := make(chan error, 1)
			go func() { entered <- q.enter(leaving{gone, q.leave}, "second") }()
			select {
			case err := <-entered:
				if err == nil {
					q.leave()
				} else {
					left++
				}
			case <-time.After(time.Minute):
				t.Fatal("who leaves waits for ever")
			}
			if q.taken || q.n != 0 || len(q.lines) != 0 {
				t.Fatalf("the turn of one who left is never over, and nobody logs in any more: %+v", &q)
			}
		}
		if left == 0 {
			t.Error("nobody left")
		}
	})
}
