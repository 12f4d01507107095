package postgres

import (
	"context"
	"errors"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// errPooled ends a connection that goes through a pooler and was made as if it did not.
var errPooled = errors.New("a pooler of connections is in between: connect anew")

// suitPooler lets the server keep the plans of statements, which to make anew costs more than to
// follow, unless a pooler of connections is in between: through that nothing of a session may
// be needed.
func (db *DB) suitPooler(config *pgxpool.Config) {
	config.BeforeConnect = func(_ context.Context, c *pgx.ConnConfig) error {
		c.DefaultQueryExecMode = pgx.QueryExecModeCacheStatement
		if db.pooled.Load() {
			c.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
		}
		return nil
	}
	also := config.AfterConnect
	config.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		if err := also(ctx, conn); err != nil {
			return err
		}
		if conn.Config().DefaultQueryExecMode == pgx.QueryExecModeCacheDescribe {
			return nil
		}
		direct, err := isDirect(ctx, conn)
		if err == nil && !direct {
			db.pooled.Store(true)
			err = errPooled
		}
		return err
	}
}

// isDirect reports whether a connection leads to the process of the server that it was told of: a
// pooler tells of one that there is not.
func isDirect(ctx context.Context, conn *pgx.Conn) (bool, error) {
	results, err := conn.PgConn().Exec(ctx, "select pg_backend_pid()").ReadAll()
	if err != nil || len(results) != 1 || len(results[0].Rows) != 1 {
		return false, err
	}
	return string(results[0].Rows[0][0]) == strconv.FormatUint(uint64(conn.PgConn().PID()), 10), nil
}

// acquire takes a connection.
func (db *DB) acquire(ctx context.Context) (*pgxpool.Conn, error) {
	conn, err := db.pool.Acquire(ctx)
	if errors.Is(err, errPooled) { // now it is known
		return db.pool.Acquire(ctx)
	}
	return conn, err
}
