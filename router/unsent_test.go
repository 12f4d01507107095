package router_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"sitrep/incident"
	"sitrep/incident/incidenttest"
	"sitrep/router"
	"sitrep/storage"
)

// unsent is what the store says was not handed over.
func (w *world) unsent() (u incident.Unsent) {
	w.t.Helper()
	w.must(w.store.Read(context.Background(), func(r storage.Snapshot) (err error) {
		u, err = storage.ReadUnsent(context.Background(), r, w.policy.Load(), clock())
		return err
	}))
	return u
}

func saying(name string, err error) func(string, router.Envelope) error {
	return func(to string, _ router.Envelope) error {
		if name == "" || to == name {
			return err
		}
		return nil
	}
}

// TestWhatIsNotHandedOverIsKnownFromTheStore: whatever the cause, it is known while it
// lasts, and not longer.
func TestWhatIsNotHandedOverIsKnownFromTheStore(t *testing.T) {
	const three = "cto, support and oncall"
	tests := []struct {
		name                string
		behave              func(string, router.Envelope) error
		waiting, recipients int
		atOnce              bool // not only when the promise is broken
		says                string
	}{
		{three + ": the mail server is down", down(), 3, 3, true, "the mail server is down"},
		{three + ": the log-in is refused", saying("", fmt.Errorf("535 5.7.8 no: %w", router.ErrSetup)), 3, 3, true, "535 5.7.8"},
		{three + ": too many", saying("", fmt.Errorf("454 Throttling: %w", router.ErrRate)), 3, 3, true, "454 Throttling"},
		{three + ": the outcome is unknown", saying("", router.ErrUnknown), 3, 3, true, "unknown"},
		{"one is refused for now", saying("cto", errors.New("450 4.2.0 greylisted")), 1, 1, true, "450 4.2.0"},
		{"one takes nothing, as a dead webhook host", saying("support", fmt.Errorf("dial: no route: %w", router.ErrReader)), 1, 1, true, "no route"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubbleEvery(t, time.Second, policy(), func(t *testing.T, w *world) {
				if u := w.unsent(); u.Any() || u != (incident.Unsent{}) {
					t.Errorf("before: %+v", u)
				}
				w.mail.set(tt.behave)
				w.post(alert("p1", "a"))
				began := clock()
				time.Sleep(5 * time.Second)
				if u := w.unsent(); tt.atOnce && (!u.Any() || !strings.Contains(u.LastError, tt.says)) {
					t.Errorf("after the first attempt: %+v", u)
				}
				time.Sleep(time.Minute)
				u := w.unsent()
				if u.Waiting != tt.waiting || u.Refused != 0 || u.Recipients != tt.recipients || u.More || !u.Since.Equal(began) || !strings.Contains(u.LastError, tt.says) {
					t.Errorf("a minute later: %+v", u)
				}
				w.mail.set(nil)
				time.Sleep(2 * time.Minute)
				if tt.name[:4] == "one " {
					time.Sleep(10 * time.Minute) // one waits for itself
				}
				if u := w.unsent(); u != (incident.Unsent{}) {
					t.Errorf("once it is over: %+v", u)
				}
			})
		})
	}
}

