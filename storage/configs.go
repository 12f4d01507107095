package storage

import (
	"context"
	"errors"
	"slices"
	"time"

	"sitrep/incident"
	"sitrep/ledger"
)

// A ConfigReader reads the configurations that were in force. When that was is read as
// records, see [Loadings].
type ConfigReader interface {
	// Config returns a form of a configuration that was in force, see ConfigOf.
	Config(ctx context.Context, hash string) (Config, error)
	// Generation returns the latest loading: the configuration in force for all processes that
	// have the store; a zero one if there is none. In a write it is locked until the end.
	Generation(ctx context.Context) (Generation, error)
}

// A ConfigWriter writes the configurations that come into force.
type ConfigWriter interface {
	// PutConfig notes that a configuration comes into force, as the next generation, and stores
	// those of its forms that are not there. Whether it does is for [EnterConfig] to say.
	PutConfig(ctx context.Context, l Loading, forms ...Config) error
}

// A Config is a form of a configuration that was in force, without secrets: the whole
// one, or the public one, in which nobody's name or address stands.
type Config struct {
	Hash string // SHA-256 of Body in hexadecimal
	Body []byte
}

// A Loading says that a configuration came into force.
type Loading struct {
	Hash  string         `json:"hash"`
	At    time.Time      `json:"at"`
	Actor incident.Actor `json:"actor"`
	// Public is the hash of the public form; empty if there is none.
	Public string `json:"public,omitempty"`
}

// A Generation is a configuration in force, and how many there were.
type Generation struct {
	Number int64 // from 1, one more with each loading; 0 if none was loaded
	Hash   string
	At     time.Time // when it came into force
}

// Loadings returns all loadings of configurations, the latest first.
func Loadings(ctx context.Context, r LogReader) ([]Loading, error) {
	records, err := LoadingRecords(ctx, r)
	if err != nil {
		return nil, err
	}
	return decodeAll(records, DecodeLoading)
}

// LoadingRecords is Loadings as stored: the leaves, and what stands beside them.
func LoadingRecords(ctx context.Context, r LogReader) ([]Record, error) {
	records, err := r.Records(ctx, RecordQuery{Kind: ledger.Config})
	slices.Reverse(records)
	return records, err
}

// ConfigOf returns the form of a configuration that is kept: the whole one or, once that
// was forgotten, the public one.
func ConfigOf(ctx context.Context, r Snapshot, l Loading) (c Config, whole bool, err error) {
	c, err = r.Config(ctx, l.Hash)
	if errors.Is(err, incident.ErrNotFound) && l.Public != "" {
		c, err = r.Config(ctx, l.Public)
		return c, false, err
	}
	return c, true, err
}
