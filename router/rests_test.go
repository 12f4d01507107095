package router_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sitrep/incident"
	"sitrep/incident/incidenttest"
	"sitrep/router"
	"sitrep/storage"
)

// A restless store finds out whether who uses it ever rests: whoever does without time
// going on is stopped, as a test would wait for ever for the clock of its bubble.
type restless struct {
	storage.Store
	t    *testing.T
	most int // uses at one time

	mu    sync.Mutex
	at    time.Time
	uses  int // at that time
	all   int
	fails error // what all that is asked ends with; nil: it does not
}

// use counts, and returns an error if nothing is to be done.
func (s *restless) use(ctx context.Context) error {
	s.mu.Lock()
	if at := time.Now(); !at.Equal(s.at) {
		s.at, s.uses = at, 0
	}
	s.uses++
	s.all++
	if s.uses > s.most {
		if s.uses == s.most+1 {
			s.t.Errorf("it never rests: the store was used %d times at %s alone", s.uses, s.at.UTC().Format(time.DateTime))
		}
		s.mu.Unlock()
		<-ctx.Done()
		return ctx.Err()
	}
	defer s.mu.Unlock()
	return s.fails
}

func (s *restless) set(fails error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fails = fails
}

// count returns how often it was used since the last time.
func (s *restless) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.all
	s.all = 0
	return all
}

func (s *restless) Read(ctx context.Context, fn func(storage.Snapshot) error) error {
	if err := s.use(ctx); err != nil {
		return err
	}
	return s.Store.Read(ctx, fn)
}

func (s *restless) Write(ctx context.Context, fn func(storage.Tx) error) error {
	if err := s.use(ctx); err != nil {
		return err
	}
	return s.Store.Write(ctx, fn)
}

// ends stops a replica, which must not take longer than that, and returns how long it took.
func (r *replica) ends(t *testing.T, within time.Duration) time.Duration {
	t.Helper()
	start := time.Now()
	r.cancel()
	select {
	case <-r.done:
	case <-time.After(within + time.Hour):
		t.Fatal("it does not stop, and would be killed in the end")
	}
	took := time.Since(start)
	if took > within {
		t.Errorf("it took %v to stop, want at most %v", took, within)
	}
	return took
}

// rests lets a replica run on a store that must be left alone now and then.
func rests(t *testing.T, p *incident.Policy, most int, test func(t *testing.T, w *world, s *restless, a *replica)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, p)
		w.poll = 10 * time.Minute
		sleepUntil(noon)
		w.open()
		s := &restless{Store: w.store, t: t, most: most}
		a := w.run(s, "a")
		w.repo.Wake = a.scheduler.Wake
		test(t, w, s, a)
		a.ends(t, 10*time.Second)
		w.must(w.store.Close())
	})
}

func TestWhileTheStoreFailsItIsTriedNowAndThen(t *testing.T) {
	rests(t, policy(), 1000, func(t *testing.T, w *world, s *restless, _ *replica) {
		w.post(alert("p1", "a"))
		time.Sleep(time.Minute)
		w.expect("cto opened", "support opened", "oncall opened")
		s.set(storage.ErrUnavailable)
		s.count()
		time.Sleep(3 * time.Hour)
		if n := s.count(); n < 3600 || n > 20*3*3600 {
			t.Errorf("it was tried %d times in 3 h, want some times each second", n)
		}
		s.set(nil)
		time.Sleep(time.Minute)
		w.expect("cto update", "support update")
	})
}

func TestARecipientThatTakesNothingIsTriedNowAndThen(t *testing.T) {
	for name, how := range map[string]error{
		"it takes nothing":            fmt.Errorf("401: %w", router.ErrReader),
		"the message is refused":      errors.New("451 try again later"),
		"its server cannot be used":   errServer,
		"nobody knows whether it was": fmt.Errorf("no answer: %w", router.ErrUnknown),
	} {
		t.Run(name, func(t *testing.T) {
			rests(t, policy(), 1000, func(t *testing.T, w *world, s *restless, _ *replica) {
				w.mail.set(func(to string, _ router.Envelope) error {
					if to == "cto" {
						return how
					}
					return nil
				})
				w.post(alert("p1", "a"))
				time.Sleep(time.Hour)
				tries := 0
				for _, try := range w.mail.takeTries() {
					if try.to == "cto" {
						tries++
					}
				}
				if n := s.count(); tries < 4 || tries > 150 || n > 10_000 {
					t.Errorf("%d attempts, and the store was used %d times in an hour", tries, n)
				}
			})
		})
	}
}

