package access_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/bcrypt"

	"sitrep/internal/access"
)

const (
	loopback = "127.0.0.1:4711"
	proxy    = "10.0.0.1:4711"
	stranger = "203.0.113.9:4711"
)

func hash(t testing.TB, password string) string {
	t.Helper()
	h, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return string(h)
}

func rules(t testing.TB) access.Rules {
	return access.Rules{
		Tokens: []access.Token{
			{Name: "alertmanager", Role: access.Receiver, Token: "token-of-alertmanager"},
			{Name: "grafana", Role: access.Viewer, Token: "token-of-grafana"},
			{Name: "bot", Role: access.Responder, Token: "token-of-bot"},
			{Name: "ops", Role: access.Admin, Token: "token-of-ops"},
		},
		Users: []access.User{
			{Name: "ada", Role: access.Responder, Hash: hash(t, "correct horse")},
			{Name: "bob", Role: access.Viewer, Hash: hash(t, "battery: staple")},
		},
		Proxy: &access.Proxy{
			Trusted:      []netip.Prefix{netip.MustParsePrefix("10.0.0.0/24")},
			UserHeader:   "X-Forwarded-User",
			GroupsHeader: "X-Forwarded-Groups",
			Roles:        map[string]access.Role{"oncall": access.Responder, "sre-leads": access.Admin},
			DefaultRole:  access.Viewer,
		},
	}
}

// ask sends a request through Require and returns the answer, and who got through.
func ask(g *access.Guard, need access.Role, r *http.Request) (*httptest.ResponseRecorder, access.Identity) {
	var got access.Identity
	w := httptest.NewRecorder()
	g.Require(need, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = access.From(r.Context())
	})).ServeHTTP(w, r)
	return w, got
}

func request(method, from string, headers ...string) *http.Request {
	r := httptest.NewRequest(method, "http://sitrep.example.org/api/v1/incidents", nil)
	r.RemoteAddr = from
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return r
}

