package incident_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"sitrep/incident"
	"sitrep/incident/incidenttest"
)

// t0 is a Tuesday, at noon in Berlin.
var t0 = incidenttest.Noon

// policy is the example organisation's, with an SLO of its own.
func policy() *incident.Policy { return incidenttest.Policy(slo("P1")) }

func slo(priority string) incident.SLO { return incidenttest.SLO("send", priority) }

// A world is one incident with its breaches and readers, in virtual time.
type world struct {
	t        testing.TB
	p        *incident.Policy
	s        *incident.Situation
	now      time.Time
	log      []incident.Event
	breaches map[string]*incident.Breach
	sent     []sent
	// down are those who cannot be reached.
	down map[string]bool
}

type sent struct {
	to    string
	kind  incident.Kind
	at    time.Time
	due   time.Time
	by    time.Time // the promise made
	cover incident.Cover
}

func newWorld(t testing.TB, p *incident.Policy) *world {
	return &world{t: t, p: p, now: t0, breaches: map[string]*incident.Breach{}, down: map[string]bool{}}
}

func (w *world) stamp(actor incident.Actor) incident.Stamp {
	return incident.Stamp{At: w.now, Actor: actor, Config: w.p.Hash}
}

// change puts events into the log and the situation.
func (w *world) change(events ...incident.Event) {
	w.t.Helper()
	w.note(incident.News{Events: events})
}

// note makes news part of the situation, and puts its events into the log.
func (w *world) note(news incident.News) {
	w.t.Helper()
	s, err := incident.Reconcile(w.s, news, w.p, w.now)
	if err != nil {
		w.t.Fatal(err)
	}
	w.s, w.log = s, append(w.log, news.Events...)
}

// do carries out a command, and returns its error.
func (w *world) do(events []incident.Event, err error) error {
	w.t.Helper()
	if err == nil {
		w.change(events...)
	}
	return err
}

func (w *world) must(events []incident.Event, err error) {
	w.t.Helper()
	if err := w.do(events, err); err != nil {
		w.t.Fatal(err)
	}
}

// open opens the incident of the SLO by a breach.
func (w *world) open(priority string) {
	w.t.Helper()
	s := slo(priority)
	w.p.SLOs[0] = s
	events, err := incident.OpenFor(w.stamp(incident.ActorAlertmanager), &s, w.p, 1, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	var in incident.Incident
	for _, e := range events {
		if err := in.Apply(e); err != nil {
			w.t.Fatal(err)
		}
	}
	w.s = &incident.Situation{Incident: incident.Incident{Number: 1}}
	w.change(append(events, w.begin(&in, "a")...)...)
}

// begin returns the events of a breach that begins in the incident or goes on in it.
func (w *world) begin(in *incident.Incident, fingerprint string) []incident.Event {
	b := w.breaches[fingerprint]
	if b == nil || b.State == incident.BreachEnded {
		first := incident.NewBreach(&incident.Alert{Fingerprint: fingerprint, StartsAt: w.now}, b, w.now)
		b = &first
		w.breaches[fingerprint] = b
	}
	if b.State == incident.BreachFiring {
		return nil
	}
	q, _ := w.p.Priority(in.AsSLO(w.p).Priority)
	return in.Fire(w.stamp(incident.ActorAlertmanager), b, nil, "", q, w.p)
}

// fire lets a breach begin or go on.
func (w *world) fire(fingerprint string) {
	w.t.Helper()
	if events := w.begin(&w.s.Incident, fingerprint); len(events) > 0 {
		w.change(events...)
	}
}

func (w *world) end(fingerprint string) {
	w.t.Helper()
	b := w.breaches[fingerprint]
	if b == nil || b.State == incident.BreachEnded {
		return
	}
	w.change(w.s.Incident.End(w.stamp(incident.ActorAlertmanager), b, nil)...)
}

func (w *world) lose(fingerprint string) {
	w.t.Helper()
	b := w.breaches[fingerprint]
	if b == nil || b.State != incident.BreachFiring {
		return
	}
	w.change(w.s.Incident.Lose(w.stamp(incident.ActorScheduler), b, incident.WhyQuiet)...)
}

// tick lets the scheduler look, and sends what is due, until nothing is.
func (w *world) tick() {
	w.t.Helper()
	for range 20 {
		acted := false
		if next := w.s.Agenda.NextAt; !next.IsZero() && !next.After(w.now) {
			w.note(w.s.Tick(w.p, nil, true, w.now))
			acted = true
		}
		for _, sub := range slices.Clone(w.s.Subscriptions) {
			if sub.DueAt.IsZero() || sub.DueAt.After(w.now) || w.down[sub.Recipient] {
				continue
			}
			pl, ok := w.s.Plan(sub.Recipient, w.p, w.now)
			if !ok {
				w.change()
				continue
			}
			w.note(w.s.Delivered(sub.Recipient, pl.Cover, w.now, incident.Cause{Kind: incident.CauseNoneFound}, w.p))
			w.sent = append(w.sent, sent{sub.Recipient[len("email:"):], pl.Cover.Kind, w.now, pl.Cover.DueAt, pl.Cover.NextBy, pl.Cover})
			acted = true
		}
		if !acted {
			return
		}
	}
	w.t.Fatalf("at %v the work never ends: %+v", w.now, w.s)
}

// pass lets time pass in steps.
func (w *world) pass(d, step time.Duration) {
	w.t.Helper()
	for end := w.now.Add(d); w.now.Before(end); {
		w.now = w.now.Add(step)
		w.tick()
	}
}

// take returns what was sent since the last time, as "recipient kind".
func (w *world) take() []string {
	var out []string
	for _, s := range w.sent {
		out = append(out, fmt.Sprintf("%s %s", s.to[:len(s.to)-len("@example.org")], s.kind))
	}
	w.sent = nil
	slices.Sort(out)
	return out
}

func (w *world) expect(want ...string) {
	w.t.Helper()
	w.tick()
	slices.Sort(want)
	if got := w.take(); !slices.Equal(got, want) {
		w.t.Errorf("at %s sent %q, want %q", w.now.Sub(t0), got, want)
	}
}

// quiet is a quiet time in whole hours.
func quiet(start, end int, unless ...string) incident.Quiet {
	return incidenttest.Quiet(start*60, end*60, unless...)
}
