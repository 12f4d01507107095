package router_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"sitrep/incident"
	"sitrep/incident/incidenttest"
	"sitrep/internal/command"
	"sitrep/router/routertest"
	"sitrep/storage"
)

// broken is a promise that was not kept, on its way out of a bubble: rapid wants to
// hear of it in the goroutine that it knows.
type broken string

// fatal lets a world end a check of rapid.
type fatal struct{ testing.TB }

func (f fatal) Helper()                      {}
func (f fatal) Fatal(args ...any)            { panic(broken(fmt.Sprint(args...))) }
func (f fatal) Errorf(s string, args ...any) { panic(broken(fmt.Sprintf(s, args...))) }

// A fault is a time in which a recipient could not be reached; "" is all of them.
type fault struct {
	to        string
	from, to2 time.Time
}

// A life is a random sequence of what can happen to sitrep, on a real store.
type life struct {
	*world
	rt     *rapid.T
	names  []string
	steps  int
	mu     sync.Mutex
	faulty map[string]error // how a recipient's attempts end
	faults []fault
	fires  map[string]*incident.Alert // by fingerprint, nil if it does not fire
	ended  map[string]incident.Alert
	told   map[string]map[int64]routertest.Mail // the last message of each reader about each incident
	seen   map[string]time.Time                 // when an id was first taken
	// out are those taken out of the configuration, and since when.
	out      map[string]bool
	outSince map[string]time.Time
}

// TestWhateverHappensReadersKnowTheTruthInTheEnd lets alerts, commands, outages,
// restarts and time happen in any order, and checks the promises.
func TestWhateverHappensReadersKnowTheTruthInTheEnd(t *testing.T) {
	if f := flag.Lookup("rapid.checks"); f.Value.String() == f.DefValue {
		_ = f.Value.Set("3")
		defer f.Value.Set(f.DefValue)
	}
	rapid.Check(t, func(rt *rapid.T) {
		var stopped any
		synctest.Test(t, func(t *testing.T) {
			p := policy()
			p.RemindBefore, p.UnknownAfter = 15*time.Minute, 5*time.Hour
			p.Priorities[1].InformAfter = rapid.SampledFrom([]time.Duration{0, 20 * time.Minute}).Draw(rt, "inform_after")
			if rapid.Bool().Draw(rt, "quiet") {
				p.Groups[1].Quiet = []incident.Quiet{incidenttest.Quiet(14*60, 17*60, "P1")}
			}
			p.Groups[1].Recipients = incidenttest.Mails("support", "cto2")
			p.Groups[0].Recipients = incidenttest.Mails("cto", "cto2")
			w := newWorld(fatal{t}, routertest.Options{Policy: p, Poll: 10 * time.Minute})
			w.Start()
			l := &life{
				world: w, rt: rt, names: []string{"cto", "cto2", "support", "oncall"}, faulty: map[string]error{},
				fires: map[string]*incident.Alert{}, ended: map[string]incident.Alert{},
				told: map[string]map[int64]routertest.Mail{}, seen: map[string]time.Time{},
				out: map[string]bool{}, outSince: map[string]time.Time{},
			}
			w.Behave(l.behave)
			defer func() { stopped = recover() }()
			l.live(t.Context())
		})
		switch stopped := stopped.(type) {
		case nil:
		case broken:
			rt.Fatal(stopped)
		default:
			panic(stopped)
		}
	})
}

func (l *life) behave(m *routertest.Mail) error {
	time.Sleep(50 * time.Millisecond)
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.faulty[m.To]
}