func newGuard(t testing.TB, rs access.Rules) *access.Guard {
	t.Helper()
	g, err := access.New(slog.New(slog.DiscardHandler), rs)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestEachRoleMayDoItsOwn(t *testing.T) {
	may := map[access.Role]string{ // receiver, viewer, known, auditor, responder, admin, any, nobody
		access.Receiver:  "y-----yy",
		access.Viewer:    "-yy---yy",
		access.Auditor:   "-yyy--yy",
		access.Responder: "-yy-y-yy",
		access.Admin:     "yyyyyyyy",
		"":               "-------y",
		"root":           "-------y",
		access.Known:     "-------y",
	}
	needs := []access.Role{access.Receiver, access.Viewer, access.Known, access.Auditor, access.Responder, access.Admin, access.Any, access.Nobody}
	for role, want := range may {
		for i, need := range needs {
			if got := role.May(need); got != (want[i] == 'y') {
				t.Errorf("Role(%q).May(%q) = %v", role, need, got)
			}
		}
	}
}

func TestAnonymousViewersAreStrangers(t *testing.T) {
	for _, tt := range []struct {
		id   access.Identity
		want bool
	}{
		{access.Identity{Kind: access.KindAnonymous, Role: access.Viewer}, true},
		{access.Identity{Kind: access.KindAnonymous}, false}, // sees nothing at all
		{access.Identity{Kind: access.KindAnonymous, Role: access.Responder}, false},
		{access.Identity{Kind: access.KindToken, Role: access.Viewer}, false},
		{access.Identity{Kind: access.KindLocal, Role: access.Admin}, false},
	} {
		if got := tt.id.Stranger(); got != tt.want || tt.id.May(access.Known) != (!tt.want && tt.id.Role != "") || tt.id.May(access.Viewer) != (tt.id.Role != "") {
			t.Errorf("%+v: %v", tt.id, got)
		}
	}
}

func TestWhoGetsThrough(t *testing.T) {
	basic := func(name, password string) string {
		r := request("GET", stranger)
		r.SetBasicAuth(name, password)
		return r.Header.Get("Authorization")
	}
	anonymous := rules(t)
	anonymous.Anonymous = access.Viewer
	anonymous.Hosts = []string{"sitrep.example.org:9098"}
	onlyAnonymous := access.Rules{Anonymous: access.Viewer, Hosts: []string{"0.0.0.0:9098", "sitrep.example.org"}}
	at := func(host string, r *http.Request) *http.Request { r.Host = host; return r }
	local := access.Rules{Loopback: true}
	tests := []struct {
		name   string
		rules  access.Rules
		need   access.Role
		r      *http.Request
		status int
		as     string // name role kind
	}{
		{"a token is its owner", rules(t), access.Receiver, request("POST", stranger, "Authorization", "Bearer token-of-alertmanager"), 200, "alertmanager receiver token"},
		{"the scheme is read without regard to case", rules(t), access.Viewer, request("GET", stranger, "Authorization", "bearer token-of-grafana"), 200, "grafana viewer token"},
		{"a wrong token is refused", rules(t), access.Viewer, request("GET", stranger, "Authorization", "Bearer token-of-nobody"), 401, ""},
		{"an empty token is refused", rules(t), access.Viewer, request("GET", stranger, "Authorization", "Bearer "), 401, ""},
		{"a receiver reads no incidents", rules(t), access.Viewer, request("GET", stranger, "Authorization", "Bearer token-of-alertmanager"), 403, ""},
		{"a receiver reads metrics", rules(t), access.Any, request("GET", stranger, "Authorization", "Bearer token-of-alertmanager"), 200, "alertmanager receiver token"},
		{"a viewer gives no commands", rules(t), access.Responder, request("POST", stranger, "Authorization", "Bearer token-of-grafana"), 403, ""},
		{"a responder posts no alerts", rules(t), access.Receiver, request("POST", stranger, "Authorization", "Bearer token-of-bot"), 403, ""},
		{"an admin posts alerts", rules(t), access.Receiver, request("POST", stranger, "Authorization", "Bearer token-of-ops"), 200, "ops admin token"},
		{"a password is its owner's", rules(t), access.Responder, request("POST", stranger, "Authorization", basic("ada", "correct horse")), 200, "ada responder user"},
		{"a password may have a colon", rules(t), access.Viewer, request("GET", stranger, "Authorization", basic("bob", "battery: staple")), 200, "bob viewer user"},
		{"a wrong password is refused", rules(t), access.Viewer, request("GET", stranger, "Authorization", basic("ada", "wrong")), 401, ""},
		{"someone else's password is refused", rules(t), access.Viewer, request("GET", stranger, "Authorization", basic("ada", "battery: staple")), 401, ""},
		{"an unknown name is refused", rules(t), access.Viewer, request("GET", stranger, "Authorization", basic("eve", "correct horse")), 401, ""},
		{"another scheme is refused", rules(t), access.Viewer, request("GET", stranger, "Authorization", "Digest x"), 401, ""},
		{"broken Basic is refused", rules(t), access.Viewer, request("GET", stranger, "Authorization", "Basic %%%"), 401, ""},
		{"two Authorizations are refused", rules(t), access.Viewer, request("GET", stranger, "Authorization", "Bearer token-of-ops", "Authorization", "Bearer token-of-ops"), 401, ""},
		{"no credentials are asked for some", rules(t), access.Viewer, request("GET", stranger), 401, ""},
		{"the health check needs none", rules(t), access.Nobody, request("GET", stranger), 200, "  "},
		{"anonymous reads where allowed", anonymous, access.Viewer, request("GET", stranger), 200, "anonymous viewer anonymous"},
		{"anonymous is asked to log in for messages", anonymous, access.Known, request("GET", stranger), 401, ""},
		{"a viewer reads messages", anonymous, access.Known, request("GET", stranger, "Authorization", "Bearer token-of-grafana"), 200, "grafana viewer token"},
		{"anonymous is asked to log in for more", anonymous, access.Responder, request("POST", stranger), 401, ""},
		{"a wrong token is not taken for nobody", anonymous, access.Viewer, request("GET", stranger, "Authorization", "Bearer x"), 401, ""},

		{"the proxy's user has the default role", rules(t), access.Viewer, request("GET", proxy, "X-Forwarded-User", "eve"), 200, "eve viewer proxy"},
		{"the highest group counts", rules(t), access.Admin, request("GET", proxy, "X-Forwarded-User", "eve", "X-Forwarded-Groups", "sre-leads, oncall"), 200, "eve admin proxy"},
		{"two headers of groups are refused", rules(t), access.Viewer, request("GET", proxy, "X-Forwarded-User", "eve", "X-Forwarded-Groups", "x", "X-Forwarded-Groups", "oncall"), 403, ""},
		{"nobody has an invisible name", rules(t), access.Viewer, request("GET", proxy, "X-Forwarded-User", "ad\u200ba"), 403, ""},
		{"nobody turns the line around", rules(t), access.Viewer, request("GET", proxy, "X-Forwarded-User", "\u202eada"), 403, ""},

		{"anonymous reads under the port's own", anonymous, access.Viewer, at("SITREP.example.org.:80", request("GET", stranger)), 200, "anonymous viewer anonymous"},
		{"anonymous reads on loopback", anonymous, access.Viewer, at("[::1]:9098", request("GET", loopback)), 200, "anonymous viewer anonymous"},
		{"a rebound name reads nothing", anonymous, access.Viewer, at("evil.example:9098", request("GET", stranger)), 401, ""},
		{"a rebound name reads nothing where nobody can log in", onlyAnonymous, access.Viewer, at("evil.example", request("GET", stranger)), 403, ""},
		{"nor metrics", onlyAnonymous, access.Any, at("evil.example", request("GET", stranger)), 403, ""},
		{"nor without a name", onlyAnonymous, access.Viewer, at("", request("GET", stranger)), 403, ""},
		{"every address is that of a service that listens on all", onlyAnonymous, access.Viewer, at("192.0.2.7:9098", request("GET", stranger)), 200, "anonymous viewer anonymous"},
		{"but not of one that does not", anonymous, access.Viewer, at("192.0.2.7:9098", request("GET", stranger)), 401, ""},
		{"the health check has any name", anonymous, access.Nobody, at("evil.example", request("GET", stranger)), 200, "  "},
		{"a token has any name", anonymous, access.Viewer, at("alias.example", request("GET", stranger, "Authorization", "Bearer token-of-grafana")), 200, "grafana viewer token"},
		{"a password has any name", anonymous, access.Viewer, at("alias.example", request("GET", stranger, "Authorization", basic("ada", "correct horse"))), 200, "ada responder user"},
		{"a proxy has any name", anonymous, access.Viewer, at("alias.example", request("GET", proxy, "X-Forwarded-User", "eve")), 200, "eve viewer proxy"},
		{"a spoofed user is refused", rules(t), access.Viewer, request("GET", stranger, "X-Forwarded-User", "eve"), 403, ""},
		{"a spoofed user is refused with a right token too", rules(t), access.Viewer, request("GET", stranger, "X-Forwarded-User", "eve", "Authorization", "Bearer token-of-ops"), 403, ""},
		{"spoofed groups are refused", rules(t), access.Viewer, request("GET", stranger, "X-Forwarded-Groups", "sre-leads"), 403, ""},
		{"two users are refused", rules(t), access.Viewer, request("GET", proxy, "X-Forwarded-User", "eve", "X-Forwarded-User", "ada"), 403, ""},
		{"nobody is called scheduler", rules(t), access.Responder, request("POST", proxy, "X-Forwarded-User", "Scheduler", "X-Forwarded-Groups", "oncall"), 403, ""},
		{"nobody is called start", rules(t), access.Responder, request("POST", proxy, "X-Forwarded-User", "start", "X-Forwarded-Groups", "oncall"), 403, ""},
		{"nobody is called forgotten", rules(t), access.Responder, request("POST", proxy, "X-Forwarded-User", "Forgotten", "X-Forwarded-Groups", "oncall"), 403, ""},
		{"control characters are no name", rules(t), access.Viewer, request("GET", proxy, "X-Forwarded-User", "a\x01b"), 403, ""},
		{"a token passes through the proxy", rules(t), access.Receiver, request("POST", proxy, "Authorization", "Bearer token-of-alertmanager"), 200, "alertmanager receiver token"},
		{"an empty user is nobody", rules(t), access.Viewer, request("GET", proxy, "X-Forwarded-User", ""), 401, ""},

		{"another site's page cannot post", rules(t), access.Responder, request("POST", stranger, "Authorization", basic("ada", "correct horse"), "Sec-Fetch-Site", "cross-site"), 403, ""},
		{"nor in an old browser", rules(t), access.Responder, request("POST", stranger, "Authorization", basic("ada", "correct horse"), "Origin", "https://evil.example"), 403, ""},
		{"our own page can", rules(t), access.Responder, request("POST", stranger, "Authorization", basic("ada", "correct horse"), "Sec-Fetch-Site", "same-origin"), 200, "ada responder user"},
		{"reading is free", rules(t), access.Viewer, request("GET", stranger, "Authorization", basic("ada", "correct horse"), "Sec-Fetch-Site", "cross-site"), 200, "ada responder user"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w, id := ask(newGuard(t, tt.rules), tt.need, tt.r)
			if w.Code != tt.status {
				t.Fatalf("status = %d, want %d: %s", w.Code, tt.status, w.Body)
			}
			as := ""
			if w.Code == 200 {
				as = fmt.Sprintf("%s %s %s", id.Name, id.Role, id.Kind)
			}
			if as != tt.as {
				t.Errorf("as %q, want %q", as, tt.as)
			}
			if challenge := w.Header()["Www-Authenticate"]; (w.Code == 401) != (len(challenge) == 2) {
				t.Errorf("WWW-Authenticate = %q", challenge)
			}
		})
	}

	host := func(h string, r *http.Request) *http.Request { r.Host = h; return r }
	for _, tt := range []struct {
		name   string
		r      *http.Request
		status int
	}{
		{"127.0.0.1 is this machine", host("127.0.0.1:9098", request("POST", loopback)), 200},
		{"localhost is this machine", host("LocalHost:9098", request("POST", loopback)), 200},
		{"IPv6 is this machine", host("[::1]:9098", request("POST", "[::1]:4711")), 200},
		{"IPv6 without a port is this machine", host("[::1]", request("POST", "[::1]:4711")), 200},
		{"a Unix socket is this machine", host("localhost", request("GET", "@")), 200},
		{"a rebound name is not", host("evil.example:9098", request("GET", loopback)), 403},
		{"a name that only begins so is not", host("localhost.evil.example", request("GET", loopback)), 403},
		{"0.0.0.0 is not", host("0.0.0.0:9098", request("GET", loopback)), 403},
		{"no host is not", host("", request("GET", loopback)), 403},
		{"another machine is refused", host("127.0.0.1:9098", request("GET", stranger)), 403},
		{"Forwarded is refused", host("127.0.0.1:9098", request("GET", loopback, "Forwarded", "for=1.2.3.4")), 403},
		{"X-Forwarded-For is refused", host("127.0.0.1:9098", request("GET", loopback, "X-Forwarded-For", "1.2.3.4")), 403},
		{"X-Forwarded-Host is refused, even empty", host("127.0.0.1:9098", request("GET", loopback, "X-Forwarded-Host", "")), 403},
		{"Cloudflare is refused", host("127.0.0.1:9098", request("GET", loopback, "CF-Connecting-IP", "1.2.3.4")), 403},
		{"Akamai is refused", host("127.0.0.1:9098", request("GET", loopback, "True-Client-IP", "1.2.3.4")), 403},
		{"nginx is refused", host("127.0.0.1:9098", request("GET", loopback, "X-Real-IP", "1.2.3.4")), 403},
		{"Via is refused", host("127.0.0.1:9098", request("GET", loopback, "Via", "1.1 squid")), 403},
		{"Fastly is refused", host("127.0.0.1:9098", request("GET", loopback, "Fastly-Client-IP", "1.2.3.4")), 403},
		{"Tailscale is refused", host("127.0.0.1:9098", request("GET", loopback, "Tailscale-User-Login", "eve")), 403},
		{"another site's page cannot post", host("127.0.0.1:9098", request("POST", loopback, "Origin", "https://evil.example")), 403},
		{"a sandboxed page cannot post", host("127.0.0.1:9098", request("POST", loopback, "Origin", "null")), 403},
		{"another port is another site", host("127.0.0.1:9098", request("POST", loopback, "Origin", "http://127.0.0.1:3000")), 403},
		{"our own page can", host("127.0.0.1:9098", request("POST", loopback, "Origin", "http://127.0.0.1:9098")), 200},
	} {
		t.Run("without rules: "+tt.name, func(t *testing.T) {
			w, id := ask(newGuard(t, local), access.Admin, tt.r)
			if w.Code != tt.status {
				t.Fatalf("status = %d, want %d: %s", w.Code, tt.status, w.Body)
			}
			if w.Code == 200 && (id.Name != "local" || id.Role != access.Admin) {
				t.Errorf("as %+v", id)
			}
		})
	}
	named := local
	named.Local = "Ada"
	if w, id := ask(newGuard(t, named), access.Admin, host("127.0.0.1:9098", request("GET", loopback))); w.Code != 200 || id.Name != "Ada" || id.Kind != access.KindLocal {
		t.Errorf("with a name: %d, %+v", w.Code, id)
	}
}

