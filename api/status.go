package api

import (
	"maps"
	"net/http"
	"time"

	"sitrep/incident"
	"sitrep/incident/incidentjson"
	"sitrep/internal/access"
	"sitrep/internal/status"
	"sitrep/storage"
)

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
		// SynchronousCommit is that of the database; empty of a file. Off is raised to on in each write.
		SynchronousCommit string `json:"synchronous_commit"`
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
		Count     int                  `json:"count"` // messages that were not handed over and are tried again, up to 1,000
		Since     *time.Time           `json:"since"` // when the first of them was made
		LastError string               `json:"last_error"`
		Servers   []status.ServerState `json:"servers"` // that cannot be used, or refuse all alike
	} `json:"retries"`
	// Unsent are the messages that should have been handed over and were not.
	Unsent   Unsent         `json:"unsent"`
	Open     map[string]int `json:"open"` // incidents by priority, without drills
	Watchdog struct {
		Expected bool    `json:"expected"`
		Pulses   []Pulse `json:"pulses"` // one, or those heard of each value of the labels in by
	} `json:"watchdog"`
	Canary      Canary              `json:"canary"`
	Replicas    []Replica           `json:"replicas"`    // processes that have the store, or had it in the last day
	Outages     []storage.Outage    `json:"outages"`     // the latest first
	Refusals    []storage.Refusal   `json:"refusals"`    // posts of alerts that were refused
	Ambiguities []storage.Ambiguity `json:"ambiguities"` // alerts that several SLOs claimed
}

// Unsent are the messages that should have been handed over and were not: each is of one
// incident, or of a pulse of the watchdog, to one recipient.
type Unsent struct {
	Waiting    int        `json:"waiting"`    // they wait beyond their promise, or were tried in vain and are tried again
	Refused    int        `json:"refused"`    // they failed for good in the last 7 days, and their recipients got nothing since
	Recipients int        `json:"recipients"` // to whom both were to go
	More       bool       `json:"more"`       // there are more than were counted
	Since      *time.Time `json:"since"`      // when the first of them was due
	LastError  string     `json:"last_error"` // without addresses; empty: none is known
}

// Incident returns it as the rules have it.
func (u *Unsent) Incident() *incident.Unsent {
	out := &incident.Unsent{Waiting: u.Waiting, Refused: u.Refused, Recipients: u.Recipients, More: u.More, LastError: u.LastError}
	if u.Since != nil {
		out.Since = *u.Since
	}
	return out
}

// A Pulse is one pulse of the watchdog.
type Pulse struct {
	Name      string            `json:"name"`   // empty if there is one
	Labels    map[string]string `json:"labels"` // those in by
	HeardAt   *time.Time        `json:"heard_at"`
	AwaySince *time.Time        `json:"away_since"`
}

// A Canary says how the canary fares.
type Canary struct {
	Expected     bool                 `json:"expected"`
	PostedAt     *time.Time           `json:"posted_at"`     // the latest run
	ArrivedAt    *time.Time           `json:"arrived_at"`    // when a run last arrived
	TookSeconds  *float64             `json:"took_seconds"`  // from the post to the hand-over, of that run
	FailingSince *time.Time           `json:"failing_since"` // when the first of the runs was posted that failed since
	Stage        incident.CanaryStage `json:"stage"`         // of the latest run, if it failed; else ""
	LastError    string               `json:"last_error"`    // without addresses; empty: none is known
	Arrived      int64                `json:"arrived"`       // runs
	Failed       int64                `json:"failed"`        // runs
}

func canaryForm(policy *incident.Policy, pulses incident.Pulses, hide bool) Canary {
	c := Canary{Expected: policy.Canary.Every > 0}
	p, ok := pulses.Canary(policy)
	if !ok {
		return c
	}
	r := p.Run
	c.PostedAt, c.ArrivedAt, c.FailingSince, c.Stage = when(r.PostedAt), when(p.HeardAt), when(p.AwaySince), r.Stage
	if !p.HeardAt.IsZero() {
		took := r.Took.Seconds()
		c.TookSeconds = &took
	}
	if !hide {
		c.LastError = storage.WithoutAddresses(r.Error)
	}
	c.Arrived, c.Failed = r.Arrived, r.Failed
	return c
}

