package storage

import (
	"context"
	"maps"
	"slices"
	"time"

	"sitrep/incident"
)

// Tries finds out when those are tried to whom something cannot be handed over, for as many
// incidents as a snapshot is asked about. It is for one goroutine.
type Tries struct {
	r             Snapshot
	now           time.Time
	serverRetryAt func(string) time.Time
	known         map[string]Backoff // by recipient
}

// Tries returns what is known of that at now.
func (repo *Repository) Tries(r Snapshot, now time.Time) *Tries {
	return &Tries{r: r, now: now, serverRetryAt: repo.ServerRetryAt, known: map[string]Backoff{}}
}

// Note sets the Tries of situations.
func (t *Tries) Note(ctx context.Context, all ...*incident.Situation) error {
	unknown := map[string]bool{}
	for _, s := range all {
		for i := range s.Subscriptions {
			sub := &s.Subscriptions[i]
			if _, ok := t.known[sub.Recipient]; !ok && !sub.DueAt.IsZero() {
				unknown[sub.Recipient] = true
			}
		}
	}
	if err := t.load(ctx, slices.Sorted(maps.Keys(unknown))); err != nil {
		return err
	}
	for _, s := range all {
		s.Tries = &incident.Tries{Now: t.now, RetryAt: map[string]time.Time{}}
		for i := range s.Subscriptions {
			sub := &s.Subscriptions[i]
			if sub.DueAt.IsZero() {
				continue
			}
			held := t.known[sub.Recipient]
			if until := latestOf(held.Until, held.Incidents[s.Incident.Number]); !until.IsZero() {
				s.Tries.RetryAt[sub.Recipient] = until
			}
		}
	}
	return nil
}

func (t *Tries) load(ctx context.Context, recipients []string) error {
	if len(recipients) == 0 {
		return nil
	}
	found, err := t.r.Backoffs(ctx, recipients, t.now)
	if err != nil {
		return err
	}
	for _, recipient := range recipients {
		held := found[recipient]
		if t.serverRetryAt != nil {
			held.Until = latestOf(held.Until, t.serverRetryAt(recipient))
		}
		t.known[recipient] = held
	}
	return nil
}

func latestOf(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
