package storagetest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"sitrep/incident"
	"sitrep/storage"
)

// forget forgets what is from before, few things at a time.
func (f *fixture) forget(before time.Time) {
	f.Helper()
	for n, more := 0, true; more; n++ {
		if n > 1000 {
			f.Fatal("forgetting does not end")
		}
		f.write(func(tx storage.Tx) (err error) {
			more, err = storage.Forget(f.Context(), tx, before, 1+n%3)
			return err
		})
	}
	if c, ok := f.store.(interface{ Check(context.Context) error }); ok {
		if err := c.Check(f.Context()); err != nil {
			f.Errorf("after forgetting: %v", err)
		}
	}
}

// live stores an incident with people in all that it has, which closed at a time;
// open if that is zero.
func (f *fixture) live(number int64, closed time.Time) *incident.Incident {
	f.Helper()
	stamp := func(i int, actor incident.Actor) incident.Event {
		return incident.Event{Incident: number, Sequence: int64(i), Time: f.now.Add(time.Duration(i-1000) * time.Hour), Actor: actor}
	}
	var events []incident.Event
	add := func(actor incident.Actor, kind incident.EventType, d incident.Data) {
		e := stamp(len(events)+1, actor)
		e.Type, e.Data = kind, d
		events = append(events, e)
	}
	add("ada", incident.EventOpened, incident.Data{Opening: &incident.Opening{Key: fmt.Sprint("k", number), UseCase: "it", Priority: incident.Priority{Name: "P1"}, Declared: true}})
	for i := range 7 {
		add(incident.ActorAlertmanager, incident.EventBreachStarted, incident.Data{Fingerprint: fmt.Sprint(i), StartsAt: f.now})
	}
	add("ada", incident.EventAcknowledged, incident.Data{})
	add("ada", incident.EventPhaseChanged, incident.Data{From: "initial-diagnosis", To: "escalation", EscalatedTo: "bob@example.org"})
	add("bob@example.org", incident.EventUpdateWritten, incident.Data{Message: "we look", Audiences: []incident.Audience{incident.AudienceStakeholders}})
	add(incident.ActorScheduler, incident.EventUpdateMissed, incident.Data{DueAt: f.now, Missed: 1, Audience: incident.AudienceManagement, Cause: incident.Cause{Kind: incident.CauseSaid, Said: "RCPT ada@example.org: 451"}})
	add("ada", incident.EventResolved, incident.Data{})
	if !closed.IsZero() {
		add("ada", incident.EventClosed, incident.Data{})
		events[len(events)-1].Time = closed
	}
	var in incident.Incident
	for _, e := range events {
		if err := in.Apply(e); err != nil {
			f.Fatal(err)
		}
	}
	f.put(&in)
	f.write(func(tx storage.Tx) error { return tx.AppendEvents(f.Context(), events) })
	var subs []incident.Subscription
	for i, who := range []string{"ada", "bob"} {
		s := f.owes(number, who+"@example.org", time.Time{})
		s.Reader, s.ToldAt, s.Owed = i+1, f.now.Add(-900*time.Hour), nil
		subs = append(subs, s)
		d := f.newDelivery(fmt.Sprintf("%d-%s", number, who), s.Recipient, number)
		d.Address, d.State, d.FinishedAt, d.Error = s.Recipient, incident.DeliveryFailed, s.ToldAt, "RCPT "+s.Recipient+": 550"
		d.Covers[0].Reader = s.Reader
		f.write(func(tx storage.Tx) error { return tx.PutDelivery(f.Context(), d, []byte("To: "+s.Recipient)) })
	}
	f.subscribe(subs...)
	return &in
}