func TestFormsComeFromOurOwnPages(t *testing.T) {
	for _, tt := range []struct {
		method string
		header []string
		status int
	}{
		{"GET", nil, 200},
		{"POST", nil, 403},
		{"POST", []string{"Origin", "http://sitrep.example.org"}, 200},
		{"POST", []string{"Sec-Fetch-Site", "same-origin"}, 200},
		{"POST", []string{"Sec-Fetch-Site", "same-site"}, 403},
	} {
		g := newGuard(t, rules(t))
		w := httptest.NewRecorder()
		r := request(tt.method, stranger, append(tt.header, "Authorization", "Bearer token-of-bot")...)
		g.Require(access.Responder, access.Form(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))).ServeHTTP(w, r)
		if w.Code != tt.status {
			t.Errorf("%s %v: %d, want %d", tt.method, tt.header, w.Code, tt.status)
		}
	}
}

func TestTrustedOrigins(t *testing.T) {
	rs := rules(t)
	rs.Origins = []string{"https://status.example.org"}
	w, _ := ask(newGuard(t, rs), access.Responder, request("POST", stranger, "Authorization", "Bearer token-of-bot", "Origin", "https://status.example.org"))
	if w.Code != 200 {
		t.Errorf("status = %d: %s", w.Code, w.Body)
	}
}

