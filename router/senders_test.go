package router_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	amalert "github.com/prometheus/alertmanager/alert"
	"github.com/prometheus/common/model"

	"sitrep/incident"
)

// Senders are Prometheis and Alertmanagers as they were measured, in virtual time: each
// Prometheus has startsAt, clock and connections of its own, and each Alertmanager keeps
// what it heard in memory, merges it as Alertmanager does, and posts to sitrep.

const (
	evalEvery  = 15 * time.Second
	resendThis = 75 * time.Second // Prometheus repeats to Alertmanager this often
	endsAhead  = 4 * time.Minute  // and says that it ends then, unless it hears again
	repeatEnds = 15 * time.Minute // how long it repeats that something ended
	groupWait  = 10 * time.Second
	groupEvery = time.Minute
	repeatIn   = 30 * time.Minute
	peerWait   = 15 * time.Second
)

// A stretch is when something is so, from the start of the schedule on.
type stretch struct{ From, To time.Duration }

func (s stretch) at(t time.Duration) bool { return s.From <= t && t < s.To }

func within(all []stretch, t time.Duration) bool {
	return slices.ContainsFunc(all, func(s stretch) bool { return s.at(t) })
}

// A schedule is all that happens to the senders. Alerts and Alertmanagers are counted
// from 0.
type schedule struct {
	Asks bool // sitrep may ask the Alertmanagers
	// Fires is when each alert's condition holds.
	Fires [][]stretch
	// Proms are the Prometheis: how much later each sees it, and its clock's error while
	// that lasts.
	Proms []promPlan
	AMs   []amPlan
	Mesh  bool // the Alertmanagers share what was notified
	// Silenced is when each alert is silenced or inhibited, at all Alertmanagers.
	Silenced [][]stretch
}

// String returns it as Go writes it.
func (plan schedule) String() string { return fmt.Sprintf("%#v", plan) }

type promPlan struct {
	Later   time.Duration
	Skew    time.Duration
	Skewed  []stretch
	Stopped []stretch
	Cut     [][]stretch // from each Alertmanager
}

type amPlan struct {
	Slow     time.Duration   // how long its posts take
	Restarts []time.Duration // without memory
	Twice    []stretch       // when its posts arrive twice, the second time later
	Lost     []stretch       // when no answer to its posts comes back, so that it repeats them
	Away     []stretch       // when it does not answer questions
}

// A promAlert is an alert as one Prometheus has it.
type promAlert struct {
	active          bool
	startsAt, endAt time.Time
	sentAt          []time.Time // to each Alertmanager
}

// An amModel is one Alertmanager.
type amModel struct {
	plan      amPlan
	startedAt time.Time
	alerts    map[string]*amalert.Alert
	flushAt   time.Time
	group     map[string]bool // fingerprints in the group since the last flush that was taken
	log       *amLog
	sending   bool
	restarts  int
}

// An amLog is the log of notifications.
type amLog struct {
	firing, resolved []string
	at               time.Time
	known            bool
}

// senders run a schedule against a world.
type senders struct {
	plan  schedule
	world *world
	begin time.Time

	mu    sync.Mutex
	proms [][]promAlert // by Prometheus and alert
	ams   []*amModel
	mesh  *amLog
	// listedAt is when each alert was last listed by an Alertmanager that sitrep may ask.
	listedAt map[string]time.Time
	// said is what each Alertmanager posted last of each alert: whether it fires.
	said  []map[string]bool
	sends sync.WaitGroup
	// broken is the first promise that was not kept.
	breaking sync.Mutex
	broken   string
}

func newSenders(w *world, plan schedule) *senders {
	s := &senders{plan: plan, world: w, begin: time.Now(), mesh: &amLog{}, listedAt: map[string]time.Time{}}
	for range plan.Proms {
		all := make([]promAlert, len(plan.Fires))
		for i := range all {
			all[i].sentAt = make([]time.Time, len(plan.AMs))
		}
		s.proms = append(s.proms, all)
	}
	for _, p := range plan.AMs {
		s.said = append(s.said, map[string]bool{})
		s.ams = append(s.ams, &amModel{plan: p, startedAt: s.begin.Add(-time.Hour), alerts: map[string]*amalert.Alert{}, group: map[string]bool{}, log: &amLog{}})
	}
	return s
}

