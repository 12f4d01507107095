package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"sitrep/internal/httperr"
)

// maxAnswer bounds an answer in bytes: a page of 1000 incidents or deliveries stays
// far below.
const maxAnswer = 64 << 20

// Options are what a [Client] works with.
type Options struct {
	// URL is where sitrep is, http or https, with a path if a proxy gives it one.
	URL string
	// HTTP carries the requests, with credentials and TLS settings. It should not
	// follow redirects, as that would make a GET of a command.
	HTTP *http.Client
	// Wait waits between two attempts until d is over or ctx is done; nil is by the clock.
	Wait func(ctx context.Context, d time.Duration) error
}

// A Client speaks with one sitrep.
type Client struct {
	base *url.URL
	http *http.Client
	wait func(context.Context, time.Duration) error
}

// New returns a client. The error says what is wrong with the URL.
func New(o Options) (*Client, error) {
	u, err := url.Parse(o.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("not the URL of a sitrep; write it as https://sitrep.example.org")
	}
	u.Path = strings.TrimRight(u.Path, "/")
	c := &Client{base: u, http: o.HTTP, wait: o.Wait}
	if c.wait == nil {
		c.wait = wait
	}
	return c, nil
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// A Problem is an answer that says what went wrong. Its Detail is for people.
type Problem struct {
	httperr.Problem
}

func (p *Problem) Error() string {
	text := p.Detail
	if text == "" {
		text = "sitrep answered " + strconv.Itoa(p.Status) + " " + http.StatusText(p.Status)
	}
	if p.Status >= 500 {
		if id, ok := strings.CutPrefix(p.Instance, "urn:sitrep:request:"); ok {
			text += " (request " + id + " in its log)"
		}
	}
	return text
}

// An UnknownError is a command of which nobody knows whether it was carried out: it was
// sent, and no answer came. It may be repeated with the same key.
type UnknownError struct {
	Key string // Idempotency-Key
	Err error
}

func (e *UnknownError) Error() string {
	return fmt.Sprintf("no answer came, so it is not known whether this was done: %v", e.Err)
}

// Unwrap returns why no answer came.
func (e *UnknownError) Unwrap() error { return e.Err }

// Get asks for a path below the API's, and returns the JSON of the answer.
func (c *Client) Get(ctx context.Context, path string, query url.Values) (json.RawMessage, error) {
	return c.try(ctx, request{method: http.MethodGet, path: path, query: query})
}

// Download writes the answer of a path below the API's to w as it is. An answer of
// another type than the media type, such as a proxy's page to log in, is an error. It is
// tried once; after an error, w may have a part of the answer. An [Expecter] is told its size.
func (c *Client) Download(ctx context.Context, path string, query url.Values, media string, w io.Writer) error {
	u := *c.base
	u.Path = c.base.Path + "/api/v1" + path
	u.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", media+", application/problem+json")
	resp, err := c.http.Do(req)
	if err != nil {
		return c.failed(err)
	}
	defer resp.Body.Close()
	if got, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); resp.StatusCode != http.StatusOK || got != media {
		text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
		if err != nil {
			return c.failed(err)
		}
		if _, _, err = c.judge(resp, text); err == nil {
			err = c.strange(resp, got)
		}
		return err
	}
	if to, ok := w.(Expecter); ok && resp.ContentLength > 0 {
		to.Expect(resp.ContentLength)
	}
	if _, err := io.Copy(w, resp.Body); err != nil {
		return c.failed(err)
	}
	return nil
}

// An Expecter is told how many bytes it will get, where that is known, before the first of them.
type Expecter interface{ Expect(size int64) }

// request is one thing that is asked for, as often as it takes.
type request struct {
	method, path string // the path below the API's, escaped
	query        url.Values
	body         []byte
	header       http.Header
}

// attempts is how often something is tried, and pause how long to wait after the
// first, twice as long after each further one: a restart of sitrep takes seconds.
// Where nobody listens it is given up sooner.
const (
	attempts          = 5
	attemptsUnreached = 3
	pause             = 250 * time.Millisecond
	maxPause          = 5 * time.Second
)

// errNoAnswer is a request that sitrep may have carried out without an answer coming
// through, errUnreached one that surely did not reach it.
var (
	errNoAnswer  = errors.New("no answer")
	errUnreached = errors.New("not reached")
)

// A noAnswerError is an error with one of the two above behind it.
type noAnswerError struct {
	kind error
	text string
	err  error // may be nil
}

func (e *noAnswerError) Error() string { return e.text }

