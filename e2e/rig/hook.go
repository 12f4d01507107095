package rig

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// HookSecret signs what a [Hook] receives.
const HookSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// A Posting is one request that a hook got.
type Posting struct {
	ID       string // its webhook-id
	Body     []byte
	At       time.Time
	Verified bool // it bears the signature of HookSecret
	Type     string
}

// A Hook receives webhooks and keeps them.
type Hook struct {
	URL string

	server *http.Server

	mu       sync.Mutex
	status   int
	postings []Posting
}

// NewHook starts a receiver of webhooks.
func NewHook() (*Hook, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	h := &Hook{URL: "http://" + l.Addr().String() + "/hooks/secret-part", status: http.StatusNoContent}
	h.server = &http.Server{Handler: h}
	go func() { _ = h.server.Serve(l) }()
	return h, nil
}

// Close stops it.
func (h *Hook) Close() { h.server.Close() }

// Answer makes it answer with that status from now on.
func (h *Hook) Answer(status int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.status = status
}

// Postings returns all that it got, in order.
func (h *Hook) Postings() []Posting {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]Posting(nil), h.postings...)
}

func (h *Hook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	var typed struct {
		Type string `json:"type"`
	}
	_ = json.Unmarshal(body, &typed)
	hook, err := standardwebhooks.NewWebhook(HookSecret)
	p := Posting{
		ID:       r.Header.Get("Webhook-Id"),
		Body:     body,
		At:       time.Now(),
		Verified: err == nil && hook.Verify(body, r.Header) == nil,
		Type:     typed.Type,
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.postings = append(h.postings, p)
	w.WriteHeader(h.status)
}
