package storage

import (
	"context"
	"fmt"
	"slices"
	"time"

	"sitrep/incident"
)

// generationLease is for how long nobody has to have had the configuration in force until an
// older one comes into force again.
const generationLease = time.Minute

// GenerationEvery is how often a process says that it has the configuration in force, or looks
// whether anybody still says so.
const GenerationEvery = generationLease / 3

// holding is the job of those who have the generation: one of them says for all that it is
// had.
func newestJob(number int64, owner string) Job {
	return Job{Name: fmt.Sprintf("generation %d", number), Owner: owner, Lease: generationLease}
}

// EnterConfig is for a process that loaded a configuration: it comes into force as the next
// generation, unless it is in force already, so that neither a start nor a second process
// that loads the same is a loading. One that was in force before stays behind while another
// process has the newest, as in a roll-out, in which processes of both may start. It returns
// the generation in force then. In the history no loading comes before the one that it
// follows, also when the clock was set back.
func EnterConfig(ctx context.Context, tx Tx, owner string, l Loading, forms ...Config) (Generation, error) {
	return enter(ctx, tx, owner, owner, l, forms...)
}

// enter is EnterConfig where an older configuration comes into force if nobody else than
// unless has the newest.
func enter(ctx context.Context, tx Tx, owner, unless string, l Loading, forms ...Config) (Generation, error) {
	g, err := tx.Generation(ctx)
	if err != nil || g.Hash == l.Hash {
		return g, err
	}
	if g.Number > 0 {
		older, err := loadedBefore(ctx, tx, l.Hash)
		if err != nil {
			return g, err
		}
		if older != nil {
			free, err := tx.TakeJob(ctx, newestJob(g.Number, unless), l.At)
			if err != nil || !free {
				return g, err
			}
		}
	}
	l.At = latestOf(l.At, g.At)
	if err := tx.PutConfig(ctx, l, forms...); err != nil {
		return g, err
	}
	next := Generation{Number: g.Number + 1, Hash: l.Hash, At: l.At}
	_, err = tx.TakeJob(ctx, newestJob(next.Number, owner), l.At)
	return next, err
}

// loadedBefore returns the latest loading of a configuration, nil if it was never in force.
func loadedBefore(ctx context.Context, r LogReader, hash string) (*Loading, error) {
	all, err := Loadings(ctx, r)
	if err != nil {
		return nil, err
	}
	if i := slices.IndexFunc(all, func(l Loading) bool { return l.Hash == hash }); i >= 0 {
		return &all[i], nil
	}
	return nil, nil
}

// Behind reports whether the configuration of this process is not the one in force: then who
// reads along is for others to say. A store in which none was loaded has none to be behind.
func (repo *Repository) Behind(ctx context.Context, r ConfigReader) (bool, error) {
	_, behind, err := repo.generation(ctx, r)
	return behind, err
}

// BehindSince returns since when this process is behind that has had its configuration since a
// time; zero if it is not.
func (repo *Repository) BehindSince(ctx context.Context, r ConfigReader, had time.Time) (time.Time, error) {
	g, behind, err := repo.generation(ctx, r)
	if err != nil || !behind {
		return time.Time{}, err
	}
	return latestOf(g.At, had), nil
}

func (repo *Repository) generation(ctx context.Context, r ConfigReader) (g Generation, behind bool, err error) {
	g, err = r.Generation(ctx)
	return g, repo.IsBehind(g), err
}

// IsBehind is Behind where the configuration in force is known.
func (repo *Repository) IsBehind(g Generation) bool {
	return g.Hash != "" && g.Hash != repo.Policy().Hash
}

// KeepUp says that a process lives that has the configuration in force or, if this one is
// behind and nobody said so for a minute, brings its own into force. It reports whether it is
// behind after that. Call it each [GenerationEvery].
func (repo *Repository) KeepUp(ctx context.Context, owner string, now time.Time) (behind bool, err error) {
	err = repo.Store.Write(ctx, func(tx Tx) error {
		var g Generation
		if g, behind, err = repo.generation(ctx, tx); err != nil || g.Number == 0 {
			return err
		}
		if !behind {
			_, err = tx.TakeJob(ctx, newestJob(g.Number, owner), now)
			return err
		}
		own, err := loadedBefore(ctx, tx, repo.Policy().Hash)
		if err != nil || own == nil {
			return err // it is on its way into force
		}
		// This process may be about to put the newest into force, too.
		in, err := enter(ctx, tx, owner, "none", Loading{Hash: own.Hash, At: now, Actor: incident.ActorScheduler, Public: own.Public})
		behind = in.Hash != own.Hash
		return err
	})
	return behind, err
}
