package app

import (
	"context"
	"log/slog"
	"time"
)

// watchEvery is how often the file of the store and the room on its disk are looked at.
const watchEvery = time.Second

// watchStore says so in the log when nothing can be stored any more, and when it can be
// again, until ctx is done.
func (s *Service) watchStore(ctx context.Context) {
	log := s.log.With(slog.String("component", "storage"))
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	said := ""
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		if s.store.probe != nil {
			_ = s.store.probe(ctx) // Info says why
		}
		info, err := s.store.Info(ctx)
		if err != nil {
			continue // the process is ending
		}
		switch {
		case info.Trouble == nil && said != "":
			log.Info("things can be stored again")
			said = ""
		case info.Trouble != nil && said == "":
			log.Error("nothing can be stored, and alerts are refused until it can be", slog.Any("err", info.Trouble))
			said = info.Trouble.Error()
		}
	}
}
