package app_test

import (
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/gorilla/mux"

	"sitrep/app/apptest"
	"sitrep/internal/access"
	"sitrep/receiver"
)

// everyMethod are the usual ones, and some that only attackers and strange clients use.
var everyMethod = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "get", "BREW"}

// anyQuery is tried on each route, besides its own parameters: none of it gives a right.
var anyQuery = []string{"", "?force=true", "?preview=true", "?limit=1", "?format=csv", "?access_token=" + apptest.AdminToken + "&token=" + apptest.AdminToken, "?_method=GET&role=admin", "?a=%zz;b"}

// TestEveryRoleOnEveryRoute asks for each path of the router with each method and each
// parameter as each role. A new route is in it by itself. What is refused changes
// nothing.
func TestEveryRoleOnEveryRoute(t *testing.T) {
	s := apptest.New(t, apptest.Organisation+apptest.Access, nil)
	s.Alert("firing", "send", "a")
	routes := apptest.Routes(t)
	router, err := s.Router()
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, r := range routes {
		if !slices.Contains(paths, r.Path) {
			paths = append(paths, r.Path)
		}
	}
	// What the router has and no table names would be missed.
	err = router.Walk(func(route *mux.Route, _ *mux.Router, _ []*mux.Route) error {
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
		{"nobody", "", access.Nobody},
		{"receiver", apptest.ReceiverToken, access.Receiver},
		{"viewer", apptest.ViewerToken, access.Viewer},
		{"responder", apptest.ResponderToken, access.Responder},
		{"admin", apptest.AdminToken, access.Admin},
	}
	state := func() string {
		_, body := s.Ask(apptest.ViewerToken, "GET", "/api/v1/incidents", "")
		_, body, _ = strings.Cut(body, "\r\n\n")
		return body
	}
	before := state()
	fill := strings.NewReplacer("{id}", "INC-1", "{delivery}", "none", "{name}", "hotfix", "{version}", "1")
	asked := 0
	ask := func(path, query, method, token, name string, role access.Role, allowed bool) {
		i := slices.IndexFunc(routes, func(r apptest.Route) bool { return r.Path == path && r.Method == method })
		if may := i >= 0 && role.May(routes[i].Role); may != allowed {
			return
		}
		r := httptest.NewRequest("GET", s.Server.URL+fill.Replace(path)+query, nil)
		r.Method = method
		r.Header.Set("Sec-Fetch-Site", "same-origin") // as a form of sitrep's own pages
		r.Header.Set("X-Http-Method-Override", "GET")
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		rec := httptest.NewRecorder()
		s.Server.Config.Handler.ServeHTTP(rec, r)
		asked++
		got, want := rec.Code, "allowed"
		switch {
		case i < 0 && path == receiver.Path && !role.May(access.Receiver):
			want = "401 or 403" // who posts alerts is asked first who they are
		case i < 0:
			want = "405"
		case allowed:
		case role == access.Nobody:
			want = "401"
		default:
			want = "403"
		}
		ok := map[string]bool{
			"allowed": got != 401 && got != 403 && got != 405 && got < 500, "405": got == 405, "401": got == 401, "403": got == 403,
			"401 or 403": got == 401 || got == 403,
		}[want]
		if !ok {
			t.Errorf("%s %s%s as %s: answered %d, want %s\n%s", method, path, query, name, got, want, rec.Body)
		}
		if got == 401 && len(rec.Header().Values("Www-Authenticate")) == 0 {
			t.Errorf("%s %s as %s: 401 without saying how to log in", method, path, name)
		}
		if got == 405 && method != "TRACE" && rec.Header().Get("Allow") == "" {
			t.Errorf("%s %s: 405 without saying what is allowed", method, path)
		}
	}
	for _, allowed := range []bool{false, true} {
		for _, path := range paths {
			for _, method := range everyMethod {
				queries := anyQuery
				if i := slices.IndexFunc(routes, func(r apptest.Route) bool { return r.Path == path && r.Method == method }); i >= 0 {
					queries = append(slices.Clone(queries), routes[i].Queries...)
				} else {
					queries = anyQuery[:2]
				}
				for _, query := range queries {
					for _, w := range who {
						ask(path, query, method, w.token, w.name, w.role, allowed)
					}
				}
			}
		}
		if after := state(); !allowed && after != before {
			t.Errorf("what was refused changed something:\n%s\n%s", before, after)
		}
	}
	if asked < 5000 {
		t.Errorf("only %d requests were made", asked)
	}
}

// TestUncleanPathsLeadNowhere: paths that are not clean lead nowhere, and to nobody
// who may not be there.
func TestUncleanPathsLeadNowhere(t *testing.T) {
	s := apptest.New(t, apptest.Organisation+apptest.Access, nil)
	for _, path := range []string{
		"//api/v1/incidents", "/api/v1/incidents/", "/api//v1/incidents", "/api/v1/../v1/incidents", "/api/v1/%69ncidents", "/API/v1/incidents",
		"/metrics/", "/-/reload/", "/-//reload", "/incidents/INC-1/", "//", "/./", "/api/v1/incidents/INC-1%2Fevents",
	} {
		for _, method := range []string{"GET", "POST"} {
			code, body := s.Ask("", method, path, "")
			if code != 401 && code != 404 && code != 405 {
				t.Errorf("%s %s: %d %s", method, path, code, body)
			}
		}
	}
}
