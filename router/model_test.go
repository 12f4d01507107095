package router_test

import (
	"flag"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"sitrep/incident"
	"sitrep/router/routertest"
)

// agrees returns how long it takes at most until sitrep agrees with its senders: the next scheduled
// update, or unknown_after.
func (plan schedule) agrees() time.Duration {
	if plan.Asks {
		return 3 * time.Hour
	}
	return 6 * time.Hour
}

// lasts is when the last thing happens to the senders.
func (plan schedule) lasts() (last time.Duration) {
	note := func(all ...stretch) {
		for _, s := range all {
			last = max(last, s.From)
			if s.To < 50*time.Hour {
				last = max(last, s.To)
			}
		}
	}
	for i := range plan.Fires {
		note(plan.Fires[i]...)
	}
	for _, s := range plan.Silenced {
		note(s...)
	}
	for _, p := range plan.Proms {
		note(p.Skewed...)
		note(p.Stopped...)
		for _, cut := range p.Cut {
			note(cut...)
		}
	}
	for _, a := range plan.AMs {
		note(a.Twice...)
		note(a.Lost...)
		note(a.Away...)
		for _, at := range a.Restarts {
			last = max(last, at)
		}
	}
	return last
}

// modelPolicy is what sitrep promises in the model: alerts are of one P1 SLO, with updates
// each two hours.
func modelPolicy(asks bool) *incident.Policy {
	p := policy()
	p.Asks, p.UnknownAfter, p.DigestAbove = asks, 5*time.Hour, 0
	return p
}

// check runs a schedule and returns the promise that was broken, empty if none.
func (plan schedule) check(t *testing.T) (broken string) {
	t.Helper()
	return plan.checkIn(t, routertest.Options{Poll: 20 * time.Second})
}

// checkIn is check in a world of those options, with further processes beside the first.
func (plan schedule) checkIn(t *testing.T, o routertest.Options, others ...string) (broken string) {
	o.Policy, o.Begin = modelPolicy(plan.Asks), noon.Add(777*time.Millisecond)
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, o)
		s := newSenders(w, plan)
		w.Alertmanagers(s)
		var mu sync.Mutex
		told := map[string]time.Time{} // when each reader was last told that it is over
		w.Behave(func(m *routertest.Mail) error {
			mu.Lock()
			defer mu.Unlock()
			switch m.Kind {
			case incident.KindResolved:
				// What was silenced from its beginning on is nothing that sitrep ever heard of.
				listed := slices.DeleteFunc(s.listed(), func(fp string) bool { return w.BreachState(fp) == "" })
				if plan.Asks && len(listed) > 0 {
					s.breaks("%s is told that it is over while %v is listed", m.To, listed)
				}
				told[m.To] = time.Now()
			case incident.KindOpened, incident.KindReopened:
				if over, ok := told[m.To]; ok && plan.reachable() {
					s.mu.Lock()
					fires := false
					for _, at := range s.listedAt {
						fires = fires || at.After(over.Add(-plan.underWay()))
					}
					s.mu.Unlock()
					if !fires {
						s.breaks("%s is told %s, and nothing was listed since it was told that it is over", m.To, m.Kind)
					}
				}
			}
			return nil
		})
		w.Start()
		for _, owner := range others {
			w.StartReplica(routertest.Process{Owner: owner})
		}
		end := plan.lasts() + plan.agrees()
		s.run(end)
		s.sends.Wait()
		for i := range plan.Fires {
			state := w.BreachState(name(i))
			lists := slices.Contains(s.listed(), name(i))
			silenced := i < len(plan.Silenced) && within(plan.Silenced[i], end)
			switch {
			case plan.Asks && lists != (state == incident.BreachFiring):
				s.breaks("alert %s is %q at last, and listed is %v", name(i), state, lists)
			case !plan.Asks && lists && !silenced && state != incident.BreachFiring:
				s.breaks("alert %s is %q at last although it is posted", name(i), state)
			case !plan.Asks && !plan.skewed() && s.allSaidEnded(name(i)) && state != incident.BreachEnded:
				s.breaks("alert %s is %q at last, and all said last that it has ended", name(i), state)
			case !plan.Asks && !lists && state == incident.BreachFiring:
				s.breaks("alert %s fires at last, and nobody lists it", name(i))
			}
		}
		w.Stop()
		broken = s.broken
	})
	return broken
}

// underWay is how long what fires can be listed before sitrep hears of it, where it does not
// ask: for the group's wait, and a post that takes its time and comes twice.
func (plan schedule) underWay() time.Duration {
	if plan.Asks {
		return 0
	}
	return 3 * groupEvery
}

