package storagetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"time"

	"sitrep/incident"
	"sitrep/ledger"
	"sitrep/storage"
)

// copyable returns a store as one that can be copied.
func (f *fixture) copyable(s storage.Store) storage.Copyable {
	f.Helper()
	c, ok := s.(storage.Copyable)
	if !ok {
		f.Skip("the engine cannot be copied")
	}
	return c
}

// items returns all that is in a store, by kind.
func (f *fixture) items(s storage.Store) map[storage.ItemKind][]storage.Item {
	f.Helper()
	all := map[storage.ItemKind][]storage.Item{}
	for _, kind := range storage.ItemKinds() {
		for cursor, more := "", true; more; more = cursor != "" {
			err := f.copyable(s).Dump(f.Context(), func(d storage.Dumper) error {
				page, next, err := d.Dump(f.Context(), kind, cursor)
				if len(page) > storage.DumpItems && kind != storage.ItemPulses && kind != storage.ItemNotices {
					f.Errorf("a page has %d %s", len(page), kind)
				}
				if next != "" && len(page) == 0 {
					f.Errorf("a page of %s has nothing, and is not the last", kind)
				}
				all[kind], cursor = append(all[kind], page...), next
				return err
			})
			if err != nil {
				f.Fatal(err)
			}
		}
	}
	return all
}

// same makes sure that two stores have the same items.
func (f *fixture) same(a, b storage.Store) {
	f.Helper()
	x, y := f.items(a), f.items(b)
	for _, kind := range storage.ItemKinds() {
		if len(x[kind]) != len(y[kind]) {
			f.Errorf("%d and %d %s", len(x[kind]), len(y[kind]), kind)
			continue
		}
		for i := range x[kind] {
			if !reflect.DeepEqual(x[kind][i], y[kind][i]) {
				f.Errorf("%s, number %d:\n%+v\n%+v", kind, i, x[kind][i], y[kind][i])
			}
		}
	}
	if c, ok := b.(interface{ Check(context.Context) error }); ok {
		if err := c.Check(f.Context()); err != nil {
			f.Errorf("after copying: %v", err)
		}
	}
	if f.copied != nil {
		f.copied(f.T, a, b)
	}
}

// sign signs the log as it stands.
func (f *fixture) sign(s storage.Store, key *ledger.Key) {
	f.Helper()
	if _, err := storage.SignLog(f.Context(), s, key, f.now); err != nil {
		f.Fatal(err)
	}
}

func (f *fixture) newKey() *ledger.Key {
	f.Helper()
	key, err := ledger.GenerateKey("example.org/sitrep")
	if err != nil {
		f.Fatal(err)
	}
	return key
}

