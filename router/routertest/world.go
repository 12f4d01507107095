// Package routertest is the language in which tests tell scenarios, as httptest is for
// HTTP: alerts are posted, people give commands, time passes, mail servers refuse, and
// processes end; then the test says which reader was told what.
//
// All runs in a bubble of testing/synctest, so that days take milliseconds. Everything
// but HTTP, SMTP and the Alertmanagers is real, and the organisation is
// [incidenttest.Policy], unless a test brings its own.
package routertest

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sitrep/incident"
	"sitrep/incident/incidenttest"
	"sitrep/intake"
	"sitrep/router"
	"sitrep/storage"
	"sitrep/storage/bolt"
)

// Options say what is different in a scenario. The zero value is fine.
type Options struct {
	Policy *incident.Policy // nil: the example organisation's
	// Open opens the store, at first and after each [World.Stop]; nil: a file of bbolt
	// that is gone after the test.
	Open  func(context.Context) (storage.Store, error)
	Begin time.Time // zero: incidenttest.Noon
	// Poll is how often processes look at the store while nothing is known to be due; zero:
	// as often as in production. The less, the faster go days.
	Poll      time.Duration
	Retention router.Retention
	// Later lets those who are to be told be found by the scheduler alone, as where many processes
	// have the store.
	Later bool
	// Unasked is that no Prometheus is configured to be asked, whatever the policy says of it.
	Unasked bool
}

// File opens a file of bbolt.
func File(path string) func(context.Context) (storage.Store, error) {
	return func(ctx context.Context) (storage.Store, error) { return bolt.Open(ctx, path, bolt.Options{}) }
}

// A World is a sitrep without its HTTP and its SMTP. Its methods are for the goroutine of
// the test, unless they say otherwise, and let the test fail where they cannot do
// what they say.
type World struct {
	t        testing.TB
	o        Options
	policy   atomic.Pointer[incident.Policy]
	mail     *mailboxes
	ams      alertmanagers
	canaries canaries

	mu      sync.Mutex
	sender  router.Sender
	running []*Replica

	store  storage.Store // nil while it is closed
	repo   *storage.Repository
	intake *intake.Intake
}

// Run tells a scenario in a bubble of its own, in which one process runs.
func Run(t *testing.T, o Options, scenario func(t *testing.T, w *World)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := New(t, o)
		w.Start()
		scenario(t, w)
	})
}

// New returns a world whose store is open, and in which no process runs yet. It is called in a
// bubble, and ends with the test.
func New(t testing.TB, o Options) *World {
	t.Helper()
	if o.Policy == nil {
		o.Policy = incidenttest.Policy()
	}
	if o.Open == nil {
		o.Open = File(filepath.Join(Dir(t), "sitrep.db"))
	}
	if o.Begin.IsZero() {
		o.Begin = incidenttest.Noon
	}
	w := &World{t: t, o: o, mail: &mailboxes{rendered: map[string]incident.Message{}}}
	w.policy.Store(o.Policy)
	w.sender, w.ams.asked = w.mail, &w.ams
	w.Until(o.Begin)
	w.Open()
	t.Cleanup(w.Stop)
	return w
}

