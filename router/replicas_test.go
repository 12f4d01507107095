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
	"sitrep/router"
	"sitrep/storage"
)

func TestTwoReplicasTellNobodyTwice(t *testing.T) {
	p := policy()
	p.Groups[1].Recipients = incidenttest.Mails("s1", "s2", "s3", "s4", "s5")
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, p)
		sleepUntil(noon)
		w.start()
		other := w.run(w.store, "b")
		w.mail.set(func(to string, _ router.Envelope) error {
			time.Sleep(time.Duration(to[len(to)-1]%7) * 700 * time.Millisecond)
			return nil
		})
		var alerts []incident.Alert
		for range 2 {
			alerts = append(alerts, alert("p1", "a"), alert("p2", "b"), alert("p3", "c"))
			w.post(alerts...)
			time.Sleep(30 * time.Minute)
		}
		for i := range alerts[:3] {
			w.post(resolved(alerts[i+3]))
		}
		time.Sleep(12 * time.Minute)
		type message struct {
			to       string
			incident int64
			kind     incident.Kind
		}
		seen := map[message]int{}
		for _, m := range w.mail.take() {
			for i := range m.Items {
				seen[message{m.to, m.Items[i].Incident.Number, m.Items[i].Kind}]++
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
		if tries := w.mail.takeTries(); len(tries) != len(w.deliveries()) {
			t.Errorf("%d attempts of %d messages", len(tries), len(w.deliveries()))
		}
		other.stop()
		w.stop()
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
	p := policy()
	p.Groups = p.Groups[:1] // the cto alone
	p.Teams[0].OnCall = nil
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, p)
		sleepUntil(noon)
		w.open()
		stopped := &pausing{Store: w.store}
		var second atomic.Bool
		w.mail.set(func(string, router.Envelope) error {
			if !second.Swap(true) { // in the middle of the attempt the process stands still
				stopped.pause()
				stopped.wait()
			}
			return nil
		})
		a := w.run(stopped, "a")
		w.post(alert("p1", "a"))
		time.Sleep(2 * time.Second)
		b := w.run(w.store, "b")
		time.Sleep(25 * time.Second)
		w.expect() // the claim still holds
		time.Sleep(5 * time.Second)
		w.expect("cto opened") // another took over
		before := w.deliveries()
		stopped.goOn()
		time.Sleep(time.Minute)
		w.expect()
		tries := w.mail.takeTries()
		if len(tries) != 2 || tries[0].id != tries[1].id || tries[0].body != tries[1].body {
			t.Errorf("attempts %+v", tries)
		}
		after := w.deliveries()
		if len(after) != 1 || after[0].State != incident.DeliveryDelivered || !after[0].SentAt.Equal(before[0].SentAt) {
			t.Errorf("before %+v after %+v", before, after)
		}
		a.stop()
		b.stop()
		w.must(w.store.Close())
	})
}

func TestAReplicaThatDiesIsReplacedWithinItsLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, policy())
		sleepUntil(noon)
		w.open()
		c := &crashing{w.store, make(chan struct{})}
		a := w.run(c, "a")
		w.mail.set(func(to string, _ router.Envelope) error {
			time.Sleep(time.Second)
			return nil
		})
		w.post(alert("p1", "a"))
		time.Sleep(500 * time.Millisecond)
		close(c.dead)
		b := w.run(w.store, "b")
		time.Sleep(35 * time.Second)
		ids := map[string]int{}
		for _, m := range w.mail.take() {
			ids[strings.Join([]string{m.to, m.id, m.body}, " ")]++
		}
		if len(ids) != 3 {
			t.Errorf("mails %v", ids)
		}
		for _, d := range w.deliveries() {
			if d.State != incident.DeliveryDelivered || d.SentAt.Sub(d.DueAt) > time.Minute {
				t.Errorf("delivery %+v", d)
			}
		}
		a.stop()
		b.stop()
		w.must(w.store.Close())
	})
}
