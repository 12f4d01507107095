package webhook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"sitrep/incident"
	"sitrep/router"
	"sitrep/templates"
	"sitrep/wording"
)

// DefaultTimeout is how long one attempt may take, from the look-up of the name
// to the answer.
const DefaultTimeout = 10 * time.Second

// An Endpoint is where a recipient's messages are posted.
type Endpoint struct {
	URL string // http or https; may hold a secret
	// Secret signs each request: base64, with or without whsec_ before it; anything
	// else counts as the bytes that it is. Empty: nothing is signed.
	Secret string
	// Format is what is posted and what the answer means; empty: JSON.
	Format Format
	// Client speaks to this endpoint alone. Its redirects are never followed. Required.
	Client *http.Client
}

// Options are what a Sender needs.
type Options struct {
	// Endpoints returns the endpoint of a recipient's ID, and false if it has none any
	// more. Called for each message and attempt, so that a reload takes effect at once. Nil:
	// there are none.
	Endpoints func(recipientID string) (Endpoint, bool)
	// Templates give messages of chats words and looks of their own; nil: they have sitrep's.
	Templates *templates.Set
	Timeout   time.Duration    // zero: DefaultTimeout
	Now       func() time.Time // nil: time.Now
	UserAgent string           // empty: sitrep
}

// A Sender posts messages to webhooks.
type Sender struct {
	endpoints func(string) (Endpoint, bool)
	templates *templates.Set
	now       func() time.Time
	timeout   time.Duration
	userAgent string
}

var _ router.Sender = (*Sender)(nil)

// New returns a Sender.
func New(o Options) *Sender {
	s := &Sender{endpoints: o.Endpoints, templates: o.Templates, now: o.Now, timeout: o.Timeout, userAgent: o.UserAgent}
	if s.endpoints == nil {
		s.endpoints = func(string) (Endpoint, bool) { return Endpoint{}, false }
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.timeout <= 0 {
		s.timeout = DefaultTimeout
	}
	if s.userAgent == "" {
		s.userAgent = "sitrep"
	}
	return s
}

// Render returns the JSON that is posted, in the format of the recipient. Where a template of one's
// own fails, it is in sitrep's words.
func (s *Sender) Render(m *incident.Message) ([]byte, error) {
	to, _ := s.endpoints(m.Recipient.ID)
	render := render
	if c := chats[to.Format]; c != nil {
		render = func(m *incident.Message) ([]byte, error) { return c.render(m, s.templates, to.Format) }
	}
	body, err := render(m)
	if err != nil {
		return nil, fmt.Errorf("render webhook %q of kind %s: %w", m.ID, m.Kind, err)
	}
	return body, nil
}

// Send posts the envelope's body once. A nil error is an answer of 2xx; of a chat it has to be
// what that answers to what it took, and else is router.ErrSetup, as are its answers that speak
// of a channel or the URL. A 4xx other
// than 401, 403, 404, 407, 408, 421, 425 and 429, and a recipient without an endpoint, are
// router.ErrPermanent; no answer after the request may have gone out is
// router.ErrUnknown, and so are 502 and 504, by which a proxy says the same. No connection,
// whatever a proxy answered to CONNECT, and 401, 407 and 429 are router.ErrReader. A
// Retry-After makes the error a router.Later.
func (s *Sender) Send(ctx context.Context, e router.Envelope, leased func(context.Context) error) error {
	to, ok := s.endpoints(e.Recipient.ID)
	if !ok {
		return fmt.Errorf("post to webhook %q: no longer in the configuration: %w", e.Recipient.Address, router.ErrPermanent)
	}
	place := Place(to.URL)
	req, err := s.request(e, to)
	if err != nil {
		return fmt.Errorf("post to webhook %q: %w", place, err)
	}
	if leased != nil {
		if err := leased(ctx); err != nil {
			return fmt.Errorf("post to webhook %q: %w", place, err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	sent := false // some of the request may have reached the other side
	req = req.WithContext(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) { sent = false },
		GotConn: func(httptrace.GotConnInfo) { sent = true },
	}))
	client := *to.Client
	// The body and its signature are for this place and no other.
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := client.Do(req)
	if err != nil {
		err = cause(err)
		if sent {
			return fmt.Errorf("post to webhook %q: no answer: %w: %w", place, err, router.ErrUnknown)
		}
		// Of a proxy that refuses CONNECT the error is its words alone.
		return fmt.Errorf("post to webhook %q: no connection: %w: %w", place, err, router.ErrReader)
	}
	if c := chats[to.Format]; c != nil {
		err = c.verdict(resp)
	} else {
		// The status is the whole answer; its body is a stranger's and is not read.
		err = verdict(resp.StatusCode)
	}
	resp.Body.Close()
	if err != nil {
		err = fmt.Errorf("post to webhook %q: %w", place, err)
		if wait := retryAfter(resp.Header.Get("Retry-After"), s.now()); wait > 0 {
			err = &router.Later{Wait: wait, Err: err}
		}
		return err
	}
	return nil
}

// retryAfter reads a Retry-After: seconds, or a date, of at most a day; 0 if it is
// neither, or past.
func retryAfter(header string, now time.Time) time.Duration {
	if seconds, err := strconv.Atoi(strings.TrimSpace(header)); err == nil {
		return time.Duration(min(max(seconds, 0), 24*60*60)) * time.Second
	}
	if at, err := http.ParseTime(header); err == nil {
		return min(max(at.Sub(now), 0), 24*time.Hour)
	}
	return 0
}

// request returns the signed request that carries e.
func (s *Sender) request(e router.Envelope, to Endpoint) (*http.Request, error) {
	req, err := http.NewRequest(http.MethodPost, to.URL, bytes.NewReader(e.Body))
	if err != nil || (req.URL.Scheme != "http" && req.URL.Scheme != "https") || req.URL.Host == "" {
		// The error would show the URL.
		return nil, errors.New("its URL is not an http or https URL")
	}
	now := s.now()
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", s.userAgent)
	req.Header.Set(standardwebhooks.HeaderWebhookID, e.ID)
	req.Header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(now.Unix(), 10))
	if to.Secret != "" {
		sig, err := sign(to.Secret, e.ID, now, e.Body)
		if err != nil {
			return nil, errors.New("sign the request")
		}
		req.Header.Set(standardwebhooks.HeaderWebhookSignature, sig)
	}
	return req, nil
}

