package access

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"

	"sitrep/internal/httperr"
	"sitrep/internal/tally"
)

// A Guard lets requests pass or refuses them, by rules that can be exchanged while
// it works.
type Guard struct {
	logger   *slog.Logger
	rules    atomic.Pointer[ruleset]
	failures *throttle
	shared   *sharing // nil: failures count in this process alone
	refused  *tally.Tally
	// comparing is where passwords are compared, one at a time: that is slow by design.
	comparing queue
}

// New returns a guard. The error names all that is wrong with the rules.
func New(logger *slog.Logger, rules Rules) (*Guard, error) {
	g := &Guard{
		logger:   logger.With("component", "access"),
		failures: newThrottle(),
		refused:  tally.New(),
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
// let pass go on. Who was verified and has the same password or token still counts as
// verified.
func (g *Guard) Set(rules Rules) error {
	rs, err := newRuleset(rules)
	if err != nil {
		return err
	}
	if before := g.rules.Load(); before != nil {
		rs.key, rs.verified = before.key, before.verified
	}
	g.rules.Store(rs)
	return nil
}

// Require returns a handler that calls next for those who may do what needs the
// role, with their identity in the context. Others are answered with a problem:
// 401 if credentials would help, 403 if not, 429 after too many wrong ones, which is
// 503 for who posts alerts: Alertmanager gives up on a 429, and the alert is lost.
//
// A request that a browser sends for a page of another site is refused unless it
// only reads. A program sends neither Origin nor Sec-Fetch-Site, and passes.
func (g *Guard) Require(role Role, next http.Handler) http.Handler {
	if role == Nobody {
		return next
	}
	return httperr.WithRequestID(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, err := g.identify(r)
		if err == nil && !id.May(role) {
			err = refuse(id, role)
		}
		if err != nil {
			var own *httperr.Error
			if role == Receiver && errors.As(err, &own) && own.Code == http.StatusTooManyRequests {
				err = &httperr.Error{Code: http.StatusServiceUnavailable, Text: own.Text, Header: own.Header}
			}
			g.fail(w, r, err)
			return
		}
		next.ServeHTTP(w, r.WithContext(With(r.Context(), id)))
	}))
}

// fail answers with a problem. What anybody can bring about is not logged each time.
func (g *Guard) fail(w http.ResponseWriter, r *http.Request, err error) {
	if httperr.Of(err).Status < 500 {
		httperr.Fail(g.logger, w, r, err)
		return
	}
	g.warn("nobody could be asked who they are", g.rules.Load().client(r), "err", err)
	httperr.Write(w, r, err)
}

// warn logs what a client did: the first of it, the second, the fourth, and so on.
func (g *Guard) warn(what, client string, args ...any) {
	if n, worth := g.refused.Count(what + "\x00" + client); worth {
		g.logger.Warn(what, append([]any{"client", client, "times", n}, args...)...) //nolint:sloglint // one of a few
	}
}

// Client returns the address that a request comes from, as far as it can be believed:
// without its port, and of IPv6 the /64.
func (g *Guard) Client(r *http.Request) string { return g.rules.Load().client(r) }

// identify says who the request comes from. The error is the answer to somebody who
// is not served at all.
func (g *Guard) identify(r *http.Request) (Identity, error) {
	rs := g.rules.Load()
	address := rs.client(r)
	if rs.Loopback {
		if err := loopbackOnly(r); err != nil {
			g.warn("refused a request that does not come from this machine", address, "host", fmt.Sprintf("%.100s", r.Host), "err", err)
			return Identity{}, err
		}
	}
	if err := rs.cross.Check(r); err != nil {
		g.warn("refused a request from a page of another site", address, "origin", fmt.Sprintf("%.100s", r.Header.Get("Origin")), "path", fmt.Sprintf("%.100s", r.URL.Path))
		return Identity{}, httperr.Wrap(http.StatusForbidden, "a page of another site sent this; open sitrep's own page and do it there", err)
	}
	if rs.Loopback {
		return Identity{Name: cmp.Or(rs.Local, "local"), Role: Admin, Kind: KindLocal, Address: address}, nil
	}
	id, ok, err := rs.proxied(r)
	if err != nil {
		g.warn("refused what a proxy said", peer(r).String(), "err", err)
		return Identity{}, err
	}
	if !ok {
		id, ok, err = g.credentials(rs, r, address)
	}
	if err != nil {
		return Identity{}, err
	}
	if !ok {
		if rs.Anonymous != "" && !rs.serves(r.Host) {
			// A page of another site may have had its name point here, to read what
			// those may read who need no credentials.
			return Identity{}, rs.foreign(r.Host)
		}
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
