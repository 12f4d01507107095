package routertest

import (
	"context"
	"sync"
	"time"

	"sitrep/incident"
	"sitrep/router"
	"sitrep/storage"
)

// canaries take the alerts of the canary, as Alertmanagers do, and do with them what a test says.
type canaries struct {
	mu     sync.Mutex
	posted []string
	behave func(run string) error
	probed int
	sound  func() error
}

// Post implements [router.Poster].
func (c *canaries) Post(_ context.Context, run string, _, _ time.Time) (int, error) {
	c.mu.Lock()
	c.posted = append(c.posted, run)
	behave := c.behave
	c.mu.Unlock()
	if behave != nil {
		if err := behave(run); err != nil {
			return 0, err
		}
	}
	return 1, nil
}

// Probe implements [router.Prober].
func (c *canaries) Probe(context.Context) error {
	c.mu.Lock()
	c.probed++
	sound := c.sound
	c.mu.Unlock()
	if sound != nil {
		return sound()
	}
	return nil
}

func (w *World) prober() router.Prober {
	if w.o.Unasked {
		return nil
	}
	return &w.canaries
}

// OnPrometheus says what is found wrong when Prometheus is asked; nil is that nothing ever is. It may
// sleep, and is called by several goroutines at once.
func (w *World) OnPrometheus(sound func() error) {
	w.canaries.mu.Lock()
	defer w.canaries.mu.Unlock()
	w.canaries.sound = sound
}

// Probed returns how often Prometheus was asked since it was called last.
func (w *World) Probed() int {
	w.canaries.mu.Lock()
	defer w.canaries.mu.Unlock()
	n := w.canaries.probed
	w.canaries.probed = 0
	return n
}

// OnCanary says what becomes of each alert of the canary that is posted; nil is that it is taken,
// and does not come back. It may sleep, and is called by several goroutines at once.
func (w *World) OnCanary(behave func(run string) error) {
	w.canaries.mu.Lock()
	defer w.canaries.mu.Unlock()
	w.canaries.behave = behave
}

// Canaries returns the runs of which an alert was posted since it was called last, as often as
// it was posted.
func (w *World) Canaries() []string {
	w.canaries.mu.Lock()
	defer w.canaries.mu.Unlock()
	all := w.canaries.posted
	w.canaries.posted = nil
	return all
}

// CanaryAlert returns the alert of a run as it comes back.
func (w *World) CanaryAlert(run string) incident.Alert {
	return incident.Alert{
		Fingerprint: "canary-" + run, StartsAt: w.Now(),
		Labels: map[string]string{"alertname": incident.CanaryAlert, incident.CanaryLabel: run},
	}
}

// CanaryPulse returns what is known of the canary.
func (w *World) CanaryPulse() (p incident.Pulse) {
	w.t.Helper()
	w.Read(func(r storage.Snapshot) (err error) {
		p, err = storage.PulseOf(w.t.Context(), r, incident.CanaryPulse)
		return err
	})
	return p
}