func (l *life) live(ctx context.Context) {
	number := func(rt *rapid.T) int64 { return int64(rapid.IntRange(1, max(1, l.count(ctx))).Draw(rt, "incident")) }
	do := func(rt *rapid.T, n int64, cmd command.Command) {
		if err := l.Try("ada", n, cmd); err != nil && !errors.Is(err, incident.ErrConflict) && !errors.Is(err, incident.ErrInvalid) && !errors.Is(err, incident.ErrNotFound) {
			l.t.Fatal(err)
		}
	}
	l.rt.Repeat(map[string]func(*rapid.T){
		"fire": func(rt *rapid.T) { l.fire(rt) },
		"more": func(rt *rapid.T) { l.fire(rt) },
		"end":  func(rt *rapid.T) { l.end(rt) },
		"copy": func(*rapid.T) {
			for _, fp := range slices.Sorted(maps.Keys(l.ended)) {
				l.Post(l.ended[fp])
			}
		},
		"priority": func(rt *rapid.T) {
			do(rt, number(rt), command.Priority{Priority: rapid.SampledFrom([]string{"P1", "P2", "P3"}).Draw(rt, "to"), Reason: "because"})
		},
		"update": func(rt *rapid.T) { do(rt, number(rt), command.Update{Message: "news"}) },
		"over": func(rt *rapid.T) {
			n := number(rt)
			do(rt, n, rapid.SampledFrom([]command.Command{
				command.Resolve{Note: "over"},
				command.Reopen{Reason: "it is not over"},
				command.Close{Note: "done"},
				command.Action{Name: "hotfix", State: incident.ActionDone},
			}).Draw(rt, "how"))
		},
		"merge": func(rt *rapid.T) {
			do(rt, number(rt), command.Merge{Into: incident.ID(number(rt)), Reason: "the same"})
		},
		"declare": func(rt *rapid.T) {
			slo := rapid.SampledFrom([]string{"p1", "p2", "p3"}).Draw(rt, "slo")
			do(rt, 0, command.Declare{SLO: slo, Reason: "people call", Drill: rapid.IntRange(0, 3).Draw(rt, "drill") == 0})
		},
		"swap": func(rt *rapid.T) {
			in := func(name string) []string {
				if l.out[name] = rapid.IntRange(0, 2).Draw(rt, name) == 0; l.out[name] {
					l.outSince[name] = l.Now()
					return nil
				}
				return []string{name}
			}
			cto, support := in("cto"), in("support")
			l.Reload(func(p *incident.Policy) {
				p.Groups[0].Recipients = incidenttest.Mails(append(cto, "cto2")...)
				p.Groups[1].Recipients = incidenttest.Mails(append(support, "cto2")...)
			})
		},
		"fault": func(rt *rapid.T) {
			to := rapid.SampledFrom(l.names).Draw(rt, "who")
			l.fail(to, rapid.SampledFrom([]error{nil, errLater, errLater, routertest.ErrTaken}).Draw(rt, "how"))
		},
		"heal": func(*rapid.T) {
			for _, to := range l.names {
				l.fail(to, nil)
			}
		},
		"restart": func(rt *rapid.T) {
			from := l.Now()
			l.Stop()
			l.Pass(time.Duration(rapid.IntRange(0, 90).Draw(rt, "minutes")) * time.Minute)
			l.Start()
			l.faults = append(l.faults, fault{"", from, l.Now()})
		},
		"time": func(rt *rapid.T) {
			l.Pass(time.Duration(rapid.IntRange(1, 150).Draw(rt, "minutes")) * time.Minute)
		},
		"days": func(rt *rapid.T) {
			for _, to := range l.names {
				l.fail(to, nil) // trying again for days teaches nothing more
			}
			l.Pass(time.Duration(rapid.IntRange(4, 40).Draw(rt, "hours")) * time.Hour)
		},
		"": func(*rapid.T) {
			l.Pass(2 * time.Second)
			l.look()
			l.checkDue(ctx)
			if l.steps++; l.steps%8 == 0 {
				l.checkFold(ctx)
			}
		},
	})
	for _, to := range l.names {
		l.fail(to, nil)
	}
	l.Pass(4 * time.Minute)
	l.look()
	l.checkFold(ctx)
	l.checkDue(ctx)
	l.checkTruth(ctx)
	l.checkPromises()
}

func (l *life) count(ctx context.Context) int {
	n := 0
	l.Read(func(r storage.Snapshot) error {
		page, _, err := r.Incidents(ctx, storage.IncidentQuery{Limit: 1000})
		n = len(page)
		return err
	})
	return n
}