// skewed reports whether a clock is wrong. Then an end can seem older than the beginning, and
// the breach is unknown in the end.
func (plan schedule) skewed() bool {
	return slices.ContainsFunc(plan.Proms, func(p promPlan) bool { return p.Skew != 0 })
}

// reachable reports whether the Alertmanagers can always be asked, or there is no asking.
func (plan schedule) reachable() bool {
	return !slices.ContainsFunc(plan.AMs, func(a amPlan) bool { return len(a.Away) > 0 || len(a.Restarts) > 0 })
}

// drawSchedule draws what happens. Most of it happens where an alert begins or ends.
func drawSchedule(rt *rapid.T) schedule {
	minutes := func(from, to int, what string) time.Duration {
		return time.Duration(rapid.IntRange(from, to).Draw(rt, what)) * time.Minute
	}
	seconds := func(from, to int, what string) time.Duration {
		return time.Duration(rapid.IntRange(from, to).Draw(rt, what)) * time.Second
	}
	often := func(of int, what string) bool { return rapid.IntRange(1, of).Draw(rt, what) == 1 }
	plan := schedule{Asks: !often(2, "asks nobody"), Mesh: rapid.Bool().Draw(rt, "mesh")}
	var edges []time.Duration
	for range rapid.IntRange(1, 2).Draw(rt, "alerts") {
		var fires []stretch
		at := minutes(0, 5, "begins")
		for range rapid.IntRange(1, 4).Draw(rt, "fires") {
			to := at + minutes(1, 45, "for")
			fires = append(fires, stretch{at, to})
			edges = append(edges, at, to)
			at = to + minutes(1, 30, "again after")
		}
		if often(2, "to the end") {
			fires[len(fires)-1].To = 100 * time.Hour
		}
		plan.Fires = append(plan.Fires, fires)
	}
	near := func(what string) time.Duration {
		return max(0, rapid.SampledFrom(edges).Draw(rt, what)+seconds(-300, 600, "beside it"))
	}
	stretches := func(of, longest int, what string) (all []stretch) {
		for range 2 {
			if often(of, what) {
				from := near(what)
				all = append(all, stretch{from, from + minutes(1, longest, "for")})
			}
		}
		return all
	}
	for range plan.Fires {
		plan.Silenced = append(plan.Silenced, stretches(4, 60, "silenced"))
	}
	ams := rapid.IntRange(1, 3).Draw(rt, "alertmanagers")
	for range rapid.IntRange(1, 2).Draw(rt, "prometheis") {
		p := promPlan{Later: seconds(0, 60, "later")}
		if often(4, "skewed") {
			p.Skew, p.Skewed = minutes(-40, 40, "skew"), stretches(1, 120, "while")
		}
		p.Stopped = stretches(6, 20, "stopped")
		for range ams {
			p.Cut = append(p.Cut, stretches(3, 30, "cut"))
		}
		plan.Proms = append(plan.Proms, p)
	}
	for range ams {
		a := amPlan{
			Slow: seconds(0, 40, "slow"), Twice: stretches(2, 30, "twice"), Lost: stretches(4, 10, "lost"), Away: stretches(6, 30, "away"),
		}
		for range 2 {
			if often(3, "restarts") {
				a.Restarts = append(a.Restarts, near("restarts"))
			}
		}
		slices.Sort(a.Restarts)
		plan.AMs = append(plan.AMs, a)
	}
	return plan
}

// TestSitrepAgreesWithItsSenders lets pairs of Prometheis and up to three Alertmanagers
// do what they do: forget, repeat, come late, be cut off, be silenced, run by wrong clocks.
// In between nobody is told that it is over while an Alertmanager that can be asked lists
// it, and once they are quiet sitrep agrees with them.
func TestSitrepAgreesWithItsSenders(t *testing.T) {
	checkSchedules(t, "15", func(plan schedule) string { return plan.check(t) }) // the race detector makes each ten times as slow; soak with -rapid.checks=5000
}

// TestTwoReplicasAgreeWithTheirSenders is the same with two processes on one PostgreSQL, which are
// posted to at once by all Alertmanagers. A schedule is some thousand transactions; soak with
// -rapid.checks=500.
func TestTwoReplicasAgreeWithTheirSenders(t *testing.T) {
	checkSchedules(t, "2", func(plan schedule) string {
		return plan.checkIn(t, routertest.Options{Open: onDatabase(t), Poll: 2 * time.Minute, Later: true}, "b")
	})
}

func checkSchedules(t *testing.T, times string, check func(schedule) string) {
	t.Helper()
	if f := flag.Lookup("rapid.checks"); f.Value.String() == f.DefValue {
		_ = f.Value.Set(times)
		defer func() { _ = f.Value.Set(f.DefValue) }()
	}
	rapid.Check(t, func(rt *rapid.T) {
		plan := drawSchedule(rt)
		if broken := check(plan); broken != "" {
			rt.Fatalf("%s\n%s", broken, strings.ReplaceAll(plan.String(), "\n", "\n\t"))
		}
	})
}

