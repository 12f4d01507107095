package receiver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/semaphore"
)

var (
	// errBusy is a post for which there is no room now.
	errBusy = errors.New("too many posts at once")
	// errBody is a body that broke off, or did not come in time.
	errBody = errors.New("read body")
)

// A budget bounds the bytes of all bodies that are read and worked on at once.
// Reading claims them step by step, so that a body that is announced and never
// comes holds little.
type budget struct {
	room  *semaphore.Weighted
	wait  time.Duration // for the first step
	gauge prometheus.Gauge
}

// A hold is a part of a budget.
type reservation struct {
	budget *budget
	bytes  int64
}

// claim takes the first n bytes, and waits a moment for them.
func (b *budget) claim(ctx context.Context, n int64) (*reservation, error) {
	if !b.room.TryAcquire(n) {
		ctx, cancel := context.WithTimeout(ctx, b.wait)
		defer cancel()
		if b.room.Acquire(ctx, n) != nil {
			return nil, errBusy
		}
	}
	b.gauge.Add(float64(n))
	return &reservation{b, n}, nil
}

// grow takes more until there are n bytes. It does not wait: two that wait for
// what the other holds would both fail later.
func (h *reservation) grow(n int64) error {
	more := n - h.bytes
	if !h.budget.room.TryAcquire(more) {
		return errBusy
	}
	h.budget.gauge.Add(float64(more))
	h.bytes = n
	return nil
}

func (h *reservation) release() {
	h.budget.room.Release(h.bytes)
	h.budget.gauge.Sub(float64(h.bytes))
	h.bytes = 0
}

const (
	minStep    = 4 << 10  // what the smallest body claims
	maxStep    = 64 << 10 // what the largest claims before anything of it came
	keepBuffer = 1 << 20  // larger ones are not kept for the next body
)

// firstStep returns how many bytes a request claims before it is read.
func firstStep(r *http.Request) int64 {
	if r.ContentLength < 0 {
		return minStep
	}
	return min(max(r.ContentLength+1, minStep), maxStep)
}

// buffers are kept between bodies.
type buffers struct{ pool sync.Pool }

func (b *buffers) get() []byte {
	if p, ok := b.pool.Get().(*[]byte); ok {
		return (*p)[:0]
	}
	return nil
}

func (b *buffers) put(buf []byte) {
	if cap(buf) <= keepBuffer {
		b.pool.Put(&buf)
	}
}

// readBody appends the body of r to buf, and claims what it takes. The error is a
// *refusal if the body is too large, errBusy if there is no room for it, else errBody.
func readBody(buf []byte, r *http.Request, h *reservation) ([]byte, error) {
	for {
		if int64(len(buf)) == h.bytes {
			next := min(2*h.bytes, MaxBody+1)
			if r.ContentLength >= 0 && next > r.ContentLength {
				next = r.ContentLength + 1 // one more, to see that it ends there
			}
			if err := h.grow(next); err != nil {
				return buf, err
			}
		}
		if int64(cap(buf)) < h.bytes {
			larger := make([]byte, len(buf), h.bytes)
			copy(larger, buf)
			buf = larger
		}
		n, err := r.Body.Read(buf[len(buf):h.bytes])
		buf = buf[:len(buf)+n]
		switch {
		case len(buf) > MaxBody:
			return buf, tooLarge()
		case err == io.EOF:
			return buf, nil
		case err != nil:
			if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
				return buf, tooLarge()
			}
			return buf, fmt.Errorf("%w: %w", errBody, err)
		}
	}
}

func tooLarge() error {
	return &refusal{
		http.StatusRequestEntityTooLarge, refusedSize,
		fmt.Sprintf("the body is larger than %d MiB; set max_alerts or group by more labels", MaxBody>>20),
	}
}