func TestWhatFailedForGoodIsKnownUntilSomethingArrives(t *testing.T) {
	bubble(t, policy(), func(t *testing.T, w *world) {
		w.mail.set(saying("cto", fmt.Errorf("550 5.1.1 no such user: %w", router.ErrPermanent)))
		w.post(alert("p1", "a"))
		time.Sleep(time.Minute)
		u := w.unsent()
		if u.Waiting != 0 || u.Refused != 1 || u.Recipients != 1 || !u.Since.Equal(noon) || !strings.Contains(u.LastError, "5.1.1") {
			t.Errorf("refused: %+v", u)
		}
		w.mail.set(nil)
		sleepUntil(noon.Add(2*time.Hour - time.Minute))
		if u := w.unsent(); u.Refused != 1 {
			t.Errorf("before the next update: %+v", u)
		}
		time.Sleep(2 * time.Minute)
		if u := w.unsent(); u.Any() {
			t.Errorf("after it: %+v", u)
		}
	})
	bubble(t, policy(), func(t *testing.T, w *world) {
		w.mail.set(saying("cto", fmt.Errorf("550 5.1.1 no such user: %w", router.ErrPermanent)))
		w.post(alert("p1", "a"))
		time.Sleep(time.Minute)
		p := policy()
		p.Groups[0].Recipients = incidenttest.Mails("chief")
		w.policy.Store(p)
		if u := w.unsent(); u.Any() {
			t.Errorf("the address is no longer in the configuration: %+v", u)
		}
	})
	bubble(t, policy(), func(t *testing.T, w *world) {
		w.mail.set(saying("cto", fmt.Errorf("550 5.1.1 no such user: %w", router.ErrPermanent)))
		w.post(alert("p1", "a"))
		time.Sleep(time.Minute)
		w.post(resolved(alert("p1", "a")))
		time.Sleep(5 * 24 * time.Hour)
		if u := w.unsent(); u.Refused == 0 {
			t.Errorf("five days later: %+v", u)
		}
		time.Sleep(incident.RefusedFor)
		if u := w.unsent(); u.Any() {
			t.Errorf("for ever: %+v", u)
		}
	})
}

func TestWhatNobodyTriesIsNotHandedOver(t *testing.T) {
	t.Run("another process died with the lease", func(t *testing.T) {
		bubbleEvery(t, time.Second, policy(), func(t *testing.T, w *world) {
			w.replica.stop()
			w.post(alert("p1", "a"))
			dead := w.run(w.store, "dead")
			w.mail.set(func(string, router.Envelope) error {
				time.Sleep(10 * time.Minute) // nothing is said, and nothing recorded
				return errDown
			})
			time.Sleep(30 * time.Second)
			if u := w.unsent(); u.Any() {
				t.Errorf("within its promise: %+v", u)
			}
			time.Sleep(32 * time.Second)
			if u := w.unsent(); u.Waiting != 3 || u.Recipients != 3 || u.LastError != "" {
				t.Errorf("beyond it: %+v", u)
			}
			w.mail.set(nil)
			dead.stop()
			w.replica = w.run(w.store, "a")
			time.Sleep(15 * time.Minute)
			if u := w.unsent(); u.Any() {
				t.Errorf("once it is over: %+v", u)
			}
		})
	})
	t.Run("nothing can be stored", func(t *testing.T) {
		bubbleEvery(t, time.Second, policy(), func(t *testing.T, w *world) {
			w.replica.stop()
			w.post(alert("p1", "a"))
			full := w.run(&fullStore{w.store}, "full")
			time.Sleep(62 * time.Second)
			if u := w.unsent(); u.Waiting != 3 || u.Recipients != 3 {
				t.Errorf("beyond the promise: %+v", u)
			}
			full.stop()
			w.replica = w.run(w.store, "a")
			time.Sleep(2 * time.Minute)
			if u := w.unsent(); u.Any() {
				t.Errorf("once it is over: %+v", u)
			}
		})
	})
}

// A fullStore takes nothing.
type fullStore struct{ storage.Store }

func (*fullStore) Write(context.Context, func(storage.Tx) error) error {
	return fmt.Errorf("no space left: %w", storage.ErrUnavailable)
}

func TestAWatchdogThatNobodyIsToldOf(t *testing.T) {
	bubbleEvery(t, 10*time.Second, withWatchdog(), func(t *testing.T, w *world) {
		w.mail.set(down())
		time.Sleep(18 * time.Minute)
		u := w.unsent()
		if u.Waiting != 1 || u.Recipients != 1 || !strings.Contains(u.LastError, "down") {
			t.Errorf("away: %+v", u)
		}
		w.mail.set(nil)
		time.Sleep(3 * time.Minute)
		if u := w.unsent(); u.Any() {
			t.Errorf("once it is over: %+v", u)
		}
	})
}
