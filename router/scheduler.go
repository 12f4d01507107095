package router

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"sitrep/incident"
	"sitrep/storage"
)

const (
	// pollEvery is the default of PollEvery, and the wait after an error.
	pollEvery = time.Second
	// aliveEvery is how often it is stored that the service runs.
	aliveEvery = time.Minute
	// outageAfter is a silence of that length that counts as an outage.
	outageAfter = 3 * aliveEvery
	// clockJump is by how much the clock has to be set for that to be recorded: more than
	// clocks are slewed, and than a machine that is busy makes a round wait between two looks.
	clockJump = 10 * time.Second
	// pruneEvery is how often what is old is deleted or forgotten.
	pruneEvery = time.Hour
	// batch is how many incidents or breaches one round looks at.
	batch = 500
	// jobLease is for how long a replica that takes a job has it, and how often another looks
	// whether it still has. forever is how soon a job is due again that is done once.
	jobLease = time.Minute
	forever  = 100 * 365 * 24 * time.Hour
)

// Retention is how long things are kept after an incident closed. Zero: for ever.
type Retention struct {
	Breaches time.Duration
	Messages time.Duration
	Personal time.Duration // names of people and addresses
}

// A Scheduler does what is due, as time goes by. Several replicas may run one
// each on the same store.
type Scheduler struct {
	Repo       *storage.Repository
	Dispatcher *Dispatcher
	Intake     Intake
	// Asker asks the Alertmanagers; nil while none are configured.
	Asker func() Asker
	// Poster posts the canary's alert; nil, or a nil one, while there is no canary.
	Poster func() Poster
	// Prober finds out for the canary how Prometheus fares; nil, or a nil one, while none is to be
	// asked.
	Prober    func() Prober
	Retention func() Retention
	// PollEvery is how long it sleeps at most: another replica may have stored something
	// that is due. Zero: 1 s.
	PollEvery time.Duration
	// Started is when the process began, before it took anything. Zero: when Run begins.
	Started time.Time
	// Steady returns how much time has passed, by a clock that nobody sets; what it counts from does
	// not matter. Nil: the process's own, which stands still while the machine is suspended.
	Steady func() time.Duration
	// Self says what this process is, for people who look who has the store; nil: nothing. Its
	// owner, its clock and when it was seen are filled in.
	Self    func() storage.Replica
	Log     *slog.Logger
	Metrics *Metrics

	wakeOnce sync.Once
	wake     chan struct{}

	expected    expectation // of the watchdog
	aliveAt     time.Time
	aliveSteady time.Duration
	own, common clock                // of this process, and of the store where others have it
	skew        atomic.Pointer[Skew] // nil until it was measured
	skewSteady  time.Duration        // when it was measured last
	clockSets   []storage.Outage     // that are not stored yet
	prunedAt    time.Time
	forgotAt    time.Time
	drilledAt   time.Time
	askedAt     time.Time
	asking      sync.WaitGroup // and posting the canary, and proving Prometheus
	askTook     atomic.Int64   // how long the last question took, in nanoseconds
	posting     atomic.Bool
	proving     atomic.Bool
	// toConfirm are the numbers of incidents that wait for an answer, and since when.
	toConfirm     map[int64]time.Time
	isAsking      chan struct{} // holds a token while the Alertmanagers are asked
	view          view          // of this round
	steady        steady
	behind        bool      // the last round left something for the next
	serverRetryAt time.Time // a server is held back until then to whose recipients something is due
	policy        *incident.Policy
	left          *incident.Policy   // another replica resyncs, or did, for this one
	resyncAll     bool               // what is owed is looked at again, whatever other replicas did
	engineKnown   bool               // whether others may have the store is known
	shared        bool               // they may
	outdated      bool               // the configuration of this process is not the one in force
	keptUpAt      time.Time          // when that was last looked after
	refused       map[string]refusal // the jobs that others have, or did, by name
}

// A refusal is a job that another replica has, or did, and when that was seen.
type refusal struct {
	of string // what the job is done for
	at time.Time
}

