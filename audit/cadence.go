package audit

import (
	"cmp"
	"context"
	"encoding/json"
	"time"

	"github.com/prometheus/common/model"

	"sitrep/incident"
	"sitrep/storage"
)

// cadence returns the interval of an incident's updates as an event found it: as the
// configuration had it that was in force, else as the incident keeps it.
func (m *measuring) cadence(ctx context.Context, config string, p incident.Priority) (time.Duration, error) {
	if m.loadings == nil {
		list, err := m.loaded(ctx)
		if err != nil {
			return 0, err
		}
		m.loadings, m.cadences = map[string]storage.Loading{}, map[string]map[string]time.Duration{}
		for _, l := range list {
			m.loadings[l.Hash] = l
		}
	}
	all, ok := m.cadences[config]
	if !ok {
		all = map[string]time.Duration{}
		if l, ok := m.loadings[config]; ok {
			c, err := read(ctx, m.Store, func(r storage.Snapshot) (storage.Config, error) {
				c, _, err := storage.ConfigOf(ctx, r, l)
				return c, err
			})
			if err != nil {
				return 0, err
			}
			all = cadencesIn(c.Body)
		}
		m.cadences[config] = all
	}
	return cmp.Or(all[p.Name], p.UpdateEvery), nil
}

// cadencesIn returns the intervals that a configuration sets, by priority.
func cadencesIn(config []byte) map[string]time.Duration {
	var form struct {
		Priorities []struct {
			Name        string `json:"name"`
			UpdateEvery string `json:"update_every"`
		} `json:"priorities"`
	}
	all := map[string]time.Duration{}
	if json.Unmarshal(config, &form) == nil {
		for _, p := range form.Priorities {
			if every, err := model.ParseDuration(p.UpdateEvery); err == nil {
				all[p.Name] = time.Duration(every)
			}
		}
	}
	return all
}
