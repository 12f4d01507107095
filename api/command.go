package api

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"sitrep/incident"
	"sitrep/incident/incidentjson"
	"sitrep/internal/access"
	"sitrep/internal/command"
	"sitrep/internal/httperr"
	"sitrep/storage"
)

var commandQuery = []Parameter{{Name: "preview", Summary: "true: show what would happen, and do nothing", Values: []string{"true", "false"}}}

func (h *Handler) commands() []Route {
	return []Route{
		post[command.Declare](h, "", "Opens an incident by hand."),
		post[command.Acknowledge](h, "/{id}/acknowledge", "Says that somebody is looking."),
		post[command.Priority](h, "/{id}/priority", "Raises or lowers the priority, and tells all readers."),
		post[command.Phase](h, "/{id}/phase", "Says at which step the response is."),
		post[command.Update](h, "/{id}/updates", "Tells the audiences something in the team's words."),
		post[command.Action](h, "/{id}/actions/{name}", "Says that an action is done, or waives it."),
		post[command.Resolve](h, "/{id}/resolve", "Says that it is over."),
		post[command.Close](h, "/{id}/close", "Ends it for good, once its actions are done or waived."),
		post[command.Reopen](h, "/{id}/reopen", "Takes resolving back."),
		post[command.Merge](h, "/{id}/merge", "Ends it in favour of another."),
	}
}

// post returns the route of a command, whose fields are the body.
func post[C command.Command](h *Handler, path, summary string) Route {
	var body C
	return Route{
		Method: http.MethodPost, Path: "/api/v1/incidents" + path, Role: access.Responder,
		Summary: summary, Query: commandQuery, Body: body, Answer: incidentjson.Incident{},
		Handler: func(w http.ResponseWriter, r *http.Request) error {
			raw, err := readBody(w, r)
			if err != nil {
				return err
			}
			var cmd C
			if err := decodeBody(raw, &cmd); err != nil {
				return err
			}
			if action, ok := any(&cmd).(*command.Action); ok {
				action.Name = variable(r, "name")
			}
			return h.command(w, r, cmd, raw)
		},
	}
}

// command carries a command out, or shows what it would bring about, and answers.
func (h *Handler) command(w http.ResponseWriter, r *http.Request, cmd command.Command, body []byte) error {
	req := command.Request{Command: cmd, Actor: access.From(r.Context()).Actor()}
	if req.Actor == "" {
		return errors.New("a command from nobody: its route asks for no role")
	}
	var err error
	if variable(r, "id") != "" {
		if req.Incident, err = number(r); err != nil {
			return err
		}
	}
	if req.Seen, err = seen(r); err != nil {
		return err
	}
	door := storage.Door{Store: h.Store, Policy: h.Policy, Wake: h.Wake, Observe: h.Observe}
	if r.URL.Query().Get("preview") == "true" {
		p, err := req.Preview(r.Context(), &door, h.Now())
		if err != nil {
			return err
		}
		return answer(w, http.StatusOK, previewOf(&p))
	}
	once, err := onceOf(r, req.Actor, body)
	if err != nil {
		return err
	}
	var given storage.Answer
	err = door.Change(r.Context(), h.Now(), func(c *storage.Change) error {
		s, err := req.Apply(c, func() error { return once.begin(c.Tx) })
		if err != nil {
			return err
		}
		given = storage.Answer{Key: once.key, Request: once.request, At: c.At, Status: http.StatusOK}
		if req.Incident == 0 {
			given.Status = http.StatusCreated
		}
		if given.Body, err = after(c, s); err != nil || once.key == "" {
			return err
		}
		return c.Tx.PutAnswer(given)
	})
	var before *answeredError
	if errors.As(err, &before) {
		w.Header().Set("Idempotency-Replayed", "true")
		given, err = before.answer, nil
	}
	if err != nil {
		return err
	}
	var in struct {
		ID       string `json:"id"`
		Sequence int64  `json:"sequence"`
	}
	if err := json.Unmarshal(given.Body, &in); err != nil {
		return fmt.Errorf("decode the answer to a command: %w", err)
	}
	if before == nil {
		h.Logger.Info("command carried out", "command", name(cmd), "incident", in.ID, "actor", req.Actor, "sequence", in.Sequence)
	}
	w.Header().Set("ETag", etag(in.Sequence))
	if given.Status == http.StatusCreated {
		w.Header().Set("Location", "/api/v1/incidents/"+in.ID)
	}
	return answerBytes(w, given.Status, given.Body)
}

// name returns what a command is called in the log, such as priority.
func name(cmd command.Command) string {
	return strings.ToLower(strings.TrimPrefix(fmt.Sprintf("%T", cmd), "command."))
}

// after returns the incident in JSON as it will be once the change is stored.
func after(c *storage.Change, s *incident.Situation) ([]byte, error) {
	s, err := c.After(s)
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(formOf(s, c.Policy))
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", s.Incident.ID(), err)
	}
	return append(body, '\n'), nil
}

// seen returns the sequence in If-Match, 0 if there is none or any will do.
func seen(r *http.Request) (int64, error) {
	tags := r.Header.Values("If-Match")
	if len(tags) == 0 {
		return 0, nil
	}
	if len(tags) == 1 {
		if tags[0] == "*" {
			return 0, nil
		}
		if digits, ok := strings.CutPrefix(tags[0], `"`); ok {
			if n, err := strconv.ParseInt(strings.TrimSuffix(digits, `"`), 10, 64); err == nil && n > 0 && tags[0] == etag(n) {
				return n, nil
			}
		}
	}
	return 0, invalid(`If-Match %s: send one ETag as the incident had it, such as "12"`, strings.Join(tags, ", "))
}

// once is what tells a repetition of a command apart from a second one.
type once struct {
	key     string // Idempotency-Key, for each actor apart; empty: none
	request string // a hash of what is asked
}

// answeredError ends a change in which nothing is to be done.
type answeredError struct{ answer storage.Answer }

func (*answeredError) Error() string { return "answered before" }

func onceOf(r *http.Request, actor incident.Actor, body []byte) (once, error) {
	keys := r.Header.Values("Idempotency-Key")
	if len(keys) == 0 {
		return once{}, nil
	}
	if len(keys) > 1 || keys[0] == "" || len(keys[0]) > 255 {
		return once{}, invalid("Idempotency-Key: give one, of 1 to 255 bytes, such as a new UUID for each command")
	}
	return once{key: hash(string(actor), keys[0]), request: hash(r.Method, r.URL.Path, string(body))}, nil
}

// begin returns an answeredError if the same was asked before.
func (o once) begin(r storage.Reader) error {
	if o.key == "" {
		return nil
	}
	a, err := r.Answer(o.key)
	switch {
	case errors.Is(err, incident.ErrNotFound):
		return nil
	case err != nil:
		return err
	case a.Request != o.request:
		return httperr.Status(http.StatusUnprocessableEntity, "this Idempotency-Key was used for another command; take a new one for each")
	}
	return &answeredError{a}
}

func hash(parts ...string) string {
	sum := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(sum, "%d:%s", len(p), p)
	}
	return hex.EncodeToString(sum.Sum(nil))
}
