package alertmanagers_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sitrep/router/alertmanagers"
)

// A roundTrip is an Alertmanager without a network.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func via(f roundTrip) *alertmanagers.Client {
	return alertmanagers.New([]alertmanagers.Endpoint{{URL: "http://am.example.org", Client: &http.Client{Transport: f}}})
}

// TestAQuestionEndsInItsTime: an Alertmanager that says nothing holds up no other question
// for longer than it may take, whether it is silent at once or in the middle.
func TestAQuestionEndsInItsTime(t *testing.T) {
	for _, silent := range []string{"/api/v2/status", "/api/v2/alerts"} {
		t.Run(silent, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour) // longer than anybody waits
				defer cancel()
				c := via(func(r *http.Request) (*http.Response, error) {
					if r.URL.Path == silent {
						<-r.Context().Done()
						return nil, r.Context().Err()
					}
					return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader("{}")), Request: r}, nil
				})
				start := time.Now()
				answers, err := c.Firing(ctx)
				if took := time.Since(start); took != alertmanagers.DefaultTimeout || !errors.Is(err, context.DeadlineExceeded) || answers.Others.Answered != 0 {
					t.Errorf("a question that nobody answers ended after %v (%v), want %v", took, err, alertmanagers.DefaultTimeout)
				}
			})
		})
	}
}

// A body is that of an answer, which is told when it is closed.
type body struct {
	io.Reader
	close func()
}

func (b *body) Close() error {
	b.close()
	return nil
}

// TestAnswersAreGivenBack: whatever they say; else each question would hold connections
// and what reads them for ever.
func TestAnswersAreGivenBack(t *testing.T) {
	for _, said := range []struct {
		status int
		text   string
	}{{200, noAlerts}, {200, "<html>"}, {200, "[{"}, {404, "not found"}, {500, ""}} {
		t.Run(fmt.Sprint(said.status, said.text), func(t *testing.T) {
			var mu sync.Mutex
			var open []string
			_, err := via(func(r *http.Request) (*http.Response, error) {
				mu.Lock()
				defer mu.Unlock()
				open = append(open, r.URL.Path)
				return &http.Response{StatusCode: said.status, Status: fmt.Sprint(said.status), Request: r, Body: &body{strings.NewReader(said.text), func() {
					mu.Lock()
					defer mu.Unlock()
					open = slices.DeleteFunc(open, func(path string) bool { return path == r.URL.Path })
				}}}, nil
			}).Firing(t.Context())
			mu.Lock()
			defer mu.Unlock()
			if len(open) > 0 {
				t.Errorf("answers to %v (%v) are not closed: their connections are never given back", open, err)
			}
		})
	}
}
