package app

import (
	"fmt"
	"time"

	"sitrep/chain/live"
	"sitrep/config"
	"sitrep/incident"
	"sitrep/router"
	"sitrep/router/alertmanagers"
	"sitrep/router/webhook"
	"sitrep/templates"
)

// inForce is what follows from one version of the configuration. It is replaced as
// a whole.
type inForce struct {
	config    *config.Config
	policy    *incident.Policy
	since     time.Time // the process has had this configuration
	mail      *Mail     // nil: none configured
	hooks     router.Sender
	asker     router.Asker  // nil: none configured
	poster    router.Poster // nil: no canary
	prober    router.Prober // nil: no Prometheus is asked for one
	retention router.Retention
	chains    *chains
	broken    *brokenTemplates
}

// newInForce makes the parts that the configuration asks for. Nothing connects yet. What
// templates fail for is told to broken, if that is not nil.
func newInForce(c *config.Config, external string, l *lookout, broken *brokenTemplates) (*inForce, error) {
	policy := *c.Policy()
	policy.ExternalURL = external
	f := &inForce{config: c, policy: &policy, broken: broken}
	f.retention = router.Retention{Breaches: c.Retention.Breaches, Messages: c.Retention.Messages, Personal: c.Retention.Personal}
	own := c.OwnTemplates()
	if broken != nil {
		own = own.Telling(broken.failed)
	}
	var err error
	if c.Mail != nil {
		if f.mail, err = NewMail(c.Mail, own, nil); err != nil {
			return nil, fmt.Errorf("mail: %w", err)
		}
	}
	if f.hooks, err = newHooks(c.Webhooks(), own); err != nil {
		return nil, err
	}
	if f.chains, err = l.watch(c); err != nil {
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
	if c.Canary != nil {
		var to []alertmanagers.Endpoint
		for _, am := range c.Posted() {
			client, err := am.HTTPConfig.New()
			if err != nil {
				return nil, fmt.Errorf("alertmanagers: %w", err)
			}
			to = append(to, alertmanagers.Endpoint{URL: string(am.URL), Client: client})
		}
		f.poster = alertmanagers.NewPoster(to, c.Canary.Labels, external)
		if policy.Canary.Prometheus {
			// A run is over after within: what is wrong is to be known before.
			f.prober = live.NewProbe(f.chains.askPrometheis, f.chains.askAlertmanagers, policy.Canary.Within/2)
		}
	}
	return f, nil
}

// newHooks makes what posts to webhooks, with a client of its own for each of them, and templates of
// one's own if own is not nil.
func newHooks(hooks map[string]config.Webhook, own *templates.Set) (*webhook.Sender, error) {
	endpoints := make(map[string]webhook.Endpoint, len(hooks))
	for id, h := range hooks {
		client, err := h.HTTPConfig.NewPoster()
		if err != nil {
			return nil, fmt.Errorf("webhook %s: %w", webhook.Place(string(h.URL)), err)
		}
		endpoints[id] = webhook.Endpoint{URL: string(h.URL), Secret: string(h.Secret), Format: webhook.Format(h.Format), Client: client}
	}
	return webhook.New(webhook.Options{UserAgent: "sitrep", Templates: own, Endpoints: func(id string) (webhook.Endpoint, bool) {
		to, ok := endpoints[id]
		return to, ok
	}}), nil
}

// sender returns what carries messages on the channel.
func (f *inForce) sender(c incident.Channel) (router.Sender, bool) {
	if c == incident.ChannelWebhook {
		return f.hooks, true
	}
	if f.mail == nil {
		return nil, false
	}
	return f.mail.Sender, true
}

// close ends the connections that are kept.
func (f *inForce) close() {
	if f.mail != nil {
		f.mail.Close()
	}
}
