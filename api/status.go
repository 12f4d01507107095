package api

import (
	"context"
	"net/http"
	"time"

	"sitrep/incident/incidentjson"
	"sitrep/internal/access"
	"sitrep/ledger"
	"sitrep/storage"
)

// A Service is what is known of the running program.
type Service struct {
	Version   string `json:"version"`
	Revision  string `json:"revision"`
	Go        string `json:"go"`
	StartedAt time.Time
	Config    ConfigState
	Ledger    ledger.Status
	Servers   []ServerState // that cannot be used
}

// A ServerState is a mail server, or the host of webhooks, that cannot be used or refuses
// all messages alike.
type ServerState struct {
	Channel    string    `json:"channel"` // email or webhook
	Name       string    `json:"name"`    // of webhooks: scheme and host
	Since      time.Time `json:"since"`
	RefusesAll bool      `json:"refuses_all"` // it can be used, and refuses all
	Error      string    `json:"error"`       // the last, without addresses
}

// ConfigState is what became of the configuration files when they were last loaded.
type ConfigState struct {
	Hash     string    // of what is in force
	LoadedAt time.Time // when that came into force
	// BehindSince is since when another one is in force for all processes that have the store;
	// zero if it is this one.
	BehindSince time.Time
	// Error is why the last loading failed; empty if it did not. What was in force
	// before stays.
	Error    string
	Warnings []string
	// Places and WarningPlaces are the same for those who are no admins: where it is
	// wrong, and nothing of what stands in the files.
	Places        string
	WarningPlaces []string
}

// Status says how sitrep itself fares. Times that are not are null.
type Status struct {
	Versions struct {
		Sitrep   string `json:"sitrep"`
		Revision string `json:"revision"`
		Go       string `json:"go"`
		Storage  int    `json:"storage"` // of the stored form
	} `json:"versions"`
	StartedAt *time.Time `json:"started_at"`
	Config    struct {
		Hash     string     `json:"hash"`
		State    string     `json:"state"` // ok, or failed: then the last good one is in force
		LoadedAt *time.Time `json:"loaded_at"`
		// BehindSince is since when another one is in force for all replicas; null if it is
		// this one.
		BehindSince *time.Time `json:"behind_since"`
		Error       string     `json:"error"`
		Warnings    []string   `json:"warnings"`
	} `json:"config"`
	Storage struct {
		Engine    string     `json:"engine"`
		Path      string     `json:"path"` // or host and database
		Bytes     int64      `json:"bytes"`
		SlowSince *time.Time `json:"slow_since"` // a commit has been under way since then
		Error     string     `json:"error"`      // why nothing can be stored now; empty if it can
	} `json:"storage"`
	Ledger struct {
		Size       int64 `json:"size"` // leaves
		Checkpoint struct {
			Size int64      `json:"size"` // of them, it signs so many
			At   *time.Time `json:"at"`
		} `json:"checkpoint"`
		PublicKey string `json:"public_key"` // verifies what sitrep hands out
		Witness   struct {
			Name   string     `json:"name"` // empty: there is none
			Every  string     `json:"every"`
			ToldAt *time.Time `json:"told_at"` // since the start
			Error  string     `json:"error"`   // why the last attempt failed
		} `json:"witness"`
	} `json:"ledger"`
	Backlog struct {
		Due         int        `json:"due"` // readers to whom something is due, up to 10,000
		OldestDueAt *time.Time `json:"oldest_due_at"`
	} `json:"backlog"`
	Retries struct {
		Count     int           `json:"count"` // messages that were not handed over and are tried again, up to 1,000
		Since     *time.Time    `json:"since"` // when the first of them was made
		LastError string        `json:"last_error"`
		Servers   []ServerState `json:"servers"` // that cannot be used, or refuse all alike
	} `json:"retries"`
	Open     map[string]int `json:"open"` // incidents by priority, without drills
	Watchdog struct {
		Expected bool    `json:"expected"`
		Pulses   []Pulse `json:"pulses"` // one, or those heard of each value of the labels in by
	} `json:"watchdog"`
	Outages     []storage.Outage    `json:"outages"`     // the latest first
	Refusals    []storage.Refusal   `json:"refusals"`    // posts of alerts that were refused
	Ambiguities []storage.Ambiguity `json:"ambiguities"` // alerts that several SLOs claimed
}