// TestWhatAnotherHasClaimedIsLeftAlone: what is due and cannot be taken is no reason to look
// without end.
func TestWhatAnotherHasClaimedIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, policy())
		w.poll = 10 * time.Minute
		sleepUntil(noon)
		w.open()
		w.post(alert("p1", "a"))
		w.must(w.store.Write(t.Context(), func(tx storage.Tx) error {
			claims, err := tx.TakeLeases(t.Context(), clock(), "another", time.Hour, []string{"email:cto@example.org", "email:support@example.org", "email:oncall@example.org"})
			if len(claims) != 3 {
				t.Errorf("%d claims", len(claims))
			}
			return err
		}))
		s := &restless{Store: w.store, t: t, most: 1000}
		a := w.run(s, "a")
		time.Sleep(30 * time.Minute)
		w.expect()
		if n := s.count(); n > 200 {
			t.Errorf("the store was used %d times in half an hour", n)
		}
		a.ends(t, 10*time.Second)
		w.must(w.store.Close())
	})
}

// TestThoseWhoWaitForAHandGetIt: without waiting for the next look at the store.
func TestThoseWhoWaitForAHandGetIt(t *testing.T) {
	p := policy()
	var names []string
	for i := range 100 {
		names = append(names, fmt.Sprint("s", i))
	}
	p.Groups[1].Recipients = incidenttest.Mails(names...)
	rests(t, p, 5000, func(t *testing.T, w *world, s *restless, _ *replica) {
		w.mail.set(func(string, router.Envelope) error { time.Sleep(5 * time.Second); return nil })
		for round := range 2 { // a hand that is not given back is missed sooner or later
			w.post(alert(fmt.Sprint("p", round+1), fmt.Sprint(round)))
			time.Sleep(30 * time.Second)
			told := map[string]bool{}
			for _, m := range w.mail.take() {
				told[m.to] = true
			}
			for _, name := range names {
				if !told[name] {
					t.Fatalf("round %d: %d of %d were told within 30 s: hands are not given back, or nobody hears of it", round, len(told), len(names))
				}
			}
		}
	})
}

// TestAReloadReachesEveryIncident: those beyond the first page too, and each once.
func TestAReloadReachesEveryIncident(t *testing.T) {
	const incidents = 1100 // three pages
	p := policy()
	var alerts []incident.Alert
	for i := range incidents {
		id := fmt.Sprint("slo", i)
		p.SLOs = append(p.SLOs, incidenttest.SLO(id, "P3"))
		alerts = append(alerts, incidenttest.Firing(id, id, noon))
	}
	reloaded := *p
	reloaded.Hash, reloaded.Groups = "decaf", slices.Clone(p.Groups)
	reloaded.Groups[1].Recipients = incidenttest.Mails("support", "new")
	rests(t, p, 10*incidents, func(t *testing.T, w *world, _ *restless, a *replica) {
		w.post(alerts...)
		time.Sleep(10 * time.Minute)
		w.policy.Store(&reloaded)
		a.scheduler.Wake()
		time.Sleep(10 * time.Minute)
		missing := 0
		for i := range incidents {
			if w.situation(int64(i+1)).Subscription("email:new@example.org") == nil {
				missing++
			}
		}
		if missing > 0 {
			t.Errorf("%d of %d incidents do not know of who was put into the configuration", missing, incidents)
		}
	})
}

// TestAnAnswerSettlesTheQuestion: the Alertmanagers are asked again only where there is a
// new question.
func TestAnAnswerSettlesTheQuestion(t *testing.T) {
	rests(t, silent(), 1000, func(t *testing.T, w *world, _ *restless, _ *replica) {
		w.am.set(incident.VerdictNotListed)
		for round := range 3 { // whoever is not done with the first asks no second
			a := alert("p3", fmt.Sprint(round))
			w.post(a)
			time.Sleep(time.Minute)
			w.post(resolved(a))
			before := w.am.count()
			time.Sleep(time.Hour)
			if s := w.situation(int64(round + 1)).Incident.State; s != incident.StateResolved {
				t.Errorf("round %d: an hour after the end it is %s", round, s)
			}
			if n := w.am.count() - before; n < 1 || n > 5 {
				t.Errorf("round %d: asked %d times within an hour, want once before it resolves", round, n)
			}
			time.Sleep(2 * time.Hour)
		}
	})
}

// A late sender is one whose far end says nothing until the attempt is given up.
type late struct {
	*mailbox
	err   error // what the attempt ends with then
	begun chan struct{}
}

func (l *late) Send(ctx context.Context, e router.Envelope, leased func(context.Context) error) error {
	l.begun <- struct{}{}
	<-ctx.Done()
	return l.err
}

