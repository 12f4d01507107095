package storage

import (
	"slices"

	"sitrep/incident"
)

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
	if err := c.loadLatest([]string{key}); err != nil || c.latest[key] == 0 {
		return nil, err
	}
	return c.Numbered(c.latest[key])
}

// loadLatest finds the latest incidents of keys that were not asked for yet.
func (c *Change) loadLatest(keys []string) error {
	missing := unknown(keys, c.latest)
	if len(missing) == 0 {
		return nil
	}
	numbers, err := c.Tx.LatestOf(c.Context(), missing)
	if err != nil {
		return err
	}
	for _, key := range missing {
		put(&c.latest, key, numbers[key])
	}
	return nil
}

// Lock locks what the change needs, see [Locker]. Where that is more than one thing, it is to
// be called first.
func (c *Change) Lock(n Needs) error { return c.Tx.Lock(c.Context(), n) }

// Prepare locks what the change needs, and loads it in sets: what is known of the alerts, and
// the incidents to which they belong or may belong by the keys. Without it each is locked and
// loaded when it is asked for.
func (c *Change) Prepare(n Needs) error {
	if err := c.Lock(n); err != nil {
		return err
	}
	keys, fingerprints := n.Keys, slices.Concat(n.Fingerprints, n.Fresh)
	if err := c.loadLatest(keys); err != nil {
		return err
	}
	if err := c.loadBreaches(fingerprints); err != nil {
		return err
	}
	if err := c.loadUnmapped(fingerprints); err != nil {
		return err
	}
	numbers := slices.Clone(n.Incidents)
	for _, key := range keys {
		numbers = append(numbers, c.latest[key])
	}
	for _, fp := range fingerprints {
		if b := c.breaches.known[fp]; b != nil {
			numbers = append(numbers, b.Incident)
		}
	}
	return c.loadIncidents(numbers)
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
	put(&c.latest, slo.Key, s.Incident.Number)
	return &s.Incident, true, c.Record(s, events...)
}

// RecordBreach stores what became of a breach, together with the events of its incident.
func (c *Change) RecordBreach(in *incident.Incident, b *incident.Breach, events []incident.Event) error {
	if len(events) > 0 {
		if err := c.Record(c.loaded[in.Number].now, events...); err != nil {
			return err
		}
	}
	return c.PutBreach(b)
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
	return c.loadReaders(l) // the rules look again because of it, with or without an event
}
