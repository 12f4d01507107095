package router_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"sitrep/incident"
	"sitrep/internal/command"
	"sitrep/router/routertest"
	"sitrep/storage"
)

// withClusters is a policy with a pulse for each cluster.
func withClusters() *incident.Policy {
	p := withWatchdog()
	p.Watchdog.By = []string{"cluster"}
	return p
}

// in returns the alert as it comes from a cluster.
func in(cluster string, a incident.Alert) incident.Alert {
	labels := map[string]string{"cluster": cluster}
	for k, v := range a.Labels {
		labels[k] = v
	}
	a.Labels, a.Fingerprint = labels, a.Fingerprint+"/"+cluster
	return a
}

// beatIn lets the watchdogs of some clusters be heard every five minutes for that long.
func (w *world) beatIn(d time.Duration, names ...string) {
	for end := time.Now().Add(d); time.Now().Before(end); {
		var alerts []incident.Alert
		for _, c := range names {
			alerts = append(alerts, in(c, routertest.Watchdog()))
		}
		w.Post(alerts...)
		w.Pass(min(5*time.Minute, time.Until(end)))
	}
}

// pulses returns the clusters whose pulse is known, with a star if it is away.
func (w *world) pulses() (names []string) {
	w.t.Helper()
	w.Read(func(r storage.Snapshot) error {
		all, err := r.Pulses(w.t.Context())
		for _, p := range all {
			name := p.Labels["cluster"]
			if !p.AwaySince.IsZero() {
				name += "*"
			}
			names = append(names, name)
		}
		return err
	})
	return names
}

