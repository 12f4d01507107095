package config_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"sitrep/config"
)

// ticking returns a clock that moves a second each time it is read.
func ticking() func() time.Time {
	var mu sync.Mutex
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	return func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		now = now.Add(time.Second)
		return now
	}
}

func simple(every string) string {
	return "priorities: [{name: P1, inform: [management], update_every: " + every + "}]\n" +
		"management: [a]\ngroups: [{name: a, webhooks: [{url: 'http://127.0.0.1/'}]}]\n"
}

func TestReload(t *testing.T) {
	ctx := context.Background()
	path := write(t, map[string]string{"sitrep.yml": simple("2h")})
	put := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r := config.NewReloader(path, ticking())
	var told []*config.Config
	refuse := error(nil)
	r.Validate(func(_ context.Context, c *config.Config) error {
		if r.Current() == c {
			t.Error("in force before it was validated")
		}
		return refuse
	})
	r.Subscribe(func(c *config.Config) {
		if r.Current() != c {
			t.Error("told before it was in force")
		}
		told = append(told, c)
	})
	if r.Current() != nil || r.State() != (config.ReloadState{}) {
		t.Error("something is in force before the first load")
	}

	if err := r.Reload(ctx); err != nil {
		t.Fatal(err)
	}
	first, state := r.Current(), r.State()
	if first == nil || state.Hash != first.Hash() || state.LastError != nil || state.LoadedAt.IsZero() || state.LoadedAt != state.LastAttemptAt || len(told) != 1 {
		t.Fatalf("after the first load: %+v, told %d", state, len(told))
	}

	failures := []struct {
		name string
		do   func(ctx context.Context) error
		is   func(error) bool
	}{
		{"a mistake in the file", func(ctx context.Context) error {
			put("nonsense: 1\n")
			return r.Reload(ctx)
		}, func(err error) bool { var p *config.Problems; return errors.As(err, &p) && p.Errors() == 2 }},
		{"the file is gone", func(ctx context.Context) error {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			return r.Reload(ctx)
		}, func(err error) bool { var p *config.Problems; return errors.As(err, &p) }},
		{"a validator refuses", func(ctx context.Context) error {
			put(simple("3h"))
			refuse = errors.New("no room")
			defer func() { refuse = nil }()
			return r.Reload(ctx)
		}, func(err error) bool { return err.Error() == fmt.Sprintf("take over config %q: no room", path) }},
		{"the caller has left", func(ctx context.Context) error {
			ctx, cancel := context.WithCancel(ctx)
			cancel()
			return r.Reload(ctx)
		}, func(err error) bool { return errors.Is(err, context.Canceled) }},
	}
	for _, f := range failures {
		before := r.State()
		err := f.do(ctx)
		after := r.State()
		switch {
		case err == nil || !f.is(err):
			t.Errorf("%s: error is %v", f.name, err)
		case r.Current() != first || len(told) != 1 || after.Hash != before.Hash || after.LoadedAt != before.LoadedAt:
			t.Errorf("%s: something changed: %+v", f.name, after)
		case !errors.Is(after.LastError, err) || !after.LastAttemptAt.After(before.LastAttemptAt):
			t.Errorf("%s: state is %+v", f.name, after)
		}
	}

	if err := r.Reload(ctx); err != nil {
		t.Fatal(err)
	}
	state = r.State()
	if r.Current() == first || len(told) != 2 || told[1] != r.Current() || state.LastError != nil || state.Hash == first.Hash() {
		t.Errorf("after the last load: %+v", state)
	}
}

// TestReloadConcurrently has many reload and read at once: whoever reads sees one
// config as a whole, and subscribers are called one by one.
func TestReloadConcurrently(t *testing.T) {
	path := write(t, map[string]string{"sitrep.yml": simple("2h")})
	r := config.NewReloader(path, ticking())
	if err := r.Reload(context.Background()); err != nil {
		t.Fatal(err)
	}
	last := r.Current() // without a lock: subscribers are called one at a time
	r.Subscribe(func(c *config.Config) { last = c })
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 10 {
				if err := r.Reload(context.Background()); err != nil {
					t.Error(err)
				}
			}
		})
		wg.Go(func() {
			for range 100 {
				c := r.Current()
				if c.Hash() != c.Policy().Hash || c.Lookup(map[string]string{"slo": "x"}).SLO != nil {
					t.Error("a config that is not whole")
				}
				_ = r.State()
			}
		})
	}
	wg.Wait()
	if last != r.Current() {
		t.Error("the subscriber was not told last of what is in force")
	}
}

// TestReloadTakesWhatWasReadAhead: a start reads the files once.
func TestReloadTakesWhatWasReadAhead(t *testing.T) {
	ctx := context.Background()
	path := write(t, map[string]string{"sitrep.yml": simple("2h")})
	r := config.NewReloader(path, ticking())
	located := 0
	r.Locate(func(c *config.Config, at *config.Positions) {
		if _, line, _ := at.Main("groups[0].name"); line == 3 {
			located++
		}
	})
	first, err := r.Ahead(ctx)
	if err != nil || r.Current() != nil {
		t.Fatalf("read ahead: %v, in force is %v", err, r.Current())
	}
	if err := os.WriteFile(path, []byte(simple("3h")), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := r.Reload(ctx); err != nil || r.Current() != first || located != 1 {
		t.Errorf("the first reload: %v, located %d times, in force is what was read ahead: %v", err, located, r.Current() == first)
	}
	if err := r.Reload(ctx); err != nil || r.Current().Hash() == first.Hash() || located != 2 {
		t.Errorf("the second reload: %v, located %d times, in force is %s", err, located, r.Current().Hash())
	}
	if err := os.WriteFile(path, []byte("nonsense: 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var problems *config.Problems
	if _, err := r.Ahead(ctx); !errors.As(err, &problems) {
		t.Errorf("a mistake read ahead is %v", err)
	}
	if err := r.Reload(ctx); !errors.As(err, &problems) {
		t.Errorf("a mistake after that is %v", err)
	}
}
