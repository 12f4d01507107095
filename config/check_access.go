package config

import (
	"slices"
	"strings"

	"golang.org/x/crypto/bcrypt"

	"sitrep/incident"
)

const (
	// minToken is the least number of characters of a token that nobody guesses.
	minToken = 20
	// minCost and maxCost are the costs of bcrypt, between which a log-in takes about
	// 50 ms to 1 s.
	minCost, maxCost = 10, 14
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
	holders := map[string]holder{} // of tokens, by the folded name
	for i, t := range a.Tokens {
		path := elem("access.tokens", i)
		k.checkName(join(path, "name"), t.Name, t.Role == Receiver, names)
		if _, ok := holders[fold(t.Name)]; !ok {
			holders[fold(t.Name)] = holder{t.Name, t.Role, path}
		}
		if t.Token == "" {
			continue
		}
		if strings.ContainsFunc(string(t.Token), func(r rune) bool { return r <= ' ' || r > '~' }) {
			s.errorf(join(path, "token_file"), "the token has spaces or letters that no header can carry; make one with: openssl rand -hex 32")
		}
		if len(t.Token) < minToken {
			s.warnf(join(path, "token_file"), "the token has less than %d characters, so it can be guessed; make one with: openssl rand -hex 32", minToken)
		}
		if before, ok := tokens[t.Token]; ok {
			s.errorf(join(path, "token_file"), "it is the same token as that of %s; give each its own", before)
		}
		tokens[t.Token] = path
	}
	names = once{} // one person may have a token and a password
	for i, u := range a.Users {
		path := elem("access.users", i)
		k.checkName(join(path, "name"), u.Name, u.Role == Receiver, names)
		k.checkHolder(path, u, holders)
		if strings.Contains(u.Name, ":") {
			s.errorf(join(path, "name"), "%q has a colon, which ends the name where people log in; choose another", u.Name)
		}
		if u.Hash == "" {
			continue
		}
		const advice = "make one with: htpasswd -nBC 12 \"\" | tr -d ':\\n'"
		switch cost, err := bcrypt.Cost([]byte(u.Hash)); {
		case err != nil:
			s.errorf(join(path, "password_file"), "the file holds no bcrypt hash; %s", advice)
		case cost < minCost:
			s.warnf(join(path, "password_file"), "the hash has the cost %d, so passwords are quickly tried by whoever gets it; %s", cost, advice)
		case cost > maxCost:
			s.warnf(join(path, "password_file"), "the hash has the cost %d, so each log-in takes seconds, and others wait; %s", cost, advice)
		}
	}
	k.checkProxy()
}

// A holder is who has a token.
type holder struct {
	name string
	role Role
	path string
}

// checkHolder checks that who has a password and a token under one name is one person, with
// one role.
func (k *checker) checkHolder(path string, u User, holders map[string]holder) {
	switch t, ok := holders[fold(u.Name)]; {
	case !ok || u.Name == "":
	case t.name != u.Name:
		k.main.errorf(join(path, "name"), "%q is %q at %s.name; spell it the same if it is one person, else choose another", u.Name, t.name, t.path)
	case t.role != u.Role && t.role != "" && u.Role != "":
		k.main.errorf(join(path, "role"), "%q has the role %s at %s.role; a person has one role: use the same, or another name", u.Name, t.role, t.path)
	}
}

// checkName checks the name of someone who acts.
func (k *checker) checkName(path, name string, receiver bool, names once) {
	s := k.main
	if err := incident.CheckName(name); name != "" && err != nil {
		s.errorf(path, "%q is %v", shorten(name), err)
	}
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
