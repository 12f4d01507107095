package storagetest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"sitrep/incident"
	"sitrep/storage"
)

// newDelivery returns a pending delivery.
func (f *fixture) newDelivery(id, recipient string, number int64) *incident.Delivery {
	return &incident.Delivery{
		ID: id, Incident: number, Kind: incident.KindOpened, Sequence: 3, Priority: "P1", Audience: incident.AudienceManagement,
		Group: "leadership", Channel: incident.ChannelEmail, Recipient: recipient, Address: recipient + "@example.org",
		DueAt: f.ago(1), CreatedAt: f.ago(1), Attempts: 1, State: incident.DeliveryPending,
		Covers: []incident.Cover{{
			Incident: number, Kind: incident.KindOpened, Sequence: 3, DueAt: f.ago(1),
			Owed: []incident.Owed{{Kind: incident.KindOpened, Reason: incident.DueOpened, At: f.ago(1)}},
		}},
	}
}

func (f *fixture) deliver(all ...*incident.Delivery) {
	f.Helper()
	f.write(func(tx storage.Tx) error {
		for _, d := range all {
			if err := tx.PutDelivery(f.Context(), d, nil); err != nil {
				return err
			}
		}
		return nil
	})
}

var deliveryRules = []rule{
	{"a delivery and its message are read as they were put", func(f *fixture) {
		d := f.newDelivery("one", "a", 1)
		d.Promised, d.Deferred, d.Drill = f.now, true, true
		message := []byte("Subject: x\r\n\r\n\x00\xff")
		f.write(func(tx storage.Tx) error { return tx.PutDelivery(f.Context(), d, message) })
		d.State, d.SentAt, d.Attempts = incident.DeliveryDelivered, f.now, 2
		f.deliver(d, f.newDelivery("two", "a", 1))
		f.read(func(r storage.Snapshot) error {
			got, err := storage.DeliveryOf(f.Context(), r, "one")
			if err != nil {
				return err
			}
			f.equal("delivery", got, *d)
			b, err := r.Message(f.Context(), "one")
			f.equal("message", b, message)
			return err
		})
	}},
	{"what is not there is not found", func(f *fixture) {
		f.deliver(f.newDelivery("one", "a", 1))
		f.read(func(r storage.Snapshot) error {
			_, err := storage.DeliveryOf(f.Context(), r, "two")
			f.fails("delivery", err, incident.ErrNotFound)
			_, err = storage.DeliveryRecords(f.Context(), r, "two")
			f.fails("records", err, incident.ErrNotFound)
			for _, id := range []string{"one", "two"} {
				_, err = r.Message(f.Context(), id)
				f.fails("message", err, incident.ErrNotFound)
			}
			return nil
		})
	}},
	{"pages have the latest first, by incident and state", func(f *fixture) {
		for i := 1; i <= 8; i++ {
			d := f.newDelivery(fmt.Sprint(i), "a", int64(1+i%2))
			if i > 4 {
				d.State, d.SentAt = incident.DeliveryDelivered, f.now
			}
			f.deliver(d)
		}
		digest := f.newDelivery("9", "a", 2)
		digest.Kind = incident.KindDigest
		digest.Covers = append(digest.Covers, incident.Cover{Incident: 1, Kind: incident.KindUpdate, DueAt: f.now}, incident.Cover{Incident: 7, DueAt: f.now})
		f.deliver(digest)
		changed := f.newDelivery("2", "a", 1)
		changed.State = incident.DeliveryFailed
		f.deliver(changed)
		for _, c := range []struct {
			name string
			q    storage.DeliveryQuery
			want []string
		}{
			{"all", storage.DeliveryQuery{}, []string{"9", "8", "7", "6", "5", "4", "3", "2", "1"}},
			{"incident", storage.DeliveryQuery{Incident: 1}, []string{"9", "8", "6", "4", "2"}},
			{"digest", storage.DeliveryQuery{Incident: 7}, []string{"9"}},
			{"none", storage.DeliveryQuery{Incident: 8}, nil},
			{"pending", storage.DeliveryQuery{State: incident.DeliveryPending}, []string{"9", "4", "3", "1"}},
			{"failed", storage.DeliveryQuery{State: incident.DeliveryFailed}, []string{"2"}},
			{"superseded", storage.DeliveryQuery{State: incident.DeliverySuperseded}, nil},
			{"both", storage.DeliveryQuery{Incident: 1, State: incident.DeliveryDelivered}, []string{"8", "6"}},
		} {
			c.q.Limit = 100
			pages := f.deliveryPages(c.q)
			f.equal(c.name, pages, [][]string{c.want})
			c.q.Limit = 2
			var all []string
			for _, p := range f.deliveryPages(c.q) {
				all = append(all, p...)
			}
			f.equal(c.name+", two by two", all, c.want)
		}
	}},
	{"deliveries are found by whom, by which group, kind and channel, and by when they were due", func(f *fixture) {
		at := func(minutes int) time.Time { return f.now.Add(time.Duration(minutes) * time.Minute) }
		for i := 1; i <= 8; i++ {
			d := f.newDelivery(fmt.Sprint(i), string(rune('a'+i%2)), int64(1+i%2))
			d.DueAt = at(10 - i) // what came last was due first
			if i%4 == 0 {
				d.Group, d.Channel, d.Kind = "support", incident.ChannelWebhook, incident.KindResolved
			}
			if i > 4 {
				d.State, d.SentAt = incident.DeliveryDelivered, f.now
			}
			f.deliver(d)
		}
		// It is due later than it was, and found there alone.
		moved := f.newDelivery("3", "b", 2)
		moved.DueAt = at(20)
		f.deliver(moved)
		for _, c := range []struct {
			name string
			q    storage.DeliveryQuery
			want []string
		}{
			{"address", storage.DeliveryQuery{Address: "a@example.org"}, []string{"2", "4", "6", "8"}},
			{"nobody's", storage.DeliveryQuery{Address: "a"}, nil},
			{"group", storage.DeliveryQuery{Group: "leadership"}, []string{"3", "1", "2", "5", "6", "7"}},
			{"group and address", storage.DeliveryQuery{Group: "support", Address: "a@example.org"}, []string{"4", "8"}},
			{"group and state", storage.DeliveryQuery{Group: "leadership", State: incident.DeliveryPending}, []string{"3", "1", "2"}},
			{"kind", storage.DeliveryQuery{Kind: incident.KindResolved}, []string{"8", "4"}},
			{"channel and state", storage.DeliveryQuery{Channel: incident.ChannelWebhook, State: incident.DeliveryDelivered}, []string{"8"}},
			{"from", storage.DeliveryQuery{From: at(7)}, []string{"3", "1", "2"}},
			{"to", storage.DeliveryQuery{To: at(4)}, []string{"7", "8"}},
			{"from and to", storage.DeliveryQuery{From: at(4), To: at(6)}, []string{"5", "6"}},
			{"the time that it had", storage.DeliveryQuery{From: at(7), To: at(8)}, nil},
			{"address, from and to", storage.DeliveryQuery{Address: "a@example.org", From: at(4), To: at(7)}, []string{"4", "6"}},
			{"incident, kind and to", storage.DeliveryQuery{Incident: 1, Kind: incident.KindResolved, To: at(4)}, []string{"8"}},
			{"all together", storage.DeliveryQuery{Incident: 1, State: incident.DeliveryPending, Address: "a@example.org", Group: "support", Kind: incident.KindResolved, Channel: incident.ChannelWebhook, From: at(6), To: at(7)}, []string{"4"}},
			{"id", storage.DeliveryQuery{ID: "4", Group: "support"}, []string{"4"}},
			{"id of another group", storage.DeliveryQuery{ID: "4", Group: "leadership"}, nil},
		} {
			for _, brief := range []bool{false, true} {
				for _, oldest := range []bool{false, true} {
					for _, limit := range []int{100, 1} {
						c.q.Limit, c.q.Brief, c.q.OldestFirst, c.q.Cursor = limit, brief, oldest, ""
						var all []string
						for _, p := range f.deliveryPages(c.q) {
							all = append(all, p...)
						}
						if oldest {
							slices.Reverse(all)
						}
						f.equal(fmt.Sprintf("%s, brief %t, the oldest first %t, %d a page", c.name, brief, oldest, limit), all, c.want)
					}
				}
			}
		}
		f.read(func(r storage.Snapshot) error {
			for _, cursor := range []string{"x", "1.x", "1"} {
				_, _, err := r.Deliveries(f.Context(), storage.DeliveryQuery{Group: "support", Limit: 1, Cursor: cursor})
				f.fails(cursor, err, incident.ErrInvalid)
			}
			return nil
		})
	}},
	{"in brief, a digest has the cover that is asked about, or the first", func(f *fixture) {
		digest := f.newDelivery("d", "a", 1)
		digest.Kind, digest.Error = incident.KindDigest, `say "covers":[{"incident":7,`
		digest.Covers[0].Owed[0].Action = digest.Error
		for n := int64(2); n <= 300; n++ {
			digest.Covers = append(digest.Covers, incident.Cover{Incident: n, Kind: incident.KindUpdate, Reader: int(n), DueAt: f.now})
		}
		bare := f.newDelivery("w", "a", 0)
		bare.Kind, bare.Covers = incident.KindWatchdog, nil
		f.deliver(digest, bare)
		f.read(func(r storage.Snapshot) error {
			for n, want := range map[int64][]incident.Cover{0: digest.Covers[:storage.BriefCovers], 1: digest.Covers[:1], 7: digest.Covers[6:7], 300: digest.Covers[299:]} {
				page, _, err := r.Deliveries(f.Context(), storage.DeliveryQuery{Incident: n, Kind: incident.KindDigest, Brief: true, Limit: 9})
				if err != nil {
					return err
				}
				brief := *digest
				brief.Covers = want
				f.equal(fmt.Sprintf("of incident %d", n), page, []incident.Delivery{brief})
			}
			page, _, err := r.Deliveries(f.Context(), storage.DeliveryQuery{ID: "w", Brief: true, Limit: 9})
			f.equal("without covers", page, []incident.Delivery{*bare})
			page, _, err2 := r.Deliveries(f.Context(), storage.DeliveryQuery{Incident: 300, Kind: incident.KindDigest, Limit: 9})
			f.equal("whole", page, []incident.Delivery{*digest})
			return errors.Join(err, err2)
		})
	}},
	{"a page of deliveries looks at so many, and says where to go on", func(f *fixture) {
		for from := 0; from < storage.DeliveriesLooked*2+10; from += 300 {
			f.write(func(tx storage.Tx) error {
				for i := from; i < min(from+300, storage.DeliveriesLooked*2+10); i++ {
					d := f.newDelivery(fmt.Sprint(i), fmt.Sprint("a", i), 0)
					if i == 5 {
						d.Kind = incident.KindLeft
					}
					if err := tx.PutDelivery(f.Context(), d, nil); err != nil {
						return err
					}
				}
				return nil
			})
		}
		for _, q := range []storage.DeliveryQuery{{Kind: incident.KindLeft, Limit: 10}, {Kind: incident.KindLeft, Limit: 10, Group: "leadership"}} {
			f.equal("pages", f.deliveryPages(q), [][]string{nil, nil, {"5"}})
		}
	}},
	{"an outcome is recorded once, without addresses, and with the message's hash", func(f *fixture) {
		d := f.newDelivery("one", "zoe", 1)
		message := []byte("hello")
		f.write(func(tx storage.Tx) error { return tx.PutDelivery(f.Context(), d, message) })
		records := func() (all []storage.Record) {
			f.Helper()
			f.read(func(r storage.Snapshot) (err error) {
				all, err = storage.DeliveryRecords(f.Context(), r, "one")
				return err
			})
			return all
		}
		f.equal("while pending", len(records()), 0)
		d.State, d.Error = incident.DeliveryFailed, `RCPT "zoe@example.org": 550`
		f.deliver(d)
		f.deliver(d)
		first := records()
		f.equal("records", len(first), 1)
		if bytes.Contains(first[0].Leaf, []byte("zoe")) {
			f.Errorf("the leaf has the address: %s", first[0].Leaf)
		}
		got, hash, err := storage.DecodeDelivery(first[0])
		if err != nil {
			f.Fatal(err)
		}
		f.equal("decoded", got, *d)
		sum := sha256.Sum256(message)
		f.equal("hash", hash, hex.EncodeToString(sum[:]))

		d.State, d.Error, d.SentAt = incident.DeliveryDelivered, "", f.now
		f.deliver(d)
		both := records()
		f.equal("records", len(both), 2)
		f.equal("the first stays", placeless(both[:1]), placeless(first))
	}},
}

