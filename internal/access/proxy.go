package access

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"sitrep/incident"
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
	for _, h := range []struct {
		name   string
		values []string
	}{{p.UserHeader, users}, {p.GroupsHeader, groups}} {
		if len(h.values) > 1 { // one may be the client's own
			return Identity{}, false, httperr.Statusf(http.StatusForbidden,
				"the header %s came twice; the proxy must replace what the client sent, and send one with commas in it", h.name)
		}
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
	// One without a role does nothing, and may be called as sitrep itself is.
	err = incident.CheckName(users[0])
	if err == nil && role != "" {
		err = checkName(users[0], role)
	}
	if err != nil {
		return Identity{}, false, httperr.Wrap(http.StatusForbidden, "the name of the user that the proxy sent cannot be used: "+err.Error(), err)
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
		if viaProxy(name) {
			return httperr.Statusf(http.StatusForbidden, "the request came through a proxy (%s)%s", name, advice)
		}
	}
	return nil
}

// viaProxy reports whether a header is one that only proxies set: the usual ones, and
// those of the large content delivery networks and clouds.
func viaProxy(name string) bool {
	name = strings.ToLower(name)
	switch name {
	case "forwarded", "forwarded-for", "via", "x-forwarded", "x-real-ip", "x-client-ip", "x-cluster-client-ip", "x-proxyuser-ip", "x-originating-ip",
		"x-remote-ip", "x-remote-addr", "x-host", "client-ip", "true-client-ip", "fastly-client-ip", "fly-client-ip", "do-connecting-ip", "cdn-loop",
		"proxy-client-ip", "wl-proxy-client-ip", "x-amzn-trace-id", "x-amz-cf-id", "x-cloud-trace-context", "x-original-host", "x-original-url",
		"x-rewrite-url", "x-arr-log-id", "x-arr-ssl", "x-vercel-id", "x-nf-client-connection-ip":
		return true
	}
	for _, prefix := range []string{"x-forwarded-", "x-original-forwarded-", "cf-", "fastly-", "x-akamai-", "x-azure-", "x-appengine-", "x-envoy-", "tailscale-"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// serves reports whether sitrep is known by that Host.
func (rs *ruleset) serves(host string) bool {
	if LoopbackHost(host) {
		return true
	}
	name := hostName(host)
	addr, notAddress := netip.ParseAddr(name)
	for _, h := range rs.Hosts {
		if name != "" && strings.EqualFold(name, hostName(h)) {
			return true
		}
		// Nobody can have an address point elsewhere, as can be done with a name.
		if own, err := netip.ParseAddr(hostName(h)); err == nil && notAddress == nil && (own.IsUnspecified() || own.Unmap() == addr.Unmap()) {
			return true
		}
	}
	return false
}

// hostName returns a host without port, brackets and the dot at its end.
func hostName(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	return strings.TrimSuffix(host, ".")
}

// foreign is the answer to those without credentials who use another Host. People who
// can log in are asked to.
func (rs *ruleset) foreign(host string) error {
	const text = "without credentials sitrep answers only under its own name, and %.100q is none: use that of --web.external-url, or log in"
	if len(rs.Users) > 0 {
		return unauthorized(fmt.Sprintf(text, host))
	}
	return httperr.Statusf(http.StatusForbidden, text, host)
}

// LoopbackHost reports whether host, with or without a port, is this machine:
// localhost, or an address such as 127.0.0.1 or [::1].
func LoopbackHost(host string) bool {
	host = hostName(host)
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}
