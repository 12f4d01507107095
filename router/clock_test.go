package router

import (
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sitrep/incident"
	"sitrep/storage"
	"sitrep/storage/bolt"
)

// A machine has a clock that can be set, and one that cannot.
type machine struct {
	t      *testing.T
	store  *bolt.DB
	clock  time.Time
	steady time.Duration
	s      *Scheduler
}

func newMachine(t *testing.T) *machine {
	db, err := bolt.Open(t.Context(), filepath.Join(t.TempDir(), "sitrep.db"), bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return &machine{t: t, store: db, clock: time.Date(2026, 6, 16, 10, 0, 0, 0, time.UTC), steady: 1000 * time.Hour}
}

// start begins the life of a process.
func (m *machine) start() {
	m.s = &Scheduler{
		Repo: &storage.Repository{Store: m.store}, Started: m.clock, Log: slog.New(slog.DiscardHandler),
		Dispatcher: &Dispatcher{Owner: "a"}, Metrics: NewMetrics(prometheus.NewRegistry()),
		Steady: func() time.Duration { return m.steady },
	}
	m.look()
}

func (m *machine) look() {
	m.t.Helper()
	if err := m.s.alive(m.t.Context(), m.clock); err != nil {
		m.t.Fatal(err)
	}
}

// run lets time pass, with a look each second.
func (m *machine) run(d time.Duration) {
	m.t.Helper()
	for range d / time.Second {
		m.sleep(time.Second)
		m.look()
	}
}

// sleep lets time pass without a look.
func (m *machine) sleep(d time.Duration) { m.clock, m.steady = m.clock.Add(d), m.steady+d }

func (m *machine) set(by time.Duration) { m.clock = m.clock.Add(by) }

// outages are all that is recorded, the first first.
func (m *machine) outages() (all []storage.Outage) {
	m.t.Helper()
	err := m.store.Read(m.t.Context(), func(r storage.Snapshot) (err error) {
		all, err = storage.Outages(m.t.Context(), r, 100)
		return err
	})
	if err != nil {
		m.t.Fatal(err)
	}
	return all
}

// want checks that the outages are of these kinds, each from and to so long after the
// beginning.
func (m *machine) want(want ...storage.Outage) {
	m.t.Helper()
	got := m.outages()
	if len(got) != len(want) {
		m.t.Fatalf("%d outages: %v", len(got), got)
	}
	for _, w := range want {
		found := false
		for _, o := range got {
			found = found || o.Kind == w.Kind && o.From.Sub(w.From).Abs() <= time.Minute && o.To.Sub(w.To).Abs() <= time.Second
		}
		if !found {
			m.t.Errorf("no %v in %v", w, got)
		}
	}
}

func TestAClockThatIsSetIsNoOutage(t *testing.T) {
	for name, by := range map[string]time.Duration{"forward": 2 * time.Hour, "back": -2 * time.Hour, "a little": 30 * time.Second} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			m.start()
			m.run(10 * time.Minute)
			before := m.clock
			m.set(by)
			m.run(10 * time.Minute)
			m.want(storage.Outage{From: before.Add(time.Second), To: before.Add(by + time.Second), Kind: storage.ClockSet})
			// It is stored each minute that sitrep runs, by the clock as it is now.
			at := m.clock
			m.sleep(2 * time.Minute)
			m.start()
			m.want(storage.Outage{From: before.Add(time.Second), To: before.Add(by + time.Second), Kind: storage.ClockSet})
			m.sleep(time.Hour)
			m.start()
			m.want(storage.Outage{From: before.Add(time.Second), To: before.Add(by + time.Second), Kind: storage.ClockSet},
				storage.Outage{From: at.Add(2 * time.Minute), To: m.clock})
		})
	}
}

func TestATimeInWhichNothingRanIsAnOutage(t *testing.T) {
	m := newMachine(t)
	m.start()
	m.run(2 * time.Minute)
	before := m.clock
	m.sleep(time.Hour) // stopped, or suspended
	m.look()
	m.want(storage.Outage{From: before, To: m.clock})
}

func TestAClockThatIsSetDuringAnOutage(t *testing.T) {
	m := newMachine(t)
	m.start()
	m.run(2 * time.Minute)
	before := m.clock
	m.sleep(time.Hour)
	m.set(3 * time.Hour)
	m.look()
	m.want(storage.Outage{From: before, To: before.Add(time.Hour)},
		storage.Outage{From: before.Add(time.Hour), To: m.clock, Kind: storage.ClockSet})
}

func TestAClockThatWasSetBackBeforeTheStart(t *testing.T) {
	m := newMachine(t)
	m.start()
	m.run(2 * time.Minute)
	before := m.clock
	m.set(-5 * time.Hour)
	m.start()
	m.want(storage.Outage{From: before, To: m.clock, Kind: storage.ClockSet})
	m.run(5 * time.Minute)
	m.start()
	m.want(storage.Outage{From: before, To: before.Add(-5 * time.Hour), Kind: storage.ClockSet})
}

func TestAClockThatIsSlewedIsNotSet(t *testing.T) {
	m := newMachine(t)
	m.start()
	for range 1000 {
		m.run(time.Second)
		m.set(9 * time.Millisecond)
	}
	m.want()
}

// The cause of a message that is late by the clock that was set.
func TestALateMessageAfterTheClockWasSet(t *testing.T) {
	m := newMachine(t)
	m.start()
	m.run(2 * time.Minute)
	due := m.clock.Add(time.Hour)
	m.set(2 * time.Hour)
	m.look()
	err := m.store.Read(t.Context(), func(r storage.Snapshot) error {
		for _, c := range []struct {
			due  time.Time
			want incident.CauseKind
		}{{due, incident.CauseClock}, {due.Add(-2 * time.Hour), incident.CauseNoneFound}} {
			got, err := cause(t.Context(), r, why{}, nil, incident.Cover{DueAt: c.due, Promised: c.due.Add(time.Minute)}, m.clock)
			if err != nil || got.Kind != c.want || (got.Kind == incident.CauseClock) == got.From.IsZero() {
				t.Errorf("due at %v: %+v, %v", c.due, got, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestAClockThatWasSetBackKeepsNothingFromBeingDoneAgain(t *testing.T) {
	last := time.Date(2026, 6, 16, 10, 0, 0, 0, time.UTC)
	for passed, want := range map[time.Duration]bool{0: false, 59 * time.Second: false, time.Minute: true, time.Hour: true, -time.Second: true, -time.Hour: true} {
		if got := again(last.Add(passed), last, time.Minute); got != want {
			t.Errorf("after %v: %v", passed, got)
		}
	}
	if !again(last, time.Time{}, time.Hour) {
		t.Error("never done, and not due")
	}
}