// name is the fingerprint of an alert.
func name(i int) string { return string(rune('a' + i)) }

func number(fingerprint string) int { return int(fingerprint[0] - 'a') }

// run lets that much time pass.
func (s *senders) run(d time.Duration) {
	const step = 5 * time.Second
	for end := time.Now().Add(d); time.Now().Before(end); {
		s.mu.Lock()
		now := time.Now()
		at := now.Sub(s.begin)
		for p := range s.plan.Proms {
			s.evaluate(p, at, now)
		}
		for j, am := range s.ams {
			if am.restarts < len(am.plan.Restarts) && at >= am.plan.Restarts[am.restarts] {
				am.restarts++
				am.startedAt, am.alerts, am.group, am.flushAt = now, map[string]*amalert.Alert{}, map[string]bool{}, time.Time{}
				am.log = &amLog{}
			}
			s.flush(j, at, now)
			for fp := range s.lists(am, now) {
				s.listedAt[fp] = now
			}
		}
		s.mu.Unlock()
		time.Sleep(step)
	}
}

// evaluate lets one Prometheus look at its rules, and send.
func (s *senders) evaluate(p int, at time.Duration, now time.Time) {
	plan := &s.plan.Proms[p]
	if within(plan.Stopped, at) {
		return
	}
	clock := now
	if within(plan.Skewed, at) {
		clock = now.Add(plan.Skew)
	}
	for i := range s.plan.Fires {
		a := &s.proms[p][i]
		holds := within(s.plan.Fires[i], at-plan.Later)
		switch {
		case holds && !a.active:
			a.active, a.startsAt, a.endAt = true, clock, time.Time{}
			clear(a.sentAt)
		case !holds && a.active:
			a.active, a.endAt = false, clock
			clear(a.sentAt)
		}
		if !a.active && (a.endAt.IsZero() || clock.Sub(a.endAt) > repeatEnds) {
			continue
		}
		for j, am := range s.ams {
			if now.Sub(a.sentAt[j]) < resendThis || j < len(plan.Cut) && within(plan.Cut[j], at) {
				continue
			}
			a.sentAt[j] = now
			ends := clock.Add(endsAhead)
			if !a.active {
				ends = a.endAt
			}
			am.put(name(i), a.startsAt, ends, now)
		}
	}
}

// put is what Alertmanager's provider does with a posted alert.
func (m *amModel) put(fp string, startsAt, endsAt, now time.Time) {
	a := &amalert.Alert{Alert: model.Alert{StartsAt: startsAt, EndsAt: endsAt}, UpdatedAt: now}
	if old := m.alerts[fp]; old != nil {
		if a.EndsAt.After(old.StartsAt) && a.EndsAt.Before(old.EndsAt) || a.StartsAt.After(old.StartsAt) && a.StartsAt.Before(old.EndsAt) {
			a = old.Merge(a)
		}
	}
	m.alerts[fp] = a
	if !m.group[fp] && a.ResolvedAt(now) {
		return // the dispatcher makes no group for what has ended
	}
	m.group[fp] = true
	if m.flushAt.IsZero() {
		m.flushAt = now.Add(groupWait)
	}
}

// lists is what an Alertmanager's API lists.
func (s *senders) lists(m *amModel, now time.Time) map[string]bool {
	all := map[string]bool{}
	for fp, a := range m.alerts {
		if !a.ResolvedAt(now) {
			all[fp] = true
		}
	}
	return all
}

