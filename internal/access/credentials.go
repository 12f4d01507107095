package access

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
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

// MinToken is the least number of bytes of a token that cannot be guessed.
const MinToken = 20

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
		id, err = g.bearer(r.Context(), rs, strings.TrimSpace(rest), address)
		return id, err == nil, err
	case strings.EqualFold(scheme, "Basic"):
		if name, password, isBasic := r.BasicAuth(); isBasic {
			id, err = g.basic(r.Context(), rs, name, password, address)
			return id, err == nil, err
		}
	}
	return Identity{}, false, unauthorized("this Authorization is not understood; send Basic or Bearer")
}

// bearer checks a token. All are compared, in constant time.
//
// A right one that cannot be guessed passes whatever others behind the same address
// try: an alert must not be refused because of them. One that is short enough to be
// guessed passes while they try only if it was seen before.
func (g *Guard) bearer(ctx context.Context, rs *ruleset, token, address string) (Identity, error) {
	sum := sha256.Sum256([]byte(token))
	found := -1
	for i := range rs.tokens {
		if subtle.ConstantTimeCompare(sum[:], rs.tokens[i][:]) == 1 {
			found = i
		}
	}
	t, credentials := rs.trial("bearer", address), rs.digest("token", token)
	known := found >= 0 && (len(token) >= MinToken || rs.verified.has(credentials))
	if !known {
		wait, repeated := g.wait(ctx, t, credentials)
		if wait > 0 && !(repeated && found < 0) {
			return Identity{}, tooMany("wrong tokens", wait)
		}
		if found < 0 {
			if !repeated {
				g.failed(t, credentials)
				g.warn("log-in refused", address, "by", "token")
			}
			return Identity{}, unauthorized("the token is not known here; check it, or ask an admin of sitrep for one")
		}
		rs.verified.add(credentials)
	}
	own := rs.Tokens[found]
	return Identity{Name: own.Name, Role: own.Role, Kind: KindToken}, nil
}

// tooMany is the answer to who tried too often.
func tooMany(what string, wait time.Duration) error {
	seconds := int((wait + time.Second - 1) / time.Second)
	return &httperr.Error{
		Code:   http.StatusTooManyRequests,
		Text:   fmt.Sprintf("too many %s; try again in %d s", what, seconds),
		Header: http.Header{"Retry-After": {strconv.Itoa(seconds)}},
	}
}

// basic checks a name and a password. Who was right before is right at once, however
// many fail under that name from that address.
func (g *Guard) basic(ctx context.Context, rs *ruleset, name, password, address string) (Identity, error) {
	i := slices.IndexFunc(rs.Users, func(u User) bool { return u.Name == name })
	hash := ""
	if i >= 0 {
		hash = rs.Users[i].Hash
	}
	t, credentials := rs.trial("basic", address, name), rs.digest("password", name, hash, password)
	if i >= 0 && rs.verified.has(credentials) {
		return Identity{Name: name, Role: rs.Users[i].Role, Kind: KindUser}, nil
	}
	wrong := unauthorized("the name or the password is wrong")
	wait, repeated := g.wait(ctx, t, credentials)
	if repeated {
		return Identity{}, wrong
	}
	if wait > 0 {
		return Identity{}, tooMany("wrong passwords", wait)
	}
	right, err := g.compare(ctx, rs, i, name, password, address, credentials)
	if err != nil {
		return Identity{}, err
	}
	if !right {
		known := ""
		if i >= 0 { // else it may be a password in the wrong field
			known = name
		}
		g.failed(t, credentials)
		g.warn("log-in refused", address, "by", "user", "actor", known)
		return Identity{}, wrong
	}
	rs.verified.add(credentials)
	g.succeeded(t)
	return Identity{Name: name, Role: rs.Users[i].Role, Kind: KindUser}, nil
}

// compare compares the password with that of user i. A name that nobody has, i < 0,
// takes as long as one that somebody has, and is wrong.
func (g *Guard) compare(ctx context.Context, rs *ruleset, i int, name, password, address string, credentials [sha256.Size]byte) (bool, error) {
	if len(rs.Users) == 0 {
		return false, nil
	}
	switch err := g.comparing.enter(ctx, address); {
	case errors.Is(err, errCrowded):
		return false, httperr.Status(http.StatusServiceUnavailable, "too many people are logging in at this moment; try again")
	case err != nil:
		return false, err
	}
	defer g.comparing.leave()
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
