package app

import (
	"sitrep/config"
	"sitrep/intake"
)

// A Catalog finds the SLO of an alert in a configuration.
type Catalog struct{ Config *config.Config }

// nearest is [config.Config.Nearest] of the configuration in force.
func (s *Service) nearest(labels map[string]string) (label, id string) {
	return s.reloader.Current().Nearest(labels)
}

var _ intake.Catalog = Catalog{}

// Lookup implements [intake.Catalog].
func (c Catalog) Lookup(labels map[string]string) intake.Match {
	m := c.Config.Lookup(labels)
	return intake.Match{SLO: m.SLO, Ambiguous: m.Ambiguous, Ignored: m.Ignored, Watchdog: m.Watchdog, Canary: m.Canary}
}
