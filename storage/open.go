package storage

import "sitrep/incident"

var _ incident.Incidents = (*Change)(nil)

// Numbered implements incident.Incidents.
func (c *Change) Numbered(number int64) (*incident.Incident, error) {
	s, err := c.Incident(number)
	if err != nil {
		return nil, err
	}
	return &s.Incident, nil
}

// Latest implements incident.Incidents. One that this change opened is not in the store
// yet.
func (c *Change) Latest(key string) (*incident.Incident, error) {
	number, ok := c.opened[key]
	if !ok {
		var err error
		if number, err = c.Tx.LatestOf(key); err != nil || number == 0 {
			return nil, err
		}
	}
	return c.Numbered(number)
}

// IncidentFor returns the incident that a breach of the SLO belongs to now. If there is
// none it opens one in the name of the actor, and reports it as new.
func (c *Change) IncidentFor(slo *incident.SLO, actor incident.Actor) (in *incident.Incident, isNew bool, err error) {
	in, previous, err := incident.IncidentFor(c, slo, c.Policy, c.At)
	if err != nil || in != nil {
		return in, false, err
	}
	s, err := c.New()
	if err != nil {
		return nil, false, err
	}
	events, err := incident.OpenFor(c.Stamp(actor), slo, c.Policy, s.Incident.Number, previous)
	if err != nil {
		return nil, false, err
	}
	c.opened[slo.Key] = s.Incident.Number
	return &s.Incident, true, c.Record(s, events...)
}

// PutBreach stores what became of a breach, together with the events of its incident.
func (c *Change) PutBreach(in *incident.Incident, b *incident.Breach, events []incident.Event) error {
	if len(events) > 0 {
		if err := c.Record(c.loaded[in.Number].now, events...); err != nil {
			return err
		}
	}
	return c.Tx.PutBreach(b)
}

// Hear notes in the agenda of an incident that a breach of it was heard to fire.
func (c *Change) Hear(in *incident.Incident) {
	agenda := &c.loaded[in.Number].now.Agenda
	if c.At.After(agenda.LastHeardAt) {
		agenda.LastHeardAt = c.At
	}
}

// DoubtEnds notes in the agenda of an incident that an end of a breach is not believed.
func (c *Change) DoubtEnds(in *incident.Incident) error {
	l := c.loaded[in.Number]
	l.now.Agenda.EndsDoubtedAt = c.At
	return l.loadReaders(c.Tx) // the rules look again because of it, with or without an event
}
