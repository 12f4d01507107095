package tally

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

func TestTheFirstAndThenPowersOfTwo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, lines := New(), 0
		for i := range 1000 {
			n, worth := a.Count("a")
			if n != i+1 {
				t.Fatalf("the %dth counts as %d", i+1, n)
			}
			if worth {
				lines++
			}
		}
		if lines != 10 {
			t.Errorf("%d of 1000 are worth a line, want 10", lines)
		}
		if n, worth := a.Count("b"); n != 1 || !worth {
			t.Errorf("the first of another: %d, %t", n, worth)
		}
		time.Sleep(3 * forgetAfter)
		if n, worth := a.Count("a"); n != 1 || !worth {
			t.Errorf("after a long time: %d, %t", n, worth)
		}
	})
}

func TestManyAddressesMakeFewLinesAndTakeLittleMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, lines := New(), 0
		for i := range 100_000 {
			if _, worth := a.Count(fmt.Sprint(i)); worth {
				lines++
			}
		}
		if lines != burst || len(a.now)+len(a.before) > 2*maxKeys {
			t.Errorf("%d lines, %d and %d remembered", lines, len(a.now), len(a.before))
		}
		time.Sleep(time.Minute)
		if _, worth := a.Count("somebody"); !worth {
			t.Error("a minute later nothing is worth a line")
		}
	})
}
