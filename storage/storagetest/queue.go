package storagetest

import (
	"context"
	"fmt"
	"sync"
	"time"

	"sitrep/incident"
	"sitrep/storage"
)

// owes returns a subscription that is due at a time.
func (f *fixture) owes(number int64, recipient string, due time.Time) incident.Subscription {
	s := incident.Subscription{
		Incident: number, Recipient: recipient, Audiences: []incident.Audience{incident.AudienceManagement}, Groups: []string{"leadership"},
		Active: true, DueAt: due,
	}
	if !due.IsZero() {
		s.Owed = []incident.Owed{{Kind: incident.KindOpened, Reason: incident.DueOpened, At: due}}
	}
	return s
}

func (f *fixture) subscribe(subs ...incident.Subscription) {
	f.Helper()
	f.write(func(tx storage.Tx) error { return tx.PutSubscriptions(f.Context(), subs, nil) })
}

// ago returns a time before now.
func (f *fixture) ago(minutes int) time.Time { return f.now.Add(-time.Duration(minutes) * time.Minute) }

const (
	long  = 5 * time.Hour    // a lease that holds
	short = time.Microsecond // a lease that is over at once
)

// claim claims at f.now, which is a little later afterwards.
func (f *fixture) claim(owner string, lease time.Duration, limit int) (claims []storage.Lease) {
	f.Helper()
	f.write(func(tx storage.Tx) (err error) {
		claims, err = claimDue(f.Context(), tx, f.now, owner, lease, limit)
		return err
	})
	f.pass()
	return claims
}

// pass lets a little time pass, by the clock of the store too.
func (f *fixture) pass() {
	f.Helper()
	at, err := f.store.Clock(f.Context())
	if err != nil {
		f.Fatal(err)
	}
	f.now = later(f.now, at).Add(10 * time.Microsecond)
}

// claimDue claims those who have waited longest.
func claimDue(ctx context.Context, tx storage.Tx, now time.Time, owner string, lease time.Duration, limit int) ([]storage.Lease, error) {
	waiting, err := tx.Waiting(ctx, now, limit)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, w := range waiting {
		ids = append(ids, w.Recipient)
	}
	return tx.TakeLeases(ctx, now, owner, lease, ids)
}

func recipients(claims []storage.Lease) (all []string) {
	for _, c := range claims {
		all = append(all, c.Recipient)
	}
	return all
}

func (f *fixture) release(c *storage.Lease, retryAt time.Time, why string) error {
	return f.store.Write(f.Context(), func(tx storage.Tx) error { return tx.ReleaseLease(f.Context(), c, f.now, retryAt, why, 0) })
}

func (f *fixture) hold(c *storage.Lease, term time.Duration) error {
	return f.store.Write(f.Context(), func(tx storage.Tx) error { return tx.ExtendLease(f.Context(), c, f.now, term) })
}

