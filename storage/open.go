package storage

import (
	"slices"

	"sitrep/incident"
)

// IncidentFor returns the incident that a breach of the SLO belongs to now: the
// open one, or the one resolved no longer than reopen_within ago, or what a person
// declared for the SLO as a whole, else a new one, which it opens in the name of the
// actor and reports as new.
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
		if s, err = c.Goes(s); err != nil {
			return nil, false, err
		}
		if s.Incident.Reopens(c.At, c.Policy) {
			return s, false, nil
		}
	}
	if s, err = c.declaredFor(slo); err != nil || s != nil {
		return s, false, err
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

// declaredFor returns the incident that a person declared for an SLO that has one for
// each value of some labels: it is about all of them. Nil if there is none that goes on.
func (c *Change) declaredFor(slo *incident.SLO) (*incident.Situation, error) {
	if len(slo.Labels) == 0 {
		return nil, nil
	}
	i := slices.IndexFunc(c.Policy.SLOs, func(s incident.SLO) bool { return s.ID == slo.ID })
	if i < 0 || c.Policy.SLOs[i].Key == slo.Key {
		return nil, nil
	}
	number, err := c.latestOf(c.Policy.SLOs[i].Key)
	if err != nil || number == 0 {
		return nil, err
	}
	first, err := c.Incident(number)
	if err != nil || !first.Incident.Declared {
		return nil, err
	}
	s, err := c.Follow(number)
	if err != nil || !s.Incident.Reopens(c.At, c.Policy) {
		return nil, err
	}
	return s, nil
}

// Goes returns the incident in which a breach goes on that fires again and belonged to
// this one: this one, unless it is over and another is open for the same SLO.
func (c *Change) Goes(s *incident.Situation) (*incident.Situation, error) {
	if s.Incident.State == incident.Open || s.Incident.Key == "" || s.Incident.Drill {
		return s, nil
	}
	number, err := c.latestOf(s.Incident.Key)
	if err != nil || number == 0 {
		return s, err
	}
	other, err := c.Follow(number)
	if err != nil {
		return nil, err
	}
	if other.Incident.State == incident.Open {
		return other, nil
	}
	return s, nil
}

// latestOf returns the number of the latest incident of a key, 0 if there is none.
// One that this change opened is not in the store yet.
func (c *Change) latestOf(key string) (int64, error) {
	if number, ok := c.opened[key]; ok {
		return number, nil
	}
	return c.Tx.LatestOf(key)
}
