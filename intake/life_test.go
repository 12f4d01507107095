package intake_test

import (
	"context"
	"testing"
	"time"

	"sitrep/incident"
	"sitrep/intake"
	"sitrep/storage"
)

func (d *desk) policy() *incident.Policy { return d.repo.Policy() }

// conclude makes an answer part of what waits for one.
func (d *desk) conclude(v incident.Verdict) {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), 10*time.Second)
	defer cancel()
	if err := d.taker.Conclude(ctx, d.at, d.at, func(*incident.Breach) incident.Verdict { return v }); err != nil {
		d.t.Fatal(err)
	}
}

// order carries out a command of ada's.
func (d *desk) order(number int64, command func(*incident.Incident, incident.Stamp) ([]incident.Event, error)) {
	d.t.Helper()
	d.change(func(c *storage.Change) error {
		s, err := c.Situation(number)
		if err != nil {
			return err
		}
		events, err := command(&s.Incident, c.Stamp("ada"))
		if err != nil {
			return err
		}
		return c.Record(s, events...)
	})
}

func (d *desk) resolve(number int64) {
	d.t.Helper()
	d.order(number, func(in *incident.Incident, s incident.Stamp) ([]incident.Event, error) { return in.Resolve(s, "over") })
}

func (d *desk) close(number int64) {
	d.t.Helper()
	d.order(number, func(in *incident.Incident, s incident.Stamp) ([]incident.Event, error) { return in.Close(s, "") })
}

// breach returns the latest breach of a fingerprint, nil if there is none.
func (d *desk) breach(fingerprint string) (b *incident.Breach) {
	d.t.Helper()
	err := d.repo.Store.Read(d.t.Context(), func(r storage.Snapshot) (err error) {
		b, err = storage.LatestBreach(d.t.Context(), r, fingerprint)
		return err
	})
	if err != nil {
		d.t.Fatal(err)
	}
	return b
}

func (d *desk) incident(number int64) (in incident.Incident) {
	d.t.Helper()
	err := d.repo.Store.Read(d.t.Context(), func(r storage.Snapshot) (err error) {
		in, err = storage.IncidentOf(d.t.Context(), r, number)
		return err
	})
	if err != nil {
		d.t.Fatal(err)
	}
	return in
}

// waiting returns how many breaches wait for an answer.
func (d *desk) waiting() int {
	d.t.Helper()
	all, err := d.taker.Waiting(d.t.Context(), d.at, 1000)
	if err != nil {
		d.t.Fatal(err)
	}
	return len(all)
}

// What a closed incident left unknown ends there when its alert fires anew, and waits for
// nobody any more.
func TestABreachThatIsUnknownInAClosedIncidentEndsWhenItFiresAnew(t *testing.T) {
	d := newDesk(t)
	a := firing("a", "1", d.at)
	d.expect(a, intake.OutcomeOpened, "a", 1)
	d.at = d.at.Add(4 * time.Hour)
	d.conclude(incident.VerdictCannotTell)
	d.resolve(1)
	d.close(1)
	d.at = d.at.Add(time.Hour)
	d.expect(a, intake.OutcomeOpened, "a", 2)
	if n := d.incident(1).Breaches; n.Unknown != 0 || n.Firing != 0 {
		t.Errorf("of the closed one %+v", n)
	}
	d.at = d.at.Add(3 * time.Hour)
	if n := d.waiting(); n != 0 {
		t.Errorf("%d wait before they are quiet for too long", n)
	}
	d.at = d.at.Add(time.Hour)
	d.conclude(incident.VerdictCannotTell)
	if n := d.waiting(); n != 0 {
		t.Errorf("%d go on to wait", n)
	}
}

// The same, where Alertmanagers say that it fires.
func TestABreachThatIsUnknownInAClosedIncidentIsListed(t *testing.T) {
	d := newDesk(t)
	d.expect(firing("a", "1", d.at), intake.OutcomeOpened, "a", 1)
	d.at = d.at.Add(4 * time.Hour)
	d.conclude(incident.VerdictCannotTell)
	d.resolve(1)
	d.close(1)
	d.at = d.at.Add(4 * time.Hour)
	d.conclude(incident.VerdictListed)
	if b := d.breach("1"); b.Incident != 2 || b.State != incident.BreachFiring {
		t.Errorf("breach %+v", b)
	}
	d.at = d.at.Add(4 * time.Hour)
	d.conclude(incident.VerdictCannotTell)
	if n := d.waiting(); n != 0 {
		t.Errorf("%d go on to wait", n)
	}
}

