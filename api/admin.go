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
	// It refuses what drops most of the SLOs, unless anyway is set.
	Reload func(ctx context.Context, actor incident.Actor, anyway bool) error
	// Ready says why sitrep is not ready although its store is, such as while it
	// stops; nil if there is never such a reason.
	Ready func() error
	// Behind says of a snapshot why sitrep is not ready although alerts can be taken, as its
	// configuration is not the one in force; empty if there is no such reason. Nil if there
	// never is one.
	Behind func(ctx context.Context, r storage.Snapshot) (why string, err error)
	// Backup calls begin with the size of a copy of the store, in bytes, and the public key
	// or its name and hash that belongs to it, and writes the copy to what that returns; nil if
	// the store is kept by a database, which has its own way.
	Backup func(ctx context.Context, begin func(size int64, key string) (io.Writer, error)) error
	Logger *slog.Logger

	copying sync.Mutex // held while a backup is made
	mu      sync.Mutex
	probe   *probe // the one under way; nil if none is
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
		{Method: http.MethodGet, Path: "/-/ready", Role: access.Nobody, Summary: "200 while alerts can be taken and the configuration has not been behind for 10 minutes, else 503.", Media: []string{"text/plain"}, Handler: a.ready},
		{
			Method: http.MethodGet, Path: "/api/v1/backup", Role: access.Admin,
			Summary: "A copy of the store as of now, without the key that signs its ledger; the header " + KeyHeader + " names that.",
			Media:   []string{BackupMedia}, Handler: a.backup,
		},
		{Method: http.MethodPost, Path: "/-/reload", Role: access.Admin, Summary: "Loads the configuration anew, all or nothing.", Query: reloading, Media: []string{"text/plain"}, Handler: a.reload},
		{Method: http.MethodPut, Path: "/-/reload", Role: access.Admin, Summary: "Loads the configuration anew, all or nothing.", Query: reloading, Media: []string{"text/plain"}, Handler: a.reload},
	}
}

var reloading = []Parameter{{Name: "force", Summary: "true: also if more than half of the SLOs would go", Values: []string{"true", "false"}}}

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
			return httperr.Wrap(http.StatusServiceUnavailable, "nothing can be stored: the disk is full, the file of the store is gone, or its database does not answer; the log says which", p.err)
		}
		if p.err != nil {
			return httperr.Wrap(http.StatusServiceUnavailable, "the store does not work; the log says why", p.err)
		}
		if p.behind != "" {
			return httperr.Status(http.StatusServiceUnavailable, p.behind)
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
	// What follows is set before done is closed.
	err    error
	behind string // why it is not ready although the store works; empty if it is
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
		p.behind, p.err = a.check(ctx)
		a.mu.Lock()
		a.probe = nil
		a.mu.Unlock()
		close(p.done)
	}()
	return p
}

// check reads from the store, and asks whether commits hang or fail.
func (a *Admin) check(ctx context.Context) (behind string, err error) {
	err = a.Store.Read(ctx, func(r storage.Snapshot) (err error) {
		if _, err = r.Pulses(ctx); err == nil && a.Behind != nil {
			behind, err = a.Behind(ctx, r)
		}
		return err
	})
	if err != nil {
		return "", err
	}
	info, err := a.Store.Info(ctx)
	if err != nil {
		return "", err
	}
	if !info.Slow.IsZero() {
		return "", fmt.Errorf("a commit has been under way since %s", info.Slow.UTC().Format(time.RFC3339))
	}
	return behind, info.Trouble
}

func (a *Admin) reload(w http.ResponseWriter, r *http.Request) error {
	id := access.From(r.Context())
	if err := a.Reload(r.Context(), id.Actor(), r.URL.Query().Get("force") == "true"); err != nil {
		if errors.Is(err, storage.ErrUnavailable) {
			return httperr.Wrap(http.StatusServiceUnavailable, "the configuration before stays in force, try again: "+err.Error(), err)
		}
		if errors.Is(err, incident.ErrConflict) {
			return httperr.Wrap(http.StatusConflict, "the configuration before stays in force: "+err.Error(), err)
		}
		// As Prometheus does it; whoever reloads wants to read what is wrong.
		return httperr.Wrap(http.StatusInternalServerError, "the configuration before stays in force: "+err.Error(), err)
	}
	return plain(w, "")
}

// KeyHeader is the header of a backup that names the key which belongs to it, and
// BackupMedia its type.
const (
	KeyHeader   = "Sitrep-Ledger-Key"
	BackupMedia = "application/octet-stream"
)

// sendWithin is how long a client may take for a piece of a backup: while it is read the
// file of the store grows.
const sendWithin = 30 * time.Second

// errHead ends a backup of which only the headers were asked for.
var errHead = errors.New("only the headers were asked for")

func (a *Admin) backup(w http.ResponseWriter, r *http.Request) error {
	if a.Backup == nil {
		return httperr.Status(http.StatusNotFound, "the store is kept by a database: back it up with the tools of that")
	}
	if !a.copying.TryLock() {
		return httperr.Status(http.StatusServiceUnavailable, "a backup is being made already; try again when it is done")
	}
	defer a.copying.Unlock()
	began := time.Now()
	to := &sending{w: w, control: http.NewResponseController(w)}
	err := a.Backup(r.Context(), func(size int64, key string) (io.Writer, error) {
		begin(w, BackupMedia, size)
		w.Header().Set("Content-Disposition", `attachment; filename="sitrep.db"`)
		w.Header().Set(KeyHeader, key)
		w.WriteHeader(http.StatusOK)
		if r.Method == http.MethodHead {
			return nil, errHead
		}
		return to, nil
	})
	if errors.Is(err, errHead) {
		return nil
	}
	if err != nil {
		return err
	}
	_ = to.control.SetWriteDeadline(time.Time{}) // another request may follow
	a.Logger.Info("store backed up", slog.String("component", "storage"), slog.String("actor", string(access.From(r.Context()).Actor())),
		slog.Int64("bytes", to.n), slog.Duration("duration", time.Since(began)))
	return nil
}

// A sending writes an answer to a client that has a while for each piece.
type sending struct {
	w       io.Writer
	control *http.ResponseController
	n       int64
}

func (s *sending) Write(b []byte) (int, error) {
	_ = s.control.SetWriteDeadline(time.Now().Add(sendWithin)) // where there is none, the server's own has to do
	n, err := s.w.Write(b)
	s.n += int64(n)
	return n, err
}

func plain(w http.ResponseWriter, text string) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(http.StatusOK)
	_, _ = io.WriteString(w, text) // the client may be gone
	return nil
}
