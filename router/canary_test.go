package router_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sitrep/audit"
	"sitrep/incident"
	"sitrep/incident/incidenttest"
	"sitrep/router"
	"sitrep/router/routertest"
)

// flying is a policy with a canary that flies each day, to the mailbox of support, and to a
// webhook besides if so.
func flying(hook bool) *incident.Policy {
	p := incidenttest.Policy()
	i := slices.IndexFunc(p.Groups, func(g incident.Group) bool { return g.Name == "support" })
	if hook {
		p.Groups[i].Recipients = append(slices.Clone(p.Groups[i].Recipients), incident.Recipient{ID: "webhook:c", Channel: incident.ChannelWebhook, Address: "https://hooks.example"})
	}
	p.Canary = incident.Canary{Every: 24 * time.Hour, Within: 10 * time.Minute, Groups: []string{"support"}}
	p.Index()
	return p
}

// report says how the canary fared until now.
func report(t *testing.T, w *routertest.World) audit.CanaryFigures {
	t.Helper()
	rep, err := audit.MakeReport(t.Context(), w.Store(), audit.ReportOptions{From: incidenttest.Noon, To: w.Now(), Now: w.Now()})
	if err != nil {
		t.Fatal(err)
	}
	return rep.Canary
}

// backAfter lets alerts of the canary come back after some time, once for each run.
func backAfter(d time.Duration) func(*routertest.World) func(string) error {
	return func(w *routertest.World) func(string) error {
		var seen sync.Map
		return func(run string) error {
			if _, again := seen.LoadOrStore(run, true); !again {
				time.AfterFunc(d, func() { w.Post(w.CanaryAlert(run)) })
			}
			return nil
		}
	}
}

// fly tells a scenario in which the alerts of the canary fare as behave says from the first on: the
// process posts that as soon as it starts.
func fly(t *testing.T, o routertest.Options, behave func(*routertest.World) func(string) error, scenario func(*testing.T, *routertest.World)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := routertest.New(t, o)
		w.OnCanary(behave(w))
		w.Start()
		scenario(t, w)
	})
}

func TestTheCanaryArrivesEachDay(t *testing.T) {
	fly(t, routertest.Options{Poll: 15 * time.Second, Policy: flying(true)}, backAfter(30*time.Second), func(t *testing.T, w *routertest.World) {
		w.Behave(routertest.Stall(2*time.Second, "support"))
		for day := range 2 {
			w.Pass(time.Minute)
			mails := w.Expect("support canary")
			if runs := w.Canaries(); len(runs) != 1 {
				t.Errorf("day %d: posted %v", day, runs)
			}
			if c := mails[0].Canary; c == nil || !c.FailedAt.IsZero() || c.HeardAt.Sub(c.PostedAt) != 30*time.Second {
				t.Errorf("told %+v", c)
			}
			p := w.CanaryPulse()
			if !p.AwaySince.IsZero() || p.Run.Took < 32*time.Second || p.Run.Took > 34*time.Second || p.Run.Arrived != int64(day+1) || p.Run.Failed != 0 {
				t.Errorf("pulse %+v, run %+v", p, p.Run)
			}
			w.Pass(24*time.Hour - time.Minute)
		}
		if rep := report(t, w); rep.Arrived != 2 || rep.Failed != 0 || len(rep.Failures) != 0 || rep.Took.Count != 2 || rep.Took.Max < 32 || rep.Took.Max > 34 || !rep.LastArrivedAt.Equal(w.CanaryPulse().HeardAt) {
			t.Errorf("report %+v", rep)
		}
		if deliveries := w.Deliveries(); len(deliveries) != 2 || deliveries[0].Incident != 0 || deliveries[0].Kind != incident.KindCanary {
			t.Errorf("deliveries %+v", deliveries)
		}
	})
}

