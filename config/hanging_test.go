package config

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestADiskThatHangsIsGivenUp: a load waits for it once, and no load does for ever.
func TestADiskThatHangsIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, release := newDisk(), make(chan struct{})
		defer synctest.Wait()
		defer close(release)
		// read reads on a visit, and returns how long that took.
		read := func(v *visit) (time.Duration, error) {
			t.Helper()
			start, done := time.Now(), make(chan error, 1)
			go func() {
				_, err := within(v, "slos", func() (int, error) { <-release; return 0, nil })
				done <- err
			}()
			select {
			case err := <-done:
				return time.Since(start), err
			case <-time.After(time.Hour):
				t.Error("a read that hangs is waited for without end")
				return time.Hour, nil
			}
		}
		v := d.visit(t.Context())
		if took, err := read(v); took != readWithin || err == nil || !strings.Contains(err.Error(), "it hangs") {
			t.Errorf("a read that hangs was given up after %v (%v), want %v", took, err, readWithin)
		}
		if took, err := read(v); took != 0 || err == nil {
			t.Errorf("the next of the same load was given up after %v (%v): that is so for each file, and together without end", took, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if took, err := read(d.visit(ctx)); took != time.Second || !errors.Is(err, context.Canceled) {
			t.Errorf("who had left after a second waited for %v (%v)", took, err)
		}
		for i := 3; i <= maxHanging; i++ {
			if took, err := read(d.visit(t.Context())); took != readWithin || err == nil {
				t.Errorf("load %d was given up after %v (%v)", i, took, err)
			}
		}
		if took, err := read(d.visit(t.Context())); took != 0 || err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%d reads before it still hang", maxHanging)) {
			t.Errorf("with %d reads that hang, another was given up after %v (%v), want at once", maxHanging, took, err)
		}
	})
}

// TestReadsThatEndMakeRoom: each, whatever came of it, or no file could be read some day.
func TestReadsThatEndMakeRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, broken := newDisk(), errors.New("broken")
		for i := range 10 * maxHanging {
			want := broken
			if i%2 == 0 {
				want = nil
			}
			if _, err := within(d.visit(t.Context()), "slos", func() (int, error) { return 0, want }); !errors.Is(err, want) {
				t.Fatalf("read %d: %v, want %v: those before it are over, and still count", i+1, err, want)
			}
			synctest.Wait()
		}
	})
}
