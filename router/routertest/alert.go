package routertest

import (
	"context"
	"sync"
	"time"

	"sitrep/incident"
	"sitrep/incident/incidenttest"
	"sitrep/intake"
	"sitrep/internal/command"
	"sitrep/router"
	"sitrep/storage"
)

// Alert returns an alert of an SLO that begins now, and posts nothing.
func (w *World) Alert(slo, fingerprint string) incident.Alert {
	return incidenttest.Firing(slo, fingerprint, w.Now())
}

// Watchdog returns the alert that always fires.
func Watchdog() incident.Alert {
	return incident.Alert{Fingerprint: "watchdog", StartsAt: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), Labels: map[string]string{"alertname": "Watchdog"}}
}

// Post posts alerts as Alertmanager does, and returns what became of each. Any goroutine may call it.
func (w *World) Post(alerts ...incident.Alert) []intake.Result {
	w.t.Helper()
	results, err := w.intake.Take(context.Background(), intake.Post{Alerts: alerts, At: w.Now(), Source: "test"})
	if err != nil {
		w.t.Fatal(err)
	}
	return results
}

// Fire posts an alert of an SLO that begins now.
func (w *World) Fire(slo, fingerprint string) incident.Alert {
	w.t.Helper()
	a := w.Alert(slo, fingerprint)
	w.Post(a)
	return a
}

// Ended returns an alert that ends now, and posts nothing.
func (w *World) Ended(a incident.Alert) incident.Alert { return incidenttest.Ended(a, w.Now()) }

// Resolve posts that alerts end now.
func (w *World) Resolve(alerts ...incident.Alert) []intake.Result {
	w.t.Helper()
	var ended []incident.Alert
	for _, a := range alerts {
		ended = append(ended, w.Ended(a))
	}
	return w.Post(ended...)
}

// A catalog finds the SLOs of a policy, the watchdog and the canary.
type catalog struct{ p *incident.Policy }

func (c catalog) Lookup(labels map[string]string) intake.Match {
	if labels[incident.CanaryLabel] != "" {
		return intake.Match{Canary: true, Ignored: true}
	}
	return intake.Match{SLO: incidenttest.Find(c.p, labels), Watchdog: labels["alertname"] == "Watchdog"}
}

// Do carries out a command of ada's on an incident, 0 for one that is declared.
func (w *World) Do(number int64, c command.Command) {
	w.t.Helper()
	if err := w.Try("ada", number, c); err != nil {
		w.t.Fatal(err)
	}
}

// Try carries out a command as the API does, and returns its error.
func (w *World) Try(who incident.Actor, number int64, c command.Command) error {
	return w.repo.Change(context.Background(), w.Now(), func(change *storage.Change) error {
		r := command.Request{Command: c, Incident: number, Actor: who}
		_, err := r.Apply(change, nil)
		return err
	})
}

// alertmanagers say the same of each alert, unless a test has others.
type alertmanagers struct {
	mu      sync.Mutex
	asked   router.Asker
	verdict incident.Verdict
	count   int
}

func (a *alertmanagers) Ask(context.Context) (incident.Answer, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.count++
	v := a.verdict
	return func(*incident.Breach) incident.Verdict { return v }, nil
}

// Answer lets the Alertmanagers say that of each alert from now on. At first they cannot tell.
func (w *World) Answer(v incident.Verdict) {
	w.ams.mu.Lock()
	defer w.ams.mu.Unlock()
	w.ams.verdict = v
}

// Asked returns how often the Alertmanagers were asked.
func (w *World) Asked() int {
	w.ams.mu.Lock()
	defer w.ams.mu.Unlock()
	return w.ams.count
}

// Alertmanagers lets others be asked from now on.
func (w *World) Alertmanagers(a router.Asker) {
	w.ams.mu.Lock()
	defer w.ams.mu.Unlock()
	w.ams.asked = a
}

// asker returns who is asked; nil if the policy names nobody.
func (w *World) asker() router.Asker {
	if !w.Policy().Asks {
		return nil
	}
	w.ams.mu.Lock()
	defer w.ams.mu.Unlock()
	return w.ams.asked
}