// people returns what is left of people in what is kept of an incident.
func (f *fixture) people(number int64) (found []string) {
	f.Helper()
	look := func(what string, v any) {
		b, err := json.Marshal(v)
		if err != nil {
			f.Fatal(err)
		}
		if bytes.Contains(b, []byte("ada")) || bytes.Contains(b, []byte("bob")) {
			found = append(found, what)
		}
	}
	f.read(func(r storage.Snapshot) error {
		in, err := storage.IncidentOf(f.Context(), r, number)
		if err != nil {
			return err
		}
		look("incident", in)
		events, err := storage.EventRecords(f.Context(), r, number, 0, 100)
		if err != nil {
			return err
		}
		for i := range events {
			look(fmt.Sprint("event ", i+1), events[i].Personal)
		}
		subs, err := storage.SubscriptionsOf(f.Context(), r, number)
		if err != nil {
			return err
		}
		look("readers", subs)
		page, _, err := r.Deliveries(f.Context(), storage.DeliveryQuery{Incident: number, Limit: 100})
		if err != nil {
			return err
		}
		for i := range page {
			d := page[i]
			id := d.ID
			d.ID = ""
			look("delivery "+id, d)
			records, err := storage.DeliveryRecords(f.Context(), r, id)
			if err != nil {
				return err
			}
			for k := range records {
				look(fmt.Sprintf("record %d of %s", k, id), records[k].Personal)
			}
			if m, err := r.Message(f.Context(), id); err == nil {
				look("message of "+id, string(m))
			}
		}
		return nil
	})
	return found
}

// attempt returns how often a recipient was claimed, this time too.
func (f *fixture) attempt(recipient string) int64 {
	f.Helper()
	f.subscribe(f.owes(99, recipient, f.ago(60)))
	claims := f.claim("x", time.Hour, 10)
	if len(claims) != 1 || claims[0].Recipient != recipient {
		f.Fatalf("claimed %v", claims)
	}
	f.subscribe(f.owes(99, recipient, time.Time{}))
	if err := f.release(&claims[0], time.Time{}, ""); err != nil {
		f.Fatal(err)
	}
	return claims[0].Attempt
}