func TestTheCanaryOpensNoIncident(t *testing.T) {
	routertest.Run(t, routertest.Options{Poll: 15 * time.Second, Policy: flying(false)}, func(t *testing.T, w *routertest.World) {
		w.Pass(time.Second)
		run := w.Canaries()[0]
		alert := w.CanaryAlert(run)
		alert.Labels["sloth_id"] = "p1" // of an SLO, too, so that it takes its route
		other := w.CanaryAlert("another sitrep's")
		other.Labels["sloth_id"] = "p1"
		for range 2 {
			for _, r := range w.Post(alert, other, w.Ended(other)) {
				if r.Incident != 0 || r.SLO != "" || r.Result != "ignored" {
					t.Errorf("result %+v", r)
				}
			}
		}
		w.Pass(time.Minute)
		w.Expect("support canary")
		w.Post(w.Ended(alert))
		w.Pass(time.Hour)
		w.Expect()
		if state := w.BreachState(alert.Fingerprint); state != "" {
			t.Errorf("it is a breach, %s", state)
		}
	})
}

func TestACanaryThatDoesNotComeBackIsKnown(t *testing.T) {
	down := errors.New("connection refused")
	for _, c := range []struct {
		name  string
		post  func(w *routertest.World) func(string) error
		stage incident.CanaryStage
	}{
		{"no route", func(*routertest.World) func(string) error { return nil }, incident.CanaryRoute},
		{"no Alertmanager", func(*routertest.World) func(string) error { return func(string) error { return down } }, incident.CanaryPost},
		{"too late", backAfter(15 * time.Minute), incident.CanaryRoute},
	} {
		t.Run(c.name, func(t *testing.T) {
			fly(t, routertest.Options{Poll: 15 * time.Second, Policy: flying(true)}, c.post, func(t *testing.T, w *routertest.World) {
				w.Pass(9 * time.Minute)
				w.Expect()
				if runs := w.Canaries(); len(runs) < 9 || runs[0] != runs[8] {
					t.Errorf("posted %v, want the same each minute", runs)
				}
				w.Pass(2 * time.Minute)
				for _, m := range w.Expect("support canary", "https://hooks.example canary") {
					if m.Canary.Stage != c.stage || m.Canary.FailedAt.IsZero() {
						t.Errorf("told %+v", m.Canary)
					}
				}
				p := w.CanaryPulse()
				if p.AwaySince.IsZero() || p.Run.Failed != 1 {
					t.Errorf("pulse %+v, run %+v", p, p.Run)
				}
				since := p.AwaySince
				w.Pass(4 * time.Hour) // tried again each hour, and told once
				w.Expect()
				if p := w.CanaryPulse(); !p.AwaySince.Equal(since) || p.Run.Failed < 4 {
					t.Errorf("pulse %+v, run %+v", p, p.Run)
				}
				w.OnCanary(backAfter(time.Second)(w))
				w.Pass(time.Hour + time.Minute)
				mails := w.Expect("support canary", "https://hooks.example canary")
				for _, m := range mails {
					if c := m.Canary; !c.FailedAt.IsZero() || m.To == "support" && !c.FailingSince.Equal(since) {
						t.Errorf("told %s %+v", m.To, c)
					}
				}
				if p := w.CanaryPulse(); !p.AwaySince.IsZero() || p.BackAt.IsZero() {
					t.Errorf("pulse %+v", p)
				}
				w.Pass(25 * time.Hour)
				w.Expect("support canary")
				rep := report(t, w)
				if f := rep.Failures; rep.Arrived != 2 || rep.Failed < 5 || len(f) != 1 || !f[0].Since.Equal(since) || f[0].Until.IsZero() || f[0].Runs != rep.Failed || f[0].Stage != c.stage {
					t.Errorf("report %+v", rep)
				}
			})
		})
	}
}

func TestACanaryWhoseMailIsRefusedIsKnown(t *testing.T) {
	login := fmt.Errorf("log in: 535 5.7.8 authentication failed: %w", router.ErrServer)
	fly(t, routertest.Options{Poll: 15 * time.Second, Policy: flying(true)}, backAfter(20*time.Second), func(t *testing.T, w *routertest.World) {
		w.Behave(routertest.Refuse(login, "support"))
		w.Pass(12 * time.Minute)
		mails := w.Expect("https://hooks.example canary")
		if c := mails[0].Canary; c.Stage != incident.CanaryMail || c.Error == "" {
			t.Errorf("told %+v", c)
		}
		w.Pass(3 * time.Hour)
		w.Expect()
		w.Behave(nil)
		w.Pass(2 * time.Hour)
		// What waited says that it failed, or that it arrives again, whichever is true by then.
		if mails := w.Mails(); !slices.ContainsFunc(mails, func(m routertest.Mail) bool { return m.To == "support" && m.Canary.FailedAt.IsZero() }) ||
			!slices.ContainsFunc(mails, func(m routertest.Mail) bool { return m.To == "https://hooks.example" && m.Canary.FailedAt.IsZero() }) {
			t.Errorf("told %+v", mails)
		}
		if p := w.CanaryPulse(); !p.AwaySince.IsZero() || p.Run.Failed < 3 {
			t.Errorf("pulse %+v, run %+v", p, p.Run)
		}
	})
}

