package web

import (
	"encoding/json"
	"net/http"

	"sitrep/internal/httperr"
)

type problemPage struct {
	layout
	Problem httperr.Problem
	Advice  string
}

// problem answers with the page of a problem.
func (h *Handler) problem(w http.ResponseWriter, r *http.Request, kept *keptAnswer) {
	p := problemPage{Problem: httperr.Problem{Title: http.StatusText(kept.code), Status: kept.code}}
	_ = json.Unmarshal(kept.body.Bytes(), &p.Problem) // else the title alone
	if kept.passed != nil {
		r = kept.passed // who may see the page may see what stands around it
	}
	p.layout = h.layout(r, p.Problem.Title)
	p.Refresh = false
	switch {
	case kept.code == http.StatusUnauthorized:
		p.Advice = "Reload this page to log in."
	case kept.code == http.StatusServiceUnavailable:
		p.Advice = "Reload this page in a few seconds. If it stays like this, look at the log of sitrep."
	case kept.code >= 500:
		p.Advice = "The log of sitrep has the details, under the name of the request below."
	}
	body, err := h.execute("problem", &p)
	if err != nil {
		h.Logger.Error("page failed", "err", err)
		body = []byte(p.Problem.Title + "\n")
	}
	answer(w, kept.code, "text/html; charset=utf-8", body)
}
