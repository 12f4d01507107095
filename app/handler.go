package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/gorilla/mux"

	"sitrep/api"
	"sitrep/internal/access"
	"sitrep/receiver"
	"sitrep/storage"
	"sitrep/web"
)

var errStopping = errors.New("sitrep is stopping")

// Handler returns what answers all requests: posts of alerts, the API and the pages, each
// for those who may. It serves until [Service.Close].
func (s *Service) Handler() (http.Handler, error) {
	r, err := s.router()
	if err != nil {
		return nil, err
	}
	return boundBodies(bodyWithin, receiver.Mount(s.posts(), r)), nil
}

// router has the routes of all parts but that for alerts, each behind the guard.
func (s *Service) router() (*mux.Router, error) {
	admin := &api.Admin{
		Store: s.store, Gatherer: s.registry, Logger: s.log,
		Reload: s.reload,
		Ready: func() error {
			if s.stopping.Load() {
				return errStopping
			}
			return nil
		},
		Behind: s.whyBehind,
	}
	if s.store.backup != nil {
		admin.Backup = s.backup
	}
	people := api.New(api.Options{
		Repo: s.repo, Now: now, Service: s.describe, Logger: s.log,
		Beside: admin.Routes(), Export: s.notary.export, Teller: s.scheduler.Dispatcher, MailTest: s.testMail, Nearest: s.nearest, Coverage: s.coverage,
	})
	pages, err := web.New(web.Options{Repo: s.repo, Now: now, Service: s.describe, Logger: s.log, Teller: s.scheduler.Dispatcher, MailTest: s.testMail, Nearest: s.nearest, Coverage: s.coverage})
	if err != nil {
		return nil, fmt.Errorf("pages: %w", err)
	}
	r := mux.NewRouter().SkipClean(true).UseEncodedPath()
	admin.Register(r, s.guard.Require)
	people.Register(r, s.guard.Require)
	pages.Register(r, s.guard.Require)
	return r, nil
}

// posts lets those who may post alerts in, and counts those who are refused.
func (s *Service) posts() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		passed := false
		rec := &statusWriter{ResponseWriter: w}
		s.guard.Require(access.Receiver, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			passed = true
			posted(r)
			s.receiver.ServeHTTP(w, r)
		})).ServeHTTP(rec, r)
		if !passed {
			s.receiver.Refused(r, rec.status, rec.detail())
		}
	})
}

// refused keeps a refused post.
func (s *Service) refused(ctx context.Context, r storage.Refusal) {
	if err := s.store.Write(ctx, func(tx storage.Tx) error { return storage.PutRefusal(ctx, tx, r) }); err != nil {
		s.log.Warn("a refused post was not recorded", slog.Any("err", err))
	}
}

// A statusWriter remembers the status and the text of an answer that refuses.
type statusWriter struct {
	http.ResponseWriter
	status int
	body   []byte
}

func (w *statusWriter) WriteHeader(code int) {
	w.status = code
	w.ResponseWriter.WriteHeader(code)
}

func (w *statusWriter) Write(b []byte) (int, error) {
	w.body = append(w.body, b...)
	return w.ResponseWriter.Write(b)
}

// detail says why, as the answer did.
func (w *statusWriter) detail() string {
	var problem struct {
		Detail string `json:"detail"`
	}
	if json.Unmarshal(w.body, &problem) != nil || problem.Detail == "" {
		return http.StatusText(w.status)
	}
	return problem.Detail
}
