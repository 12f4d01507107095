package api

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gorilla/mux"

	"sitrep/audit"
	"sitrep/incident"
	"sitrep/internal/access"
	"sitrep/internal/command"
	"sitrep/internal/coverage"
	"sitrep/internal/httperr"
	"sitrep/internal/status"
	"sitrep/storage"
)

// Options are what a [Handler] works with. Beside and Teller may be left out; all else is
// required.
type Options struct {
	// Repo is how incidents are read and changed, with the configuration in force.
	Repo *storage.Repository
	// Now returns the time in UTC and whole microseconds.
	Now func() time.Time
	// Service returns what is known of the running program.
	Service func() status.Service
	Logger  *slog.Logger
	// Export writes evidence as audit.Export does, signed by the service's key.
	Export func(ctx context.Context, w io.Writer, o audit.ExportOptions) (audit.ExportSummary, error)
	// Nearest returns the label of an alert that is nearly the id of an SLO, and that id; both
	// empty if there is none.
	Nearest func(labels map[string]string) (label, id string)
	// MailTest sends a test mail to an address, or says what would be sent.
	MailTest func(ctx context.Context, to string, preview bool) (status.MailTest, error)
	// Coverage returns what was found when the chains of alerts were last looked at.
	Coverage func() *coverage.Report
	// Teller makes the messages that a preview shows; nil: it shows none.
	Teller command.Teller
	// Beside are routes that others serve, and that the description of the API names
	// too.
	Beside []Route
}

// A Handler answers the requests of the API.
type Handler struct {
	Options
	// auditor is held while a report or an export is made.
	auditor chan struct{}
}

// New returns a handler.
func New(o Options) *Handler {
	o.Logger = o.Logger.With("component", "api")
	return &Handler{Options: o, auditor: make(chan struct{}, 1)}
}

// Register adds the API to r, each route behind require, such as
// [access.Guard.Require]. It takes all paths below /api: what is no route is 404.
func (h *Handler) Register(r *mux.Router, require func(access.Role, http.Handler) http.Handler) {
	Mount(r, h.Logger, h.Routes(), require)
	r.PathPrefix("/api").Handler(httperr.Handle(h.Logger, func(_ http.ResponseWriter, r *http.Request) error {
		return httperr.Statusf(http.StatusNotFound, "the API has no %s; it begins with /api/v1, and no path ends with a slash", r.URL.Path)
	}))
}

// Routes returns the table of all routes.
func (h *Handler) Routes() []Route {
	routes := append(h.reading(), h.commands()...)
	routes = append(routes, h.auditing()...)
	routes = append(routes, h.mailTestRoute())
	for i := range routes {
		routes[i].Handler = httperr.Unavailable(storage.ErrUnavailable, routes[i].Handler)
	}
	return routes
}

// read runs fn on a snapshot of the store.
func (h *Handler) read(ctx context.Context, fn func(storage.Snapshot) error) error {
	return h.Repo.Store.Read(ctx, fn)
}

// number returns the number of the incident in the path.
func number(r *http.Request) (int64, error) { return incident.ParseID(variable(r, "id")) }

// variable returns what the path has in place of {name}; empty if it has none.
func variable(r *http.Request, name string) string {
	s, err := url.PathUnescape(mux.Vars(r)[name])
	if err != nil { // not in a request that net/http let pass
		return mux.Vars(r)[name]
	}
	return s
}

// theIncident returns an incident, or an error that says there is none.
func theIncident(ctx context.Context, r storage.Snapshot, number int64) (incident.Incident, error) {
	in, err := storage.IncidentOf(ctx, r, number)
	return in, incident.NotThere(err, number)
}

// answer writes v as JSON.
func answer(w http.ResponseWriter, code int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode the answer: %w", err)
	}
	return answerBytes(w, code, append(body, '\n'))
}

func answerBytes(w http.ResponseWriter, code int, body []byte) error {
	beginJSON(w)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(code)
	_, _ = w.Write(body) // the client may be gone
	return nil
}

// beginJSON sets the headers of an answer in JSON.
func beginJSON(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
}

// etag is the entity tag of an incident at that sequence.
func etag(sequence int64) string { return `"` + strconv.FormatInt(sequence, 10) + `"` }

// invalid returns an error that is answered 400, as it is written.
func invalid(format string, args ...any) error {
	return &incident.Problem{Kind: incident.ErrInvalid, Text: fmt.Sprintf(format, args...)}
}

// or writes "a, b or c".
func or(items []string) string {
	if n := len(items) - 1; n > 0 {
		return strings.Join(items[:n], ", ") + " or " + items[n]
	}
	return strings.Join(items, "")
}