// asking is the policy of flying, and each run finds out how Prometheus fares.
func asking() *incident.Policy {
	p := flying(true)
	p.Canary.Prometheus = true
	return p
}

func TestACanaryWaitsForPrometheus(t *testing.T) {
	fly(t, routertest.Options{Poll: 15 * time.Second, Policy: asking()}, func(w *routertest.World) func(string) error {
		w.OnPrometheus(func() error { return errors.New("it starts") })
		return backAfter(20 * time.Second)(w)
	}, func(t *testing.T, w *routertest.World) {
		w.Pass(3 * time.Minute)
		w.Expect() // it is back, and its mail waits
		if p := w.CanaryPulse(); p.Run.HeardAt.IsZero() || p.Run.Over() || p.Run.PrometheusError != "it starts" {
			t.Errorf("run %+v", p.Run)
		}
		if runs, n := w.Canaries(), w.Probed(); len(runs) != 1 || n < 3 || n > 4 {
			t.Errorf("posted %d times, and asked Prometheus %d times in 3 minutes", len(runs), n)
		}
		w.OnPrometheus(nil)
		w.Pass(2 * time.Minute)
		mails := w.Expect("support canary")
		if c := mails[0].Canary; c.PrometheusAt.IsZero() || c.HeardAt.IsZero() || !c.FailedAt.IsZero() {
			t.Errorf("told %+v", c)
		}
		if p := w.CanaryPulse(); p.Run.Arrived != 1 || p.Run.Failed != 0 || p.Run.PrometheusError != "" {
			t.Errorf("run %+v", p.Run)
		}
		w.Probed()
		w.Pass(20 * time.Hour)
		w.Expect()
		if n := w.Probed(); n != 0 {
			t.Errorf("asked Prometheus %d times between two runs", n)
		}
	})
}

func TestADeadPrometheusIsKnown(t *testing.T) {
	dead := func() error { return errors.New(`Prometheus "http://p.example": connection refused`) }
	down := errors.New("no Alertmanager")
	for _, c := range []struct {
		name   string
		sound  func() error
		post   func(w *routertest.World) func(string) error
		failed string // what is said
	}{
		{"dead", dead, backAfter(20 * time.Second), `Prometheus "http://p.example": connection refused`},
		{"no answer until it is over", func() error { time.Sleep(time.Hour); return nil }, backAfter(20 * time.Second), ""},
		{"and no Alertmanager either", dead, func(*routertest.World) func(string) error { return func(string) error { return down } }, `Prometheus "http://p.example": connection refused` + "\nno Alertmanager"},
	} {
		t.Run(c.name, func(t *testing.T) {
			fly(t, routertest.Options{Poll: 15 * time.Second, Policy: asking()}, func(w *routertest.World) func(string) error {
				w.OnPrometheus(c.sound)
				return c.post(w)
			}, func(t *testing.T, w *routertest.World) {
				w.Pass(9 * time.Minute)
				w.Expect()
				w.Pass(2 * time.Minute)
				for _, m := range w.Expect("support canary", "https://hooks.example canary") {
					if m.Canary.Stage != incident.CanaryPrometheus || m.Canary.FailedAt.IsZero() || !m.Canary.PrometheusAt.IsZero() {
						t.Errorf("told %+v", m.Canary)
					}
				}
				p := w.CanaryPulse()
				if p.AwaySince.IsZero() || p.Run.Failed != 1 || p.Run.Error != c.failed {
					t.Errorf("pulse %+v, run %+v", p, p.Run)
				}
				since := p.AwaySince
				w.OnPrometheus(nil)
				w.OnCanary(backAfter(time.Second)(w))
				w.Pass(3 * time.Hour)
				w.Expect("support canary", "https://hooks.example canary")
				if p := w.CanaryPulse(); !p.AwaySince.IsZero() {
					t.Errorf("pulse %+v", p)
				}
				if f := report(t, w).Failures; len(f) != 1 || !f[0].Since.Equal(since) || f[0].Until.IsZero() || f[0].Stage != incident.CanaryPrometheus {
					t.Errorf("report %+v", f)
				}
			})
		})
	}
}

