package web

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"

	"sitrep/internal/httperr"
)

// A problemWriter keeps back an answer that is a problem in JSON, as the guard and
// httperr give it, so that people see a page instead.
type problemWriter struct {
	http.ResponseWriter
	code int // of the problem; 0: none
	body bytes.Buffer
}

func (w *problemWriter) WriteHeader(code int) {
	if code >= 400 && w.Header().Get("Content-Type") == "application/problem+json" {
		w.code = code
		return
	}
	w.ResponseWriter.WriteHeader(code)
}

func (w *problemWriter) Write(p []byte) (int, error) {
	if w.code != 0 {
		return w.body.Write(p)
	}
	return w.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController reach what is beneath.
func (w *problemWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

type problemPage struct {
	layout
	Problem httperr.Problem
	Advice  string
}

// problem answers with the page of a problem.
func (h *Handler) problem(w http.ResponseWriter, r *http.Request, pw *problemWriter) {
	p := problemPage{Problem: httperr.Problem{Title: http.StatusText(pw.code), Status: pw.code}}
	_ = json.Unmarshal(pw.body.Bytes(), &p.Problem) // else the title alone
	p.layout = h.layout(r, p.Problem.Title)
	p.Refresh = false
	switch {
	case pw.code == http.StatusUnauthorized:
		p.Advice = "Reload this page to log in."
	case pw.code == http.StatusServiceUnavailable:
		p.Advice = "Reload this page in a few seconds. If it stays like this, look at the log of sitrep."
	case pw.code >= 500:
		p.Advice = "The log of sitrep has the details, under the name of the request below."
	}
	body, err := h.execute("problem", &p)
	if err != nil {
		h.Logger.Error("page failed", "err", err)
		body = []byte(p.Problem.Title + "\n")
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(pw.code)
	_, _ = w.Write(body) // the client may be gone
}
