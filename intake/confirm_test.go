package intake_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"sitrep/incident"
	"sitrep/intake"
	"sitrep/storage"
)

// A scribe is a store that counts the most values of breaches that one writing puts.
type scribe struct {
	storage.Store
	most int
	// before is called before each writing, unless that is its own.
	before func()
	inside bool
}

type puts struct {
	storage.Tx
	n *int
}

func (p puts) PutBreaches(ctx context.Context, all []*incident.Breach) error {
	*p.n += len(all)
	return p.Tx.PutBreaches(ctx, all)
}

func (s *scribe) Write(ctx context.Context, fn func(storage.Tx) error) error {
	if s.before != nil && !s.inside {
		s.inside = true
		s.before()
		s.inside = false
	}
	n := 0
	err := s.Store.Write(ctx, func(tx storage.Tx) error {
		n = 0
		return fn(puts{tx, &n})
	})
	s.most = max(s.most, n)
	return err
}

// many lets that many alerts fire, and returns them.
func (d *desk) many(n int) []incident.Alert {
	d.t.Helper()
	alerts := make([]incident.Alert, n)
	for k := range alerts {
		alerts[k] = firing("a", fmt.Sprintf("%016x", k), d.at)
	}
	if _, err := d.taker.Take(d.t.Context(), intake.Post{Alerts: alerts, At: d.at}); err != nil {
		d.t.Fatal(err)
	}
	return alerts
}

// An answer about a great incident leaves others a turn at writing.
func TestAGreatIncidentIsConfirmedPartByPart(t *testing.T) {
	d := newDesk(t)
	d.policy().Asks = true
	d.many(2345)
	store := &scribe{Store: d.repo.Store}
	d.repo.Store = store
	for _, v := range []incident.Verdict{incident.VerdictListed, incident.VerdictNotListed} {
		d.at = d.at.Add(time.Hour)
		if err := d.taker.Confirm(t.Context(), d.at, 1, func(*incident.Breach) incident.Verdict { return v }); err != nil {
			t.Fatal(err)
		}
		if store.most > 500 {
			t.Errorf("%s: one writing puts %d breaches", v, store.most)
		}
		firing := 0
		if v == incident.VerdictListed {
			firing = 2345
		}
		if in := d.incident(1); in.Breaches.Firing != firing {
			t.Errorf("%s: %+v", v, in.Breaches)
		}
		s, err := situation(d, 1)
		if err != nil || !s.Agenda.AnsweredAt.Equal(d.at) {
			t.Errorf("%s: agenda %+v, %v", v, s.Agenda, err)
		}
	}
}

func situation(d *desk, number int64) (s *incident.Situation, err error) {
	err = d.repo.Store.Read(d.t.Context(), func(r storage.Snapshot) error {
		s, err = storage.Situation(d.t.Context(), r, number)
		return err
	})
	return s, err
}

// An incident that changes again and again holds nobody up who waits for an answer.
func TestAnIncidentThatGoesOnToChangeIsLeftForLater(t *testing.T) {
	d := newDesk(t)
	d.many(3)
	plain := d.repo.Store
	store := &scribe{Store: plain}
	n := 0
	store.before = func() {
		if n++; n > 50 {
			t.Fatal("it is tried for ever")
		}
		d.expect(firing("a", fmt.Sprintf("more%d", n), d.at), intake.OutcomeJoined, "a", 1)
	}
	d.repo.Store = store
	if err := d.taker.Confirm(t.Context(), d.at.Add(time.Minute), 1, incident.Silent); err != nil {
		t.Fatal(err)
	}
	if s, err := situation(d, 1); err != nil || !s.Agenda.AnsweredAt.IsZero() {
		t.Errorf("agenda %+v, %v", s.Agenda, err)
	}
}

// When a watchdog goes away, what ended in a great incident is doubted part by part.
func TestAGreatIncidentIsDoubtedPartByPart(t *testing.T) {
	d := newDesk(t)
	d.policy().Watchdog = incident.Watchdog{Within: 15 * time.Minute}
	d.change(func(c *storage.Change) error {
		return c.PutPulse(incident.Pulse{HeardAt: d.at, AwaySince: d.at, Sequence: 1}, "")
	})
	d.policy().Watchdog.Within = 0 // as if that came to light later
	d.at = d.at.Add(time.Minute)
	alerts := d.many(1234)
	for k := range alerts {
		alerts[k] = ended(alerts[k], d.at)
	}
	if _, err := d.taker.Take(t.Context(), intake.Post{Alerts: alerts, At: d.at}); err != nil {
		t.Fatal(err)
	}
	d.policy().Watchdog.Within = 15 * time.Minute
	store := &scribe{Store: d.repo.Store}
	d.repo.Store = store
	if err := d.taker.Disbelieve(t.Context(), d.at, 1); err != nil {
		t.Fatal(err)
	}
	if store.most != 500 {
		t.Errorf("one writing puts %d breaches", store.most)
	}
	s, err := situation(d, 1)
	if err != nil || s.Incident.Breaches.Unknown != 1234 || s.Agenda.EndsDoubtedAt.IsZero() || s.Agenda.NextAt.IsZero() {
		t.Errorf("%+v, %+v, %v", s.Incident.Breaches, s.Agenda, err)
	}
}