// Wake makes the scheduler look now. It never blocks, and may be called from
// anywhere at any time.
func (s *Scheduler) Wake() {
	select {
	case s.waker() <- struct{}{}:
	default:
	}
}

func (s *Scheduler) waker() chan struct{} {
	s.wakeOnce.Do(func() { s.wake = make(chan struct{}, 1) })
	return s.wake
}

// Run works until ctx is done, and then waits for the deliveries that are under
// way, as long as the dispatcher allows.
func (s *Scheduler) Run(ctx context.Context) error {
	if s.Started.IsZero() {
		s.Started = now()
	}
	if s.PollEvery == 0 {
		s.PollEvery = pollEvery
	}
	if s.Steady == nil {
		began := time.Now()
		s.Steady = func() time.Duration { return time.Since(began) }
	}
	s.isAsking, s.toConfirm = make(chan struct{}, 1), map[int64]time.Time{}
	free := make(chan struct{}, 1)
	s.Dispatcher.start(func() {
		select {
		case free <- struct{}{}:
		default:
		}
	})
	defer s.Dispatcher.stop()
	defer s.asking.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	var gathered <-chan time.Time // while hands that become free are gathered
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		case <-s.waker():
		case <-free:
			if gathered == nil && len(s.view.line.waiting) > 0 {
				gathered = time.After(gatherHands)
				continue
			}
			if gathered != nil || !s.goOn(now()) {
				continue
			}
		case <-gathered:
			gathered = nil
			if !s.goOn(now()) {
				continue
			}
		}
		gathered = nil // a round gives all that are free
		timer.Reset(s.round(ctx, now()))
	}
}

// round does all that is due at that time and returns how long there is nothing
// more to do.
func (s *Scheduler) round(ctx context.Context, at time.Time) time.Duration {
	s.behind = false
	failed := false
	for _, step := range []struct {
		name  string
		do    func(context.Context, time.Time) error
		rests bool // while the clock is wrong
	}{
		{"note that the service runs", s.alive, false},
		{"end waits after the clock was set back", s.clock, true},
		{"keep up with the configuration in force", s.keepUp, false},
		{"bring incidents in line with the configuration", s.resync, true},
		{"look what is due", s.look, false},
		{"check the watchdog", s.watchdog, true},
		{"let the canary fly", s.canary, true},
		{"declare drills", s.drills, true},
		{"doubt what ended", s.doubt, true},
		{"look at incidents", s.agendas, true},
		{"ask about quiet breaches", s.ask, true},
		{"tell teams that mail does not go out", s.Dispatcher.tellTeams, true},
		{"send what is due", s.dispatch, true},
		{"delete what is old", s.prune, true},
		{"forget alerts that are no longer heard", s.forget, true},
	} {
		if step.rests && s.rests() {
			continue
		}
		if err := step.do(ctx, at); err != nil && ctx.Err() == nil {
			s.Log.Warn("scheduler step failed, it is tried again", slog.String("component", "scheduler"), slog.String("step", step.name), slog.Any("err", err))
			s.Metrics.SchedulerErrors.Inc()
			failed = true
		}
	}
	if failed || s.rests() {
		return pollEvery
	}
	if s.behind {
		return 0
	}
	wait := s.PollEvery
	if !s.serverRetryAt.IsZero() {
		wait = min(wait, max(time.Until(s.serverRetryAt), 0))
	}
	if next := s.view.next; !next.IsZero() && !s.outdated {
		wait = min(wait, max(next.Sub(at), 5*time.Millisecond))
	}
	return wait
}

// A view is what a round finds in the store. What becomes due by what the round does is for
// the next, which begins at once.
type view struct {
	at      time.Time
	pulses  incident.Pulses
	agendas []int64
	line    line          // of those who wait
	next    time.Time     // when more is due
	silent  time.Time     // since when the breach is quiet that is so for longest; zero if none is
	toAsk   time.Time     // when the first breach is to be asked about; zero if none is
	took    time.Duration // to read it
}

