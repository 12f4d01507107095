package router_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sitrep/incident"
	"sitrep/router/routertest"
	"sitrep/storage"
)

// A mortal store stands for one of a process that is killed once part of what a digest covers is
// settled.
type mortal struct {
	storage.Store
	mu      sync.Mutex
	settled int
	dead    bool
}

// settling notes what is settled.
type settling struct {
	storage.Tx
	last *storage.Settling
}

func (t *settling) Settle(ctx context.Context, c *storage.Lease, now time.Time, s *storage.Settling) error {
	t.last = s
	return t.Tx.Settle(ctx, c, now, s)
}

func (s *mortal) isDead() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dead
}

func (s *mortal) Read(ctx context.Context, fn func(storage.Snapshot) error) error {
	if s.isDead() {
		return storage.ErrUnavailable
	}
	return s.Store.Read(ctx, fn)
}

func (s *mortal) Write(ctx context.Context, fn func(storage.Tx) error) error {
	if s.isDead() {
		return storage.ErrUnavailable
	}
	var seen settling
	err := s.Store.Write(ctx, func(tx storage.Tx) error {
		seen = settling{Tx: tx}
		return fn(&seen)
	})
	if seen.last != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.settled, s.dead = seen.last.Next, seen.last.Next >= 200
	}
	return err
}

// A digest of many is settled piece by piece. A process that ends in between leaves the rest to
// whoever leases the recipient next: nobody is told twice, and what happens then is told after that.
func TestWhatIsLeftOfADigestIsSettledFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, routertest.Options{Policy: ctoAlone()})
		alerts := w.many("storm", 450) // the cto reads of two thirds
		w.Post(alerts...)
		store := &mortal{Store: w.Store()}
		first := w.StartReplica(routertest.Process{Store: store})
		w.Pass(10 * time.Second)
		first.Stop()
		if store.settled != 200 {
			t.Fatalf("it ended with %d settled", store.settled)
		}
		told := func() (told, due int) {
			for n := range int64(len(alerts)) {
				for _, s := range w.Situation(n + 1).Subscriptions {
					if !s.ToldAt.IsZero() {
						told++
					}
					if !s.DueAt.IsZero() && !s.DueAt.After(w.Now()) {
						due++
					}
				}
			}
			return told, due
		}
		if told, due := told(); told != 205 || due != 95 {
			t.Errorf("%d are told, %d are due, when it ended", told, due)
		}
		if s, d, n := about(w.Mails(), "cto"); s != 5 || d != 1 || n != 300 {
			t.Fatalf("%d messages and %d digests of %d incidents", s, d, n)
		}
		// Meanwhile one more breach begins in one that is not settled, and an incident opens.
		w.Post(w.Alert("storm449", "more"))
		w.Post(w.many("late", 2)...)

		w.StartReplica(routertest.Process{Owner: "b"})
		w.Pass(3 * time.Minute)
		if told, due := told(); told != 300 || due != 0 {
			t.Errorf("%d are told, %d are due, at last", told, due)
		}
		if s, d, n := about(w.Mails(), "cto"); s != 1 || d != 0 || n != 1 {
			t.Errorf("then %d messages and %d digests of %d incidents", s, d, n)
		}
		for _, d := range w.Deliveries() {
			w.Read(func(r storage.Snapshot) error {
				records, err := storage.DeliveryRecords(t.Context(), r, d.ID)
				if d.State != incident.DeliveryDelivered || len(records) != 1 {
					t.Errorf("%s is %s, with %d records", d.ID, d.State, len(records))
				}
				return err
			})
		}
	})
}

// No write of a digest, however many it covers, is about more than a part of them.
func TestADigestIsSettledInPieces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, routertest.Options{Policy: ctoAlone()})
		w.Post(w.many("storm", 450)...)
		store := &pieces{Store: w.Store()}
		w.StartReplica(routertest.Process{Store: store})
		w.Pass(10 * time.Second)
		if store.most < 50 || store.most > 100 || store.wrote != 300 {
			t.Errorf("%d subscriptions were written, up to %d in one transaction", store.wrote, store.most)
		}
		if got := fmt.Sprint(about(w.Mails(), "cto")); got != "5 1 300" {
			t.Errorf("messages, digests and incidents: %s", got)
		}
	})
}

// pieces counts the subscriptions that are written by the transactions of a digest.
type pieces struct {
	storage.Store
	mu          sync.Mutex
	wrote, most int
}

type piece struct {
	storage.Tx
	n int
}

func (p *piece) PutSubscriptions(ctx context.Context, put, gone []incident.Subscription) error {
	p.n += len(put)
	return p.Tx.PutSubscriptions(ctx, put, gone)
}

func (s *pieces) Write(ctx context.Context, fn func(storage.Tx) error) error {
	var p piece
	err := s.Store.Write(ctx, func(tx storage.Tx) error {
		p = piece{Tx: tx}
		return fn(&p)
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wrote += p.n
	s.most = max(s.most, p.n)
	return err
}

// An opening of the first priority that comes while a digest is settled does not wait for all of
// that: it is told between two pieces, and what the digest told is not told again.
func TestAnOpeningIsToldBetweenThePiecesOfASettling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, routertest.Options{Policy: ctoAlone()})
		w.Post(w.manyP2(500)...)
		store := &interrupted{Store: w.Store()}
		store.between = func() { w.Fire("p1", "urgent") }
		w.StartReplica(routertest.Process{Store: store})
		w.Pass(3 * time.Minute)
		if store.unsettled != 295 { // it came with the first piece, and went after the next
			t.Errorf("%d were not settled when the opening was handed over", store.unsettled)
		}
		if got := fmt.Sprint(about(w.Mails(), "cto")); got != "6 1 501" {
			t.Errorf("messages, digests and incidents: %s", got)
		}
		for _, s := range situations(w) {
			for _, sub := range s.Subscriptions {
				if !sub.Told || len(sub.Owed) > 0 {
					t.Fatalf("%s: %+v", s.Incident.ID(), sub)
				}
			}
		}
		for _, d := range w.Deliveries() {
			if d.State != incident.DeliveryDelivered || d.Attempts != 1 {
				t.Errorf("%s is %s after %d attempts", d.ID, d.State, d.Attempts)
			}
		}
	})
}

