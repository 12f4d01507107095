package config_test

import (
	"slices"
	"strings"
	"testing"
)

func TestTheLabelsOfTheWatchdogAreSorted(t *testing.T) {
	c := load(t, write(t, map[string]string{"sitrep.yml": `
mail: {directory: outbox, from: incidents@example.org}
priorities:
  - {name: P1, inform: [stakeholders], update_every: 2h}
groups:
  - {name: sre, email: [sre@example.org]}
watchdog: {match: ['alertname="Watchdog"'], by: [region, cluster, odd.name], groups: [sre]}
`}))
	if by := c.Policy().Watchdog.By; !slices.Equal(by, []string{"cluster", "odd.name", "region"}) {
		t.Errorf("by %q", by)
	}
	for _, form := range [][]byte{c.Canonical(), c.Public()} {
		if !strings.Contains(string(form), `"by":["region","cluster","odd.name"]`) {
			t.Errorf("form %s", form)
		}
	}
}