// fill puts something of each kind into the store, and more of some than a page has.
func (f *fixture) fill(key *ledger.Key) {
	f.Helper()
	g := f.now
	for i, hash := range []string{"h1", "h2", "h1", "h3"} {
		f.write(func(tx storage.Tx) error {
			l := storage.Loading{Hash: hash, At: f.now.Add(time.Duration(i-300) * time.Hour), Actor: "ada", Public: "p" + hash}
			return tx.PutConfig(f.Context(), l, storage.Config{Hash: hash, Body: []byte(hash)}, storage.Config{Hash: "p" + hash, Body: []byte("public")})
		})
	}
	f.live(1, f.now.Add(-400*time.Hour))
	f.live(2, f.now.Add(-20*time.Hour))
	f.live(3, time.Time{})
	f.awaitLog(f.size())
	f.sign(f.store, key)
	// The people of the first are forgotten, those of the second as far as some events.
	f.forget(f.now.Add(-100 * time.Hour))
	f.write(func(tx storage.Tx) error {
		_, err := storage.Forget(f.Context(), tx, f.now.Add(-10*time.Hour), 3)
		return err
	})
	drill := f.newIncident(4)
	drill.Drill, drill.Key, drill.Sequence = true, "k3", 2
	merged := f.newIncident(5)
	merged.State, merged.ClosedAt, merged.MergedInto = incident.StateClosed, f.ago(5), 3
	f.put(drill, merged)
	f.appendEvents(f.newEvents(4, 2)...)
	f.appendEvents(f.newEvents(5, 1)...)
	f.write(func(tx storage.Tx) error {
		return tx.PutAgendas(f.Context(), []incident.Agenda{{Incident: 3, NextAt: f.ago(2)}, {Incident: 4}, {Incident: 1, NextAt: f.now.Add(48 * time.Hour)}})
	})

	// Breaches: some that follow on each other, some that moved, some of no incident.
	for i := range 6 {
		number := int64(1 + i%3)
		if i > 2 {
			number = int64(1 + (i+2)%3) // not always after the one before
		}
		b := f.newBreach(fmt.Sprintf("%016x", i%3), number)
		b.Ordinal, b.State, b.EndsAt, b.EndHeardAt = int64(1+i/3), incident.BreachEnded, f.ago(50), f.ago(49)
		if i > 3 {
			b.State, b.EndsAt, b.EndHeardAt = incident.BreachFiring, time.Time{}, time.Time{}
		}
		if i == 5 {
			b.AskAt = f.ago(1)
		}
		f.breaches(b)
	}
	moved := *f.latestBreach(fmt.Sprintf("%016x", 1))
	moved.Incident = 4
	f.breaches(&moved)
	// One whose latest went, and what there was before not.
	for i, number := range []int64{3, 1} {
		b := f.newBreach("gone", number)
		b.Ordinal, b.State = int64(i+1), incident.BreachEnded
		f.breaches(b)
	}
	f.equal("pruned", f.prune(f.ago(60*300), time.Time{}, 100), 2)
	loose := f.newBreach("no hash", 0)
	loose.State = incident.BreachEnded
	f.breaches(loose, f.newBreach("long "+strings.Repeat("x", 2000), 3))

	f.write(func(tx storage.Tx) error {
		pulses := []incident.Pulse{{Name: "b", HeardAt: f.now}, {Name: "", Sequence: 1}, {Name: "aaa", AwaySince: f.ago(4), Untold: incident.DueWatchdogAway}}
		return tx.PutPulses(f.Context(), pulses, nil)
	})
	f.notify(f.notice("aaa", "ada", f.ago(3)), f.notice("b", "bob", time.Time{}), f.notice("", "zoe", f.now.Add(24*time.Hour)))
	f.subscribe(f.owes(3, "ada", f.ago(30)), f.owes(4, "ada", f.ago(20)), f.owes(3, "bob", f.ago(10)), f.owes(3, "eve", f.now.Add(24*time.Hour)))
	f.about("watchdog", incident.DeliveryDelivered, f.ago(7))

	// Leases: one failed and waits, one failed before.
	claims := f.claim("x", long, 10)
	for i := range claims {
		switch claims[i].Recipient {
		case "ada":
			f.fails("release", f.release(&claims[i], f.now.Add(24*time.Hour), "451 not now"), nil)
		case "bob":
			f.fails("release", f.release(&claims[i], time.Time{}, "451 nor here"), nil)
		}
	}
	waits := f.newDelivery("waits", "bob", 3)
	waits.Attempts, waits.RetryAt, waits.RefusedAt, waits.Error = 4, f.now.Add(24*time.Hour), f.ago(1), "451"
	told := f.newDelivery("told", "eve", 2)
	told.State, told.SentAt, told.FinishedAt = incident.DeliveryDelivered, f.ago(1), f.ago(1)
	f.deliver(f.newDelivery("goes", "zoe", 3), waits, told)
	for i := range 3 {
		d := f.newDelivery(fmt.Sprint("large ", i), "zoe", 2)
		d.State, d.FinishedAt = incident.DeliveryFailed, f.ago(1)
		f.write(func(tx storage.Tx) error { return tx.PutDelivery(f.Context(), d, make([]byte, storage.DumpBytes/2)) })
	}

	f.write(func(tx storage.Tx) error {
		var all []*incident.UnmappedAlert
		for i := range storage.DumpItems + 10 {
			all = append(all, f.newUnmapped(fmt.Sprint("unmapped ", i)))
		}
		err := tx.PutUnmapped(f.Context(), all, nil)
		for i := range storage.JournalKept + 3 {
			if err == nil {
				err = storage.PutRefusal(f.Context(), tx, storage.Refusal{At: f.ago(200 - i), Status: 400 + i%2})
			}
		}
		if err == nil {
			err = storage.PutAmbiguities(f.Context(), tx, []storage.Ambiguity{{At: f.ago(2), SLO: "a"}, {At: f.ago(1), SLO: "b"}})
		}
		for i := range 3 {
			if err == nil {
				err = storage.PutOutage(f.Context(), tx, storage.Outage{From: f.ago(300 - i), To: f.ago(200)})
			}
		}
		for _, name := range []string{"zz", "yyy", strings.Repeat("long", 500), "later"} {
			a := storage.Answer{Key: name, Request: "r" + name, At: f.ago(60), Status: 201, Body: []byte("{}")}
			if name == "later" {
				a.At = f.ago(59)
			}
			if err == nil {
				err = tx.PutAnswer(f.Context(), a)
			}
		}
		if err == nil {
			err = tx.PutAlive(f.Context(), storage.Replica{Owner: "x", SeenAt: f.ago(5)})
		}
		return err
	})
	f.equal("now", f.now.Sub(g) < time.Minute, true)
	f.awaitLog(f.size())
	f.sign(f.store, key)
}

