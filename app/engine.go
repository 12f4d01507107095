package app

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"sitrep/storage"
	"sitrep/storage/bolt"
	"sitrep/storage/postgres"
)

// An engine is a store, with what not every store has: what is nil, this one has not.
type engine struct {
	storage.Store
	// probe finds out whether things can be stored again once they could not be.
	probe func(context.Context) error
	// verify looks at all checksums.
	verify func(context.Context) error
	// backup writes a copy to what begin returns.
	backup func(ctx context.Context, begin func(r storage.Snapshot, size int64) (io.Writer, error)) error
	// free returns how many bytes the disk of the store has left.
	free func() (int64, error)
}

// openEngine opens the store: in a database, or in a folder that is made if it is not there. Observe is told of
// each commit.
func openEngine(ctx context.Context, o *Options, observe *metrics, log *slog.Logger) (*engine, error) {
	if postgres.IsURL(o.Storage) {
		db, err := postgres.Open(ctx, o.Storage, postgres.Options{Log: log, Migrate: true, Metrics: postgres.NewMetrics(observe.s.registry), Observe: func(took time.Duration) { observe.commit(1, took) }})
		if err != nil {
			return nil, err
		}
		return &engine{Store: db, probe: db.Probe}, nil
	}
	folder := filepath.Dir(o.Storage)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of the store: %w", err)
	}
	db, err := bolt.Open(ctx, o.Storage, bolt.Options{Observe: observe.commit, Fatal: func(err error) {
		log.Error("the store cannot say whether a commit was kept: ending at once, start again", slog.Any("err", err))
		o.Die()
	}, Upgrading: func(done, total int) {
		log.Info("bringing the store up to the form of this version", slog.Int("done", done), slog.Int("of", total))
	}})
	if err != nil {
		return nil, err
	}
	return &engine{
		Store: db, probe: db.Probe, verify: db.Check, backup: db.Backup,
		free: func() (int64, error) { return bolt.Free(o.Storage) },
	}, nil
}

// instance is the name of a process for people, who may see several that have one store: its
// host, which in a container is that of the pod, and its port.
func (o *Options) instance() string {
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	if at, ok := o.Address.(*net.TCPAddr); ok {
		return net.JoinHostPort(host, strconv.Itoa(at.Port))
	}
	return host
}
