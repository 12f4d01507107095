// Package status is how sitrep itself fares, for api and web alike: what is known of the
// running program, and what the store tells.
package status

import (
	"context"
	"time"

	"sitrep/incident"
	"sitrep/ledger"
	"sitrep/storage"
)

// A Service is what is known of the running program.
type Service struct {
	Version, Revision, Go string
	StartedAt             time.Time
	Owner                 string // of this process, as in Facts.Replicas
	Config                ConfigState
	Ledger                ledger.Status
	Servers               []ServerState // that cannot be used
	// StorageError is why nothing can be stored now; empty if it can.
	StorageError string
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
	// Error is why the last loading failed, in full; empty if it did not. What was in force
	// before stays. It is for admins, as are Warnings.
	Error    string
	Warnings []string
	// Places and WarningPlaces are the same for others: where it is wrong, and nothing of
	// what stands in the files.
	Places        string
	WarningPlaces []string
}

// For returns what may be told of it to admins, or to others.
func (c ConfigState) For(admin bool) ConfigState {
	if !admin {
		c.Error, c.Warnings = c.Places, c.WarningPlaces
	}
	return c
}

// HidePeople takes out what may name people or where messages go, for strangers.
func (s *Service) HidePeople() {
	s.Servers = nil
	if s.Ledger.Witness != "" {
		s.Ledger.Witness = "one is configured"
	}
	if s.Ledger.WitnessError != "" {
		s.Ledger.WitnessError = "the log says why"
	}
}

// HidePeople takes out what may name people or where messages go, for strangers.
func (f *Facts) HidePeople() { f.Retries.LastError, f.Unsent.LastError = "", "" }

// Facts are what a store tells at one moment.
type Facts struct {
	Leaves int64             // of the ledger
	Signed ledger.Checkpoint // the latest; zero if it was never signed
	// Due is to how many readers something is due, up to 10,000, and OldestDue since when.
	Due       int
	OldestDue time.Time
	Retries   storage.Retries
	// Unsent are the messages that should have been handed over and were not. Its LastError is
	// without addresses.
	Unsent   incident.Unsent
	Open     map[string]int // incidents by priority, without drills
	Pulses   incident.Pulses
	Refusals []storage.Refusal
	Outages  []storage.Outage // the latest first
	Replicas []storage.Replica
}

// Unsent returns what should have been handed over by now and was not, without addresses.
// Where the store does not know what was said last, a server that cannot be used does.
func (s *Service) Unsent(ctx context.Context, r storage.Snapshot, p *incident.Policy, now time.Time) (incident.Unsent, error) {
	u, err := storage.ReadUnsent(ctx, r, p, now)
	u.LastError = storage.WithoutAddresses(u.LastError)
	if u.Any() && u.LastError == "" && len(s.Servers) > 0 {
		u.LastError = s.Servers[0].Error
	}
	return u, err
}

// Read reads the facts.
func (s *Service) Read(ctx context.Context, r storage.Snapshot, p *incident.Policy, now time.Time) (f Facts, err error) {
	head, err := r.LogHead(ctx)
	f.Leaves = head.Size
	if err == nil && head.Signed != nil {
		f.Signed, err = ledger.ReadCheckpoint(head.Signed)
	}
	if err != nil {
		return f, err
	}
	if f.Due, f.OldestDue, err = r.Backlog(ctx, now); err != nil {
		return f, err
	}
	if f.Retries, err = storage.ReadRetries(ctx, r); err != nil {
		return f, err
	}
	if f.Unsent, err = s.Unsent(ctx, r, p, now); err != nil {
		return f, err
	}
	if f.Open, err = storage.OpenIncidents(ctx, r); err != nil {
		return f, err
	}
	if f.Pulses, err = r.Pulses(ctx); err != nil {
		return f, err
	}
	if f.Refusals, err = storage.Refusals(ctx, r); err != nil {
		return f, err
	}
	if f.Replicas, err = r.Replicas(ctx); err != nil {
		return f, err
	}
	f.Outages, err = storage.Outages(ctx, r, 20)
	return f, err
}
