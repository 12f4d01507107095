package router_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sitrep/incident"
	"sitrep/internal/command"
	"sitrep/router/routertest"
	"sitrep/storage"
)

// An inspected store looks at what is stored after each commit, as a process would find it
// that ended there.
type inspected struct {
	storage.Store
	mu      sync.Mutex
	commits int
	wrong   []string
}

func (s *inspected) Write(ctx context.Context, fn func(storage.Tx) error) error {
	if err := s.Store.Write(ctx, fn); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.commits++
	return s.Store.Read(ctx, func(r storage.Snapshot) error { return s.look(ctx, r) })
}

// look compares the deliveries with the subscriptions: what was handed over is what a
// reader was told, and when.
func (s *inspected) look(ctx context.Context, r storage.Snapshot) error {
	type reader struct {
		incident  int64
		recipient string
	}
	handed := map[reader]time.Time{}
	for cursor := ""; ; {
		page, next, err := r.Deliveries(ctx, storage.DeliveryQuery{Limit: 1000, Cursor: cursor})
		if err != nil {
			return err
		}
		for i := range page {
			d := &page[i]
			if d.State != incident.DeliveryDelivered {
				continue
			}
			for _, c := range d.Covers {
				if k := (reader{c.Incident, d.Recipient}); d.SentAt.After(handed[k]) {
					handed[k] = d.SentAt
				}
			}
		}
		if cursor = next; cursor == "" {
			break
		}
	}
	incidents, _, err := r.Incidents(ctx, storage.IncidentQuery{Limit: 1000})
	if err != nil {
		return err
	}
	for i := range incidents {
		subs, err := storage.SubscriptionsOf(ctx, r, incidents[i].Number)
		if err != nil {
			return err
		}
		for j := range subs {
			k := reader{subs[j].Incident, subs[j].Recipient}
			if !subs[j].ToldAt.Equal(handed[k]) {
				s.wrong = append(s.wrong, fmt.Sprintf("after commit %d: INC-%d was handed to %s at %v, who was told at %v", s.commits, k.incident, k.recipient, handed[k], subs[j].ToldAt))
			}
		}
	}
	return nil
}

func TestAnOutcomeAndWhatTheReaderWasToldAreOneCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, routertest.Options{Policy: policy()})
		store := &inspected{Store: w.Store()}
		var once sync.Once
		w.Behave(func(m *routertest.Mail) (err error) {
			if m.To == "support" {
				once.Do(func() { err = routertest.ErrTaken })
			}
			return err
		})
		a := w.StartReplica(routertest.Process{Store: store})
		w.Post(w.Alert("p1", "a"), w.Alert("p2", "b"))
		w.Pass(3 * time.Hour)
		w.Do(1, command.Priority{Priority: "P3", Reason: "only a few"})
		w.Pass(3 * time.Hour)
		a.Stop()
		for _, wrong := range store.wrong[:min(len(store.wrong), 5)] {
			t.Error(wrong)
		}
		if store.commits < 30 || len(w.Mails()) < 8 {
			t.Errorf("too little happened: %d commits", store.commits)
		}
	})
}

// A claim that was lost while the far end took the message: whoever has it now records, and
// nobody else.
func TestTheOutcomeOfALostClaimIsNotRecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, routertest.Options{Policy: ctoAlone()})
		var stolen []storage.Lease
		w.Behave(func(*routertest.Mail) error {
			if stolen != nil {
				return nil
			}
			// The clock of another replica is an hour ahead, so that it finds the lease over.
			return w.Store().Write(context.Background(), func(tx storage.Tx) (err error) {
				stolen, err = tx.TakeLeases(t.Context(), w.Now().Add(time.Hour), "another", time.Hour, []string{"email:cto@example.org"})
				return err
			})
		})
		w.Start()
		w.Fire("p1", "a")
		w.Pass(5 * time.Second)
		synctest.Wait()
		if len(stolen) != 1 || len(w.Mails()) != 1 {
			t.Fatalf("claimed %v", stolen)
		}
		for _, d := range w.Deliveries() {
			if d.State != incident.DeliveryPending {
				t.Errorf("recorded as %s by who had lost the claim", d.State)
			}
		}
		for _, s := range w.Situation(1).Subscriptions {
			if s.Told {
				t.Errorf("told by who had lost the claim: %+v", s)
			}
		}
	})
}