// A reload that maps an alert takes the breach before out of doubt.
func TestAReloadTakesTheBreachBeforeOutOfDoubt(t *testing.T) {
	d := newDesk(t)
	d.policy().Asks = true
	d.claimLoose()
	d.expect(loose("1", d.at), intake.OutcomeOpened, "loose", 1)
	d.expect(ended(loose("1", d.at), d.at), intake.OutcomeResolved, "loose", 1)
	first := d.at
	delete(d.slos, "loose")
	d.at = d.at.Add(time.Hour)
	d.expect(loose("1", d.at), intake.OutcomeUnmapped, "", 0)
	d.expect(loose("1", first), intake.OutcomeStale, "loose", 1)
	d.claimLoose()
	d.remap()
	if b := d.breach("1"); b.State != incident.BreachFiring {
		t.Errorf("breach %+v", b)
	}
	if n := d.waiting(); n != 0 {
		t.Errorf("%d wait", n)
	}
}

// An alert that no SLO claims any more and that ended is not moved by a reload.
func TestAnUnmappedAlertOfAnOldBreachIsForgottenWhenItEnds(t *testing.T) {
	d := newDesk(t)
	d.claimLoose()
	d.expect(loose("1", d.at), intake.OutcomeOpened, "loose", 1)
	d.expect(ended(loose("1", d.at), d.at), intake.OutcomeResolved, "loose", 1)
	delete(d.slos, "loose")
	d.at = d.at.Add(2 * time.Hour)
	a := loose("1", d.at)
	d.expect(a, intake.OutcomeUnmapped, "", 0)
	d.at = d.at.Add(time.Minute)
	if _, err := d.taker.Take(t.Context(), intake.Post{Alerts: []incident.Alert{ended(a, d.at)}, At: d.at}); err != nil {
		t.Fatal(err)
	}
	d.claimLoose()
	d.remap()
	if b := d.breach("1"); b.State != incident.BreachEnded || b.Incident != 1 {
		t.Errorf("breach %+v", b)
	}
}

// Of one that is unknown in an incident that a person resolved it is known that it fires,
// by whatever startsAt it goes.
func TestAnUnknownBreachOfAResolvedIncidentFiresWithAnotherStartsAt(t *testing.T) {
	for name, later := range map[string]time.Duration{"the same startsAt": 0, "a later one": 4 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t)
			begin := d.at
			d.expect(firing("a", "1", begin), intake.OutcomeOpened, "a", 1)
			d.at = d.at.Add(4 * time.Hour)
			d.conclude(incident.VerdictCannotTell)
			d.resolve(1)
			d.at = d.at.Add(time.Minute)
			if _, err := d.taker.Take(t.Context(), intake.Post{Alerts: []incident.Alert{firing("a", "1", begin.Add(later))}, At: d.at}); err != nil {
				t.Fatal(err)
			}
			in := d.incident(1)
			if b := d.breach("1"); b.State != incident.BreachFiring || b.Ordinal != 1 || in.State != incident.StateResolved || in.Breaches.Firing != 1 {
				t.Errorf("breach %+v of %+v", b, in)
			}
		})
	}
}

