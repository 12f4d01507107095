package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"sitrep/incident"
	"sitrep/incident/incidentjson"
	"sitrep/internal/access"
	"sitrep/internal/command"
	"sitrep/storage"
)

var commandQuery = []Parameter{{Name: "preview", Summary: "true: show what would happen, and do nothing", Values: []string{"true", "false"}}}

func (h *Handler) commands() []Route {
	return []Route{
		post[command.Declare](h, "", "Opens an incident by hand."),
		post[command.Acknowledge](h, "/{id}/acknowledge", "Says that you are on it, takes it over from another, or gives it back. No audience is told who."),
		post[command.Note](h, "/{id}/notes", "Keeps a note that stays inside; nobody gets a message by that."),
		post[command.Priority](h, "/{id}/priority", "Raises or lowers the priority, and tells all readers."),
		post[command.Phase](h, "/{id}/phase", "Says at which step the response is."),
		post[command.Update](h, "/{id}/updates", "Tells the audiences something in the team's words."),
		post[command.Action](h, "/{id}/actions/{name}", "Says that an action is done, or waives it."),
		post[command.Resolve](h, "/{id}/resolve", "Says that it is over, and tells the audiences so, in your words if there is a message."),
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
	var err error
	if variable(r, "id") != "" {
		if req.Incident, err = number(r); err != nil {
			return err
		}
	}
	if req.Seen, err = seen(r); err != nil {
		return err
	}
	if r.URL.Query().Get("preview") == "true" {
		p, err := req.Preview(r.Context(), h.Repo, h.Now(), h.Teller)
		if err != nil {
			return err
		}
		return answer(w, http.StatusOK, previewOf(&p))
	}
	if req.Once, err = once(r, body); err != nil {
		return err
	}
	given, err := req.Execute(r.Context(), h.Repo, h.Now(), func(c *storage.Change, s *incident.Situation) (command.Result, error) {
		status := http.StatusOK
		if req.Incident == 0 {
			status = http.StatusCreated
		}
		body, err := after(c, s)
		return command.Result{Status: status, Body: body}, err
	})
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
	if given.Replayed {
		w.Header().Set("Idempotency-Replayed", "true")
	} else {
		h.Logger.Info("command carried out", "command", req.Name(), "incident", in.ID, "actor", req.Actor, "sequence", in.Sequence)
	}
	w.Header().Set("ETag", etag(in.Sequence))
	if given.Status == http.StatusCreated {
		w.Header().Set("Location", "/api/v1/incidents/"+in.ID)
	}
	return answerBytes(w, given.Status, given.Body)
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

// once returns by what a repetition of the request is known: its Idempotency-Key, if it
// has one.
func once(r *http.Request, body []byte) (command.Once, error) {
	keys := r.Header.Values("Idempotency-Key")
	if len(keys) == 0 {
		return command.Once{}, nil
	}
	if len(keys) > 1 || keys[0] == "" || len(keys[0]) > 255 {
		return command.Once{}, invalid("Idempotency-Key: give one, of 1 to 255 bytes, such as a new UUID for each command")
	}
	return command.Once{Key: keys[0], Asked: []string{r.Method, r.URL.Path, string(body)}}, nil
}