var subscriptionRules = []rule{
	{"subscriptions are read as they were put, ordered by recipient", func(f *fixture) {
		full := f.owes(1, "email:b@example.org", f.now)
		full.Told, full.ToldSequence, full.ToldPriority, full.ToldAt = true, 4, "P1", f.now
		full.WaitUntil, full.CadenceAt, full.NextBy = f.now, f.now, f.now
		a, c := f.owes(1, "email:a@example.org", time.Time{}), f.owes(1, "webhook:00ff", f.now)
		f.subscribe(c, full, f.owes(2, "email:a@example.org", f.now))
		f.subscribe(a)
		f.read(func(r storage.Snapshot) error {
			subs, err := storage.SubscriptionsOf(f.Context(), r, 1)
			if err != nil {
				return err
			}
			f.equal("subscriptions", subs, []incident.Subscription{a, full, c})
			subs, err = storage.SubscriptionsOf(f.Context(), r, 3)
			f.equal("none", len(subs), 0)
			return err
		})
		full.DueAt = f.now.Add(time.Hour)
		f.subscribe(full)
		f.read(func(r storage.Snapshot) error {
			subs, err := storage.SubscriptionsOf(f.Context(), r, 1)
			f.equal("changed", subs, []incident.Subscription{a, full, c})
			return err
		})
	}},
	{"the backlog counts what is due", func(f *fixture) {
		backlog := func(due int, oldest time.Time) {
			f.Helper()
			f.read(func(r storage.Snapshot) error {
				n, at, err := r.Backlog(f.Context(), f.now)
				f.equal("due", n, due)
				f.equal("oldest", at, oldest)
				return err
			})
		}
		backlog(0, time.Time{})
		f.subscribe(f.owes(1, "a", f.ago(5)), f.owes(2, "a", f.ago(7)), f.owes(1, "b", f.now), f.owes(1, "c", f.ago(-1)), f.owes(1, "d", time.Time{}))
		backlog(3, f.ago(7))
		f.subscribe(f.owes(2, "a", time.Time{}))
		backlog(2, f.ago(5))
		f.subscribe(f.owes(1, "a", f.ago(1)))
		backlog(2, f.ago(1))
	}},
	{"the backlog counts up to its limit", func(f *fixture) {
		subs := make([]incident.Subscription, 10_050)
		for i := range subs {
			subs[i] = f.owes(int64(i+1), "a", f.ago(1))
		}
		f.subscribe(subs...)
		f.read(func(r storage.Snapshot) error {
			n, at, err := r.Backlog(f.Context(), f.now)
			f.equal("due", n, 10_000)
			f.equal("oldest", at, f.ago(1))
			return err
		})
	}},
}

