package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"sitrep/incident"
	"sitrep/internal/httperr"
	"sitrep/storage"
)

// A largeStore has alerts without an SLO, each of 100 KiB, and nothing else.
type largeStore struct {
	storage.Store
	storage.Snapshot
	total int
	fails int // reading the alert of this number fails, counted from 1; 0: none
	open  int // snapshots
	most  int // alerts that were read in one snapshot
	read  int // in this one
}

var errReading = errors.New("the disk is gone")

// Read runs fn twice, as a store may.
func (l *largeStore) Read(_ context.Context, fn func(storage.Snapshot) error) error {
	l.open++
	defer func() { l.open-- }()
	for range 2 {
		l.read = 0
		if err := fn(l); err != nil {
			return err
		}
		l.most = max(l.most, l.read)
	}
	return nil
}

// LatestOf knows no incident.
func (l *largeStore) LatestOf(context.Context, []string) (map[string]int64, error) { return nil, nil }

func (l *largeStore) UnmappedAlerts(_ context.Context, limit int, cursor string) (page []incident.UnmappedAlert, next string, err error) {
	from := 0
	if cursor != "" {
		if from, err = strconv.Atoi(cursor); err != nil {
			return nil, "", err
		}
	}
	for i := from; i < min(from+limit, l.total); i++ {
		if l.fails != 0 && i+1 >= l.fails {
			return nil, "", errReading
		}
		page = append(page, incident.UnmappedAlert{Fingerprint: strconv.Itoa(i), Labels: map[string]string{"long": strings.Repeat("x", 100<<10)}})
	}
	l.read += len(page)
	if from+limit < l.total {
		next = strconv.Itoa(from + limit)
	}
	return page, next, nil
}

// A watchedWriter looks at each part of an answer.
type watchedWriter struct {
	*httptest.ResponseRecorder
	write func(b []byte) error
}

func (w *watchedWriter) Write(b []byte) (int, error) {
	if err := w.write(b); err != nil {
		return 0, err
	}
	return w.ResponseRecorder.Write(b)
}

func listLarge(l *largeStore, w http.ResponseWriter, query string) error {
	h := &Handler{Options: Options{Repo: &storage.Repository{Store: l}, Nearest: nothingNear}}
	return h.listUnmapped(w, httptest.NewRequest(http.MethodGet, "/api/v1/unmapped?"+query, nil))
}

// TestAPageOfLargeItemsIsShort: alerts with all the labels that they may
// have are not held in memory for whoever reads slowly, the store does not wait for the
// reader, and none is left out.
func TestAPageOfLargeItemsIsShort(t *testing.T) {
	l := &largeStore{total: 200}
	seen, pages, cursor := 0, 0, ""
	for {
		w := &watchedWriter{ResponseRecorder: httptest.NewRecorder()}
		w.write = func(b []byte) error {
			if l.open > 0 {
				t.Fatal("the client is written to while a snapshot is open")
			}
			if cap(b) > 2*maxChunk+2*(100<<10) {
				t.Fatalf("%d bytes are held for one write", cap(b))
			}
			return nil
		}
		if err := listLarge(l, w, "limit=1000&cursor="+cursor); err != nil {
			t.Fatal(err)
		}
		if n := w.Body.Len(); n > maxAnswer+101<<10 {
			t.Fatalf("a page of %d bytes", n)
		}
		var page UnmappedPage
		if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil {
			t.Fatal(err)
		}
		for _, a := range page.Alerts {
			if a.Fingerprint != strconv.Itoa(seen) {
				t.Fatalf("alert %s in place of %d", a.Fingerprint, seen)
			}
			seen++
		}
		if pages++; page.Next == "" {
			break
		}
		cursor = page.Next
	}
	if seen != l.total || pages < 4 {
		t.Errorf("%d alerts on %d pages", seen, pages)
	}
	if l.most > 1 {
		t.Errorf("%d alerts of 100 KiB were read at once", l.most)
	}
}

