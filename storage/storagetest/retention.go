package storagetest

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"time"

	"sitrep/incident"
	"sitrep/storage"
)

// expired returns what was over before a time.
func (f *fixture) expired(what storage.Expiry, before time.Time, limit int) (all []storage.Expired) {
	f.Helper()
	f.read(func(r storage.Snapshot) (err error) {
		all, err = r.Expired(f.Context(), what, before, limit)
		return err
	})
	return all
}

func numbersOf(all []storage.Expired) (numbers []int64) {
	for _, e := range all {
		numbers = append(numbers, e.Number)
	}
	return numbers
}

// closed stores incidents that closed ten minutes after each other, the last ten ago.
func (f *fixture) closed(numbers ...int64) {
	f.Helper()
	for i, number := range numbers {
		in := f.newIncident(number)
		in.State, in.ClosedAt = incident.StateClosed, f.ago(10*(len(numbers)-i))
		f.put(in)
	}
}

// about puts a delivery about the watchdog.
func (f *fixture) about(id string, state incident.DeliveryState, finished time.Time) incident.Delivery {
	f.Helper()
	d := f.newDelivery(id, "ada", 0)
	d.Kind, d.Covers, d.State, d.FinishedAt = incident.KindWatchdog, []incident.Cover{{Kind: incident.KindWatchdog}}, state, finished
	f.write(func(tx storage.Tx) error { return tx.PutDelivery(f.Context(), d, []byte("to ada")) })
	return *d
}

// pagesOf returns the ids of an incident's deliveries, the oldest first, page by page.
func (f *fixture) pagesOf(number int64, message bool, limit int) [][]string {
	f.Helper()
	return f.deliveryPages(storage.DeliveryQuery{Incident: number, Message: message, OldestFirst: true, Limit: limit})
}

