package router_test

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sitrep/incident"
	"sitrep/incident/incidenttest"
	"sitrep/internal/command"
	"sitrep/router"
	"sitrep/router/routertest"
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
	w.Write(func(tx storage.Tx) (err error) {
		g, err = storage.EnterConfig(w.t.Context(), tx, owner, storage.Loading{Hash: p.Hash, At: w.Now(), Actor: incident.ActorStart})
		return err
	})
	return g
}

// As many replicas as there are: what one has to do is done as often as by one.
func TestOneReplicaDoesWhatOneHasToDo(t *testing.T) {
	type counts struct{ pruned, looked, asked int64 }
	count := func(replicas int, stopOne bool) (c counts) {
		synctest.Test(t, func(t *testing.T) {
			p := policy()
			p.Asks, p.UnknownAfter = true, 2*time.Hour
			w := newWorld(t, routertest.Options{Policy: p, Retention: router.Retention{Breaches: 24 * time.Hour}})
			w.Answer(incident.VerdictListed)
			w.enter("a", p)
			s := &shared{Store: w.Store()}
			var running []*routertest.Replica
			for _, owner := range []string{"a", "b", "c"}[:replicas] {
				running = append(running, w.StartReplica(routertest.Process{Store: s, Owner: owner}))
				w.Pass(7 * time.Second) // they do not start at once
			}
			w.Fire("p1", "a")
			w.Pass(2*time.Hour + 30*time.Second)
			if stopOne { // its work goes on
				running[0].Stop()
				running = running[1:]
			}
			w.Pass(2 * time.Hour)
			c = counts{s.pruned.Load(), s.looked.Load(), int64(w.Asked())}
			for _, r := range running {
				r.Stop()
			}
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
		w := newWorld(t, routertest.Options{Policy: before})
		s := &shared{Store: w.Store()}
		w.enter("a", before)
		w.StartReplica(routertest.Process{Store: s})
		w.Fire("p1", "a")
		w.Pass(time.Minute)
		w.Expect("cto opened", "support opened", "oncall opened")

		if g := w.enter("b", &after); g.Number != 2 {
			t.Fatalf("in force %+v", g)
		}
		b := w.StartReplica(routertest.Process{Store: s, Owner: "b", Policy: &after})
		w.Pass(time.Minute)
		w.Expect("ceo opened")
		for range 10 { // alerts and commands come to the one before
			fp := time.Now().Format(time.RFC3339)
			w.Fire("p1", fp)
			w.Do(1, command.Update{Message: "we look"})
			w.Pass(30 * time.Second)
			w.Expect("ceo update", "cto update", "support update")
		}
		w.Fire("p2", "b")
		w.Pass(5 * time.Second)
		w.Expect("ceo opened", "cto opened", "support opened", "oncall opened")
		if got := w.enter("a again", before).Hash; got != "after" {
			t.Errorf("started again: %s is in force", got)
		}

		b.Stop() // and is not started again
		w.Pass(30 * time.Second)
		w.Fire("p3", "c")
		w.Pass(20 * time.Second)
		w.Expect()
		w.Pass(40 * time.Second)
		w.Expect("support opened", "oncall opened")
		w.Do(2, command.Update{Message: "we look"})
		w.Pass(10 * time.Second)
		w.Expect("cto update", "support update")
		if got := w.Situation(1).Agenda.Generation; got != 3 {
			t.Errorf("reconciled under generation %d", got)
		}
	})
}

// Each replica finds out for itself that mail does not go out, at a time of its own, and the
// teams hear of it once; when it goes out again and then does not, they hear of that.
func TestTeamsHearOnceThatMailDoesNotGoOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := threeTeams()
		w := newWorld(t, routertest.Options{Policy: p, Poll: 5 * time.Second})
		w.enter("a", p)
		s := &shared{Store: w.Store()}
		refuses := refuseMails(routertest.ErrDown)
		w.Behave(refuses)
		w.Post(w.Alert("team0", "a"), w.Alert("team1", "b"), w.Alert("team2", "c"))
		var running []*routertest.Replica
		for _, owner := range []string{"a", "b", "c"} {
			running = append(running, w.StartReplica(routertest.Process{Store: s, Owner: owner}))
			w.Pass(45 * time.Second) // by then the one before has told
		}
		told := func() (reminders []string) {
			for _, m := range w.Mails() {
				if m.Kind == incident.KindReminder {
					reminders = append(reminders, m.To)
				}
			}
			slices.Sort(reminders)
			return reminders
		}
		all := []string{"https://hook000.example", "https://hook001.example", "https://hook002.example"}
		w.Pass(30 * time.Minute)
		if got := told(); !slices.Equal(got, all) {
			t.Errorf("told %q", got)
		}
		w.Behave(nil)
		w.Pass(15 * time.Minute)
		if got := told(); len(got) > 0 {
			t.Errorf("told %q once mail goes out", got)
		}
		w.Behave(refuses)
		for number := range int64(3) {
			w.Do(number+1, command.Update{Message: "we look"})
		}
		w.Pass(30 * time.Minute)
		if got := told(); !slices.Equal(got, all) {
			t.Errorf("told %q when it happens again", got)
		}
		for _, r := range running {
			r.Stop()
		}
	})
}

