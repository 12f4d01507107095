package storagetest

import (
	"fmt"
	"math/rand/v2"
	"time"

	"sitrep/incident"
	"sitrep/storage"
)

// queueWriterRules are about the queue, that many change at the same time.
var queueWriterRules = []rule{
	{"whoever changes what is due at the same time, those who wait are found, and since when", func(f *fixture) {
		const writers, rounds, incidents = 16, 15, 4
		readers := []string{"a", "b", "c", "d", "e"}
		var numbers []int64
		var all []*incident.Incident
		for n := range int64(incidents) {
			numbers, all = append(numbers, n+1), append(all, f.newIncident(n+1))
		}
		f.put(all...)
		for round := range rounds {
			f.writeEach(writers, func(i int, tx storage.Tx) error {
				at := f.now.Add(-time.Duration(rand.IntN(1000)) * time.Second)
				who := readers[rand.IntN(len(readers))]
				switch i % 8 {
				case 0: // one who sends
					leases, err := tx.TakeLeases(f.Context(), f.now, fmt.Sprint(i), time.Hour, []string{who})
					if err != nil || len(leases) == 0 {
						return err
					}
					if err := tx.Lock(f.Context(), storage.Needs{Incidents: numbers[:1]}); err != nil {
						return err
					}
					if err := tx.PutSubscriptions(f.Context(), []incident.Subscription{f.owes(numbers[0], who, at)}, nil); err != nil {
						return err
					}
					d := f.newDelivery(fmt.Sprint(round, "-", i), who, numbers[0])
					d.State, d.SentAt, d.FinishedAt = incident.DeliveryDelivered, f.now, f.now
					if err := tx.PutDelivery(f.Context(), d, nil); err != nil {
						return err
					}
					return tx.ReleaseLease(f.Context(), &leases[0], f.now, time.Time{}, "", 0)
				case 1:
					return tx.PutNotices(f.Context(), []incident.Notice{f.notice("eu", who, at)}, nil)
				case 2:
					return tx.PutNotices(f.Context(), []incident.Notice{f.notice("eu", who, time.Time{})}, nil)
				case 3:
					_, err := tx.DeleteRecipients(f.Context(), []string{who, readers[0]}, f.now)
					return err
				}
				number := numbers[rand.IntN(incidents)]
				if err := tx.Lock(f.Context(), storage.Needs{Incidents: []int64{number}}); err != nil {
					return err
				}
				var subs []incident.Subscription
				for _, k := range rand.Perm(len(readers))[:3] {
					due := f.now.Add(-time.Duration(rand.IntN(1000)) * time.Second)
					if rand.IntN(2) == 0 {
						due = time.Time{}
					}
					subs = append(subs, f.owes(number, readers[k], due))
				}
				return tx.PutSubscriptions(f.Context(), subs, nil)
			})
			f.checkWaiting(numbers)
		}
	}},
}

// checkWaiting checks that those to whom something is due wait since that is so. Nobody is
// leased, and nothing is held back.
func (f *fixture) checkWaiting(numbers []int64) {
	f.Helper()
	want, got := map[string]time.Time{}, map[string]time.Time{}
	f.read(func(r storage.Snapshot) error {
		note := func(who string, due time.Time) {
			if first, known := want[who]; !due.IsZero() && (!known || due.Before(first)) {
				want[who] = due
			}
		}
		subs, err := r.Subscriptions(f.Context(), numbers)
		if err != nil {
			return err
		}
		for _, list := range subs {
			for i := range list {
				note(list[i].Recipient, list[i].DueAt)
			}
		}
		notices, err := r.Notices(f.Context())
		if err != nil {
			return err
		}
		for i := range notices {
			note(notices[i].Recipient, notices[i].DueAt)
		}
		waiting, err := r.Waiting(f.Context(), f.now, 100)
		for _, w := range waiting {
			got[w.Recipient] = w.Since
		}
		return err
	})
	f.equal("who waits", got, want)
}