func (f *fixture) deliveryPages(q storage.DeliveryQuery) (pages [][]string) {
	f.Helper()
	f.read(func(r storage.Snapshot) error {
		for {
			page, next, err := r.Deliveries(f.Context(), q)
			if err != nil {
				return err
			}
			var ids []string
			for _, d := range page {
				ids = append(ids, d.ID)
			}
			pages = append(pages, ids)
			if q.Cursor = next; next == "" {
				return nil
			}
		}
	})
	return pages
}

var pruneRules = []rule{
	{"breaches and messages of what closed long ago go, all else stays", func(f *fixture) {
		// One fingerprint in an incident that stays and, as the latest, in one that goes.
		older := f.newBreach("1-0", 4)
		older.State, older.Ordinal = incident.BreachEnded, 1
		f.breaches(older)
		for n := int64(1); n <= 4; n++ {
			in := f.newIncident(n)
			switch n {
			case 1, 2:
				in.State, in.ClosedAt = incident.StateClosed, f.now.Add(-time.Duration(n)*100*time.Hour)
			case 3:
				in.State, in.ClosedAt = incident.StateClosed, f.now
			}
			f.put(in)
			var breaches []*incident.Breach
			for i := range 5 {
				b := f.newBreach(fmt.Sprintf("%d-%d", n, i), n)
				b.StartsAt, b.Ordinal = f.now.Add(-time.Duration(n)*time.Hour), 2
				breaches = append(breaches, b)
			}
			f.breaches(breaches...)
			f.write(func(tx storage.Tx) error {
				if err := tx.AppendEvents(f.Context(), f.newEvents(n, 3)); err != nil {
					return err
				}
				d := f.newDelivery(fmt.Sprint(n), "a", n)
				d.State = incident.DeliverySuperseded
				return tx.PutDelivery(f.Context(), d, []byte("message"))
			})
		}
		f.equal("nothing is old", f.prune(f.now.Add(-300*time.Hour), f.now.Add(-300*time.Hour), 100), 0)
		f.equal("zero times", f.prune(time.Time{}, time.Time{}, 100), 0)
		f.equal("breaches of one", f.prune(f.now.Add(-150*time.Hour), time.Time{}, 100), 5)
		f.equal("a part", f.prune(f.now.Add(-50*time.Hour), f.now.Add(-50*time.Hour), 3), 3)
		f.equal("the rest, and a message", f.prune(f.now.Add(-50*time.Hour), f.now.Add(-50*time.Hour), 3), 2+1)
		f.equal("the other message", f.prune(f.now.Add(-50*time.Hour), f.now.Add(-50*time.Hour), 100), 1)
		f.equal("again", f.prune(f.now.Add(-50*time.Hour), f.now.Add(-50*time.Hour), 100), 0)

		f.equal("breaches", [][][]string{f.breachPages(1, 9), f.breachPages(2, 9)}, [][][]string{{nil}, {nil}})
		f.equal("breaches that stay", len(f.breachPages(3, 9)[0]), 5)
		f.equal("silent ones that stay", len(f.silent(f.now, 100)), 10)
		f.equal("the one before the latest that stays", f.breachPages(4, 9)[0][0], "1-0")
		f.read(func(r storage.Snapshot) error {
			if b, err := storage.LatestBreach(f.Context(), r, "1-0"); b != nil || err != nil {
				f.Errorf("the latest that went: %v, %v", b, err)
			}
			for n, there := range map[string]bool{"1": false, "2": false, "3": true, "4": true} {
				if _, err := r.Message(f.Context(), n); (err == nil) != there {
					f.Errorf("message %s: %v", n, err)
				}
				if _, err := storage.DeliveryOf(f.Context(), r, n); err != nil {
					f.Errorf("delivery %s: %v", n, err)
				}
				if records, err := storage.DeliveryRecords(f.Context(), r, n); len(records) != 1 {
					f.Errorf("records of delivery %s: %d, %v", n, len(records), err)
				}
			}
			events, err := storage.EventsOf(f.Context(), r, 1, 0, 10)
			f.equal("events", len(events), 3)
			return err
		})
	}},
	{"the message of a digest goes with the last of its incidents", func(f *fixture) {
		a, b := f.newIncident(1), f.newIncident(2)
		a.State, a.ClosedAt = incident.StateClosed, f.ago(10)
		f.put(a, b)
		digest := f.newDelivery("d", "a", 1)
		digest.Covers = append(digest.Covers, incident.Cover{Incident: 2})
		f.write(func(tx storage.Tx) error { return tx.PutDelivery(f.Context(), digest, []byte("digest")) })
		d := f.newDelivery("after it", "a", 1)
		f.write(func(tx storage.Tx) error { return tx.PutDelivery(f.Context(), d, []byte("message")) })
		f.equal("what came after it", f.prune(f.now, f.now, 1), 1)
		f.equal("one is open", f.prune(f.now, f.now, 10), 0)
		b.State, b.ClosedAt = incident.StateClosed, f.ago(5)
		f.put(b)
		f.equal("all are closed", f.prune(f.now, f.now, 10), 1)
	}},
	{"the breaches of a merged incident go with the one that it goes on in", func(f *fixture) {
		a, b, c := f.newIncident(1), f.newIncident(2), f.newIncident(3)
		a.State, a.ClosedAt, a.MergedInto = incident.StateClosed, f.ago(30), 2
		b.MergedFrom = []int64{1}
		f.put(a, b, c)
		f.breaches(f.newBreach("fires on", 1), f.newBreach("of its own", 2))
		f.equal("it goes on", f.prune(f.ago(5), time.Time{}, 10), 0)
		b.State, b.ClosedAt, b.MergedInto = incident.StateClosed, f.ago(20), 3
		c.MergedFrom = []int64{2, 1}
		f.put(b, c)
		f.equal("it goes on in a third", f.prune(f.ago(5), time.Time{}, 10), 0)
		c.State, c.ClosedAt = incident.StateClosed, f.ago(10)
		f.put(c)
		f.equal("that closed", f.prune(f.ago(5), time.Time{}, 10), 2)
		f.equal("again", f.prune(f.ago(5), time.Time{}, 10), 0)
	}},
	{"breaches of no incident go once nothing was heard of them", func(f *fixture) {
		old, young := f.newBreach("old", 0), f.newBreach("young", 0)
		old.State, old.HeardAt, old.EndHeardAt = incident.BreachEnded, time.Time{}, f.ago(20)
		young.State, young.HeardAt, young.EndHeardAt = incident.BreachEnded, time.Time{}, f.ago(5)
		f.breaches(old, young)
		f.equal("pruned", f.prune(f.ago(10), time.Time{}, 10), 1)
		f.equal("left", f.breachPages(0, 10), [][]string{{"young"}})
	}},
}

func (f *fixture) prune(breaches, messages time.Time, limit int) (n int) {
	f.Helper()
	f.write(func(tx storage.Tx) (err error) {
		n, err = storage.Prune(f.Context(), tx, breaches, messages, limit)
		return err
	})
	return n
}
