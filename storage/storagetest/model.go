package storagetest

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sitrep/incident"
	"sitrep/storage"
)

// A model is the queue of claims in plain maps.
type model struct {
	subs       map[string]incident.Subscription // by recipient and incident
	notices    map[string]incident.Notice       // by recipient and pulse
	deliveries map[string]incident.Delivery
	readers    map[string]*modelReader
}

type modelReader struct {
	attempt        int64
	owner          string
	until, retryAt time.Time
	failures       int
}

func (m *model) reader(id string) *modelReader {
	if m.readers[id] == nil {
		m.readers[id] = &modelReader{}
	}
	return m.readers[id]
}

// due returns what is due to a recipient at a time, the longest first.
func (m *model) due(id string, now time.Time) (subs []incident.Subscription) {
	for _, s := range m.subs {
		if s.Recipient == id && !s.DueAt.IsZero() && !s.DueAt.After(now) && !m.backoff(id, s.Incident, now).After(now) {
			subs = append(subs, s)
		}
	}
	slices.SortFunc(subs, func(a, b incident.Subscription) int {
		return cmp.Or(a.DueAt.Compare(b.DueAt), cmp.Compare(a.Incident, b.Incident))
	})
	return subs
}

// backoff returns until when what is owed of an incident is held back, if it is.
func (m *model) backoff(id string, number int64, now time.Time) (until time.Time) {
	for _, d := range m.deliveries {
		if d.Recipient == id && d.State == incident.DeliveryPending && d.Incident == number && d.RetryAt.After(until) {
			until = d.RetryAt
		}
	}
	return until
}

// news returns the same of the watchdog.
func (m *model) news(id string, now time.Time) (notices []incident.Notice) {
	for _, n := range m.notices {
		if n.Recipient == id && !n.DueAt.IsZero() && !n.DueAt.After(now) {
			notices = append(notices, n)
		}
	}
	slices.SortFunc(notices, func(a, b incident.Notice) int { return a.DueAt.Compare(b.DueAt) })
	return notices
}

// pending returns the pending deliveries to a recipient that are not held back.
func (m *model) pending(id string, now time.Time) (list []incident.Delivery) {
	for _, d := range m.deliveries {
		if d.Recipient == id && d.State == incident.DeliveryPending && !d.RetryAt.After(now) {
			list = append(list, d)
		}
	}
	slices.SortFunc(list, func(a, b incident.Delivery) int { return a.CreatedAt.Compare(b.CreatedAt) })
	return list
}

// waiting returns who can be claimed, the longest waiting first.
func (m *model) waiting(now time.Time) (ids []string) {
	since := map[string]time.Time{}
	for id := range m.readers {
		var first time.Time
		for _, s := range m.due(id, now) {
			if at := later(s.DueAt, m.backoff(id, s.Incident, now)); first.IsZero() || at.Before(first) {
				first = at
			}
		}
		for _, n := range m.news(id, now) {
			if first.IsZero() || n.DueAt.Before(first) {
				first = n.DueAt
			}
		}
		for _, d := range m.pending(id, now) {
			if at := later(d.CreatedAt, d.RetryAt); first.IsZero() || at.Before(first) {
				first = at
			}
		}
		r := m.readers[id]
		if first.IsZero() || r.until.After(now) || r.retryAt.After(now) {
			continue
		}
		since[id] = slices.MaxFunc([]time.Time{first, r.until, r.retryAt}, time.Time.Compare)
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b string) int { return cmp.Or(since[a].Compare(since[b]), cmp.Compare(a, b)) })
	return ids
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// checkModel does random things to a store and to a model and compares them.
func checkModel(t *testing.T, e Engine) {
	rapid.Check(t, func(rt *rapid.T) {
		// Each check is a test of its own, so that its store is given back before the next: an engine
		// may use it again, which costs less than a new one. Rapid is to hear of a failure here.
		var stopped any
		t.Run("", func(t *testing.T) {
			defer func() { stopped = recover() }()
			checkModelOnce(t, rt, e)
		})
		if stopped != nil {
			panic(stopped)
		}
	})
}

