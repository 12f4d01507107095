package app

import (
	"sitrep/config"
	"sitrep/internal/status"
)

// describe says what runs, for the status and all pages.
func (s *Service) describe() status.Service {
	v, revision, goVersion := Build()
	state := s.reloader.State()
	out := status.Service{Version: v, Revision: revision, Go: goVersion, StartedAt: s.startedAt, Owner: s.scheduler.Dispatcher.Owner, Config: status.ConfigState{Hash: state.Hash, LoadedAt: state.LoadedAt}}
	if state.LastError != nil {
		out.Config.Error, out.Config.Places = state.LastError.Error(), config.Places(state.LastError)
	}
	for _, w := range s.reloader.Current().Warnings {
		out.Config.Warnings = append(out.Config.Warnings, w.String())
		out.Config.WarningPlaces = append(out.Config.WarningPlaces, w.Place())
	}
	broken := s.inForce.Load().broken
	out.Config.Warnings = append(out.Config.Warnings, broken.warnings(true)...)
	out.Config.WarningPlaces = append(out.Config.WarningPlaces, broken.warnings(false)...)
	out.Config.BehindSince = s.behindSince()
	if info, err := s.store.Info(s.ctx); err == nil && info.Trouble != nil {
		out.StorageError = info.Trouble.Error()
	}
	out.Ledger = s.notary.describe()
	for _, st := range s.scheduler.Dispatcher.Servers() {
		out.Servers = append(out.Servers, status.ServerState{Channel: string(st.Channel), Name: st.Name, Since: st.FailingSince, RefusesAll: st.RefusesAll, Error: st.Error})
	}
	return out
}