// TestADeliveryThatHangsDoesNotHoldUpTheStop: it gets its grace, what became of it is
// recorded, and the next process goes on with it at once.
func TestADeliveryThatHangsDoesNotHoldUpTheStop(t *testing.T) {
	for name, c := range map[string]struct {
		err   error
		again bool
	}{
		"it is given up":                 {context.Canceled, true},
		"it is taken at the last moment": {nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			p := policy()
			p.Groups = p.Groups[:1] // the cto alone
			p.Teams[0].OnCall = nil
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, p)
				sleepUntil(noon)
				w.open()
				hangs := &late{w.mail, c.err, make(chan struct{})}
				w.sender = hangs
				a := w.run(w.store, "a")
				w.post(alert("p1", "a"))
				<-hangs.begun
				if took := a.ends(t, 10*time.Second); took < 10*time.Second {
					t.Errorf("a delivery that was under way was cut off after %v, want 10 s", took)
				}
				for _, d := range w.deliveries() {
					if delivered := d.State == incident.DeliveryDelivered; delivered == c.again {
						t.Errorf("it is recorded as %s", d.State)
					}
				}
				w.sender = nil
				b := w.run(w.store, "b")
				time.Sleep(10 * time.Second)
				if n := len(w.mail.take()); (n == 1) != c.again {
					t.Errorf("the next process sent it %d times within 10 s", n)
				}
				b.ends(t, 10*time.Second)
				w.must(w.store.Close())
			})
		})
	}
}

// TestADeliveryThatIsUnderWayIsFinished before Run returns, as the store is closed then.
func TestADeliveryThatIsUnderWayIsFinished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, policy())
		sleepUntil(noon)
		w.open()
		w.mail.set(func(string, router.Envelope) error { time.Sleep(5 * time.Second); return nil })
		a := w.run(w.store, "a")
		w.post(alert("p1", "a"))
		time.Sleep(2 * time.Second)
		a.ends(t, 5*time.Second)
		for _, d := range w.deliveries() {
			if d.State != incident.DeliveryDelivered {
				t.Errorf("Run has returned, and what it was sending to %s is %s", d.Recipient, d.State)
			}
		}
		time.Sleep(10 * time.Second)
		w.must(w.store.Close())
	})
}

// A late asker is Alertmanagers that answer after a while, whoever has left.
type lateAsker struct {
	begun, over chan struct{}
}

func (s *lateAsker) Ask(context.Context) (incident.Answer, error) {
	close(s.begun)
	time.Sleep(3 * time.Second)
	close(s.over)
	return incident.Silent, nil
}

// TestAQuestionThatIsUnderWayIsWaitedFor before Run returns, as the store is closed then.
func TestAQuestionThatIsUnderWayIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, silent())
		sleepUntil(noon)
		w.open()
		asked := &lateAsker{make(chan struct{}), make(chan struct{})}
		w.asker = asked
		a := w.run(w.store, "a")
		x := alert("p3", "a")
		w.post(x)
		time.Sleep(time.Minute)
		w.post(resolved(x))
		select {
		case <-asked.begun:
		case <-time.After(time.Hour):
			t.Fatal("nobody was asked before it resolves")
		}
		a.ends(t, 3*time.Second)
		select {
		case <-asked.over:
		default:
			t.Error("Run has returned, and a question is under way")
		}
		time.Sleep(time.Minute)
		w.must(w.store.Close())
	})
}

// TestAClaimThatCouldNotBeExtendedIsUsedOn: the store fails for a while, and the delivery
// goes on as the claim still holds.
func TestAClaimThatCouldNotBeExtendedIsUsedOn(t *testing.T) {
	p := policy()
	p.Groups = p.Groups[:1] // the cto alone
	p.Teams[0].OnCall = nil
	rests(t, p, 1000, func(t *testing.T, w *world, s *restless, _ *replica) {
		w.mail.set(func(string, router.Envelope) error {
			time.Sleep(17 * time.Second)
			s.set(storage.ErrUnavailable)
			time.Sleep(2 * time.Second) // the claim is to be extended meanwhile
			s.set(nil)
			time.Sleep(2 * time.Second)
			return nil
		})
		w.post(alert("p1", "a"))
		time.Sleep(time.Minute)
		w.expect("cto opened")
		if d := w.deliveries(); len(d) != 1 || d[0].State != incident.DeliveryDelivered {
			t.Errorf("deliveries %+v", d)
		}
	})
}

// TestAnIdleReplicaAsksLittle: what many replicas ask of one database while nothing happens is
// little.
func TestAnIdleReplicaAsksLittle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := policy()
		p.Watchdog = incident.Watchdog{Within: 15 * time.Minute}
		w := newWorld(t, p)
		w.poll = time.Second
		sleepUntil(noon)
		w.open()
		s := &restless{Store: w.store, t: t, most: 1000}
		a := w.run(s, "a")
		w.repo.Wake = a.scheduler.Wake
		w.post(alert("p1", "a"))
		time.Sleep(5 * time.Minute)
		w.expect("cto opened", "support opened", "oncall opened")
		s.count()
		time.Sleep(time.Minute)
		if n := s.count(); n > 80 {
			t.Errorf("%d transactions in a minute in which nothing happens, want about one a second", n)
		}
		a.ends(t, 10*time.Second)
		w.must(w.store.Close())
	})
}
