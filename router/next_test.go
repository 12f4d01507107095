package router_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"sitrep/incident"
	"sitrep/router"
	"sitrep/router/routertest"
	"sitrep/storage"
)

// next is by when a reader of an incident is told next, and since when that is late, as pages
// and the API say it now.
func (w *world) next(number int64) (by, lateSince time.Time) {
	w.t.Helper()
	w.Read(func(r storage.Snapshot) error {
		s, err := storage.Situation(w.t.Context(), r, number)
		if err != nil {
			return err
		}
		if err := w.Repository().Tries(r, w.Now()).Note(w.t.Context(), s); err != nil {
			return err
		}
		by, lateSince = s.NextUpdate(w.Policy())
		return nil
	})
	return by, lateSince
}

// refusing refuses mails to those who are informed, and takes what goes to the team, unless
// that would be a verdict.
func refusing(err error) func(*routertest.Mail) error {
	return func(m *routertest.Mail) error {
		if m.To == "oncall" && !errors.Is(err, router.ErrDoubtful) {
			return nil
		}
		return err
	}
}

// later is a failure after which the other side asked for some time.
func later(wait time.Duration, err error) error { return &router.Later{Wait: wait, Err: err} }

var errBusyReader = fmt.Errorf("429: %w", router.ErrReader)

// What refuses, and how long the waits are at most.
var refusals = map[string]struct {
	err  error
	wait time.Duration
}{
	"the message":                  {errLater, time.Minute},
	"the message, and asks for it": {later(20*time.Minute, errLater), 20 * time.Minute},
	"the set-up":                   {errSetup, time.Minute},
	"until there is a verdict":     {errDoubt, time.Minute},
	"outcome unknown":              {fmt.Errorf("no answer: %w", router.ErrUnknown), time.Minute},
	"the reader":                   {errBusyReader, time.Minute},
	"the reader, and asks for it":  {later(time.Hour, errBusyReader), time.Hour},
	"the server":                   {routertest.ErrDown, time.Minute},
	"the server, and asks for it":  {later(30*time.Minute, routertest.ErrDown), 30 * time.Minute},
	"the rate":                     {later(15*time.Minute, fmt.Errorf("454: %w", router.ErrRate)), 15 * time.Minute},
}

// watch looks each half minute for some time at what is said of an incident: never a time that
// has passed, and never one by which nothing is tried.
func (w *world) watch(number int64, during, wait time.Duration) {
	w.t.Helper()
	for end := time.Now().Add(during); time.Now().Before(end); time.Sleep(30 * time.Second) {
		w.Attempts()
		now := w.Now()
		by, _ := w.next(number)
		if by.IsZero() {
			continue
		}
		if !by.After(now) {
			w.t.Fatalf("at %v: by %v, which has passed", now, by)
		}
		if by.Sub(now) > wait+wait/5+3*time.Minute {
			continue // a promise that is not near
		}
		w.Pass(by.Sub(now))
		if len(w.Attempts()) == 0 {
			w.t.Fatalf("at %v: by %v, and nothing was tried until then", now, by)
		}
	}
}

func TestTheNextUpdateIsTheRealNextTry(t *testing.T) {
	for name, refusal := range refusals {
		t.Run("an update, refused by "+name, func(t *testing.T) {
			bubble(t, policy(), func(t *testing.T, w *world) {
				w.Fire("p1", "a")
				w.Pass(time.Minute)
				w.Expect("cto opened", "support opened", "oncall opened")
				promised, late := w.next(1)
				if !promised.Equal(noon.Add(2*time.Hour+time.Minute)) || !late.IsZero() {
					t.Fatalf("promised %v, late since %v", promised, late)
				}
				w.Behave(refusing(refusal.err))
				w.Until(promised.Add(30 * time.Second))
				w.Mails()
				by, late := w.next(1)
				if !by.After(w.Now()) || !late.Equal(promised) {
					t.Errorf("by %v, late since %v", by, late)
				}
				w.watch(1, max(30*time.Minute, 2*refusal.wait), refusal.wait)
				w.Behave(nil)
				w.Pass(refusal.wait + refusal.wait/5 + 3*time.Minute)
				if by, late := w.next(1); !late.IsZero() || by.Sub(w.Now()) > 2*time.Hour+2*time.Minute || !by.After(w.Now()) {
					t.Errorf("mended: by %v, late since %v", by, late)
				}
			})
		})
		t.Run("an opening, refused by "+name, func(t *testing.T) {
			bubble(t, policy(), func(t *testing.T, w *world) {
				w.Behave(refusing(refusal.err))
				w.Fire("p3", "a")
				w.Pass(2*time.Minute + time.Second)
				by, late := w.next(1)
				if !by.After(w.Now()) || by.Sub(w.Now()) > refusal.wait+3*time.Minute || !late.Equal(noon.Add(time.Minute)) {
					t.Errorf("by %v, late since %v", by, late)
				}
				w.watch(1, max(30*time.Minute, 2*refusal.wait), refusal.wait)
			})
		})
		t.Run("the end, refused by "+name, func(t *testing.T) {
			bubble(t, policy(), func(t *testing.T, w *world) {
				a := w.Fire("p3", "a")
				w.Pass(time.Minute)
				w.Mails()
				w.Behave(refusing(refusal.err))
				w.Resolve(a)
				w.Until(noon.Add(12*time.Minute + 10*time.Second))
				if w.Situation(1).Incident.State != incident.StateResolved {
					t.Fatal("not resolved")
				}
				named := 0
				for range 20 {
					by, _ := w.next(1)
					if !by.IsZero() {
						named++
						if !by.After(w.Now()) || by.Sub(w.Now()) > refusal.wait+refusal.wait/5+3*time.Minute {
							t.Errorf("at %v: by %v", w.Now(), by)
						}
					}
					w.Pass(10 * time.Second)
				}
				if named < 15 {
					t.Errorf("only now and then it was said when it is tried again: %d of 20", named)
				}
			})
		})
	}
}

