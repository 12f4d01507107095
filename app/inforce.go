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
}

// newInForce makes the parts that the configuration asks for. Nothing connects yet.
func newInForce(c *config.Config, external string, l *lookout) (*inForce, error) {
	policy := *c.Policy()
	policy.ExternalURL = external
	f := &inForce{config: c, policy: &policy}
	f.retention = router.Retention{Breaches: c.Retention.Breaches, Messages: c.Retention.Messages, Personal: c.Retention.Personal}
	if c.Mail != nil {
		var err error
		if f.mail, err = NewMail(c.Mail, nil); err != nil {
			return nil, fmt.Errorf("mail: %w", err)
		}
	}
	if err := f.makeHooks(c.Webhooks()); err != nil {
		return nil, err
	}
	var err error
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

// makeHooks makes what posts to webhooks, with a client of its own for each of them.
func (f *inForce) makeHooks(hooks map[string]config.Webhook) error {
	endpoints := make(map[string]webhook.Endpoint, len(hooks))
	for id, h := range hooks {
		client, err := h.HTTPConfig.NewPoster()
		if err != nil {
			return fmt.Errorf("webhook %s: %w", webhook.Place(string(h.URL)), err)
		}
		endpoints[id] = webhook.Endpoint{URL: string(h.URL), Secret: string(h.Secret), Format: webhook.Format(h.Format), Client: client}
	}
	f.hooks = webhook.New(webhook.Options{UserAgent: "sitrep", Endpoints: func(id string) (webhook.Endpoint, bool) {
		to, ok := endpoints[id]
		return to, ok
	}})
	return nil
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