// A Pulse is one pulse of the watchdog.
type Pulse struct {
	Name      string            `json:"name"`   // empty if there is one
	Labels    map[string]string `json:"labels"` // those in by
	HeardAt   *time.Time        `json:"heard_at"`
	AwaySince *time.Time        `json:"away_since"`
}

func (h *Handler) status(w http.ResponseWriter, r *http.Request) error {
	service, policy := h.Service(), h.Repo.Policy()
	var s Status
	s.Versions.Sitrep, s.Versions.Revision, s.Versions.Go = service.Version, service.Revision, service.Go
	s.StartedAt = when(service.StartedAt)
	s.Config.Hash, s.Config.State, s.Config.BehindSince = service.Config.Hash, "ok", when(service.Config.BehindSince)
	s.Config.LoadedAt, s.Config.Error, s.Config.Warnings = when(service.Config.LoadedAt), service.Config.Error, notNil(service.Config.Warnings)
	if service.Config.Error != "" {
		s.Config.State = "failed"
	}
	if !access.From(r.Context()).Role.May(access.Admin) {
		s.Config.Error, s.Config.Warnings = service.Config.Places, notNil(service.Config.WarningPlaces)
	}
	s.Ledger.PublicKey = service.Ledger.PublicKey
	s.Ledger.Witness.Name, s.Ledger.Witness.Error = service.Ledger.Witness, service.Ledger.WitnessError
	s.Ledger.Witness.Every, s.Ledger.Witness.ToldAt = incidentjson.Duration(service.Ledger.Every), when(service.Ledger.WitnessedAt)
	s.Retries.Servers = notNil(service.Servers)
	s.Watchdog.Expected = policy.Watchdog.Within > 0

	info, err := h.Repo.Store.Info(r.Context())
	if err != nil {
		return err
	}
	s.Versions.Storage = info.Version
	s.Storage.Engine, s.Storage.Path, s.Storage.Bytes, s.Storage.SlowSince = info.Engine, info.Path, info.Bytes, when(info.Slow)
	if info.Trouble != nil {
		s.Storage.Error = info.Trouble.Error()
	}
	now := h.Now()
	err = h.read(r.Context(), func(tx storage.Snapshot) error {
		if err := s.readLedger(r.Context(), tx); err != nil {
			return err
		}
		due, oldest, err := tx.Backlog(r.Context(), now)
		if err != nil {
			return err
		}
		s.Backlog.Due, s.Backlog.OldestDueAt = due, when(oldest)
		retries, err := storage.ReadRetries(r.Context(), tx)
		if err != nil {
			return err
		}
		s.Retries.Count, s.Retries.Since, s.Retries.LastError = retries.Count, when(retries.Since), retries.LastError
		if s.Open, err = tx.OpenIncidents(r.Context()); err != nil {
			return err
		}
		for _, p := range policy.Priorities {
			if s.Open == nil {
				s.Open = map[string]int{}
			}
			s.Open[p.Name] += 0 // each is there
		}
		pulses, err := tx.Pulses(r.Context())
		if err != nil {
			return err
		}
		s.Watchdog.Pulses = []Pulse{}
		for _, p := range pulses.In(policy) {
			labels := p.Labels
			if labels == nil {
				labels = map[string]string{}
			}
			s.Watchdog.Pulses = append(s.Watchdog.Pulses, Pulse{p.Name, labels, when(p.HeardAt), when(p.AwaySince)})
		}
		if s.Outages, err = storage.Outages(r.Context(), tx, 20); err != nil {
			return err
		}
		if s.Refusals, err = storage.Refusals(r.Context(), tx); err != nil {
			return err
		}
		s.Ambiguities, err = storage.Ambiguities(r.Context(), tx)
		return err
	})
	if err != nil {
		return err
	}
	s.Outages, s.Refusals, s.Ambiguities = notNil(s.Outages), notNil(s.Refusals), notNil(s.Ambiguities)
	return answer(w, http.StatusOK, s)
}

// readLedger reads how far the ledger goes, and how far it is signed.
func (s *Status) readLedger(ctx context.Context, tx storage.Snapshot) error {
	head, err := tx.LogHead(ctx)
	if s.Ledger.Size = head.Size; err != nil || head.Signed == nil {
		return err
	}
	c, err := ledger.ReadCheckpoint(head.Signed)
	s.Ledger.Checkpoint.Size, s.Ledger.Checkpoint.At = c.Size, when(c.At)
	return err
}

// when returns a time, or nil if it is not set.
func when(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
