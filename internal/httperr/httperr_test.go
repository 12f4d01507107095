package httperr_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"sitrep/incident"
	"sitrep/internal/httperr"
)

type teapot struct{}

func (teapot) Error() string   { return "short and stout" }
func (teapot) HTTPStatus() int { return http.StatusTeapot }

func TestEachErrorHasItsStatus(t *testing.T) {
	problem := func(kind error) error {
		return fmt.Errorf("change INC-1: %w", &incident.Problem{Kind: kind, Text: "say it differently"})
	}
	tests := []struct {
		name   string
		err    error
		status int
		detail string
	}{
		{"an invalid command is answered as written", problem(incident.ErrInvalid), 400, "say it differently"},
		{"what is not there", problem(incident.ErrNotFound), 404, "say it differently"},
		{"what the state forbids", problem(incident.ErrConflict), 409, "say it differently"},
		{"what changed meanwhile", problem(incident.ErrChanged), 412, "say it differently"},
		{"a bare kind keeps its whole text", fmt.Errorf("read %q: %w", "INC-9", incident.ErrNotFound), 404, `read "INC-9": not found`},
		{"too large a body names the limit", fmt.Errorf("read: %w", &http.MaxBytesError{Limit: 10}), 413, "the body is larger than 10 bytes; send less at once"},
		{"a status of its own", httperr.Status(415, "send application/json"), 415, "send application/json"},
		{"the cause of a wrapped one stays inside", httperr.Wrap(503, "the disk is full; make room", errors.New("/secret/path")), 503, "the disk is full; make room"},
		{"another type may choose its status", fmt.Errorf("brew: %w", teapot{}), 418, "brew: short and stout"},
		{"a deadline may be tried again", fmt.Errorf("read: %w", context.DeadlineExceeded), 503, "this took too long; try again"},
		{"anything else says nothing", errors.New("password is hunter2"), 500, "internal error"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := httptest.NewRecorder()
			h := httperr.Handle(slog.New(slog.DiscardHandler), func(http.ResponseWriter, *http.Request) error { return tt.err })
			h.ServeHTTP(w, httptest.NewRequest("GET", "/x", nil))
			if w.Code != tt.status {
				t.Errorf("status = %d, want %d", w.Code, tt.status)
			}
			if ct := w.Header().Get("Content-Type"); ct != "application/problem+json" {
				t.Errorf("content type = %q", ct)
			}
			var p httperr.Problem
			if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
				t.Fatal(err)
			}
			want := httperr.Problem{"about:blank", http.StatusText(tt.status), tt.status, tt.detail, "urn:sitrep:request:" + w.Header().Get("X-Request-Id")}
			if p != want {
				t.Errorf("problem\n got %+v\nwant %+v", p, want)
			}
			if (tt.status == 503) != (w.Header().Get("Retry-After") != "") {
				t.Errorf("Retry-After = %q", w.Header().Get("Retry-After"))
			}
		})
	}
}

func TestDetailsAreInTheLogUnderTheRequest(t *testing.T) {
	var log bytes.Buffer
	w := httptest.NewRecorder()
	httperr.Handle(slog.New(slog.NewTextHandler(&log, nil)), func(http.ResponseWriter, *http.Request) error {
		return errors.New("page 7 is torn")
	}).ServeHTTP(w, httptest.NewRequest("GET", "/api/v1/slos?q=private", nil))
	for _, want := range []string{"level=ERROR", "page 7 is torn", "request=" + w.Header().Get("X-Request-Id"), "path=/api/v1/slos"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("log has no %q: %s", want, log.String())
		}
	}
	if strings.Contains(log.String(), "private") {
		t.Errorf("log shows the query: %s", log.String())
	}
}

func TestHeadersOfAnErrorAreSent(t *testing.T) {
	w := httptest.NewRecorder()
	httperr.Write(w, httptest.NewRequest("PUT", "/", nil),
		&httperr.Error{Code: 405, Text: "use GET", Header: http.Header{"Allow": {"GET, HEAD"}}})
	if got := w.Header().Get("Allow"); got != "GET, HEAD" {
		t.Errorf("Allow = %q", got)
	}
}

func TestAnInnerHandlerKeepsTheRequestID(t *testing.T) {
	var inner string
	h := httperr.WithRequestID(httperr.Handle(slog.New(slog.DiscardHandler), func(_ http.ResponseWriter, r *http.Request) error {
		inner = httperr.RequestID(r.Context())
		return nil
	}))
	w := httptest.NewRecorder()
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("X-Request-Id", "forged")
	h.ServeHTTP(w, r)
	if got := w.Header().Get("X-Request-Id"); inner == "" || inner == "forged" || got != inner {
		t.Errorf("inner %q, answered %q", inner, got)
	}
}

func TestAnAnswerThatBreaksOffIsCut(t *testing.T) {
	srv := httptest.NewServer(httperr.Handle(slog.New(slog.DiscardHandler), func(w http.ResponseWriter, _ *http.Request) error {
		if _, err := io.WriteString(w, "half"); err != nil {
			return err
		}
		if err := http.NewResponseController(w).Flush(); err != nil {
			return err
		}
		return errors.New("the rest is missing")
	}))
	defer srv.Close()
	resp, err := srv.Client().Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err == nil {
		t.Errorf("the client took %q for a whole answer", body)
	}
}
