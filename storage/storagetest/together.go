package storagetest

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"sitrep/incident"
	"sitrep/storage"
)

// togetherRules are those of writes that may share a transaction.
var togetherRules = []rule{
	{"outcomes that are recorded together are each recorded, and one whose lease is lost is not", func(f *fixture) {
		const readers = 30
		var number int64
		f.write(func(tx storage.Tx) (err error) {
			number, err = f.open(tx, "one")
			return err
		})
		due := f.ago(1)
		var subs []incident.Subscription
		for i := range readers {
			subs = append(subs, f.owes(number, fmt.Sprintf("reader-%02d", i), due))
		}
		f.subscribe(subs...)
		claims := f.claim("me", long, readers)
		f.equal("claims", len(claims), readers)
		for i := range claims {
			f.deliver(f.newDelivery(fmt.Sprint("d", i), claims[i].Recipient, number))
		}
		const lost = 7
		claims[lost].Attempt--
		at := f.now
		failed := make([]error, readers)
		var all sync.WaitGroup
		for i := range claims {
			all.Go(func() {
				c, d := &claims[i], f.newDelivery(fmt.Sprint("d", i), claims[i].Recipient, number)
				d.State, d.SentAt, d.FinishedAt = incident.DeliveryDelivered, at, at
				ctx := storage.Together(f.Context())
				failed[i] = f.store.Write(ctx, func(tx storage.Tx) error {
					err := tx.Lock(ctx, storage.Needs{Leases: []string{c.Recipient}, Incidents: []int64{number}, Readers: []storage.Reader{{Incident: number, Recipient: c.Recipient}}})
					if err != nil {
						return err
					}
					if err := tx.ExtendLease(ctx, c, at, long); err != nil {
						return err
					}
					found, err := tx.Subscriptions(ctx, []int64{number}, c.Recipient)
					if err != nil {
						return err
					}
					if len(found[number]) != 1 || found[number][0].Recipient != c.Recipient || !found[number][0].DueAt.Equal(due) {
						return fmt.Errorf("the subscription of %q is read as %+v", c.Recipient, found[number])
					}
					told := found[number][0]
					told.Owed, told.DueAt, told.Told = nil, time.Time{}, true
					if err := tx.PutSubscriptions(ctx, []incident.Subscription{told}, nil); err != nil {
						return err
					}
					if err := tx.PutDelivery(ctx, d, nil); err != nil {
						return err
					}
					return tx.ReleaseLease(ctx, c, at, time.Time{}, "", 0)
				})
			})
		}
		all.Wait()
		for i, err := range failed {
			if i == lost {
				f.equal("the one that was lost", errors.Is(err, storage.ErrLost), true)
			} else if err != nil {
				f.Errorf("outcome %d: %v", i, err)
			}
		}
		f.read(func(r storage.Snapshot) error {
			left, _, err := r.Backlog(f.Context(), at)
			f.equal("due", left, 1)
			if err != nil {
				return err
			}
			page, _, err := r.Deliveries(f.Context(), storage.DeliveryQuery{State: incident.DeliveryDelivered, Limit: 1000})
			f.equal("delivered", len(page), readers-1)
			if err != nil {
				return err
			}
			for i := range page {
				records, err := storage.DeliveryRecords(f.Context(), r, page[i].ID)
				if err != nil {
					return err
				}
				f.equal("records", len(records), 1)
			}
			states, err := r.RecipientStates(f.Context(), recipients(claims))
			if err != nil {
				return err
			}
			for i := range claims {
				f.equal("handed over", states[claims[i].Recipient].SentAt.Equal(at), i != lost)
			}
			return nil
		})
	}},
}