// size is how many leaves the log has once all that was recorded has its place.
func (f *fixture) size() (n int64) {
	f.Helper()
	f.read(func(r storage.Snapshot) error {
		loadings, err := storage.LoadingRecords(f.Context(), r)
		n = int64(len(loadings))
		for number := range int64(9) {
			events, err := storage.EventRecords(f.Context(), r, number, 0, 1000)
			if err != nil {
				return err
			}
			n += int64(len(events))
		}
		for cursor := ""; err == nil; {
			var page []incident.Delivery
			page, cursor, err = r.Deliveries(f.Context(), storage.DeliveryQuery{Limit: 100, Cursor: cursor})
			for i := range page {
				records, err := storage.DeliveryRecords(f.Context(), r, page[i].ID)
				if err != nil {
					return err
				}
				n += int64(len(records))
			}
			if cursor == "" {
				break
			}
		}
		return err
	})
	return n
}

// answersAlike makes sure that two stores answer all kinds of questions in the same way.
func (f *fixture) answersAlike(a, b storage.Store) {
	f.Helper()
	x, y := f.answers(a), f.answers(b)
	for i := range x {
		if x[i] != y[i] {
			same := 0
			for same < min(len(x[i]), len(y[i])) && x[i][same] == y[i][same] {
				same++
			}
			same = max(0, same-100)
			f.Errorf("%.30s: one says\n…%.400s\nand the other\n…%.400s", x[i], x[i][same:], y[i][same:])
		}
	}
}

