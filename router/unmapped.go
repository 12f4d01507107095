package router

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"sitrep/incident"
	"sitrep/storage"
)

// forgetEvery is how often alerts without an SLO are looked through for those that
// nobody hears of any more.
const forgetEvery = 10 * time.Minute

// forget deletes the alerts without an SLO of which nothing was heard for as long as
// makes a breach unknown: nobody would ever say that they ended. One that fires on is
// noted again when it is heard.
func (s *Scheduler) forget(ctx context.Context, at time.Time) error {
	silence := s.Repo.Policy().UnknownAfter
	if silence <= 0 || !again(at, s.forgotAt, forgetEvery) {
		return nil
	}
	_, err := s.job(ctx, at, storage.Job{Name: "forget alerts", Every: forgetEvery}, func() (bool, error) {
		return false, s.forgetBefore(ctx, at.Add(-silence))
	})
	if err == nil {
		s.forgotAt = at
	}
	return err
}

func (s *Scheduler) forgetBefore(ctx context.Context, before time.Time) error {
	forgotten := 0
	for cursor := ""; ; {
		var quiet []string
		err := s.Repo.Store.Read(ctx, func(r storage.Snapshot) error {
			quiet = quiet[:0]
			page, next, err := r.UnmappedAlerts(ctx, batch, cursor)
			if err != nil {
				return err
			}
			cursor = next
			for i := range page {
				if page[i].HeardAt.Before(before) {
					quiet = append(quiet, page[i].Fingerprint)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		if len(quiet) > 0 {
			err = s.Repo.Store.Write(ctx, func(tx storage.Tx) error {
				return forgetQuiet(ctx, tx, quiet, before)
			})
			if err != nil {
				return err
			}
			forgotten += len(quiet)
		}
		if cursor == "" {
			break
		}
	}
	if forgotten > 0 {
		s.Log.Info("alerts without an SLO are no longer heard, and forgotten", slog.String("component", "scheduler"), slog.Int("alerts", forgotten))
	}
	return nil
}

// forgetQuiet deletes alerts without an SLO, but for those that were heard since before, by
// themselves or as the breaches that they are of an incident.
func forgetQuiet(ctx context.Context, tx storage.Tx, fingerprints []string, before time.Time) error {
	breaches, err := tx.LatestBreaches(ctx, fingerprints)
	if err != nil {
		return err
	}
	alerts, err := tx.Unmapped(ctx, fingerprints)
	if err != nil {
		return err
	}
	quiet := slices.DeleteFunc(slices.Clone(fingerprints), func(fp string) bool {
		b := breaches[fp]
		return alerts[fp] == nil || !alerts[fp].HeardAt.Before(before) || b != nil && b.State == incident.BreachFiring
	})
	return tx.PutUnmapped(ctx, nil, quiet)
}
