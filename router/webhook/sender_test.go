package webhook_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"sitrep/incident"
	"sitrep/router"
	"sitrep/router/webhook"
)

// secretPath stands for the part of a URL that must never be shown.
const secretPath = "/hooks/T0KEN?key=s3cret"

// sender returns a sender whose only endpoint is that of the recipient "webhook:1".
func sender(to webhook.Endpoint, timeout time.Duration) *webhook.Sender {
	to.Client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	return webhook.New(webhook.Options{
		Endpoints: func(id string) (webhook.Endpoint, bool) { return to, id == "webhook:1" },
		Timeout:   timeout,
		Now:       func() time.Time { return time.Unix(1614265330, 0) },
	})
}

func envelope(id, body string) router.Envelope {
	return router.Envelope{
		ID:        id,
		Recipient: incident.Recipient{ID: "webhook:1", Channel: incident.ChannelWebhook, Address: "https://hooks.example.org"},
		Body:      []byte(body),
	}
}

func TestRequestIsSignedAsStandardWebhooks(t *testing.T) {
	raw := base64.StdEncoding.EncodeToString([]byte("no base64 at all!"))
	tests := []struct {
		name, secret, signature string
	}{
		// The vector of the Standard Webhooks libraries.
		{"a whsec_ secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="},
		{"the same without its prefix", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="},
		{"the same as a file's line", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="},
		{"bytes that are no base64", "no base64 at all!", signature(t, raw)},
		{"no secret", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got *http.Request
			var body []byte
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				got, body = r, must(io.ReadAll(r.Body))
			}))
			defer srv.Close()
			s := sender(webhook.Endpoint{URL: srv.URL + secretPath, Secret: tt.secret}, 0)
			if err := s.Send(t.Context(), envelope("msg_p5jXN8AQM9LWM0D4loKWxJek", `{"test": 2432232314}`), nil); err != nil {
				t.Fatal(err)
			}
			if got.Method != http.MethodPost || got.URL.RequestURI() != secretPath || string(body) != `{"test": 2432232314}` {
				t.Errorf("got %s %s with %q", got.Method, got.URL, body)
			}
			for header, want := range map[string]string{
				"Content-Type":      "application/json",
				"Webhook-Id":        "msg_p5jXN8AQM9LWM0D4loKWxJek",
				"Webhook-Timestamp": "1614265330",
				"Webhook-Signature": tt.signature,
			} {
				if g := got.Header.Get(header); g != want {
					t.Errorf("%s: got %q, want %q", header, g, want)
				}
			}
			if tt.signature != "" && strings.HasPrefix(tt.secret, "whsec_") {
				hook := must(standardwebhooks.NewWebhook(strings.TrimSpace(tt.secret)))
				if err := hook.VerifyIgnoringTimestamp(body, got.Header); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// signature returns what a library that has the secret as base64 makes of the vector.
func signature(t *testing.T, secret string) string {
	t.Helper()
	return must(must(standardwebhooks.NewWebhook(secret)).Sign("msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`)))
}

func TestRetryAfterIsKept(t *testing.T) {
	for header, want := range map[string]time.Duration{
		"": 0, "120": 2 * time.Minute, " 7 ": 7 * time.Second, "-5": 0, "soon": 0, "999999999": 24 * time.Hour,
		"Thu, 25 Feb 2021 15:03:50 GMT": 100 * time.Second, // of the sender's clock
		"Thu, 25 Feb 2021 10:00:00 GMT": 0,
	} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", header)
			w.WriteHeader(http.StatusServiceUnavailable)
		}))
		err := sender(webhook.Endpoint{URL: srv.URL + secretPath}, 0).Send(t.Context(), envelope("id", "{}"), nil)
		srv.Close()
		var later *router.Later
		if errors.As(err, &later) != (want > 0) || later != nil && later.Wait != want {
			t.Errorf("%q: %v, waits %+v, want %v", header, err, later, want)
		}
		noSecret(t, err)
	}
}

func TestStatusSaysWhatBecomesOfTheMessage(t *testing.T) {
	kinds := map[string][]int{
		"taken":     {200, 201, 202, 204, 299},
		"permanent": {400, 402, 405, 406, 409, 410, 411, 413, 415, 422, 451},
		"failed":    {301, 302, 303, 307, 308, 403, 404, 408, 421, 425, 500, 501, 503, 599},
		"reader":    {401, 407, 429},
		"unknown":   {502, 504},
	}
	for want, statuses := range kinds {
		for _, status := range statuses {
			t.Run(fmt.Sprint(status), func(t *testing.T) {
				posts := 0
				srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					posts++
					w.Header().Set("Location", "/elsewhere")
					w.WriteHeader(status)
				}))
				defer srv.Close()
				err := sender(webhook.Endpoint{URL: srv.URL + secretPath}, 0).Send(t.Context(), envelope("id", "{}"), nil)
				if got := kind(err); got != want {
					t.Errorf("got %s (%v), want %s", got, err, want)
				}
				if posts != 1 {
					t.Errorf("got %d requests, want 1", posts)
				}
				noSecret(t, err)
			})
		}
	}
}

