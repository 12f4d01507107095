package access_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sitrep/internal/access"
)

// A ledger of failures is what processes share.
type common struct {
	mu     sync.Mutex
	counts map[string]int
	last   map[string]time.Time
	reads  int
	writes int
	away   error
	takes  time.Duration
}

func (c *common) Recent(ctx context.Context, who string) (int, time.Time, error) {
	c.mu.Lock()
	c.reads++
	takes := c.takes
	c.mu.Unlock()
	select {
	case <-time.After(takes):
	case <-ctx.Done():
		return 0, time.Time{}, ctx.Err()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.counts[who], c.last[who], c.away
}

func (c *common) Take(ctx context.Context, who string, at time.Time, may func(int, time.Time) bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.away != nil || !may(c.counts[who], c.last[who]) {
		return c.away
	}
	c.writes++
	c.counts[who]++
	c.last[who] = at
	return nil
}

func (c *common) Count(_ context.Context, failed map[string]int, succeeded []string, at time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.writes++; c.away != nil {
		return c.away
	}
	if c.counts == nil {
		c.counts, c.last = map[string]int{}, map[string]time.Time{}
	}
	for who, n := range failed {
		c.counts[who] += n
		c.last[who] = at
	}
	for _, who := range succeeded {
		delete(c.counts, who)
		delete(c.last, who)
	}
	return nil
}

func (c *common) total() (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for count := range maps.Values(c.counts) {
		n += count
	}
	return n
}

// guards are those of so many processes.
func guards(t *testing.T, rs access.Rules, c *common, n int) (all []*access.Guard) {
	t.Helper()
	for range n {
		g, err := access.New(slog.New(slog.DiscardHandler), rs)
		if err != nil {
			t.Fatal(err)
		}
		g.Share(c, []byte("key"))
		all = append(all, g)
	}
	return all
}

func basic(g *access.Guard, from, name, password string) int {
	r := request("GET", from)
	r.SetBasicAuth(name, password)
	w, _ := ask(g, access.Viewer, r)
	return w.Code
}

func bearer(g *access.Guard, from, token string) int {
	r := request("GET", from)
	r.Header.Set("Authorization", "Bearer "+token)
	w, _ := ask(g, access.Viewer, r)
	return w.Code
}

// Who guesses at many processes gets no more guesses than at one.
func TestManyProcessesAllowNoMoreGuesses(t *testing.T) {
	rs := rules(t)
	for name, try := range map[string]func(g *access.Guard, i int) int{
		"passwords": func(g *access.Guard, i int) int { return basic(g, stranger, "ada", fmt.Sprint("guess ", i)) },
		"tokens":    func(g *access.Guard, i int) int { return bearer(g, stranger, fmt.Sprint("guess-", i)) },
	} {
		t.Run(name, func(t *testing.T) {
			var looked []int
			for _, n := range []int{1, 4} {
				synctest.Test(t, func(t *testing.T) {
					var c common
					all, i, guesses := guards(t, rs, &c, n), 0, 0
					for end := time.Now().Add(10 * time.Minute); time.Now().Before(end); time.Sleep(150 * time.Millisecond) {
						for range 4 { // at the same time
							if try(all[i%n], i) == http.StatusUnauthorized {
								guesses++
							}
							i++
						}
					}
					looked = append(looked, guesses)
					time.Sleep(time.Second)
				})
			}
			// The first few are free, and may be looked at before others know of them.
			if one, many := looked[0], looked[1]; one < 20 || one > 40 || many > one+4 {
				t.Errorf("one process looked at %d guesses, four at %d", one, many)
			}
		})
	}
}

func TestASuccessIsOneForAllProcesses(t *testing.T) {
	rs := rules(t)
	synctest.Test(t, func(t *testing.T) {
		var c common
		all := guards(t, rs, &c, 2)
		for i := range 5 {
			basic(all[0], stranger, "ada", fmt.Sprint("guess ", i))
			time.Sleep(time.Second)
		}
		if n := c.total(); n != 5 {
			t.Errorf("%d failures", n)
		}
		if code := basic(all[1], stranger, "ada", "correct horse"); code != 200 {
			t.Errorf("after the penalty: %d", code)
		}
		time.Sleep(time.Second)
		if n := c.total(); n != 0 {
			t.Errorf("%d failures after the success", n)
		}
		for who := range maps.Keys(c.counts) {
			t.Errorf("left: %s", who)
		}
	})
}

// However many addresses try, the store has little to do, and nobody waits for it.
func TestGuessesDoNotKeepTheStoreBusy(t *testing.T) {
	rs := rules(t)
	synctest.Test(t, func(t *testing.T) {
		var c common
		g := guards(t, rs, &c, 1)[0]
		began := time.Now()
		for i := range 20_000 {
			if code := bearer(g, fmt.Sprintf("198.51.%d.%d:1", i/250, i%250), fmt.Sprint("guess-", i)); code != 401 {
				t.Fatalf("%d", code)
			}
			time.Sleep(500 * time.Microsecond)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if most := int(time.Since(began)/(100*time.Millisecond)) + 2; c.writes > most {
			t.Errorf("%d writes, want at most %d", c.writes, most)
		}
		if n := c.total(); n < 19_000 {
			t.Errorf("%d of 20000 failures were counted", n)
		}
		reads := c.reads
		for range 1000 { // one who is slowed here, or repeats, is not asked about
			basic(g, stranger, "bob", "old password")
		}
		for i := range 1000 {
			basic(g, stranger, "ada", fmt.Sprint("guess ", i))
		}
		synctest.Wait()
		if more := c.reads - reads; more > 10 {
			t.Errorf("%d reads", more)
		}
		time.Sleep(time.Second)
	})
}

// A store that does not answer keeps nobody out, and lets nobody guess more than one process does.
func TestWithoutTheStoreEachProcessSlowsByItself(t *testing.T) {
	rs := rules(t)
	for name, c := range map[string]*common{"away": {away: errors.New("away")}, "slow": {takes: time.Hour}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := guards(t, rs, c, 1)[0]
				began := time.Now()
				if code := basic(g, stranger, "bob", "battery: staple"); code != 200 {
					t.Errorf("a right one: %d", code)
				}
				if took := time.Since(began); took > time.Second {
					t.Errorf("it took %v", took)
				}
				var codes []string
				for i := range 7 {
					codes = append(codes, fmt.Sprint(basic(g, stranger, "ada", fmt.Sprint("guess ", i))))
				}
				if got := strings.Join(codes, " "); got != "401 401 401 401 401 429 429" {
					t.Errorf("%s", got)
				}
				time.Sleep(time.Second)
			})
		})
	}
}