// Dir returns a temporary folder, in memory where the machine has that: scenarios are
// about time, and a disk that is slow to sync says nothing of it.
func Dir(t testing.TB) string {
	dir, err := os.MkdirTemp("/dev/shm", "sitrep-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// Now is the time as sitrep sees it: UTC and whole microseconds.
func (w *World) Now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

// Pass lets time pass, and what is to happen by then happen.
func (w *World) Pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// Until lets time pass until then.
func (w *World) Until(at time.Time) { w.Pass(time.Until(at)) }

// Policy is the policy in force. It is not changed, but replaced by Reload. Any goroutine may call it.
func (w *World) Policy() *incident.Policy { return w.policy.Load() }

// Reload puts a changed policy into force. It is given a copy, with groups, teams, priorities and SLOs
// of its own; slices within those are to be replaced, not changed.
func (w *World) Reload(change func(*incident.Policy)) {
	p := *w.policy.Load()
	p.Groups, p.Teams = slices.Clone(p.Groups), slices.Clone(p.Teams)
	p.Priorities, p.SLOs = slices.Clone(p.Priorities), slices.Clone(p.SLOs)
	change(&p)
	w.policy.Store(&p)
	w.repo.Wake()
}

// Open opens the store after a Stop, for a test that has something to do before Start.
func (w *World) Open() {
	w.t.Helper()
	var err error
	if w.store, err = w.o.Open(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	w.repo = &storage.Repository{
		Store: w.store, Policy: w.policy.Load,
		Wake: func() {
			if r := w.first(); r != nil {
				r.scheduler.Wake()
			}
		},
		ServerRetryAt: func(recipient string) (at time.Time) {
			if r := w.first(); r != nil {
				at = r.scheduler.Dispatcher.ServerRetryAt(recipient)
			}
			return at
		},
	}
	if !w.o.Later {
		var last *Replica // to which it comes also while that stops
		w.repo.Claim = func(ctx context.Context, tx storage.Tx, due []incident.Subscription) (func(bool), error) {
			if r := w.first(); r != nil {
				last = r
			}
			if last == nil {
				return nil, nil
			}
			return last.scheduler.Dispatcher.Claim(ctx, tx, due)
		}
	}
	w.intake = &intake.Intake{Repo: w.repo, Catalog: func() intake.Catalog { return catalog{w.policy.Load()} }, Log: slog.New(slog.DiscardHandler)}
}

// first returns the process that runs for longest, to which alerts and commands come; nil if
// none runs.
func (w *World) first() *Replica {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.running) == 0 {
		return nil
	}
	return w.running[0]
}

// Start lets a process run, on a store that is opened if it is not.
func (w *World) Start() *Replica {
	w.t.Helper()
	if w.store == nil {
		w.Open()
	}
	return w.StartReplica(Process{})
}

// Stop ends all processes in good order and closes the store.
func (w *World) Stop() {
	w.t.Helper()
	for r := w.first(); r != nil; r = w.first() {
		r.Stop()
	}
	if w.store != nil {
		if err := w.store.Close(); err != nil {
			w.t.Error(err)
		}
		w.store = nil
	}
}

// Restart stops sitrep, and starts it again after some time.
func (w *World) Restart(after time.Duration) {
	w.t.Helper()
	w.Stop()
	w.Pass(after)
	w.Start()
}

// A Process says what is different in one of several replicas.
type Process struct {
	Owner  string           // of its leases; "a" if empty
	Store  storage.Store    // around that of the world, which it is if nil
	Policy *incident.Policy // nil: that of the world, as it is then
}

// A Replica is a process that runs.
type Replica struct {
	w         *World
	scheduler *router.Scheduler
	cancel    context.CancelFunc
	done      chan struct{}
}

// StartReplica lets one more process run. Alerts and commands come to the one that has been
// running for longest, and wake it; the others find out by themselves.
func (w *World) StartReplica(p Process) *Replica {
	policy := w.policy.Load
	if p.Policy != nil {
		policy = func() *incident.Policy { return p.Policy }
	}
	if p.Store == nil {
		p.Store = w.store
	}
	if p.Owner == "" {
		p.Owner = "a"
	}
	log, metrics := slog.New(slog.DiscardHandler), router.NewMetrics(prometheus.NewRegistry())
	r := &Replica{w: w, done: make(chan struct{})}
	repo := &storage.Repository{Store: p.Store, Policy: policy, Wake: func() { r.scheduler.Wake() }}
	r.scheduler = &router.Scheduler{
		Repo: repo, Log: log, Metrics: metrics, PollEvery: w.o.Poll, Intake: w.intake,
		Asker:     w.asker,
		Poster:    func() router.Poster { return &w.canaries },
		Prober:    w.prober,
		Retention: func() router.Retention { return w.o.Retention },
		Dispatcher: &router.Dispatcher{
			Repo: repo, Owner: p.Owner, Log: log, Metrics: metrics,
			Sender: func(incident.Channel) (router.Sender, bool) {
				w.mu.Lock()
				defer w.mu.Unlock()
				return w.sender, true
			},
		},
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	w.mu.Lock()
	w.running = append(w.running, r)
	w.mu.Unlock()
	go func() {
		defer close(r.done)
		_ = r.scheduler.Run(ctx) // ends with the context alone
	}()
	return r
}

// grace is for how long a process that is stopped waits for what is under way.
const grace = 10 * time.Second

// Stop ends the process in good order, once, and returns how long that took; the test fails if it
// is longer than the ten seconds that what is under way is given.
func (r *Replica) Stop() time.Duration {
	r.w.t.Helper()
	r.w.mu.Lock()
	r.w.running = slices.DeleteFunc(r.w.running, func(other *Replica) bool { return other == r })
	r.w.mu.Unlock()
	began := time.Now()
	r.cancel()
	select {
	case <-r.done:
	case <-time.After(time.Hour):
		r.w.t.Fatal("it does not stop, and would be killed in the end")
	}
	took := time.Since(began)
	if took > grace {
		r.w.t.Errorf("it took %v to stop, want at most %v", took, grace)
	}
	return took
}

// Servers returns the servers that the process that has been running for longest finds unusable.
func (w *World) Servers() []router.ServerState { return w.first().scheduler.Dispatcher.Servers() }

// Skew returns by how much the process finds its clock ahead of that of the store.
func (r *Replica) Skew() router.Skew { return r.scheduler.Skew() }
