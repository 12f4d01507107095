package storage

import (
	"context"
	"time"
)

// ReplicasKept is for how long after it was last seen a replica is known.
const ReplicasKept = 24 * time.Hour

// MostSkew is how far the clock of a process may be from that of the store until it claims nothing.
const MostSkew = 2 * time.Second

// A Replica is a process that has the store, as it last said of itself. Times other than SeenAt
// are by its own clock.
type Replica struct {
	Owner     string    `json:"owner"`    // in leases, unlike that of any other; not empty
	Instance  string    `json:"instance"` // its host and port, for people
	Version   string    `json:"version"`
	StartedAt time.Time `json:"started_at"`
	// Config is the hash of its configuration, which it has had since ConfigSince.
	Config      string    `json:"config"`
	ConfigSince time.Time `json:"config_since"`
	// Skew is by how much its clock is ahead of that of the store, and Uncertainty by how much
	// that may be wrong.
	Skew        time.Duration `json:"skew"`
	Uncertainty time.Duration `json:"uncertainty"`
	// SeenAt is when it said so, by the clock of the store.
	SeenAt time.Time `json:"seen_at"`
}

// Rests reports whether it claims nothing, as its clock is surely wrong.
func (r *Replica) Rests() bool { return r.Skew.Abs()-r.Uncertainty > MostSkew }

// A ReplicaReader reads who has the store, and when somebody had.
type ReplicaReader interface {
	// Alive returns the SeenAt that was put last, by whatever process; zero if none was. In a
	// write it is locked until the end, so that of two that come back after an outage one
	// finds out that the other has noted it.
	Alive(ctx context.Context) (time.Time, error)
	// Replicas returns those that are known, ordered by instance, then by owner.
	Replicas(ctx context.Context) ([]Replica, error)
}

// A ReplicaWriter notes who has the store.
type ReplicaWriter interface {
	// PutAlive notes that a process has the store, in place of what its owner said before, and
	// forgets those that were seen last before r.SeenAt by more than ReplicasKept.
	//
	// An engine that only one process has open at a time forgets, when it is opened, those that
	// had it before; what Alive returns stays.
	PutAlive(ctx context.Context, r Replica) error
}