func TestAWaitThatReachesBeyondAPromiseIsSaid(t *testing.T) {
	bubble(t, policy(), func(t *testing.T, w *world) {
		w.Fire("p3", "a")
		w.Pass(time.Minute)
		promised, _ := w.next(1)
		w.Until(promised.Add(-30 * time.Minute))
		w.Mails()
		// Its reader is busy for an hour: the update in half an hour cannot come.
		w.Behave(refusing(later(time.Hour, errBusyReader)))
		w.Fire("p1", "b")
		w.Pass(time.Minute)
		by, late := w.next(1)
		if !by.After(promised.Add(25*time.Minute)) || by.After(promised.Add(35*time.Minute)) || !late.IsZero() {
			t.Errorf("promised %v, now by %v, late since %v", promised, by, late)
		}
	})
}

func TestAnEndThatIsRefusedForGoodSaysWhenItComesAgain(t *testing.T) {
	bubble(t, policy(), func(t *testing.T, w *world) {
		a := w.Fire("p3", "a")
		w.Pass(time.Minute)
		w.Behave(refusing(fmt.Errorf("550 5.1.1 no: %w", router.ErrPermanent)))
		w.Resolve(a)
		w.Pass(time.Hour)
		by, late := w.next(1)
		if d := by.Sub(w.Now()); d < 22*time.Hour || d > 24*time.Hour || !late.IsZero() {
			t.Errorf("by %v, late since %v", by, late)
		}
	})
}

func TestAnUpdateThatIsRefusedForGoodIsFollowedByTheNext(t *testing.T) {
	bubble(t, policy(), func(t *testing.T, w *world) {
		w.Fire("p3", "a")
		w.Pass(time.Minute)
		w.Behave(refusing(fmt.Errorf("550 5.1.1 no: %w", router.ErrPermanent)))
		w.Until(noon.Add(9 * time.Hour))
		if by, late := w.next(1); !by.Equal(noon.Add(16*time.Hour+time.Minute)) || !late.IsZero() {
			t.Errorf("by %v, late since %v", by, late)
		}
	})
}

// While nothing fails it is the promise, as without Tries.
func TestWithoutFailuresTheNextUpdateIsThePromise(t *testing.T) {
	bubble(t, policy(), func(t *testing.T, w *world) {
		w.Behave(routertest.Stall(20 * time.Second))
		a := w.Alert("p1", "a")
		w.Post(a, w.Alert("p2", "b"), w.Alert("p3", "c"))
		for i := range 300 {
			if i == 200 {
				w.Resolve(a)
			}
			for n := int64(1); n <= 3; n++ {
				by, late := w.next(n)
				if want := w.Situation(n).NextUpdateAt(w.Policy()); !by.Equal(want) || !late.IsZero() {
					t.Fatalf("INC-%d at %v: by %v, late since %v, want %v", n, w.Now(), by, late, want)
				}
			}
			w.Pass(37 * time.Second)
		}
	})
}

// A message of unknown outcome is repeated with the same bytes only while what they promise
// is to come.
func TestNoMessagePromisesATimeThatHasPassed(t *testing.T) {
	p := policy()
	p.Priorities[0].UpdateEvery = 3 * time.Minute
	bubble(t, p, func(t *testing.T, w *world) {
		began := time.Now()
		w.Behave(func(m *routertest.Mail) error {
			if m.To == "oncall" || time.Since(began) > 30*time.Minute {
				return nil
			}
			return fmt.Errorf("no answer: %w", router.ErrUnknown)
		})
		w.Fire("p1", "a")
		w.Pass(time.Hour)
		promises := map[string]time.Time{}
		for _, m := range w.Mails() {
			if by := m.First().NextBy; !by.IsZero() {
				promises[m.ID] = by
				if !by.After(m.Taken) {
					t.Errorf("%s got at %v: next update by %v", m.To, m.Taken, by)
				}
			}
		}
		for _, d := range w.Deliveries() {
			if by := d.Covers[0].NextBy; !by.IsZero() && d.State == incident.DeliveryDelivered && !by.After(d.SentAt) {
				t.Errorf("sent at %v: next update by %v", d.SentAt, by)
			}
		}
		if len(promises) == 0 {
			t.Error("no promises")
		}
	})
}
