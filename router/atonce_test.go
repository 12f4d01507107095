package router_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sitrep/incident"
	"sitrep/incident/incidenttest"
	"sitrep/internal/command"
	"sitrep/router/routertest"
	"sitrep/storage"
)

// A troubled store is around that of the whole world. It runs what it is told to fail, and rolls
// it back.
type troubled struct {
	storage.Store
	writes atomic.Int64
	fails  atomic.Bool
}

func (s *troubled) Write(ctx context.Context, fn func(storage.Tx) error) error {
	s.writes.Add(1)
	if !s.fails.Load() {
		return s.Store.Write(ctx, fn)
	}
	_ = s.Store.Write(ctx, func(tx storage.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		return errors.New("rolled back")
	})
	return storage.ErrUnavailable
}

func newTroubled(t *testing.T, p *incident.Policy) (*world, *troubled) {
	s := &troubled{}
	open := routertest.File(routertest.Dir(t) + "/sitrep.db")
	w := newWorld(t, routertest.Options{Policy: p, Open: func(ctx context.Context) (_ storage.Store, err error) {
		s.Store, err = open(ctx)
		return s, err
	}})
	return w, s
}

// What a change makes due to one reader is two transactions in all: that of the change, in which
// the attempt is recorded, and that of its outcome.
func TestWhatAChangeMakesDueIsRecordedWithIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, s := newTroubled(t, ctoAlone())
		w.Start()
		w.Pass(10 * time.Second)
		stored := false
		w.Behave(func(*routertest.Mail) error {
			d := w.Deliveries()
			stored = len(d) == 1 && d[0].State == incident.DeliveryPending && d[0].Attempts == 1
			return nil
		})
		before := s.writes.Load()
		w.Fire("p1", "a")
		w.Pass(time.Second)
		w.Expect("cto opened")
		if n := s.writes.Load() - before; n != 2 {
			t.Errorf("%d transactions", n)
		}
		if !stored {
			t.Error("it was sent before the attempt was recorded")
		}
		w.Behave(nil)
		before = s.writes.Load()
		w.Do(1, command.Priority{Priority: "P2", Reason: "only a few"})
		w.Pass(time.Second)
		w.Expect("cto priority")
		if n := s.writes.Load() - before; n != 2 {
			t.Errorf("%d transactions for what a person does", n)
		}
		for _, d := range w.Deliveries() {
			if d.State != incident.DeliveryDelivered || d.Attempts != 1 {
				t.Errorf("delivery %+v", d)
			}
		}
	})
}

// What was not kept is not sent, and nobody is left behind as about to be told.
func TestWhatIsRolledBackIsNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, s := newTroubled(t, ctoAlone())
		w.Start()
		w.Fire("p1", "a")
		w.Pass(10 * time.Minute)
		w.Expect("cto opened")
		s.fails.Store(true)
		for range 70 { // more than there are hands
			if err := w.Try("ada", 1, command.Priority{Priority: "P2", Reason: "only a few"}); !errors.Is(err, storage.ErrUnavailable) {
				t.Fatalf("changed: %v", err)
			}
		}
		s.fails.Store(false)
		w.Pass(time.Minute)
		if len(w.Attempts()) != 1 || len(w.Deliveries()) != 1 {
			t.Fatal("something was sent that is not so")
		}
		before := s.writes.Load()
		w.Do(1, command.Priority{Priority: "P2", Reason: "only a few"})
		w.Pass(time.Millisecond)
		w.Expect("cto priority")
		if n := s.writes.Load() - before; n != 2 {
			t.Errorf("%d transactions", n)
		}
	})
}

// A process that stops leases nobody any more, and takes alerts all the same.
func TestWhoStopsLeasesNobodyInAChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _ := newTroubled(t, ctoAlone())
		slow := make(chan struct{})
		w.Behave(func(*routertest.Mail) error { <-slow; return nil })
		r := w.Start()
		w.Fire("p1", "a")
		synctest.Wait()
		stopped := make(chan struct{})
		go func() { r.Stop(); close(stopped) }()
		synctest.Wait()
		w.Fire("p2", "b")
		synctest.Wait()
		if n := len(w.Attempts()); n != 1 {
			t.Errorf("%d attempts", n)
		}
		close(slow)
		<-stopped
		w.Behave(nil)
		w.Start()
		w.Pass(time.Minute)
		if got := strings.Join(whoOfWhat(w), ", "); got != "cto INC-1, cto INC-2" {
			t.Errorf("told %s", got)
		}
	})
}

// whoOfWhat returns who was told of which incidents, in order.
func whoOfWhat(w *world) (all []string) {
	for _, m := range w.Mails() {
		for i := range m.Items {
			all = append(all, m.To+" "+m.Items[i].Incident.ID())
		}
	}
	return all
}

// What is due to a reader under the same lease goes out with it, in the same order and as the
// same digest as when the scheduler finds it.
func TestItIsToldAlikeWhoeverFindsIt(t *testing.T) {
	p := policy()
	p.Groups[1].Recipients = incidenttest.Mails("s1", "s2")
	var all [2][]string
	for i, later := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, routertest.Options{Policy: p, Later: later, Poll: 10 * time.Second})
			w.Start()
			w.Behave(func(m *routertest.Mail) error {
				if m.To == "s2" && w.Now().Before(noon.Add(10*time.Minute)) {
					return errLater
				}
				return nil
			})
			a := w.Alert("p1", "a")
			w.Post(a, w.Alert("p2", "b"))
			w.Pass(time.Minute)
			for _, name := range []string{"c", "d", "e", "f", "g", "h", "i"} {
				w.Fire("p3", name)
				w.Pass(time.Second)
			}
			w.Pass(3 * time.Hour)
			w.Resolve(a)
			w.Pass(time.Hour)
			counts := map[string]int{}
			for _, m := range w.Mails() {
				for i := range m.Items {
					counts[m.To+" "+string(m.Items[i].Kind)+" "+m.Items[i].Incident.ID()]++
				}
			}
			for what, n := range counts {
				all[i] = append(all[i], fmt.Sprintf("%s: %d", what, n))
			}
			slices.Sort(all[i])
		})
	}
	if a, b := strings.Join(all[0], "\n"), strings.Join(all[1], "\n"); a != b || len(all[0]) < 10 {
		t.Errorf("at once\n%s\nlater\n%s", a, b)
	}
}