var claimRules = []rule{
	{"a claim has all that is due to its recipient, the longest first", func(f *fixture) {
		a1, a2, a3 := f.owes(1, "a", f.ago(1)), f.owes(2, "a", f.ago(3)), f.owes(3, "a", f.ago(2))
		f.subscribe(a1, a2, a3, f.owes(4, "a", f.ago(-24*60)), f.owes(5, "a", time.Time{}), f.owes(1, "b", f.ago(-24*60)))
		claims := f.claim("me", long, 10)
		f.equal("recipients", recipients(claims), []string{"a"})
		c := claims[0]
		f.equal("subscriptions", c.Subscriptions, []incident.Subscription{a2, a3, a1})
		if c.Owner != "me" || c.Attempt != 1 || c.Failures != 0 || len(c.Sent) != 0 || len(c.Pending) != 0 || !c.Until.After(f.now.Add(long-time.Hour)) {
			f.Errorf("claim %+v", c)
		}
	}},
	{"who has waited longest is claimed first", func(f *fixture) {
		f.subscribe(f.owes(1, "a", f.ago(1)), f.owes(1, "b", f.ago(9)), f.owes(2, "c", f.ago(5)), f.owes(9, "c", f.ago(1)))
		f.equal("first", recipients(f.claim("me", long, 2)), []string{"b", "c"})
		f.equal("then", recipients(f.claim("me", long, 2)), []string{"a"})
		f.equal("all are held", len(f.claim("me", long, 2)), 0)
	}},
	{"a claim has up to 1,000 subscriptions", func(f *fixture) {
		subs := make([]incident.Subscription, 1010)
		for i := range subs {
			subs[i] = f.owes(int64(i+1), "a", f.ago(2000-i))
		}
		f.subscribe(subs...)
		f.equal("subscriptions", f.claim("me", long, 1)[0].Subscriptions, subs[:1000])
	}},
	{"of many who claim at a time each gets others", func(f *fixture) {
		for i := range 30 {
			f.subscribe(f.owes(1, fmt.Sprint(i), f.ago(i)))
		}
		var mu sync.Mutex
		seen := map[string]int{}
		f.each(5, func(w int, s storage.Store) {
			for range 3 {
				var claims []storage.Lease
				err := s.Write(f.Context(), func(tx storage.Tx) (err error) {
					claims, err = claimDue(f.Context(), tx, f.now, fmt.Sprint(w), long, 4)
					return err
				})
				if err != nil {
					f.Errorf("claim: %v", err)
				}
				mu.Lock()
				for _, c := range claims {
					seen[c.Recipient]++
				}
				mu.Unlock()
			}
		})
		for who, n := range seen {
			if n != 1 {
				f.Errorf("%s claimed %d times", who, n)
			}
		}
		f.equal("claimed and left", len(seen)+len(f.claim("last", long, 100)), 30)
	}},
	{"what comes to be due during a claim waits for its end", func(f *fixture) {
		f.subscribe(f.owes(1, "a", f.ago(1)))
		c := f.claim("me", long, 1)[0]
		more := f.owes(2, "a", f.ago(2))
		f.subscribe(more, f.owes(1, "a", time.Time{}))
		f.equal("held", len(f.claim("you", long, 1)), 0)
		if err := f.release(&c, time.Time{}, ""); err != nil {
			f.Fatal(err)
		}
		again := f.claim("you", long, 1)
		f.equal("free", recipients(again), []string{"a"})
		f.equal("subscriptions", again[0].Subscriptions, []incident.Subscription{more})
		f.equal("attempt", again[0].Attempt, int64(2))
	}},
	{"nothing is claimed for who is owed nothing any more", func(f *fixture) {
		f.subscribe(f.owes(1, "a", f.ago(1)))
		f.subscribe(f.owes(1, "a", time.Time{}))
		f.equal("claims", len(f.claim("me", long, 1)), 0)
	}},
	{"a claim whose lease is over is lost, and taken by another", func(f *fixture) {
		f.subscribe(f.owes(1, "a", f.ago(1)))
		c := f.claim("me", short, 1)[0]
		f.fails("hold", f.hold(&c, long), storage.ErrLost)
		f.fails("release", f.release(&c, time.Time{}, ""), storage.ErrLost)
		again := f.claim("you", long, 1)
		f.equal("taken", recipients(again), []string{"a"})
		f.equal("attempt", again[0].Attempt, int64(2))
		f.fails("hold of the first", f.hold(&c, long), storage.ErrLost)
		f.fails("release of the first", f.release(&c, time.Time{}, ""), storage.ErrLost)
		if err := f.hold(&again[0], long); err != nil {
			f.Errorf("hold of the second: %v", err)
		}
	}},
	{"an owner's earlier claim does not stand for the later", func(f *fixture) {
		f.subscribe(f.owes(1, "a", f.ago(1)))
		first := f.claim("me", short, 1)[0]
		second := f.claim("me", long, 1)[0]
		f.fails("first", f.hold(&first, long), storage.ErrLost)
		if err := f.release(&second, time.Time{}, ""); err != nil {
			f.Errorf("second: %v", err)
		}
		f.fails("released", f.hold(&second, long), storage.ErrLost)
	}},
	{"a lost claim stops the whole write", func(f *fixture) {
		f.subscribe(f.owes(1, "a", f.ago(1)))
		c := f.claim("me", short, 1)[0]
		err := f.store.Write(f.Context(), func(tx storage.Tx) error {
			if err := tx.PutSubscriptions(f.Context(), []incident.Subscription{f.owes(1, "a", time.Time{})}, nil); err != nil {
				return err
			}
			return tx.ExtendLease(f.Context(), &c, f.now, long)
		})
		f.fails("write", err, storage.ErrLost)
		f.equal("still due", recipients(f.claim("you", long, 1)), []string{"a"})
	}},
	{"holding extends or ends the lease", func(f *fixture) {
		f.subscribe(f.owes(1, "a", f.ago(1)))
		c := f.claim("me", long, 1)[0]
		if err := f.hold(&c, 2*long); err != nil {
			f.Fatal(err)
		}
		f.equal("until", c.Until, f.now.Add(2*long))
		if err := f.hold(&c, 0); err != nil {
			f.Fatal(err)
		}
		f.pass()
		f.fails("over", f.hold(&c, long), storage.ErrLost)
		f.equal("taken", recipients(f.claim("you", long, 1)), []string{"a"})
	}},
	{"nothing is claimed before the time to retry, whatever is due", func(f *fixture) {
		f.subscribe(f.owes(1, "a", f.ago(1)))
		c := f.claim("me", long, 1)[0]
		retryAt := f.ago(-24 * 60)
		if err := f.release(&c, retryAt, ""); err != nil {
			f.Fatal(err)
		}
		f.subscribe(f.owes(2, "a", f.ago(3)))
		f.equal("waits", len(f.claim("me", long, 1)), 0)
		f.read(func(r storage.Snapshot) error {
			at, err := r.NextDue(f.Context(), time.Time{})
			f.equal("next due", at, retryAt)
			return err
		})
	}},
	{"claims in a row without a success are counted", func(f *fixture) {
		f.subscribe(f.owes(1, "a", f.ago(5)))
		var since time.Time
		for want := range 3 {
			c := f.claim("me", long, 1)[0]
			f.equal("failures", c.Failures, want)
			if want == 1 {
				since = c.FailingSince
				if since.IsZero() || since.After(f.now.Add(time.Hour)) {
					f.Errorf("failing since %v", since)
				}
			}
			f.equal("failing since", c.FailingSince, since)
			f.equal("last error", c.LastError, []string{"", "no. 0", "no. 1"}[want])
			if err := f.release(&c, f.ago(1), fmt.Sprint("no. ", want)); err != nil {
				f.Fatal(err)
			}
		}
		d := f.newDelivery("one", "a", 1)
		d.State, d.SentAt = incident.DeliveryDelivered, f.now
		f.deliver(d)
		c := f.claim("me", long, 1)[0]
		f.equal("after a success", []any{c.Failures, c.FailingSince, c.LastError}, []any{0, time.Time{}, ""})
		f.equal("sent", c.Sent, []time.Time{d.SentAt})
		if err := f.release(&c, time.Time{}, ""); err != nil {
			f.Fatal(err)
		}
		f.equal("a release that says no failure is none", f.claim("me", long, 1)[0].Failures, 0)
	}},
	{"only those named are claimed, in that order, and only who can be", func(f *fixture) {
		f.subscribe(f.owes(1, "a", f.ago(1)), f.owes(1, "b", f.ago(2)), f.owes(1, "c", f.ago(3)), f.owes(1, "d", f.ago(-60)))
		var claims []storage.Lease
		f.write(func(tx storage.Tx) (err error) {
			claims, err = tx.TakeLeases(f.Context(), f.now, "me", long, []string{"a", "nobody", "d", "c"})
			return err
		})
		f.equal("claimed", recipients(claims), []string{"a", "c"})
		f.equal("left", recipients(f.claim("me", long, 9)), []string{"b"})
	}},
	{"who waits is told with the most urgent that is due", func(f *fixture) {
		urgent := func(s incident.Subscription, u incident.Urgency) incident.Subscription {
			s.Urgency = u
			return s
		}
		f.subscribe(urgent(f.owes(1, "a", f.ago(5)), 7), urgent(f.owes(2, "a", f.ago(1)), 3), urgent(f.owes(3, "a", f.ago(-60)), 1))
		f.subscribe(urgent(f.owes(1, "b", f.ago(4)), 9))
		f.deliver(f.newDelivery("one", "c", 1))
		f.read(func(r storage.Snapshot) error {
			all, err := r.Waiting(f.Context(), f.now, 9)
			if err != nil {
				return err
			}
			f.equal("waiting", len(all), 3)
			f.equal("a", all[0], storage.Waiting{Recipient: "a", Since: f.ago(5), Urgency: 3})
			f.equal("b", all[1], storage.Waiting{Recipient: "b", Since: f.ago(4), Urgency: 9, Incident: 1})
			f.equal("c", []any{all[2].Recipient, all[2].Urgency, all[2].Incident}, []any{"c", incident.LeastUrgent, int64(0)})
			few, err := r.Waiting(f.Context(), f.now, 1)
			f.equal("up to", len(few), 1)
			return err
		})
		f.subscribe(urgent(f.owes(2, "a", f.ago(1)), 8))
		f.read(func(r storage.Snapshot) error {
			all, err := r.Waiting(f.Context(), f.now, 1)
			f.equal("less urgent", all[0].Urgency, incident.Urgency(7))
			return err
		})
	}},
	{"a wait gives way to what is more urgent than it says", func(f *fixture) {
		urgent := func(number int64, u incident.Urgency) incident.Subscription {
			s := f.owes(number, "a", f.ago(1))
			s.Urgency = u
			return s
		}
		f.subscribe(urgent(1, 4))
		wait := func(yields incident.Urgency) {
			c := f.claim("me", long, 1)[0]
			f.write(func(tx storage.Tx) error {
				return tx.ReleaseLease(f.Context(), &c, f.now, f.now.Add(time.Minute), "", yields)
			})
		}
		wait(2)
		f.subscribe(urgent(2, 2))
		f.equal("as urgent", recipients(f.claim("me", long, 1)), []string(nil))
		f.subscribe(urgent(3, 1))
		wait(0)
		f.subscribe(urgent(4, 0))
		f.equal("a wait that gives way to nothing", recipients(f.claim("me", long, 1)), []string(nil))
	}},
	{"what became due under the lease, and is more urgent than a wait says, lets none begin", func(f *fixture) {
		urgent := func(number int64, u incident.Urgency) incident.Subscription {
			s := f.owes(number, "a", f.ago(1))
			s.Urgency = u
			return s
		}
		f.subscribe(urgent(1, 1), urgent(2, 4))
		release := func(c *storage.Lease) {
			f.write(func(tx storage.Tx) error {
				return tx.ReleaseLease(f.Context(), c, f.now, f.now.Add(time.Minute), "", 2)
			})
		}
		c := f.claim("me", long, 1)[0]
		f.subscribe(urgent(3, 1))
		release(&c)
		again := f.claim("me", long, 1)
		f.equal("one that came", recipients(again), []string{"a"})
		f.subscribe(urgent(4, 2))
		release(&again[0])
		f.equal("those that the lease had, and one that is not urgent", recipients(f.claim("me", long, 1)), []string(nil))
	}},
	{"what is to be settled is due, and the next lease has it", func(f *fixture) {
		f.subscribe(f.owes(1, "a", f.ago(1)))
		c := f.claim("me", long, 1)[0]
		f.equal("at first", c.Settling, (*storage.Settling)(nil))
		settle := func(c *storage.Lease, s *storage.Settling) error {
			return f.store.Write(f.Context(), func(tx storage.Tx) error { return tx.Settle(f.Context(), c, f.now, s) })
		}
		left := &storage.Settling{Delivery: "one", Since: f.ago(0), Next: 100}
		f.fails("settle", settle(&c, left), nil)
		f.subscribe(f.owes(1, "a", time.Time{})) // nothing else is due
		f.equal("while it is leased", recipients(f.claim("you", long, 1)), []string(nil))
		f.fails("release", f.release(&c, time.Time{}, ""), nil)
		f.read(func(r storage.Snapshot) error {
			all, err := r.Waiting(f.Context(), f.now, 1)
			if err == nil && len(all) == 1 {
				f.equal("waits since", all[0].Since, left.Since)
			} else {
				f.equal("waiting", len(all), 1)
			}
			return err
		})
		f.subscribe(f.owes(2, "a", f.ago(2)))
		f.read(func(r storage.Snapshot) error {
			all, err := r.Waiting(f.Context(), f.now, 1)
			f.equal("waiting", all, []storage.Waiting{{Recipient: "a", Since: f.ago(2)}})
			return err
		})
		next := f.claim("you", long, 1)[0]
		f.equal("to be settled", next.Settling, left)
		f.fails("settle under an older lease", settle(&c, nil), storage.ErrLost)
		f.fails("settle the rest", settle(&next, nil), nil)
		f.fails("release", f.release(&next, time.Time{}, ""), nil)
		f.subscribe(f.owes(2, "a", time.Time{}))
		f.equal("once it is settled", recipients(f.claim("me", long, 1)), []string(nil))
	}},
	{"openings in messages of their own are known for a while", func(f *fixture) {
		now := f.now
		told := func(id string, kind incident.Kind, at time.Time, numbers ...int64) {
			d := f.newDelivery(id, "a", numbers[0])
			d.Kind, d.State, d.SentAt, d.Covers = kind, incident.DeliveryDelivered, at, nil
			for _, n := range numbers {
				d.Covers = append(d.Covers, incident.Cover{Incident: n, Kind: incident.KindOpened, Priority: fmt.Sprint("P", n)})
			}
			f.deliver(d)
		}
		told("old", incident.KindOpened, now.Add(-time.Hour), 9)
		told("one", incident.KindOpened, now.Add(-time.Minute), 1)
		told("update", incident.KindUpdate, now.Add(-time.Minute), 2)
		told("digest", incident.KindDigest, now.Add(-time.Minute), 1, 2)
		told("two", incident.KindOpened, now, 3)
		f.subscribe(f.owes(1, "a", f.ago(1)))
		f.equal("openings", f.claim("me", long, 1)[0].Openings, []storage.Opening{{At: now.Add(-time.Minute), Priority: "P1"}, {At: now, Priority: "P3"}})
	}},
	{"of more than a lease has, it has the most urgent", func(f *fixture) {
		var all []incident.Subscription
		for n := range int64(1001) {
			s := f.owes(n+1, "a", f.now.Add(-time.Hour+time.Duration(n)*time.Second))
			s.Urgency = 5
			all = append(all, s)
		}
		all[1000].Urgency = 0
		f.subscribe(all...)
		c := f.claim("me", long, 1)[0]
		f.equal("subscriptions", []int64{int64(len(c.Subscriptions)), c.Subscriptions[0].Incident, c.Subscriptions[999].Incident}, []int64{1000, 1, 1001})
	}},
	{"who waits for one message alone is told with its incident, unless a delivery is pending", func(f *fixture) {
		f.subscribe(f.owes(7, "a", f.ago(5)), f.owes(8, "a", f.ago(-60)), f.owes(9, "b", f.ago(4)), f.owes(5, "c", f.ago(3)), f.owes(6, "c", f.ago(3)))
		waits := func() (all []int64) {
			f.read(func(r storage.Snapshot) error {
				waiting, err := r.Waiting(f.Context(), f.now, 9)
				for _, w := range waiting {
					all = append(all, w.Incident)
				}
				return err
			})
			return all
		}
		f.equal("a, b and c", waits(), []int64{7, 9, 0})
		later := f.newDelivery("one", "a", 1)
		later.RetryAt = f.ago(-60)
		f.deliver(later)
		f.deliver(f.newDelivery("two", "b", 9))
		f.equal("where deliveries are pending", waits(), []int64{0, 0, 0})
	}},
	{"readers to whom something is due come in pages, the longest first, claimed or not", func(f *fixture) {
		f.subscribe(f.owes(2, "a", f.ago(2)), f.owes(1, "b", f.ago(9)), f.owes(1, "a", f.ago(5)), f.owes(3, "a", f.ago(-60)), f.owes(4, "a", time.Time{}))
		all := []storage.DueReader{{Incident: 1, Recipient: "b", Since: f.ago(9)}, {Incident: 1, Recipient: "a", Since: f.ago(5)}, {Incident: 2, Recipient: "a", Since: f.ago(2)}}
		f.claim("me", long, 1)
		f.read(func(r storage.Snapshot) error {
			page, next, err := r.DueReaders(f.Context(), f.now, 9, "")
			f.equal("all", page, all)
			f.equal("no more", next, "")
			if err != nil {
				return err
			}
			page, _, err = r.DueReaders(f.Context(), f.ago(5), 9, "")
			f.equal("before", page, all[:2])
			if err != nil {
				return err
			}
			page, next, err = r.DueReaders(f.Context(), f.now, 2, "")
			f.equal("a page", page, all[:2])
			if err != nil {
				return err
			}
			page, next, err = r.DueReaders(f.Context(), f.now, 2, next)
			f.equal("the next", page, all[2:])
			f.equal("is the last", next, "")
			return err
		})
	}},
	{"a delivery that waits holds back what it covers, and nothing else", func(f *fixture) {
		retry := f.ago(-30)
		d := f.newDelivery("one", "a", 1)
		d.Covers = []incident.Cover{{Incident: 1}, {Incident: 2}}
		d.RetryAt, d.RefusedAt, d.Replan = retry, f.now, true
		f.deliver(d)
		p := f.newDelivery("two", "a", 0)
		p.Kind, p.Covers, p.RetryAt = incident.KindWatchdog, []incident.Cover{{Kind: incident.KindWatchdog, Pulse: "eu"}}, retry
		f.deliver(p)
		f.subscribe(f.owes(1, "a", f.ago(9)), f.owes(2, "a", f.ago(8)))
		away := f.ago(7)
		notice := func(pulse string) incident.Notice {
			return incident.Notice{Pulse: pulse, Recipient: "a", Owed: incident.Owed{Kind: incident.KindWatchdog, Reason: incident.DueWatchdogAway, At: away}, DueAt: away}
		}
		f.write(func(tx storage.Tx) error { return tx.PutNotices(f.Context(), []incident.Notice{notice("eu")}, nil) })
		f.equal("all is held back", len(f.claim("me", long, 9)), 0)
		f.read(func(r storage.Snapshot) error {
			at, err := r.NextDue(f.Context(), f.now)
			f.equal("next due", at, retry)
			return err
		})

		other := f.owes(3, "a", f.ago(1))
		f.subscribe(other, f.owes(1, "b", f.ago(1)))
		f.write(func(tx storage.Tx) error { return tx.PutNotices(f.Context(), []incident.Notice{notice("us")}, nil) })
		claims := f.claim("me", long, 9)
		f.equal("recipients", recipients(claims), []string{"a", "b"})
		f.equal("subscriptions", claims[0].Subscriptions, []incident.Subscription{other})
		f.equal("notices", claims[0].Notices, []incident.Notice{notice("us")})
		f.equal("pending", len(claims[0].Pending), 0)
		if err := f.release(&claims[0], time.Time{}, ""); err != nil {
			f.Fatal(err)
		}
		f.subscribe(f.owes(3, "a", time.Time{}))
		f.write(func(tx storage.Tx) error { return tx.PutPulses(f.Context(), nil, []string{"us"}) })
		f.equal("all is held back again", len(f.claim("me", long, 9)), 0)

		f.now = retry
		c := f.claim("me", long, 9)[0]
		f.equal("then", []int{len(c.Subscriptions), len(c.Notices), len(c.Pending)}, []int{2, 1, 2})
	}},
	{"what failures hold back of a recipient is known, and until when", func(f *fixture) {
		retry, soon := f.ago(-30), f.ago(-20)
		d := f.newDelivery("one", "a", 1)
		d.Covers = []incident.Cover{{Incident: 1}, {Incident: 2}}
		d.RetryAt, d.RefusedAt, d.Replan = retry, f.now, true
		f.deliver(d, f.newDelivery("two", "a", 3))
		f.subscribe(f.owes(4, "a", f.ago(1)), f.owes(4, "b", f.ago(1)))
		held := func(recipient string) (h storage.Backoff) {
			f.read(func(r storage.Snapshot) (err error) {
				all, err := r.Backoffs(f.Context(), []string{recipient, "nobody", recipient}, f.now)
				h = all[recipient]
				f.equal("others", len(all), min(len(all), 1))
				return err
			})
			return h
		}
		covered := map[int64]time.Time{1: retry, 2: retry}
		f.equal("the message", held("a"), storage.Backoff{Incidents: covered})
		claims := f.claim("me", long, 9)
		if err := f.release(&claims[0], soon, "refused"); err != nil {
			f.Fatal(err)
		}
		if err := f.release(&claims[1], soon, ""); err != nil {
			f.Fatal(err)
		}
		f.equal("the recipient too", held("a"), storage.Backoff{Until: soon, Incidents: covered})
		f.equal("one who waits for no failure", held("b"), storage.Backoff{})
		f.equal("nobody", held("c"), storage.Backoff{})
		f.now = soon
		f.equal("once the wait is over", held("a"), storage.Backoff{Incidents: covered})
		f.now = retry
		f.equal("once all are", held("a"), storage.Backoff{})
	}},
	{"it is known since when a recipient fails, and when something was last handed over", func(f *fixture) {
		f.subscribe(f.owes(1, "a", f.ago(2)), f.owes(1, "b", f.ago(1)))
		states := func() (all map[string]storage.RecipientState) {
			f.read(func(r storage.Snapshot) (err error) {
				all, err = r.RecipientStates(f.Context(), []string{"a", "nobody", "b", "a"})
				return err
			})
			return all
		}
		f.equal("before", states(), map[string]storage.RecipientState{"a": {}, "b": {}})
		claims := f.claim("me", long, 9)
		failed := f.now
		if err := f.release(&claims[0], f.ago(-1), "421 busy"); err != nil {
			f.Fatal(err)
		}
		d := f.newDelivery("one", "b", 1)
		d.State, d.SentAt, d.FinishedAt = incident.DeliveryDelivered, f.now, f.now
		f.deliver(d)
		f.equal("after", states(), map[string]storage.RecipientState{"a": {FailingSince: failed, LastError: "421 busy"}, "b": {SentAt: d.SentAt}})
		e := f.newDelivery("two", "a", 1)
		e.State, e.SentAt, e.FinishedAt = incident.DeliveryDelivered, f.now.Add(time.Hour), f.now.Add(time.Hour)
		f.deliver(e)
		f.equal("handed over", states()["a"], storage.RecipientState{SentAt: e.SentAt})
	}},
	{"once it is finished, a delivery holds nothing back", func(f *fixture) {
		d := f.newDelivery("one", "a", 1)
		d.RetryAt = f.ago(-30)
		f.deliver(d)
		f.subscribe(f.owes(1, "a", f.ago(9)))
		f.equal("held back", len(f.claim("me", long, 9)), 0)
		d.State, d.RetryAt, d.FinishedAt = incident.DeliverySuperseded, time.Time{}, f.now
		f.deliver(d)
		f.equal("free", recipients(f.claim("me", long, 9)), []string{"a"})
	}},
	{"waits that began after now end, and others do not", func(f *fixture) {
		later, retry := f.ago(-60), f.ago(-61)
		wait := func(id, recipient string, refused time.Time) {
			d := f.newDelivery(id, recipient, 1)
			d.RetryAt, d.RefusedAt = retry, refused
			f.deliver(d)
		}
		wait("one", "a", later)
		wait("two", "b", f.ago(1))
		f.subscribe(f.owes(1, "c", f.ago(1)), f.owes(1, "d", f.ago(1)))
		claims := f.claim("me", 10*long, 9)
		f.equal("claimed", recipients(claims), []string{"c", "d"})
		for i, released := range []time.Time{later, f.now} {
			f.write(func(tx storage.Tx) error {
				return tx.ReleaseLease(f.Context(), &claims[i], released, retry, "refused", 0)
			})
		}
		f.equal("all wait", len(f.claim("me", long, 9)), 0)
		n := 0
		f.write(func(tx storage.Tx) (err error) {
			n, err = tx.EndWaits(f.Context(), f.now)
			return err
		})
		f.equal("ended", n, 2)
		f.equal("free", len(f.claim("me", long, 9)), 2)
		f.now = retry
		f.equal("then the others", len(f.claim("me", long, 9)), 2)
	}},
	{"who has pending deliveries is claimed, and gets them", func(f *fixture) {
		d, e := f.newDelivery("one", "a", 1), f.newDelivery("two", "a", 2)
		d.CreatedAt, e.CreatedAt = f.ago(2), f.ago(1)
		f.deliver(e, d, f.newDelivery("three", "b", 1))
		claims := f.claim("me", long, 1)
		f.equal("recipients", recipients(claims), []string{"a"})
		f.equal("pending", claims[0].Pending, []incident.Delivery{*d, *e})
		f.equal("subscriptions", len(claims[0].Subscriptions), 0)

		d.State, d.SentAt = incident.DeliveryDelivered, f.now
		e.State, e.Error = incident.DeliveryFailed, "550"
		f.deliver(d, e)
		if err := f.release(&claims[0], time.Time{}, ""); err != nil {
			f.Fatal(err)
		}
		f.equal("claimed", recipients(f.claim("me", long, 9)), []string{"b"})
	}},
	{"the times of the latest messages are kept, the latest last", func(f *fixture) {
		f.subscribe(f.owes(1, "a", f.ago(1)))
		var want []time.Time
		for i := range 12 {
			d := f.newDelivery(fmt.Sprint(i), "a", 1)
			d.State, d.SentAt = incident.DeliveryDelivered, f.now.Add(time.Duration(i-20)*time.Second)
			want = append(want, d.SentAt)
			f.deliver(d)
			f.deliver(d) // again: it counts once
		}
		f.equal("sent", f.claim("me", long, 1)[0].Sent, want)
	}},
}
