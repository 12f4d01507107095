package router_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sitrep/incident"
	"sitrep/incident/incidenttest"
	"sitrep/intake"
	"sitrep/router"
	"sitrep/storage"
	"sitrep/storage/bolt"
)

// policy is the example organisation's, for whom a breach stays as it is for long, and
// that is not reminded.
func policy() *incident.Policy {
	p := incidenttest.Policy()
	p.Priorities[0].Actions = p.Priorities[0].Actions[:1] // the hotfix
	p.UnknownAfter, p.RemindBefore = 1000*time.Hour, 0
	return p
}

// A catalog finds the SLOs of a policy, and the watchdog.
type catalog struct{ p *incident.Policy }

func (c catalog) Lookup(labels map[string]string) intake.Match {
	return intake.Match{SLO: incidenttest.Find(c.p, labels), Watchdog: labels["alertname"] == "Watchdog"}
}

// A mailbox is a far end that is told how to behave, and remembers.
type mailbox struct {
	mu sync.Mutex
	// behave says what becomes of an attempt; nil is to take it at once. It may sleep.
	behave   func(to string, e router.Envelope) error
	messages map[string]incident.Message // as rendered last, by id
	tries    []attempt
	got      []mail
}

// An attempt is one call of Send.
type attempt struct {
	to, id, body string
	at           time.Time
}

// A mail is one that was taken.
type mail struct {
	attempt
	incident.Message
}

func (b *mailbox) Render(m *incident.Message) ([]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.messages[m.ID] = *m
	type item struct {
		Kind     incident.Kind
		Incident string
		Sequence int64
		NextBy   time.Time
	}
	var items []item
	for _, i := range m.Items {
		items = append(items, item{i.Kind, i.Incident.ID(), i.Incident.Sequence, i.NextBy})
	}
	return json.Marshal(map[string]any{"id": m.ID, "kind": m.Kind, "at": m.At, "items": items})
}

func (b *mailbox) Send(ctx context.Context, e router.Envelope, leased func(context.Context) error) error {
	to := strings.TrimSuffix(e.Recipient.Address, "@example.org")
	try := attempt{to, e.ID, string(e.Body), time.Now()}
	b.mu.Lock()
	b.tries = append(b.tries, try)
	behave := b.behave
	b.mu.Unlock()
	if err := leased(ctx); err != nil {
		return err
	}
	var err error
	if behave != nil {
		err = behave(to, e)
	}
	if err != nil && !errors.Is(err, errTaken) {
		return err
	}
	if err := leased(ctx); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	try.at = time.Now()
	b.got = append(b.got, mail{try, b.messages[e.ID]})
	if errors.Is(err, errTaken) {
		return router.ErrUnknown
	}
	return nil
}

// errTaken is returned by behave for a message that is taken, and of which the
// answer is lost.
var errTaken = errors.New("taken")

var (
	errDown   = errors.New("dial: the mail server is down")
	errServer = fmt.Errorf("%w: %w", errDown, router.ErrServer)
)

func (b *mailbox) set(behave func(to string, e router.Envelope) error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.behave = behave
}

func down(names ...string) func(string, router.Envelope) error {
	return func(to string, _ router.Envelope) error {
		if len(names) == 0 {
			return errServer
		}
		if slices.Contains(names, to) {
			return errDown
		}
		return nil
	}
}

// take returns the mails that were taken since the last time.
func (b *mailbox) take() []mail {
	b.mu.Lock()
	defer b.mu.Unlock()
	got := b.got
	b.got = nil
	return got
}

// count returns how many were taken since the last time.
func (b *mailbox) count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.got)
}

func (b *mailbox) takeTries() []attempt {
	b.mu.Lock()
	defer b.mu.Unlock()
	tries := b.tries
	b.tries = nil
	return tries
}

// An asker is the Alertmanagers.
type asker struct {
	mu    sync.Mutex
	say   incident.Verdict
	asked int
}

func (a *asker) Ask(context.Context) (incident.Answer, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked++
	v := a.say
	return func(*incident.Breach) incident.Verdict { return v }, nil
}

func (a *asker) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.asked
}

func (a *asker) set(v incident.Verdict) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.say = v
}

// A world is a sitrep without its HTTP and its SMTP: everything else is real.
type world struct {
	t      testing.TB
	path   string
	poll   time.Duration
	policy atomic.Pointer[incident.Policy]
	mail   *mailbox
	am     *asker
	asker  router.Asker  // instead of am; nil: am
	sender router.Sender // instead of mail; nil: mail
	keep   router.Retention

	store   *bolt.DB
	repo    *storage.Repository
	intake  *intake.Intake
	replica *replica
	events  atomic.Int64 // that Observe was told of
}

func newWorld(t testing.TB, p *incident.Policy) *world {
	w := &world{t: t, path: filepath.Join(folder(t), "sitrep.db"), mail: &mailbox{messages: map[string]incident.Message{}}, am: &asker{}}
	w.policy.Store(p)
	return w
}

