package router

import (
	"context"
	"time"

	"sitrep/storage"
)

// A steady watches whether the clock is set back, beside one that cannot be.
type steady struct {
	began   time.Time // with the reading of the steady clock
	wall    time.Time
	elapsed time.Duration
}

// setBackBy is by how much the clock has to be set back to count.
const setBackBy = time.Second

// look reads both clocks, and reports whether the clock was set back since the last time;
// the first time that it may have been.
func (s *steady) look(wall time.Time, elapsed time.Duration) bool {
	back := s.wall.IsZero() || (elapsed-s.elapsed)-wall.Sub(s.wall) > setBackBy
	s.wall, s.elapsed = wall, elapsed
	return back
}

// clock ends the waits that began after now, and looks at all that is owed again, if the
// clock was set back: what they say of time is void.
func (s *Scheduler) clock(ctx context.Context, at time.Time) error {
	if s.steady.began.IsZero() {
		s.steady.began = time.Now()
	}
	last := s.steady
	if !s.steady.look(at, time.Since(s.steady.began)) {
		return nil
	}
	err := s.Repo.Store.Write(ctx, func(tx storage.Tx) error {
		_, err := tx.EndWaits(ctx, at)
		return err
	})
	if err != nil {
		s.steady = last // it is tried again
		return err
	}
	s.policy = nil
	s.resyncAll = s.resyncAll || !last.wall.IsZero() // the first time it is seldom so
	return nil
}