func (l *life) fire(rt *rapid.T) {
	id := rapid.SampledFrom([]string{"p1", "p2", "p3"}).Draw(rt, "slo")
	fp := id + rapid.SampledFrom([]string{"-a", "-b"}).Draw(rt, "alert")
	if l.fires[fp] == nil {
		a := l.Alert(id, fp)
		l.fires[fp] = &a
	}
	l.Post(*l.fires[fp])
}

func (l *life) end(rt *rapid.T) {
	fp := rapid.SampledFrom([]string{"p1-a", "p1-b", "p2-a", "p2-b", "p3-a", "p3-b"}).Draw(rt, "alert")
	if a := l.fires[fp]; a != nil {
		e := l.Ended(*a)
		l.Post(e)
		l.fires[fp], l.ended[fp] = nil, e
	}
}

// fail sets how attempts to reach a recipient end from now on.
func (l *life) fail(to string, how error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.faulty[to] != nil {
		l.faults[slices.IndexFunc(l.faults, func(f fault) bool { return f.to == to && f.to2.IsZero() })].to2 = l.Now()
	}
	if l.faulty[to] = how; how != nil {
		l.faults = append(l.faults, fault{to: to, from: l.Now()})
	}
}

// disturbed reports whether a recipient could not be reached at some time between,
// or soon before.
func (l *life) disturbed(to string, from, until time.Time) bool {
	return slices.ContainsFunc(l.faults, func(f fault) bool {
		return (f.to == "" || f.to == to) && f.from.Before(until) && (f.to2.IsZero() || f.to2.Add(2*time.Minute).After(from))
	})
}

// look notes what came in, and that nobody got two messages at once.
func (l *life) look() {
	last := map[string]time.Time{}
	for _, m := range l.Mails() {
		if _, again := l.seen[m.ID]; again {
			continue // a repetition that a reader can tell
		}
		l.seen[m.ID] = m.Taken
		if l.out[m.To] && m.Taken.Sub(l.outSince[m.To]) > time.Second {
			l.t.Errorf("%s got %s %v after it was taken out", m.To, m.Kind, m.Taken.Sub(l.outSince[m.To]))
		}
		for i := range m.Items {
			n := m.Items[i].Incident.Number
			if m.Kind == incident.KindReminder {
				continue
			}
			key := fmt.Sprint(m.To, n)
			if at, ok := last[key]; ok && m.Taken.Sub(at) < time.Second && !l.disturbed(m.To, at, m.Taken) {
				l.t.Errorf("%s got two messages about INC-%d at once: %s and %s", m.To, n, l.told[m.To][n].Kind, m.Kind)
			}
			last[key] = m.Taken
			if l.told[m.To] == nil {
				l.told[m.To] = map[int64]routertest.Mail{}
			}
			one := m
			one.Items = m.Items[i : i+1]
			l.told[m.To][n] = one
		}
	}
}

// checkFold checks that what is stored of each incident is the fold of its events,
// and that its counts are those of its breaches.
func (l *life) checkFold(ctx context.Context) {
	for n := int64(1); n <= int64(l.count(ctx)); n++ {
		var fold incident.Incident
		for _, e := range l.Events(n) {
			if err := fold.Apply(e); err != nil {
				l.t.Fatal(err)
			}
		}
		in := l.Situation(n).Incident
		a, _ := json.Marshal(fold)
		b, _ := json.Marshal(in)
		if string(a) != string(b) {
			l.t.Errorf("fold\n%s\nstored\n%s", a, b)
		}
		if in.State == incident.StateClosed {
			continue
		}
		var counts incident.Counts
		l.Read(func(r storage.Snapshot) error {
			for _, from := range append([]int64{n}, in.MergedFrom...) {
				page, _, err := r.Breaches(ctx, from, 1000, "")
				if err != nil {
					return err
				}
				for i := range page {
					counts.Total++
					switch page[i].State {
					case incident.BreachFiring:
						counts.Firing++
					case incident.BreachUnknown:
						counts.Unknown++
					}
				}
			}
			return nil
		})
		if in.Breaches != counts {
			l.t.Errorf("%s counts %+v, its breaches are %+v", in.ID(), in.Breaches, counts)
		}
	}
	open := map[string]int64{}
	for n := int64(1); n <= int64(l.count(ctx)); n++ {
		if in := l.Situation(n).Incident; in.State == incident.StateOpen {
			if in.Drill {
				continue
			}
			if other := open[in.Key]; other != 0 {
				l.t.Errorf("INC-%d and INC-%d are both open for %q", other, n, in.Key)
			}
			open[in.Key] = n
		}
	}
}

