package storage_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"sitrep/incident"
	"sitrep/storage"
)

// A counting store counts how often it is asked who waits because of failures.
type counting struct {
	storage.Store
	asked int
}

func (c *counting) Read(ctx context.Context, fn func(storage.Snapshot) error) error {
	return c.Store.Read(ctx, func(r storage.Snapshot) error { return fn(countingSnapshot{r, c}) })
}

type countingSnapshot struct {
	storage.Snapshot
	c *counting
}

func (r countingSnapshot) Backoffs(ctx context.Context, recipients []string, now time.Time) (map[string]storage.Backoff, error) {
	r.c.asked++
	return r.Snapshot.Backoffs(ctx, recipients, now)
}

func TestAPreviewAsksOnceWhoWaits(t *testing.T) {
	r := newRollout(t)
	r.enter("one", r.before)
	numbers := []int64{r.declare(r.before), r.declare(r.before), r.declare(r.before)}
	c := &counting{Store: r.store}
	repo := &storage.Repository{Store: c, Policy: r.before.Policy}
	var seen []storage.Foreseen
	err := repo.Preview(t.Context(), r.at, func(ch *storage.Change) error {
		for _, n := range numbers {
			s, err := ch.Situation(n)
			if err != nil {
				return err
			}
			events, err := s.Incident.Acknowledge(ch.Stamp("ada"))
			if err != nil {
				return err
			}
			if err := ch.Record(s, events...); err != nil {
				return err
			}
		}
		return nil
	}, func(_ storage.Snapshot, all []storage.Foreseen) error {
		seen = all
		return nil
	})
	if err != nil || len(seen) != 3 || c.asked != 1 {
		t.Fatalf("asked %d times of %d incidents, %v", c.asked, len(seen), err)
	}
	for i := range seen {
		s, before := seen[i].After, seen[i].Before
		if s.Tries == nil || s.Incident.Number != numbers[i] || s.Incident.AcknowledgedAt.IsZero() || !before.Incident.AcknowledgedAt.IsZero() || len(seen[i].Events) != 1 {
			t.Errorf("after: %+v", s.Incident)
		}
	}
}

func TestAChangeKnowsNoIncidentThatIsNotThere(t *testing.T) {
	r := newRollout(t)
	number := r.declare(r.before)
	err := r.before.Change(t.Context(), r.at, func(c *storage.Change) error {
		if s, err := c.Incident(number); err != nil || s.Incident.Number != number {
			t.Errorf("%+v, %v", s, err)
		}
		_, err := c.Incident(number + 1)
		return err
	})
	if want := `there is no incident "INC-2"`; err == nil || err.Error() != want || !errors.Is(err, incident.ErrNotFound) {
		t.Errorf("%v, want %s", err, want)
	}
}
