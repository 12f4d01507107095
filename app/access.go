package app

import (
	"context"
	"crypto/sha256"
	"net/url"
	"time"

	"sitrep/config"
	"sitrep/internal/access"
	"sitrep/ledger"
	"sitrep/storage"
)

// failures counts failed log-ins in the store, for all processes that have it.
type failures struct{ store storage.Store }

// Recent implements access.Failures.
func (f failures) Recent(ctx context.Context, who string) (count int, last time.Time, err error) {
	err = f.store.Read(ctx, func(r storage.Snapshot) error {
		all, err := r.LoginFailures(ctx, []string{who}, now())
		count, last = all[who].Count, all[who].LastAt
		return err
	})
	return count, last, err
}

// Take implements access.Failures.
func (f failures) Take(ctx context.Context, who string, at time.Time, may func(count int, last time.Time) bool) error {
	at = at.UTC().Truncate(time.Microsecond)
	return f.store.Write(ctx, func(tx storage.Tx) error {
		all, err := tx.LoginFailures(ctx, []string{who}, at)
		if err != nil || !may(all[who].Count, all[who].LastAt) {
			return err
		}
		return tx.CountLogins(ctx, map[string]int{who: 1}, nil, at)
	})
}

// Count implements access.Failures.
func (f failures) Count(ctx context.Context, failed map[string]int, succeeded []string, at time.Time) error {
	return f.store.Write(ctx, func(tx storage.Tx) error {
		return tx.CountLogins(ctx, failed, succeeded, at.UTC().Truncate(time.Microsecond))
	})
}

// loginKey is what names of those who fail to log in are hashed with. Processes that have one
// store have one key of its ledger, which nobody else knows.
func loginKey(k *ledger.Key) []byte {
	sum := sha256.Sum256([]byte("failed log-ins\n" + k.Secret()))
	return sum[:]
}

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