var forgetRules = []rule{
	{"people of incidents that closed long ago are forgotten, and no leaf changes", func(f *fixture) {
		long, lately := f.now.Add(-100*time.Hour), f.now.Add(-10*time.Hour)
		f.live(1, long)
		f.live(2, lately)
		f.live(3, time.Time{})
		f.awaitLog(2*14 + 13 + 3*2) // their events and deliveries
		before := f.leaves()
		var to []string
		f.read(func(r storage.Snapshot) error {
			page, _, err := r.Deliveries(f.Context(), storage.DeliveryQuery{Incident: 1, Limit: 9})
			for _, d := range page {
				to = append(to, d.Address)
			}
			return err
		})
		f.forget(time.Time{})
		f.forget(f.now.Add(-200 * time.Hour))
		f.equal("people before", len(f.people(1)) > 10, true)
		kept := len(f.people(2))
		f.forget(f.now.Add(-50 * time.Hour))
		f.equal("people of what closed long ago", f.people(1), []string(nil))
		f.equal("people of what closed lately", len(f.people(2)), kept)
		f.equal("people of what is open", len(f.people(3)) > 10, true)
		for _, text := range []string{"bob@example.org", incident.Forgotten} {
			f.equal("found by "+text, f.pages(storage.IncidentQuery{Text: text, Limit: 10})[0], map[string][]int64{"bob@example.org": {3, 2}}[text])
		}
		f.equal("found by what was written", f.pages(storage.IncidentQuery{Text: "we look", Limit: 10})[0], []int64{3, 2, 1})

		after := f.leaves()
		f.equal("number of leaves", len(after), len(before))
		for i := range min(len(before), len(after)) {
			if !bytes.Equal(before[i].Record.Leaf, after[i].Record.Leaf) || before[i].Record.Index != after[i].Record.Index {
				f.Errorf("leaf %d is %d %s, was %d %s", i, after[i].Record.Index, after[i].Record.Leaf, before[i].Record.Index, before[i].Record.Leaf)
			}
			if after[i].Record.Personal == nil && after[i].Record.Salt != nil {
				f.Errorf("leaf %d: the salt is still there, so names can be tried", i)
			}
		}
		f.read(func(r storage.Snapshot) error {
			in, err := storage.IncidentOf(f.Context(), r, 1)
			if err != nil {
				return err
			}
			events, err := storage.EventsOf(f.Context(), r, 1, 0, 100)
			if err != nil {
				return err
			}
			var fold incident.Incident
			for _, e := range events {
				if err := fold.Apply(e); err != nil {
					return err
				}
			}
			a, _ := json.Marshal(in)
			b, _ := json.Marshal(fold)
			f.equal("state", string(a), string(b))
			subs, err := storage.SubscriptionsOf(f.Context(), r, 1)
			f.equal("readers", len(subs), 2)
			for i, s := range subs {
				if s.ToldAt.IsZero() || s.Reader != i+1 || !strings.HasPrefix(s.Recipient, incident.Forgotten) {
					f.Errorf("reader %+v", s)
				}
			}
			page, _, err2 := r.Deliveries(f.Context(), storage.DeliveryQuery{Incident: 1, Limit: 9})
			f.equal("deliveries", []int{len(page), page[0].Covers[0].Reader, page[1].Covers[0].Reader}, []int{2, 2, 1})
			f.equal("delivery", page[1].Address+page[1].Recipient+page[1].Error, strings.Repeat(incident.Forgotten, 3))
			f.equal("deliveries to who was forgotten", len(f.deliveryPages(storage.DeliveryQuery{Address: incident.Forgotten, Limit: 9})[0]), 2)
			for _, address := range to {
				for _, id := range f.deliveryPages(storage.DeliveryQuery{Address: address, Limit: 9})[0] {
					if id == page[0].ID || id == page[1].ID {
						f.Errorf("%s is still found by %s", id, address)
					}
				}
			}
			if err == nil {
				err = err2
			}
			return err
		})
		f.forget(f.now.Add(-50 * time.Hour))
	}},
	{"an incident with many deliveries is forgotten in parts", func(f *fixture) {
		f.live(1, f.now.Add(-100*time.Hour))
		for i := range 20 {
			d := f.newDelivery(fmt.Sprint(i), "ada@example.org", 1)
			d.State = incident.DeliveryDelivered
			f.deliver(d)
		}
		f.forget(f.now.Add(-50 * time.Hour))
		f.equal("people", f.people(1), []string(nil))
	}},
	{"who is still owed something is forgotten a day later", func(f *fixture) {
		f.live(1, f.now.Add(-100*time.Hour))
		due := f.owes(1, "zoe", f.now)
		due.Reader = 3
		f.subscribe(due)
		f.forget(f.now.Add(-50 * time.Hour))
		f.read(func(r storage.Snapshot) error {
			subs, err := storage.SubscriptionsOf(f.Context(), r, 1)
			f.equal("who is owed something", subs[len(subs)-1], due)
			return err
		})
		f.equal("people", f.people(1), []string(nil))
		done := due
		done.DueAt, done.Owed = time.Time{}, nil
		f.subscribe(done)
		zoe := func() (there bool) {
			f.read(func(r storage.Snapshot) error {
				subs, err := storage.SubscriptionsOf(f.Context(), r, 1)
				there = subs[len(subs)-1].Recipient == "zoe"
				return err
			})
			return there
		}
		f.forget(f.now.Add(-49 * time.Hour))
		f.equal("an hour later", zoe(), true)
		f.forget(f.now.Add(-20 * time.Hour))
		f.equal("a day later", zoe(), false)
	}},
	{"a message that is still being sent is forgotten a day later", func(f *fixture) {
		f.live(1, f.now.Add(-100*time.Hour))
		waits := f.newDelivery("waits", "ada@example.org", 1)
		waits.State = incident.DeliveryPending
		f.deliver(waits)
		f.forget(f.now.Add(-50 * time.Hour))
		f.equal("people", f.people(1), []string{"delivery waits"})
		waits.State = incident.DeliverySuperseded
		f.deliver(waits)
		f.forget(f.now.Add(-49 * time.Hour))
		f.equal("people an hour later", f.people(1), []string{"delivery waits", "record 0 of waits"})
		f.forget(f.now.Add(-20 * time.Hour))
		f.equal("people a day later", f.people(1), []string(nil))
	}},
	{"a digest is forgotten with the last of its incidents", func(f *fixture) {
		f.live(1, f.now.Add(-100*time.Hour))
		f.live(2, f.now.Add(-10*time.Hour))
		digest := f.newDelivery("digest", "ada@example.org", 1)
		digest.Covers = append(digest.Covers, incident.Cover{Incident: 2})
		digest.State = incident.DeliveryDelivered
		f.write(func(tx storage.Tx) error { return tx.PutDelivery(f.Context(), digest, []byte("ada")) })
		f.forget(f.now.Add(-50 * time.Hour))
		f.equal("one closed lately", f.people(1), []string{"delivery digest", "record 0 of digest", "message of digest"})
		f.forget(f.now)
		f.equal("all are old", append(f.people(1), f.people(2)...), []string(nil))
	}},
	{"what is known of a recipient goes once nobody claims it", func(f *fixture) {
		f.live(1, f.now.Add(-100*time.Hour))
		f.equal("attempts", f.attempt("ada@example.org"), int64(1))
		f.equal("attempts", f.attempt("ada@example.org"), int64(2))
		sent := f.newDelivery("sent", "bob@example.org", 1)
		sent.State, sent.SentAt = incident.DeliveryDelivered, f.now // long after it closed
		f.deliver(sent)
		f.equal("attempts", f.attempt("bob@example.org"), int64(1))
		f.subscribe(f.owes(99, "bob@example.org", f.ago(60)))
		claim := f.claim("x", time.Hour, 10)[0]
		f.subscribe(f.owes(99, "bob@example.org", time.Time{}))
		f.forget(f.now.Add(-50 * time.Hour))
		f.equal("attempts of one who was forgotten", f.attempt("ada@example.org"), int64(1))
		f.equal("people", f.people(1), []string{"readers"})
		if err := f.hold(&claim, time.Hour); err != nil {
			f.Errorf("the claim is lost: %v", err)
		}
		if err := f.release(&claim, time.Time{}, ""); err != nil {
			f.Error(err)
		}
		f.forget(f.now.Add(-20 * time.Hour))
		f.equal("people a day later", f.people(1), []string(nil))
		f.equal("attempts of the other", f.attempt("bob@example.org"), int64(1))
	}},
	{"messages about the watchdog are pruned, and their readers forgotten", func(f *fixture) {
		const old, young = "watchdog.1", "watchdog.2"
		for id, at := range map[string]time.Time{old: f.now.Add(-100 * time.Hour), young: f.now} {
			d := f.newDelivery(id, "ada", 0)
			d.Kind, d.Covers, d.State, d.FinishedAt = incident.KindWatchdog, []incident.Cover{{Kind: incident.KindWatchdog}}, incident.DeliveryDelivered, at
			f.write(func(tx storage.Tx) error { return tx.PutDelivery(f.Context(), d, []byte("ada")) })
		}
		bob, eve, zoe := f.notice("p", "bob", time.Time{}), f.notice("p", "eve", time.Time{}), f.notice("p", "zoe", f.now)
		bob.ToldAt, eve.ToldAt = f.now.Add(-100*time.Hour), f.now
		f.notify(bob, eve, zoe)

		f.equal("pruned", f.prune(time.Time{}, f.now.Add(-50*time.Hour), 10), 1)
		f.forget(f.now.Add(-50 * time.Hour))
		f.read(func(r storage.Snapshot) error {
			notices, err := r.Notices(f.Context(), "p")
			f.equal("readers", notices, []incident.Notice{eve, zoe})
			for id, want := range map[string]string{old: incident.Forgotten, young: "ada"} {
				d, err := storage.DeliveryOf(f.Context(), r, id)
				f.equal("recipient of "+id, d.Recipient, want)
				if err != nil {
					return err
				}
			}
			if _, err := r.Message(f.Context(), young); err != nil {
				return err
			}
			_, gone := r.Message(f.Context(), old)
			f.fails("message", gone, incident.ErrNotFound)
			return err
		})
	}},
	{"a reader of the watchdog whom somebody claims is forgotten later", func(f *fixture) {
		ada := f.notice("p", "ada", time.Time{})
		ada.ToldAt = f.ago(30)
		f.notify(ada)
		f.subscribe(f.owes(99, "ada", f.ago(5)))
		claim := f.claim("x", time.Hour, 1)[0]
		f.subscribe(f.owes(99, "ada", time.Time{}))
		f.forget(f.ago(10))
		f.equal("while claimed", f.notices("p"), []incident.Notice{ada})
		if err := f.release(&claim, time.Time{}, ""); err != nil {
			f.Error(err)
		}
		f.forget(f.ago(10))
		f.equal("later", f.notices("p"), []incident.Notice(nil))
	}},
	{"a message about the watchdog that is begun anew is old once it is over again", func(f *fixture) {
		f.about("one", incident.DeliveryFailed, f.ago(20))
		f.about("one", incident.DeliveryPending, time.Time{})
		kept := func() {
			f.Helper()
			f.equal("pruned", f.prune(time.Time{}, f.ago(10), 10), 0)
			f.forget(f.ago(10))
			f.read(func(r storage.Snapshot) error {
				d, err := storage.DeliveryOf(f.Context(), r, "one")
				f.equal("recipient", d.Recipient, "ada")
				return err
			})
		}
		kept()
		f.about("one", incident.DeliveryDelivered, f.ago(5))
		kept()
		f.equal("pruned", f.prune(time.Time{}, f.now, 10), 1)
		f.forget(f.now)
		f.read(func(r storage.Snapshot) error {
			d, err := storage.DeliveryOf(f.Context(), r, "one")
			f.equal("recipient", d.Recipient, incident.Forgotten)
			return err
		})
	}},
	{"of configurations that another followed, the public form is left", func(f *fixture) {
		loads := []storage.Loading{
			{Hash: "a", At: f.ago(50), Actor: "ada", Public: "pa"},
			{Hash: "b", At: f.ago(40), Actor: "bob", Public: "pb"},
			{Hash: "c", At: f.ago(30), Actor: "ada"},
			{Hash: "a", At: f.ago(20), Actor: incident.ActorScheduler, Public: "pa"},
			{Hash: "d", At: f.ago(10), Actor: "ada", Public: "pd"},
		}
		nobody := storage.Loading{Hash: "n", At: f.ago(60), Public: "n"} // it names nobody
		f.write(func(tx storage.Tx) error {
			return tx.PutConfig(f.Context(), nobody, storage.Config{Hash: "n", Body: []byte("body n")})
		})
		for _, l := range loads {
			f.write(func(tx storage.Tx) error {
				return tx.PutConfig(f.Context(), l, storage.Config{Hash: l.Hash, Body: []byte("body " + l.Hash)}, storage.Config{Hash: "p" + l.Hash, Body: []byte("public " + l.Hash)})
			})
		}
		bodies := func() (list []string) {
			f.Helper()
			f.read(func(r storage.Snapshot) error {
				all, err := storage.Loadings(f.Context(), r)
				if c, err := r.Config(f.Context(), "n"); err != nil || string(c.Body) != "body n" {
					f.Errorf("the one that names nobody: %+v, %v", c, err)
				}
				for _, l := range all[:min(5, len(all))] {
					c, whole, err := storage.ConfigOf(f.Context(), r, l)
					if err != nil {
						return err
					}
					if whole != (c.Hash == l.Hash) {
						f.Errorf("%s: whole %v", c.Hash, whole)
					}
					list = append(list, string(l.Actor)+" "+string(c.Body))
				}
				return err
			})
			return list
		}
		all := []string{"ada body d", "scheduler body a", "ada body c", "bob body b", "ada body a"}
		f.equal("at first", bodies(), all)
		f.forget(f.ago(40))
		f.equal("none was followed", bodies(), all)
		f.forget(f.ago(35))
		f.equal("one that came again", bodies(), []string{"ada body d", "scheduler body a", "ada body c", "bob body b", "forgotten body a"})
		f.forget(f.ago(15))
		f.equal("the one that came again is in force", bodies(), []string{"ada body d", "scheduler body a", "forgotten body c", "forgotten public b", "forgotten body a"})
		f.forget(f.now)
		f.equal("all but the one in force", bodies(), []string{"ada body d", "scheduler public a", "forgotten body c", "forgotten public b", "forgotten public a"})
	}},
	{"refusals and answers from before are gone", func(f *fixture) {
		for i := range 60 {
			at := f.ago(60)
			if i >= 40 {
				at = f.ago(10)
			}
			f.write(func(tx storage.Tx) error {
				if err := storage.PutRefusal(f.Context(), tx, storage.Refusal{At: at, Status: 400, Client: "ada"}); err != nil {
					return err
				}
				return tx.PutAnswer(f.Context(), storage.Answer{Key: fmt.Sprint(i), At: at})
			})
		}
		f.forget(f.ago(30))
		f.read(func(r storage.Snapshot) error {
			for i := range 60 {
				if _, err := r.Answer(f.Context(), fmt.Sprint(i)); (err == nil) != (i >= 40) {
					f.Errorf("answer %d: %v", i, err)
				}
			}
			refusals, err := storage.Refusals(f.Context(), r)
			for _, r := range refusals {
				if r.At.Before(f.ago(30)) {
					f.Errorf("refusal %+v", r)
				}
			}
			return err
		})
	}},
}