func TestACanaryOutlivesThePrometheusThatItAsked(t *testing.T) {
	fly(t, routertest.Options{Poll: 15 * time.Second, Policy: asking(), Unasked: true}, backAfter(20*time.Second), func(t *testing.T, w *routertest.World) {
		w.Pass(time.Minute)
		w.Expect("support canary")
	})
}

func TestOneOfManyProcessesLetsTheCanaryFly(t *testing.T) {
	fly(t, routertest.Options{Poll: 15 * time.Second, Policy: flying(false), Later: true}, backAfter(30*time.Second), func(t *testing.T, w *routertest.World) {
		for _, owner := range []string{"b", "c"} {
			w.StartReplica(routertest.Process{Owner: owner})
		}
		for range 2 {
			w.Pass(2 * time.Minute)
			w.Expect("support canary")
			if runs := w.Canaries(); len(runs) != 1 {
				t.Errorf("posted %v", runs)
			}
			w.Pass(24*time.Hour - 2*time.Minute)
		}
		w.OnCanary(nil)
		w.Canaries()
		w.Pass(9 * time.Minute)
		if runs := w.Canaries(); len(runs) > 10 {
			t.Errorf("posted %d times in 9 minutes", len(runs))
		}
	})
}

func TestARestartGivesTheCanaryItsTimeAnew(t *testing.T) {
	routertest.Run(t, routertest.Options{Poll: 15 * time.Second, Policy: flying(false)}, func(t *testing.T, w *routertest.World) {
		w.Pass(time.Second)
		run := w.Canaries()[0]
		w.Restart(3 * time.Hour)
		w.Pass(2 * time.Minute)
		if runs := w.Canaries(); len(runs) == 0 || slices.ContainsFunc(runs, func(r string) bool { return r != run }) {
			t.Errorf("posted %v, want %s again", runs, run)
		}
		w.Post(w.CanaryAlert(run))
		w.Restart(time.Second) // its mail is owed, or on its way
		w.Pass(time.Minute)
		if mails := w.Mails(); len(mails) == 0 || mails[0].Kind != incident.KindCanary {
			t.Errorf("told %+v", mails)
		}
		if p := w.CanaryPulse(); p.Run.Arrived != 1 || p.Run.Failed != 0 {
			t.Errorf("run %+v", p.Run)
		}
		w.Restart(time.Minute)
		w.Pass(time.Hour)
		w.Expect()
	})
}

func TestTheCanaryWaitsUntilSomebodyIsNotQuiet(t *testing.T) {
	p := flying(false)
	i := slices.IndexFunc(p.Groups, func(g incident.Group) bool { return g.Name == "support" })
	p.Groups[i].Quiet = []incident.Quiet{incidenttest.Quiet(11*60, 13*60)}
	fly(t, routertest.Options{Poll: 15 * time.Second, Policy: p}, backAfter(30*time.Second), func(t *testing.T, w *routertest.World) {
		zone := p.Groups[i].Location
		w.Pass(14 * time.Hour)
		mails := w.Expect("support canary")
		if at := mails[0].Taken.In(zone).Format("15:04"); at < "13:00" || at > "13:01" {
			t.Errorf("told at %s", at)
		}
	})
}

func TestACanaryThatIsTakenOutIsForgotten(t *testing.T) {
	routertest.Run(t, routertest.Options{Poll: 15 * time.Second, Policy: flying(false)}, func(t *testing.T, w *routertest.World) {
		w.Pass(11 * time.Minute)
		w.Expect("support canary")
		w.Canaries()
		w.Reload(func(p *incident.Policy) { p.Canary = incident.Canary{} })
		w.Pass(48 * time.Hour)
		w.Expect()
		if p := w.CanaryPulse(); p.Run != nil || len(w.Canaries()) != 0 {
			t.Errorf("pulse %+v", p)
		}
	})
}