// answers is what a store answers to all kinds of questions.
func (f *fixture) answers(s storage.Store) (all []string) {
	f.Helper()
	ctx, later := f.Context(), f.now.Add(72*time.Hour)
	err := s.Read(ctx, func(r storage.Snapshot) error {
		var failed error
		say := func(what string, v any, err error) {
			all = append(all, fmt.Sprintf("%s: %+v", what, v))
			failed = errors.Join(failed, err)
		}
		for _, now := range []time.Time{f.now, later} {
			waiting, err := r.Waiting(ctx, now, 100)
			say("waiting", waiting, err)
			due, err := r.DueAgendas(ctx, now, 100)
			say("agendas", due, err)
			n, oldest, err := r.Backlog(ctx, now)
			say("backlog", []any{n, oldest}, err)
			next, err := r.NextDue(ctx, now)
			say("next due", next, err)
			readers, _, err := r.DueReaders(ctx, now, 100, "")
			say("due readers", readers, err)
			held, err := r.Backoffs(ctx, []string{"ada", "bob", "eve", "zoe"}, now)
			say("backoffs", held, err)
			for _, by := range []storage.BreachTime{storage.BreachesSilent, storage.BreachesToAsk} {
				breaches, err := r.DueBreaches(ctx, by, now, 100)
				say("due breaches", breaches, err)
			}
			for _, what := range []storage.Expiry{storage.ExpiryBreaches, storage.ExpiryMessages, storage.ExpiryPeople, storage.ExpiryWatchdogMessage, storage.ExpiryWatchdogPeople} {
				old, err := r.Expired(ctx, what, now, 100)
				for i := range old {
					old[i].Stage.Delivery = "" // a cursor
				}
				say("expired", old, err)
			}
		}
		for _, q := range []storage.IncidentQuery{
			{}, {State: incident.StateOpen}, {Priority: "P1"}, {Team: "blue"}, {NoTeam: true}, {SLO: "slo-4"}, {Text: "we look"}, {Text: "bob@example.org"}, {Text: "INC-4"},
		} {
			q.Limit = 50
			page, _, err := r.Incidents(ctx, q)
			say("incidents", page, err)
		}
		for _, q := range []storage.DeliveryQuery{
			{}, {Incident: 3}, {State: incident.DeliveryPending}, {Address: "bob@example.org"}, {Group: "leadership"}, {From: f.ago(5)}, {ID: "told"}, {Message: true, OldestFirst: true},
		} {
			q.Limit = 50
			page, _, err := r.Deliveries(ctx, q)
			say("deliveries", page, err)
		}
		latest, err := r.LatestOf(ctx, []string{"k1", "k2", "k3", "slo-4", "slo-5", "none"})
		say("latest", latest, err)
		under, err := r.LatestUnder(ctx, "k")
		say("latest under", under, err)
		for _, fp := range []string{fmt.Sprintf("%016x", 0), fmt.Sprintf("%016x", 1), fmt.Sprintf("%016x", 2), "gone", "no hash", "long " + strings.Repeat("x", 2000)} {
			breach, err := storage.LatestBreach(ctx, r, fp)
			if breach == nil {
				breach = new(incident.Breach)
			}
			say("breach", *breach, err)
		}
		states, err := r.RecipientStates(ctx, []string{"ada", "bob", "eve", "zoe"})
		say("recipients", states, err)
		head, err := r.LogHead(ctx)
		say("head", head, err)
		loadings, err := r.RememberedLoadings(ctx)
		say("loadings", loadings, err)
		generation, err := r.Generation(ctx)
		say("generation", generation, err)
		for _, name := range []string{"zz", strings.Repeat("long", 500)} {
			answer, err := r.Answer(ctx, name)
			say("answer", answer, err)
		}
		for _, j := range []storage.Journal{storage.JournalRefusals, storage.JournalAmbiguities, storage.JournalOutages} {
			entries, err := r.Journal(ctx, j, 1000)
			say(string(j), entries, err)
		}
		open, err := storage.OpenIncidents(ctx, r)
		say("open", open, err)
		return failed
	})
	if err != nil {
		f.Fatal(err)
	}
	return all
}

// A flawed store fails or does otherwise when something is loaded into it.
type flawed struct {
	storage.Copyable
	// before and after are asked before and after each commit.
	before, after func() error
	// change is given each page, and returns what is loaded; nil is fine.
	change func(page []storage.Item) []storage.Item
}

type flawedLoader struct {
	storage.Loader
	change func(page []storage.Item) []storage.Item
}

func (l flawedLoader) Load(ctx context.Context, page []storage.Item) error {
	if l.change != nil {
		page = l.change(page)
	}
	return l.Loader.Load(ctx, page)
}

func (s flawed) Load(ctx context.Context, fn func(storage.Loader) error) error {
	if s.before != nil {
		if err := s.before(); err != nil {
			return err
		}
	}
	if err := s.Copyable.Load(ctx, func(l storage.Loader) error { return fn(flawedLoader{l, s.change}) }); err != nil || s.after == nil {
		return err
	}
	return s.after()
}

var errInterrupted = errors.New("interrupted")

