package api

import (
	"log/slog"
	"net/http"

	"sitrep/internal/access"
	"sitrep/internal/status"
)

// A MailTest says where a test mail goes.
type MailTest struct {
	To string `json:"to"` // the address
}

func (h *Handler) mailTestRoute() Route {
	return Route{
		Method: http.MethodPost, Path: "/api/v1/mail/test", Role: access.Admin,
		Summary: "Sends one mail by the configuration in force, and answers with each step of the conversation with the mail server. That it was not sent is said in the answer.",
		Query:   []Parameter{{Name: "preview", Summary: "true: say what would be sent, and send nothing", Values: []string{"true", "false"}}},
		Body:    MailTest{}, Answer: status.MailTest{}, Handler: h.mailTest,
	}
}

func (h *Handler) mailTest(w http.ResponseWriter, r *http.Request) error {
	body, err := readBody(w, r)
	if err != nil {
		return err
	}
	var req MailTest
	if err := decodeBody(body, &req); err != nil {
		return err
	}
	if req.To == "" {
		return invalid("to is missing; send {\"to\":\"ada@example.org\"}")
	}
	t, err := h.MailTest(r.Context(), req.To, r.URL.Query().Get("preview") == "true")
	if err != nil {
		return err
	}
	if !t.Preview {
		h.Logger.Info("test mail", slog.String("actor", string(access.From(r.Context()).Actor())), slog.Bool("sent", t.Sent))
	}
	return answer(w, http.StatusOK, t)
}
