package app

import (
	"net/url"

	"sitrep/config"
	"sitrep/internal/access"
)

// accessRules are the rules of the configuration, as the guard takes them.
func (o *Options) accessRules(c *config.Config) access.Rules {
	a := c.Access
	if a == nil {
		return access.Rules{Loopback: true, Local: o.Local}
	}
	rules := access.Rules{Anonymous: access.Role(a.Anonymous), Origins: []string{origin(o.ExternalURL)}, Hosts: o.hosts()}
	if u, err := url.Parse(o.ExternalURL); err == nil {
		rules.Hosts = append([]string{u.Host}, rules.Hosts...)
	}
	for _, t := range a.Tokens {
		rules.Tokens = append(rules.Tokens, access.Token{Name: t.Name, Role: access.Role(t.Role), Token: string(t.Token)})
	}
	for _, u := range a.Users {
		rules.Users = append(rules.Users, access.User{Name: u.Name, Role: access.Role(u.Role), Hash: string(u.Hash)})
	}
	if p := a.Proxy; p != nil {
		rules.Proxy = &access.Proxy{
			Trusted: p.Trusted, UserHeader: string(p.UserHeader), GroupsHeader: string(p.GroupsHeader),
			Roles: map[string]access.Role{}, DefaultRole: access.Role(p.DefaultRole),
		}
		for group, role := range p.Roles {
			rules.Proxy.Roles[group] = access.Role(role)
		}
	}
	return rules
}