// An interrupted store calls between once a first piece was settled.
type interrupted struct {
	storage.Store
	mu        sync.Mutex
	between   func()
	settled   int
	unsettled int // when the message after the digest was recorded as delivered
	digest    int // how many it covers
}

type interrupting struct {
	settling
	delivered *incident.Delivery
}

func (t *interrupting) PutDelivery(ctx context.Context, d *incident.Delivery, body []byte) error {
	if d.State == incident.DeliveryDelivered {
		t.delivered = d
	}
	return t.settling.PutDelivery(ctx, d, body)
}

func (s *interrupted) Write(ctx context.Context, fn func(storage.Tx) error) error {
	var seen interrupting
	err := s.Store.Write(ctx, func(tx storage.Tx) error {
		seen = interrupting{settling: settling{Tx: tx}}
		return fn(&seen)
	})
	s.mu.Lock()
	if d := seen.delivered; d != nil && len(d.Covers) > 1 {
		s.digest = len(d.Covers)
	} else if d != nil && s.settled > 0 {
		s.unsettled = s.digest - s.settled
	}
	var between func()
	if seen.last != nil {
		if s.settled == 0 {
			between = s.between
		}
		s.settled = seen.last.Next
	}
	s.mu.Unlock()
	if between != nil {
		between()
	}
	return err
}

// A digest of many of unknown outcome is repeated as it was, and settled then.
func TestADigestOfManyOfUnknownOutcomeIsRepeated(t *testing.T) {
	bubble(t, ctoAlone(), func(t *testing.T, w *world) {
		var once sync.Once
		w.Behave(func(m *routertest.Mail) (err error) {
			if m.Kind == incident.KindDigest {
				once.Do(func() { err = routertest.ErrTaken })
			}
			return err
		})
		w.Post(w.many("storm", 450)...)
		w.Pass(5 * time.Minute)
		var ids []string
		for _, m := range w.Mails() {
			if m.Kind == incident.KindDigest {
				ids = append(ids, m.ID)
			}
		}
		if len(ids) != 2 || ids[0] != ids[1] {
			t.Errorf("digests %v", ids)
		}
		for _, s := range situations(w) {
			for _, sub := range s.Subscriptions {
				if !sub.Told || len(sub.Owed) > 0 {
					t.Fatalf("%s: %+v", s.Incident.ID(), sub)
				}
			}
		}
	})
}

// An opening of the first priority that comes while its reader is told of others goes before what is
// not handed over yet: between two messages, and before the digest that was planned meanwhile.
func TestAnOpeningGoesBeforeTheRestOfATurn(t *testing.T) {
	for when, place := range map[string]int{"second message": 2, "last message": 5, "digest is planned": 5} {
		t.Run(when, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, routertest.Options{Policy: ctoAlone()})
				w.Post(w.manyP2(200)...)
				var once sync.Once
				fire := func() { once.Do(func() { w.Fire("p1", "urgent") }) }
				store := &planning{Store: w.Store()}
				if when == "digest is planned" {
					store.planned = fire
				} else {
					var begun atomic.Int64
					w.Behave(func(*routertest.Mail) error {
						if begun.Add(1) == int64(place) {
							fire()
						}
						return nil
					})
				}
				w.StartReplica(routertest.Process{Store: store})
				w.Pass(3 * time.Minute)
				mails := w.Mails()
				for i, m := range mails {
					first := m.First().Incident.Priority.Name == "P1"
					if first != (i == place) || (m.Kind == incident.KindDigest) != (i == 6) {
						t.Errorf("message %d: %s of %s", i+1, m.Kind, m.First().Incident.Priority.Name)
					}
				}
				if got := fmt.Sprint(about(mails, "cto")); got != "6 1 201" {
					t.Errorf("messages, digests and incidents: %s", got)
				}
				for _, d := range w.Deliveries() {
					if d.State != incident.DeliveryDelivered || d.Attempts != 1 {
						t.Errorf("%s is %s after %d attempts", d.ID, d.State, d.Attempts)
					}
				}
			})
		})
	}
}

// A planning store calls planned after what a digest is planned on was read.
type planning struct {
	storage.Store
	planned func()
}

type plannedOn struct {
	storage.Snapshot
	incidents int
}

func (r *plannedOn) RecordsSince(ctx context.Context, after map[int64]int64, limit int) (map[int64][]storage.Record, error) {
	r.incidents = len(after)
	return r.Snapshot.RecordsSince(ctx, after, limit)
}

func (s *planning) Read(ctx context.Context, fn func(storage.Snapshot) error) error {
	var seen plannedOn
	err := s.Store.Read(ctx, func(r storage.Snapshot) error {
		seen = plannedOn{Snapshot: r}
		return fn(&seen)
	})
	if s.planned != nil && seen.incidents > 1 {
		s.planned()
	}
	return err
}
