package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"strings"

	"sitrep/storage"
)

const (
	// maxAnswer is about how many bytes one page of a list has at most: what is beyond
	// comes with its next.
	maxAnswer = 4 << 20
	// maxChunk is about how many bytes of a list are made before they are written. Clients
	// that read slowly hold no more than that each, and one item beyond.
	maxChunk = 64 << 10
	// batch is how many items are read at once at most.
	batch = 20
)

// A sheet is a list while it is made and written, a chunk at a time. Each item is encoded
// at once, so that only its bytes are kept.
type sheet struct {
	w    http.ResponseWriter
	head bool // only the headers are asked for

	chunk   bytes.Buffer
	written int // bytes, before chunk
	items   int
	begun   int // of them, were there when chunk began
	limit   int
	largest int // bytes of an item; 0 if there was none
}

// newSheet begins a list of up to limit items that is called name.
func newSheet(w http.ResponseWriter, r *http.Request, name string, limit int) *sheet {
	s := &sheet{w: w, head: r.Method == http.MethodHead, limit: limit}
	fmt.Fprintf(&s.chunk, "{%q:[", name)
	return s
}

// add encodes items. It returns the error of the first that cannot be.
func add[T any](s *sheet, items ...T) error {
	for i := range items {
		text, err := json.Marshal(&items[i])
		if err != nil {
			return fmt.Errorf("encode the answer: %w", err)
		}
		if s.items++; s.items > 1 {
			s.chunk.WriteByte(',')
		}
		s.chunk.Write(text)
		s.largest = max(s.largest, len(text))
	}
	return nil
}

// full reports whether no item has room any more.
func (s *sheet) full() bool { return s.items >= s.limit || s.written+s.chunk.Len() >= maxAnswer }

// stop lets the list end with what it has.
func (s *sheet) stop() { s.limit = s.items }

// room returns how many items may be read next; 0 if the chunk or all is full. It begins
// with one, as nobody knows how large they are.
func (s *sheet) room() int {
	left := maxChunk - s.chunk.Len()
	switch {
	case left <= 0 || s.full():
		return 0
	case s.largest == 0:
		return 1
	}
	return max(1, min(batch, s.limit-s.items, left/s.largest))
}

// fill reads items from the cursor on until the chunk is full or there are no more, and
// returns where it goes on; empty if there are none.
func fill[T any](s *sheet, cursor string, read func(limit int, cursor string) ([]T, string, error)) (next string, err error) {
	for next = cursor; ; {
		room := s.room()
		if room == 0 {
			return next, nil
		}
		var items []T
		if items, next, err = read(room, next); err != nil {
			return "", err
		}
		if err := add(s, items...); err != nil {
			return "", err
		}
		if next == "" {
			return "", nil
		}
	}
}

// again takes back what came into the chunk.
func (s *sheet) again(length int) {
	s.chunk.Truncate(length)
	s.items = s.begun
}

// flush writes the chunk, and reports whether somebody waits for the next.
func (s *sheet) flush() bool {
	if s.written == 0 {
		beginJSON(s.w)
		s.w.WriteHeader(http.StatusOK)
	}
	if s.head {
		return false
	}
	n, err := s.w.Write(s.chunk.Bytes())
	s.written, s.begun = s.written+n, s.items
	if s.chunk.Cap() > 2*maxChunk {
		s.chunk = bytes.Buffer{} // it had a large item; the next may wait for long
	}
	s.chunk.Reset()
	return err == nil // else the client is gone
}

// end writes what is left.
func (s *sheet) end(tail string) error {
	s.chunk.WriteString(tail)
	if s.written == 0 {
		return answerBytes(s.w, http.StatusOK, s.chunk.Bytes())
	}
	s.flush()
	return nil
}

// answerPage answers with the page of a list whose items are called name, as read
// fills it. Where there is no item at all, empty, if there is one, may say why.
//
// What is read is written before more is read, so that no snapshot of the store waits for
// a client: read is called again, with the cursor that it returned, until all is there. Each
// piece is as it was when it was read, as pages are.
func (h *Handler) answerPage(
	w http.ResponseWriter, r *http.Request, name string, empty func() error,
	read func(tx storage.Snapshot, s *sheet, cursor string) (next string, err error),
) error {
	return h.answerPageThen(w, r, name, "{}", empty, read)
}

// answerPageWith is answerPage of a list beside which other fields stand, those of a JSON object.
func (h *Handler) answerPageWith(
	w http.ResponseWriter, r *http.Request, name, beside string,
	read func(tx storage.Snapshot, s *sheet, cursor string) (next string, err error),
) error {
	return h.answerPageThen(w, r, name, beside, nil, read)
}

func (h *Handler) answerPageThen(
	w http.ResponseWriter, r *http.Request, name, beside string, empty func() error,
	read func(tx storage.Snapshot, s *sheet, cursor string) (next string, err error),
) error {
	limit, cursor, err := pageOf(r)
	if err != nil {
		return err
	}
	s, next := newSheet(w, r, name, limit), cursor
	for {
		from, length := next, s.chunk.Len()
		err = h.read(r.Context(), func(tx storage.Snapshot) (err error) {
			s.again(length) // if the snapshot is read again
			next, err = read(tx, s, from)
			return err
		})
		if err != nil {
			return err
		}
		if next == "" || s.full() {
			break
		}
		if !s.flush() {
			return nil
		}
	}
	if s.items == 0 && cursor == "" && empty != nil {
		if err := empty(); err != nil {
			return err
		}
	}
	end, err := json.Marshal(next)
	if err != nil {
		return fmt.Errorf("encode the answer: %w", err)
	}
	if beside = strings.TrimPrefix(beside, "{"); beside != "}" {
		beside = "," + beside
	}
	return s.end("],\"next\":" + string(end) + beside + "\n")
}

// answerAll answers with all items, which are called name. They are encoded as they are
// written.
func answerAll[T any](w http.ResponseWriter, r *http.Request, name string, items iter.Seq[T]) error {
	s := newSheet(w, r, name, 0)
	for item := range items {
		if err := add(s, item); err != nil {
			return err
		}
		if s.chunk.Len() >= maxChunk && !s.flush() {
			return nil
		}
	}
	return s.end("]}\n")
}
