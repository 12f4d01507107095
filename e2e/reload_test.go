package e2e_test

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// TestReload: SIGHUP takes over a good config at once, and nothing of a bad one.
func TestReload(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{})
	known := func() []string {
		var page struct {
			SLOs []struct {
				ID string `json:"id"`
			} `json:"slos"`
		}
		check(t, w.Get("/api/v1/slos", &page))
		var ids []string
		for _, s := range page.SLOs {
			ids = append(ids, s.ID)
		}
		return ids
	}
	w.post(firing("register", "f1", time.Now()))
	if got := w.post(firing("newcomer", "f2", time.Now())); !slices.Equal(got, []string{"unmapped"}) {
		t.Fatalf("an alert of no SLO: got %v", got)
	}
	opened := []string{"opened INC-1"}
	w.wantMails(map[string][]string{chief: opened, support: opened, onCall: opened})

	good := w.config(settings{})
	check(t, w.Write("sitrep.yml", strings.Replace(good, "update_every: 1h", "update_every: soon", 1)))
	w.Reload()
	w.eventually("the bad config is refused", func() bool { return w.metric("sitrep_config_last_reload_successful") == 0 })
	if got := known(); !slices.Contains(got, "register") {
		t.Errorf("after a bad config: got SLOs %v", got)
	}

	check(t, w.Write("sitrep.yml", strings.Replace(good, "email: [cto@example.org]", "email: [ceo@example.org]", 1)))
	check(t, w.Write("slos/newcomers.yml", `
team: newcomers
on_call: {email: [newcomers@example.org]}
stakeholders: [support]
slos: [{id: newcomer, use_case: Newcomers cannot log on, sli: availability, priority: P2}]
`))
	w.Reload()
	w.eventually("the new SLO is known", func() bool { return slices.Contains(known(), "newcomer") })
	if w.metric("sitrep_config_last_reload_successful") != 1 {
		t.Error("a good reload is not shown as one")
	}
	// The firing alert that was unmapped is looked up again; who is new in a group is
	// briefed; and who was taken out gets nothing more.
	w.wantMails(map[string][]string{
		chief:                   opened,
		"ceo@example.org":       opened,
		support:                 {"opened INC-1", "opened INC-2"},
		onCall:                  opened,
		"newcomers@example.org": {"opened INC-2"},
	})
	check(t, w.Post("/api/v1/incidents/INC-1/updates", map[string]string{"message": "We have found the cause."}, nil))
	w.wantMails(map[string][]string{
		chief:                   opened,
		"ceo@example.org":       {"opened INC-1", "update INC-1"},
		support:                 {"opened INC-1", "opened INC-2", "update INC-1"},
		onCall:                  opened,
		"newcomers@example.org": {"opened INC-2"},
	})
}
