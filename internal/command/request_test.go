package command_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sitrep/incident"
	"sitrep/incident/incidenttest"
	"sitrep/internal/command"
	"sitrep/storage"
	"sitrep/storage/bolt"
)

func newRepository(t *testing.T) *storage.Repository {
	t.Helper()
	db, err := bolt.Open(t.Context(), filepath.Join(t.TempDir(), "sitrep.db"), bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	policy := incidenttest.Policy()
	policy.Teams = []incident.Team{incidenttest.Team("web")}
	return &storage.Repository{Store: db, Policy: func() *incident.Policy { return policy }}
}

func TestWhatPeopleDidMeanwhileIsNamed(t *testing.T) {
	repo := newRepository(t)
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	do := func(actor incident.Actor, number, seen int64, cmd command.Command) error {
		now = now.Add(time.Minute)
		req := command.Request{Command: cmd, Incident: number, Actor: actor, Seen: seen}
		return repo.Change(t.Context(), now, func(c *storage.Change) error {
			_, err := req.Apply(c, nil)
			return err
		})
	}
	dark := command.Declare{UseCase: "The office is dark", Team: "web", Priority: "P1", Reason: "no power"}
	for _, err := range []error{
		do("ada", 0, 0, dark),
		do("ada", 0, 0, dark),
		do("ada", 1, 0, command.Acknowledge{}),
		do("ada", 1, 2, command.Phase{Phase: incident.PhaseInvestigation}),
		do("ada", 1, 0, command.Update{Message: "We look."}),
		do("bob", 1, 0, command.Priority{Priority: "P2", Reason: "only us"}),
		do("bob", 1, 0, command.Merge{Into: "INC-2", Reason: "the same"}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	err := do("eve", 1, 1, command.Resolve{Note: "over"})
	want := "meanwhile people changed INC-1: 1 more; ada set the phase to investigation (3); ada wrote an update (4); " +
		"bob lowered the priority from P1 to P2 (5); bob merged the incident into INC-2 (6); bob closed the incident: merged into INC-2 (7). Read it again, it is at 7"
	if !errors.Is(err, incident.ErrChanged) || err.Error() != want {
		t.Errorf("error = %v\nwant    %s", err, want)
	}
	err = do("eve", 2, 1, command.Resolve{})
	if !errors.Is(err, incident.ErrChanged) || !strings.Contains(err.Error(), "bob merged INC-1 into this incident (2)") {
		t.Errorf("error = %v", err)
	}
	if err := do("eve", 2, 2, command.Resolve{}); err != nil {
		t.Error(err)
	}
}

func TestAPreviewSaysWhoIsTold(t *testing.T) {
	repo := newRepository(t)
	req := command.Request{Actor: "ada", Command: command.Declare{UseCase: "The office is dark", Team: "web", Priority: "P1", Reason: "no power"}}
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	p, err := req.Preview(t.Context(), repo, now, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Joins) != 1 || p.Joins[0].Group != "leadership" || len(p.Messages) != 1 || !p.Messages[0].At.Equal(now) || p.NextUpdateAt.Before(now.Add(2*time.Hour)) {
		t.Errorf("preview = %+v", p)
	}
}
