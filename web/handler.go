package web

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/gorilla/mux"

	"sitrep/internal/access"
	"sitrep/internal/command"
	"sitrep/internal/coverage"
	"sitrep/internal/httperr"
	"sitrep/internal/status"
	"sitrep/storage"
)

// Options are what a [Handler] works with. All but Teller and Links is required.
type Options struct {
	// Repo is how incidents are read and changed, with the configuration in force.
	Repo *storage.Repository
	// Now returns the time in UTC and whole microseconds.
	Now func() time.Time
	// Service returns what is known of the running program.
	Service func() status.Service
	Logger  *slog.Logger
	// Nearest returns the label of an alert that is nearly the id of an SLO, and that id; both
	// empty if there is none.
	Nearest func(labels map[string]string) (label, id string)
	// MailTest sends a test mail to an address, or says what would be sent.
	MailTest func(ctx context.Context, to string, preview bool) (status.MailTest, error)
	// Coverage returns what was found when the chains of alerts were last looked at.
	Coverage func() *coverage.Report
	// Teller makes the messages that a preview shows; nil: it shows to whom they go.
	Teller command.Teller
	// Links are shown in the navigation after the pages of this package.
	Links []Link
}

// A Link leads to a page.
type Link struct {
	Name string
	Path string // below sitrep's own address, without a slash at the start
}

// A Handler answers the requests for pages.
type Handler struct {
	Options
	pages  map[string]func() (page, error)
	assets map[string]asset
	making chan struct{} // has one for each page that is being made
}

// New returns a handler.
func New(o Options) (*Handler, error) {
	o.Logger = o.Logger.With("component", "web")
	h := &Handler{Options: o, making: make(chan struct{}, maxMaking)}
	var err error
	if h.assets, err = loadAssets(); err != nil {
		return nil, err
	}
	if h.pages, err = lazyPages(h.assets); err != nil {
		return nil, err
	}
	return h, nil
}

// A Route is one thing that can be asked for.
type Route struct {
	Method string // of GET, HEAD is answered too
	Path   string // with {name} for what varies
	Role   access.Role
	// Summary says in a sentence what it does.
	Summary string
	Handler httperr.HandlerFunc
}

// Routes returns the table of all routes.
func (h *Handler) Routes() []Route {
	get := func(path, summary string, handler httperr.HandlerFunc) Route {
		return Route{http.MethodGet, path, access.Viewer, summary, handler}
	}
	const one = "/incidents/{id}"
	routes := []Route{
		get("/", "What is open, and what was.", h.overview),
		get("/incidents", "Leads to the page above.", h.toOverview),
		get(one, "One incident with all that happened.", h.incident),
		get(one+"/steps", "One incident in the steps of ITIL.", h.steps),
		get("/groups", "All groups and teams, or one: what it was told and will be.", h.group),
		get("/priorities", "What the priorities mean.", h.priorities),
		get("/priorities/versions/{version}", "What a configuration said that was in force.", h.version),
		get("/slos", "The SLOs by team, and the alerts that none or several claim.", h.slos),
		get("/coverage", "Whether the promise of each SLO reaches from its rule to the mailbox.", h.coverage),
		get("/deliveries", "All messages, those that failed or wait first.", h.deliveries),
		get("/reports", "Asks for a report or an export.", h.reports),
		get("/zone", "Asks in which time zone times are to be shown.", h.zoneForm),
		{http.MethodPost, "/zone", access.Viewer, "Remembers the time zone in a cookie.", h.zone},
		get("/status", "How sitrep itself fares.", h.status),
		{http.MethodGet, "/declare", access.Responder, "The form that opens an incident.", h.declareForm},
		{http.MethodPost, "/declare", access.Responder, "Shows what opening an incident brings about, or opens it.", h.declare},
		{http.MethodGet, "/mail/test", access.Admin, "The form of a test mail.", h.mailTestForm},
		{http.MethodPost, "/mail/test", access.Admin, "Shows the test mail, or sends it and shows each step.", h.mailTest},
		{http.MethodGet, "/several", access.Responder, "The form for several incidents at once: one update, or a merge into one.", h.severalForm},
		{http.MethodPost, "/several", access.Responder, "Previews or does it, for each of them by itself.", h.several},
		{http.MethodGet, "/assets/{name}", access.Nobody, "Style, script and icon.", h.asset},
	}
	for _, of := range []string{one + "/messages/{delivery}", "/deliveries/{delivery}"} {
		routes = append(routes,
			Route{http.MethodGet, of, access.Known, "One message as it was sent.", h.message},
			Route{http.MethodGet, of + "/html", access.Known, "The HTML of a mail, for a frame.", h.messageHTML},
			Route{http.MethodGet, of + "/raw", access.Known, "The bytes of a message.", h.messageRaw})
	}
	for _, c := range commands {
		routes = append(routes,
			Route{http.MethodGet, one + "/" + c.Slug, access.Responder, "The form: " + c.Title + ".", h.commandForm(c)},
			Route{http.MethodPost, one + "/" + c.Slug, access.Responder, "Previews or does: " + c.Title + ".", h.command(c)})
	}
	return routes
}

// Register adds the pages to r, each behind require, such as
// [access.Guard.Require]. What nobody else answers is answered with a page, too.
func (h *Handler) Register(r *mux.Router, require func(access.Role, http.Handler) http.Handler) {
	var paths httperr.Paths
	for _, route := range h.Routes() {
		handle := httperr.Unavailable(storage.ErrUnavailable, route.Handler)
		if route.Method == http.MethodGet { // a command does not wait for those who look
			handle = h.inTurn(handle)
		}
		inner := httperr.Handle(h.Logger, handle)
		if route.Method != http.MethodGet {
			inner = access.Form(inner)
		}
		paths.Add(route.Method, route.Path, require(route.Role, noting(inner)))
	}
	paths.Each(func(path string, inner http.Handler) { r.Path(path).Handler(h.page(inner)) })
	if r.NotFoundHandler == nil {
		r.NotFoundHandler = h.notFound()
	}
}

// notFound answers a request for a page that there is not.
func (h *Handler) notFound() http.Handler {
	return h.page(httperr.Handle(h.Logger, func(_ http.ResponseWriter, r *http.Request) error {
		return httperr.Statusf(http.StatusNotFound, "there is no page %s", r.URL.Path)
	}))
}

// page is what stands around all handlers: headers that confine what a page may do,
// problems as pages, and answers that are written once they are made.
func (h *Handler) page(next http.Handler) http.Handler {
	return httperr.WithRequestID(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", pagePolicy)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("X-Frame-Options", "DENY")
		header.Set("Referrer-Policy", "same-origin")
		header.Set("Cross-Origin-Opener-Policy", "same-origin")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		header.Set("Cache-Control", "no-store")
		kept := &keptAnswer{ResponseWriter: w}
		next.ServeHTTP(kept, r)
		if kept.problem() {
			h.problem(w, r, kept)
			return
		}
		kept.send()
	}))
}

// pagePolicy lets a page load its own style, script, icon and frames, and send its
// forms home; nothing else.
const pagePolicy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; " +
	"frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
