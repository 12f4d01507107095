package webhook_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sitrep/router"
	"sitrep/router/webhook"
)

// A roundTrip is a far end without a network.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// via returns a sender that reaches its only endpoint by f.
func via(f roundTrip, timeout time.Duration) *webhook.Sender {
	to := webhook.Endpoint{URL: "https://hooks.example.org" + secretPath, Client: &http.Client{Transport: f}}
	return webhook.New(webhook.Options{Endpoints: func(string) (webhook.Endpoint, bool) { return to, true }, Timeout: timeout})
}

// TestAnAttemptEndsInItsTime: a far end that says nothing holds a hand for no longer than
// an attempt may take, whoever waits for it.
func TestAnAttemptEndsInItsTime(t *testing.T) {
	for name, timeout := range map[string]time.Duration{"by default": 0, "as configured": 3 * time.Second} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour) // longer than anybody waits
				defer cancel()
				s := via(func(r *http.Request) (*http.Response, error) {
					<-r.Context().Done()
					return nil, r.Context().Err()
				}, timeout)
				want := timeout
				if want == 0 {
					want = webhook.DefaultTimeout
				}
				start := time.Now()
				err := s.Send(ctx, envelope("id", "{}"), nil)
				if took := time.Since(start); took != want || !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("an attempt that nobody answers ended after %v (%v), want %v", took, err, want)
				}
			})
		})
	}
}

// A bodyOf is the body of an answer. Its far end sends nothing more, so that who reads it
// waits for ever.
type bodyOf struct {
	t      *testing.T
	closed atomic.Int32
}

func (b *bodyOf) Read([]byte) (int, error) {
	b.t.Error("the body of an answer is read: it may never end")
	return 0, io.EOF
}

func (b *bodyOf) Close() error {
	b.closed.Add(1)
	return nil
}

// TestAnAnswerIsGivenBack: whatever it says; else each attempt would hold a connection and
// what reads it for ever.
func TestAnAnswerIsGivenBack(t *testing.T) {
	for _, status := range []int{200, 204, 302, 400, 401, 404, 410, 429, 500, 503, 504} {
		body := &bodyOf{t: t}
		err := via(func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: status, Header: http.Header{}, Body: body, Request: r}, nil
		}, 0).Send(t.Context(), envelope("id", "{}"), nil)
		if body.closed.Load() == 0 {
			t.Errorf("an answer of %d (%v) is not closed: its connection is never given back", status, err)
		}
		if errors.Is(err, router.ErrUnknown) != (status == 504) {
			t.Errorf("%d: %v", status, err)
		}
	}
}