func TestWrongPasswordsAreSlowed(t *testing.T) {
	rs := rules(t)
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		g, err := access.New(slog.New(slog.NewTextHandler(&log, nil)), rs)
		if err != nil {
			t.Fatal(err)
		}
		try := func(from, name, password string, want int) {
			t.Helper()
			r := request("GET", from)
			r.SetBasicAuth(name, password)
			w, _ := ask(g, access.Viewer, r)
			if w.Code != want {
				t.Fatalf("%s as %s with %q: %d, want %d", from, name, password, w.Code, want)
			}
			if (want == 429) != (w.Header().Get("Retry-After") != "") {
				t.Errorf("Retry-After = %q", w.Header().Get("Retry-After"))
			}
		}
		for i := range 5 {
			try(stranger, "ada", fmt.Sprint("guess ", i), 401)
		}
		try(stranger, "ada", "another guess", 429)
		try(stranger, "ada", "correct horse", 429) // a right guess is not told apart
		try(stranger, "bob", "battery: staple", 200)
		try("198.51.100.1:1", "ada", "correct horse", 200)

		time.Sleep(time.Second)
		try(stranger, "ada", "correct horse", 200)
		try(stranger, "ada", "wrong again", 401) // the count began anew

		// A program with an old password is told so, and locks nobody out.
		for range 1000 {
			try(stranger, "bob", "old password", 401)
		}
		try(stranger, "bob", "battery: staple", 200)

		if n := strings.Count(log.String(), "log-in refused"); n < 3 || n > 8 {
			t.Errorf("%d log lines:\n%s", n, log.String())
		}
		if strings.Contains(log.String(), "password") || strings.Contains(log.String(), "guess") {
			t.Errorf("a password is in the log:\n%s", log.String())
		}
	})
}

