package httperr

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
)

// A HandlerFunc is a handler that returns what went wrong instead of answering it.
type HandlerFunc func(w http.ResponseWriter, r *http.Request) error

// Handle makes an http.Handler of h. It gives the request an id, unless it has one,
// answers an error that h returns, and logs it if it was not the caller's doing.
//
// If h fails after it began to answer, the connection is cut, so that half an
// answer is not taken for a whole one.
func Handle(logger *slog.Logger, h HandlerFunc) http.Handler {
	return WithRequestID(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tracked := &tracker{ResponseWriter: w}
		err := h(tracked, r)
		if err == nil {
			return
		}
		if tracked.began {
			report(logger, r, err)
			panic(http.ErrAbortHandler)
		}
		Fail(logger, w, r, err)
	}))
}

// Fail answers a request with a problem, and logs the error if it was not the caller's
// doing.
func Fail(logger *slog.Logger, w http.ResponseWriter, r *http.Request, err error) {
	report(logger, r, err)
	Write(w, r, err)
}

// Write answers a request with a problem. It logs nothing.
func Write(w http.ResponseWriter, r *http.Request, err error) {
	p := Of(err)
	if id := RequestID(r.Context()); id != "" {
		p.Instance = "urn:sitrep:request:" + id
	}
	h := w.Header()
	var own *Error
	if errors.As(err, &own) {
		for k, v := range own.Header {
			h[k] = v
		}
	}
	if p.Status == http.StatusServiceUnavailable && h.Get("Retry-After") == "" {
		h.Set("Retry-After", "5")
	}
	body, err := json.Marshal(p)
	if err != nil { // strings and a number: cannot be
		panic(err)
	}
	body = append(body, '\n')
	h.Del("ETag")
	h.Set("Content-Type", "application/problem+json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(p.Status)
	_, _ = w.Write(body) // the client may be gone
}

func report(logger *slog.Logger, r *http.Request, err error) {
	code, level := Of(err).Status, slog.LevelDebug
	switch {
	case r.Context().Err() != nil && errors.Is(err, context.Canceled):
		// The client went away; nobody waits for the answer.
	case code == http.StatusServiceUnavailable:
		level = slog.LevelWarn
	case code >= 500:
		level = slog.LevelError
	}
	logger.Log(r.Context(), level, "request failed", "request", RequestID(r.Context()),
		"method", r.Method, "path", r.URL.Path, "status", code, "err", err)
}

type requestIDKey struct{}

// WithRequestID gives each request an id of its own, unless it has one from an
// outer handler. The id is in the context and in the header X-Request-Id of the
// answer; one that the client sent is not believed.
func WithRequestID(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if RequestID(r.Context()) == "" {
			id := rand.Text()
			r = r.WithContext(context.WithValue(r.Context(), requestIDKey{}, id))
			w.Header().Set("X-Request-Id", id)
		}
		next.ServeHTTP(w, r)
	})
}

// RequestID returns the id that the request of ctx has in the log, or nothing.
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
}

// tracker knows whether an answer has begun.
type tracker struct {
	http.ResponseWriter
	began bool
}

func (t *tracker) WriteHeader(code int) {
	if code >= 200 {
		t.began = true
	}
	t.ResponseWriter.WriteHeader(code)
}

func (t *tracker) Write(p []byte) (int, error) {
	t.began = true
	return t.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController reach what is beneath.
func (t *tracker) Unwrap() http.ResponseWriter { return t.ResponseWriter }
