package app

import (
	"sitrep/api"
	"sitrep/config"
	"sitrep/web"
)

// describePage says what runs, for the page.
func (s *Service) describePage() web.Service {
	d := s.describe()
	trouble := ""
	if info, err := s.store.Info(s.ctx); err == nil && info.Trouble != nil {
		trouble = info.Trouble.Error()
	}
	var servers []web.ServerState
	for _, st := range d.Servers {
		name := st.Name
		if name == "" {
			name = "the mail server"
		}
		servers = append(servers, web.ServerState{Name: name, Since: st.Since, RefusesAll: st.RefusesAll, Error: st.Error})
	}
	return web.Service{
		Servers:      servers,
		StorageError: trouble,
		Version:      d.Version, Revision: d.Revision, Go: d.Go, StartedAt: d.StartedAt, LoadedAt: d.Config.LoadedAt,
		ConfigError: d.Config.Error, Warnings: d.Config.Warnings, BehindSince: d.Config.BehindSince,
		ConfigPlaces: d.Config.Places, WarningPlaces: d.Config.WarningPlaces, Ledger: d.Ledger,
	}
}

// describe says what runs, for the status.
func (s *Service) describe() api.Service {
	v, revision, goVersion := Build()
	state := s.reloader.State()
	out := api.Service{Version: v, Revision: revision, Go: goVersion, StartedAt: s.startedAt, Config: api.ConfigState{Hash: state.Hash, LoadedAt: state.LoadedAt}}
	if state.LastError != nil {
		out.Config.Error, out.Config.Places = state.LastError.Error(), config.Places(state.LastError)
	}
	for _, w := range s.reloader.Current().Warnings {
		out.Config.Warnings = append(out.Config.Warnings, w.String())
		out.Config.WarningPlaces = append(out.Config.WarningPlaces, w.Place())
	}
	out.Config.BehindSince = s.behindSince()
	out.Ledger = s.notary.describe()
	for _, st := range s.scheduler.Dispatcher.Servers() {
		out.Servers = append(out.Servers, api.ServerState{Channel: string(st.Channel), Name: st.Name, Since: st.FailingSince, RefusesAll: st.RefusesAll, Error: st.Error})
	}
	return out
}
