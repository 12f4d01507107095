package router_test

import (
	"testing"
	"time"

	"sitrep/incident"
	"sitrep/incident/incidenttest"
	"sitrep/intake"
	"sitrep/router/routertest"
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
			w.Pass(time.Hour)
			w.Expect()
			if s := w.Situation(1); s.Incident.Breaches.Firing != 1 || s.LastHeardAt().Sub(noon) < 5*time.Hour {
				t.Errorf("situation %+v", s)
			}
		}},
		"not reported: it has ended": {incident.VerdictNotListed, func(t *testing.T, w *world) {
			w.Pass(11 * time.Minute)
			w.Expect("support resolved", "oncall resolved")
		}},
		"nobody can tell: it is unknown, and the next breach is told": {incident.VerdictCannotTell, func(t *testing.T, w *world) {
			w.Pass(time.Minute)
			mails := w.Expect("oncall reminder")
			if mails[0].First().Reasons[0].Reason != incident.DueAllUnknown {
				t.Errorf("reasons %+v", mails[0].First().Reasons)
			}
			if s := w.Situation(1); s.Incident.UnknownSince.IsZero() || s.Incident.Breaches.Unknown != 1 {
				t.Errorf("situation %+v", s)
			}
			w.Fire("p3", "b")
			w.Pass(time.Second)
			w.Expect("support update", "oncall update")
		}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			bubbleEvery(t, 10*time.Second, silent(), func(t *testing.T, w *world) {
				w.Fire("p3", "a")
				w.Pass(time.Minute)
				w.Expect("support opened", "oncall opened")
				w.Answer(test.say)
				w.Until(noon.Add(5*time.Hour - time.Second))
				if w.Asked() != 0 {
					t.Error("asked too soon")
				}
				w.Pass(20 * time.Second)
				if w.Asked() == 0 {
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
				a := w.Fire("p3", "a")
				w.Pass(time.Minute)
				w.Expect("support opened", "oncall opened")
				w.Resolve(a)
				w.Pass(time.Minute)
				w.Answer(test.say)
				if r := w.Post(a); r[0].Result != intake.OutcomeStale || r[0].Incident != 1 {
					t.Errorf("result %+v", r)
				}
				w.Pass(30 * time.Minute)
				w.Expect(test.want...)
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
			w.Answer(say)
			a := w.Alert("p3", "a")
			w.Pass(time.Minute)
			if r := w.Resolve(a); r[0].Result != intake.OutcomeResolved || r[0].Incident != 0 {
				t.Errorf("result %+v", r)
			}
			w.Pass(time.Second)
			if r := w.Post(a); r[0].Result != intake.OutcomeStale {
				t.Errorf("result %+v", r)
			}
			w.Expect()
			w.Pass(time.Minute)
			w.Expect(want...)
			w.Pass(time.Hour)
			w.Expect()
		})
	}
}

func TestTheSameEndEndsABreachAgainWhenACopyOfItsFiringCameBetween(t *testing.T) {
	bubbleEvery(t, 10*time.Second, policy(), func(t *testing.T, w *world) {
		a := w.Fire("p3", "a")
		w.Pass(time.Minute)
		w.Expect("support opened", "oncall opened")
		w.Pass(4 * time.Minute)
		end := w.Ended(a)
		w.Post(end)
		w.Pass(5 * time.Second)
		w.Post(a)
		if n := w.Situation(1).Incident.Breaches.Firing; n != 1 {
			t.Errorf("%d fire", n)
		}
		w.Pass(5 * time.Second)
		if r := w.Post(end); r[0].Result != intake.OutcomeResolved {
			t.Errorf("result %+v", r)
		}
		w.Expect()
		w.Pass(11 * time.Minute)
		w.Expect("support resolved", "oncall resolved")
	})
}

