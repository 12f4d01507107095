package router

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"time"

	"sitrep/incident"
	"sitrep/storage"
)

// An Asker asks the Alertmanagers which alerts fire.
type Asker interface {
	// Ask asks all of them. The answer can be used although there is an error, which names
	// those that did not answer.
	Ask(ctx context.Context) (incident.Answer, error)
}

// An Intake takes in what is heard of alerts otherwise than by a post.
type Intake interface {
	// Waiting returns up to limit fingerprints of breaches that wait for an answer.
	Waiting(ctx context.Context, at time.Time, limit int) ([]string, error)
	// Conclude makes an answer part of the breaches that waited for one when it was asked for.
	Conclude(ctx context.Context, asked, at time.Time, answer incident.Answer) error
	// Confirm makes it part of all breaches of an incident, before somebody is told.
	Confirm(ctx context.Context, at time.Time, number int64, answer incident.Answer) error
	// Disbelieve makes unknown what ended in the incident while the watchdog was away.
	Disbelieve(ctx context.Context, at time.Time, number int64) error
}

const (
	// askEvery is how often the Alertmanagers are asked at most, and askShare how much of
	// the time a question may take: an answer can be long.
	askEvery = 5 * time.Second
	askShare = 10
	// askJob is the job of asking.
	askJob = "ask"
	// answerHolds is how long an answer may be used.
	answerHolds = 30 * time.Second
)

// ask asks the Alertmanagers in the background if breaches or incidents wait for an answer.
// One question serves all that wait. Where there is nobody to ask, the answer is silence.
func (s *Scheduler) ask(ctx context.Context, at time.Time) error {
	every := max(askEvery, askShare*time.Duration(s.askTook.Load()))
	if !again(at, s.askedAt, every) {
		return nil
	}
	if err := s.dropConfirmed(ctx); err != nil {
		return err
	}
	if len(s.toConfirm) == 0 && !reached(s.view.toAsk, at) && !reached(s.view.silent, at.Add(-s.Repo.Policy().UnknownAfter)) {
		return nil
	}
	waiting, err := s.Intake.Waiting(ctx, at, 1)
	if err != nil || len(waiting) == 0 && len(s.toConfirm) == 0 {
		return err
	}
	select {
	case s.isAsking <- struct{}{}:
	default:
		return nil // still asking
	}
	j := storage.Job{Name: askJob, Every: every}
	taken := s.free(at, &j)
	if taken {
		err = s.Repo.Store.Write(ctx, func(tx storage.Tx) (err error) {
			taken, err = tx.TakeJob(ctx, j, at)
			return err
		})
		s.noteJob(at, &j, taken || err != nil)
	}
	if err != nil || !taken {
		<-s.isAsking
		return err
	}
	s.askedAt = at
	numbers := slices.Sorted(maps.Keys(s.toConfirm))
	clear(s.toConfirm)
	s.asking.Go(func() {
		defer s.Wake()
		defer func() { <-s.isAsking }()
		err := s.askAbout(ctx, numbers)
		err = errors.Join(err, s.Repo.Store.Write(ctx, func(tx storage.Tx) error { return tx.EndJob(ctx, j, at) }))
		if err != nil && ctx.Err() == nil {
			s.Log.Warn("taking in what the Alertmanagers answered failed, it is tried again", slog.String("component", "scheduler"), slog.Any("err", err))
			s.Metrics.SchedulerErrors.Inc()
		}
	})
	return nil
}

// dropConfirmed leaves out incidents that another replica has confirmed while this one waited
// for the job.
func (s *Scheduler) dropConfirmed(ctx context.Context) error {
	if s.refused[askJob].at.IsZero() || len(s.toConfirm) == 0 {
		return nil
	}
	var agendas map[int64]incident.Agenda
	err := s.Repo.Store.Read(ctx, func(r storage.Snapshot) (err error) {
		agendas, err = r.Agendas(ctx, slices.Collect(maps.Keys(s.toConfirm)))
		return err
	})
	if err != nil {
		return err
	}
	maps.DeleteFunc(s.toConfirm, func(number int64, since time.Time) bool { return !agendas[number].AnsweredAt.Before(since) })
	return nil
}

// askAbout asks, and lets the breaches that wait and the incidents of those numbers have
// reached reports whether a time that is not zero has come.
func reached(t, at time.Time) bool { return !t.IsZero() && !t.After(at) }

// the answer.
func (s *Scheduler) askAbout(ctx context.Context, numbers []int64) error {
	var answer incident.Answer = incident.Silent
	asked := now()
	if asker := s.Asker(); asker != nil {
		said, err := asker.Ask(ctx)
		if err != nil {
			s.Log.Warn("an Alertmanager did not answer", slog.String("component", "scheduler"), slog.Any("err", err))
		}
		if said != nil {
			answer = said.AskedAt(asked)
		}
		took := now().Sub(asked)
		if err != nil {
			// Most of that was waiting for who does not answer, and the others are to be asked
			// as often as they should be.
			took = min(took, askEvery)
		}
		s.askTook.Store(int64(took))
	}
	answered := now()
	failed := s.Intake.Conclude(ctx, asked, answered, answer)
	for _, number := range numbers {
		at := now()
		if at.Sub(answered) > answerHolds {
			break // the rules ask again
		}
		failed = errors.Join(failed, s.Intake.Confirm(ctx, at, number, answer))
	}
	return failed
}
