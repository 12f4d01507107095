package router_test

import (
	"testing"
	"time"

	"sitrep/incident"
	"sitrep/incident/incidenttest"
	"sitrep/intake"
)

// silent is a policy under which Alertmanager is asked after five hours.
func silent() *incident.Policy {
	p := policy()
	p.UnknownAfter, p.Asks = 5*time.Hour, true
	return p
}

func TestAQuietBreachIsAskedAbout(t *testing.T) {
	tests := map[string]struct {
		say   incident.Verdict
		after func(t *testing.T, w *world)
	}{
		"still firing: nothing is said": {incident.VerdictListed, func(t *testing.T, w *world) {
			time.Sleep(time.Hour)
			w.expect()
			if s := w.situation(1); s.Incident.Breaches.Firing != 1 || s.LastHeardAt().Sub(noon) < 5*time.Hour {
				t.Errorf("situation %+v", s)
			}
		}},
		"not reported: it has ended": {incident.VerdictNotListed, func(t *testing.T, w *world) {
			time.Sleep(11 * time.Minute)
			w.expect("support resolved", "oncall resolved")
		}},
		"nobody can tell: it is unknown, and the next breach is told": {incident.VerdictCannotTell, func(t *testing.T, w *world) {
			time.Sleep(time.Minute)
			mails := w.expect("oncall reminder")
			if mails[0].First().Reasons[0].Reason != incident.DueAllUnknown {
				t.Errorf("reasons %+v", mails[0].First().Reasons)
			}
			if s := w.situation(1); s.Incident.UnknownSince.IsZero() || s.Incident.Breaches.Unknown != 1 {
				t.Errorf("situation %+v", s)
			}
			w.post(alert("p3", "b"))
			time.Sleep(time.Second)
			w.expect("support update", "oncall update")
		}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			bubbleEvery(t, 10*time.Second, silent(), func(t *testing.T, w *world) {
				w.post(alert("p3", "a"))
				time.Sleep(time.Minute)
				w.expect("support opened", "oncall opened")
				w.am.set(test.say)
				sleepUntil(noon.Add(5*time.Hour - time.Second))
				if w.am.count() != 0 {
					t.Error("asked too soon")
				}
				time.Sleep(20 * time.Second)
				if w.am.count() == 0 {
					t.Error("not asked")
				}
				test.after(t, w)
			})
		})
	}
}

func TestAFiringAfterTheEndIsDoubted(t *testing.T) {
	tests := map[string]struct {
		say  incident.Verdict
		want []string
	}{
		"a late copy":     {incident.VerdictNotListed, []string{"support resolved", "oncall resolved"}},
		"it fires":        {incident.VerdictListed, nil},
		"nobody can tell": {incident.VerdictCannotTell, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			bubbleEvery(t, 10*time.Second, silent(), func(t *testing.T, w *world) {
				a := alert("p3", "a")
				w.post(a)
				time.Sleep(time.Minute)
				w.expect("support opened", "oncall opened")
				w.post(resolved(a))
				time.Sleep(time.Minute)
				w.am.set(test.say)
				if r := w.post(a); r[0].Result != intake.OutcomeStale || r[0].Incident != 1 {
					t.Errorf("result %+v", r)
				}
				time.Sleep(30 * time.Minute)
				w.expect(test.want...)
			})
		})
	}
}

func TestAFiringThatIsOvertakenByItsEndIsDoubted(t *testing.T) {
	for say, want := range map[incident.Verdict][]string{
		incident.VerdictNotListed:  nil,
		incident.VerdictListed:     {"support opened", "oncall opened"},
		incident.VerdictCannotTell: {"support opened", "oncall opened"},
	} {
		bubbleEvery(t, 10*time.Second, silent(), func(t *testing.T, w *world) {
			w.am.set(say)
			a := alert("p3", "a")
			time.Sleep(time.Minute)
			if r := w.post(resolved(a)); r[0].Result != intake.OutcomeResolved || r[0].Incident != 0 {
				t.Errorf("result %+v", r)
			}
			time.Sleep(time.Second)
			if r := w.post(a); r[0].Result != intake.OutcomeStale {
				t.Errorf("result %+v", r)
			}
			w.expect()
			time.Sleep(time.Minute)
			w.expect(want...)
			time.Sleep(time.Hour)
			w.expect()
		})
	}
}

func TestTheSameEndEndsABreachAgainWhenACopyOfItsFiringCameBetween(t *testing.T) {
	bubbleEvery(t, 10*time.Second, policy(), func(t *testing.T, w *world) {
		a := alert("p3", "a")
		w.post(a)
		time.Sleep(time.Minute)
		w.expect("support opened", "oncall opened")
		time.Sleep(4 * time.Minute)
		end := resolved(a)
		w.post(end)
		time.Sleep(5 * time.Second)
		w.post(a)
		if n := w.situation(1).Incident.Breaches.Firing; n != 1 {
			t.Errorf("%d fire", n)
		}
		time.Sleep(5 * time.Second)
		if r := w.post(end); r[0].Result != intake.OutcomeResolved {
			t.Errorf("result %+v", r)
		}
		w.expect()
		time.Sleep(11 * time.Minute)
		w.expect("support resolved", "oncall resolved")
	})
}