func (e *noAnswerError) Unwrap() []error {
	if e.err == nil {
		return []error{e.kind}
	}
	return []error{e.kind, e.err}
}

// try makes the request until there is an answer that another attempt would not
// change. The error is an errNoAnswer if one of the attempts is in doubt.
func (c *Client) try(ctx context.Context, r request) (json.RawMessage, error) {
	next, doubt := pause, false
	for n := 1; ; n++ {
		body, after, err := c.once(ctx, r)
		if err == nil {
			return body, nil
		}
		doubt = doubt || errors.Is(err, errNoAnswer)
		last := after < 0 || n == attempts || n == attemptsUnreached && errors.Is(err, errUnreached)
		if !last {
			last = c.wait(ctx, min(max(next, after), maxPause)) != nil
		}
		if last {
			// A refusal says what became of it, the first attempt included: what was carried
			// out before is answered as it was then.
			if p := (*Problem)(nil); doubt && !errors.Is(err, errNoAnswer) && !(errors.As(err, &p) && after < 0) {
				err = &noAnswerError{errNoAnswer, err.Error(), err}
			}
			return nil, err
		}
		next *= 2
	}
}

// once makes the request once. After is how long to wait before the next attempt, and
// negative if there is none.
func (c *Client) once(ctx context.Context, r request) (body json.RawMessage, after time.Duration, err error) {
	path, err := url.PathUnescape(r.path)
	if err != nil {
		return nil, -1, err
	}
	u := *c.base
	u.Path, u.RawPath = c.base.Path+"/api/v1"+path, c.base.EscapedPath()+"/api/v1"+r.path
	u.RawQuery = r.query.Encode()
	req, err := http.NewRequestWithContext(ctx, r.method, u.String(), bytes.NewReader(r.body))
	if err != nil {
		return nil, -1, err
	}
	for name, values := range r.header {
		req.Header[name] = values
	}
	if r.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Accept", "application/json, application/problem+json")
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, retry(err), c.failed(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, 0, c.failed(err)
	case len(text) > maxAnswer:
		return nil, -1, fmt.Errorf("%s answered with more than %d bytes", c.base.Redacted(), maxAnswer)
	}
	return c.judge(resp, text)
}

// retry returns how long to wait after a request that failed below HTTP; negative if
// another attempt would fail as well.
func retry(err error) time.Duration {
	var dns *net.DNSError
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	if errors.As(err, &dns) && dns.IsNotFound || errors.As(err, &certificate) || errors.As(err, &record) || errors.As(err, &alert) ||
		errors.Is(err, context.Canceled) {
		return -1
	}
	return 0
}

// failed says that there is no answer.
func (c *Client) failed(err error) error {
	kind := errNoAnswer
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" || retry(err) < 0 && !errors.Is(err, context.Canceled) {
		kind = errUnreached
	}
	return &noAnswerError{kind, fmt.Sprintf("ask %s: %v", c.base.Redacted(), reason(err)), err}
}

// judge decides what an answer means.
func (c *Client) judge(resp *http.Response, text []byte) (json.RawMessage, time.Duration, error) {
	mediaType, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	after := time.Duration(-1)
	switch resp.StatusCode {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout, http.StatusTooManyRequests:
		after = 0
		if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil {
			after = time.Duration(min(max(s, 0), 60)) * time.Second
		}
	}
	switch {
	case resp.StatusCode/100 == 2 && mediaType == "application/json" && json.Valid(text):
		return text, -1, nil
	case mediaType == "application/problem+json":
		p := &Problem{}
		if err := json.Unmarshal(text, &p.Problem); err == nil {
			p.Status = resp.StatusCode
			return nil, after, p
		}
	case resp.StatusCode/100 == 3:
		return nil, -1, fmt.Errorf("%s leads to %q; give the URL of sitrep itself", c.base.Redacted(), resp.Header.Get("Location"))
	}
	if after >= 0 {
		return nil, after, &noAnswerError{errNoAnswer, fmt.Sprintf("ask %s: a proxy answered %s", c.base.Redacted(), resp.Status), nil}
	}
	return nil, after, c.strange(resp, mediaType)
}

// strange is an answer that sitrep would not give.
func (c *Client) strange(resp *http.Response, mediaType string) error {
	return fmt.Errorf("%s answered %s with %q, which is no answer of sitrep's API; look at the URL", c.base.Redacted(), resp.Status, mediaType)
}

// reason leaves out what a url.Error repeats: the method and the URL.
func reason(err error) error {
	var of *url.Error
	if errors.As(err, &of) {
		return of.Err
	}
	return err
}
