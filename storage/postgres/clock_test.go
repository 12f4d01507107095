package postgres_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"sitrep/incident"
	"sitrep/storage"
	"sitrep/storage/postgres"
)

// skews are by how much the clocks of processes are ahead of that of the database.
var skews = []time.Duration{0, 1900 * time.Millisecond, -1900 * time.Millisecond, 20 * time.Second, -20 * time.Second}

// eachTwo runs fn for each two processes, whose clocks differ or are wrong by the same, all at once.
func eachTwo(t *testing.T, fn func(t *testing.T, name string, first, second *skewed)) {
	t.Helper()
	url := newStore(t)
	one, two := open(t, url), open(t, url)
	var wg sync.WaitGroup
	for i, a := range skews {
		for j, b := range skews {
			wg.Go(func() {
				fn(t, fmt.Sprint(a, " and ", b), &skewed{one, a, fmt.Sprint("first", i, j)}, &skewed{two, b, fmt.Sprint("second", i, j)})
			})
		}
	}
	wg.Wait()
}

// A skewed process is one whose clock is ahead of that of the database.
type skewed struct {
	db    *postgres.DB
	ahead time.Duration
	owner string
}

// clocks returns what time it is by the database, and by the process.
func (s *skewed) clocks(t *testing.T) (right, own time.Time) {
	t.Helper()
	right, err := s.db.Clock(t.Context())
	if err != nil {
		t.Error(err)
	}
	return right, right.Add(s.ahead)
}

// lease takes the lease of a recipient, nil if that is not to be had.
func (s *skewed) lease(t *testing.T, recipient string, term time.Duration) (l *storage.Lease) {
	t.Helper()
	_, at := s.clocks(t)
	err := s.db.Write(t.Context(), func(tx storage.Tx) error {
		l = nil
		leases, err := tx.TakeLeases(t.Context(), at, s.owner, term, []string{recipient})
		if len(leases) > 0 {
			l = &leases[0]
		}
		return err
	})
	if err != nil {
		t.Errorf("%s takes the lease: %v", s.owner, err)
	}
	return l
}

// Whatever the clocks of two processes say, a lease is over when the clock of the database says so:
// not before, and not long after.
func TestLeasesGoByTheClockOfTheDatabase(t *testing.T) {
	t.Parallel()
	const term = 2 * time.Second
	eachTwo(t, func(t *testing.T, name string, first, second *skewed) {
		due, _ := first.clocks(t)
		to := "mail:" + name
		sub := incident.Subscription{Incident: 1, Recipient: to, Active: true, DueAt: due.Add(-time.Hour)}
		if err := first.db.Write(t.Context(), func(tx storage.Tx) error { return tx.PutSubscriptions(t.Context(), []incident.Subscription{sub}, nil) }); err != nil {
			t.Error(err)
			return
		}
		if first.lease(t, to, time.Hour) == nil || second.lease(t, to, time.Hour) != nil {
			t.Errorf("%s: the lease is not the first's alone", name)
			return
		}
		// It has it for a moment more, as somebody does who dies then.
		extend := func(l *storage.Lease, term time.Duration) error {
			_, at := first.clocks(t)
			return first.db.Write(t.Context(), func(tx storage.Tx) error { return tx.ExtendLease(t.Context(), l, at, term) })
		}
		held := &storage.Lease{Recipient: to, Owner: first.owner, Attempt: 1}
		from, _ := first.clocks(t)
		if err := extend(held, term); err != nil {
			t.Errorf("%s: extend: %v", name, err)
			return
		}
		until, _ := first.clocks(t)
		until = until.Add(term)
		for {
			tries, _ := second.clocks(t)
			l := second.lease(t, to, time.Hour)
			now, _ := second.clocks(t)
			if l != nil {
				if now.Before(from.Add(term)) {
					t.Errorf("%s: it was taken over after %v of %v", name, now.Sub(from), term)
				}
				break
			}
			if tries.After(until) {
				t.Errorf("%s: it is over since %v, and cannot be had", name, tries.Sub(until))
				return
			}
		}
		if err := extend(held, term); !errors.Is(err, storage.ErrLost) {
			t.Errorf("%s: one that was taken over is extended: %v", name, err)
		}
	})
}

// So it is with jobs, of which none is done twice at a time.
func TestJobsGoByTheClockOfTheDatabase(t *testing.T) {
	t.Parallel()
	const term = 2 * time.Second
	eachTwo(t, func(t *testing.T, name string, first, second *skewed) {
		take := func(s *skewed, lease time.Duration) (taken bool) {
			_, at := s.clocks(t)
			if err := s.db.Write(t.Context(), func(tx storage.Tx) (err error) {
				taken, err = tx.TakeJob(t.Context(), storage.Job{Name: name, Owner: s.owner, Lease: lease, Every: time.Hour}, at)
				return err
			}); err != nil {
				t.Error(err)
			}
			return taken
		}
		from, _ := first.clocks(t)
		if !take(first, term) {
			t.Errorf("%s: it is not free", name)
			return
		}
		until, _ := first.clocks(t)
		until = until.Add(term)
		for {
			tries, _ := second.clocks(t)
			taken := take(second, time.Hour)
			now, _ := second.clocks(t)
			if taken {
				if now.Before(from.Add(term)) {
					t.Errorf("%s: it was taken over after %v of %v", name, now.Sub(from), term)
				}
				break
			}
			if tries.After(until) {
				t.Errorf("%s: it is over since %v, and cannot be had", name, tries.Sub(until))
				return
			}
		}
		// Whose clocks are as right as they have to be, do not do it again.
		if max(first.ahead.Abs(), second.ahead.Abs()) > storage.MostSkew {
			return
		}
		_, done := second.clocks(t)
		if err := second.db.Write(t.Context(), func(tx storage.Tx) error {
			return tx.EndJob(t.Context(), storage.Job{Name: name, Owner: second.owner}, done)
		}); err != nil {
			t.Error(err)
		}
		if slices.Contains([]bool{take(first, time.Hour), take(second, time.Hour)}, true) {
			t.Errorf("%s: what was just done is due again", name)
		}
	})
}