func TestADayOfNotKnowingPausesTheUpdates(t *testing.T) {
	p := silent()
	p.Asks = false
	bubbleEvery(t, 10*time.Minute, p, func(t *testing.T, w *world) {
		w.Fire("p3", "a")
		w.Pass(30 * time.Hour)
		w.Mails() // unknown since five hours after noon, with updates every eight hours since
		last := w.Deliveries()[0]
		if last.SentAt.Sub(noon) < 29*time.Hour || last.SentAt.Sub(noon) > 29*time.Hour+10*time.Minute {
			t.Errorf("the last message went out %v after noon: %+v", last.SentAt.Sub(noon), last)
		}
		w.Pass(100 * time.Hour)
		w.Expect()
		w.Fire("p3", "b")
		w.Pass(time.Second)
		w.Expect("support update", "oncall update")
		w.Pass(8 * time.Hour)
		w.Expect("support update", "oncall reminder")
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
		w.Post(routertest.Watchdog())
		w.Pass(min(5*time.Minute, time.Until(end)))
	}
}

func TestTheWatchdogGoesAwayAndComesBack(t *testing.T) {
	bubbleEvery(t, 10*time.Second, withWatchdog(), func(t *testing.T, w *world) {
		w.beat(30 * time.Minute)
		w.Expect()
		w.Pass(9 * time.Minute) // 14 minutes since it was heard
		w.Expect()
		w.Pass(2 * time.Minute)
		mails := w.Expect("sre watchdog")
		if !mails[0].Watchdog.Away || mails[0].Watchdog.HeardAt.Sub(noon) != 25*time.Minute {
			t.Errorf("news %+v", mails[0].Watchdog)
		}
		w.Pass(time.Hour)
		w.Expect()
		w.beat(10 * time.Minute)
		if mails := w.Expect("sre watchdog"); mails[0].Watchdog.Away {
			t.Errorf("news %+v", mails[0].Watchdog)
		}
		// A copy of its end that comes late says nothing.
		gone := routertest.Watchdog()
		gone.Resolved, gone.EndsAt = true, noon.Add(40*time.Minute)
		w.Post(gone)
		w.Pass(time.Minute)
		w.Expect()
		// A real one does, at once.
		w.Resolve(routertest.Watchdog())
		w.Pass(2 * time.Second)
		w.Expect("sre watchdog")
	})
}

func TestAWatchdogThatWasNeverHeardIsMissed(t *testing.T) {
	bubbleEvery(t, 10*time.Second, withWatchdog(), func(t *testing.T, w *world) {
		w.Pass(14 * time.Minute)
		w.Expect()
		w.Pass(2 * time.Minute)
		w.Expect("sre watchdog")
	})
}

func TestWhenPrometheusDiesNothingEnds(t *testing.T) {
	tests := map[string]func(w *world, a, b incident.Alert){
		"the ends come, and the watchdog stays away": func(w *world, a, b incident.Alert) {
			w.Pass(4 * time.Minute)
			w.Resolve(a, b)
		},
		"the ends come with that of the watchdog": func(w *world, a, b incident.Alert) {
			w.Pass(4 * time.Minute)
			w.Resolve(a, b)
			w.Pass(5 * time.Second)
			w.Resolve(routertest.Watchdog())
		},
		"the ends come when the watchdog is known to be away": func(w *world, a, b incident.Alert) {
			w.Pass(16 * time.Minute)
			w.Resolve(a)
			w.Pass(time.Minute)
			w.Resolve(b)
		},
		"Alertmanager does not report them any more": func(w *world, a, b incident.Alert) {
			w.Reload(func(p *incident.Policy) { p.Asks, p.UnknownAfter = true, 16*time.Minute })
			w.Answer(incident.VerdictNotListed)
			w.Pass(15 * time.Minute)
		},
	}
	for name, dies := range tests {
		t.Run(name, func(t *testing.T) {
			bubbleEvery(t, 10*time.Second, withWatchdog(), func(t *testing.T, w *world) {
				a, b := w.Alert("p1", "a"), w.Alert("p1", "b")
				w.Post(routertest.Watchdog(), a, b)
				w.beat(10 * time.Minute)
				w.Mails()
				dies(w, a, b)
				w.Until(noon.Add(30 * time.Minute))
				in := w.Situation(1).Incident
				if in.State != incident.StateOpen || in.Breaches.Unknown != 2 || in.UnknownSince.IsZero() || in.Breaches.Firing != 0 {
					t.Errorf("incident %+v", in)
				}
				if len(w.Events(1, incident.EventBreachUnknown)) != 2 {
					t.Errorf("events %+v", w.Events(1))
				}
				w.Expect("sre watchdog", "oncall reminder")
				// It is back, and so are they.
				w.Until(noon.Add(40 * time.Minute))
				w.Answer(incident.VerdictListed)
				w.Post(routertest.Watchdog(), a, b)
				w.Pass(time.Second)
				w.Expect("sre watchdog")
				if n := w.Situation(1).Incident.Breaches.Firing; n != 2 {
					t.Errorf("%d fire", n)
				}
				w.beat(10 * time.Minute)
				w.Answer(incident.VerdictNotListed)
				w.Resolve(a, b)
				w.beat(20 * time.Minute)
				w.Expect("cto resolved", "support resolved", "oncall resolved")
			})
		})
	}
}