// checkDue checks that nothing is due for longer than promised to someone who can be
// reached.
func (l *life) checkDue(ctx context.Context) {
	at := l.Now()
	for n := int64(1); n <= int64(l.count(ctx)); n++ {
		for _, sub := range l.Situation(n).Subscriptions {
			to := sub.Recipient[len("email:") : len(sub.Recipient)-len("@example.org")]
			if due := sub.DueAt; !due.IsZero() && at.Sub(due) > time.Minute && !l.disturbed(to, due, at) {
				l.t.Errorf("%v: due to %s since %v: %+v", at, to, at.Sub(due), sub)
			}
		}
	}
}

// checkTruth checks that the last message of each reader tells the state and the
// priority as they are.
func (l *life) checkTruth(ctx context.Context) {
	for n := int64(1); n <= int64(l.count(ctx)); n++ {
		s := l.Situation(n)
		in := &s.Incident
		for _, sub := range s.Subscriptions {
			to := sub.Recipient[len("email:") : len(sub.Recipient)-len("@example.org")]
			last, ever := l.told[to][n]
			held := !sub.DueAt.IsZero() && sub.DueAt.After(l.Now()) && len(sub.Owed) > 0
			waits := !sub.Told && !sub.WaitUntil.IsZero()
			switch {
			case held, waits, l.out[to]:
			case !ever:
				if sub.Told {
					l.t.Errorf("%s is noted as told of %s, and was not", to, in.ID())
				}
				if sub.Active && in.State == incident.StateOpen && sub.WaitUntil.IsZero() {
					l.t.Errorf("%s was never told of %s: %+v", to, in.ID(), sub)
				}
			case in.MergedInto != 0, !sub.Active:
				if k := last.First().Kind; k != incident.KindLeft && (sub.Told || sub.Active) {
					l.t.Errorf("%s was told %s of %s last, and left: %+v", to, k, in.ID(), sub)
				}
			case in.State == incident.StateOpen:
				told := &last.First().Incident
				if told.State != incident.StateOpen || told.Priority.Name != in.Priority.Name || last.First().Kind == incident.KindLeft {
					l.t.Errorf("%s was told last (%s) that %s is %s with %s; it is %s with %s: %+v", to, last.First().Kind, in.ID(), told.State, told.Priority.Name, in.State, in.Priority.Name, sub)
				}
			case sub.Told:
				if told := &last.First().Incident; told.State == incident.StateOpen {
					l.t.Errorf("%s was told last (%s) that %s is open; it is %s: %+v", to, last.First().Kind, in.ID(), in.State, sub)
				}
			}
		}
	}
}

// checkPromises checks that what went out went out in time where nothing was in the
// way, and that no delivery is left over.
func (l *life) checkPromises() {
	for _, d := range l.Deliveries() {
		to := d.Address[:len(d.Address)-len("@example.org")]
		if d.State == incident.DeliveryPending || d.State == incident.DeliveryFailed {
			l.t.Errorf("delivery %+v", d)
		}
		if d.State == incident.DeliveryDelivered && d.SentAt.Sub(d.DueAt) > time.Minute && !l.disturbed(to, d.DueAt, d.SentAt) {
			l.t.Errorf("%v late: %+v", d.SentAt.Sub(d.DueAt), d)
		}
	}
}
