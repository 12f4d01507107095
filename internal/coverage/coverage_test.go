package coverage_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sitrep/chain"
	"sitrep/chain/live"
	"sitrep/incident"
	"sitrep/incident/incidenttest"
	"sitrep/internal/coverage"
	"sitrep/storage"
	"sitrep/storage/bolt"
)

// A snapshot is one in which it goes with recipients as it is told.
type snapshot struct {
	storage.Snapshot
	states map[string]storage.RecipientState
}

func (s snapshot) RecipientStates(context.Context, []string) (map[string]storage.RecipientState, error) {
	return s.states, nil
}

// TestReadersAreThoseWhoAreReached: what the store knows of recipients decides over the last link.
func TestReadersAreThoseWhoAreReached(t *testing.T) {
	at := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	slo := incidenttest.SLO("checkout", "P1")
	slo.Team, slo.Stakeholders = "shop", []string{"support"}
	policy := incidenttest.Policy(slo)
	policy.Teams = []incident.Team{incidenttest.Team("shop", "oncall")}
	policy.Groups = []incident.Group{incidenttest.Group("support", "support")}
	policy.Management = nil
	policy.Priorities[0].Inform = []incident.Audience{incident.AudienceStakeholders}
	onCall, support := policy.Teams[0].OnCall[0].ID, policy.Groups[0].Recipients[0].ID
	chat := incident.Recipient{ID: "webhook:1", Channel: incident.ChannelWebhook}
	sent := func(t time.Time) storage.RecipientState { return storage.RecipientState{SentAt: t} }
	fails := storage.RecipientState{SentAt: at.Add(-time.Hour), FailingSince: at, LastError: "550 no such user"}
	db, err := bolt.Open(t.Context(), filepath.Join(t.TempDir(), "sitrep.db"), bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	whole := func() *coverage.Report {
		c := live.Chain{SLO: &chain.SLO{ID: "checkout"}, State: live.Whole}
		for _, s := range chain.Stages() {
			c.Links = append(c.Links, live.Link{Stage: s, State: live.Whole})
		}
		return coverage.New(&live.Result{At: at, Report: &chain.Report{}, Chains: []live.Chain{c}}, true, true)
	}
	for _, tt := range []struct {
		name    string
		states  map[string]storage.RecipientState
		change  func(p *incident.Policy)
		report  *coverage.Report
		state   live.State
		says    string
		readers int
		told    time.Time
	}{
		{"nobody was told yet", nil, nil, whole(), live.Whole, "", 2, time.Time{}},
		{"the latest message to one of them", map[string]storage.RecipientState{onCall: sent(at), support: sent(at.Add(time.Minute))}, nil, whole(), live.Whole, "", 2, at.Add(time.Minute)},
		{"one is not reached", map[string]storage.RecipientState{onCall: sent(at), support: fails}, nil, whole(), live.Doubtful, "messages to 1 of 2 recipients have not been handed over since 2026-03-02 09:00:00 UTC", 2, at},
		{"none is reached", map[string]storage.RecipientState{onCall: fails, support: fails}, nil, whole(), live.Broken, "messages to 2 of 2", 2, at.Add(-time.Hour)},
		{
			"a chat is no person where there are mails",
			map[string]storage.RecipientState{chat.ID: sent(at.Add(time.Hour)), onCall: sent(at)},
			func(p *incident.Policy) { p.Groups[0].Recipients = append(p.Groups[0].Recipients, chat) },
			whole(), live.Whole, "", 3, at,
		},
		{
			"a group that does not hear of the priority",
			map[string]storage.RecipientState{support: sent(at)},
			func(p *incident.Policy) { p.Groups[0].Priorities = []string{"P2"} },
			whole(), live.Whole, "", 1, time.Time{},
		},
		{
			"nobody at all", nil,
			func(p *incident.Policy) { p.Groups[0].Recipients, p.Teams[0].OnCall = nil, nil },
			whole(), live.Broken, "nobody would be told", 0, time.Time{},
		},
		{"the chains were not looked at yet", nil, nil, &coverage.Report{}, live.Unknown, "", 2, time.Time{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := *policy
			p.Groups = []incident.Group{policy.Groups[0]}
			p.Teams = []incident.Team{policy.Teams[0]}
			if tt.change != nil {
				tt.change(&p)
			}
			var rows []coverage.Row
			err := db.Read(t.Context(), func(r storage.Snapshot) (err error) {
				rows, err = coverage.Rows(t.Context(), snapshot{r, tt.states}, &p, tt.report, []*incident.SLO{&p.SLOs[0]})
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			row := rows[0]
			last := row.Links[len(row.Links)-1]
			var said strings.Builder
			for i := range last.Findings {
				said.WriteString(last.Findings[i].Text)
			}
			if row.State != tt.state || row.Readers != tt.readers || !row.Told.Equal(tt.told) || !strings.Contains(said.String(), tt.says) || tt.says == "" && said.Len() > 0 {
				t.Errorf("%s, %d readers, told %s: %q", row.State, row.Readers, row.Told, said.String())
			}
			if strings.Contains(said.String(), "no such user") {
				t.Error("what a mail server said is for the page of deliveries")
			}
		})
	}
}