func checkModelOnce(t *testing.T, rt *rapid.T, e Engine) {
	store, other := e.both(t)
	defer store.Close()
	defer other.Close()
	base := time.Now().UTC().Truncate(time.Microsecond)
	now := base
	m := &model{map[string]incident.Subscription{}, map[string]incident.Notice{}, map[string]incident.Delivery{}, map[string]*modelReader{}}
	var claims []storage.Lease
	created := 0

	who := rapid.SampledFrom([]string{"a", "ab", "b", "email:c@example.org"})
	// Before the test, or not for a day; each time differs, so that the order is clear.
	when := func(name string) time.Time {
		created++
		switch rapid.IntRange(0, 3).Draw(rt, name) {
		case 0:
			return time.Time{}
		case 1:
			return base.Add(24*time.Hour + time.Duration(created)*time.Second)
		default:
			return base.Add(-time.Duration(rapid.IntRange(1, 1000).Draw(rt, name+" ago"))*time.Minute - time.Duration(created)*time.Millisecond)
		}
	}
	write := func(fn func(storage.Tx) error) error {
		err := rapid.SampledFrom([]storage.Store{store, other}).Draw(rt, "by").Write(t.Context(), fn)
		if err != nil && !errors.Is(err, storage.ErrLost) {
			rt.Fatalf("write: %v", err)
		}
		return err
	}
	rt.Repeat(map[string]func(*rapid.T){
		"subscribe": func(rt *rapid.T) {
			var subs []incident.Subscription
			for range rapid.IntRange(1, 3).Draw(rt, "subscriptions") {
				s := incident.Subscription{
					Incident: int64(rapid.IntRange(1, 4).Draw(rt, "incident")), Recipient: who.Draw(rt, "recipient"), DueAt: when("due"),
				}
				subs = append(subs, s)
				m.subs[fmt.Sprint(s.Recipient, "/", s.Incident)] = s
				m.reader(s.Recipient)
			}
			_ = write(func(tx storage.Tx) error { return tx.PutSubscriptions(rt.Context(), subs, nil) })
		},
		"notify": func(rt *rapid.T) {
			n := incident.Notice{
				Pulse: rapid.SampledFrom([]string{"", "e", "eu"}).Draw(rt, "pulse"), Recipient: who.Draw(rt, "recipient"), DueAt: when("due"),
			}
			m.notices[fmt.Sprint(n.Recipient, "/", n.Pulse)] = n
			m.reader(n.Recipient)
			_ = write(func(tx storage.Tx) error { return tx.PutNotices(rt.Context(), []incident.Notice{n}, nil) })
		},
		"give up a pulse": func(rt *rapid.T) {
			pulse := rapid.SampledFrom([]string{"", "e", "eu"}).Draw(rt, "pulse")
			maps.DeleteFunc(m.notices, func(_ string, n incident.Notice) bool { return n.Pulse == pulse })
			_ = write(func(tx storage.Tx) error { return tx.PutPulses(rt.Context(), nil, []string{pulse}) })
		},
		"begin a delivery": func(rt *rapid.T) {
			created++
			d := incident.Delivery{
				ID: fmt.Sprint("d", created), Incident: int64(rapid.IntRange(1, 4).Draw(rt, "incident")), Recipient: who.Draw(rt, "recipient"),
				State: incident.DeliveryPending, CreatedAt: base.Add(-time.Hour + time.Duration(created)*time.Millisecond),
				RetryAt: when("retry"),
			}
			m.deliveries[d.ID] = d
			m.reader(d.Recipient)
			_ = write(func(tx storage.Tx) error { return tx.PutDelivery(rt.Context(), &d, nil) })
		},
		"end a delivery": func(rt *rapid.T) {
			id := who.Draw(rt, "recipient")
			list := m.pending(id, now)
			if len(list) == 0 {
				rt.Skip()
			}
			d := list[0]
			d.State = rapid.SampledFrom([]incident.DeliveryState{incident.DeliveryDelivered, incident.DeliveryFailed, incident.DeliverySuperseded}).Draw(rt, "state")
			d.SentAt, d.RetryAt = now, time.Time{}
			if d.State == incident.DeliveryDelivered {
				m.reader(id).failures = 0
			}
			m.deliveries[d.ID] = d
			_ = write(func(tx storage.Tx) error { return tx.PutDelivery(rt.Context(), &d, nil) })
		},
		"claim": func(rt *rapid.T) {
			now = now.Add(10 * time.Microsecond)
			limit := rapid.IntRange(1, 4).Draw(rt, "limit")
			owner := rapid.SampledFrom([]string{"x", "y"}).Draw(rt, "owner")
			lease := rapid.SampledFrom([]time.Duration{long, short}).Draw(rt, "lease")
			want := m.waiting(now)
			want = want[:min(limit, len(want))]
			var got []storage.Lease
			_ = write(func(tx storage.Tx) (err error) {
				got, err = claimDue(rt.Context(), tx, now, owner, lease, limit)
				return err
			})
			if ids := recipients(got); !slices.Equal(ids, want) {
				rt.Fatalf("claimed %v, want %v", ids, want)
			}
			for _, c := range got {
				r := m.reader(c.Recipient)
				r.attempt++
				r.owner, r.until = owner, c.Until
				if c.Attempt != r.attempt || c.Failures != r.failures {
					rt.Fatalf("claim %+v, want attempt %d and %d failures", c, r.attempt, r.failures)
				}
				f := &fixture{T: t}
				f.equal("subscriptions", c.Subscriptions, m.due(c.Recipient, now))
				f.equal("notices", c.Notices, m.news(c.Recipient, now))
				f.equal("pending", c.Pending, m.pending(c.Recipient, now))
				if t.Failed() {
					rt.FailNow()
				}
			}
			claims = append(claims, got...)
			at, err := store.Clock(rt.Context())
			if err != nil {
				rt.Fatal(err)
			}
			now = later(now, at).Add(10 * time.Microsecond) // what was short is over, by the clock of the store too
		},
		"hold or release": func(rt *rapid.T) {
			if len(claims) == 0 {
				rt.Skip()
			}
			c := rapid.SampledFrom(claims).Draw(rt, "claim")
			r := m.reader(c.Recipient)
			holds := c.Attempt == r.attempt && c.Owner == r.owner && r.until.After(now)
			hold := rapid.Bool().Draw(rt, "hold")
			retryAt := when("retry")
			why := rapid.SampledFrom([]string{"", "refused"}).Draw(rt, "why")
			err := write(func(tx storage.Tx) error {
				if hold {
					return tx.ExtendLease(rt.Context(), &c, now, long)
				}
				return tx.ReleaseLease(rt.Context(), &c, now, retryAt, why, 0)
			})
			if holds == errors.Is(err, storage.ErrLost) {
				rt.Fatalf("%v, but it holds: %v", err, holds)
			}
			if !holds {
				return
			}
			if hold {
				r.until = now.Add(long)
				return
			}
			r.owner, r.until, r.retryAt = "", time.Time{}, retryAt
			if why != "" {
				r.failures++
			}
		},
	})
	// Of some, as another store is opened for it.
	if _, ok := store.(storage.Copyable); ok && rapid.IntRange(0, 9).Draw(rt, "copy") == 7 {
		copied := e.Open(t)
		defer copied.Close()
		for _, c := range claims { // a copy holds none
			_ = write(func(tx storage.Tx) error { return tx.ExtendLease(rt.Context(), &c, now, 0) })
		}
		checkCopy(rt, store.(storage.Copyable), copied.(storage.Copyable))
	}
}

// checkCopy makes sure that a copy has the same in its queue, once no lease holds.
func checkCopy(rt *rapid.T, from, to storage.Copyable) {
	if _, err := storage.Copy(rt.Context(), from, to, storage.CopyOptions{}); err != nil {
		rt.Fatal(err)
	}
	now := time.Now().Add(100 * time.Hour)
	queue := func(s storage.Store) (b []storage.Lease) {
		err := s.Write(rt.Context(), func(tx storage.Tx) (err error) {
			b, err = claimDue(rt.Context(), tx, now, "z", long, 100)
			return err
		})
		if err != nil {
			rt.Fatal(err)
		}
		// Who was held comes later, and is held no more in a copy.
		slices.SortFunc(b, func(a, b storage.Lease) int { return cmp.Compare(a.Recipient, b.Recipient) })
		return b
	}
	if got, want := fmt.Sprintf("%+v", queue(to)), fmt.Sprintf("%+v", queue(from)); got != want {
		rt.Fatalf("leased of the copy\n%s\nand of the store\n%s", got, want)
	}
}
