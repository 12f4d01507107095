package intake

import "sitrep/incident"

// A Match is which SLO an alert belongs to.
type Match struct {
	// SLO is the first in file order that claims the alert, with Key and Labels for
	// this alert. For an alert that no SLO claims it is what the configuration puts in
	// its stead, or nil.
	SLO *incident.SLO
	// Ambiguous are the ids of further SLOs that claim it.
	Ambiguous []string
	// Ignored is set for an alert that is never to be an incident.
	Ignored bool
	// Watchdog is set for the alert that always fires.
	Watchdog bool
	// Canary is set for the alert that sitrep itself posts, to see whether it comes back. It is
	// ignored, too.
	Canary bool
}

// A Catalog knows the SLOs.
type Catalog interface {
	// Lookup finds the SLO of an alert by its labels. It costs the same however many
	// SLOs there are.
	Lookup(labels map[string]string) Match
}
