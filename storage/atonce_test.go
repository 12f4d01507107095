package storage_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"sitrep/incident"
	"sitrep/storage"
)

// An engine that runs a function as a test says: how often, and whether it is kept.
type rerunning struct {
	storage.Store
	runs int
	fail error
	late func(storage.Tx) error // the function, to be run once more after the answer
}

func (s *rerunning) Write(ctx context.Context, fn func(storage.Tx) error) error {
	s.late = fn
	for range s.runs - 1 {
		_ = s.Store.Write(ctx, func(tx storage.Tx) error {
			if err := fn(tx); err != nil {
				return err
			}
			return errors.New("run again")
		})
	}
	return s.Store.Write(ctx, func(tx storage.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		return s.fail
	})
}

// What was leased in a change is kept once the change is; of each run that is not, it is given
// back, and that before the next.
func TestWhatIsLeasedInAChangeIsKeptWithIt(t *testing.T) {
	r := newRollout(t)
	r.enter("one", r.before)
	s := &rerunning{Store: r.store, runs: 3}
	var log []string
	claimed := 0
	repo := *r.before
	repo.Store = s
	repo.Claim = func(_ context.Context, _ storage.Tx, due []incident.Subscription) (func(bool), error) {
		claimed++
		n := claimed
		log = append(log, fmt.Sprintf("claim %d for %d", n, len(due)))
		return func(kept bool) { log = append(log, fmt.Sprintf("end %d %t", n, kept)) }, nil
	}
	number := r.declare(&repo)
	want := []string{"claim 1 for 2", "end 1 false", "claim 2 for 2", "end 2 false", "claim 3 for 2", "end 3 true"}
	if !slices.Equal(log, want) {
		t.Errorf("got %v, want %v", log, want)
	}

	log, claimed = nil, 0
	s.runs, s.fail = 1, storage.ErrUnknown
	err := repo.Change(t.Context(), r.at, func(c *storage.Change) error {
		sit, err := c.Situation(number)
		if err != nil {
			return err
		}
		p, _ := c.Policy.Priority("P2")
		events, err := sit.Incident.ChangePriority(c.Stamp("ada"), c.Policy, p, "only a few")
		if err != nil {
			return err
		}
		return c.Record(sit, events...)
	})
	if !errors.Is(err, storage.ErrUnknown) {
		t.Errorf("changed: %v", err)
	}
	// An engine may have it run again of whom nobody waits for any more.
	if err := r.store.Write(t.Context(), s.late); err != nil {
		t.Error(err)
	}
	want = []string{"claim 1 for 2", "end 1 false", "claim 2 for 2", "end 2 false"}
	if !slices.Equal(log, want) {
		t.Errorf("not kept: got %v, want %v", log, want)
	}
}

// A change does without it if nobody can be leased.
func TestNoChangeFailsAsNobodyCanBeLeased(t *testing.T) {
	r := newRollout(t)
	r.enter("one", r.before)
	claimed := 0
	repo := *r.before
	repo.Claim = func(ctx context.Context, tx storage.Tx, due []incident.Subscription) (func(bool), error) {
		claimed++
		if _, err := tx.TakeLeases(ctx, r.at, "one", 1, []string{due[0].Recipient}); err != nil {
			t.Error(err)
		}
		return nil, errors.New("no sender")
	}
	number := r.declare(&repo)
	if claimed != 1 {
		t.Errorf("asked %d times", claimed)
	}
	err := r.store.Read(t.Context(), func(x storage.Snapshot) error {
		if _, err := storage.Situation(t.Context(), x, number); err != nil {
			t.Errorf("it is not there: %v", err)
		}
		waiting, err := x.Waiting(t.Context(), r.at, 10)
		if len(waiting) != 2 {
			t.Errorf("%d wait, want 2 whom nobody leased", len(waiting))
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
