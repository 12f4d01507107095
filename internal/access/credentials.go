package access

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"math/bits"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/bcrypt"

	"sitrep/internal/httperr"
)

// maxCredentials bounds a token, or a name and a password, in bytes.
const maxCredentials = 4096

// credentials checks what the request has in Authorization; ok is false if nothing.
func (g *Guard) credentials(rs *ruleset, r *http.Request, address string) (id Identity, ok bool, err error) {
	values := r.Header.Values("Authorization")
	if len(values) == 0 {
		return Identity{}, false, nil
	}
	scheme, rest, _ := strings.Cut(values[0], " ")
	switch {
	case len(values) > 1 || len(values[0]) > maxCredentials:
	case strings.EqualFold(scheme, "Bearer"):
		id, err = g.bearer(rs, strings.TrimSpace(rest), address)
		return id, err == nil, err
	case strings.EqualFold(scheme, "Basic"):
		if name, password, isBasic := r.BasicAuth(); isBasic {
			id, err = g.basic(r.Context(), rs, name, password, address)
			return id, err == nil, err
		}
	}
	return Identity{}, false, unauthorized("this Authorization is not understood; send Basic or Bearer")
}

// bearer checks a token. All are compared, in constant time. A wrong one is not
// slowed down: tokens are not guessed, and an alert must never be refused because
// someone behind the same address has a wrong one.
func (g *Guard) bearer(rs *ruleset, token, address string) (Identity, error) {
	sum := sha256.Sum256([]byte(token))
	found := -1
	for i := range rs.tokens {
		if subtle.ConstantTimeCompare(sum[:], rs.tokens[i][:]) == 1 {
			found = i
		}
	}
	if found < 0 {
		who := rs.digest("bearer", address)
		g.logFailure(g.failures.failed(who, rs.digest(token), time.Now()), address, "token", "")
		return Identity{}, unauthorized("the token is not known here; check it, or ask an admin of sitrep for one")
	}
	t := rs.Tokens[found]
	return Identity{Name: t.Name, Role: t.Role, Kind: KindToken}, nil
}

// basic checks a name and a password.
func (g *Guard) basic(ctx context.Context, rs *ruleset, name, password, address string) (Identity, error) {
	wrong := unauthorized("the name or the password is wrong")
	who, credentials := rs.digest("basic", address, name), rs.digest("password", name, password)
	wait, repeated := g.failures.wait(who, credentials, time.Now())
	if repeated {
		return Identity{}, wrong
	}
	if wait > 0 {
		seconds := int((wait + time.Second - 1) / time.Second)
		return Identity{}, &httperr.Error{
			Code:   http.StatusTooManyRequests,
			Text:   fmt.Sprintf("too many wrong passwords; try again in %d s", seconds),
			Header: http.Header{"Retry-After": {strconv.Itoa(seconds)}},
		}
	}
	i := slices.IndexFunc(rs.Users, func(u User) bool { return u.Name == name })
	if i >= 0 && rs.verified.has(credentials) {
		return Identity{Name: name, Role: rs.Users[i].Role, Kind: KindUser}, nil
	}
	right, err := g.compare(ctx, rs, i, name, password, credentials)
	if err != nil {
		return Identity{}, err
	}
	if !right {
		known := ""
		if i >= 0 { // else it may be a password in the wrong field
			known = name
		}
		g.logFailure(g.failures.failed(who, credentials, time.Now()), address, "user", known)
		return Identity{}, wrong
	}
	rs.verified.add(credentials)
	g.failures.succeeded(who)
	return Identity{Name: name, Role: rs.Users[i].Role, Kind: KindUser}, nil
}

// compare compares the password with that of user i. A name that nobody has, i < 0,
// takes as long as one that somebody has, and is wrong.
func (g *Guard) compare(ctx context.Context, rs *ruleset, i int, name, password string, credentials [sha256.Size]byte) (bool, error) {
	if len(rs.Users) == 0 {
		return false, nil
	}
	select {
	case g.waiting <- struct{}{}:
		defer func() { <-g.waiting }()
	default:
		return false, httperr.Status(http.StatusServiceUnavailable, "too many people are logging in at this moment; try again")
	}
	select {
	case g.checking <- struct{}{}:
		defer func() { <-g.checking }()
	case <-ctx.Done():
		return false, ctx.Err()
	}
	if i >= 0 && rs.verified.has(credentials) { // by the one before us in the queue
		return true, nil
	}
	stand := i
	if stand < 0 {
		d := rs.digest("stand-in", name)
		stand = int(d[0]) % len(rs.Users)
	}
	err := bcrypt.CompareHashAndPassword([]byte(rs.Users[stand].Hash), []byte(password))
	return err == nil && i >= 0, nil
}

// logFailure logs the first failure, the second, the fourth, and so on: who tries
// for hours does not fill the disk.
func (g *Guard) logFailure(count int, address, by, name string) {
	if bits.OnesCount(uint(count)) == 1 {
		g.logger.Warn("log-in refused", "client", address, "by", by, "actor", name, "failures", count)
	}
}