// The watchdog goes away and comes back: its readers hear that once, and what ended is looked
// for once, by however many replicas, also by one that starts meanwhile.
func TestTheWatchdogIsAwayForAllReplicasAtOnce(t *testing.T) {
	walked := func(replicas int) (n int64) {
		synctest.Test(t, func(t *testing.T) {
			p := withWatchdog()
			w := newWorld(t, routertest.Options{Policy: p})
			w.enter("a", p)
			s := &shared{Store: w.Store()}
			var running []*routertest.Replica
			for _, owner := range []string{"a", "b", "c"}[:replicas] {
				running = append(running, w.StartReplica(routertest.Process{Store: s, Owner: owner}))
				w.Pass(7 * time.Second)
			}
			dies, stays := w.Alert("p1", "a"), w.Alert("p1", "b")
			w.Post(routertest.Watchdog(), dies, stays)
			w.beat(time.Minute)
			w.Resolve(dies)
			w.Pass(time.Minute)
			w.Mails()
			before := s.walked.Load()
			w.Pass(20 * time.Minute)
			w.Expect("sre watchdog")
			if replicas > 1 {
				running = append(running, w.StartReplica(routertest.Process{Store: s, Owner: "d"}))
			}
			w.Pass(20 * time.Minute)
			w.Expect()
			n = s.walked.Load() - before
			if in := w.Situation(1).Incident; in.Breaches.Unknown != 1 || in.Breaches.Firing != 1 {
				t.Errorf("breaches %+v", in.Breaches)
			}
			if got := w.Events(1); len(got) != 5 { // it opened, two began, one ended
				t.Errorf("the end was doubted %d times", len(got)-4)
			}
			w.Post(routertest.Watchdog())
			w.Pass(5 * time.Second)
			w.Expect("sre watchdog")
			for _, r := range running {
				r.Stop()
			}
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
		w := newWorld(t, routertest.Options{Policy: before})
		s := &shared{Store: w.Store()}
		w.enter("a", before)
		a := w.StartReplica(routertest.Process{Store: s, Owner: "a"})
		w.beat(20 * time.Minute)
		w.enter("b", &after)
		b := w.StartReplica(routertest.Process{Store: s, Owner: "b", Policy: &after})
		w.Pass(30 * time.Second)
		// Posts come to the one that is behind.
		w.Resolve(routertest.Watchdog())
		w.Pass(5 * time.Second)
		w.Expect("sre watchdog", "newcomer watchdog")
		w.Post(routertest.Watchdog())
		w.Pass(5 * time.Second)
		w.Expect("sre watchdog", "newcomer watchdog")
		// It goes away, and is back before those who know whom to tell are there.
		w.Pass(5 * time.Minute)
		b.Stop()
		w.Resolve(routertest.Watchdog())
		w.Post(routertest.Watchdog())
		b = w.StartReplica(routertest.Process{Store: s, Owner: "b", Policy: &after})
		w.Pass(5 * time.Second)
		w.Expect()
		// Time alone makes it go away.
		w.Pass(20 * time.Minute)
		w.Expect("sre watchdog", "newcomer watchdog")
		w.Post(routertest.Watchdog())
		w.Pass(5 * time.Second)
		w.Expect("sre watchdog", "newcomer watchdog")
		a.Stop()
		b.Stop()
	})
}

// A roll-out takes somebody out of the watchdog's groups who is owed news of it.
func TestWhoIsTakenOutHearsNothingOfThePulse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		before := withWatchdog()
		after := *before
		after.Hash, after.Watchdog.Groups = "after", before.Management
		w := newWorld(t, routertest.Options{Policy: before})
		w.Behave(routertest.Refuse(routertest.ErrDown, "sre"))
		s := &shared{Store: w.Store()}
		w.enter("a", before)
		a := w.StartReplica(routertest.Process{Store: s, Owner: "a"})
		w.beat(5 * time.Minute)
		w.Resolve(routertest.Watchdog())
		w.Pass(time.Minute)
		w.enter("b", &after)
		b := w.StartReplica(routertest.Process{Store: s, Owner: "b", Policy: &after})
		w.Pass(3 * time.Second)
		b.Stop()
		w.Behave(nil)
		w.Pass(50 * time.Second)
		w.Expect()
		a.Stop()
	})
}