// A Replica is a process that has the store, as it said of itself within the last minute, or
// last.
type Replica struct {
	Instance    string     `json:"instance"` // its host and port
	Self        bool       `json:"self"`     // it is the one that answers
	Version     string     `json:"version"`
	StartedAt   *time.Time `json:"started_at"`
	Config      string     `json:"config"` // the hash of its configuration
	ConfigSince *time.Time `json:"config_since"`
	Clock       struct {
		SkewSeconds        float64 `json:"skew_seconds"` // by how much it is ahead of that of the store
		UncertaintySeconds float64 `json:"uncertainty_seconds"`
		Wrong              bool    `json:"wrong"` // it claims nothing until that is set right
	} `json:"clock"`
	SeenAt *time.Time `json:"seen_at"`
}

func replicaForm(r *storage.Replica, owner string) Replica {
	out := Replica{Instance: r.Instance, Self: r.Owner == owner, Version: r.Version, StartedAt: when(r.StartedAt), Config: r.Config, ConfigSince: when(r.ConfigSince), SeenAt: when(r.SeenAt)}
	out.Clock.SkewSeconds, out.Clock.UncertaintySeconds, out.Clock.Wrong = r.Skew.Seconds(), r.Uncertainty.Seconds(), r.Rests()
	return out
}

func (h *Handler) status(w http.ResponseWriter, r *http.Request) error {
	service, policy := h.Service(), h.Repo.Policy()
	if stranger(r) {
		service.HidePeople()
	}
	var s Status
	s.Versions.Sitrep, s.Versions.Revision, s.Versions.Go = service.Version, service.Revision, service.Go
	s.StartedAt = when(service.StartedAt)
	config := service.Config.For(access.From(r.Context()).Role.May(access.Admin))
	s.Config.Hash, s.Config.State, s.Config.LoadedAt, s.Config.BehindSince = config.Hash, "ok", when(config.LoadedAt), when(config.BehindSince)
	s.Config.Error, s.Config.Warnings = config.Error, notNil(config.Warnings)
	if service.Config.Error != "" {
		s.Config.State = "failed"
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
	s.Storage.SynchronousCommit = info.SynchronousCommit
	if info.Trouble != nil {
		s.Storage.Error = info.Trouble.Error()
	}
	var f status.Facts
	err = h.read(r.Context(), func(tx storage.Snapshot) (err error) {
		if f, err = service.Read(r.Context(), tx, policy, h.Now()); err != nil {
			return err
		}
		s.Ambiguities, err = storage.Ambiguities(r.Context(), tx)
		return err
	})
	if err != nil {
		return err
	}
	if stranger(r) {
		f.HidePeople()
	}
	s.Ledger.Size, s.Ledger.Checkpoint.Size, s.Ledger.Checkpoint.At = f.Leaves, f.Signed.Size, when(f.Signed.At)
	s.Backlog.Due, s.Backlog.OldestDueAt = f.Due, when(f.OldestDue)
	s.Retries.Count, s.Retries.Since, s.Retries.LastError = f.Retries.Count, when(f.Retries.Since), f.Retries.LastError
	s.Unsent = Unsent{f.Unsent.Waiting, f.Unsent.Refused, f.Unsent.Recipients, f.Unsent.More, when(f.Unsent.Since), f.Unsent.LastError}
	s.Open = map[string]int{}
	for _, name := range policy.PriorityNames() {
		s.Open[name] = 0 // each is there
	}
	maps.Copy(s.Open, f.Open)
	s.Watchdog.Pulses = forms(f.Pulses.In(policy), func(p *incident.Pulse) Pulse {
		labels := p.Labels
		if labels == nil {
			labels = map[string]string{}
		}
		return Pulse{p.Name, labels, when(p.HeardAt), when(p.AwaySince)}
	})
	s.Canary = canaryForm(policy, f.Pulses, stranger(r))
	s.Replicas = forms(f.Replicas, func(r *storage.Replica) Replica { return replicaForm(r, service.Owner) })
	s.Outages, s.Refusals, s.Ambiguities = notNil(f.Outages), notNil(f.Refusals), notNil(s.Ambiguities)
	return answer(w, http.StatusOK, s)
}

// when returns a time, or nil if it is not set.
func when(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
