package web

import (
	"log/slog"
	"net/http"

	"sitrep/internal/access"
	"sitrep/internal/status"
	"sitrep/wording"
)

// A mailTestPage asks where a test mail is to go, shows it, or says what became of it.
type mailTestPage struct {
	layout
	To    string
	Error string // what is wrong with what was filled in
	Test  *status.MailTest
}

func (h *Handler) mailTestForm(w http.ResponseWriter, r *http.Request) error {
	p := mailTestPage{layout: h.layout(r, "Send a test mail")}
	p.Refresh = false
	return h.render(w, http.StatusOK, "mailtest", &p)
}

// mailTest previews the mail, or sends it once that is confirmed.
func (h *Handler) mailTest(w http.ResponseWriter, r *http.Request) error {
	values, _, err := readForm(w, r)
	if err != nil {
		return err
	}
	p := mailTestPage{To: values.Get("to")}
	code := http.StatusOK
	if values.Get("back") == "" {
		t, err := h.MailTest(r.Context(), p.To, values.Get("confirm") == "")
		switch {
		case mine(err):
			code, p.Error = explain(err)
		case err != nil:
			return err
		default:
			p.Test = &t
		}
		if err == nil && !t.Preview {
			h.Logger.Info("test mail", slog.String("actor", string(access.From(r.Context()).Actor())), slog.Bool("sent", t.Sent))
		}
	}
	p.layout = h.layout(r, "Send a test mail")
	if p.Test != nil {
		for i := range p.Test.Steps {
			p.Test.Steps[i].Text = wording.Line(p.Test.Steps[i].Text, 400)
		}
		p.Test.Error = wording.Line(p.Test.Error, 1000)
	}
	return h.render(w, code, "mailtest", &p)
}
