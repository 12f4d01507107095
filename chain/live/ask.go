package live

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// The bounds of answers, in bytes.
const (
	maxRulesAnswer  = 64 << 20
	maxConfigAnswer = 32 << 20
	maxListAnswer   = 16 << 20
)

// An asked is an answer in JSON: what it is to be read into, and how long it may be.
type asked struct {
	path  string // below the URL
	query url.Values
	most  int64
	into  any
}

// get asks for JSON, and returns what the clock of who answered says. The error says what to do.
func (e *Endpoint) get(ctx context.Context, a asked) (clock time.Time, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, e.URL, nil)
	if err != nil || req.URL.Host == "" {
		return clock, errors.New("its URL is not an http or https URL")
	}
	req.URL.Path = strings.TrimRight(req.URL.Path, "/") + a.path
	req.URL.RawPath, req.URL.RawQuery = "", a.query.Encode()
	req.Header.Set("Accept", "application/json")
	resp, err := e.Client.Do(req)
	if err != nil {
		return clock, bare(ctx, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, a.most+1))
	switch {
	case err != nil:
		return clock, fmt.Errorf("read %s: %w", a.path, bare(ctx, err))
	case int64(len(body)) > a.most:
		return clock, fmt.Errorf("the answer to %s is longer than %d MiB", a.path, a.most>>20)
	case resp.StatusCode != http.StatusOK:
		return clock, refusal(resp, a.path, body)
	}
	if err := json.Unmarshal(body, a.into); err != nil {
		return clock, fmt.Errorf("the answer to %s is not what it should be (%w); does a page to log in stand before it?", a.path, err)
	}
	if clock, err = http.ParseTime(resp.Header.Get("Date")); err != nil {
		clock = time.Now()
	}
	return clock.UTC(), nil
}

// A statusError is an answer that refuses.
type statusError struct {
	code int
	text string
}

// Error says what to do about it.
func (e *statusError) Error() string { return e.text }

func refusal(resp *http.Response, path string, body []byte) error {
	e := &statusError{resp.StatusCode, fmt.Sprintf("answered %s to %s", resp.Status, path)}
	var said struct {
		Error string `json:"error"`
	}
	switch {
	case resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden:
		e.text += "; give it credentials: http_config in the configuration, or --token-file or --user"
	case resp.StatusCode == http.StatusNotFound:
		e.text += "; is the path prefix of its URL missing, or is it another program?"
	case json.Unmarshal(body, &said) == nil && said.Error != "":
		e.text += ": " + short(said.Error)
	}
	return e
}

// bare returns an error without the URL that net/http puts before it.
func bare(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return errors.New("no answer in time")
	}
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// short returns the beginning of a text, on one line.
func short(text string) string {
	const most = 300
	text = strings.Join(strings.Fields(text), " ")
	if r := []rune(text); len(r) > most {
		return string(r[:most]) + "…"
	}
	return text
}