// The end of one that was unknown before is not lost, if it comes while the watchdog is away.
func TestTheEndOfAnUnknownBreachIsNotLostWhileTheWatchdogIsAway(t *testing.T) {
	d := newDesk(t)
	d.policy().Watchdog = incident.Watchdog{Within: 15 * time.Minute}
	a := firing("a", "1", d.at)
	d.expect(a, intake.OutcomeOpened, "a", 1)
	d.at = d.at.Add(4 * time.Hour)
	d.conclude(incident.VerdictCannotTell)
	d.change(func(c *storage.Change) error {
		pulse, err := c.Pulse(nil)
		if err != nil {
			return err
		}
		pulse.AwaySince = d.at
		return c.PutPulse(pulse, incident.DueWatchdogAway)
	})
	d.at = d.at.Add(time.Minute)
	end := d.at
	if _, err := d.taker.Take(t.Context(), intake.Post{Alerts: []incident.Alert{ended(a, end)}, At: d.at}); err != nil {
		t.Fatal(err)
	}
	d.at = d.at.Add(time.Minute)
	d.change(func(c *storage.Change) error {
		pulse, err := c.Pulse(nil)
		if err != nil {
			return err
		}
		pulse, _ = pulse.Hear(c.Policy, "w", d.at)
		return c.PutPulse(pulse, incident.DueWatchdogBack)
	})
	err := d.repo.Store.Read(t.Context(), func(r storage.Snapshot) error {
		agendas, err := r.Agendas(t.Context(), []int64{1})
		agenda := agendas[1]
		if agenda.EndsDoubtedAt.IsZero() || agenda.NextAt.IsZero() || agenda.NextAt.After(end.Add(10*time.Minute)) {
			t.Errorf("agenda %+v", agenda)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	d.at = d.at.Add(11 * time.Minute)
	if err := d.taker.Confirm(t.Context(), d.at, 1, incident.Silent); err != nil {
		t.Fatal(err)
	}
	if b := d.breach("1"); b.State != incident.BreachEnded || !b.EndsAt.Equal(end) {
		t.Errorf("breach %+v", b)
	}
}

// away lets the watchdog be away since now, or be back.
func (d *desk) away(away bool) {
	d.t.Helper()
	d.change(func(c *storage.Change) error {
		pulse, err := c.Pulse(nil)
		if err != nil {
			return err
		}
		if away {
			pulse.AwaySince = d.at
			return c.PutPulse(pulse, incident.DueWatchdogAway)
		}
		pulse, _ = pulse.Hear(c.Policy, "w", d.at)
		return c.PutPulse(pulse, incident.DueWatchdogBack)
	})
}

// agenda returns that of an incident.
func (d *desk) agenda(number int64) incident.Agenda {
	d.t.Helper()
	s, err := situation(d, number)
	if err != nil {
		d.t.Fatal(err)
	}
	return s.Agenda
}

// Ends that are not believed end in the incident into which theirs was merged.
func TestEndsThatAreDoubtedAreSettledAfterAMerge(t *testing.T) {
	d := newDesk(t)
	d.policy().Watchdog = incident.Watchdog{Within: 15 * time.Minute}
	d.expect(firing("a", "1", d.at), intake.OutcomeOpened, "a", 1)
	d.expect(firing("b", "2", d.at), intake.OutcomeOpened, "b", 2)
	begin := d.at
	d.at = d.at.Add(time.Minute)
	d.away(true)
	d.expect(ended(firing("b", "2", begin), d.at), intake.OutcomeResolved, "b", 2)
	d.merge(2, 1)
	d.at = d.at.Add(time.Minute)
	d.away(false)
	d.at = d.at.Add(11 * time.Minute)
	if a := d.agenda(1); a.NextAt.IsZero() || a.NextAt.After(d.at) {
		t.Errorf("agenda %+v", a)
	}
	if err := d.taker.Confirm(t.Context(), d.at, 1, incident.Silent); err != nil {
		t.Fatal(err)
	}
	if b := d.breach("2"); b.State != incident.BreachEnded {
		t.Errorf("breach %+v", b)
	}
	if a := d.agenda(1); !a.EndsDoubtedAt.IsZero() {
		t.Errorf("agenda %+v", a)
	}
}

// Once the ends that were doubted are decided it is not asked about them again, although
// another breach stays unknown.
func TestDoubtedEndsThatAreSettledAreNotAskedAboutForEver(t *testing.T) {
	d := newDesk(t)
	d.policy().Asks = true
	d.policy().Watchdog = incident.Watchdog{Within: 15 * time.Minute}
	d.expect(firing("a", "quiet", d.at), intake.OutcomeOpened, "a", 1)
	d.at = d.at.Add(4 * time.Hour)
	d.conclude(incident.VerdictCannotTell)
	begin := d.at
	d.expect(firing("a", "1", begin), intake.OutcomeJoined, "a", 1)
	d.away(true)
	d.at = d.at.Add(time.Minute)
	d.expect(ended(firing("a", "1", begin), d.at), intake.OutcomeResolved, "a", 1)
	confirm := func() {
		t.Helper()
		err := d.taker.Confirm(t.Context(), d.at, 1, func(b *incident.Breach) incident.Verdict {
			if b.Fingerprint == "1" {
				return incident.VerdictNotListed
			}
			return incident.VerdictCannotTell
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	d.at = d.at.Add(time.Minute)
	confirm()
	if a := d.agenda(1); a.EndsDoubtedAt.IsZero() {
		t.Errorf("while it is away: agenda %+v", a)
	}
	d.away(false)
	d.at = d.at.Add(time.Minute)
	confirm()
	if b := d.breach("1"); b.State != incident.BreachEnded {
		t.Errorf("breach %+v", b)
	}
	if a := d.agenda(1); !a.EndsDoubtedAt.IsZero() {
		t.Errorf("agenda %+v", a)
	}
}

// total returns how many breaches an incident has had.
func (d *desk) total(number int64) int { d.t.Helper(); return d.incident(number).Breaches.Total }

// A startsAt that was in the future stays that of its breach once it has come.
func TestAStartsAtFromTheFutureThatHasComeIsNoNewBreach(t *testing.T) {
	d := newDesk(t)
	ahead := firing("a", "1", d.at.Add(40*time.Minute))
	d.expect(ahead, intake.OutcomeOpened, "a", 1)
	d.at = d.at.Add(45 * time.Minute)
	d.expect(ahead, intake.OutcomeRepeated, "a", 1)
	if n := d.total(1); n != 1 {
		t.Errorf("%d breaches", n)
	}
}

// Two senders end one breach at times of their own: a firing that began in between can be a
// late copy.
func TestAFiringThatBeganBeforeALaterEndIsNoNewBreach(t *testing.T) {
	for asks, want := range map[bool]intake.Outcome{false: intake.OutcomeJoined, true: intake.OutcomeStale} {
		d := newDesk(t)
		d.policy().Asks = asks
		begin := d.at
		d.expect(firing("a", "1", begin), intake.OutcomeOpened, "a", 1)
		d.at = d.at.Add(10 * time.Minute)
		d.expect(ended(firing("a", "1", begin), begin.Add(time.Minute)), intake.OutcomeResolved, "a", 1)
		d.expect(ended(firing("a", "1", begin), begin.Add(5*time.Minute)), intake.OutcomeStale, "a", 1)
		d.expect(firing("a", "1", begin.Add(3*time.Minute)), want, "a", 1)
		if n := d.total(1); n != 1 {
			t.Errorf("asks %v: %d breaches", asks, n)
		}
		d.expect(firing("a", "1", begin.Add(6*time.Minute)), map[bool]intake.Outcome{false: intake.OutcomeRepeated, true: intake.OutcomeJoined}[asks], "a", 1)
	}
}

// An end of which nobody says when it was, or says that it was years ago, is one now.
func TestAnEndThatIsNoFactEndsNow(t *testing.T) {
	for name, end := range map[string]time.Time{"none": {}, "years ago": time.Unix(0, 0).UTC()} {
		d := newDesk(t)
		a := firing("a", "1", d.at)
		d.expect(a, intake.OutcomeOpened, "a", 1)
		d.at = d.at.Add(time.Minute)
		d.expect(ended(a, end), intake.OutcomeResolved, "a", 1)
		if b := d.breach("1"); !b.EndsAt.Equal(d.at) || !b.SaidEndsAt.Equal(end) {
			t.Errorf("%s: %+v", name, b)
		}
	}
}

// An end that did not hold does not end a breach that is quiet later.
func TestAnEndThatDidNotHoldIsNoDoubtedEnd(t *testing.T) {
	d := newDesk(t)
	a := firing("a", "1", d.at)
	d.expect(a, intake.OutcomeOpened, "a", 1)
	d.at = d.at.Add(time.Minute)
	d.expect(ended(a, d.at), intake.OutcomeResolved, "a", 1)
	d.expect(a, intake.OutcomeJoined, "a", 1)
	for range 3 {
		d.at = d.at.Add(4 * time.Hour)
		d.conclude(incident.VerdictCannotTell)
		if b := d.breach("1"); b.State != incident.BreachUnknown {
			t.Errorf("at %v it is %s", d.at, b.State)
		}
	}
}

// What ended while the watchdog was away, and fires anew, ended when it was said to have.
func TestADoubtedEndHoldsWhenTheAlertFiresAnew(t *testing.T) {
	d := newDesk(t)
	d.policy().Watchdog = incident.Watchdog{Within: 15 * time.Minute}
	a := firing("a", "1", d.at)
	d.expect(a, intake.OutcomeOpened, "a", 1)
	d.at = d.at.Add(time.Minute)
	d.away(true)
	end := d.at
	d.expect(ended(a, end), intake.OutcomeResolved, "a", 1)
	d.at = d.at.Add(time.Minute)
	d.expect(firing("a", "1", d.at), intake.OutcomeJoined, "a", 1)
	err := d.repo.Store.Read(t.Context(), func(r storage.Snapshot) error {
		all, _, err := r.Breaches(t.Context(), 1, 10, "")
		if len(all) != 2 || all[0].State != incident.BreachEnded || !all[0].EndsAt.Equal(end) || !all[1].EndedBefore.Equal(end) {
			t.Errorf("breaches %+v", all)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// What a listing kept open, and ended, is not in doubt.
func TestTheEndOfWhatWasListedIsNotDoubted(t *testing.T) {
	d := newDesk(t)
	d.policy().Asks = true
	a := firing("a", "1", d.at)
	d.expect(a, intake.OutcomeOpened, "a", 1)
	d.at = d.at.Add(4 * time.Hour)
	d.conclude(incident.VerdictListed)
	d.expect(ended(a, d.at), intake.OutcomeResolved, "a", 1)
	d.at = d.at.Add(5 * time.Minute)
	if n := d.waiting(); n != 0 {
		t.Errorf("%d wait", n)
	}
	d.conclude(incident.VerdictCannotTell)
	if b := d.breach("1"); b.State != incident.BreachEnded {
		t.Errorf("breach %+v", b)
	}
}

// Where a person said that it is over while it fires, a startsAt that moved is no end.
func TestAMovedStartsAtReopensNothingThatAPersonResolved(t *testing.T) {
	d := newDesk(t)
	d.expect(firing("a", "1", d.at), intake.OutcomeOpened, "a", 1)
	d.at = d.at.Add(time.Minute)
	d.resolve(1)
	for range 2 {
		d.at = d.at.Add(10 * time.Minute)
		d.expect(firing("a", "1", d.at), intake.OutcomeRepeated, "a", 1)
	}
	if in := d.incident(1); in.State != incident.StateResolved || in.Breaches != (incident.Counts{Firing: 1, Total: 1}) {
		t.Errorf("incident %+v", in)
	}
	end := d.at.Add(time.Minute)
	d.at = end
	d.expect(ended(firing("a", "1", end), end), intake.OutcomeResolved, "a", 1)
	d.at = d.at.Add(time.Minute)
	d.expect(firing("a", "1", d.at), intake.OutcomeReopened, "a", 1)
}

// An incident that resolves although no Alertmanager could be asked says so.
func TestAnIncidentSaysThatNobodyCouldBeAsked(t *testing.T) {
	for v, why := range map[incident.Verdict]incident.Why{incident.VerdictCannotTell: incident.WhyNobodyAsked, incident.VerdictNotListed: ""} {
		d := newDesk(t)
		d.policy().Asks = true
		a := firing("a", "1", d.at)
		d.expect(a, intake.OutcomeOpened, "a", 1)
		d.expect(ended(a, d.at), intake.OutcomeResolved, "a", 1)
		d.at = d.at.Add(10 * time.Minute)
		if err := d.taker.Confirm(t.Context(), d.at, 1, func(*incident.Breach) incident.Verdict { return v }); err != nil {
			t.Fatal(err)
		}
		err := d.repo.Store.Read(t.Context(), func(r storage.Snapshot) error {
			events, err := storage.EventsOf(d.t.Context(), r, 1, 0, 10)
			if last := events[len(events)-1]; last.Type != incident.EventResolved || last.Data.Why != why {
				t.Errorf("%s: %+v", v, last)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