// TestAPageOfSmallItemsHasAll: it has as many as were asked for, and its length.
func TestAPageOfSmallItemsHasAll(t *testing.T) {
	h := &Handler{Options: Options{Repo: &storage.Repository{Store: &largeStore{}}, Nearest: nothingNear}}
	for _, limit := range []int{77, 1000} {
		w := httptest.NewRecorder()
		read := 0
		err := h.answerPage(w, httptest.NewRequest(http.MethodGet, "/?limit="+strconv.Itoa(limit), nil), "numbers", nil,
			func(_ storage.Snapshot, s *sheet, cursor string) (string, error) {
				read++
				return fill(s, cursor, func(limit int, _ string) ([]int, string, error) { return make([]int, limit), "more", nil })
			})
		var page struct {
			Numbers []int
			Next    string
		}
		if err := errors.Join(err, json.Unmarshal(w.Body.Bytes(), &page)); err != nil {
			t.Fatal(err)
		}
		if len(page.Numbers) != limit || page.Next != "more" || read != 2 {
			t.Errorf("%d of %d numbers, next %q, read %d times", len(page.Numbers), limit, page.Next, read)
		}
		if w.Header().Get("Content-Length") != strconv.Itoa(w.Body.Len()) {
			t.Errorf("Content-Length %s of %d", w.Header().Get("Content-Length"), w.Body.Len())
		}
	}
}

// TestAPageThatFailsIsNoPage: where the store fails before the first byte it is a problem,
// and later the connection is cut, so that half a page is not taken for all of it.
func TestAPageThatFailsIsNoPage(t *testing.T) {
	l := &largeStore{total: 100}
	server := httptest.NewServer(httperr.Handle(slog.New(slog.DiscardHandler), func(w http.ResponseWriter, r *http.Request) error {
		return listLarge(l, w, "limit=100")
	}))
	defer server.Close()
	for fails, want := range map[int]int{1: http.StatusInternalServerError, 20: http.StatusOK} {
		l.fails = fails
		resp, err := http.Get(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("failing at %d: %s", fails, resp.Status)
		}
		if want == http.StatusOK && (err == nil || !bytes.HasPrefix(body, []byte(`{"alerts":[`))) {
			t.Errorf("half a page ended well: %v, %d bytes", err, len(body))
		}
	}
}

// TestNobodyReadsForWhoIsGone: the rest of a page is not read once it cannot be written,
// nor if only its headers are asked for.
func TestNobodyReadsForWhoIsGone(t *testing.T) {
	l := &largeStore{total: 200, fails: 10}
	w := &watchedWriter{ResponseRecorder: httptest.NewRecorder(), write: func([]byte) error { return errors.New("the client is gone") }}
	if err := listLarge(l, w, "limit=1000"); err != nil {
		t.Error(err)
	}
	h := &Handler{Options: Options{Repo: &storage.Repository{Store: l}, Nearest: nothingNear}}
	head := httptest.NewRecorder()
	if err := h.listUnmapped(head, httptest.NewRequest(http.MethodHead, "/api/v1/unmapped?limit=1000", nil)); err != nil {
		t.Error(err)
	}
	if head.Code != http.StatusOK || head.Header().Get("Content-Type") != "application/json" || head.Body.Len() != 0 {
		t.Errorf("HEAD: %d %v, %d bytes", head.Code, head.Header(), head.Body.Len())
	}
}

// TestSLOsAreWrittenAsTheyAre: all SLOs of a large organisation come, and no copy of them
// is made.
func TestSLOsAreWrittenAsTheyAre(t *testing.T) {
	policy := &incident.Policy{}
	for i := range 10_000 {
		policy.SLOs = append(policy.SLOs, incident.SLO{ID: "slo-" + strconv.Itoa(i), UseCase: strings.Repeat("x", 1000)})
	}
	h := &Handler{Options: Options{Repo: &storage.Repository{Store: &largeStore{}, Policy: func() *incident.Policy { return policy }}}}
	w := &watchedWriter{ResponseRecorder: httptest.NewRecorder()}
	writes := 0
	w.write = func(b []byte) error {
		if writes++; cap(b) > 3*maxChunk {
			t.Fatalf("%d bytes are held for one write", cap(b))
		}
		return nil
	}
	if err := h.listSLOs(w, httptest.NewRequest(http.MethodGet, "/api/v1/slos", nil)); err != nil {
		t.Fatal(err)
	}
	var all SLOs
	if err := json.Unmarshal(w.Body.Bytes(), &all); err != nil {
		t.Fatal(err)
	}
	if len(all.SLOs) != 10_000 || all.SLOs[9_999].ID != "slo-9999" || writes < 100 {
		t.Errorf("%d SLOs in %d writes", len(all.SLOs), writes)
	}
}

// nothingNear knows no SLO.
func nothingNear(map[string]string) (label, id string) { return "", "" }