// sign returns the value of the header webhook-signature.
func sign(secret, id string, at time.Time, body []byte) (string, error) {
	secret = strings.TrimSpace(secret)
	hook, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		hook, err = standardwebhooks.NewWebhookRaw([]byte(secret))
	}
	if err != nil {
		return "", err
	}
	return hook.Sign(id, at, body)
}

// verdict returns what an answer's status means, nil for 2xx.
func verdict(status int) error {
	switch {
	case status >= 200 && status <= 299:
		return nil
	case status >= 300 && status <= 399:
		return fmt.Errorf("answered %d: redirects are not followed; use the URL that it leads to", status)
	case status == http.StatusUnauthorized, status == http.StatusProxyAuthRequired, status == http.StatusTooManyRequests:
		return fmt.Errorf("answered %s: %w", words(status), router.ErrReader)
	case status == http.StatusForbidden, status == http.StatusNotFound, status == http.StatusRequestTimeout,
		status == http.StatusMisdirectedRequest, status == http.StatusTooEarly:
		return fmt.Errorf("answered %s", words(status))
	case status >= 400 && status <= 499:
		return fmt.Errorf("answered %s: %w", words(status), router.ErrPermanent)
	case status == http.StatusBadGateway, status == http.StatusGatewayTimeout:
		// What a proxy handed on may have been taken.
		return fmt.Errorf("answered %s: %w", words(status), router.ErrUnknown)
	}
	return fmt.Errorf("answered %s", words(status))
}

func words(status int) string {
	return strings.TrimSpace(strconv.Itoa(status) + " " + http.StatusText(status))
}

// longestCause is how many characters of why a request failed are kept.
const longestCause = 300

// cause returns err without the URL that net/http puts before it, and in one line that is
// not too long: it may quote megabytes of what the other side said.
func cause(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	return &shortError{err}
}

// A shortError is an error whose text is cut.
type shortError struct{ err error }

func (e *shortError) Error() string { return wording.Line(e.err.Error(), longestCause) }

func (e *shortError) Unwrap() error { return e.err }

// Place returns the scheme and host of a URL: all of it that may be shown.
func Place(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return "webhook"
	}
	return u.Scheme + "://" + u.Host
}
