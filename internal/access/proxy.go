package access

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"sitrep/internal/httperr"
)

// proxied says whom a trusted proxy has logged in; ok is false if the request
// has no word of it. Such a word from anybody else is an error.
func (rs *ruleset) proxied(r *http.Request) (id Identity, ok bool, err error) {
	p := rs.Proxy
	if p == nil {
		return Identity{}, false, nil
	}
	users := r.Header.Values(p.UserHeader)
	var groups []string
	if p.GroupsHeader != "" {
		groups = r.Header.Values(p.GroupsHeader)
	}
	if len(users) == 0 && len(groups) == 0 {
		return Identity{}, false, nil
	}
	if !trusts(p.Trusted, peer(r)) {
		return Identity{}, false, httperr.Statusf(http.StatusForbidden,
			"the header %s is believed only from a trusted proxy; send credentials instead, or add the proxy to access.proxy.trusted", p.UserHeader)
	}
	if len(users) > 1 {
		return Identity{}, false, httperr.Statusf(http.StatusForbidden,
			"the header %s came twice; the proxy must replace what the client sent", p.UserHeader)
	}
	if len(users) == 0 || users[0] == "" { // it looked, and nobody is logged in
		return Identity{}, false, nil
	}
	role := p.DefaultRole
	for group := range strings.SplitSeq(strings.Join(groups, ","), ",") {
		if got := p.Roles[strings.TrimSpace(group)]; got.rank() > role.rank() {
			role = got
		}
	}
	// One without a role may have any name: it does nothing.
	if role != "" {
		if err := checkName(users[0], role); err != nil {
			return Identity{}, false, httperr.Wrap(http.StatusForbidden, "the name of the user that the proxy sent cannot be used: "+err.Error(), err)
		}
	}
	return Identity{Name: users[0], Role: role, Kind: KindProxy}, true, nil
}

// client returns the address from which the request comes, as far as it can be
// believed: behind a trusted proxy, the last one that is not itself trusted.
func (rs *ruleset) client(r *http.Request) string {
	addr := peer(r)
	if !addr.IsValid() {
		return r.RemoteAddr
	}
	if rs.Proxy == nil || rs.Loopback {
		return network(addr)
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && trusts(rs.Proxy.Trusted, addr); i-- {
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		addr = hop.Unmap()
	}
	return network(addr)
}

// network returns the address, of IPv6 the /64 in which a client can choose freely.
func network(addr netip.Addr) string {
	if addr.Is6() && !addr.IsLoopback() {
		if p, err := addr.WithZone("").Prefix(64); err == nil {
			return p.String()
		}
	}
	return addr.String()
}

// peer returns the address of the other end of the connection; not valid if that has
// none, as on a Unix socket.
func peer(r *http.Request) netip.Addr {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap()
}

func trusts(prefixes []netip.Prefix, addr netip.Addr) bool {
	for _, p := range prefixes {
		if addr.IsValid() && p.Contains(addr.WithZone("")) {
			return true
		}
	}
	return false
}

// loopbackOnly refuses what does not come straight from this machine. A page of
// another site that had its name point to 127.0.0.1 still sends its name as Host; a
// proxy on this machine serves others.
func loopbackOnly(r *http.Request) error {
	const advice = "; without access rules in its configuration sitrep serves only this machine: add access, or use http://127.0.0.1"
	if addr := peer(r); addr.IsValid() && !addr.IsLoopback() {
		return httperr.Status(http.StatusForbidden, "the request comes from another machine"+advice)
	}
	if !LoopbackHost(r.Host) {
		return httperr.Wrap(http.StatusForbidden, "the host is not this machine"+advice, errors.New("host is not loopback"))
	}
	for name := range r.Header {
		if name == "Forwarded" || name == "Via" || name == "X-Real-Ip" || strings.HasPrefix(name, "X-Forwarded-") {
			return httperr.Statusf(http.StatusForbidden, "the request came through a proxy (%s)%s", name, advice)
		}
	}
	return nil
}

// LoopbackHost reports whether host, with or without a port, is this machine:
// localhost, or an address such as 127.0.0.1 or [::1].
func LoopbackHost(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if strings.EqualFold(strings.TrimSuffix(host, "."), "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}
