package main

import (
	"fmt"
	netmail "net/mail"
	"net/url"

	"sitrep/config"
	"sitrep/incident"
	"sitrep/intake"
	"sitrep/internal/access"
	"sitrep/router"
	"sitrep/router/alertmanagers"
	"sitrep/router/email"
	"sitrep/router/webhook"
)

// inForce is what follows from one version of the configuration. It is replaced as
// a whole.
type inForce struct {
	config     *config.Config
	policy     *incident.Policy
	mail       router.Sender // nil: none configured
	letterhead email.Letterhead
	hooks      router.Sender
	asker      router.Asker // nil: none configured
	retention  router.Retention
	closeMail  func() error
}

var _ intake.Catalog = (*inForce)(nil)

// newInForce makes the parts that the configuration asks for. Nothing connects yet.
func newInForce(c *config.Config, external string) (*inForce, error) {
	policy := *c.Policy()
	policy.ExternalURL = external
	f := &inForce{config: c, policy: &policy, closeMail: func() error { return nil }}
	f.retention = router.Retention{Breaches: c.Retention.Breaches, Messages: c.Retention.Messages, Personal: c.Retention.Personal}
	if err := f.makeMail(c.Mail, nil); err != nil {
		return nil, fmt.Errorf("mail: %w", err)
	}
	if err := f.makeHooks(c.Webhooks()); err != nil {
		return nil, err
	}
	if len(c.Alertmanagers) > 0 {
		var endpoints []alertmanagers.Endpoint
		for i := range c.Alertmanagers {
			am := &c.Alertmanagers[i]
			client, err := am.HTTPConfig.New()
			if err != nil {
				return nil, fmt.Errorf("alertmanagers[%d]: %w", i, err)
			}
			endpoints = append(endpoints, alertmanagers.Endpoint{URL: string(am.URL), Client: client})
		}
		f.asker = alertmanagers.New(endpoints)
	}
	return f, nil
}

// makeHooks makes what posts to webhooks, with a client of its own for each of them.
func (f *inForce) makeHooks(hooks map[string]config.Webhook) error {
	endpoints := make(map[string]webhook.Endpoint, len(hooks))
	for id, h := range hooks {
		client, err := h.HTTPConfig.NewPoster()
		if err != nil {
			return fmt.Errorf("webhook %s: %w", webhook.Place(string(h.URL)), err)
		}
		endpoints[id] = webhook.Endpoint{URL: string(h.URL), Secret: string(h.Secret), Client: client}
	}
	f.hooks = webhook.New(webhook.Options{UserAgent: "sitrep", Endpoints: func(id string) (webhook.Endpoint, bool) {
		to, ok := endpoints[id]
		return to, ok
	}})
	return nil
}

// makeMail makes what sends mails. What is said to a server is told to trace, if that is not
// nil.
func (f *inForce) makeMail(m *config.Mail, trace func(email.Said)) error {
	if m == nil {
		return nil
	}
	f.letterhead = email.Letterhead{
		From:    netmail.Address{Name: m.From.Name, Address: m.From.Address},
		ReplyTo: netmail.Address{Name: m.ReplyTo.Name, Address: m.ReplyTo.Address},
		ListID:  m.ListID,
	}
	if m.Outbox != "" {
		d, err := email.NewDirectory(m.Outbox, f.letterhead)
		if err != nil {
			return err
		}
		f.mail = d
		return nil
	}
	c := email.Config{
		Smarthost: string(m.Smarthost), Letterhead: f.letterhead, EnvelopeFrom: m.EnvelopeFrom.Address, HelloName: m.HelloName,
		Username: m.Username, Password: func() string { return string(m.CurrentPassword()) },
		TLS: email.TLSPolicy(m.TLS), TLSConfig: m.TLSConfig.Client(),
		MaxConnections: m.Connections, Rate: email.Rate{Mails: m.Rate.Mails, Per: m.Rate.Per},
	}
	if m.Timeout != nil {
		c.Timeouts = email.Within(*m.Timeout)
	}
	if m.OAuth2 != nil {
		tokens, err := m.OAuth2.Tokens()
		if err != nil {
			return fmt.Errorf("oauth2: %w", err)
		}
		c.Token = tokens.AccessToken
	}
	c.Trace = trace
	s, err := email.NewSMTP(c)
	if err != nil {
		return err
	}
	f.mail, f.closeMail = s, s.Close
	return nil
}

// sender returns what carries messages on the channel.
func (f *inForce) sender(c incident.Channel) (router.Sender, bool) {
	if c == incident.Webhook {
		return f.hooks, true
	}
	return f.mail, f.mail != nil
}

// Lookup finds the SLO of an alert.
func (f *inForce) Lookup(labels map[string]string) intake.Claim {
	m := f.config.Lookup(labels)
	return intake.Claim{SLO: m.SLO, Ambiguous: m.Ambiguous, Ignored: m.Ignored, Watchdog: m.Watchdog}
}

// close ends the connections that are kept.
func (f *inForce) close() { _ = f.closeMail() }

// accessRules are the rules of the configuration, as the guard takes them.
func accessRules(c *config.Config, external string, hosts []string) access.Rules {
	a := c.Access
	if a == nil {
		return access.Rules{Loopback: true}
	}
	rules := access.Rules{Anonymous: access.Role(a.Anonymous), Origins: []string{origin(external)}, Hosts: hosts}
	if u, err := url.Parse(external); err == nil {
		rules.Hosts = append([]string{u.Host}, hosts...)
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
