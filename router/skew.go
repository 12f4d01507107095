package router

import (
	"context"
	"log/slog"
	"time"

	"sitrep/storage"
)

const (
	// skewAgain is how often a process that rests compares them, and skewJump by how much its
	// clock has to be set for one to do so at once.
	skewAgain = 5 * time.Second
	skewJump  = time.Second
	// fineSkew is an uncertainty that no second try has to improve, of skewTries, and askWithin
	// how long one may take.
	fineSkew  = 50 * time.Millisecond
	skewTries = 3
	askWithin = 5 * time.Second
)

// A Skew is by how much the clock of a process is ahead of that of the store.
type Skew struct {
	By time.Duration
	// Uncertainty is by how much that may be wrong: half of what the question took.
	Uncertainty time.Duration
	// At is when it was measured, by the clock of the store; zero if it was not yet.
	At time.Time
	// Rests is set if the clock is surely wrong: then the process claims nothing.
	Rests bool
}

// Skew returns what was measured last. Any goroutine may call it.
func (s *Scheduler) Skew() Skew {
	if last := s.skew.Load(); last != nil {
		return *last
	}
	return Skew{}
}

// rests reports whether this process must not act on what its clock says.
func (s *Scheduler) rests() bool {
	skew := s.Skew()
	return skew.Rests || skew.At.IsZero()
}

// measure compares the clocks. Of a few questions the one that took least counts.
func (s *Scheduler) measure(ctx context.Context) (Skew, error) {
	last := s.Skew()
	var best Skew
	for i := range skewTries {
		asking, cancel := context.WithTimeout(ctx, askWithin)
		began := time.Now()
		at, err := s.Repo.Store.Clock(asking)
		half := time.Since(began) / 2 // of the clock that nobody sets
		cancel()
		if err != nil {
			return last, err
		}
		if i == 0 || half < best.Uncertainty {
			best = Skew{By: began.Add(half).Sub(at), Uncertainty: half, At: at}
		}
		if best.Uncertainty <= fineSkew {
			break
		}
	}
	best.By, best.Uncertainty = best.By.Truncate(time.Microsecond), best.Uncertainty.Truncate(time.Microsecond)
	switch off := best.By.Abs(); {
	case off-best.Uncertainty > storage.MostSkew:
		best.Rests = true
	case off > storage.MostSkew: // it cannot be told
		best.Rests = last.Rests
	}
	s.skew.Store(&best)
	s.Metrics.skew(best.By)
	log := s.Log.With(slog.String("component", "scheduler"), slog.Duration("skew", best.By), slog.Duration("uncertainty", best.Uncertainty))
	switch {
	case best.Rests && !last.Rests:
		log.Warn("the clock is not that of the store: alerts are taken, and nothing else is done by it until it is set right")
	case last.Rests && !best.Rests:
		log.Info("the clock is that of the store again")
	}
	return best, nil
}

// self is what this process says of itself.
func (s *Scheduler) self(skew Skew, seen time.Time) storage.Replica {
	var r storage.Replica
	if s.Self != nil {
		r = s.Self()
	}
	r.Owner, r.Skew, r.Uncertainty, r.SeenAt = s.Dispatcher.Owner, skew.By, skew.Uncertainty, seen
	return r
}
