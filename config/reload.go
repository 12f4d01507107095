package config

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// A Reloader holds the config in force, and replaces it as a whole or not at all.
// It is safe for concurrent use.
type Reloader struct {
	path    string
	now     func() time.Time
	current atomic.Pointer[Config]

	reloading sync.Mutex // held for the length of a reload, so that they come one by one

	mu          sync.Mutex // guards what follows
	validators  []func(context.Context, *Config) error
	subscribers []func(*Config)
	state       ReloadState
}

// A ReloadState is what became of the reloads so far.
type ReloadState struct {
	// Hash names the config in force; empty if none is yet.
	Hash string
	// LoadedAt is when the config in force was loaded, LastAttemptAt when the last
	// reload ended.
	LoadedAt      time.Time
	LastAttemptAt time.Time
	// LastError is why the last reload changed nothing; nil if it succeeded.
	LastError error
}

// NewReloader returns a reloader of the config file at path, without a config
// until the first Reload. The clock is read by now.
func NewReloader(path string, now func() time.Time) *Reloader {
	return &Reloader{path: path, now: now}
}

// Current returns the config in force; nil before the first reload that succeeds.
func (r *Reloader) Current() *Config { return r.current.Load() }

// State returns what became of the reloads so far.
func (r *Reloader) State() ReloadState {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state
}

// Validate adds something that a config must pass before it comes into force. It
// may prepare what the subscribers need, but must change nothing that is in use.
// They run in the order of adding, and after the last of them nothing can fail: that
// is the place to record that the config is in force.
func (r *Reloader) Validate(f func(context.Context, *Config) error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.validators = append(r.validators, f)
}

// Subscribe adds something that is called with each config that comes into force,
// in the order of adding, one config at a time. It cannot fail, and must not
// reload.
func (r *Reloader) Subscribe(f func(*Config)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.subscribers = append(r.subscribers, f)
}

// Reload reads the config anew. All that can fail is done first; then the new
// config is in force, and the subscribers are called before Reload returns. After
// an error, which is a *[Problems] if the files are wrong, the config before stays
// in force and nothing has changed.
func (r *Reloader) Reload(ctx context.Context) error {
	r.reloading.Lock()
	defer r.reloading.Unlock()

	c, err := r.prepare(ctx)

	r.mu.Lock()
	r.state.LastAttemptAt, r.state.LastError = r.now(), err
	if err != nil {
		r.mu.Unlock()
		return err
	}
	r.current.Store(c)
	r.state.Hash, r.state.LoadedAt = c.Hash(), r.state.LastAttemptAt
	subscribers := r.subscribers
	r.mu.Unlock()

	for _, f := range subscribers {
		f(c)
	}
	return nil
}

// prepare loads a config and has it validated.
func (r *Reloader) prepare(ctx context.Context) (*Config, error) {
	c, err := Load(r.path)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	validators := r.validators
	r.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("reload config %q: %w", r.path, err)
	}
	for _, f := range validators {
		if err := f(ctx, c); err != nil {
			return nil, fmt.Errorf("take over config %q: %w", r.path, err)
		}
	}
	return c, nil
}