// look reads what a round has to know, and little where nothing is due.
func (s *Scheduler) look(ctx context.Context, at time.Time) error {
	began := time.Now()
	s.view = view{at: at}
	g, err := s.Repo.Store.Glance(ctx)
	if err != nil {
		return err
	}
	s.outdated, s.view.pulses, s.view.next = s.Repo.IsBehind(g.Generation), g.Pulses, g.NextDue
	s.view.silent, s.view.toAsk = g.Silent, g.ToAsk
	if g.NextDue.IsZero() || g.NextDue.After(at) {
		return nil
	}
	return s.Repo.Store.Read(ctx, func(r storage.Snapshot) (err error) {
		if s.view.agendas, err = r.DueAgendas(ctx, at, batch); err != nil {
			return err
		}
		waiting, err := r.Waiting(ctx, at, waitingLimit)
		if err != nil {
			return err
		}
		if s.outdated {
			policy := s.Repo.Policy()
			waiting = slices.DeleteFunc(waiting, func(w storage.Waiting) bool {
				_, known := policy.Recipient(w.Recipient)
				return !known
			})
		}
		s.view.line = s.Dispatcher.line(waiting)
		s.view.next, err = r.NextDue(ctx, at)
		s.view.took = time.Since(began)
		return err
	})
}

// alive stores that the service runs, as an outage that it did not, and that the clock was
// set. Where others have the store, too, that is the clock of the store: it shows when nobody
// ran, and what became of that of this process is its skew.
func (s *Scheduler) alive(ctx context.Context, at time.Time) error {
	if !s.engineKnown {
		info, err := s.Repo.Store.Info(ctx)
		if err != nil {
			return err
		}
		s.shared, s.engineKnown = info.Shared, true
	}
	steady := s.Steady()
	set := s.own.look(at, steady)
	if shift(set) >= clockJump {
		s.Log.Warn("the clock was set", slog.String("component", "scheduler"), slog.Time("from", set.From), slog.Time("to", set.To))
		if !s.shared {
			s.clockSets = append(s.clockSets, set)
		}
	}
	first := s.aliveAt.IsZero()
	due := first || steady-s.aliveSteady >= aliveEvery || len(s.clockSets) > 0
	rested := s.rests()
	if !due && shift(set) < skewJump && !(rested && steady-s.skewSteady >= skewAgain) {
		return nil
	}
	skew, err := s.measure(ctx)
	if err != nil {
		return err
	}
	s.skewSteady = steady
	if s.shared {
		at, steady = skew.At, s.Steady()
		if set := s.common.look(at, steady); shift(set) >= clockJump {
			s.clockSets = append(s.clockSets, set)
		}
	}
	if !due && len(s.clockSets) == 0 && skew.Rests == rested {
		return nil
	}
	err = s.Repo.Store.Write(ctx, func(tx storage.Tx) error {
		// What the clock would show if it had not been set, as last is from before.
		unset := at
		for _, o := range s.clockSets {
			unset = unset.Add(o.From.Sub(o.To))
		}
		last, err := s.lastAlive(ctx, tx, func(noted time.Time) bool { return !first && unset.Sub(noted) <= outageAfter })
		if err != nil {
			return err
		}
		for _, o := range s.clockSets {
			if err := s.putClockSet(ctx, tx, o); err != nil {
				return err
			}
		}
		switch {
		case last.IsZero():
		case unset.Sub(last) > outageAfter:
			err = storage.PutOutage(ctx, tx, storage.Outage{From: last, To: unset})
		case first && last.Sub(at) >= clockJump:
			err = s.putClockSet(ctx, tx, storage.Outage{From: last, To: at, Kind: storage.ClockSet})
		}
		if err != nil {
			return err
		}
		return tx.PutAlive(ctx, s.self(skew, at))
	})
	if err == nil {
		s.aliveAt, s.aliveSteady, s.clockSets = at, steady, nil
	}
	return err
}

