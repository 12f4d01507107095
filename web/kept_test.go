package web_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

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
	for i := range 80 {
		f.do(n, command.Update{Message: strings.Repeat("<we are on it> ", 500) + fmt.Sprint(i)})
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
		content, _, _ := strings.Cut(a.Body.String(), "</main>")
		_, rest, ok := strings.Cut(content, "?breaches=")
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
	if text := a.text(); !strings.Contains(text, "Older: what happened before") {
		t.Error("what is cut is not said")
	}
	if a := f.get("viewer", page(n, "/steps")); a.Body.Len() > 4<<20 || !strings.Contains(a.text(), "more; all events") {
		t.Errorf("what is cut of the steps is not said, in %d bytes", a.Body.Len())
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

// TestPagesAreMadeInTurn: of many who ask at once only some read the store; the others wait
// for their turn, but not for ever.
func TestPagesAreMadeInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		f.breach("search-latency", "a", nil)
		store := &heldStore{Store: f.store, release: make(chan struct{})}
		f.pages.Repo.Store = store
		var served sync.WaitGroup
		var mu sync.Mutex
		codes := map[int]int{}
		ask := func(times int) {
			for range times {
				served.Go(func() {
					r := httptest.NewRequest("GET", "http://sitrep.example.org/", nil)
					r.Header.Set("Authorization", "Bearer viewer")
					w := httptest.NewRecorder()
					f.http.ServeHTTP(w, r)
					mu.Lock()
					defer mu.Unlock()
					codes[w.Code]++
				})
			}
		}
		ask(30)
		synctest.Wait()
		if n := store.reading.Load(); n != 4 {
			t.Errorf("%d pages are made at once", n)
		}
		time.Sleep(20 * time.Second)
		ask(10)
		synctest.Wait()
		close(store.release)
		served.Wait()
		if codes[http.StatusServiceUnavailable] != 26 || codes[http.StatusOK] != 14 {
			t.Errorf("answered %v", codes)
		}
	})
}

// A heldStore counts who reads, and lets them wait for a release.
type heldStore struct {
	storage.Store
	release chan struct{}
	reading atomic.Int64
}

func (h *heldStore) Read(ctx context.Context, fn func(storage.Snapshot) error) error {
	h.reading.Add(1)
	defer h.reading.Add(-1)
	<-h.release
	return h.Store.Read(ctx, fn)
}
