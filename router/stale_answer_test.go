package router_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"sitrep/incident"
)

// A slow asker says what was so when it was asked, some seconds later.
type slowAsker struct {
	lists atomic.Bool
	takes time.Duration
	asked atomic.Int64
}

func (a *slowAsker) Ask(context.Context) (incident.Answer, error) {
	v := incident.VerdictNotListed
	if a.lists.Load() {
		v = incident.VerdictListed
	}
	a.asked.Add(1)
	time.Sleep(a.takes)
	return func(*incident.Breach) incident.Verdict { return v }, nil
}

// What was heard since the Alertmanagers were asked counts for more than their answer.
func TestAnAnswerSaysNothingOfWhatWasHeardSince(t *testing.T) {
	t.Run("a breach began", func(t *testing.T) {
		bubbleEvery(t, 10*time.Second, silent(), func(t *testing.T, w *world) {
			slow := &slowAsker{takes: 20 * time.Second}
			w.asker = slow
			a := alert("p3", "a")
			w.post(a)
			time.Sleep(time.Minute)
			w.post(resolved(a))
			for slow.asked.Load() == 0 {
				time.Sleep(time.Second)
			}
			time.Sleep(time.Second)
			slow.lists.Store(true)
			w.post(alert("p3", "b"))
			time.Sleep(30 * time.Second)
			if s := w.breachState("b"); s != incident.BreachFiring {
				t.Errorf("it is %q", s)
			}
			if n := len(w.of(1, incident.EventBreachEnded)); n != 1 {
				t.Errorf("%d ended", n)
			}
		})
	})
	t.Run("a breach ended", func(t *testing.T) {
		bubbleEvery(t, 10*time.Second, silent(), func(t *testing.T, w *world) {
			slow := &slowAsker{takes: 20 * time.Second}
			slow.lists.Store(true)
			w.asker = slow
			a, b := alert("p3", "a"), alert("p3", "b")
			w.post(a, b)
			sleepUntil(noon.Add(5 * time.Hour))
			for slow.asked.Load() == 0 {
				time.Sleep(time.Second)
			}
			time.Sleep(time.Second)
			slow.lists.Store(false)
			w.post(resolved(a))
			time.Sleep(22 * time.Second)
			if s := w.breachState("a"); s != incident.BreachEnded {
				t.Errorf("it is %q", s)
			}
			if n := len(w.of(1, incident.EventBreachStarted)); n != 2 {
				t.Errorf("%d began", n)
			}
		})
	})
	t.Run("one that had ended is doubted", func(t *testing.T) {
		bubbleEvery(t, 10*time.Second, silent(), func(t *testing.T, w *world) {
			slow := &slowAsker{takes: 20 * time.Second}
			w.asker = slow
			a, b := alert("p3", "a"), alert("p2", "b")
			w.post(a, b)
			time.Sleep(time.Minute)
			w.post(resolved(a), resolved(b))
			time.Sleep(time.Minute)
			w.post(b) // a copy, because of which it is asked
			for slow.asked.Load() == 0 {
				time.Sleep(time.Second)
			}
			time.Sleep(time.Second)
			slow.lists.Store(true)
			w.post(a) // Prometheus reaches Alertmanager again
			time.Sleep(5 * time.Minute)
			if s := w.breachState("a"); s != incident.BreachFiring {
				t.Errorf("it is %q", s)
			}
		})
	})
}

// An absentAsker is several Alertmanagers one of which never answers.
type absentAsker struct{ slowAsker }

func (a *absentAsker) Ask(ctx context.Context) (incident.Answer, error) {
	answer, _ := a.slowAsker.Ask(ctx)
	return answer, errors.New("it does not answer")
}

// One Alertmanager that does not answer in time does not keep the others from being asked
// about what is listed, each minute or so.
func TestAnAlertmanagerThatDoesNotAnswerHoldsNoQuestionUp(t *testing.T) {
	bubbleEvery(t, 10*time.Second, silent(), func(t *testing.T, w *world) {
		a := &absentAsker{slowAsker{takes: 30 * time.Second}}
		a.lists.Store(true)
		w.asker = a
		w.post(alert("p3", "a"))
		sleepUntil(noon.Add(5*time.Hour + 10*time.Minute))
		if n := a.asked.Load(); n < 5 {
			t.Errorf("asked %d times in ten minutes", n)
		}
	})
}
