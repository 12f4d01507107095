package router_test

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sitrep/incident"
	"sitrep/incident/incidenttest"
	"sitrep/router/routertest"
	"sitrep/storage"
)

func TestTwoReplicasTellNobodyTwice(t *testing.T) {
	p := policy()
	p.Groups[1].Recipients = incidenttest.Mails("s1", "s2", "s3", "s4", "s5")
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, routertest.Options{Policy: p})
		w.Start()
		w.StartReplica(routertest.Process{Owner: "b"})
		w.Behave(func(m *routertest.Mail) error {
			time.Sleep(time.Duration(m.To[len(m.To)-1]%7) * 700 * time.Millisecond)
			return nil
		})
		var alerts []incident.Alert
		for range 2 {
			alerts = append(alerts, w.Alert("p1", "a"), w.Alert("p2", "b"), w.Alert("p3", "c"))
			w.Post(alerts...)
			w.Pass(30 * time.Minute)
		}
		for i := range alerts[:3] {
			w.Resolve(alerts[i+3])
		}
		w.Pass(12 * time.Minute)
		type message struct {
			to       string
			incident int64
			kind     incident.Kind
		}
		seen := map[message]int{}
		for _, m := range w.Mails() {
			for i := range m.Items {
				seen[message{m.To, m.Items[i].Incident.Number, m.Items[i].Kind}]++
			}
		}
		for m, n := range seen {
			if n != 1 {
				t.Errorf("%+v: %d times", m, n)
			}
		}
		if want := 2 * (3*5 + 2 + 3); len(seen) != want {
			t.Errorf("%d messages, want %d", len(seen), want)
		}
		if tries := w.Attempts(); len(tries) != len(w.Deliveries()) {
			t.Errorf("%d attempts of %d messages", len(tries), len(w.Deliveries()))
		}
	})
}

// A pausing store is that of a process that can be stopped and goes on later, as by
// SIGSTOP.
type pausing struct {
	storage.Store
	mu     sync.Mutex
	paused chan struct{} // closed when it goes on; nil while it runs
}

func (p *pausing) pause() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.paused = make(chan struct{})
}

func (p *pausing) goOn() {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.paused)
	p.paused = nil
}

func (p *pausing) wait() {
	p.mu.Lock()
	paused := p.paused
	p.mu.Unlock()
	if paused != nil {
		<-paused
	}
}

func (p *pausing) Read(ctx context.Context, fn func(storage.Snapshot) error) error {
	p.wait()
	return p.Store.Read(ctx, fn)
}

func (p *pausing) Write(ctx context.Context, fn func(storage.Tx) error) error {
	p.wait()
	return p.Store.Write(ctx, fn)
}

func TestAReplicaThatStoodStillSendsNothingAndRecordsOverNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, routertest.Options{Policy: ctoAlone()})
		stopped := &pausing{Store: w.Store()}
		var second atomic.Bool
		w.Behave(func(*routertest.Mail) error {
			if !second.Swap(true) { // in the middle of the attempt the process stands still
				stopped.pause()
				stopped.wait()
			}
			return nil
		})
		w.StartReplica(routertest.Process{Store: stopped})
		w.Fire("p1", "a")
		w.Pass(2 * time.Second)
		w.StartReplica(routertest.Process{Owner: "b"})
		w.Pass(25 * time.Second)
		w.Expect() // the claim still holds
		w.Pass(5 * time.Second)
		w.Expect("cto opened") // another took over
		before := w.Deliveries()
		stopped.goOn()
		w.Pass(time.Minute)
		w.Expect()
		w.ExpectAttempts(2, "cto")
		after := w.Deliveries()
		if len(after) != 1 || after[0].State != incident.DeliveryDelivered || !after[0].SentAt.Equal(before[0].SentAt) {
			t.Errorf("before %+v after %+v", before, after)
		}
	})
}

func TestAReplicaThatDiesIsReplacedWithinItsLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, routertest.Options{Policy: policy()})
		c := &crashing{w.Store(), make(chan struct{})}
		w.StartReplica(routertest.Process{Store: c})
		w.Behave(routertest.Stall(time.Second))
		w.Fire("p1", "a")
		w.Pass(500 * time.Millisecond)
		close(c.dead)
		w.StartReplica(routertest.Process{Owner: "b"})
		w.Pass(35 * time.Second)
		ids := map[string]int{}
		for _, m := range w.Mails() {
			ids[strings.Join([]string{m.To, m.ID, m.Body}, " ")]++
		}
		if len(ids) != 3 {
			t.Errorf("mails %v", ids)
		}
		for _, d := range w.Deliveries() {
			if d.State != incident.DeliveryDelivered || d.SentAt.Sub(d.DueAt) > time.Minute {
				t.Errorf("delivery %+v", d)
			}
		}
	})
}
