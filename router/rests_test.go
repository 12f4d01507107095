package router_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sitrep/incident"
	"sitrep/incident/incidenttest"
	"sitrep/router"
	"sitrep/router/routertest"
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

// rests lets a replica run on a store that must be left alone now and then.
func rests(t *testing.T, p *incident.Policy, most int, test func(t *testing.T, w *world, s *restless)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, routertest.Options{Policy: p, Poll: 10 * time.Minute})
		s := &restless{Store: w.Store(), t: t, most: most}
		w.StartReplica(routertest.Process{Store: s})
		test(t, w, s)
	})
}

func TestWhileTheStoreFailsItIsTriedNowAndThen(t *testing.T) {
	rests(t, policy(), 1000, func(t *testing.T, w *world, s *restless) {
		w.Fire("p1", "a")
		w.Pass(time.Minute)
		w.Expect("cto opened", "support opened", "oncall opened")
		s.set(storage.ErrUnavailable)
		s.count()
		w.Pass(3 * time.Hour)
		if n := s.count(); n < 3600 || n > 20*3*3600 {
			t.Errorf("it was tried %d times in 3 h, want some times each second", n)
		}
		s.set(nil)
		w.Pass(time.Minute)
		w.Expect("cto update", "support update")
	})
}

func TestARecipientThatTakesNothingIsTriedNowAndThen(t *testing.T) {
	for name, how := range map[string]error{
		"it takes nothing":            fmt.Errorf("401: %w", router.ErrReader),
		"the message is refused":      errors.New("451 try again later"),
		"its server cannot be used":   routertest.ErrDown,
		"nobody knows whether it was": fmt.Errorf("no answer: %w", router.ErrUnknown),
	} {
		t.Run(name, func(t *testing.T) {
			rests(t, policy(), 1000, func(t *testing.T, w *world, s *restless) {
				w.Behave(routertest.Refuse(how, "cto"))
				w.Fire("p1", "a")
				w.Pass(time.Hour)
				tries := 0
				for _, try := range w.Attempts() {
					if try.To == "cto" {
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
		w := newWorld(t, routertest.Options{Policy: policy(), Poll: 10 * time.Minute})
		w.Fire("p1", "a")
		w.Write(func(tx storage.Tx) error {
			claims, err := tx.TakeLeases(t.Context(), w.Now(), "another", time.Hour, []string{"email:cto@example.org", "email:support@example.org", "email:oncall@example.org"})
			if len(claims) != 3 {
				t.Errorf("%d claims", len(claims))
			}
			return err
		})
		s := &restless{Store: w.Store(), t: t, most: 1000}
		w.StartReplica(routertest.Process{Store: s})
		w.Pass(30 * time.Minute)
		w.Expect()
		if n := s.count(); n > 200 {
			t.Errorf("the store was used %d times in half an hour", n)
		}
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
	rests(t, p, 5000, func(t *testing.T, w *world, s *restless) {
		w.Behave(routertest.Stall(5 * time.Second))
		for round := range 2 { // a hand that is not given back is missed sooner or later
			w.Fire(fmt.Sprint("p", round+1), fmt.Sprint(round))
			w.Pass(30 * time.Second)
			told := map[string]bool{}
			for _, m := range w.Mails() {
				told[m.To] = true
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
	rests(t, p, 10*incidents, func(t *testing.T, w *world, _ *restless) {
		w.Post(alerts...)
		w.Pass(10 * time.Minute)
		w.Reload(func(p *incident.Policy) {
			p.Hash, p.Groups[1].Recipients = "decaf", incidenttest.Mails("support", "new")
		})
		w.Pass(10 * time.Minute)
		missing := 0
		for i := range incidents {
			if w.Situation(int64(i+1)).Subscription("email:new@example.org") == nil {
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
	rests(t, silent(), 1000, func(t *testing.T, w *world, _ *restless) {
		w.Answer(incident.VerdictNotListed)
		for round := range 3 { // whoever is not done with the first asks no second
			a := w.Fire("p3", fmt.Sprint(round))
			w.Pass(time.Minute)
			w.Resolve(a)
			before := w.Asked()
			w.Pass(time.Hour)
			if s := w.Situation(int64(round + 1)).Incident.State; s != incident.StateResolved {
				t.Errorf("round %d: an hour after the end it is %s", round, s)
			}
			if n := w.Asked() - before; n < 1 || n > 5 {
				t.Errorf("round %d: asked %d times within an hour, want once before it resolves", round, n)
			}
			w.Pass(2 * time.Hour)
		}
	})
}

// A late sender is one whose far end says nothing until the attempt is given up.
type late struct {
	err   error // what the attempt ends with then
	begun chan struct{}
}

func (*late) Render(m *incident.Message) ([]byte, error) { return []byte(m.ID), nil }

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
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, routertest.Options{Policy: ctoAlone()})
				hangs := &late{c.err, make(chan struct{})}
				w.SendBy(hangs)
				a := w.Start()
				w.Fire("p1", "a")
				<-hangs.begun
				if took := a.Stop(); took < 10*time.Second {
					t.Errorf("a delivery that was under way was cut off after %v, want 10 s", took)
				}
				for _, d := range w.Deliveries() {
					if delivered := d.State == incident.DeliveryDelivered; delivered == c.again {
						t.Errorf("it is recorded as %s", d.State)
					}
				}
				w.SendBy(nil)
				w.StartReplica(routertest.Process{Owner: "b"})
				w.Pass(10 * time.Second)
				if n := len(w.Mails()); (n == 1) != c.again {
					t.Errorf("the next process sent it %d times within 10 s", n)
				}
			})
		})
	}
}

// TestADeliveryThatIsUnderWayIsFinished before Run returns, as the store is closed then.
func TestADeliveryThatIsUnderWayIsFinished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, routertest.Options{Policy: policy()})
		w.Behave(routertest.Stall(5 * time.Second))
		a := w.Start()
		w.Fire("p1", "a")
		w.Pass(2 * time.Second)
		if took := a.Stop(); took > 5*time.Second {
			t.Errorf("it took %v to stop, want at most 5 s", took)
		}
		for _, d := range w.Deliveries() {
			if d.State != incident.DeliveryDelivered {
				t.Errorf("Run has returned, and what it was sending to %s is %s", d.Recipient, d.State)
			}
		}
		w.Pass(10 * time.Second)
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
		w := newWorld(t, routertest.Options{Policy: silent()})
		asked := &lateAsker{make(chan struct{}), make(chan struct{})}
		w.Alertmanagers(asked)
		a := w.Start()
		x := w.Fire("p3", "a")
		w.Pass(time.Minute)
		w.Resolve(x)
		select {
		case <-asked.begun:
		case <-time.After(time.Hour):
			t.Fatal("nobody was asked before it resolves")
		}
		if took := a.Stop(); took > 3*time.Second {
			t.Errorf("it took %v to stop, want at most 3 s", took)
		}
		select {
		case <-asked.over:
		default:
			t.Error("Run has returned, and a question is under way")
		}
		w.Pass(time.Minute)
	})
}

// TestAClaimThatCouldNotBeExtendedIsUsedOn: the store fails for a while, and the delivery
// goes on as the claim still holds.
func TestAClaimThatCouldNotBeExtendedIsUsedOn(t *testing.T) {
	rests(t, ctoAlone(), 1000, func(t *testing.T, w *world, s *restless) {
		w.Behave(func(*routertest.Mail) error {
			time.Sleep(17 * time.Second)
			s.set(storage.ErrUnavailable)
			time.Sleep(2 * time.Second) // the claim is to be extended meanwhile
			s.set(nil)
			time.Sleep(2 * time.Second)
			return nil
		})
		w.Fire("p1", "a")
		w.Pass(time.Minute)
		w.Expect("cto opened")
		if d := w.Deliveries(); len(d) != 1 || d[0].State != incident.DeliveryDelivered {
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
		w := newWorld(t, routertest.Options{Policy: p, Poll: time.Second})
		s := &restless{Store: w.Store(), t: t, most: 1000}
		w.StartReplica(routertest.Process{Store: s})
		w.Fire("p1", "a")
		w.Pass(5 * time.Minute)
		w.Expect("cto opened", "support opened", "oncall opened")
		s.count()
		w.Pass(time.Minute)
		if n := s.count(); n > 80 {
			t.Errorf("%d transactions in a minute in which nothing happens, want about one a second", n)
		}
	})
}