func TestGuessedTokensAreSlowed(t *testing.T) {
	rs := rules(t)
	rs.Tokens = append(rs.Tokens, access.Token{Name: "weak", Role: access.Viewer, Token: "hunter2"})
	synctest.Test(t, func(t *testing.T) {
		g := newGuard(t, rs)
		try := func(need access.Role, token string, want int) {
			t.Helper()
			w, _ := ask(g, need, request("POST", stranger, "Authorization", "Bearer "+token))
			if w.Code != want {
				t.Fatalf("%s: %d, want %d", token, w.Code, want)
			}
			if wait := w.Header().Get("Retry-After"); (want == 429 || want == 503) != (wait != "") {
				t.Errorf("Retry-After = %q", wait)
			}
		}
		for i := range 5 {
			try(access.Viewer, fmt.Sprint("guess", i), 401)
		}
		try(access.Viewer, "guess", 429)
		try(access.Receiver, "guess", 503) // an Alertmanager must come again
		try(access.Viewer, "hunter2", 429) // a right guess is not told apart
		for range 100 {
			try(access.Viewer, "guess4", 401) // an old token guesses nothing
		}
		// What nobody can guess passes, seen before or not.
		try(access.Receiver, "token-of-alertmanager", 200)
		time.Sleep(time.Second)
		try(access.Viewer, "hunter2", 200)
		for i := range 5 {
			w, _ := ask(g, access.Viewer, request("GET", stranger, "Authorization", fmt.Sprint("Bearer more", i)))
			if w.Code != 401 && w.Code != 429 {
				t.Fatalf("status = %d", w.Code)
			}
		}
		try(access.Viewer, "more", 429)
		try(access.Viewer, "hunter2", 200) // it was seen before
	})
}

