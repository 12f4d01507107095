package app

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"sitrep/config"
	"sitrep/incident"
	"sitrep/internal/access"
	"sitrep/storage"
)

// policy returns the policy in force.
func (s *Service) policy() *incident.Policy { return s.inForce.Load().policy }

// reload puts the configuration in the files into force, all of it or nothing. What
// drops most of the SLOs is refused unless anyway is set.
func (s *Service) reload(ctx context.Context, actor incident.Actor, anyway bool) error {
	s.actor.Store(actor)
	s.options.collectSooner()
	defer s.options.settleGarbage()
	reload := s.reloader.Reload
	if anyway {
		reload = s.reloader.ReloadAnyway
	}
	err := reload(ctx)
	if err != nil {
		if s.inForce.Load() != nil {
			s.log.Error("configuration not loaded, the one before stays in force", slog.String("actor", string(actor)), slog.Any("err", err))
		}
		return err
	}
	c := s.reloader.Current()
	s.log.Info("configuration in force", slog.String("hash", c.Hash()), slog.String("actor", string(actor)))
	for _, w := range c.Warnings {
		s.log.Warn("configuration: " + w.String()) //nolint:sloglint // the warning is the message
	}
	return nil
}

// prepare does all that can fail before a configuration comes into force.
func (s *Service) prepare(ctx context.Context, c *config.Config) error {
	if c.Access == nil {
		if err := s.options.onLoopback(); err != nil {
			return err
		}
	}
	if err := access.Check(s.options.accessRules(c)); err != nil {
		return fmt.Errorf("access: %w", err)
	}
	f, err := newInForce(c, s.options.ExternalURL, s.lookout, nil)
	if err != nil {
		return err
	}
	f.close()
	actor, _ := s.actor.Load().(incident.Actor)
	l := storage.Loading{Hash: c.Hash(), At: now(), Actor: actor, Public: c.PublicHash()}
	forms := []storage.Config{{Hash: c.Hash(), Body: c.Canonical()}, {Hash: c.PublicHash(), Body: c.Public()}}
	err = s.store.Write(ctx, func(tx storage.Tx) error {
		if s.anew {
			return tx.PutConfig(ctx, l, forms...)
		}
		_, err := storage.EnterConfig(ctx, tx, s.scheduler.Dispatcher.Owner, l, forms...)
		return err
	})
	if err == nil {
		s.anew = false
	}
	return err
}

// take puts a configuration into force.
func (s *Service) take(c *config.Config) {
	f, err := newInForce(c, s.options.ExternalURL, s.lookout, newBrokenTemplates(s.templates, s.log))
	if err != nil {
		// Prepare has made the same a moment ago.
		s.log.Error("configuration not loaded", slog.Any("err", err))
		return
	}
	_ = s.guard.Set(s.options.accessRules(c)) // checked by prepare
	s.events.expect(f.policy)
	f.since = now()
	if had := s.inForce.Load(); had != nil && had.policy.Hash == f.policy.Hash {
		f.since = had.since
	}
	f.chains.follow(s.inForce.Load())
	before := s.inForce.Swap(f)
	if before != nil {
		before.close()
		s.background.Go(s.remap)
	}
	s.scheduler.Wake()
	s.lookout.wake()
}

// remap looks up the alerts that had no SLO again, after a reload.
func (s *Service) remap() {
	if err := s.intake.Remap(s.ctx, now()); err != nil && s.ctx.Err() == nil {
		s.log.Warn("alerts without an SLO were not all looked up again; the next reload does", slog.Any("err", err))
	}
}

// reloadOn reloads with each signal until ctx is done.
func (s *Service) reloadOn(ctx context.Context, signals <-chan os.Signal) {
	for {
		select {
		case <-signals:
			_ = s.reload(ctx, incident.ActorSignal, false) // logged there
		case <-ctx.Done():
			return
		}
	}
}
