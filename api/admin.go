package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/mux"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"sitrep/incident"
	"sitrep/internal/access"
	"sitrep/internal/httperr"
	"sitrep/storage"
)

// readyWithin is how long the store may take to answer before sitrep is not ready.
const readyWithin = 5 * time.Second

// An Admin answers those who run sitrep and the machines that watch it, under the
// paths that Prometheus's own programs have.
type Admin struct {
	Store    storage.Store
	Gatherer prometheus.Gatherer
	// Reload loads the configuration anew, for the actor. Its error is for people: what
	// was in force stays.
	Reload func(ctx context.Context, actor incident.Actor) error
	// Ready says why sitrep is not ready although its store is, such as while it
	// stops; nil if there is never such a reason.
	Ready  func() error
	Logger *slog.Logger

	mu    sync.Mutex
	probe *probe // the one under way; nil if none is
}

// Register adds the routes to r, each behind require.
func (a *Admin) Register(r *mux.Router, require func(access.Role, http.Handler) http.Handler) {
	Mount(r, a.Logger, a.Routes(), require)
}

// Routes returns the table of routes.
func (a *Admin) Routes() []Route {
	metrics := promhttp.HandlerFor(a.Gatherer, promhttp.HandlerOpts{
		ErrorLog:      slog.NewLogLogger(a.Logger.Handler(), slog.LevelError),
		ErrorHandling: promhttp.ContinueOnError,
	})
	return []Route{
		{
			Method: http.MethodGet, Path: "/metrics", Role: access.Any, Summary: "Metrics for Prometheus.",
			// Prometheus chooses among metrics with name[].
			Query: []Parameter{{Name: "name[]", Summary: "only the metric of that name"}},
			Media: []string{"text/plain"},
			Handler: func(w http.ResponseWriter, r *http.Request) error {
				metrics.ServeHTTP(w, r)
				return nil
			},
		},
		{Method: http.MethodGet, Path: "/-/healthy", Role: access.Nobody, Summary: "200 while the program runs.", Media: []string{"text/plain"}, Handler: healthy},
		{Method: http.MethodGet, Path: "/-/ready", Role: access.Nobody, Summary: "200 while alerts can be taken, else 503.", Media: []string{"text/plain"}, Handler: a.ready},
		{Method: http.MethodPost, Path: "/-/reload", Role: access.Admin, Summary: "Loads the configuration anew, all or nothing.", Media: []string{"text/plain"}, Handler: a.reload},
		{Method: http.MethodPut, Path: "/-/reload", Role: access.Admin, Summary: "Loads the configuration anew, all or nothing.", Media: []string{"text/plain"}, Handler: a.reload},
	}
}

func healthy(w http.ResponseWriter, _ *http.Request) error { return plain(w, "sitrep is healthy.\n") }

func (a *Admin) ready(w http.ResponseWriter, r *http.Request) error {
	if a.Ready != nil {
		if err := a.Ready(); err != nil {
			return httperr.Status(http.StatusServiceUnavailable, err.Error())
		}
	}
	p := a.probing()
	timer := time.NewTimer(readyWithin)
	defer timer.Stop()
	select {
	case <-p.done:
		if errors.Is(p.err, storage.ErrUnavailable) {
			return httperr.Wrap(http.StatusServiceUnavailable, "nothing can be stored: the disk is full, or the file of the store is gone; the log says which", p.err)
		}
		if p.err != nil {
			return httperr.Wrap(http.StatusServiceUnavailable, "the store does not work; the log says why", p.err)
		}
	case <-timer.C:
		return httperr.Statusf(http.StatusServiceUnavailable, "the store has not answered for %v; look at its disk", readyWithin)
	case <-r.Context().Done():
		return r.Context().Err()
	}
	return plain(w, "sitrep is ready.\n")
}

// A probe asks the store whether it works. One that hangs is waited for by all who
// ask, so that they do not pile up.
type probe struct {
	done chan struct{}
	err  error // set before done is closed
}

func (a *Admin) probing() *probe {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.probe != nil {
		return a.probe
	}
	p := &probe{done: make(chan struct{})}
	a.probe = p
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*readyWithin)
		defer cancel()
		p.err = check(ctx, a.Store)
		a.mu.Lock()
		a.probe = nil
		a.mu.Unlock()
		close(p.done)
	}()
	return p
}

// check reads from the store, and asks whether commits hang or fail.
func check(ctx context.Context, store storage.Store) error {
	err := store.Read(ctx, func(r storage.Reader) error {
		_, err := r.Pulses()
		return err
	})
	if err != nil {
		return err
	}
	info, err := store.Info(ctx)
	if err != nil {
		return err
	}
	if !info.Slow.IsZero() {
		return fmt.Errorf("a commit has been under way since %s", info.Slow.UTC().Format(time.RFC3339))
	}
	return info.Trouble
}

func (a *Admin) reload(w http.ResponseWriter, r *http.Request) error {
	id := access.From(r.Context())
	if err := a.Reload(r.Context(), id.Actor()); err != nil {
		if errors.Is(err, storage.ErrUnavailable) {
			return httperr.Wrap(http.StatusServiceUnavailable, "the configuration before stays in force, try again: "+err.Error(), err)
		}
		// As Prometheus does it; whoever reloads wants to read what is wrong.
		return httperr.Wrap(http.StatusInternalServerError, "the configuration before stays in force: "+err.Error(), err)
	}
	return plain(w, "")
}

func plain(w http.ResponseWriter, text string) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(http.StatusOK)
	_, _ = io.WriteString(w, text) // the client may be gone
	return nil
}
