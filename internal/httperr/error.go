package httperr

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"sitrep/incident"
)

// An Error is an error that knows how it is answered. Its Text is shown to the
// caller and says what to do; Err is for the log alone.
type Error struct {
	Code   int
	Text   string
	Header http.Header // added to the answer, such as Allow; may be nil
	Err    error       // may be nil
}

// Status returns an error that is answered with the code and the text.
func Status(code int, text string) error { return &Error{Code: code, Text: text} }

// Statusf is Status with a format.
func Statusf(code int, format string, args ...any) error {
	return &Error{Code: code, Text: fmt.Sprintf(format, args...)}
}

// Wrap returns an error that is answered with the code and the text, and whose
// cause goes to the log.
func Wrap(code int, text string, err error) error { return &Error{Code: code, Text: text, Err: err} }

func (e *Error) Error() string {
	if e.Err == nil {
		return e.Text
	}
	return e.Text + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// HTTPStatus returns the code.
func (e *Error) HTTPStatus() int { return e.Code }

// A Problem is the body of an answer that says what went wrong, as in RFC 9457.
type Problem struct {
	Type     string `json:"type"`
	Title    string `json:"title"`
	Status   int    `json:"status"`
	Detail   string `json:"detail"`
	Instance string `json:"instance,omitempty"` // the request, as in the log
}

// Of returns the problem that an error is answered with, without its instance.
//
// An error that has a method HTTPStatus() int chooses its own status. If that is
// below 500 or 503, its text is answered as well.
func Of(err error) Problem {
	code, detail := table(err)
	return Problem{Type: "about:blank", Title: http.StatusText(code), Status: code, Detail: detail}
}

func table(err error) (code int, detail string) {
	var (
		own      *Error
		status   interface{ HTTPStatus() int }
		tooLarge *http.MaxBytesError
	)
	switch {
	case errors.As(err, &own):
		return own.Code, own.Text
	case errors.As(err, &status):
		code = status.HTTPStatus()
		if code < 500 || code == http.StatusServiceUnavailable {
			return code, err.Error()
		}
		return code, "internal error"
	case errors.Is(err, incident.ErrInvalid):
		return http.StatusBadRequest, words(err)
	case errors.Is(err, incident.ErrNotFound):
		return http.StatusNotFound, words(err)
	case errors.Is(err, incident.ErrConflict):
		return http.StatusConflict, words(err)
	case errors.Is(err, incident.ErrChanged):
		return http.StatusPreconditionFailed, words(err)
	case errors.As(err, &tooLarge):
		return http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is larger than %d bytes; send less at once", tooLarge.Limit)
	case errors.Is(err, context.DeadlineExceeded):
		return http.StatusServiceUnavailable, "this took too long; try again"
	case errors.Is(err, context.Canceled):
		return http.StatusServiceUnavailable, "the request was given up; try again"
	}
	return http.StatusInternalServerError, "internal error"
}

// words returns what was written for the person who caused err, without what was
// added on the way up.
func words(err error) string {
	var problem *incident.Problem
	if errors.As(err, &problem) {
		return problem.Text
	}
	return err.Error()
}

// Unavailable answers 503 to the errors of h that are of that kind: what could not be done
// now and may be tried again.
func Unavailable(kind error, h HandlerFunc) HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		err := h(w, r)
		if errors.Is(err, kind) {
			return Wrap(http.StatusServiceUnavailable, "nothing was changed, try again: "+err.Error(), err)
		}
		return err
	}
}
