package app

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"sitrep/storage"
)

// behindFor is for how long the configuration of a process may be behind the one in force, as
// in a roll-out, until the process is said not to be ready.
const behindFor = 10 * time.Minute

// behindSince returns since when the configuration of this process is not the one in force;
// zero if it is, or that is not known.
func (s *Service) behindSince() (since time.Time) {
	err := s.store.Read(s.ctx, func(r storage.Snapshot) (err error) {
		since, err = s.repo.BehindSince(s.ctx, r, s.inForce.Load().since)
		return err
	})
	if err != nil && s.ctx.Err() == nil {
		s.log.Warn("it is not known which configuration is in force", slog.Any("err", err))
	}
	return since
}

// whyBehind says that the configuration of this process has been behind for too long, and what
// to do; empty if it has not.
func (s *Service) whyBehind(ctx context.Context, r storage.Snapshot) (string, error) {
	since, err := s.repo.BehindSince(ctx, r, s.inForce.Load().since)
	if err != nil || since.IsZero() || now().Sub(since) < behindFor {
		return "", err
	}
	return fmt.Sprintf("another configuration has been in force since %s: give this process the same files and reload it, or stop it", since.Format(time.RFC3339)), nil
}