// flush notifies of the group if it is time.
func (s *senders) flush(j int, at time.Duration, now time.Time) {
	m := s.ams[j]
	if m.flushAt.IsZero() || now.Before(m.flushAt) || m.sending {
		return
	}
	m.flushAt = now.Add(groupEvery)
	if len(m.group) == 0 {
		m.flushAt = time.Time{}
		return
	}
	var post []incident.Alert
	var firing, resolved []string
	var done []string
	for _, fp := range slices.Sorted(maps.Keys(m.group)) {
		a := m.alerts[fp]
		ended := a.ResolvedAt(now)
		if i := number(fp); i < len(s.plan.Silenced) && within(s.plan.Silenced[i], at) {
			if ended {
				done = append(done, fp)
			}
			continue
		}
		alert := incident.Alert{
			Fingerprint: fp, StartsAt: a.StartsAt.UTC().Truncate(time.Microsecond), Resolved: ended,
			Labels: map[string]string{"sloth_id": "p1", "alertname": "p1"}, Annotations: map[string]string{},
		}
		if ended {
			alert.EndsAt = a.EndsAt.UTC().Truncate(time.Microsecond)
			resolved = append(resolved, fp)
			done = append(done, fp)
		} else {
			firing = append(firing, fp)
		}
		post = append(post, alert)
	}
	forget := func(m *amModel) {
		for _, fp := range done {
			if a := m.alerts[fp]; a != nil && a.ResolvedAt(time.Now()) {
				delete(m.group, fp)
			}
		}
	}
	if len(post) == 0 {
		forget(m)
		return
	}
	m.sending = true
	incarnation := m.restarts
	s.sends.Go(func() {
		if s.plan.Mesh {
			time.Sleep(time.Duration(j) * peerWait)
		}
		s.mu.Lock()
		log := m.log
		if s.plan.Mesh {
			log = s.mesh
		}
		needed := log.needs(firing, resolved, time.Now())
		lost := within(m.plan.Lost, time.Since(s.begin))
		twice := within(m.plan.Twice, time.Since(s.begin))
		slow := m.plan.Slow
		s.mu.Unlock()
		taken := true
		if needed {
			time.Sleep(slow)
			s.post(j, post)
			if twice {
				s.sends.Go(func() {
					time.Sleep(2 * groupEvery / 3)
					s.post(j, post)
				})
			}
			taken = !lost
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		m.sending = false
		if m.restarts != incarnation || !taken {
			return
		}
		if needed {
			*log = amLog{firing: firing, resolved: resolved, at: time.Now(), known: true}
		}
		forget(m)
	})
}

// post lets a post arrive.
func (s *senders) post(j int, post []incident.Alert) {
	s.world.Post(post...)
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range post {
		s.said[j][post[i].Fingerprint] = !post[i].Resolved
	}
}

// allSaidEnded reports whether each Alertmanager that ever posted the alert said last that
// it has ended.
func (s *senders) allSaidEnded(fp string) bool {
	ended := false
	for _, said := range s.said {
		fires, ok := said[fp]
		if fires {
			return false
		}
		ended = ended || ok
	}
	return ended
}

// needs is Alertmanager's rule for when a group is notified again.
func (l *amLog) needs(firing, resolved []string, now time.Time) bool {
	subset := func(a, b []string) bool {
		return !slices.ContainsFunc(a, func(x string) bool { return !slices.Contains(b, x) })
	}
	switch {
	case !l.known:
		return len(firing) > 0
	case !subset(firing, l.firing):
		return true
	case len(firing) == 0:
		return len(l.firing) > 0
	case !subset(resolved, l.resolved):
		return true
	}
	return now.Sub(l.at) >= repeatIn
}

// Ask implements router.Asker: those that can be reached say what they list.
func (s *senders) Ask(context.Context) (incident.Answer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	type report struct {
		lists     map[string]bool
		startedAt time.Time
	}
	var reports []report
	for _, m := range s.ams {
		if !within(m.plan.Away, now.Sub(s.begin)) {
			reports = append(reports, report{s.lists(m, now), m.startedAt})
		}
	}
	return func(b *incident.Breach) incident.Verdict {
		v := incident.VerdictCannotTell
		for _, r := range reports {
			if r.lists[b.Fingerprint] {
				return incident.VerdictListed
			}
			if !r.startedAt.After(b.HeardAt) || now.Sub(r.startedAt) >= 10*time.Minute {
				v = incident.VerdictNotListed
			}
		}
		return v
	}, nil
}

// listed returns the alerts that an Alertmanager lists now that can be asked.
func (s *senders) listed() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	all := map[string]bool{}
	for _, m := range s.ams {
		if !within(m.plan.Away, now.Sub(s.begin)) {
			maps.Copy(all, s.lists(m, now))
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// breaks notes the first promise that was not kept.
func (s *senders) breaks(format string, args ...any) {
	s.breaking.Lock()
	defer s.breaking.Unlock()
	if s.broken == "" {
		s.broken = fmt.Sprintf("%v after the start: ", time.Since(s.begin)) + fmt.Sprintf(format, args...)
	}
}
