package router_test

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sitrep/incident"
	"sitrep/incident/incidenttest"
	"sitrep/router"
	"sitrep/storage"
)

// A shared store is one that other processes may have, and counts what is done in it.
type shared struct {
	storage.Store
	pruned, looked, walked atomic.Int64 // by Prune, for alerts to forget, and through the open incidents
}

func (s *shared) Info(ctx context.Context) (storage.Info, error) {
	info, err := s.Store.Info(ctx)
	info.Shared = true
	return info, err
}

func (s *shared) Read(ctx context.Context, fn func(storage.Snapshot) error) error {
	return s.Store.Read(ctx, func(r storage.Snapshot) error { return fn(sharedReader{r, s}) })
}

func (s *shared) Write(ctx context.Context, fn func(storage.Tx) error) error {
	return s.Store.Write(ctx, func(tx storage.Tx) error { return fn(sharedTx{tx, s}) })
}

type sharedReader struct {
	storage.Snapshot
	s *shared
}

func (r sharedReader) UnmappedAlerts(ctx context.Context, limit int, cursor string) ([]incident.UnmappedAlert, string, error) {
	r.s.looked.Add(1)
	return r.Snapshot.UnmappedAlerts(ctx, limit, cursor)
}

func (r sharedReader) Incidents(ctx context.Context, q storage.IncidentQuery) ([]incident.Incident, string, error) {
	if q.State == incident.StateOpen {
		r.s.walked.Add(1)
	}
	return r.Snapshot.Incidents(ctx, q)
}

type sharedTx struct {
	storage.Tx
	s *shared
}

func (t sharedTx) Expired(ctx context.Context, what storage.Expiry, before time.Time, limit int) ([]storage.Expired, error) {
	if what == storage.ExpiryBreaches {
		t.s.pruned.Add(1)
	}
	return t.Tx.Expired(ctx, what, before, limit)
}

// enter loads the configuration of a replica.
func (w *world) enter(owner string, p *incident.Policy) (g storage.Generation) {
	w.t.Helper()
	w.must(w.store.Write(context.Background(), func(tx storage.Tx) (err error) {
		g, err = storage.EnterConfig(w.t.Context(), tx, owner, storage.Loading{Hash: p.Hash, At: clock(), Actor: incident.ActorStart})
		return err
	}))
	return g
}

// As many replicas as there are: what one has to do is done as often as by one.
func TestOneReplicaDoesWhatOneHasToDo(t *testing.T) {
	type counts struct{ pruned, looked, asked int64 }
	count := func(replicas int, stopOne bool) (c counts) {
		synctest.Test(t, func(t *testing.T) {
			p := policy()
			p.Asks, p.UnknownAfter = true, 2*time.Hour
			w := newWorld(t, p)
			w.keep = router.Retention{Breaches: 24 * time.Hour}
			w.am.set(incident.VerdictListed)
			sleepUntil(noon)
			w.open()
			w.enter("a", p)
			s := &shared{Store: w.store}
			var running []*replica
			for _, owner := range []string{"a", "b", "c"}[:replicas] {
				running = append(running, w.run(s, owner))
				time.Sleep(7 * time.Second) // they do not start at once
			}
			w.post(alert("p1", "a"))
			time.Sleep(2*time.Hour + 30*time.Second)
			if stopOne { // its work goes on
				running[0].stop()
				running = running[1:]
			}
			time.Sleep(2 * time.Hour)
			c = counts{s.pruned.Load(), s.looked.Load(), int64(w.am.count())}
			for _, r := range running {
				r.stop()
			}
			w.must(w.store.Close())
		})
		return c
	}
	one := count(1, false)
	if one.pruned != 5 || one.looked < 22 || one.looked > 28 || one.asked == 0 {
		t.Fatalf("one does %+v", one)
	}
	near := func(a, b int64) bool { return a-b >= -3 && a-b <= 3 }
	for _, stopOne := range []bool{false, true} {
		three := count(3, stopOne)
		if !near(three.pruned, one.pruned) || !near(three.looked, one.looked) || !near(three.asked, one.asked) {
			t.Errorf("three do %+v, one does %+v (one of three stops: %v)", three, one, stopOne)
		}
	}
}