var copyRules = []rule{
	{"a copy is what the store is", func(f *fixture) {
		f.copyable(f.store)
		key, to := f.newKey(), f.fresh()
		f.fill(key)
		var last storage.CopyProgress
		copied, err := storage.Copy(f.Context(), f.copyable(f.store), f.copyable(to), storage.CopyOptions{Progress: func(p storage.CopyProgress) { last = p }})
		if err != nil {
			f.Fatal(err)
		}
		n := int64(0)
		for kind, items := range f.items(f.store) {
			if len(items) == 0 {
				f.Errorf("there are no %s to be copied", kind)
			}
			f.equal(string(kind), copied.Items[kind], int64(len(items)))
			n += int64(len(items))
		}
		f.equal("progress", last, storage.CopyProgress{Comparing: true, Kind: storage.ItemMarks, Done: n, Total: n})
		f.same(f.store, to)
		f.answersAlike(to, f.store)

		// Both go on in the same way, and what was signed before holds after.
		for _, s := range []storage.Store{f.store, to} {
			err := s.Write(f.Context(), func(tx storage.Tx) error {
				number, err := tx.NextNumber(f.Context())
				f.equal("next number", number, int64(6))
				if err == nil {
					err = tx.AppendEvents(f.Context(), f.newEvents(number, 1))
				}
				in := f.newIncident(number)
				if err == nil {
					err = tx.PutIncidents(f.Context(), []*incident.Incident{in})
				}
				b := f.newBreach("again", number)
				b.Ordinal = 1
				if err == nil {
					err = tx.PutBreaches(f.Context(), []*incident.Breach{b})
				}
				if err == nil {
					err = tx.PutDelivery(f.Context(), f.newDelivery("again", "ada", number), nil)
				}
				if err == nil {
					err = tx.PutConfig(f.Context(), storage.Loading{Hash: "h1", At: f.now}, storage.Config{Hash: "h1", Body: []byte("h1")})
				}
				return err
			})
			if err != nil {
				f.Fatal(err)
			}
		}
		size := f.size()
		f.awaitLogOf(f.store, size)
		f.awaitLogOf(to, size)
		f.answersAlike(to, f.store)
		f.sign(to, key)
	}},
	{"a copy by way of another engine is what the store is", func(f *fixture) {
		if f.foreign == nil {
			f.Skip("the tests of the other engine try that")
		}
		there := f.foreign()
		for _, from := range []struct {
			store, way, back storage.Store
		}{
			{f.store, f.foreign(), f.fresh()},
			{there, f.fresh(), f.foreign()},
		} {
			g := *f
			g.store, g.other, g.copied = from.store, from.store, nil
			key := g.newKey()
			g.fill(key)
			for _, pair := range [][2]storage.Store{{from.store, from.way}, {from.way, from.back}} {
				if _, err := storage.Copy(f.Context(), g.copyable(pair[0]), g.copyable(pair[1]), storage.CopyOptions{}); err != nil {
					f.Fatal(err)
				}
			}
			g.same(from.store, from.back)
			g.answersAlike(from.store, from.way)
			g.answersAlike(from.store, from.back)
			// What was signed before is what is signed after.
			g.sign(from.way, key)
			g.sign(from.back, key)
		}
	}},
	{"a copy that was interrupted goes on where it ended", func(f *fixture) {
		f.copyable(f.store)
		f.fill(f.newKey())
		seed := uint64(time.Now().UnixNano())
		f.Logf("seed %d", seed)
		random := rand.New(rand.NewPCG(seed, 1))
		to, tries, loaded := f.fresh(), 0, 0
		for done := false; !done; tries++ {
			left := random.IntN(5)
			stop := func(now bool) error {
				if left--; left < 0 && now {
					return errInterrupted
				}
				return nil
			}
			before := random.IntN(2) == 0
			in := flawed{
				Copyable: f.copyable(to), before: func() error { return stop(before) }, after: func() error { return stop(!before) },
				change: func(page []storage.Item) []storage.Item {
					loaded += len(page)
					return page
				},
			}
			_, err := storage.Copy(f.Context(), f.copyable(f.store), in, storage.CopyOptions{From: "a", To: "b"})
			if done = err == nil; !done && !errors.Is(err, errInterrupted) {
				f.Fatal(err)
			}
			err = f.copyable(to).Dump(f.Context(), func(d storage.Dumper) error {
				s, err := d.Unfinished(f.Context())
				// The last commit may have been interrupted once it was done, the first before.
				done = s == nil && loaded > 0
				return err
			})
			if err != nil {
				f.Fatal(err)
			}
			if tries > 1000 {
				f.Fatal("copying does not end")
			}
		}
		n := 0
		for _, items := range f.items(f.store) {
			n += len(items)
		}
		f.equal("loaded", loaded, n)
		f.same(f.store, to)
		f.answersAlike(to, f.store)
	}},
	{"nothing is copied to a store that is not empty", func(f *fixture) {
		to := f.fresh()
		from := f.copyable(f.store)
		f.write(func(tx storage.Tx) error {
			return tx.PutAlive(f.Context(), storage.Replica{Owner: "x", SeenAt: f.ago(5)})
		})
		if err := to.Write(f.Context(), func(tx storage.Tx) error {
			return tx.PutUnmapped(f.Context(), []*incident.UnmappedAlert{f.newUnmapped("a")}, nil)
		}); err != nil {
			f.Fatal(err)
		}
		_, err := storage.Copy(f.Context(), from, f.copyable(to), storage.CopyOptions{})
		f.fails("copied to what is in use", err, storage.ErrOccupied)
		f.equal("marks", len(f.items(to)[storage.ItemMarks]), 0)
	}},
	{"what a process has is not copied, if others may have it too", func(f *fixture) {
		from, to := f.copyable(f.store), f.copyable(f.fresh())
		info, err := from.Info(f.Context())
		if err != nil {
			f.Fatal(err)
		}
		at, err := from.Clock(f.Context())
		if err != nil {
			f.Fatal(err)
		}
		for i, ago := range []time.Duration{100 * time.Second, 130 * time.Second} {
			f.write(func(tx storage.Tx) error {
				return tx.PutAlive(f.Context(), storage.Replica{Owner: "x", Instance: "host:1", SeenAt: at.Add(-ago)})
			})
			_, err = storage.Copy(f.Context(), from, to, storage.CopyOptions{})
			if info.Shared && i == 0 {
				f.fails("copied", err, storage.ErrInUse)
			} else if err != nil {
				f.Errorf("not copied: %v", err)
			}
			if !info.Shared {
				return
			}
		}
	}},
	{"a copy that was begun is gone on with from the same store alone, as it was", func(f *fixture) {
		from, to := f.copyable(f.store), f.fresh()
		f.put(f.newIncident(1))
		f.appendEvents(f.newEvents(1, 2)...)
		f.awaitLog(2)
		n := 0
		in := flawed{Copyable: f.copyable(to), before: func() error {
			if n++; n > 3 {
				return errInterrupted
			}
			return nil
		}}
		_, err := storage.Copy(f.Context(), from, in, storage.CopyOptions{From: "a"})
		f.fails("interrupted", err, errInterrupted)
		_, err = storage.Copy(f.Context(), f.copyable(to), f.copyable(f.fresh()), storage.CopyOptions{})
		f.fails("copy of what is not whole", err, storage.ErrUnfinished)
		_, err = storage.Copy(f.Context(), f.copyable(f.fresh()), f.copyable(to), storage.CopyOptions{})
		f.fails("copy of another", err, storage.ErrOccupied)
		f.appendEvents(f.newEvents(2, 1)...)
		f.awaitLog(3)
		_, err = storage.Copy(f.Context(), from, f.copyable(to), storage.CopyOptions{})
		f.fails("copy of what has changed", err, storage.ErrOccupied)
	}},
	{"a copy that is not the same is not whole", func(f *fixture) {
		for _, kind := range []string{"changed", "left out"} {
			from, to := f.copyable(f.store), f.fresh()
			f.subscribe(f.owes(1, "ada", f.now), f.owes(1, "bob", f.now))
			in := flawed{Copyable: f.copyable(to), change: func(page []storage.Item) []storage.Item {
				if x, ok := page[len(page)-1].(*storage.SubscriptionItem); ok {
					if kind == "left out" {
						return page[:len(page)-1]
					}
					x.Subscription.Told = true
				}
				return page
			}}
			for range 2 {
				_, err := storage.Copy(f.Context(), from, in, storage.CopyOptions{})
				f.fails(kind, err, storage.ErrDamaged)
			}
			_, err := storage.Copy(f.Context(), f.copyable(to), f.copyable(f.fresh()), storage.CopyOptions{})
			f.fails(kind+", and used", err, storage.ErrUnfinished)
		}
	}},
	{"a ledger that is not what was signed is not copied", func(f *fixture) {
		from, to := f.copyable(f.store), f.copyable(f.fresh())
		f.appendEvents(f.newEvents(1, 2)...)
		f.put(f.newIncident(1))
		f.awaitLog(2)
		f.sign(f.store, f.newKey())
		signed, err := f.newKey().Sign(ledger.Checkpoint{Size: 1, Root: ledger.Hash{1}, At: f.now})
		if err != nil {
			f.Fatal(err)
		}
		f.write(func(tx storage.Tx) error { return tx.PutCheckpoint(f.Context(), 1, signed) })
		_, err = storage.Copy(f.Context(), from, to, storage.CopyOptions{})
		f.fails("copied", err, storage.ErrDamaged)
	}},
}
