package app_test

import (
	"encoding/json"
	"net/http"
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
// parameter as each role, and without credentials where that gives a role, too. A new route
// is in it by itself. What is refused changes nothing.
func TestEveryRoleOnEveryRoute(t *testing.T) {
	t.Run("nobody without credentials", func(t *testing.T) {
		everyRoleOnEveryRoute(t, apptest.Access, access.Identity{Kind: access.KindAnonymous})
	})
	t.Run("anonymous viewers", func(t *testing.T) {
		everyRoleOnEveryRoute(t, apptest.Access+"  anonymous: viewer\n", access.Identity{Kind: access.KindAnonymous, Role: access.Viewer})
	})
}

// everyRoleOnEveryRoute does so with somebody without credentials.
func everyRoleOnEveryRoute(t *testing.T, rules string, nobody access.Identity) {
	s := apptest.New(t, apptest.Organisation+rules, nil)
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
		id          access.Identity
	}{
		{"nobody", "", nobody},
		{"receiver", apptest.ReceiverToken, access.Identity{Role: access.Receiver}},
		{"viewer", apptest.ViewerToken, access.Identity{Role: access.Viewer}},
		{"auditor", apptest.AuditorToken, access.Identity{Role: access.Auditor}},
		{"responder", apptest.ResponderToken, access.Identity{Role: access.Responder}},
		{"admin", apptest.AdminToken, access.Identity{Role: access.Admin}},
	}
	state := func() string {
		_, body := s.Ask(apptest.ViewerToken, "GET", "/api/v1/incidents", "")
		_, body, _ = strings.Cut(body, "\r\n\n")
		return body
	}
	before := state()
	fill := strings.NewReplacer("{id}", "INC-1", "{delivery}", "none", "{name}", "hotfix", "{version}", "1")
	asked := 0
	ask := func(path, query, method, token, name string, id access.Identity, allowed bool) {
		i := slices.IndexFunc(routes, func(r apptest.Route) bool { return r.Path == path && r.Method == method })
		if may := i >= 0 && id.May(routes[i].Role); may != allowed {
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
		case i < 0 && path == receiver.Path && !id.May(access.Receiver):
			want = "401 or 403" // who posts alerts is asked first who they are
		case i < 0:
			want = "405"
		case allowed:
		case id.Kind == access.KindAnonymous:
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
						ask(path, query, method, w.token, w.name, w.id, allowed)
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

// TestStrangersSeeNoAddressesAndNoMessages: who shows no credentials where viewers need none
// sees groups, and neither whom messages went to nor what they said.
func TestStrangersSeeNoAddressesAndNoMessages(t *testing.T) {
	told := make(chan struct{}) // the team was: then the refusal is news of its own
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		<-told
		http.Error(w, "no", http.StatusBadRequest)
	}))
	defer hook.Close()
	s := apptest.New(t, strings.Replace(apptest.Organisation, "    email: [support@example.org]\n", "    email: [support@example.org]\n    webhooks: [{url: '"+hook.URL+"'}]\n", 1)+
		apptest.Access+"    - {name: eve@example.org, role: responder, password_file: secrets/ada}\n  anonymous: viewer\n"+
		"evidence: {witness: {email: witness@example.org, every: 1d}}\n",
		map[string]string{"slos.yml": apptest.SLOs + "  - {id: other, use_case: Ask help@example.org, sli: latency, service: 'x', priority: P1}\n"})
	s.Start()
	s.Alert("firing", "send", "a")
	s.Alert("firing", "other", "b")
	s.Alert("firing", "unknown@example.org", "c")
	s.Ask(apptest.ResponderToken, "POST", "/api/v1/incidents/INC-1/updates", `{"message":"Write to \"helpers@example.org\\\" or <desk@example.org>"}`)
	ack, err := http.NewRequestWithContext(t.Context(), "POST", s.Server.URL+"/api/v1/incidents/INC-1/acknowledge", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	ack.SetBasicAuth("eve@example.org", apptest.AdaPassword)
	if resp, err := s.Server.Client().Do(ack); err != nil || resp.StatusCode != 200 {
		t.Fatal(resp, err)
	}
	var deliveries struct {
		Deliveries []struct{ ID, Group, State, Recipient, Error string }
	}
	list := func(token string) string {
		code, body := s.Ask(token, "GET", "/api/v1/deliveries?limit=1000", "")
		_, body, _ = strings.Cut(body, "\r\n\n")
		deliveries.Deliveries = nil
		if err := json.Unmarshal([]byte(body), &deliveries); code != 200 || err != nil {
			t.Fatalf("%d %v %s", code, err, body)
		}
		return body
	}
	s.Until("the team was told", func() bool {
		list(apptest.ViewerToken)
		n := 0
		for _, d := range deliveries.Deliveries {
			if d.Group == "notifications" && d.State == "delivered" {
				n++
			}
		}
		return n >= 2
	})
	close(told)
	s.Until("a message failed, and others were handed over", func() bool {
		body := list(apptest.ViewerToken)
		return strings.Contains(body, `"failed"`) && strings.Contains(body, "cto@example.org") && strings.Contains(body, `"reminder"`)
	})
	id := deliveries.Deliveries[0].ID
	host := strings.TrimPrefix(hook.URL, "http://")
	fill := strings.NewReplacer("{id}", "INC-1", "{delivery}", id, "{version}", "1", "{name}", "sitrep.css")
	seen := map[string]int{} // what viewers who are known see
	for _, r := range apptest.Routes(t) {
		if r.Method != "GET" || r.Path == "/metrics" {
			continue
		}
		for _, query := range append([]string{""}, r.Queries...) {
			path := fill.Replace(r.Path) + query
			code, body := s.Ask("", "GET", path, "")
			if want := r.Role == access.Known || r.Role == access.Responder || r.Role == access.Auditor || r.Role == access.Admin; (code == 401) != want {
				t.Errorf("%s: %d", path, code)
			}
			for _, word := range []string{"@example.org", host} {
				if strings.Contains(body, word) {
					t.Errorf("%s shows %q:\n%.2000s", path, word, body)
				}
				if _, known := s.Ask(apptest.ViewerToken, "GET", path, ""); strings.Contains(known, word) {
					seen[word]++
				}
			}
		}
	}
	for word, n := range seen {
		if n < 3 {
			t.Errorf("%q is seen on %d pages by those who are known", word, n)
		}
	}
	list("")
	groups := map[string]bool{}
	for _, d := range deliveries.Deliveries {
		groups[d.Group] = true
		if d.Recipient != "" || d.Error != "" || d.State == "" {
			t.Errorf("a stranger sees %+v", d)
		}
	}
	if !groups["board"] || !groups["support"] {
		t.Errorf("a stranger sees the groups %v", groups)
	}
	for path, want := range map[string]string{"/deliveries": "board", "/priorities": "support", "/incidents/INC-1": ">board</a>", "/slos": "notifications", "/groups?name=board": "What it was told", "/groups": ">board</a>", "/groups?team=notifications": "on call", "/api/v1/incidents/INC-1/events": `Write to \"…`} {
		if _, body := s.Ask("", "GET", path, ""); !strings.Contains(body, want) {
			t.Errorf("%s does not show a stranger %q", path, want)
		}
	}
}
