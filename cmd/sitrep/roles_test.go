package main

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/gorilla/mux"

	"sitrep/internal/access"
	"sitrep/receiver"
)

// A guarded is a route and the role that it needs.
type guarded struct {
	method, path string
	role         access.Role
}

// guardedRoutes are all routes of the service, as its parts list them.
func guardedRoutes(t *testing.T, s *testService) ([]guarded, *mux.Router) {
	t.Helper()
	p, err := s.parts()
	if err != nil {
		t.Fatal(err)
	}
	all := []guarded{{http.MethodPost, receiver.Path, access.Receiver}}
	for _, r := range append(p.admin.Routes(), p.api.Routes()...) {
		all = append(all, guarded{r.Method, r.Path, r.Role})
	}
	for _, r := range p.pages.Routes() {
		all = append(all, guarded{r.Method, r.Path, r.Role})
	}
	for _, r := range all {
		if r.method == http.MethodGet {
			all = append(all, guarded{http.MethodHead, r.path, r.role})
		}
	}
	return all, p.router(s.guard.Require)
}

// TestEveryRoleOnEveryRoute asks for each path of the router with each method as
// each role. A new route is in it by itself.
func TestEveryRoleOnEveryRoute(t *testing.T) {
	s := newTestService(t, organisation+organisationAccess, nil)
	s.alert("firing", "send", "a")
	routes, router := guardedRoutes(t, s)
	var paths []string
	for _, r := range routes {
		if !slices.Contains(paths, r.path) {
			paths = append(paths, r.path)
		}
	}
	// What the router has and no table names would be missed.
	err := router.Walk(func(route *mux.Route, _ *mux.Router, _ []*mux.Route) error {
		if path, err := route.GetPathTemplate(); err == nil && path != "/api" && !slices.Contains(paths, path) {
			t.Errorf("the router has %s, and no part lists it", path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	who := []struct {
		name, token string
		role        access.Role
	}{
		{"nobody", "", access.Nobody}, {"receiver", receiverToken, access.Receiver}, {"viewer", viewerToken, access.Viewer},
		{"responder", responderToken, access.Responder}, {"admin", adminToken, access.Admin},
	}
	fill := strings.NewReplacer("{id}", "INC-1", "{delivery}", "none", "{name}", "hotfix", "{version}", "1")
	asked := 0
	for _, path := range paths {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"} {
			i := slices.IndexFunc(routes, func(r guarded) bool { return r.path == path && r.method == method })
			for _, w := range who {
				r := httptest.NewRequest(method, s.server.URL+fill.Replace(path), nil)
				r.Header.Set("Sec-Fetch-Site", "same-origin") // as a form of sitrep's own pages
				if w.token != "" {
					r.Header.Set("Authorization", "Bearer "+w.token)
				}
				rec := httptest.NewRecorder()
				s.server.Config.Handler.ServeHTTP(rec, r)
				asked++
				got, want := rec.Code, "allowed"
				switch {
				case i < 0 && path == receiver.Path && !w.role.May(access.Receiver):
					want = "401 or 403" // who posts alerts is asked first who they are
				case i < 0:
					want = "405"
				case w.role.May(routes[i].role):
				case w.role == access.Nobody:
					want = "401"
				default:
					want = "403"
				}
				ok := map[string]bool{
					"allowed": got != 401 && got != 403 && got != 405 && got < 500, "405": got == 405, "401": got == 401, "403": got == 403,
					"401 or 403": got == 401 || got == 403,
				}[want]
				if !ok {
					t.Errorf("%s %s as %s: answered %d, want %s\n%s", method, path, w.name, got, want, rec.Body)
				}
				if got == 401 && len(rec.Header().Values("Www-Authenticate")) == 0 {
					t.Errorf("%s %s as %s: 401 without saying how to log in", method, path, w.name)
				}
				if got == 405 && method != "TRACE" && rec.Header().Get("Allow") == "" {
					t.Errorf("%s %s: 405 without saying what is allowed", method, path)
				}
			}
		}
	}
	if asked < 500 {
		t.Errorf("only %d requests were made", asked)
	}
}

// TestUncleanPathsLeadNowhere: paths that are not clean lead nowhere, and to nobody
// who may not be there.
func TestUncleanPathsLeadNowhere(t *testing.T) {
	s := newTestService(t, organisation+organisationAccess, nil)
	for _, path := range []string{
		"//api/v1/incidents", "/api/v1/incidents/", "/api//v1/incidents", "/api/v1/../v1/incidents", "/api/v1/%69ncidents", "/API/v1/incidents",
		"/metrics/", "/-/reload/", "/-//reload", "/incidents/INC-1/", "//", "/./", "/api/v1/incidents/INC-1%2Fevents",
	} {
		for _, method := range []string{"GET", "POST"} {
			code, body := s.ask("", method, path, "")
			if code != 401 && code != 404 && code != 405 {
				t.Errorf("%s %s: %d %s", method, path, code, body)
			}
		}
	}
}
