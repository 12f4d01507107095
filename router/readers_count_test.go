package router_test

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sitrep/incident"
	"sitrep/incident/incidenttest"
	"sitrep/router/routertest"
	"sitrep/storage"
)

// A counted store counts how often all readers of an incident are read, and what is written.
type counted struct {
	storage.Store
	all    atomic.Int64
	writes atomic.Int64
}

func (s *counted) Read(ctx context.Context, fn func(storage.Snapshot) error) error {
	return s.Store.Read(ctx, func(r storage.Snapshot) error { return fn(countedReader{r, s}) })
}

func (s *counted) Write(ctx context.Context, fn func(storage.Tx) error) error {
	s.writes.Add(1)
	return s.Store.Write(ctx, func(tx storage.Tx) error { return fn(countedTx{tx, s}) })
}

func (s *counted) count(recipients []string) {
	if len(recipients) == 0 {
		s.all.Add(1)
	}
}

type countedReader struct {
	storage.Snapshot
	s *counted
}

func (r countedReader) Subscriptions(ctx context.Context, numbers []int64, recipients ...string) (map[int64][]incident.Subscription, error) {
	r.s.count(recipients)
	return r.Snapshot.Subscriptions(ctx, numbers, recipients...)
}

type countedTx struct {
	storage.Tx
	s *counted
}

func (t countedTx) Subscriptions(ctx context.Context, numbers []int64, recipients ...string) (map[int64][]incident.Subscription, error) {
	t.s.count(recipients)
	return t.Tx.Subscriptions(ctx, numbers, recipients...)
}

// Each of many readers is told as if it were the only one: the others are not read for that.
func TestAMessageReadsItsReaderAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := policy()
		var names []string
		for i := range 200 {
			names = append(names, fmt.Sprintf("reader-%03d", i))
		}
		p.Groups[1].Recipients = incidenttest.Mails(names...)
		w := newWorld(t, routertest.Options{Policy: p, Poll: time.Minute})
		s := &counted{Store: w.Store()}
		w.StartReplica(routertest.Process{Store: s})
		w.Pass(time.Minute)
		before := s.all.Load()
		w.Fire("p3", "a")
		w.Pass(time.Minute)
		if n := len(w.Mails()); n != 201 {
			t.Fatalf("%d were told, want 201", n)
		}
		if n := s.all.Load() - before; n > 5 { // the team's message says who else is told
			t.Errorf("all readers were read %d times", n)
		}
		before = s.all.Load()
		w.Pass(8*time.Hour + time.Minute)
		if n := len(w.Mails()); n != 200 {
			t.Fatalf("%d updates, want 200", n)
		}
		if n := s.all.Load() - before; n > 10 { // time passes for the incident a few times
			t.Errorf("all readers were read %d times for updates", n)
		}
	})
}

// Many readers of one incident are told of it together: their leases and messages are in few
// transactions, as of few times, and what became of each is one.
func TestReadersOfOneIncidentAreToldTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const readers = 500
		p := ctoAlone()
		p.Groups[0].Recipients = nil
		for i := range readers {
			p.Groups[0].Recipients = append(p.Groups[0].Recipients, incidenttest.Mail(fmt.Sprintf("reader-%03d", i)))
		}
		p.Index()
		w := newWorld(t, routertest.Options{Policy: p})
		s := &counted{Store: w.Store()}
		w.StartReplica(routertest.Process{Store: s})
		w.Pass(10 * time.Second)
		before := s.writes.Load()
		w.Fire("p1", "a")
		w.Pass(10 * time.Second)
		if n := len(w.Mails()); n != readers {
			t.Fatalf("%d were told, want %d", n, readers)
		}
		if n := s.writes.Load() - before - readers; n > readers/10 {
			t.Errorf("%d transactions beside those of the outcomes", n)
		}
		times, last := map[time.Time]bool{}, ""
		all := w.Deliveries()
		slices.SortFunc(all, func(a, b incident.Delivery) int { return a.CreatedAt.Compare(b.CreatedAt) })
		for _, d := range all {
			if d.State != incident.DeliveryDelivered || d.Attempts != 1 {
				t.Errorf("%s is %s after %d attempts", d.ID, d.State, d.Attempts)
			}
			if !times[d.CreatedAt] && d.ID < last {
				t.Errorf("%s comes before %s, which was made earlier", d.ID, last)
			}
			times[d.CreatedAt], last = true, d.ID
		}
		if len(times) > readers/10 {
			t.Errorf("the messages are as of %d times", len(times))
		}
	})
}

// One of whom a record is damaged keeps nobody from being told who would be told with it.
func TestWhoCannotBeLeasedKeepsNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := ctoAlone()
		p.Groups[0].Recipients = incidenttest.Mails("ada", "ben", "cleo", "dora", "emil", "fred", "gina")
		p.Index()
		w := newWorld(t, routertest.Options{Policy: p})
		w.StartReplica(routertest.Process{Store: &damagedStore{w.Store(), p.Groups[0].Recipients[3].ID}})
		w.Pass(10 * time.Second)
		w.Fire("p1", "a")
		w.Pass(10 * time.Second)
		w.Expect("ada opened", "ben opened", "cleo opened", "emil opened", "fred opened", "gina opened")
	})
}

// A damaged store cannot read what is due to one recipient.
type damagedStore struct {
	storage.Store
	recipient string
}

type damagedTx struct {
	storage.Tx
	recipient string
}

func (s *damagedStore) Write(ctx context.Context, fn func(storage.Tx) error) error {
	return s.Store.Write(ctx, func(tx storage.Tx) error { return fn(damagedTx{tx, s.recipient}) })
}

func (t damagedTx) TakeLeases(ctx context.Context, now time.Time, owner string, term time.Duration, recipients []string) ([]storage.Lease, error) {
	if slices.Contains(recipients, t.recipient) {
		return nil, storage.ErrDamaged
	}
	return t.Tx.TakeLeases(ctx, now, owner, term, recipients)
}

// One message that is due is two transactions: it is recorded with the lease before it is sent,
// and its outcome with the end of the lease.
func TestAMessageIsTwoTransactions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, routertest.Options{Policy: ctoAlone(), Later: true})
		s := &counted{Store: w.Store()}
		w.StartReplica(routertest.Process{Store: s})
		w.Pass(10 * time.Second)
		before := s.writes.Load()
		w.Fire("p1", "a")
		w.Pass(time.Second)
		w.Expect("cto opened")
		if n := s.writes.Load() - before; n != 2 {
			t.Errorf("%d transactions", n)
		}
		w.Pass(2 * time.Minute)
		if d := w.Deliveries(); len(d) != 1 || d[0].State != incident.DeliveryDelivered || d[0].Attempts != 1 {
			t.Errorf("deliveries %+v", d)
		}
	})
}
