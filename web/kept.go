package web

import (
	"bytes"
	"context"
	"net/http"
	"time"

	"sitrep/internal/httperr"
)

const (
	// maxMaking is how many pages are made at once: it bounds what is read of the store for
	// them, and more would not be done sooner.
	maxMaking = 4
	// makingWithin is how long a request waits for its turn.
	makingWithin = 15 * time.Second
	// textShown is about how many bytes of what alerts and people say one list on a page
	// shows: then it is cut, and says where the rest is.
	textShown = 256 << 10
)

// oneAtATime is how much is read from the store at once of what may be large.
const oneAtATime = 10

// A keptAnswer keeps an answer back until its handler has ended: who reads it slowly then
// holds its bytes and nothing else. A problem in JSON, as the guard and httperr give it,
// becomes a page for people.
type keptAnswer struct {
	http.ResponseWriter
	code int // 0: 200
	body bytes.Buffer
	// passed is the request with who sent it, once the guard let it pass.
	passed *http.Request
}

// noting notes on the answer whose request it is.
func noting(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if kept, ok := w.(*keptAnswer); ok {
			kept.passed = r
		}
		next.ServeHTTP(w, r)
	})
}

// WriteHeader implements http.ResponseWriter.
func (k *keptAnswer) WriteHeader(code int) {
	if k.code == 0 {
		k.code = code
	}
}

// Write implements io.Writer.
func (k *keptAnswer) Write(p []byte) (int, error) { return k.body.Write(p) }

// problem reports whether the answer is a problem.
func (k *keptAnswer) problem() bool {
	return k.code >= 400 && k.Header().Get("Content-Type") == "application/problem+json"
}

// send gives the answer to the client.
func (k *keptAnswer) send() {
	if k.code != 0 {
		k.ResponseWriter.WriteHeader(k.code)
	}
	_, _ = k.ResponseWriter.Write(k.body.Bytes()) // the client may be gone
}

// inTurn lets next make its page when there is room for it.
func (h *Handler) inTurn(next httperr.HandlerFunc) httperr.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		ctx, cancel := context.WithTimeout(r.Context(), makingWithin)
		defer cancel()
		select {
		case h.making <- struct{}{}:
			defer func() { <-h.making }()
			return next(w, r)
		case <-ctx.Done():
			if err := r.Context().Err(); err != nil {
				return err
			}
			return httperr.Status(http.StatusServiceUnavailable, "too many pages are asked for at this moment; try again")
		}
	}
}

// A room is what is left for a list of the bytes that it may show.
type room struct {
	left int
	used bool
}

// take takes n bytes, and reports whether there was room for them. What comes first is
// shown, however large it is.
func (r *room) take(n int) bool {
	if r.used && n > r.left {
		return false
	}
	r.used, r.left = true, r.left-n
	return true
}

// sizeOf is the bytes of labels.
func sizeOf(labels ...[]label) (n int) {
	for _, some := range labels {
		for _, l := range some {
			n += len(l.Name) + len(l.Value)
		}
	}
	return n
}
