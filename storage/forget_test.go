package storage_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"sitrep/incident"
	"sitrep/storage"
)

// A countedTx counts the sets that are asked for when incidents are forgotten.
type countedTx struct {
	storage.Tx
	sets *int
}

func (t countedTx) IncidentsByNumber(ctx context.Context, numbers []int64) (map[int64]*incident.Incident, error) {
	*t.sets++
	return t.Tx.IncidentsByNumber(ctx, numbers)
}

func (t countedTx) Subscriptions(ctx context.Context, numbers []int64, recipients ...string) (map[int64][]incident.Subscription, error) {
	*t.sets++
	return t.Tx.Subscriptions(ctx, numbers, recipients...)
}

func (t countedTx) PutIncidents(ctx context.Context, all []*incident.Incident) error {
	*t.sets++
	return t.Tx.PutIncidents(ctx, all)
}

func (t countedTx) PutSubscriptions(ctx context.Context, put, gone []incident.Subscription) error {
	*t.sets++
	return t.Tx.PutSubscriptions(ctx, put, gone)
}

// Of these there is one for incidents and one for the watchdog.

func (t countedTx) Expired(ctx context.Context, what storage.Expiry, before time.Time, limit int) ([]storage.Expired, error) {
	*t.sets++
	return t.Tx.Expired(ctx, what, before, limit)
}

func (t countedTx) ForgetDeliveries(ctx context.Context, all []incident.Delivery) error {
	*t.sets++
	return t.Tx.ForgetDeliveries(ctx, all)
}

func (t countedTx) DeleteRecipients(ctx context.Context, recipients []string, before time.Time) (map[string]bool, error) {
	*t.sets++
	return t.Tx.DeleteRecipients(ctx, recipients, before)
}

func (t countedTx) NoteExpired(ctx context.Context, done, left []storage.Expired) error {
	*t.sets++
	return t.Tx.NoteExpired(ctx, done, left)
}

func TestIncidentsAreForgottenInSets(t *testing.T) {
	s := newSigned(t)
	const many = 30
	s.write(func(tx storage.Tx) error {
		for n := int64(1); n <= many; n++ {
			in := &incident.Incident{Number: n, Sequence: 1, Key: fmt.Sprint(n), State: incident.StateClosed, ClosedAt: s.at, AcknowledgedBy: "ada"}
			d := &incident.Delivery{ID: fmt.Sprint(n), Incident: n, Recipient: "ada", State: incident.DeliveryFailed, FinishedAt: s.at}
			if err := tx.PutIncidents(t.Context(), []*incident.Incident{in}); err != nil {
				return err
			}
			if err := tx.PutSubscriptions(t.Context(), []incident.Subscription{{Incident: n, Recipient: "ada", Reader: 1}}, nil); err != nil {
				return err
			}
			if err := tx.PutDelivery(t.Context(), d, nil); err != nil {
				return err
			}
		}
		return nil
	})
	for n := range int64(many) {
		s.appendEvent(n + 1)
	}
	s.write(func(tx storage.Tx) error {
		sets := 0
		more, err := storage.Forget(t.Context(), countedTx{tx, &sets}, s.at.Add(time.Hour), 1000)
		if more || sets != 12 {
			t.Errorf("%d sets, and more is left: %v", sets, more)
		}
		return err
	})
	err := s.store.Read(t.Context(), func(r storage.Snapshot) error {
		for n := int64(1); n <= many; n++ {
			subs, err := storage.SubscriptionsOf(t.Context(), r, n)
			if err != nil {
				return err
			}
			in, err := storage.IncidentOf(t.Context(), r, n)
			if err != nil || in.AcknowledgedBy != incident.Forgotten || !subs[0].Forgotten() {
				t.Errorf("kept %+v, %+v, %v", in, subs, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