// lastAlive returns when the service was last known to run. What was recorded since it was last
// noted tells that more closely, and is not read where what was noted is enough. What replicas
// recorded tells it only by clocks of their own.
func (s *Scheduler) lastAlive(ctx context.Context, tx storage.Tx, enough func(noted time.Time) bool) (time.Time, error) {
	noted, err := tx.Alive(ctx)
	if err != nil || s.shared || enough(noted) {
		return noted, err
	}
	return storage.LastAlive(ctx, tx, s.Started)
}

// putClockSet notes that the clock was set, unless another replica noted the same.
func (s *Scheduler) putClockSet(ctx context.Context, tx storage.Tx, o storage.Outage) error {
	if s.shared {
		near := func(a, b time.Time) bool { return a.Sub(b).Abs() <= 2*aliveEvery }
		known, err := storage.Outages(ctx, tx, 10)
		if err != nil || slices.ContainsFunc(known, func(k storage.Outage) bool { return k.Kind == o.Kind && near(k.From, o.From) && near(k.To, o.To) }) {
			return err
		}
	}
	return storage.PutOutage(ctx, tx, o)
}

// keepUp says for other replicas that this one has the configuration in force or, while it
// has not, looks whether any has.
func (s *Scheduler) keepUp(ctx context.Context, at time.Time) error {
	if !s.shared && !s.outdated || !again(at, s.keptUpAt, storage.GenerationEvery) {
		return nil
	}
	behind, err := s.Repo.KeepUp(ctx, s.Dispatcher.Owner, at)
	if err != nil {
		return err
	}
	s.keptUpAt = at
	if behind {
		s.Log.Warn("another configuration is in force: alerts are taken and what is due is sent, but who reads along is left to those who have it",
			slog.String("component", "scheduler"), slog.String("hash", s.Repo.Policy().Hash))
	} else if s.outdated {
		s.policy = nil
	}
	return nil
}

// job lets this replica do a job if it is due and no other has it; fn reports whether it is to
// go on in the next round. It reports whether fn was called.
func (s *Scheduler) job(ctx context.Context, at time.Time, j storage.Job, fn func() (more bool, err error)) (taken bool, err error) {
	if !s.free(at, &j) {
		return false, nil
	}
	taken, err = storage.DoJob(ctx, s.Repo.Store, j, at, fn)
	s.noteJob(at, &j, taken || err != nil)
	return taken, err
}

// free makes a job one of this replica, and reports whether it may be free.
func (s *Scheduler) free(at time.Time, j *storage.Job) bool {
	j.Owner, j.Lease = s.Dispatcher.Owner, jobLease
	last := s.refused[j.Name]
	return last.of != j.For || again(at, last.at, min(jobLease, j.Every))
}

func (s *Scheduler) noteJob(at time.Time, j *storage.Job, taken bool) {
	if taken {
		delete(s.refused, j.Name)
		return
	}
	if s.refused == nil {
		s.refused = map[string]refusal{}
	}
	s.refused[j.Name] = refusal{j.For, at}
}

// resync brings the readers of all incidents that are not closed in line with a configuration
// that came into force, some in each transaction. One replica does it for all that have the
// configuration.
func (s *Scheduler) resync(ctx context.Context, at time.Time) error {
	policy := s.Repo.Policy()
	const name = "resync"
	switch {
	case s.policy == policy:
		return nil
	case s.left != policy:
		delete(s.refused, name)
	case !again(at, s.refused[name].at, jobLease):
		return nil
	}
	var in storage.Generation
	err := s.Repo.Store.Read(ctx, func(r storage.Snapshot) (err error) {
		in, err = r.Generation(ctx)
		return err
	})
	switch {
	case err != nil || in.Number > 0 && in.Hash != policy.Hash: // those resync who have it
		return err
	case s.resyncAll || in.Number == 0:
		err = s.resyncEach(ctx)
	default:
		var taken bool
		j := storage.Job{Name: name, Every: forever, For: strconv.FormatInt(in.Number, 10)}
		if taken, err = s.job(ctx, at, j, func() (bool, error) { return false, s.resyncEach(ctx) }); !taken {
			s.left = policy
			return err
		}
	}
	if err == nil {
		s.policy, s.resyncAll = policy, false
	}
	return err
}

