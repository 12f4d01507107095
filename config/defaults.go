package config

import (
	"time"

	"sitrep/incident"
)

// idLabels are the labels whose value is the id of an SLO, in the order in which
// they are tried: our own, and those that Sloth, Pyrra and Grafana set.
var idLabels = [...]string{"sitrep_slo", "sloth_id", "slo", "grafana_slo_uuid"}

// setDefaults fills a part of the config with what holds where the file is
// silent. It is called before the part is decoded. All defaults stand here.
func setDefaults(part any) {
	switch p := part.(type) {
	case *Config:
		p.Timezone = time.UTC
		p.Incidents = Incidents{
			ResolveAfter: 10 * time.Minute,
			ReopenWithin: time.Hour,
			UnknownAfter: 5 * time.Hour,
			RemindBefore: 15 * time.Minute,
			DigestAbove:  5,
		}
		p.Retention = Retention{Breaches: 400 * day, Messages: 400 * day, Personal: 1100 * day}
	case *Mail:
		p.TLS, p.Connections = StartTLS, 8
	case *Watchdog:
		p.Within = 15 * time.Minute
	case *Canary:
		p.Every, p.Within = day, 10*time.Minute
	case *Webhook:
		p.Format = FormatJSON
	case *Witness:
		p.Every = day
	case *HTTPClient:
		p.FollowRedirects, p.EnableHTTP2 = true, true
	case *Authorization:
		p.Type = "Bearer"
	case *OAuth2:
		p.GrantType = ClientCredentials
	case *Proxy:
		p.UserHeader = "X-Forwarded-User"
	}
}

const day = 24 * time.Hour

// reservedNames are what sitrep writes where it names no person, folded, so none can have
// them.
var reservedNames = [...]string{
	string(incident.ActorAlertmanager), string(incident.ActorScheduler), string(incident.ActorStart), fold(string(incident.ActorSignal)), incident.Forgotten,
}
