package storage

import (
	"fmt"
	"maps"
	"slices"

	"sitrep/incident"
)

// breaches are those that a change knows, and those that it is going to store.
type breaches struct {
	known map[string]*incident.Breach // latest by fingerprint, nil if there is none
	put   []*incident.Breach
	place map[BreachID]int // in put
}

// LatestBreach returns the latest breach of a fingerprint, nil if there is none. It changes
// by [Change.PutBreach] and [Change.RecordBreach].
func (c *Change) LatestBreach(fingerprint string) (*incident.Breach, error) {
	if err := c.loadBreaches([]string{fingerprint}); err != nil {
		return nil, fmt.Errorf("find the breach of %q: %w", fingerprint, err)
	}
	b := c.breaches.known[fingerprint]
	if b == nil {
		return nil, nil
	}
	own := *b
	return &own, nil
}

func (c *Change) loadBreaches(fingerprints []string) error {
	missing := unknown(fingerprints, c.breaches.known)
	if len(missing) == 0 {
		return nil
	}
	found, err := c.Tx.LatestBreaches(c.Context(), missing)
	if err != nil {
		return err
	}
	if c.breaches.known == nil {
		c.breaches.known = make(map[string]*incident.Breach, len(missing))
	}
	for _, fp := range missing {
		c.breaches.known[fp] = found[fp]
	}
	return nil
}

// unknown returns those of the names that were not asked for yet.
func unknown[V any](names []string, known map[string]V) []string {
	var out []string
	for i, name := range names {
		if _, ok := known[name]; !ok {
			if out == nil {
				out = make([]string, 0, len(names)-i)
			}
			out = append(out, name)
		}
	}
	return out
}

// PutBreach stores a breach to whose incident nothing happens by that: a new one of its
// fingerprint, or the latest.
func (c *Change) PutBreach(b *incident.Breach) error {
	if before := c.breaches.known[b.Fingerprint]; before != nil && before.Ordinal > b.Ordinal {
		return fmt.Errorf("put breach %d of %q: number %d began since", b.Ordinal, b.Fingerprint, before.Ordinal)
	}
	own := *b
	put(&c.breaches.known, b.Fingerprint, &own)
	id := BreachID{b.Fingerprint, b.Ordinal}
	if at, again := c.breaches.place[id]; again {
		c.breaches.put[at] = &own
		return nil
	}
	if c.breaches.place == nil {
		c.breaches.place = make(map[BreachID]int, len(c.breaches.known))
		c.breaches.put = make([]*incident.Breach, 0, len(c.breaches.known))
	}
	c.breaches.place[id] = len(c.breaches.put)
	c.breaches.put = append(c.breaches.put, &own)
	return nil
}

// unmapped are the alerts without an SLO that a change knows, and what it is going to do
// with them.
type unmapped struct {
	alerts map[string]*incident.UnmappedAlert // by fingerprint, nil if there is none
	dirty  map[string]bool                    // fingerprints of those that changed
}

// Unmapped returns an alert that no SLO claims, nil if there is none of that fingerprint.
func (c *Change) Unmapped(fingerprint string) (*incident.UnmappedAlert, error) {
	if err := c.loadUnmapped([]string{fingerprint}); err != nil {
		return nil, err
	}
	a := c.unmapped.alerts[fingerprint]
	if a == nil {
		return nil, nil
	}
	own := *a
	return &own, nil
}

func (c *Change) loadUnmapped(fingerprints []string) error {
	missing := unknown(fingerprints, c.unmapped.alerts)
	if len(missing) == 0 {
		return nil
	}
	found, err := c.Tx.Unmapped(c.Context(), missing)
	if err != nil {
		return err
	}
	if c.unmapped.alerts == nil {
		c.unmapped.alerts = make(map[string]*incident.UnmappedAlert, len(missing))
	}
	for _, fp := range missing {
		c.unmapped.alerts[fp] = found[fp]
	}
	return nil
}

// PutUnmapped stores an alert that no SLO claims.
func (c *Change) PutUnmapped(a *incident.UnmappedAlert) {
	own := *a
	c.keepUnmapped(a.Fingerprint, &own)
}

// DeleteUnmapped deletes what is kept of an alert that no SLO claimed, if anything is.
func (c *Change) DeleteUnmapped(fingerprint string) error {
	if err := c.loadUnmapped([]string{fingerprint}); err != nil || c.unmapped.alerts[fingerprint] == nil {
		return err
	}
	c.keepUnmapped(fingerprint, nil)
	return nil
}

func (c *Change) keepUnmapped(fingerprint string, a *incident.UnmappedAlert) {
	put(&c.unmapped.alerts, fingerprint, a)
	put(&c.unmapped.dirty, fingerprint, true)
}

// put makes the map with its first entry: most changes need none of most maps.
func put[K comparable, V any](m *map[K]V, key K, value V) {
	if *m == nil {
		*m = map[K]V{}
	}
	(*m)[key] = value
}

// flush stores what was gathered of breaches and of alerts without an SLO.
func (c *Change) flush() error {
	if len(c.breaches.put) > 0 {
		if err := c.Tx.PutBreaches(c.Context(), c.breaches.put); err != nil {
			return err
		}
		c.breaches.put = nil
		clear(c.breaches.place)
	}
	if len(c.ambiguities) > 0 {
		if err := PutAmbiguities(c.Context(), c.Tx, c.ambiguities); err != nil {
			return err
		}
		c.ambiguities = nil
	}
	var put []*incident.UnmappedAlert
	var gone []string
	for _, fp := range slices.Sorted(maps.Keys(c.unmapped.dirty)) {
		if a := c.unmapped.alerts[fp]; a != nil {
			put = append(put, a)
		} else {
			gone = append(gone, fp)
		}
	}
	clear(c.unmapped.dirty)
	if len(put)+len(gone) > 0 {
		return c.Tx.PutUnmapped(c.Context(), put, gone)
	}
	return nil
}

// NoteAmbiguity notes that several SLOs claim an alert.
func (c *Change) NoteAmbiguity(a Ambiguity) { c.ambiguities = append(c.ambiguities, a) }