func TestLostAnswerIsUnknown(t *testing.T) {
	tests := []struct {
		name   string
		answer func(c net.Conn)
	}{
		{"the connection is cut", func(net.Conn) {}},
		{"the answer is cut short", func(c net.Conn) { io.WriteString(c, "HTTP/1.1 200") }},
		{"the answer is no HTTP", func(c net.Conn) { io.WriteString(c, "220 mail.example.org ESMTP\r\n\r\n") }},
		{"the answer never comes", func(c net.Conn) { io.Copy(io.Discard, c) }},
		{"the answer's headers never end", func(c net.Conn) {
			io.WriteString(c, "HTTP/1.1 200 OK\r\n")
			for {
				if _, err := io.WriteString(c, "X-More: "+strings.Repeat("x", 1000)+"\r\n"); err != nil {
					return
				}
			}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := must(net.Listen("tcp", "127.0.0.1:0"))
			defer l.Close()
			go func() {
				for {
					c, err := l.Accept()
					if err != nil {
						return
					}
					go func() {
						defer c.Close()
						c.Read(make([]byte, 4096))
						tt.answer(c)
					}()
				}
			}()
			err := sender(webhook.Endpoint{URL: "http://" + l.Addr().String() + secretPath}, 300*time.Millisecond).
				Send(t.Context(), envelope("id", "{}"), nil)
			if got := kind(err); got != "unknown" {
				t.Errorf("got %s (%v), want unknown", got, err)
			}
			noSecret(t, err)
		})
	}
}

func TestWhatNeverArrivedSurelyFailed(t *testing.T) {
	l := must(net.Listen("tcp", "127.0.0.1:0"))
	refused := "http://" + l.Addr().String()
	l.Close()
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	untrusted := httptest.NewUnstartedServer(http.NotFoundHandler())
	untrusted.Config.ErrorLog = log.New(io.Discard, "", 0)
	untrusted.StartTLS()
	defer untrusted.Close()
	tests := []struct{ name, url string }{
		{"connection refused", refused},
		{"no such name", "http://nowhere.invalid"},
		{"no TLS there", strings.Replace(plain.URL, "http:", "https:", 1)},
		{"a certificate of nobody", untrusted.URL},
		{"not a URL for HTTP", "ftp://127.0.0.1"},
		{"not a URL", "http://127.0.0.1:port"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := sender(webhook.Endpoint{URL: tt.url + secretPath}, 3*time.Second).Send(t.Context(), envelope("id", "{}"), nil)
			// Its own address cannot be used, or is none.
			if got := kind(err); got != "reader" && got != "failed" {
				t.Errorf("got %s (%v), want one that is tried again", got, err)
			}
			noSecret(t, err)
		})
	}
}

func TestRecipientTakenOutGetsNothing(t *testing.T) {
	e := envelope("id", "{}")
	e.Recipient.ID = "webhook:gone"
	err := sender(webhook.Endpoint{URL: "http://127.0.0.1:1"}, 0).Send(t.Context(), e, nil)
	if !errors.Is(err, router.ErrPermanent) {
		t.Errorf("got %v, want ErrPermanent", err)
	}
}

func TestNothingIsSentOnceHoldSaysNo(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a request was sent") }))
	defer srv.Close()
	lost := errors.New("taken over")
	err := sender(webhook.Endpoint{URL: srv.URL}, 0).Send(t.Context(), envelope("id", "{}"), func(context.Context) error { return lost })
	if !errors.Is(err, lost) || errors.Is(err, router.ErrUnknown) || errors.Is(err, router.ErrPermanent) {
		t.Errorf("got %v, want %v", err, lost)
	}
}

func TestCancelledAttemptIsUnknown(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		cancel()
		<-r.Context().Done()
	}))
	defer srv.Close()
	err := sender(webhook.Endpoint{URL: srv.URL}, 0).Send(ctx, envelope("id", "{}"), nil)
	if !errors.Is(err, router.ErrUnknown) || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want ErrUnknown", err)
	}
}

func TestPlaceShowsOnlySchemeAndHost(t *testing.T) {
	for in, want := range map[string]string{
		"https://user:pw@hooks.example.org:8443/a/b?c#d": "https://hooks.example.org:8443",
		"http://[::1]:80/x": "http://[::1]:80",
		"::not a url":       "webhook",
		"":                  "webhook",
	} {
		if got := webhook.Place(in); got != want {
			t.Errorf("Place(%q): got %q, want %q", in, got, want)
		}
	}
}

// kind names what the router makes of an error.
func kind(err error) string {
	switch {
	case err == nil:
		return "taken"
	case errors.Is(err, router.ErrPermanent):
		return "permanent"
	case errors.Is(err, router.ErrUnknown):
		return "unknown"
	case errors.Is(err, router.ErrReader):
		return "reader"
	}
	return "failed"
}

// noSecret checks that an error does not show the URL.
func noSecret(t *testing.T, err error) {
	t.Helper()
	if err != nil && (strings.Contains(err.Error(), "T0KEN") || strings.Contains(err.Error(), "s3cret")) {
		t.Errorf("the error shows the URL: %v", err)
	}
}

// must returns v, and panics on an error.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