// TestSchedulesThatWentWrong are those that once did, in the real world or in the model.
func TestSchedulesThatWentWrong(t *testing.T) {
	m := func(from, to int) stretch {
		return stretch{time.Duration(from) * time.Minute, time.Duration(to) * time.Minute}
	}
	at := func(minutes int) time.Duration { return time.Duration(minutes) * time.Minute }
	forever := 100 * 60
	proms := func(later ...time.Duration) (all []promPlan) {
		for _, l := range later {
			all = append(all, promPlan{Later: l})
		}
		return all
	}
	tests := map[string]schedule{
		"a pair of Prometheis, and an Alertmanager that lost its memory": {
			Fires: [][]stretch{{m(1, 30)}}, Proms: proms(0, 38*time.Second), AMs: []amPlan{{Restarts: []time.Duration{at(5), at(6), at(20)}}},
		},
		"a cluster with a slow member, whose posts come twice": {
			Mesh: true, Fires: [][]stretch{{m(1, 12), m(80, 90)}}, Proms: proms(0),
			AMs: []amPlan{{}, {Slow: 5 * time.Second}, {Slow: 40 * time.Second, Twice: []stretch{m(0, 200)}}},
		},
		"silenced, and flaps under the silence": {
			Fires: [][]stretch{{m(1, 20), m(22, 60)}}, Silenced: [][]stretch{{m(10, 90)}}, Proms: proms(0), AMs: []amPlan{{}},
		},
		"resolved while inhibited": {
			Fires: [][]stretch{{m(1, 20)}}, Silenced: [][]stretch{{m(10, 90)}}, Proms: proms(0), AMs: []amPlan{{}},
		},
		"resolved while inhibited, and another fires on": {
			Fires: [][]stretch{{m(1, forever)}, {m(2, 20)}}, Silenced: [][]stretch{nil, {m(10, 90)}}, Proms: proms(0), AMs: []amPlan{{}},
		},
		"a clock 40 minutes fast, set right": {
			Fires: [][]stretch{{m(1, 5), m(20, 30), m(95, forever)}}, Proms: []promPlan{{Skew: at(40), Skewed: []stretch{m(0, 10)}}}, AMs: []amPlan{{}},
		},
		"two clusters with the same labels": {
			Fires: [][]stretch{{m(1, 30)}}, AMs: []amPlan{{}, {}},
			Proms: []promPlan{{Cut: [][]stretch{nil, {m(0, forever)}}}, {Later: at(15), Cut: [][]stretch{{m(0, forever)}}}},
		},
		"one of three Alertmanagers cut off": {
			Fires: [][]stretch{{m(1, forever)}}, Proms: []promPlan{{Cut: [][]stretch{nil, nil, {m(10, 40)}}}}, AMs: []amPlan{{}, {}, {}},
		},
		"Prometheus cut off from its Alertmanager, and healed": {
			Fires: [][]stretch{{m(1, forever)}}, Proms: []promPlan{{Cut: [][]stretch{{m(10, 40)}}}}, AMs: []amPlan{{}},
		},
		"of a pair, the one whose clock is fast sees the end later": {
			Fires: [][]stretch{{m(0, forever)}, {m(0, 2)}},
			Proms: []promPlan{{Later: 14 * time.Second}, {Later: time.Second, Skew: at(3), Skewed: []stretch{m(0, 77)}, Cut: [][]stretch{{{119 * time.Second, 179 * time.Second}}}}},
			AMs:   []amPlan{{Slow: time.Second, Twice: []stretch{m(1, 4)}}},
		},
		"it ends while it is silenced, the Alertmanager loses its memory and cannot be asked": {
			Fires: [][]stretch{{m(13, 70)}, {m(3, 6), m(17, 18), m(24, 29)}}, Proms: proms(2 * time.Second), Silenced: [][]stretch{{m(9, 47), m(75, 130)}},
			AMs: []amPlan{{Slow: 26 * time.Second, Restarts: []time.Duration{at(1), at(53)}, Twice: []stretch{m(4, 11), m(60, 83)}, Away: []stretch{m(2, 10)}}},
		},
	}
	for name, plan := range tests {
		for _, asks := range []bool{true, false} {
			plan.Asks = asks
			t.Run(fmt.Sprintf("%s, asked %v", name, asks), func(t *testing.T) {
				if broken := plan.check(t); broken != "" {
					t.Error(broken)
				}
			})
		}
	}
}