// A configuration is rolled out: the one before serves on, tells nobody anything that the
// newest does not, and comes back into force once nobody has that.
func TestARollOutTellsNobodyWhatIsNotSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		before := policy()
		after := *before
		after.Hash, after.Groups = "after", slices.Clone(before.Groups)
		after.Groups[0].Recipients = incidenttest.Mails("cto", "ceo")
		w := newWorld(t, before)
		sleepUntil(noon)
		w.open()
		s := &shared{Store: w.store}
		w.enter("a", before)
		a := w.run(s, "a")
		w.repo.Wake = a.scheduler.Wake
		w.post(alert("p1", "a"))
		time.Sleep(time.Minute)
		w.expect("cto opened", "support opened", "oncall opened")

		if g := w.enter("b", &after); g.Number != 2 {
			t.Fatalf("in force %+v", g)
		}
		b := w.runBy(s, "b", func() *incident.Policy { return &after })
		time.Sleep(time.Minute)
		w.expect("ceo opened")
		for range 10 { // alerts and commands come to the one before
			fp := time.Now().Format(time.RFC3339)
			w.post(alert("p1", fp))
			w.must(w.do(1, func(in *incident.Incident, s incident.Stamp, p *incident.Policy) ([]incident.Event, error) {
				return in.WriteUpdate(s, p, "we look", nil)
			}))
			time.Sleep(30 * time.Second)
			w.expect("ceo update", "cto update", "support update")
		}
		w.post(alert("p2", "b"))
		time.Sleep(5 * time.Second)
		w.expect("ceo opened", "cto opened", "support opened", "oncall opened")
		if got := w.enter("a again", before).Hash; got != "after" {
			t.Errorf("started again: %s is in force", got)
		}

		b.stop() // and is not started again
		time.Sleep(30 * time.Second)
		w.post(alert("p3", "c"))
		time.Sleep(20 * time.Second)
		w.expect()
		time.Sleep(40 * time.Second)
		w.expect("support opened", "oncall opened")
		w.must(w.do(2, func(in *incident.Incident, s incident.Stamp, p *incident.Policy) ([]incident.Event, error) {
			return in.WriteUpdate(s, p, "we look", nil)
		}))
		time.Sleep(10 * time.Second)
		w.expect("cto update", "support update")
		if got := w.situation(1).Agenda.Generation; got != 3 {
			t.Errorf("reconciled under generation %d", got)
		}
		a.stop()
		w.must(w.store.Close())
	})
}

// Each replica finds out for itself that mail does not go out, at a time of its own, and the
// teams hear of it once; when it goes out again and then does not, they hear of that.
func TestTeamsHearOnceThatMailDoesNotGoOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := threeTeams()
		w := newWorld(t, p)
		sleepUntil(noon)
		w.open()
		w.enter("a", p)
		s := &shared{Store: w.store}
		refuses := func(to string, _ router.Envelope) error {
			if strings.HasPrefix(to, "https:") {
				return nil
			}
			return errServer
		}
		w.mail.set(refuses)
		w.post(alert("team0", "a"), alert("team1", "b"), alert("team2", "c"))
		var running []*replica
		for _, owner := range []string{"a", "b", "c"} {
			running = append(running, w.run(s, owner))
			time.Sleep(45 * time.Second) // by then the one before has told
		}
		told := func() (reminders []string) {
			for _, m := range w.mail.take() {
				if m.Kind == incident.KindReminder {
					reminders = append(reminders, m.to)
				}
			}
			slices.Sort(reminders)
			return reminders
		}
		all := []string{"https://hook000.example", "https://hook001.example", "https://hook002.example"}
		time.Sleep(30 * time.Minute)
		if got := told(); !slices.Equal(got, all) {
			t.Errorf("told %q", got)
		}
		w.mail.set(nil)
		time.Sleep(15 * time.Minute)
		if got := told(); len(got) > 0 {
			t.Errorf("told %q once mail goes out", got)
		}
		w.mail.set(refuses)
		for number := range int64(3) {
			w.must(w.do(number+1, func(in *incident.Incident, s incident.Stamp, p *incident.Policy) ([]incident.Event, error) {
				return in.WriteUpdate(s, p, "we look", nil)
			}))
		}
		time.Sleep(30 * time.Minute)
		if got := told(); !slices.Equal(got, all) {
			t.Errorf("told %q when it happens again", got)
		}
		for _, r := range running {
			r.stop()
		}
		w.must(w.store.Close())
	})
}

