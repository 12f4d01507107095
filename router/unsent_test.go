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
	"sitrep/router/routertest"
	"sitrep/storage"
)

// unsent is what the store says was not handed over.
func (w *world) unsent() (u incident.Unsent) {
	w.t.Helper()
	w.Read(func(r storage.Snapshot) (err error) {
		u, err = storage.ReadUnsent(context.Background(), r, w.Policy(), w.Now())
		return err
	})
	return u
}

// TestWhatIsNotHandedOverIsKnownFromTheStore: whatever the cause, it is known while it
// lasts, and not longer.
func TestWhatIsNotHandedOverIsKnownFromTheStore(t *testing.T) {
	const three = "cto, support and oncall"
	tests := []struct {
		name                string
		behave              routertest.Behaviour
		waiting, recipients int
		atOnce              bool // not only when the promise is broken
		says                string
	}{
		{three + ": the mail server is down", routertest.Refuse(routertest.ErrDown), 3, 3, true, "the mail server is down"},
		{three + ": the log-in is refused", routertest.Refuse(fmt.Errorf("535 5.7.8 no: %w", router.ErrSetup)), 3, 3, true, "535 5.7.8"},
		{three + ": too many", routertest.Refuse(fmt.Errorf("454 Throttling: %w", router.ErrRate)), 3, 3, true, "454 Throttling"},
		{three + ": the outcome is unknown", routertest.Refuse(router.ErrUnknown), 3, 3, true, "unknown"},
		{"one is refused for now", routertest.Refuse(errors.New("450 4.2.0 greylisted"), "cto"), 1, 1, true, "450 4.2.0"},
		{"one takes nothing, as a dead webhook host", routertest.Refuse(fmt.Errorf("dial: no route: %w", router.ErrReader), "support"), 1, 1, true, "no route"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubbleEvery(t, time.Second, policy(), func(t *testing.T, w *world) {
				if u := w.unsent(); u.Any() || u != (incident.Unsent{}) {
					t.Errorf("before: %+v", u)
				}
				w.Behave(tt.behave)
				w.Fire("p1", "a")
				began := w.Now()
				w.Pass(5 * time.Second)
				if u := w.unsent(); tt.atOnce && (!u.Any() || !strings.Contains(u.LastError, tt.says)) {
					t.Errorf("after the first attempt: %+v", u)
				}
				w.Pass(time.Minute)
				u := w.unsent()
				if u.Waiting != tt.waiting || u.Refused != 0 || u.Recipients != tt.recipients || u.More || !u.Since.Equal(began) || !strings.Contains(u.LastError, tt.says) {
					t.Errorf("a minute later: %+v", u)
				}
				w.Behave(nil)
				w.Pass(2 * time.Minute)
				if tt.name[:4] == "one " {
					w.Pass(10 * time.Minute) // one waits for itself
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
		w.Behave(routertest.Refuse(fmt.Errorf("550 5.1.1 no such user: %w", router.ErrPermanent), "cto"))
		w.Fire("p1", "a")
		w.Pass(time.Minute)
		u := w.unsent()
		if u.Waiting != 0 || u.Refused != 1 || u.Recipients != 1 || !u.Since.Equal(noon) || !strings.Contains(u.LastError, "5.1.1") {
			t.Errorf("refused: %+v", u)
		}
		w.Behave(nil)
		w.Until(noon.Add(2*time.Hour - time.Minute))
		if u := w.unsent(); u.Refused != 1 {
			t.Errorf("before the next update: %+v", u)
		}
		w.Pass(2 * time.Minute)
		if u := w.unsent(); u.Any() {
			t.Errorf("after it: %+v", u)
		}
	})
	bubble(t, policy(), func(t *testing.T, w *world) {
		w.Behave(routertest.Refuse(fmt.Errorf("550 5.1.1 no such user: %w", router.ErrPermanent), "cto"))
		w.Fire("p1", "a")
		w.Pass(time.Minute)
		w.Reload(func(p *incident.Policy) { p.Groups[0].Recipients = incidenttest.Mails("chief") })
		if u := w.unsent(); u.Any() {
			t.Errorf("the address is no longer in the configuration: %+v", u)
		}
	})
	bubbleEvery(t, 20*time.Minute, policy(), func(t *testing.T, w *world) {
		w.Behave(routertest.Refuse(fmt.Errorf("550 5.1.1 no such user: %w", router.ErrPermanent), "cto"))
		a := w.Fire("p1", "a")
		w.Pass(time.Minute)
		w.Resolve(a)
		w.Pass(5 * 24 * time.Hour)
		if u := w.unsent(); u.Refused == 0 {
			t.Errorf("five days later: %+v", u)
		}
		w.Pass(incident.RefusedFor)
		if u := w.unsent(); u.Any() {
			t.Errorf("for ever: %+v", u)
		}
	})
}

func TestWhatNobodyTriesIsNotHandedOver(t *testing.T) {
	t.Run("another process died with the lease", func(t *testing.T) {
		bubbleEvery(t, time.Second, policy(), func(t *testing.T, w *world) {
			w.Stop()
			w.Open()
			w.Fire("p1", "a")
			dead := w.StartReplica(routertest.Process{Owner: "dead"})
			w.Behave(func(*routertest.Mail) error {
				time.Sleep(68 * time.Second) // nothing is said, and nothing recorded
				return routertest.ErrDown
			})
			w.Pass(30 * time.Second)
			if u := w.unsent(); u.Any() {
				t.Errorf("within its promise: %+v", u)
			}
			w.Pass(32 * time.Second)
			if u := w.unsent(); u.Waiting != 3 || u.Recipients != 3 || u.LastError != "" {
				t.Errorf("beyond it: %+v", u)
			}
			w.Behave(nil)
			dead.Stop()
			w.StartReplica(routertest.Process{})
			w.Pass(15 * time.Minute)
			if u := w.unsent(); u.Any() {
				t.Errorf("once it is over: %+v", u)
			}
		})
	})
	t.Run("nothing can be stored", func(t *testing.T) {
		bubbleEvery(t, time.Second, policy(), func(t *testing.T, w *world) {
			w.Stop()
			w.Open()
			w.Fire("p1", "a")
			full := w.StartReplica(routertest.Process{Store: &fullStore{w.Store()}, Owner: "full"})
			w.Pass(62 * time.Second)
			if u := w.unsent(); u.Waiting != 3 || u.Recipients != 3 {
				t.Errorf("beyond the promise: %+v", u)
			}
			full.Stop()
			w.StartReplica(routertest.Process{})
			w.Pass(2 * time.Minute)
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
		w.Behave(routertest.Refuse(routertest.ErrDown))
		w.Pass(18 * time.Minute)
		u := w.unsent()
		if u.Waiting != 1 || u.Recipients != 1 || !strings.Contains(u.LastError, "down") {
			t.Errorf("away: %+v", u)
		}
		w.Behave(nil)
		w.Pass(3 * time.Minute)
		if u := w.unsent(); u.Any() {
			t.Errorf("once it is over: %+v", u)
		}
	})
}
