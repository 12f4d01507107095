package router_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sitrep/storage"
)

// A storm is a store in which a breach of p1 begins after each reading, as when
// hundreds of hosts lose an SLO at once.
type storm struct {
	storage.Store
	w      *world
	raging atomic.Bool
	reads  atomic.Int64
}

func (s *storm) Read(ctx context.Context, fn func(storage.Snapshot) error) error {
	err := s.Store.Read(ctx, fn)
	if s.raging.Load() {
		s.w.post(alert("p1", fmt.Sprintf("storm-%d", s.reads.Add(1))))
	}
	return err
}

func TestAStormOfBreachesHoldsUpNoMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := policy()
		// One reader, so that readings and breaches take turns.
		p.Management, p.Groups, p.SLOs[0].Stakeholders = nil, nil, nil
		w := newWorld(t, p)
		w.open()
		sleepUntil(noon)
		w.post(alert("p1", "a"))
		s := &storm{Store: w.store, w: w}
		s.raging.Store(true)
		began := time.Now()
		r := w.run(s, "a")
		for range 100 {
			time.Sleep(10 * time.Millisecond)
			synctest.Wait()
			if w.mail.count() > 0 {
				break
			}
		}
		took := time.Since(began)
		r.stop()
		s.raging.Store(false)
		if w.expect("oncall opened"); took > time.Second {
			t.Errorf("told after %v", took)
		}
		if n := s.reads.Load(); n < 5 {
			t.Errorf("%d breaches began meanwhile, too few to tell", n)
		}
		w.must(w.store.Close())
	})
}