// The watchdog goes away and comes back: its readers hear that once, and what ended is looked
// for once, by however many replicas, also by one that starts meanwhile.
func TestTheWatchdogIsAwayForAllReplicasAtOnce(t *testing.T) {
	walked := func(replicas int) (n int64) {
		synctest.Test(t, func(t *testing.T) {
			p := withWatchdog()
			w := newWorld(t, p)
			sleepUntil(noon)
			w.open()
			w.enter("a", p)
			s := &shared{Store: w.store}
			var running []*replica
			for _, owner := range []string{"a", "b", "c"}[:replicas] {
				running = append(running, w.run(s, owner))
				time.Sleep(7 * time.Second)
			}
			dies, stays := alert("p1", "a"), alert("p1", "b")
			w.post(watchdog(), dies, stays)
			w.beat(time.Minute)
			w.post(resolved(dies))
			time.Sleep(time.Minute)
			w.mail.take()
			before := s.walked.Load()
			time.Sleep(20 * time.Minute)
			w.expect("sre watchdog")
			if replicas > 1 {
				running = append(running, w.run(s, "d"))
			}
			time.Sleep(20 * time.Minute)
			w.expect()
			n = s.walked.Load() - before
			if in := w.situation(1).Incident; in.Breaches.Unknown != 1 || in.Breaches.Firing != 1 {
				t.Errorf("breaches %+v", in.Breaches)
			}
			if got := w.log(1); len(got) != 5 { // it opened, two began, one ended
				t.Errorf("the end was doubted %d times", len(got)-4)
			}
			w.post(watchdog())
			time.Sleep(5 * time.Second)
			w.expect("sre watchdog")
			for _, r := range running {
				r.stop()
			}
			w.must(w.store.Close())
		})
		return n
	}
	if one, three := walked(1), walked(3); one != 1 || three != one {
		t.Errorf("one looks through the incidents %d times, three %d times", one, three)
	}
}

// Whom a replica knows that is behind hears nothing of a pulse that others were told of, and
// what it hears of the watchdog is told by those who have the newest configuration.
func TestWhoIsToldOfAPulseIsSaidByTheConfigurationInForce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		before := withWatchdog()
		before.Groups[len(before.Groups)-1] = incidenttest.Group("sre", "sre", "former")
		after := *before
		after.Hash, after.Groups = "after", slices.Clone(before.Groups)
		after.Groups[len(after.Groups)-1] = incidenttest.Group("sre", "sre", "newcomer")
		w := newWorld(t, before)
		sleepUntil(noon)
		w.open()
		s := &shared{Store: w.store}
		w.enter("a", before)
		a := w.run(s, "a")
		w.beat(20 * time.Minute)
		w.enter("b", &after)
		b := w.runBy(s, "b", func() *incident.Policy { return &after })
		time.Sleep(30 * time.Second)
		// Posts come to the one that is behind.
		w.post(resolved(watchdog()))
		time.Sleep(5 * time.Second)
		w.expect("sre watchdog", "newcomer watchdog")
		w.post(watchdog())
		time.Sleep(5 * time.Second)
		w.expect("sre watchdog", "newcomer watchdog")
		// It goes away, and is back before those who know whom to tell are there.
		time.Sleep(5 * time.Minute)
		b.stop()
		w.post(resolved(watchdog()))
		w.post(watchdog())
		b = w.runBy(s, "b", func() *incident.Policy { return &after })
		time.Sleep(5 * time.Second)
		w.expect()
		// Time alone makes it go away.
		time.Sleep(20 * time.Minute)
		w.expect("sre watchdog", "newcomer watchdog")
		w.post(watchdog())
		time.Sleep(5 * time.Second)
		w.expect("sre watchdog", "newcomer watchdog")
		a.stop()
		b.stop()
		w.must(w.store.Close())
	})
}

// A roll-out takes somebody out of the watchdog's groups who is owed news of it.
func TestWhoIsTakenOutHearsNothingOfThePulse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		before := withWatchdog()
		after := *before
		after.Hash, after.Watchdog.Groups = "after", before.Management
		w := newWorld(t, before)
		w.mail.set(down("sre"))
		sleepUntil(noon)
		w.open()
		s := &shared{Store: w.store}
		w.enter("a", before)
		a := w.run(s, "a")
		w.beat(5 * time.Minute)
		w.post(resolved(watchdog()))
		time.Sleep(time.Minute)
		w.enter("b", &after)
		b := w.runBy(s, "b", func() *incident.Policy { return &after })
		time.Sleep(3 * time.Second)
		b.stop()
		w.mail.set(nil)
		time.Sleep(50 * time.Second)
		w.expect()
		a.stop()
		w.must(w.store.Close())
	})
}
