package config

import (
	"slices"
	"strings"

	"golang.org/x/crypto/bcrypt"
)

func (k *checker) checkAccess() {
	a, s := k.Access, k.main
	if a == nil {
		return
	}
	if a.Anonymous == "" && len(a.Tokens) == 0 && len(a.Users) == 0 && a.Proxy == nil &&
		!s.hasAny("access", "anonymous", "tokens", "users", "proxy") {
		s.errorf("access", "it lets nobody in; add anonymous, tokens, users or proxy, or remove it")
	}
	if a.Anonymous != "" && a.Anonymous != Viewer {
		s.warnf("access.anonymous", "whoever can connect is %s, and nobody knows who it was; use viewer", a.Anonymous)
	}
	names := once{}
	tokens := map[Secret]string{}
	for i, t := range a.Tokens {
		path := elem("access.tokens", i)
		k.checkName(join(path, "name"), t.Name, t.Role == Receiver, names)
		if t.Token == "" {
			continue
		}
		if strings.ContainsFunc(string(t.Token), func(r rune) bool { return r <= ' ' || r > '~' }) {
			s.errorf(join(path, "token_file"), "the token has spaces or letters that no header can carry; make one with: openssl rand -hex 32")
		}
		if before, ok := tokens[t.Token]; ok {
			s.errorf(join(path, "token_file"), "it is the same token as that of %s; give each its own", before)
		}
		tokens[t.Token] = path
	}
	for i, u := range a.Users {
		path := elem("access.users", i)
		k.checkName(join(path, "name"), u.Name, false, names)
		if strings.Contains(u.Name, ":") {
			s.errorf(join(path, "name"), "%q has a colon, which ends the name where people log in; choose another", u.Name)
		}
		if u.Hash == "" {
			continue
		}
		if _, err := bcrypt.Cost([]byte(u.Hash)); err != nil {
			s.errorf(join(path, "password_file"), "the file holds no bcrypt hash; make one with: htpasswd -nBC 12 \"\" | tr -d ':\\n'")
		}
	}
	k.checkProxy()
}

// checkName checks the name of someone who acts.
func (k *checker) checkName(path, name string, receiver bool, names once) {
	s := k.main
	if before, ok := names.repeated(name, path); ok {
		s.errorf(path, "%q is the name at %s already; choose another", name, before)
	}
	if !receiver && slices.Contains(reservedNames[:], fold(name)) {
		s.errorf(path, "%q is what sitrep writes where it names no person; choose another", name)
	}
}

func (k *checker) checkProxy() {
	p, s := k.Access.Proxy, k.main
	if p == nil {
		return
	}
	if len(p.Trusted) == 0 && p.Trusted != nil {
		s.errorf("access.proxy.trusted", "it is empty, so no proxy is believed; name its network, such as 127.0.0.1/32")
	}
	for i, net := range p.Trusted {
		if net.IsValid() && net.Bits() == 0 {
			s.warnf(elem("access.proxy.trusted", i), "whoever can connect may say to be anybody; name the proxy's own network")
		}
	}
	if len(p.Roles) == 0 && p.DefaultRole == "" && !s.hasAny("access.proxy", "roles", "default_role") {
		s.errorf("access.proxy", "it gives nobody a role; add roles or default_role")
	}
	if len(p.Roles) > 0 && p.GroupsHeader == "" && !s.has("access.proxy.groups_header") {
		s.errorf("access.proxy.roles", "there is no header that says who is in which group; add groups_header")
	}
}
