package storage

import (
	"context"
	"time"

	"sitrep/incident"
)

const (
	// unsentWaiting is how many of the readers who wait are looked at, unsentPending how many
	// of the latest messages that are tried again, and unsentRefused how many of the latest that
	// failed, in pieces of refusedPiece.
	unsentWaiting = 1000
	unsentPending = 100
	unsentRefused = 200
	refusedPiece  = 20
)

// ReadUnsent returns what should have been handed over by now and was not, to recipients
// that the policy has. It is what all processes that have the store say of it, and takes
// some lookups while there is nothing.
func ReadUnsent(ctx context.Context, r Snapshot, p *incident.Policy, now time.Time) (incident.Unsent, error) {
	u := unsent{policy: p, waiting: map[unsentKey]struct{}{}, recipients: map[string]struct{}{}}
	if err := u.readWaiting(ctx, r, now.Add(-incident.Promise)); err != nil {
		return incident.Unsent{}, err
	}
	if err := u.readPending(ctx, r); err != nil {
		return incident.Unsent{}, err
	}
	if err := u.readRefused(ctx, r, now); err != nil {
		return incident.Unsent{}, err
	}
	u.Waiting, u.Recipients = len(u.waiting), len(u.recipients)
	if u.Waiting > 0 && u.LastError == "" {
		return u.Unsent, u.readErrors(ctx, r)
	}
	return u.Unsent, nil
}

// An unsentKey is one message to a recipient: about an incident, or about a pulse.
type unsentKey struct {
	recipient, pulse string
	incident         int64
}

// unsent gathers what was not handed over.
type unsent struct {
	incident.Unsent
	policy     *incident.Policy
	waiting    map[unsentKey]struct{}
	recipients map[string]struct{} // of those that wait, and of those that failed
	saidAt     time.Time           // when LastError was said
}

// add notes a message to a recipient of the policy: one who was taken out is told nothing
// more.
func (u *unsent) add(recipient string, since time.Time) bool {
	if _, known := u.policy.Recipient(recipient); !known {
		return false
	}
	u.recipients[recipient] = struct{}{}
	if u.Since.IsZero() || since.Before(u.Since) {
		u.Since = since
	}
	return true
}

func (u *unsent) wait(k unsentKey, since time.Time) {
	if u.add(k.recipient, since) {
		u.waiting[k] = struct{}{}
	}
}

func (u *unsent) said(text string, at time.Time) {
	if text != "" && !at.Before(u.saidAt) {
		u.LastError, u.saidAt = text, at
	}
}

// readWaiting finds those to whom something is due since before late.
func (u *unsent) readWaiting(ctx context.Context, r Snapshot, late time.Time) error {
	due, _, err := r.Backlog(ctx, late)
	if due == 0 || err != nil {
		return err
	}
	page, next, err := r.DueReaders(ctx, late, unsentWaiting, "")
	if err != nil {
		return err
	}
	for _, d := range page {
		u.wait(unsentKey{recipient: d.Recipient, incident: d.Incident}, d.Since)
	}
	if u.More = next != ""; u.More || due == len(page) {
		return nil
	}
	pulses, err := r.Pulses(ctx)
	for _, pulse := range pulses {
		if err != nil {
			return err
		}
		var notices []incident.Notice
		notices, err = r.Notices(ctx, pulse.Name)
		for i := range notices {
			if n := &notices[i]; !n.DueAt.IsZero() && !n.DueAt.After(late) {
				u.wait(unsentKey{recipient: n.Recipient, pulse: n.Pulse}, n.DueAt)
			}
		}
	}
	return err
}

// readPending finds what was tried in vain, also within its promise.
func (u *unsent) readPending(ctx context.Context, r Snapshot) error {
	page, next, err := r.Deliveries(ctx, DeliveryQuery{State: incident.DeliveryPending, Limit: unsentPending})
	for i := range page {
		d := &page[i]
		if d.Error == "" {
			continue
		}
		for _, c := range d.Covers {
			u.wait(unsentKey{recipient: d.Recipient, incident: c.Incident, pulse: c.Pulse}, d.DueAt)
		}
		at := d.RefusedAt
		if at.IsZero() {
			at = d.CreatedAt
		}
		u.said(d.Error, at)
	}
	u.More = u.More || next != ""
	return err
}

// readRefused finds what failed for good.
func (u *unsent) readRefused(ctx context.Context, r Snapshot, now time.Time) error {
	for cursor, seen := "", 0; ; {
		page, next, err := r.Deliveries(ctx, DeliveryQuery{State: incident.DeliveryFailed, Brief: true, Limit: refusedPiece, Cursor: cursor})
		if err != nil {
			return err
		}
		recent := false
		var recipients []string
		for i := range page {
			if page[i].StillRefused(time.Time{}, now) {
				recent, recipients = true, append(recipients, page[i].Recipient)
			}
		}
		if !recent {
			return nil
		}
		states, err := r.RecipientStates(ctx, recipients)
		if err != nil {
			return err
		}
		for i := range page {
			if d := &page[i]; d.StillRefused(states[d.Recipient].SentAt, now) && u.add(d.Recipient, d.DueAt) {
				u.Refused++
				u.said(d.Error, d.FinishedAt)
			}
		}
		if cursor, seen = next, seen+len(page); cursor == "" {
			return nil
		}
		if seen >= unsentRefused {
			u.More = true
			return nil
		}
	}
}

// readErrors finds what was said last to those who wait, as none of their messages has it.
func (u *unsent) readErrors(ctx context.Context, r Snapshot) error {
	var some []string
	for k := range u.waiting {
		if some = append(some, k.recipient); len(some) == unsentPending {
			break
		}
	}
	states, err := r.RecipientStates(ctx, some)
	for _, s := range states {
		u.said(s.LastError, s.FailingSince)
	}
	return err
}
