package storage

import (
	"errors"

	"sitrep/incident"
)

// ConfigOf returns the form of a configuration that is kept: the whole one or, once that
// was forgotten, the public one.
func ConfigOf(r Reader, l Loading) (c Config, whole bool, err error) {
	c, err = r.Config(l.Hash)
	if errors.Is(err, incident.ErrNotFound) && l.Public != "" {
		c, err = r.Config(l.Public)
		return c, false, err
	}
	return c, true, err
}
