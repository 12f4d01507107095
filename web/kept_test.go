package web_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"sitrep/internal/command"
	"sitrep/storage"
)

// TestLargeBreachesComeInPages: an incident with breaches as large as they may be has pages
// of a bounded size, and each breach is on one.
func TestLargeBreachesComeInPages(t *testing.T) {
	f := newFixture(t)
	labels := map[string]string{}
	for i := range 30 {
		labels[fmt.Sprintf("label_%d", i)] = strings.Repeat("<x> ", 500)
	}
	var n int64
	for i := range 25 {
		n = f.breach("notifications-register-availability", fmt.Sprintf("print-%d.", i), labels)
	}
	for range 80 {
		f.do(n, command.Update{Message: strings.Repeat("<we are on it> ", 500)})
	}
	seen := map[string]bool{}
	pages := 0
	for next := ""; ; pages++ {
		a := f.get("viewer", page(n, next))
		if size := a.Body.Len(); size > 4<<20 {
			t.Fatalf("a page of %d bytes", size)
		}
		text := a.text()
		for i := range 25 {
			if print := fmt.Sprintf("print-%d.", i); strings.Contains(text, print) {
				if seen[print] {
					t.Errorf("%s is there twice", print)
				}
				seen[print] = true
			}
		}
		_, rest, ok := strings.Cut(a.Body.String(), "?breaches=")
		if !ok {
			break
		}
		rest, _, _ = strings.Cut(rest, "#")
		next = "?breaches=" + rest
	}
	if len(seen) != 25 || pages < 3 {
		t.Errorf("%d breaches on %d pages", len(seen), pages+1)
	}
	a := f.get("viewer", page(n, ""))
	if text := a.text(); !strings.Contains(text, "What happened before") || !strings.Contains(text, "more; all events") {
		t.Error("what is cut is not said")
	}
	f.get("viewer", page(n, "?breaches=nonsense"))
	f.get("viewer", page(n, "?breaches=99999.x"))
}

// A waitingWriter waits in Write until it is released.
type waitingWriter struct {
	*httptest.ResponseRecorder
	writing *sync.WaitGroup
	release chan struct{}
}

func (w *waitingWriter) Write(b []byte) (int, error) {
	w.writing.Done()
	<-w.release
	return w.ResponseRecorder.Write(b)
}

// TestSlowReadersOfPagesKeepNobody: while many do not take their page, others are served,
// and the store does not wait for anybody.
func TestSlowReadersOfPagesKeepNobody(t *testing.T) {
	f := newFixture(t)
	n := f.breach("search-latency", "a", nil)
	var writing, served sync.WaitGroup
	release := make(chan struct{})
	var slow []*waitingWriter
	for range 40 {
		writing.Add(1)
		w := &waitingWriter{httptest.NewRecorder(), &writing, release}
		slow = append(slow, w)
		r := httptest.NewRequest("GET", "http://sitrep.example.org"+page(n, ""), nil)
		r.Header.Set("Authorization", "Bearer viewer")
		served.Go(func() { f.http.ServeHTTP(w, r) })
	}
	writing.Wait()
	f.get("viewer", "/")
	f.get("viewer", page(n, ""))
	close(release)
	served.Wait()
	for _, w := range slow {
		if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "</html>") {
			t.Fatalf("%d, %d bytes", w.Code, w.Body.Len())
		}
	}
}

// TestPagesAreMadeInTurn: of many who ask at once only some read the store.
func TestPagesAreMadeInTurn(t *testing.T) {
	f := newFixture(t)
	f.breach("search-latency", "a", nil)
	counting := &countingStore{Store: f.store, want: 4, full: make(chan struct{}), release: make(chan struct{})}
	f.pages.Door.Store = counting
	var served sync.WaitGroup
	for range 40 {
		served.Go(func() {
			r := httptest.NewRequest("GET", "http://sitrep.example.org/", nil)
			r.Header.Set("Authorization", "Bearer viewer")
			w := httptest.NewRecorder()
			f.http.ServeHTTP(w, r)
			if w.Code != http.StatusOK {
				t.Errorf("%d %s", w.Code, w.Body)
			}
		})
	}
	<-counting.full
	close(counting.release)
	served.Wait()
	if counting.most != 4 {
		t.Errorf("%d pages were made at once", counting.most)
	}
}

// A countingStore counts who reads at once. The first reads wait until as many as wanted
// are there, and for their release.
type countingStore struct {
	storage.Store
	want          int
	full, release chan struct{}

	mu            sync.Mutex
	reading, most int
}

func (c *countingStore) Read(ctx context.Context, fn func(storage.Reader) error) error {
	c.mu.Lock()
	c.reading++
	if c.most = max(c.most, c.reading); c.reading == c.want {
		select {
		case <-c.full:
		default:
			close(c.full)
		}
	}
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.reading--
	}()
	<-c.release
	return c.Store.Read(ctx, fn)
}