// TestWhoWasVerifiedIsNeverLockedOut: neither are people who are logged in, nor a
// program that posts alerts, whatever others try under their name and address.
func TestWhoWasVerifiedIsNeverLockedOut(t *testing.T) {
	rs := rules(t)
	rs.Users = append(rs.Users, access.User{Name: "am", Role: access.Receiver, Hash: hash(t, "alerts")})
	synctest.Test(t, func(t *testing.T) {
		g := newGuard(t, rs)
		try := func(need access.Role, name, password string, want ...int) {
			t.Helper()
			r := request("POST", stranger)
			r.SetBasicAuth(name, password)
			if w, _ := ask(g, need, r); !slices.Contains(want, w.Code) {
				t.Fatalf("%s with %q: %d, want %d", name, password, w.Code, want)
			}
		}
		attack := func() {
			t.Helper()
			for i := range 100 {
				try(access.Receiver, "am", fmt.Sprint("guess", i), 401, 503)
				try(access.Responder, "ada", fmt.Sprint("guess", i), 401, 429)
			}
		}
		attack()
		try(access.Receiver, "am", "alerts", 503) // and comes again, as it is not 429
		time.Sleep(time.Minute)
		try(access.Receiver, "am", "alerts", 200)
		try(access.Responder, "ada", "correct horse", 200)
		attack()
		try(access.Receiver, "am", "alerts", 200)
		try(access.Responder, "ada", "correct horse", 200)

		// Nor does a reload in the middle of it.
		if err := g.Set(rs); err != nil {
			t.Fatal(err)
		}
		try(access.Receiver, "am", "alerts", 200)
		// But the old password is worth nothing once there is another.
		changed := rs
		changed.Users = slices.Clone(rs.Users)
		changed.Users[2].Hash = rs.Users[0].Hash
		if err := g.Set(changed); err != nil {
			t.Fatal(err)
		}
		try(access.Receiver, "am", "alerts", 401, 503)
	})
}

func TestStrangersDoNotFillTheLog(t *testing.T) {
	for _, tt := range []struct {
		name  string
		rules access.Rules
		r     func(i int) *http.Request
	}{
		{"wrong tokens", rules(t), func(i int) *http.Request {
			return request("POST", stranger, "Authorization", fmt.Sprint("Bearer guess", i))
		}},
		{"from many addresses", rules(t), func(i int) *http.Request {
			return request("POST", fmt.Sprintf("10.9.%d.%d:1", i/250, i%250), "Authorization", fmt.Sprint("Bearer guess", i))
		}},
		{"spoofed users", rules(t), func(int) *http.Request { return request("GET", stranger, "X-Forwarded-User", "eve") }},
		{"another site's pages", rules(t), func(int) *http.Request { return request("POST", stranger, "Sec-Fetch-Site", "cross-site") }},
		{"foreign hosts", access.Rules{Loopback: true}, func(int) *http.Request { return request("GET", loopback) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var log bytes.Buffer
			g, err := access.New(slog.New(slog.NewTextHandler(&log, nil)), tt.rules)
			if err != nil {
				t.Fatal(err)
			}
			for i := range 5000 {
				ask(g, access.Receiver, tt.r(i))
			}
			if n := strings.Count(log.String(), "\n"); n < 1 || n > 60 {
				t.Errorf("%d lines", n)
			}
		})
	}
}

