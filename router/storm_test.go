package router_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sitrep/incident"
	"sitrep/router/routertest"
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
		s.w.Fire("p1", fmt.Sprintf("storm-%d", s.reads.Add(1)))
		time.Sleep(time.Millisecond) // it wakes the scheduler, which would read again at once for ever
	}
	return err
}

func TestAStormOfBreachesHoldsUpNoMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := policy()
		// One reader, so that readings and breaches take turns.
		p.Management, p.Groups, p.SLOs[0].Stakeholders = nil, nil, nil
		w := newWorld(t, routertest.Options{Policy: p})
		w.Fire("p1", "a")
		s := &storm{Store: w.Store(), w: w}
		s.raging.Store(true)
		began := time.Now()
		r := w.StartReplica(routertest.Process{Store: s})
		var told []routertest.Mail
		for len(told) == 0 && time.Since(began) < time.Second {
			w.Pass(10 * time.Millisecond)
			told = w.Mails()
		}
		r.Stop()
		if len(told) != 1 || told[0].To != "oncall" || told[0].Kind != incident.KindOpened {
			t.Errorf("told %+v within a second", told)
		}
		if n := s.reads.Load(); n < 5 {
			t.Errorf("%d breaches began meanwhile, too few to tell", n)
		}
	})
}
