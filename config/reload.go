package config

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"sitrep/incident"
)

// A Reloader holds the config in force, and replaces it as a whole or not at all.
// It is safe for concurrent use.
type Reloader struct {
	path    string
	now     func() time.Time
	disk    *disk
	current atomic.Pointer[Config]

	reloading sync.Mutex // held for the length of a reload, so that they come one by one
	ahead     *loaded    // what the next reload takes; nil: it reads the files

	mu          sync.Mutex // guards what follows
	locate      func(*Config, *Positions)
	validators  []func(context.Context, *Config) error
	subscribers []func(*Config)
	state       ReloadState
}

// A loaded is a config and where it stands.
type loaded struct {
	config    *Config
	positions *Positions
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
	return &Reloader{path: path, now: now, disk: newDisk()}
}

// Ahead reads the config that the next reload takes over, without reading it again. The error is
// that of [Load].
func (r *Reloader) Ahead(ctx context.Context) (*Config, error) {
	r.reloading.Lock()
	defer r.reloading.Unlock()
	next, err := r.read(ctx)
	if err != nil {
		return nil, err
	}
	r.ahead = next
	return next.config, nil
}

func (r *Reloader) read(ctx context.Context) (*loaded, error) {
	c, positions, err := load(r.disk.visit(ctx), r.path)
	if ctx.Err() != nil {
		return nil, fmt.Errorf("reload config %q: %w", r.path, ctx.Err())
	}
	return &loaded{c, positions}, err
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

// Locate sets what is told where all that a config says stands in its files, before that config is
// validated. The positions hold the files in full, so they are not to be kept.
func (r *Reloader) Locate(f func(*Config, *Positions)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.locate = f
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
// in force and nothing has changed. A config that lacks more than half of the SLOs in
// force is such an error, a *[Drop]: files that are away for a moment must not silence
// their alerts. The caller's leaving ends the reading, but not what follows.
func (r *Reloader) Reload(ctx context.Context) error { return r.reload(ctx, false) }

// ReloadAnyway is Reload, however many SLOs are gone.
func (r *Reloader) ReloadAnyway(ctx context.Context) error { return r.reload(ctx, true) }

func (r *Reloader) reload(ctx context.Context, anyway bool) error {
	r.reloading.Lock()
	defer r.reloading.Unlock()

	c, err := r.prepare(ctx, anyway)

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
func (r *Reloader) prepare(ctx context.Context, anyway bool) (*Config, error) {
	next := r.ahead
	r.ahead = nil
	if next == nil {
		var err error
		if next, err = r.read(ctx); err != nil {
			return nil, err
		}
	}
	c := next.config
	if before := r.Current(); before != nil && !anyway {
		if d := dropped(before, c); d != nil {
			return nil, d
		}
	}
	r.mu.Lock()
	validators, locate := r.validators, r.locate
	r.mu.Unlock()
	if locate != nil {
		locate(c, next.positions)
		next.positions = nil // which may be as large as the config
	}
	for _, f := range validators {
		if err := f(ctx, c); err != nil {
			return nil, fmt.Errorf("take over config %q: %w", r.path, err)
		}
	}
	return c, nil
}

// A Drop is why a reload was refused: the new config lacks more than half of the SLOs
// in force. It is an [incident.ErrConflict].
type Drop struct {
	Before  int      // how many SLOs are in force
	Missing []string // the ids of those that the new config lacks, in file order
}

// Error says how to go on.
func (d *Drop) Error() string {
	return fmt.Sprintf("%d of %d SLOs would go, such as %s; if that is meant, POST /-/reload?force=true", len(d.Missing), d.Before, several(d.Missing))
}

// Places returns what is said of a load that failed to those who may not read the
// files: where it is wrong, and nothing of what stands there.
func Places(err error) string {
	var problems *Problems
	var drop *Drop
	switch {
	case errors.As(err, &problems):
		return problems.Places()
	case errors.As(err, &drop):
		return drop.Error()
	}
	return "the log says why"
}

// Unwrap returns the kind of the error.
func (d *Drop) Unwrap() error { return incident.ErrConflict }

// dropped returns what is missing in after, if it is more than half; else nil.
func dropped(before, after *Config) *Drop {
	d := &Drop{Before: len(before.index.entries)}
	for _, e := range before.index.entries {
		if _, ok := after.index.byID[e.slo.ID]; !ok {
			d.Missing = append(d.Missing, e.slo.ID)
		}
	}
	if 2*len(d.Missing) <= d.Before {
		return nil
	}
	return d
}