// folder returns a temporary folder, in memory where the machine has that: these tests
// are about time, and a disk that is slow to sync says nothing of it.
func folder(t testing.TB) string {
	dir, err := os.MkdirTemp("/dev/shm", "sitrep-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// start opens the store and lets a scheduler run.
func (w *world) start() *world {
	w.t.Helper()
	w.open()
	var running atomic.Pointer[replica]
	w.repo.Wake = func() {
		if r := running.Load(); r != nil {
			r.scheduler.Wake()
		}
	}
	w.replica = w.run(w.store, "a")
	running.Store(w.replica)
	return w
}

func (w *world) open() {
	w.t.Helper()
	db, err := bolt.Open(w.t.Context(), w.path, bolt.Options{})
	if err != nil {
		w.t.Fatal(err)
	}
	w.store = db
	w.repo = &storage.Repository{Store: db, Policy: w.policy.Load, Observe: func(e []incident.Event) { w.events.Add(int64(len(e))) }}
	w.intake = &intake.Intake{Repo: w.repo, Catalog: func() intake.Catalog { return catalog{w.policy.Load()} }, Log: discard()}
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// A replica is one process's scheduler and dispatcher.
type replica struct {
	scheduler *router.Scheduler
	cancel    context.CancelFunc
	done      chan struct{}
}

func (w *world) run(store storage.Store, owner string) *replica {
	return w.runBy(store, owner, w.policy.Load)
}

// runBy lets a scheduler run with a policy of its own.
func (w *world) runBy(store storage.Store, owner string, policy func() *incident.Policy) *replica {
	metrics := router.NewMetrics(prometheus.NewRegistry())
	r := &replica{done: make(chan struct{})}
	repo := &storage.Repository{Store: store, Policy: policy, Wake: func() { r.scheduler.Wake() }}
	r.scheduler = &router.Scheduler{
		Repo: repo, Log: discard(), Metrics: metrics, PollEvery: w.poll,
		Intake: w.intake,
		Asker: func() router.Asker {
			if !w.policy.Load().Asks {
				return nil
			}
			if w.asker != nil {
				return w.asker
			}
			return w.am
		},
		Retention: func() router.Retention { return w.keep },
		Dispatcher: &router.Dispatcher{
			Repo: repo, Owner: owner, Log: discard(), Metrics: metrics,
			Sender: func(incident.Channel) (router.Sender, bool) {
				if w.sender != nil {
					return w.sender, true
				}
				return w.mail, true
			},
		},
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	go func() {
		defer close(r.done)
		_ = r.scheduler.Run(ctx)
	}()
	return r
}

func (r *replica) stop() {
	r.cancel()
	<-r.done
}

// stop ends the process in good order.
func (w *world) stop() {
	w.t.Helper()
	w.replica.stop()
	if err := w.store.Close(); err != nil {
		w.t.Fatal(err)
	}
}

// sleepUntil lets the clock of the bubble go on to that time.
func sleepUntil(at time.Time) { time.Sleep(time.Until(at)) }

// alert is an alert of an SLO that began now; resolved is the same when it ends.
func alert(slo, fingerprint string) incident.Alert {
	return incidenttest.Firing(slo, fingerprint, clock())
}

func resolved(a incident.Alert) incident.Alert { return incidenttest.Ended(a, clock()) }

func watchdog() incident.Alert {
	return incident.Alert{Fingerprint: "watchdog", StartsAt: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), Labels: map[string]string{"alertname": "Watchdog"}}
}

func clock() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

// post is what Alertmanager sends.
func (w *world) post(alerts ...incident.Alert) []intake.Result {
	w.t.Helper()
	results, err := w.intake.Take(context.Background(), intake.Post{Alerts: alerts, At: clock(), Source: "test"})
	if err != nil {
		w.t.Fatal(err)
	}
	return results
}

// do carries out a command of ada's, and returns its error.
func (w *world) do(number int64, command func(*incident.Incident, incident.Stamp, *incident.Policy) ([]incident.Event, error)) error {
	return w.repo.Change(context.Background(), clock(), func(c *storage.Change) error {
		s, err := c.Situation(number)
		if err != nil {
			return err
		}
		events, err := command(&s.Incident, c.Stamp("ada"), c.Policy)
		if err != nil {
			return err
		}
		return c.Record(s, events...)
	})
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) situation(number int64) *incident.Situation {
	w.t.Helper()
	var s *incident.Situation
	w.must(w.store.Read(context.Background(), func(r storage.Snapshot) (err error) {
		s, err = storage.Situation(w.t.Context(), r, number)
		return err
	}))
	return s
}

func (w *world) log(number int64) []incident.Event {
	w.t.Helper()
	var events []incident.Event
	w.must(w.store.Read(context.Background(), func(r storage.Snapshot) (err error) {
		events, err = storage.EventsOf(w.t.Context(), r, number, 0, 100_000)
		return err
	}))
	return events
}

// of returns the types of an incident's events.
func (w *world) of(number int64, t incident.EventType) []incident.Event {
	w.t.Helper()
	var out []incident.Event
	for _, e := range w.log(number) {
		if e.Type == t {
			out = append(out, e)
		}
	}
	return out
}

func (w *world) deliveries() []incident.Delivery {
	w.t.Helper()
	var all []incident.Delivery
	w.must(w.store.Read(context.Background(), func(r storage.Snapshot) error {
		for cursor := ""; ; {
			page, next, err := r.Deliveries(w.t.Context(), storage.DeliveryQuery{Limit: 1000, Cursor: cursor})
			if err != nil {
				return err
			}
			all = append(all, page...)
			if cursor = next; cursor == "" {
				return nil
			}
		}
	}))
	return all
}

// expect checks which mails were taken since the last time, as "name kind".
func (w *world) expect(want ...string) []mail {
	w.t.Helper()
	mails := w.mail.take()
	var got []string
	for _, m := range mails {
		got = append(got, fmt.Sprintf("%s %s", m.to, m.Kind))
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		w.t.Errorf("at %s taken %q, want %q", time.Now().UTC().Format(time.DateTime), got, want)
	}
	return mails
}
