package storagetest

import (
	"fmt"
	"strings"
	"time"

	"sitrep/incident"
	"sitrep/storage"
)

// notice returns a notice that is due at a time.
func (f *fixture) notice(pulse, recipient string, due time.Time) incident.Notice {
	n := incident.Notice{Pulse: pulse, Recipient: recipient, DueAt: due}
	if !due.IsZero() {
		n.Owed = incident.Owed{Kind: incident.KindWatchdog, Reason: incident.DueWatchdogAway, At: due}
	}
	return n
}

func (f *fixture) notify(notices ...incident.Notice) {
	f.Helper()
	f.write(func(tx storage.Tx) error { return tx.PutNotices(f.Context(), notices, nil) })
}

// notices returns what is owed about pulses.
func (f *fixture) notices(pulses ...string) (all []incident.Notice) {
	f.Helper()
	f.read(func(r storage.Snapshot) (err error) {
		all, err = r.Notices(f.Context(), pulses...)
		return err
	})
	return all
}

var watchdogRules = []rule{
	{"a pulse is the latest that was put by its name, an empty one before", func(f *fixture) {
		pulse := func(want incident.Pulse) {
			f.Helper()
			f.read(func(r storage.Snapshot) error {
				p, err := storage.PulseOf(f.Context(), r, want.Name)
				f.equal("pulse", p, want)
				return err
			})
		}
		pulse(incident.Pulse{})
		pulse(incident.Pulse{Name: "eu"})
		none := incident.Pulse{HeardAt: f.now, AwaySince: f.ago(1), Sequence: 3, Run: &incident.CanaryRun{ID: "x", PostedAt: f.now, Recipients: []string{"a"}, Took: time.Second, Failed: 2}}
		eu := incident.Pulse{Name: "eu", Labels: map[string]string{"cluster": "eu"}, HeardAt: f.now, HeardBy: map[string]time.Time{"a": f.now}}
		f.write(func(tx storage.Tx) error { return tx.PutPulses(f.Context(), []incident.Pulse{none}, nil) })
		f.write(func(tx storage.Tx) error { return tx.PutPulses(f.Context(), []incident.Pulse{eu}, nil) })
		pulse(none)
		eu.Sequence = 4
		f.write(func(tx storage.Tx) error {
			if err := tx.PutPulses(f.Context(), []incident.Pulse{eu}, nil); err != nil {
				return err
			}
			p, err := storage.PulseOf(f.Context(), tx, "eu")
			f.equal("in the write", p, eu)
			return err
		})
		pulse(eu)
	}},
	{"pulses are ordered by name", func(f *fixture) {
		var want incident.Pulses
		for _, name := range []string{"", "a long one", "b", "bb", "c " + strings.Repeat("x", 2000)} {
			want = append(want, incident.Pulse{Name: name, HeardAt: f.now})
		}
		f.read(func(r storage.Snapshot) error {
			all, err := r.Pulses(f.Context())
			f.equal("none", len(all), 0)
			return err
		})
		f.write(func(tx storage.Tx) error {
			for i := range want {
				if err := tx.PutPulses(f.Context(), []incident.Pulse{want[len(want)-1-i]}, nil); err != nil {
					return err
				}
			}
			return nil
		})
		f.read(func(r storage.Snapshot) error {
			all, err := r.Pulses(f.Context())
			f.equal("pulses", all, want)
			if err != nil {
				return err
			}
			all, err = r.Pulses(f.Context(), "bb", "none", "", "bb")
			f.equal("some", all, incident.Pulses{want[0], want[3]})
			return err
		})
	}},
	{"notices are read as they were put, ordered by recipient", func(f *fixture) {
		full := f.notice("eu", "email:b@example.org", f.now)
		full.Told, full.Unsure, full.ToldAt = true, true, f.ago(1)
		a, c := f.notice("eu", "email:a@example.org", time.Time{}), f.notice("eu", "webhook:00ff", f.now)
		other, nameless := f.notice("e", "email:a@example.org", f.now), f.notice("", "email:a@example.org", f.now)
		f.notify(c, full, other)
		f.notify(a, nameless)
		f.equal("notices", f.notices("eu"), []incident.Notice{a, full, c})
		f.equal("of another pulse", f.notices("e"), []incident.Notice{other})
		f.equal("of the one without a name", f.notices(""), []incident.Notice{nameless})
		f.equal("of none", len(f.notices("us")), 0)
		f.equal("of two", f.notices("us", "eu", "e", "eu"), []incident.Notice{other, a, full, c})
		f.equal("of all", len(f.notices()), 5)
		full.DueAt = f.now.Add(time.Hour)
		f.notify(full)
		f.equal("changed", f.notices("eu"), []incident.Notice{a, full, c})
	}},
	{"a claim has the notices that are due, the longest first, beside the subscriptions", func(f *fixture) {
		eu, us := f.notice("eu", "a", f.ago(2)), f.notice("us", "a", f.ago(3))
		sub := f.owes(1, "a", f.ago(1))
		f.subscribe(sub)
		f.notify(eu, us, f.notice("later", "a", f.ago(-24*60)), f.notice("told", "a", time.Time{}), f.notice("eu", "ab", f.ago(9)))
		claims := f.claim("me", long, 10)
		f.equal("recipients", recipients(claims), []string{"ab", "a"})
		f.equal("notices", claims[1].Notices, []incident.Notice{us, eu})
		f.equal("subscriptions", claims[1].Subscriptions, []incident.Subscription{sub})

		us.DueAt, us.Owed = time.Time{}, incident.Owed{}
		f.notify(us)
		if err := f.release(&claims[1], time.Time{}, ""); err != nil {
			f.Fatal(err)
		}
		f.equal("again", f.claim("me", long, 10)[0].Notices, []incident.Notice{eu})
	}},
	{"a claim has up to 1,000 notices", func(f *fixture) {
		all := make([]incident.Notice, 1010)
		for i := range all {
			all[i] = f.notice(fmt.Sprint(i), "a", f.ago(2000-i))
		}
		f.notify(all...)
		f.equal("notices", f.claim("me", long, 1)[0].Notices, all[:1000])
	}},
	{"the backlog and the next due time count notices", func(f *fixture) {
		look := func(due int, oldest, next time.Time) {
			f.Helper()
			f.read(func(r storage.Snapshot) error {
				n, at, err := r.Backlog(f.Context(), f.now)
				f.equal("due", n, due)
				f.equal("oldest", at, oldest)
				if err != nil {
					return err
				}
				at, err = r.NextDue(f.Context(), time.Time{})
				f.equal("next due", at, next)
				return err
			})
		}
		later := f.ago(-24 * 60)
		f.notify(f.notice("eu", "a", later))
		look(0, time.Time{}, later)
		f.notify(f.notice("eu", "b", f.ago(7)))
		look(1, f.ago(7), f.ago(7))
		f.subscribe(f.owes(1, "b", f.ago(5)), f.owes(1, "c", f.ago(6)))
		look(3, f.ago(7), f.ago(7))
		f.notify(f.notice("eu", "b", time.Time{}))
		look(2, f.ago(6), f.ago(6))
	}},
	{"notices that are gone are due to nobody", func(f *fixture) {
		due, other := f.notice("p", "bob", f.ago(5)), f.notice("q", "ada", time.Time{})
		f.notify(due, other)
		f.write(func(tx storage.Tx) error { return tx.PutNotices(f.Context(), nil, []incident.Notice{due}) })
		f.equal("left", f.notices(), []incident.Notice{other})
		f.equal("claims", f.claim("x", time.Hour, 10), []storage.Lease(nil))
	}},
	{"a pulse is deleted with its notices", func(f *fixture) {
		kept := f.notice("us", "a", f.ago(1))
		f.notify(f.notice("eu", "a", f.ago(2)), f.notice("eu", "b", f.ago(2)), kept)
		f.write(func(tx storage.Tx) error {
			return tx.PutPulses(f.Context(), []incident.Pulse{{Name: "eu", Sequence: 1}}, nil)
		})
		f.write(func(tx storage.Tx) error { return tx.PutPulses(f.Context(), nil, []string{"eu"}) })
		f.write(func(tx storage.Tx) error { return tx.PutPulses(f.Context(), nil, []string{"none"}) })
		f.equal("notices", len(f.notices("eu")), 0)
		f.read(func(r storage.Snapshot) error {
			p, err := storage.PulseOf(f.Context(), r, "eu")
			f.equal("pulse", p, incident.Pulse{Name: "eu"})
			return err
		})
		claims := f.claim("me", long, 10)
		f.equal("recipients", recipients(claims), []string{"a"})
		f.equal("notices that are due", claims[0].Notices, []incident.Notice{kept})
	}},
	{"deliveries about the watchdog are about no incident", func(f *fixture) {
		d := f.newDelivery("watchdog.1", "a", 0)
		d.Kind, d.Covers, d.State, d.FinishedAt = incident.KindWatchdog, []incident.Cover{{Kind: incident.KindWatchdog, Pulse: "eu"}}, incident.DeliveryDelivered, f.now
		f.deliver(d, f.newDelivery("one", "a", 1))
		f.read(func(r storage.Snapshot) error {
			got, err := storage.DeliveryOf(f.Context(), r, "watchdog.1")
			f.equal("delivery", got, *d)
			if err != nil {
				return err
			}
			page, _, err := r.Deliveries(f.Context(), storage.DeliveryQuery{Limit: 9})
			f.equal("all", len(page), 2)
			if err != nil {
				return err
			}
			records, err := storage.DeliveryRecords(f.Context(), r, "watchdog.1")
			if err != nil {
				return err
			}
			back, _, err := storage.DecodeDelivery(records[0])
			f.equal("as recorded", back, *d)
			return err
		})
	}},
}
