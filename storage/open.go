package storage

import "sitrep/incident"

// IncidentFor returns the incident that a breach of the SLO belongs to now: the
// open one, or the one resolved no longer than reopen_within ago, else a new one,
// which it opens in the name of the actor and reports as new.
func (c *Change) IncidentFor(slo *incident.SLO, actor incident.Actor) (s *incident.Situation, isNew bool, err error) {
	previous, err := c.latestOf(slo.Key)
	if err != nil {
		return nil, false, err
	}
	if previous != 0 {
		s, err := c.Follow(previous)
		if err != nil {
			return nil, false, err
		}
		if s.Incident.Reopens(c.At, c.Policy) {
			return s, false, nil
		}
	}
	if s, err = c.New(); err != nil {
		return nil, false, err
	}
	events, err := incident.OpenFor(c.Stamp(actor), slo, c.Policy, s.Incident.Number, previous)
	if err != nil {
		return nil, false, err
	}
	c.opened[slo.Key] = s.Incident.Number
	return s, true, c.Record(s, events...)
}

// latestOf returns the number of the latest incident of a key, 0 if there is none.
// One that this change opened is not in the store yet.
func (c *Change) latestOf(key string) (int64, error) {
	if number, ok := c.opened[key]; ok {
		return number, nil
	}
	return c.Tx.LatestOf(key)
}
