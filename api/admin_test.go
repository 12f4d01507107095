package api_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/mux"
	"github.com/prometheus/client_golang/prometheus"

	"sitrep/api"
	"sitrep/incident"
	"sitrep/internal/access"
	"sitrep/storage"
)

type httpHandler = http.Handler

// admin serves the routes, everybody being an admin called ops.
func admin(a *api.Admin) http.Handler {
	a.Logger = slog.New(slog.DiscardHandler)
	if a.Gatherer == nil {
		a.Gatherer = prometheus.NewRegistry()
	}
	router := mux.NewRouter().SkipClean(true).UseEncodedPath()
	a.Register(router, func(_ access.Role, next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r.WithContext(access.With(r.Context(), access.Identity{Name: "ops", Role: access.Admin})))
		})
	})
	return router
}

func do(h http.Handler, method, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, path, nil))
	return w
}

func TestTheRolesOfThePathsForMachines(t *testing.T) {
	want := map[string]access.Role{
		"GET /metrics": access.Any, "GET /-/healthy": access.Nobody, "GET /-/ready": access.Nobody,
		"GET /api/v1/backup": access.Admin, "POST /-/reload": access.Admin, "PUT /-/reload": access.Admin,
	}
	a := &api.Admin{Logger: slog.New(slog.DiscardHandler), Gatherer: prometheus.NewRegistry()}
	for _, r := range a.Routes() {
		if role, ok := want[r.Method+" "+r.Path]; !ok || role != r.Role {
			t.Errorf("%s %s needs %q", r.Method, r.Path, r.Role)
		}
		delete(want, r.Method+" "+r.Path)
	}
	if len(want) > 0 {
		t.Errorf("missing: %v", want)
	}
}

func TestMetrics(t *testing.T) {
	reg := prometheus.NewRegistry()
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: "sitrep_test_total", Help: "x"})
	reg.MustRegister(c)
	w := do(admin(&api.Admin{Gatherer: reg}), "GET", "/metrics")
	if w.Code != 200 || !strings.Contains(w.Body.String(), "sitrep_test_total 0") {
		t.Errorf("answered %d %s", w.Code, w.Body)
	}
	if w := do(admin(&api.Admin{Gatherer: reg}), "POST", "/metrics"); w.Code != 405 {
		t.Errorf("POST: %d", w.Code)
	}
}

func TestReady(t *testing.T) {
	f := newFixture(t)
	stopping := errors.New("sitrep is stopping")
	for _, tt := range []struct {
		name   string
		admin  *api.Admin
		status int
		words  string
	}{
		{"a store that works", &api.Admin{Store: f.store}, 200, "sitrep is ready."},
		{"a full disk", &api.Admin{Store: &deaf{Store: f.store, full: fmt.Errorf("no space left: %w", storage.ErrUnavailable)}}, 503, "nothing can be stored: the disk is full"},
		{"a store that fails", &api.Admin{Store: &deaf{Store: f.store, err: errors.New("torn")}}, 503, "the store does not work"},
		{"a commit that hangs", &api.Admin{Store: &deaf{Store: f.store, slow: start}}, 503, "the store does not work"},
		{"a configuration that is behind", &api.Admin{Store: f.store, Behind: func(context.Context, storage.Snapshot) (string, error) { return "give it the same files", nil }}, 503, "give it the same files"},
		{"one that is in force", &api.Admin{Store: f.store, Behind: func(context.Context, storage.Snapshot) (string, error) { return "", nil }}, 200, "sitrep is ready."},
		{"while stopping", &api.Admin{Store: f.store, Ready: func() error { return stopping }}, 503, "sitrep is stopping"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := do(admin(tt.admin), "GET", "/-/ready")
			if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.words) {
				t.Errorf("answered %d %s", w.Code, w.Body)
			}
		})
	}
	if w := do(admin(&api.Admin{}), "GET", "/-/healthy"); w.Code != 200 || w.Body.String() != "sitrep is healthy.\n" {
		t.Errorf("healthy: %d %s", w.Code, w.Body)
	}
}

func TestAStoreThatHangsIsNotReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &deaf{hang: true}
		h := admin(&api.Admin{Store: store})
		begin := time.Now()
		answers := make(chan int, 100)
		for range cap(answers) {
			go func() { answers <- do(h, "GET", "/-/ready").Code }()
		}
		for range cap(answers) {
			if code := <-answers; code != 503 {
				t.Errorf("answered %d", code)
			}
		}
		if took := time.Since(begin); took != 5*time.Second {
			t.Errorf("took %v", took)
		}
		time.Sleep(time.Minute) // the probe gives up
	})
}

func TestReload(t *testing.T) {
	var actor incident.Actor
	var fails error
	var forced bool
	h := admin(&api.Admin{Reload: func(_ context.Context, a incident.Actor, anyway bool) error {
		actor, forced = a, anyway
		return fails
	}})
	if w := do(h, "POST", "/-/reload"); w.Code != 200 || actor != "ops" {
		t.Errorf("answered %d to %q", w.Code, actor)
	}
	fails = errors.New(`sitrep.yml:3:1: unknown field "x"`)
	if w := do(h, "POST", "/-/reload"); w.Code != 500 || !strings.Contains(w.Body.String(), "stays in force: sitrep.yml:3:1") {
		t.Errorf("answered %d %s", w.Code, w.Body)
	}
	fails = fmt.Errorf("9 of 9 SLOs would go: %w", incident.ErrConflict)
	if w := do(h, "POST", "/-/reload?force=false"); w.Code != 409 || forced || !strings.Contains(w.Body.String(), "stays in force: 9 of 9") {
		t.Errorf("answered %d %s, forced %t", w.Code, w.Body, forced)
	}
	fails = nil
	if w := do(h, "POST", "/-/reload?force=true"); w.Code != 200 || !forced {
		t.Errorf("answered %d %s, forced %t", w.Code, w.Body, forced)
	}
	if w := do(h, "POST", "/-/reload?force=yes"); w.Code != 400 {
		t.Errorf("answered %d %s", w.Code, w.Body)
	}
	if w := do(h, "GET", "/-/reload"); w.Code != 405 {
		t.Errorf("GET: %d", w.Code)
	}
}
