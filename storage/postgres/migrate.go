package postgres

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"

	"sitrep/storage"
)

//go:embed migrations/*.sql
var migrations embed.FS

const (
	// versionTable is where it is noted which migrations were done.
	versionTable = "schema_versions"
	// migrationPatience is how long a migration by another process is waited for.
	migrationPatience = time.Minute
	// migrationLock is the number of the lock that one holds who migrates. Nothing else has it.
	migrationLock = 0x5317_4e9_0001
	// generationLock is that of the configuration in force, see Generation.
	generationLock = 0x5317_4e9_0002
)

// Migrate brings the schema of a database up to date and returns its version: for a user who
// may change it, where the one that sitrep runs as may not.
func Migrate(ctx context.Context, url string) (version int, err error) {
	config, err := parse(url)
	if err != nil {
		return 0, err
	}
	path := pathOf(config)
	conn, err := pgx.ConnectConfig(ctx, config.ConnConfig)
	if err != nil {
		return 0, fmt.Errorf("migrate %s: %w", path, unavailable(err))
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if err := migrate(ctx, conn, config.ConnConfig); err != nil {
		return 0, fmt.Errorf("migrate %s: %w", path, err)
	}
	version, _, err = readVersion(ctx, conn)
	return version, err
}

// prepare makes sure that the schema is one that this sitrep can use, and returns its version.
func (db *DB) prepare(ctx context.Context, config *pgx.ConnConfig, o Options) (version int, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, migrationPatience, errWaited)
	defer cancel()
	conn, err := db.acquire(ctx)
	if err != nil {
		return 0, unavailable(err)
	}
	defer giveBack(conn)
	latest := latestVersion()
	for tried := false; ; {
		version, oldest, err := readVersion(ctx, conn.Conn())
		switch {
		case err != nil && !errors.Is(context.Cause(ctx), errWaited):
			return 0, db.explain(ctx, err)
		case err == nil && oldest > latest:
			return version, fmt.Errorf("its schema is of version %d and this sitrep knows %d: %w", version, latest, storage.ErrNewer)
		case err == nil && version >= latest:
			return version, nil
		case o.ReadOnly || ctx.Err() != nil:
			return version, fmt.Errorf("its schema is of version %d and this sitrep needs %d: run sitrep storage migrate as a user who may change it", version, latest)
		}
		if o.Migrate && !tried {
			tried = true
			if err := migrate(ctx, conn.Conn(), config); err != nil {
				db.log.Warn("the schema cannot be brought up to date; waiting for somebody who can", "version", version, "error", err)
			}
			continue
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

var errWaited = errors.New("nobody brought the schema up to date in time")

// latestVersion is the version of the schema that this sitrep makes.
func latestVersion() int {
	files, _ := fs.Glob(migrations, "migrations/*.sql") // the pattern is well-formed
	return len(files)
}

// readVersion returns the version of the schema, 0 if there is none, and from which on a sitrep
// can use it.
func readVersion(ctx context.Context, conn *pgx.Conn) (version, oldest int, err error) {
	err = conn.QueryRow(ctx, "select coalesce(max(version_id) filter (where is_applied), 0) from "+versionTable).Scan(&version)
	if undefined(err) {
		return 0, 0, nil
	}
	if err != nil || version == 0 {
		return 0, 0, err
	}
	err = conn.QueryRow(ctx, "select oldest from form").Scan(&oldest)
	if undefined(err) {
		return version, 0, nil
	}
	return version, oldest, err
}

// undefined reports whether a table is not there.
func undefined(err error) bool {
	var server *pgconn.PgError
	return errors.As(err, &server) && server.Code == "42P01"
}

// migrate brings the schema up to date, after all others who do that at the same time. The lock
// is one of a transaction, as a pooler may give each transaction another session.
func migrate(ctx context.Context, conn *pgx.Conn, config *pgx.ConnConfig) error {
	tx, err := conn.Begin(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	if _, err := tx.Exec(ctx, "select pg_advisory_xact_lock($1)", int64(migrationLock)); err != nil {
		return err
	}
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	store, err := database.NewStore(database.DialectPostgres, versionTable)
	if err != nil {
		return err
	}
	pool := stdlib.OpenDB(*config)
	defer pool.Close()
	provider, err := goose.NewProvider(goose.DialectCustom, pool, files, goose.WithStore(store))
	if err != nil {
		return err
	}
	_, err = provider.Up(ctx)
	return err
}
