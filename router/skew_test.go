package router_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sitrep/incident"
	"sitrep/router"
	"sitrep/router/routertest"
	"sitrep/storage"
)

// A clocked store is one that others have, too, and whose clock is not that of the process.
type clocked struct {
	*shared
	behind atomic.Int64 // of the clock of the process, in nanoseconds
	takes  atomic.Int64 // how long a question takes, there and back
	moved  atomic.Int64 // by how much the clock of the store was set
}

func newClocked(w *world) *clocked { return &clocked{shared: &shared{Store: w.Store()}} }

func (c *clocked) Clock(ctx context.Context) (time.Time, error) {
	half := time.Duration(c.takes.Load() / 2)
	time.Sleep(half)
	at, err := c.shared.Clock(ctx)
	time.Sleep(half)
	return at.Add(time.Duration(c.moved.Load() - c.behind.Load())), err
}

func (c *clocked) isAhead(by time.Duration) { c.behind.Store(int64(by)) }

// replicas are those that the store knows, by owner.
func replicas(t *testing.T, s storage.Store) map[string]storage.Replica {
	t.Helper()
	all := map[string]storage.Replica{}
	err := s.Read(t.Context(), func(r storage.Snapshot) error {
		list, err := r.Replicas(t.Context())
		for _, one := range list {
			all[one.Owner] = one
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func outages(t *testing.T, s storage.Store) (all []storage.Outage) {
	t.Helper()
	err := s.Read(t.Context(), func(r storage.Snapshot) (err error) {
		all, err = storage.Outages(t.Context(), r, 100)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// A process whose clock is wrong claims nothing, whatever is due; others do it, and it does
// again once its clock is right.
func TestAReplicaWhoseClockIsWrongClaimsNothing(t *testing.T) {
	for name, ahead := range map[string]time.Duration{"ahead": 20 * time.Second, "behind": -20 * time.Second, "a little": 2100 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, routertest.Options{Later: true, Policy: policy(), Retention: router.Retention{Breaches: 24 * time.Hour}})
				c := newClocked(w)
				c.isAhead(ahead)
				a := w.StartReplica(routertest.Process{Store: c})
				w.Fire("p1", "a")
				w.Pass(20 * time.Minute)
				w.Expect()
				if n := c.pruned.Load() + c.walked.Load(); n != 0 {
					t.Errorf("%d jobs were done", n)
				}
				if skew := a.Skew(); !skew.Rests || skew.By != ahead || replicas(t, w.Store())["a"].Skew != ahead {
					t.Errorf("skew %+v, known as %+v", skew, replicas(t, w.Store()))
				}
				c.isAhead(1900 * time.Millisecond)
				w.Pass(7 * time.Second)
				w.Expect("cto opened", "support opened", "oncall opened")
				if skew := a.Skew(); skew.Rests || replicas(t, w.Store())["a"].Skew != skew.By {
					t.Errorf("skew %+v, known as %+v", skew, replicas(t, w.Store()))
				}
				// It becomes wrong again while another runs: that one does what is due.
				c.isAhead(ahead)
				w.Pass(time.Minute)
				w.StartReplica(routertest.Process{Owner: "b", Store: newClocked(w)})
				w.Until(noon.Add(2*time.Hour + 2*time.Second))
				w.Expect("cto update", "support update")
				for _, d := range w.Deliveries() {
					if d.State != incident.DeliveryDelivered {
						t.Errorf("%+v", d)
					}
				}
			})
		})
	}
}

// Half of what a question takes is taken off, and who cannot tell goes on.
func TestAnAnswerThatTakesLongSaysLittleOfTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, routertest.Options{Later: true, Policy: policy()})
		c := newClocked(w)
		c.takes.Store(int64(8 * time.Second / 2))
		c.isAhead(3 * time.Second)
		a := w.StartReplica(routertest.Process{Store: c})
		w.Fire("p1", "a")
		w.Pass(2 * time.Minute)
		if skew := a.Skew(); skew.Rests || skew.By != 3*time.Second || skew.Uncertainty != 2*time.Second {
			t.Errorf("%+v", skew)
		}
		w.Expect("cto opened", "support opened", "oncall opened")
		c.takes.Store(int64(20 * time.Millisecond))
		w.Pass(2 * time.Minute)
		if skew := a.Skew(); !skew.Rests || skew.By != 3*time.Second || skew.Uncertainty != 10*time.Millisecond {
			t.Errorf("%+v", skew)
		}
	})
}

func TestAnOutageIsWhenNoReplicaRan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, routertest.Options{Later: true, Policy: policy(), Poll: 30 * time.Second})
		start := func(owner string) *routertest.Replica {
			return w.StartReplica(routertest.Process{Owner: owner, Store: newClocked(w)})
		}
		a, b := start("a"), start("b")
		w.Pass(10 * time.Minute)
		a.Stop()
		w.Pass(time.Hour)
		a = start("a2")
		w.Pass(10 * time.Minute)
		if all := outages(t, w.Store()); len(all) != 0 {
			t.Errorf("while another ran: %+v", all)
		}
		last := w.Now()
		a.Stop()
		b.Stop()
		w.Pass(time.Hour)
		back := w.Now()
		for _, owner := range []string{"c", "d", "e"} {
			start(owner)
		}
		w.Pass(10 * time.Minute)
		all := outages(t, w.Store())
		if len(all) != 1 || all[0].From.Sub(last).Abs() > time.Minute || all[0].To.Sub(back).Abs() > time.Second || all[0].Kind != "" {
			t.Errorf("from %v to %v: %+v", last, back, all)
		}
		if known := replicas(t, w.Store()); len(known) != 6 {
			t.Errorf("known are %+v", known)
		}
		w.Pass(24 * time.Hour)
		if known := replicas(t, w.Store()); len(known) != 3 {
			t.Errorf("after a day known are %+v", known)
		}
	})
}

// The clock of one process is its own affair; that of the store is everybody's, and recorded
// once.
func TestAClockThatIsSetIsRecordedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, routertest.Options{Later: true, Policy: policy()})
		a, b := newClocked(w), newClocked(w)
		w.StartReplica(routertest.Process{Owner: "a", Store: a})
		w.Pass(20 * time.Second)
		w.StartReplica(routertest.Process{Owner: "b", Store: b})
		w.Pass(10 * time.Minute)
		// The store's, and those of all machines with it.
		a.moved.Store(int64(time.Hour))
		b.moved.Store(int64(time.Hour))
		w.Pass(10 * time.Minute)
		all := outages(t, w.Store())
		if len(all) != 1 || all[0].Kind != storage.ClockSet || all[0].To.Sub(all[0].From) != time.Hour {
			t.Errorf("%+v", all)
		}
	})
}
