package router_test

import (
	"context"
	"fmt"
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
	raging bool
	reads  int
}

func (s *storm) Read(ctx context.Context, fn func(storage.Reader) error) error {
	err := s.Store.Read(ctx, fn)
	if s.raging {
		s.reads++
		s.w.post(alert("p1", fmt.Sprintf("storm-%d", s.reads)))
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
		s := &storm{Store: w.store, w: w, raging: true}
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
		s.raging = false
		if w.expect("oncall opened"); took > time.Second {
			t.Errorf("told after %v", took)
		}
		if s.reads < 5 {
			t.Errorf("%d breaches began meanwhile, too few to tell", s.reads)
		}
		w.must(w.store.Close())
	})
}