// clusters returns of which clusters mails tell, with a star if it is away.
func clusters(mails []routertest.Mail) (names []string) {
	for _, m := range mails {
		if n := m.Watchdog; n != nil {
			name := n.Labels["cluster"]
			if n.Away {
				name += "*"
			}
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func TestEachClusterHasAPulse(t *testing.T) {
	bubbleEvery(t, 10*time.Second, withClusters(), func(t *testing.T, w *world) {
		w.Expect()
		w.beatIn(30*time.Minute, "eu", "us")
		w.Expect()
		w.beatIn(20*time.Minute, "us")
		mails := w.Expect("sre watchdog")
		if got := clusters(mails); !slices.Equal(got, []string{"eu*"}) || mails[0].Watchdog.Pulse != `cluster="eu"` {
			t.Errorf("told of %v: %+v", got, mails[0].Watchdog)
		}
		w.beatIn(10*time.Minute, "eu", "us")
		if got := clusters(w.Expect("sre watchdog")); !slices.Equal(got, []string{"eu"}) {
			t.Errorf("told of %v", got)
		}
		// Both at once, and one that resolves beside one that fires.
		w.Post(w.Ended(in("eu", routertest.Watchdog())), in("us", routertest.Watchdog()))
		w.Pass(time.Second)
		if got := clusters(w.Expect("sre watchdog")); !slices.Equal(got, []string{"eu*"}) {
			t.Errorf("told of %v", got)
		}
		w.beatIn(6*time.Minute, "eu", "us")
		w.Expect("sre watchdog")
		w.Pass(time.Hour)
		mails = w.Expect("sre watchdog", "sre watchdog")
		if got := clusters(mails); !slices.Equal(got, []string{"eu*", "us*"}) || mails[0].ID == mails[1].ID {
			t.Errorf("told of %v as %s and %s", got, mails[0].ID, mails[1].ID)
		}
		for _, d := range w.Deliveries() {
			if d.Incident != 0 || !d.OfPulse() || d.State != incident.DeliveryDelivered || !strings.HasPrefix(d.ID, "watchdog.") {
				t.Errorf("delivery %+v", d)
			}
		}
	})
}

func TestAnEndIsDoubtedByThePulseOfItsCluster(t *testing.T) {
	bubbleEvery(t, 10*time.Second, withClusters(), func(t *testing.T, w *world) {
		eu, us := in("eu", w.Alert("p1", "a")), in("us", w.Alert("p2", "b"))
		both, both2 := in("eu", w.Alert("p3", "c")), in("us", w.Alert("p3", "c"))
		plain := w.Alert("p1", "nowhere")
		plain.Labels["slo"] = "p1"
		w.Post(in("eu", routertest.Watchdog()), in("us", routertest.Watchdog()), eu, us, both, both2)
		w.beatIn(10*time.Minute, "eu", "us")
		w.Mails()
		// The Prometheus of eu dies: its alerts end four minutes later, us's really do.
		w.beatIn(4*time.Minute, "us")
		w.Resolve(eu, us, both, both2)
		w.beatIn(20*time.Minute, "us")
		for number, want := range map[int64]incident.State{1: incident.StateOpen, 2: incident.StateResolved, 3: incident.StateOpen} {
			if s := w.Situation(number).Incident; s.State != want || s.State == incident.StateOpen && s.Breaches != (incident.Counts{Unknown: 1, Total: s.Breaches.Total}) {
				t.Errorf("incident %d is %s: %+v", number, s.State, s.Breaches)
			}
		}
		w.Expect("sre watchdog", "cto resolved", "support resolved", "oncall resolved", "oncall reminder", "oncall reminder")
		// One that names no cluster is doubted while any is away, also if it ends now.
		w.Post(plain)
		w.Pass(time.Second)
		w.Mails()
		w.Resolve(plain)
		w.beatIn(20*time.Minute, "us")
		if got := w.Situation(1).Incident.Breaches.Unknown; got != 2 {
			t.Errorf("%d are unknown", got)
		}
		w.Mails()
		// It is back, and what fires there still does.
		w.Post(in("eu", routertest.Watchdog()), eu, both)
		w.Resolve(both)
		w.beatIn(20*time.Minute, "eu", "us")
		if got := w.Situation(3).Incident.State; got != incident.StateResolved {
			t.Errorf("incident 3 is %s", got)
		}
		if s := w.Situation(1).Incident; s.State != incident.StateOpen || s.Breaches.Firing != 1 {
			t.Errorf("incident 1 is %s: %+v", s.State, s.Breaches)
		}
	})
}

func TestAnIncidentOfTwoClustersEndsWhileOneIsAway(t *testing.T) {
	bubbleEvery(t, 10*time.Second, withClusters(), func(t *testing.T, w *world) {
		eu, us := in("eu", w.Alert("p3", "a")), in("us", w.Alert("p3", "a"))
		w.Post(in("eu", routertest.Watchdog()), in("us", routertest.Watchdog()), eu, us)
		w.beatIn(10*time.Minute, "eu", "us")
		w.Resolve(eu)
		w.beatIn(time.Hour, "eu", "us")
		w.beatIn(time.Hour, "us") // eu is away, and its end was confirmed long before
		w.Mails()
		w.Resolve(us)
		w.beatIn(12*time.Minute, "us")
		w.Expect("support resolved", "oncall resolved")
	})
}

func TestAClusterThatIsGoneIsGivenUp(t *testing.T) {
	bubbleEvery(t, 10*time.Minute, withClusters(), func(t *testing.T, w *world) {
		a := in("eu", w.Alert("p3", "a"))
		w.Post(in("eu", routertest.Watchdog()), in("us", routertest.Watchdog()), a)
		w.beatIn(7*24*time.Hour-time.Hour, "us")
		w.Mails()
		if got := w.pulses(); !slices.Equal(got, []string{"eu*", "us"}) {
			t.Errorf("pulses %v", got)
		}
		w.beatIn(2*time.Hour, "us")
		if got := w.pulses(); !slices.Equal(got, []string{"us"}) {
			t.Errorf("pulses %v", got)
		}
		w.Mails()
		w.Resolve(a)
		w.beatIn(30*time.Minute, "us")
		w.Expect("support resolved", "oncall resolved")
		// It comes back after all: nobody waits for that.
		w.beatIn(30*time.Minute, "us", "eu")
		w.Expect()
		w.beatIn(30*time.Minute, "us")
		w.Expect("sre watchdog")
	})
}

func TestNobodyHearsOfAWatchdogThatWasAwayUntold(t *testing.T) {
	bubbleEvery(t, 10*time.Second, withWatchdog(), func(t *testing.T, w *world) {
		w.Behave(routertest.Refuse(errLater, "sre"))
		w.beat(10 * time.Minute)
		w.Pass(20 * time.Minute)
		if len(w.Attempts()) == 0 {
			t.Error("it was not tried")
		}
		w.beat(5 * time.Minute)
		w.Behave(nil)
		w.beat(time.Hour)
		w.Expect()
		for _, d := range w.Deliveries() {
			if d.State != incident.DeliverySuperseded {
				t.Errorf("delivery %+v", d)
			}
		}
		// The next time they do.
		w.Pass(time.Hour)
		w.Expect("sre watchdog")
		w.beat(time.Minute)
		w.Expect("sre watchdog")
	})
}

func TestAWatchdogThatMayHaveBeenToldIsToldToBeBack(t *testing.T) {
	bubbleEvery(t, 10*time.Second, withWatchdog(), func(t *testing.T, w *world) {
		w.Behave(func(*routertest.Mail) error {
			return errors.Join(routertest.ErrTaken, errors.New("the answer is lost"))
		})
		w.beat(10 * time.Minute)
		w.Pass(10*time.Minute + 30*time.Second) // it has just gone away
		if got := clusters(w.Mails()); len(got) == 0 {
			t.Error("it was not tried")
		}
		w.Post(routertest.Watchdog())
		w.Pass(time.Second)
		w.Behave(nil)
		w.beat(30 * time.Minute)
		// Before it, what may have been told can be told once more.
		back := map[string]bool{}
		for _, m := range w.Mails() {
			if !m.Watchdog.Away {
				back[m.ID] = true
			} else if len(back) > 0 {
				t.Errorf("told %+v after it was back", m.Watchdog)
			}
		}
		if len(back) != 1 {
			t.Errorf("told to be back by %d messages", len(back))
		}
	})
}

func TestAnIncidentNamesTheClustersThatAreSilent(t *testing.T) {
	bubbleEvery(t, 10*time.Second, withClusters(), func(t *testing.T, w *world) {
		w.Post(in("eu", routertest.Watchdog()), in("us", routertest.Watchdog()), in("us", w.Alert("p3", "a")))
		w.beatIn(30*time.Minute, "us")
		w.Mails()
		w.Do(1, command.Update{Message: "We look into it."})
		w.Pass(time.Second)
		mails := w.Expect("support update")
		if silent := mails[0].First().Silent; len(silent) != 1 || silent[0].Labels["cluster"] != "eu" {
			t.Errorf("silent %+v", silent)
		}
	})
}

func TestAWatchdogThatIsNewIsGivenItsTime(t *testing.T) {
	without := withWatchdog()
	without.Watchdog = incident.Watchdog{}
	bubbleEvery(t, 10*time.Second, without, func(t *testing.T, w *world) {
		w.Pass(time.Hour)
		w.Reload(func(p *incident.Policy) { p.Watchdog = withWatchdog().Watchdog })
		w.Pass(14 * time.Minute)
		w.Expect()
		w.Pass(2 * time.Minute)
		if away := w.Expect("sre watchdog")[0].Watchdog; !away.Away {
			t.Errorf("told %+v", away)
		}
	})
}

func TestTheWatchdogIsTakenOutOfTheConfiguration(t *testing.T) {
	bubbleEvery(t, 10*time.Second, withClusters(), func(t *testing.T, w *world) {
		w.beatIn(10*time.Minute, "eu", "us")
		w.Pass(20 * time.Minute)
		w.Expect("sre watchdog", "sre watchdog")
		w.Reload(func(p *incident.Policy) { p.Watchdog = incident.Watchdog{} })
		w.Pass(time.Minute)
		if got := w.pulses(); len(got) != 0 {
			t.Errorf("pulses %v", got)
		}
		w.Reload(func(p *incident.Policy) { p.Watchdog = withWatchdog().Watchdog })
		w.beat(30 * time.Minute)
		w.Expect()
	})
}