func TestAPasswordIsComparedOnce(t *testing.T) {
	h, err := bcrypt.GenerateFromPassword([]byte("slow"), 10)
	if err != nil {
		t.Fatal(err)
	}
	g := newGuard(t, access.Rules{Users: []access.User{{Name: "ada", Role: access.Viewer, Hash: string(h)}}})
	start := time.Now()
	for range 1000 { // would be a minute
		r := request("GET", stranger)
		r.SetBasicAuth("ada", "slow")
		if w, _ := ask(g, access.Viewer, r); w.Code != 200 {
			t.Fatalf("status = %d", w.Code)
		}
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("took %v", took)
	}
}

func TestSetChangesWhoMay(t *testing.T) {
	g := newGuard(t, rules(t))
	r := request("GET", stranger)
	r.SetBasicAuth("ada", "correct horse")
	if w, _ := ask(g, access.Viewer, r); w.Code != 200 {
		t.Fatalf("status = %d", w.Code)
	}
	if err := g.Set(access.Rules{Users: []access.User{{Name: "ada", Role: "chief", Hash: "x"}}}); err == nil {
		t.Fatal("wrong rules were taken")
	}
	if w, _ := ask(g, access.Viewer, r); w.Code != 200 {
		t.Fatalf("after wrong rules: status = %d", w.Code)
	}
	rs := rules(t)
	rs.Users[0].Hash = hash(t, "a new one")
	if err := g.Set(rs); err != nil {
		t.Fatal(err)
	}
	if w, _ := ask(g, access.Viewer, r); w.Code != 401 {
		t.Errorf("the old password still opens: %d", w.Code)
	}
}

func TestWrongRules(t *testing.T) {
	for _, tt := range []struct {
		name  string
		rules access.Rules
		want  string
	}{
		{"a role that is none", access.Rules{Anonymous: "god"}, `anonymous: no role "god"`},
		{"an empty token", access.Rules{Tokens: []access.Token{{"a", access.Viewer, ""}}}, `token "a": the token is empty`},
		{"one token twice", access.Rules{Tokens: []access.Token{{"a", access.Viewer, "x"}, {"b", access.Admin, "x"}}}, `token "b": another has the same token`},
		{"the scheduler's name", access.Rules{Tokens: []access.Token{{"Scheduler", access.Responder, "x"}}}, "the name is \"scheduler\", which"},
		{"the name of a start", access.Rules{Tokens: []access.Token{{"Start", access.Admin, "x"}}}, "the name is \"start\", which"},
		{"the name of a signal", access.Rules{Tokens: []access.Token{{"sighup", access.Admin, "x"}}}, "the name is \"SIGHUP\", which"},
		{"a forgotten name", access.Rules{Tokens: []access.Token{{"FORGOTTEN", access.Responder, "x"}}}, "the name is \"forgotten\", which"},
		{"a password in the clear", access.Rules{Users: []access.User{{"a", access.Viewer, "hunter2"}}}, "not a bcrypt hash"},
		{"a name with a colon", access.Rules{Users: []access.User{{"a:b", access.Viewer, hash(t, "x")}}}, "colon"},
		{"a token twice", access.Rules{Tokens: []access.Token{{"a", access.Viewer, "x"}, {"a", access.Viewer, "y"}}}, `token "a": twice`},
		{"one person with two roles", access.Rules{Tokens: []access.Token{{"a", access.Viewer, "x"}}, Users: []access.User{{"a", access.Admin, hash(t, "x")}}}, "a person has one role"},
		{"a need that is no role", access.Rules{Anonymous: access.Known}, `anonymous: no role "known"`},
		{"a user twice", access.Rules{Users: []access.User{{"a", access.Viewer, hash(t, "x")}, {"a", access.Viewer, hash(t, "x")}}}, "twice"},
		{"a proxy without a header", access.Rules{Proxy: &access.Proxy{}}, "without the name of a header"},
		{"an origin with a path", access.Rules{Origins: []string{"https://x.example/y"}}, "origin"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := access.Check(tt.rules); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error = %v, want %q", err, tt.want)
			}
		})
	}
	both := rules(t)
	both.Tokens = append(both.Tokens, access.Token{Name: "ada", Role: access.Responder, Token: "token-of-ada"})
	for _, rs := range []access.Rules{rules(t), both} {
		if err := access.Check(rs); err != nil {
			t.Error(err)
		}
	}
}
