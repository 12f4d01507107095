package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"

	"sitrep/storage"
)

const (
	// maxAnswer is about how many bytes one page of a list has at most: what is beyond
	// comes with its next. Clients that read slowly hold no more than that each.
	maxAnswer = 4 << 20
	// batch is how many items are read at once.
	batch = 20
)

// A sheet is a page of a list while it is filled. Each item is encoded at once, so
// that only its bytes are kept.
type sheet struct {
	body  bytes.Buffer
	items int
	limit int
}

// add encodes items. It returns the error of the first that cannot be.
func add[T any](s *sheet, items []T) error {
	for i := range items {
		text, err := json.Marshal(&items[i])
		if err != nil {
			return fmt.Errorf("encode the answer: %w", err)
		}
		if s.items++; s.items > 1 {
			s.body.WriteByte(',')
		}
		s.body.Write(text)
	}
	return nil
}

// room returns how many items may be read next; 0 if the page is full.
func (s *sheet) room() int {
	if s.body.Len() >= maxAnswer {
		return 0
	}
	return min(batch, s.limit-s.items)
}

// fill reads items from the cursor on until the page is full or there are no more, and
// returns where the next page begins; empty if there is none.
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
		if err := add(s, items); err != nil {
			return "", err
		}
		if next == "" {
			return "", nil
		}
	}
}

// answerPage answers with the page of a list whose items are called name, as read
// fills it. Where there is no item at all, empty, if there is one, may say why.
func (h *Handler) answerPage(
	w http.ResponseWriter, r *http.Request, name string, empty func() error,
	read func(tx storage.Reader, s *sheet, cursor string) (next string, err error),
) error {
	limit, cursor, err := pageOf(r)
	if err != nil {
		return err
	}
	s, next := &sheet{}, ""
	err = h.read(r.Context(), func(tx storage.Reader) (err error) {
		*s = sheet{limit: limit} // anew, if the snapshot is read again
		fmt.Fprintf(&s.body, "{%q:[", name)
		next, err = read(tx, s, cursor)
		return err
	})
	if err != nil {
		return err
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
	fmt.Fprintf(&s.body, "],\"next\":%s}\n", end)
	return answerBytes(w, http.StatusOK, s.body.Bytes())
}