func TestADayOfNotKnowingPausesTheUpdates(t *testing.T) {
	p := silent()
	p.Asks = false
	bubbleEvery(t, 10*time.Minute, p, func(t *testing.T, w *world) {
		w.post(alert("p3", "a"))
		time.Sleep(30 * time.Hour)
		w.mail.take() // unknown since five hours after noon, with updates every eight hours since
		last := w.deliveries()[0]
		if last.SentAt.Sub(noon) < 29*time.Hour || last.SentAt.Sub(noon) > 29*time.Hour+10*time.Minute {
			t.Errorf("the last message went out %v after noon: %+v", last.SentAt.Sub(noon), last)
		}
		time.Sleep(100 * time.Hour)
		w.expect()
		w.post(alert("p3", "b"))
		time.Sleep(time.Second)
		w.expect("support update", "oncall update")
		time.Sleep(8 * time.Hour)
		w.expect("support update", "oncall reminder")
	})
}

// withWatchdog is a policy with a watchdog that is heard every five minutes.
func withWatchdog() *incident.Policy {
	p := policy()
	p.Groups = append(p.Groups, incidenttest.Group("sre", "sre"))
	p.Watchdog = incident.Watchdog{Within: 15 * time.Minute, Groups: []string{"sre"}}
	return p
}

// beat lets the watchdog be heard every five minutes for that long.
func (w *world) beat(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); {
		w.post(watchdog())
		time.Sleep(min(5*time.Minute, time.Until(end)))
	}
}

func TestTheWatchdogGoesAwayAndComesBack(t *testing.T) {
	bubbleEvery(t, 10*time.Second, withWatchdog(), func(t *testing.T, w *world) {
		w.beat(30 * time.Minute)
		w.expect()
		time.Sleep(9 * time.Minute) // 14 minutes since it was heard
		w.expect()
		time.Sleep(2 * time.Minute)
		mails := w.expect("sre watchdog")
		if !mails[0].Watchdog.Away || mails[0].Watchdog.HeardAt.Sub(noon) != 25*time.Minute {
			t.Errorf("news %+v", mails[0].Watchdog)
		}
		time.Sleep(time.Hour)
		w.expect()
		w.beat(10 * time.Minute)
		if mails := w.expect("sre watchdog"); mails[0].Watchdog.Away {
			t.Errorf("news %+v", mails[0].Watchdog)
		}
		// A copy of its end that comes late says nothing.
		gone := watchdog()
		gone.Resolved, gone.EndsAt = true, noon.Add(40*time.Minute)
		w.post(gone)
		time.Sleep(time.Minute)
		w.expect()
		// A real one does, at once.
		w.post(resolved(watchdog()))
		time.Sleep(2 * time.Second)
		w.expect("sre watchdog")
	})
}

func TestAWatchdogThatWasNeverHeardIsMissed(t *testing.T) {
	bubbleEvery(t, 10*time.Second, withWatchdog(), func(t *testing.T, w *world) {
		time.Sleep(14 * time.Minute)
		w.expect()
		time.Sleep(2 * time.Minute)
		w.expect("sre watchdog")
	})
}

func TestWhenPrometheusDiesNothingEnds(t *testing.T) {
	tests := map[string]func(w *world, a, b incident.Alert){
		"the ends come, and the watchdog stays away": func(w *world, a, b incident.Alert) {
			time.Sleep(4 * time.Minute)
			w.post(resolved(a), resolved(b))
		},
		"the ends come with that of the watchdog": func(w *world, a, b incident.Alert) {
			time.Sleep(4 * time.Minute)
			w.post(resolved(a), resolved(b))
			time.Sleep(5 * time.Second)
			w.post(resolved(watchdog()))
		},
		"the ends come when the watchdog is known to be away": func(w *world, a, b incident.Alert) {
			time.Sleep(16 * time.Minute)
			w.post(resolved(a))
			time.Sleep(time.Minute)
			w.post(resolved(b))
		},
		"Alertmanager does not report them any more": func(w *world, a, b incident.Alert) {
			w.swap(func(p *incident.Policy) { p.Asks, p.UnknownAfter = true, 16*time.Minute })
			w.am.set(incident.VerdictNotListed)
			time.Sleep(15 * time.Minute)
		},
	}
	for name, dies := range tests {
		t.Run(name, func(t *testing.T) {
			bubbleEvery(t, 10*time.Second, withWatchdog(), func(t *testing.T, w *world) {
				a, b := alert("p1", "a"), alert("p1", "b")
				w.post(watchdog(), a, b)
				w.beat(10 * time.Minute)
				w.mail.take()
				dies(w, a, b)
				sleepUntil(noon.Add(30 * time.Minute))
				in := w.situation(1).Incident
				if in.State != incident.StateOpen || in.Breaches.Unknown != 2 || in.UnknownSince.IsZero() || in.Breaches.Firing != 0 {
					t.Errorf("incident %+v", in)
				}
				if len(w.of(1, incident.EventBreachUnknown)) != 2 {
					t.Errorf("events %+v", w.log(1))
				}
				w.expect("sre watchdog", "oncall reminder")
				// It is back, and so are they.
				sleepUntil(noon.Add(40 * time.Minute))
				w.am.set(incident.VerdictListed)
				w.post(watchdog(), a, b)
				time.Sleep(time.Second)
				w.expect("sre watchdog")
				if n := w.situation(1).Incident.Breaches.Firing; n != 2 {
					t.Errorf("%d fire", n)
				}
				w.beat(10 * time.Minute)
				w.am.set(incident.VerdictNotListed)
				w.post(resolved(a), resolved(b))
				w.beat(20 * time.Minute)
				w.expect("cto resolved", "support resolved", "oncall resolved")
			})
		})
	}
}