func (s *Scheduler) resyncEach(ctx context.Context) error {
	for _, state := range []incident.State{incident.StateOpen, incident.StateResolved} {
		err := s.pages(ctx, state, func(page []incident.Incident) error {
			for part := range slices.Chunk(page, settlePiece) {
				numbers := make([]int64, len(part))
				for i := range part {
					numbers[i] = part[i].Number
				}
				err := s.Repo.Change(ctx, now(), func(c *storage.Change) error {
					if err := c.Prepare(storage.Needs{Incidents: numbers}); err != nil {
						return err
					}
					return c.LoadReaders(numbers)
				})
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return s.resyncNotices(ctx)
}

// resyncNotices does the same for the readers of the watchdog.
func (s *Scheduler) resyncNotices(ctx context.Context) error {
	var pulses incident.Pulses
	err := s.Repo.Store.Read(ctx, func(r storage.Snapshot) (err error) {
		pulses, err = r.Pulses(ctx)
		return err
	})
	for i := 0; i < len(pulses) && err == nil; i++ {
		err = s.Repo.Change(ctx, now(), func(c *storage.Change) error { return c.ReconcileNotices(pulses[i].Name) })
	}
	return err
}

// each calls fn for each incident in that state.
func (s *Scheduler) each(ctx context.Context, state incident.State, fn func(*incident.Incident) error) error {
	return s.pages(ctx, state, func(page []incident.Incident) error {
		for i := range page {
			if err := fn(&page[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

// pages calls fn for each page of the incidents in that state.
func (s *Scheduler) pages(ctx context.Context, state incident.State, fn func(page []incident.Incident) error) error {
	for cursor := ""; ; {
		var page []incident.Incident
		err := s.Repo.Store.Read(ctx, func(r storage.Snapshot) (err error) {
			page, cursor, err = r.Incidents(ctx, storage.IncidentQuery{State: state, Limit: batch, Cursor: cursor})
			return err
		})
		if err != nil {
			return err
		}
		if err := fn(page); err != nil {
			return err
		}
		if cursor == "" {
			return nil
		}
	}
}

// doubt looks through the open incidents once a pulse of the watchdog is away: what ended
// since it was last heard is not believed. One replica does it for all.
func (s *Scheduler) doubt(ctx context.Context, at time.Time) error {
	away := s.view.pulses.Away(s.Repo.Policy(), nil)
	if len(away) == 0 || s.outdated {
		return nil
	}
	_, err := s.job(ctx, at, storage.Job{Name: "doubt", Every: forever, For: doubting(away)}, func() (bool, error) {
		return false, s.each(ctx, incident.StateOpen, func(in *incident.Incident) error {
			if in.LastEndsAt.IsZero() {
				return nil
			}
			return s.Intake.Disbelieve(ctx, at, in.Number)
		})
	})
	return err
}

// doubting names pulses that are away, by a hash: there may be many.
func doubting(away incident.Pulses) string {
	h := sha256.New()
	for _, p := range away {
		fmt.Fprintf(h, "%q %d\n", p.Name, p.AwaySince.UnixMicro())
	}
	return hex.EncodeToString(h.Sum(nil))
}

// agendas lets time pass for the incidents that wait for it.
func (s *Scheduler) agendas(ctx context.Context, at time.Time) error {
	if s.outdated {
		return nil // those wait for it, too, who read along and are not known here
	}
	s.behind = s.behind || len(s.view.agendas) == batch
	var failed error
	for _, number := range s.view.agendas {
		if err := s.tick(ctx, number, at); err != nil {
			failed = errors.Join(failed, err)
		}
	}
	return failed
}

func (s *Scheduler) tick(ctx context.Context, number int64, at time.Time) error {
	if err := s.doubtFirst(ctx, number, at); err != nil {
		return err
	}
	var logs []incident.Event
	var ask bool
	err := s.Repo.Change(ctx, at, func(c *storage.Change) error {
		logs = logs[:0]
		sit, err := c.Situation(number)
		if err != nil {
			return err
		}
		news, err := storage.Tick(c, sit)
		if err != nil {
			return err
		}
		ask = news.Ask
		logs = append(logs, news.Events...)
		return c.Note(sit, news)
	})
	if err != nil {
		return err
	}
	if ask {
		s.toConfirm[number] = at
	}
	for _, e := range logs {
		s.Log.Info("incident "+string(e.Type), slog.String("component", "scheduler"), slog.String("incident", incident.ID(number)), slog.String("actor", string(e.Actor))) //nolint:sloglint // one of a few
	}
	return nil
}

// doubtFirst doubts what ended in an incident whose last breach ended after a pulse was last
// heard that is away. A replica that did not know yet that the pulse is away may have noted the
// end since all incidents were looked through.
func (s *Scheduler) doubtFirst(ctx context.Context, number int64, at time.Time) error {
	away := s.view.pulses.Away(s.Repo.Policy(), nil)
	if len(away) == 0 {
		return nil
	}
	var ended time.Time
	err := s.Repo.Store.Read(ctx, func(r storage.Snapshot) error {
		in, err := storage.IncidentOf(ctx, r, number)
		ended = in.EndedHeardAt
		return err
	})
	if err != nil || ended.IsZero() || !slices.ContainsFunc(away, func(p incident.Pulse) bool { return !ended.Before(p.HeardAt) }) {
		return err
	}
	return s.Intake.Disbelieve(ctx, at, number)
}

// dispatch hands what is due to the dispatcher.
func (s *Scheduler) dispatch(context.Context, time.Time) error {
	s.give()
	return nil
}

// give hands those who wait to the dispatcher, as far as it has hands free, and keeps the others.
func (s *Scheduler) give() {
	if s.rests() {
		return
	}
	more, next := s.Dispatcher.claim(&s.view.line)
	s.behind, s.serverRetryAt = s.behind || more, next
}

// viewFor is for how long a view serves hands that become free: a recipient to whom more is due
// after its turn waits for the next one. Where many wait, that a look takes a while, it is up to
// longestView, so that looking takes a small part of the time.
const (
	viewFor     = 100 * time.Millisecond
	longestView = time.Second
	lookingPart = 50
)

// gatherHands is for how long hands that become free are gathered while some wait for one: those
// whose outcomes were stored together become free together, and can tell one incident together.
const gatherHands = 2 * time.Millisecond

// goOn gives hands that became free what the last round saw waiting, and reports whether a
// round is needed for that: once it is all given, or a while has passed. Whatever is committed
// brings a round of its own, so what is more urgent does not wait for that.
func (s *Scheduler) goOn(at time.Time) (round bool) {
	served := min(max(viewFor, lookingPart*s.view.took), longestView)
	if len(s.view.line.waiting) == 0 || at.Before(s.view.at) || at.Sub(s.view.at) > served {
		return true
	}
	s.give()
	return len(s.view.line.waiting) == 0 || !s.serverRetryAt.IsZero()
}

func (s *Scheduler) prune(ctx context.Context, at time.Time) error {
	keep := s.Retention()
	if !again(at, s.prunedAt, pruneEvery) || keep == (Retention{}) {
		return nil
	}
	before := func(d time.Duration) time.Time {
		if d == 0 {
			return time.Time{}
		}
		return at.Add(-d)
	}
	_, err := s.job(ctx, at, storage.Job{Name: "prune", Every: pruneEvery}, func() (more bool, err error) {
		var n int
		// Apart, as a damaged record that keeps one from going on must not stop the other.
		err = errors.Join(
			s.Repo.Store.Write(ctx, func(tx storage.Tx) (err error) {
				n, err = storage.Prune(ctx, tx, before(keep.Breaches), before(keep.Messages), batch)
				return err
			}),
			s.Repo.Store.Write(ctx, func(tx storage.Tx) (err error) {
				more, err = storage.Forget(ctx, tx, before(keep.Personal), batch)
				return err
			}))
		more = more || n >= batch
		if err == nil && !more {
			s.prunedAt = at
		}
		return more, err
	})
	return err
}
