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
			w.Alertmanagers(slow)
			a := w.Fire("p3", "a")
			w.Pass(time.Minute)
			w.Resolve(a)
			for slow.asked.Load() == 0 {
				w.Pass(time.Second)
			}
			w.Pass(time.Second)
			slow.lists.Store(true)
			w.Fire("p3", "b")
			w.Pass(30 * time.Second)
			if s := w.BreachState("b"); s != incident.BreachFiring {
				t.Errorf("it is %q", s)
			}
			if n := len(w.Events(1, incident.EventBreachEnded)); n != 1 {
				t.Errorf("%d ended", n)
			}
		})
	})
	t.Run("a breach ended", func(t *testing.T) {
		bubbleEvery(t, 10*time.Second, silent(), func(t *testing.T, w *world) {
			slow := &slowAsker{takes: 20 * time.Second}
			slow.lists.Store(true)
			w.Alertmanagers(slow)
			a, b := w.Alert("p3", "a"), w.Alert("p3", "b")
			w.Post(a, b)
			w.Until(noon.Add(5 * time.Hour))
			for slow.asked.Load() == 0 {
				w.Pass(time.Second)
			}
			w.Pass(time.Second)
			slow.lists.Store(false)
			w.Resolve(a)
			w.Pass(22 * time.Second)
			if s := w.BreachState("a"); s != incident.BreachEnded {
				t.Errorf("it is %q", s)
			}
			if n := len(w.Events(1, incident.EventBreachStarted)); n != 2 {
				t.Errorf("%d began", n)
			}
		})
	})
	t.Run("one that had ended is doubted", func(t *testing.T) {
		bubbleEvery(t, 10*time.Second, silent(), func(t *testing.T, w *world) {
			slow := &slowAsker{takes: 20 * time.Second}
			w.Alertmanagers(slow)
			a, b := w.Alert("p3", "a"), w.Alert("p2", "b")
			w.Post(a, b)
			w.Pass(time.Minute)
			w.Resolve(a, b)
			w.Pass(time.Minute)
			w.Post(b) // a copy, because of which it is asked
			for slow.asked.Load() == 0 {
				w.Pass(time.Second)
			}
			w.Pass(time.Second)
			slow.lists.Store(true)
			w.Post(a) // Prometheus reaches Alertmanager again
			w.Pass(5 * time.Minute)
			if s := w.BreachState("a"); s != incident.BreachFiring {
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
		w.Alertmanagers(a)
		w.Fire("p3", "a")
		w.Until(noon.Add(5*time.Hour + 10*time.Minute))
		if n := a.asked.Load(); n < 5 {
			t.Errorf("asked %d times in ten minutes", n)
		}
	})
}
