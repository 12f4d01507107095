package access

import (
	"errors"
	"log/slog"
	"net/http"
	"sync/atomic"

	"sitrep/internal/httperr"
)

// A Guard lets requests pass or refuses them, by rules that can be exchanged while
// it works.
type Guard struct {
	logger   *slog.Logger
	rules    atomic.Pointer[ruleset]
	failures *throttle
	// checking bounds how many passwords are compared at once, waiting how many wait
	// for it: comparing is slow by design.
	checking chan struct{}
	waiting  chan struct{}
}

// New returns a guard. The error names all that is wrong with the rules.
func New(logger *slog.Logger, rules Rules) (*Guard, error) {
	g := &Guard{
		logger:   logger.With("component", "access"),
		failures: newThrottle(),
		checking: make(chan struct{}, 1),
		waiting:  make(chan struct{}, 64),
	}
	if err := g.Set(rules); err != nil {
		return nil, err
	}
	return g, nil
}

// Check returns all that is wrong with rules, or nil.
func Check(rules Rules) error {
	_, err := newRuleset(rules)
	return err
}

// Set puts other rules into force, all or, if one is wrong, none. Requests that were
// let pass go on.
func (g *Guard) Set(rules Rules) error {
	rs, err := newRuleset(rules)
	if err != nil {
		return err
	}
	g.rules.Store(rs)
	return nil
}

// Require returns a handler that calls next for those who may do what needs the
// role, with their identity in the context. Others are answered with a problem:
// 401 if credentials would help, 403 if not, 429 after too many wrong passwords.
//
// A request that a browser sends for a page of another site is refused unless it
// only reads. A program sends neither Origin nor Sec-Fetch-Site, and passes.
func (g *Guard) Require(role Role, next http.Handler) http.Handler {
	if role == Nobody {
		return next
	}
	return httperr.WithRequestID(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, err := g.identify(r)
		if err == nil && !id.Role.May(role) {
			err = refuse(id, role)
		}
		if err != nil {
			httperr.Fail(g.logger, w, r, err)
			return
		}
		next.ServeHTTP(w, r.WithContext(With(r.Context(), id)))
	}))
}

// identify says who the request comes from. The error is the answer to somebody who
// is not served at all.
func (g *Guard) identify(r *http.Request) (Identity, error) {
	rs := g.rules.Load()
	address := rs.client(r)
	if rs.Loopback {
		if err := loopbackOnly(r); err != nil {
			g.logger.Warn("refused a request that does not come from this machine", "client", address, "host", r.Host, "err", err)
			return Identity{}, err
		}
	}
	if err := rs.cross.Check(r); err != nil {
		g.logger.Warn("refused a request from a page of another site", "client", address, "origin", r.Header.Get("Origin"), "path", r.URL.Path)
		return Identity{}, httperr.Wrap(http.StatusForbidden, "a page of another site sent this; open sitrep's own page and do it there", err)
	}
	if rs.Loopback {
		return Identity{Name: "local", Role: Admin, Kind: KindLocal, Address: address}, nil
	}
	id, ok, err := rs.proxied(r)
	if err != nil {
		g.logger.Warn("refused what a proxy said", "client", peer(r).String(), "err", err)
		return Identity{}, err
	}
	if !ok {
		id, ok, err = g.credentials(rs, r, address)
	}
	if err != nil {
		return Identity{}, err
	}
	if !ok {
		id = Identity{Name: "anonymous", Role: rs.Anonymous, Kind: KindAnonymous}
	}
	id.Address = address
	return id, nil
}

// refuse says why somebody may not do what needs the role.
func refuse(id Identity, need Role) error {
	if id.Kind == KindAnonymous {
		return unauthorized("log in, or send a token as Authorization: Bearer")
	}
	if need == Any || id.Role == "" {
		return httperr.Statusf(http.StatusForbidden, "%s has no role here; ask an admin of sitrep for one", id.Name)
	}
	return httperr.Statusf(http.StatusForbidden, "this needs the role %s, and %s has the role %s; ask an admin of sitrep", need, id.Name, id.Role)
}

// unauthorized is the answer that asks for credentials.
func unauthorized(text string) error {
	return &httperr.Error{Code: http.StatusUnauthorized, Text: text, Header: http.Header{
		"Www-Authenticate": {`Basic realm="sitrep", charset="UTF-8"`, `Bearer realm="sitrep"`},
	}}
}

// Form guards a handler of forms on pages, inside [Guard.Require]: what changes
// something must say that it comes from a page of sitrep's own. Old browsers and
// programs do not say, so programs use the API.
func Form(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Method {
		case http.MethodGet, http.MethodHead, http.MethodOptions:
		default:
			if r.Header.Get("Origin") == "" && r.Header.Get("Sec-Fetch-Site") == "" {
				httperr.Write(w, r, httperr.Wrap(http.StatusForbidden,
					"the browser does not say which page sent this form; use a current one, or the API", errors.New("no Origin")))
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}