var retentionRules = []rule{
	{"what was over before a time is named, the longest first", func(f *fixture) {
		f.put(f.newIncident(9))
		f.closed(3, 1, 2)
		for _, what := range []storage.Expiry{storage.ExpiryBreaches, storage.ExpiryMessages, storage.ExpiryPeople} {
			f.equal("before now", numbersOf(f.expired(what, f.now, 10)), []int64{3, 1, 2})
			f.equal("two of them", numbersOf(f.expired(what, f.now, 2)), []int64{3, 1})
			f.equal("when one closed", numbersOf(f.expired(what, f.ago(20), 10)), []int64{3})
			f.equal("before a zero time", f.expired(what, time.Time{}, 10), []storage.Expired(nil))
		}
		f.equal("about the watchdog", f.expired(storage.ExpiryWatchdogPeople, f.now, 10), []storage.Expired(nil))
		again := f.newIncident(3)
		again.State, again.ClosedAt, again.AcknowledgedBy = incident.StateClosed, f.ago(30), "ada"
		f.put(again)
		f.equal("one that is stored again", len(f.expired(storage.ExpiryPeople, f.now, 10)), 3)
	}},
	{"of an incident that was merged the breaches are over with those of the other", func(f *fixture) {
		a, b := f.newIncident(1), f.newIncident(2)
		a.State, a.ClosedAt, a.MergedInto = incident.StateClosed, f.ago(20), 2
		b.MergedFrom = []int64{1}
		f.put(a, b)
		f.equal("breaches", numbersOf(f.expired(storage.ExpiryBreaches, f.now, 10)), []int64(nil))
		f.equal("people", numbersOf(f.expired(storage.ExpiryPeople, f.now, 10)), []int64{1})
		b.State, b.ClosedAt = incident.StateClosed, f.ago(10)
		f.put(b)
		for _, e := range f.expired(storage.ExpiryBreaches, f.now, 10) {
			f.equal("since", e.Since, f.ago(10))
		}
		f.equal("breaches of both", numbersOf(f.expired(storage.ExpiryBreaches, f.now, 10)), []int64{1, 2})
	}},
	{"how far something is, and that it comes again, is as it was noted", func(f *fixture) {
		f.closed(1, 2, 3)
		f.deliver(f.newDelivery("a", "ada", 2), f.newDelivery("b", "ada", 2))
		var cursor string
		f.read(func(r storage.Snapshot) (err error) {
			_, cursor, err = r.Deliveries(f.Context(), storage.DeliveryQuery{Incident: 2, OldestFirst: true, Limit: 1})
			return err
		})
		all := f.expired(storage.ExpiryPeople, f.now, 10)
		f.equal("stage at first", all[0].Stage, storage.Stage{})
		one, two, three := all[0], all[1], all[2]
		one.Stage = storage.Stage{Event: 7}
		two.Stage = storage.Stage{Event: math.MaxInt64, Delivery: cursor, Again: true}
		f.write(func(tx storage.Tx) error {
			later := storage.Expired{What: storage.ExpiryPeople, Since: f.ago(5), Number: 3}
			if err := tx.NoteExpired(f.Context(), []storage.Expired{three}, []storage.Expired{one, two, later}); err != nil {
				return err
			}
			seen, err := tx.Expired(f.Context(), storage.ExpiryPeople, f.ago(7), 10)
			f.equal("in the write", seen, []storage.Expired{one, two})
			three = later
			return err
		})
		f.equal("later", f.expired(storage.ExpiryPeople, f.now, 10), []storage.Expired{one, two, three})
		f.equal("of others", len(f.expired(storage.ExpiryMessages, f.now, 10)), 3)
		f.write(func(tx storage.Tx) error {
			page, _, err := tx.Deliveries(f.Context(), storage.DeliveryQuery{Incident: 2, OldestFirst: true, Limit: 1, Cursor: two.Stage.Delivery})
			f.equal("goes on with", page[0].ID, "b")
			return err
		})
		f.write(func(tx storage.Tx) error {
			return tx.NoteExpired(f.Context(), []storage.Expired{one, two, three}, nil)
		})
		f.equal("in the end", f.expired(storage.ExpiryPeople, f.now, 10), []storage.Expired(nil))
	}},
	{"a delivery about the watchdog is over once it has an outcome", func(f *fixture) {
		f.deliver(f.newDelivery("of an incident", "ada", 1))
		f.about("one", incident.DeliveryPending, time.Time{})
		second := f.about("two", incident.DeliveryFailed, f.ago(20))
		for _, what := range []storage.Expiry{storage.ExpiryWatchdogMessage, storage.ExpiryWatchdogPeople} {
			all := f.expired(what, f.now, 10)
			f.equal("over", len(all), 1)
			f.equal("delivery", all[0].Delivery, second)
			f.equal("since", all[0].Since, f.ago(20))
		}
		f.about("one", incident.DeliveryDelivered, f.ago(10))
		f.equal("both", len(f.expired(storage.ExpiryWatchdogPeople, f.now, 10)), 2)
		f.equal("about incidents", f.expired(storage.ExpiryPeople, f.now, 10), []storage.Expired(nil))
	}},
	{"breaches go in order of arrival, up to a limit and to the first that was heard of", func(f *fixture) {
		for n := range int64(3) {
			for i := range 3 {
				b := f.newBreach(fmt.Sprintf("%d-%d", n, i), n)
				b.StartsAt, b.HeardAt = f.ago(100), f.ago(30-10*i)
				f.breaches(b)
			}
		}
		remove := func(heard time.Time, limit int, numbers ...int64) (n int) {
			f.Helper()
			f.write(func(tx storage.Tx) (err error) {
				n, err = tx.DeleteBreaches(f.Context(), numbers, heard, limit)
				return err
			})
			return n
		}
		f.equal("none", remove(time.Time{}, 10), 0)
		f.equal("up to a limit", remove(time.Time{}, 4, 2, 1), 4)
		f.equal("left", [][][]string{f.breachPages(0, 9), f.breachPages(1, 9), f.breachPages(2, 9)}, [][][]string{{{"0-0", "0-1", "0-2"}}, {{"1-1", "1-2"}}, {nil}})
		f.equal("heard of then", remove(f.ago(20), 10, 0), 1)
		f.equal("left", f.breachPages(0, 9), [][]string{{"0-1", "0-2"}})
		f.equal("the rest", remove(time.Time{}, 10, 0, 1, 2), 4)
		f.equal("silent", f.silent(f.now, 10), []string(nil))
	}},
	{"deliveries come the oldest first too, and those whose message is kept", func(f *fixture) {
		for i := range 5 {
			d := f.newDelivery(fmt.Sprint(i), "ada", int64(1+i%2))
			f.write(func(tx storage.Tx) error { return tx.PutDelivery(f.Context(), d, []byte("message")) })
		}
		f.deliver(f.newDelivery("5", "ada", 1))
		f.equal("all", f.pagesOf(1, false, 2), [][]string{{"0", "2"}, {"4", "5"}})
		f.equal("with a message", f.pagesOf(1, true, 2), [][]string{{"0", "2"}, {"4"}})
		f.equal("of any incident", f.pagesOf(0, true, 9), [][]string{{"0", "1", "2", "3", "4"}})
		f.write(func(tx storage.Tx) error {
			_, next, err := tx.Deliveries(f.Context(), storage.DeliveryQuery{Incident: 1, Message: true, OldestFirst: true, Limit: 1})
			if err != nil {
				return err
			}
			n, err := tx.DeleteMessages(f.Context(), []string{"0", "5", "nobody's"})
			f.equal("messages", n, 1)
			if err != nil {
				return err
			}
			page, _, err := tx.Deliveries(f.Context(), storage.DeliveryQuery{Incident: 1, Message: true, OldestFirst: true, Limit: 9, Cursor: next})
			f.equal("pages go on", len(page), 2)
			return err
		})
		f.equal("left", f.pagesOf(1, true, 9), [][]string{{"2", "4"}})
		f.equal("the deliveries stay", f.pagesOf(1, false, 9), [][]string{{"0", "2", "4", "5"}})
	}},
	{"the people of events are forgotten in parts, and no leaf changes", func(f *fixture) {
		f.live(1, f.ago(10))
		f.live(2, f.ago(10))
		f.awaitLog(2 * (14 + 2)) // their events and deliveries
		before := f.leaves()
		left := func() (sequences []int64) {
			f.Helper()
			f.read(func(r storage.Snapshot) error {
				records, err := storage.EventRecords(f.Context(), r, 1, 0, 100)
				for i, record := range records {
					if record.Salt != nil {
						sequences = append(sequences, int64(i+1))
					}
				}
				return err
			})
			return sequences
		}
		f.equal("at first", left(), []int64{1, 9, 10, 11, 12, 13, 14})
		for _, step := range []struct{ after, limit, last int64 }{{0, 9, 9}, {9, 1, 10}, {11, 100, 14}, {14, 100, 14}} {
			f.write(func(tx storage.Tx) error {
				last, err := tx.ForgetEvents(f.Context(), 1, step.after, int(step.limit))
				f.equal(fmt.Sprint("last after ", step.after), last, step.last)
				return err
			})
		}
		f.equal("left", left(), []int64{11})
		f.equal("of the other", len(f.people(2)) > 10, true)
		after := f.leaves()
		for i := range before {
			if !bytes.Equal(before[i].Record.Leaf, after[i].Record.Leaf) || before[i].Record.Index != after[i].Record.Index {
				f.Errorf("leaf %d is %s, was %s", i, after[i].Record.Leaf, before[i].Record.Leaf)
			}
		}
	}},
	{"a delivery that was forgotten is found as before, and makes no record", func(f *fixture) {
		d := f.newDelivery("one", "ada@example.org", 1)
		d.State, d.FinishedAt, d.Error = incident.DeliveryFailed, f.ago(5), "RCPT ada@example.org: 550"
		f.write(func(tx storage.Tx) error { return tx.PutDelivery(f.Context(), d, []byte("To: ada")) })
		other := f.newDelivery("two", "ada@example.org", 1)
		other.State = incident.DeliveryDelivered
		f.deliver(other)
		f.awaitLog(2)
		size := len(f.leaves())
		f.write(func(tx storage.Tx) error { return tx.ForgetDeliveries(f.Context(), []incident.Delivery{*d}) })
		f.equal("failed", f.deliveryPages(storage.DeliveryQuery{State: incident.DeliveryFailed, Limit: 9}), [][]string{{"one"}})
		f.equal("of the incident", f.pagesOf(1, false, 9), [][]string{{"one", "two"}})
		f.equal("leaves", len(f.leaves()), size)
		f.read(func(r storage.Snapshot) error {
			got, err := storage.DeliveryOf(f.Context(), r, "one")
			f.equal("people", got.Recipient+got.Address+got.Error, strings.Repeat(incident.Forgotten, 3))
			f.equal("what happened", got.FinishedAt, f.ago(5))
			if err != nil {
				return err
			}
			records, err := storage.DeliveryRecords(f.Context(), r, "one")
			f.equal("records", len(records), 1)
			f.equal("forgotten", records[0].Forgotten(), true)
			_, gone := r.Message(f.Context(), "one")
			f.fails("message", gone, incident.ErrNotFound)
			got, err2 := storage.DeliveryOf(f.Context(), r, "two")
			f.equal("the other", got, *other)
			if err == nil {
				err = err2
			}
			return err
		})
	}},
	{"readers that were forgotten are known by their numbers, and not to the queue", func(f *fixture) {
		ada, bob, due := f.owes(1, "ada", time.Time{}), f.owes(1, "bob", time.Time{}), f.owes(1, "zoe", f.ago(5))
		ada.Reader, bob.Reader, due.Reader = 1, 2, 3
		ada.Urgency = incident.LeastUrgent
		other := f.owes(2, "ada", time.Time{})
		f.subscribe(ada, bob, due, other)
		known := []incident.Subscription{ada, bob}
		ada.Forget()
		bob.Forget()
		f.write(func(tx storage.Tx) error {
			return tx.PutSubscriptions(f.Context(), []incident.Subscription{ada, bob}, known)
		})
		if err := f.store.Write(f.Context(), func(tx storage.Tx) error {
			return tx.PutSubscriptions(f.Context(), nil, []incident.Subscription{due})
		}); err == nil {
			f.Error("one to whom something is due is gone")
		}
		f.read(func(r storage.Snapshot) error {
			all, err := r.Subscriptions(f.Context(), []int64{1, 2})
			f.equal("readers", all, map[int64][]incident.Subscription{1: {ada, bob, due}, 2: {other}})
			if err != nil {
				return err
			}
			all, err = r.Subscriptions(f.Context(), []int64{1, 2, 3}, due.Recipient, ada.Recipient, "nobody", ada.Recipient)
			f.equal("readers of that name", all, map[int64][]incident.Subscription{1: {ada, due}})
			return err
		})
		f.equal("claims", recipients(f.claim("x", time.Hour, 10)), []string{"zoe"})
	}},
	{"what the queue knows of a recipient goes unless something is due or somebody claims it", func(f *fixture) {
		for _, id := range []string{"ada", "bob", "eve", "zoe"} {
			f.equal("attempts of "+id, f.attempt(id), int64(1))
		}
		f.subscribe(f.owes(1, "zoe", f.ago(5)), f.owes(1, "bob", f.ago(4)))
		claims := append(f.claim("x", time.Hour, 1), f.claim("x", time.Hour, 1)...)
		f.subscribe(f.owes(1, "bob", time.Time{}))
		remove := func(before time.Time, recipients ...string) (claimed map[string]bool) {
			f.Helper()
			f.write(func(tx storage.Tx) (err error) {
				claimed, err = tx.DeleteRecipients(f.Context(), recipients, before)
				return err
			})
			return claimed
		}
		f.equal("claimed", remove(f.now, "ada", "bob", "zoe", "nobody"), map[string]bool{"bob": true})
		f.equal("attempts of one who went", f.attempt("ada"), int64(1))
		f.equal("attempts of one who was not named", f.attempt("eve"), int64(2))
		f.equal("claims of long before", remove(f.now.Add(2*time.Hour), "bob", "zoe"), map[string]bool{})
		f.equal("attempts of one who was claimed", f.attempt("bob"), int64(1))
		if err := f.hold(&claims[0], time.Hour); err != nil {
			f.Errorf("the claim of one to whom something is due is lost: %v", err)
		}
	}},
	{"loadings are forgotten from the first on, and forms by their hashes", func(f *fixture) {
		for i := range 5 {
			l := storage.Loading{Hash: fmt.Sprint(i), At: f.ago(50 - 10*i), Actor: "ada", Public: "public"}
			f.write(func(tx storage.Tx) error {
				return tx.PutConfig(f.Context(), l, storage.Config{Hash: l.Hash, Body: []byte("ada")}, storage.Config{Hash: "public"})
			})
		}
		remembered := func() (hashes string) {
			f.Helper()
			f.read(func(r storage.Snapshot) error {
				all, err := r.RememberedLoadings(f.Context())
				for _, l := range all {
					hashes += l.Hash
				}
				return err
			})
			return hashes
		}
		forget := func(n int, forms ...string) {
			f.Helper()
			f.write(func(tx storage.Tx) error { return tx.ForgetLoadings(f.Context(), n, forms) })
		}
		f.equal("all", remembered(), "01234")
		forget(0)
		forget(2, "0")
		f.equal("left", remembered(), "234")
		forget(1)
		f.equal("then", remembered(), "34")
		f.read(func(r storage.Snapshot) error {
			all, err := storage.Loadings(f.Context(), r)
			var actors []incident.Actor
			for _, l := range all {
				actors = append(actors, l.Actor)
			}
			f.equal("actors", actors, []incident.Actor{"ada", "ada", incident.Forgotten, incident.Forgotten, incident.Forgotten})
			_, gone := r.Config(f.Context(), "0")
			f.fails("the form", gone, incident.ErrNotFound)
			if err == nil {
				_, err = r.Config(f.Context(), "1")
			}
			return err
		})
	}},
	{"refusals and answers from before a time go, up to a limit", func(f *fixture) {
		for i := range 4 {
			at := f.ago(40 - 10*i)
			f.write(func(tx storage.Tx) error {
				if err := storage.PutRefusal(f.Context(), tx, storage.Refusal{At: at, Status: 400, Client: "ada"}); err != nil {
					return err
				}
				return tx.PutAnswer(f.Context(), storage.Answer{Key: fmt.Sprint(i), At: at})
			})
		}
		remove := func(before time.Time, limit int) (n int) {
			f.Helper()
			f.write(func(tx storage.Tx) (err error) {
				n, err = tx.DeleteJournal(f.Context(), before, limit)
				return err
			})
			return n
		}
		f.equal("before all", remove(f.ago(40), 9), 0)
		f.equal("a part", remove(f.ago(15), 4), 4)
		f.equal("the rest", remove(f.ago(15), 4), 2)
		f.read(func(r storage.Snapshot) error {
			refusals, err := storage.Refusals(f.Context(), r)
			f.equal("refusals", len(refusals), 1)
			if err != nil {
				return err
			}
			_, gone := r.Answer(f.Context(), "2")
			f.fails("answer", gone, incident.ErrNotFound)
			_, err = r.Answer(f.Context(), "3")
			return err
		})
	}},
}
