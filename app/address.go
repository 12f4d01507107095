package app

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strconv"

	"sitrep/internal/access"
)

// reachable is what links name to reach the address: the machine's name where it stands
// for all of its addresses.
func reachable(addr net.Addr) string {
	if a, err := netip.ParseAddrPort(addr.String()); err == nil && a.Addr().IsUnspecified() {
		if name, err := os.Hostname(); err == nil {
			return net.JoinHostPort(name, strconv.Itoa(int(a.Port())))
		}
	}
	return addr.String()
}

// hosts are by what the service is known beside its URL.
func (o *Options) hosts() []string {
	if o.Address == nil {
		return nil
	}
	return []string{o.Address.String(), reachable(o.Address)}
}

// onLoopback says why the service can be reached from elsewhere; nil if it cannot, or does
// not listen.
func (o *Options) onLoopback() error {
	if o.Address == nil {
		return nil
	}
	host, _, _ := net.SplitHostPort(o.Address.String())
	if !access.LoopbackHost(host) {
		return fmt.Errorf("--web.listen-address %s can be reached from other machines, and the configuration has no access: add tokens and users to access, or listen on 127.0.0.1", o.Address)
	}
	u, err := url.Parse(o.ExternalURL)
	if err == nil && !access.LoopbackHost(u.Hostname()) {
		return fmt.Errorf("--web.external-url %s is not on this machine, and the configuration has no access: add tokens and users to access", o.ExternalURL)
	}
	return nil
}

// origin returns the origin of a URL, as browsers name it.
func origin(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return raw
	}
	return u.Scheme + "://" + u.Host
}
