package access

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
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
