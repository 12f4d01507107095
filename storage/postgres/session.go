package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"sitrep/incident"
	"sitrep/storage"
)

const (
	// limits are those of a transaction, which the server keeps: how long one waits for a lock, how
	// long a statement takes, and how long the transaction stays open when nobody asks it anything.
	// To compile a statement costs more than it saves. All that is asked for is found by keys, however many,
	// so that one plan fits and is kept: one made for a single key would look cheaper, and so be made anew
	// each time.
	// What stands first says whether commits wait for another machine: off is raised to on in a write.
	limits = `select current_setting('synchronous_standby_names') <> '' and current_setting('synchronous_commit') <> 'local',
		set_config('lock_timeout', '4s', true), set_config('statement_timeout', '6s', true),
		set_config('idle_in_transaction_session_timeout', '15s', true), set_config('jit', 'off', true), set_config('plan_cache_mode', 'force_generic_plan', true)`
	// writeLimits are those of a write, which is durable once it is committed: whatever else the
	// server or the role is set to is kept, as it says how many machines have it then.
	writeLimits = limits + `, set_config('synchronous_commit', case current_setting('synchronous_commit') when 'off' then 'on' else current_setting('synchronous_commit') end, true)`
)

const (
	// answerPatience is how long the answers to a pipeline are waited for, whoever has left
	// meanwhile: a little longer than the server takes for one that it gives up.
	answerPatience = 8 * time.Second
	// rollbackPatience is the same for a rollback.
	rollbackPatience = 2 * time.Second

	begin     = "begin isolation level read committed"
	beginRead = "begin isolation level repeatable read, read only"
	commit    = "commit"
	rollback  = "rollback"
)

// A session is one transaction on a connection of its own. What is to be written is queued,
// and sent with the next question, or with the commit: each pipeline is one round trip. It is
// for one goroutine.
type session struct {
	db      *DB
	ctx     context.Context // of who asked for the transaction
	class   class
	started time.Time
	most    time.Duration // that it takes; zero: as long as it likes
	opening []statement   // what begins it, sent with the first pipeline
	queue   []statement
	conn    *pgxpool.Conn // nil until the first pipeline
	began   bool
	err     error // that made the transaction void
	// before is called before anything is sent, and queues what has to be there then; nil if
	// nothing has.
	before func(context.Context) error
	// shared is set if several writes have the transaction: who of them leaves does not end it.
	shared bool
	under  chan error   // is sent what became of what was sent ahead; nil if nothing was
	gate   func() error // says why nothing may be sent now; nil if all may
	writes int          // counts what was written, so that it shows whether anything was
}

// newRead returns a session that reads in one snapshot.
func (db *DB) newRead(ctx context.Context) *session {
	return &session{db: db, ctx: ctx, class: classRead, started: time.Now(), opening: []statement{{sql: beginRead}, {sql: limits, rows: db.noteStandbys}}}
}

// newWrite returns a session that writes.
func (db *DB) newWrite(ctx context.Context, c class) *session {
	return &session{db: db, ctx: ctx, class: c, started: time.Now(), opening: []statement{{sql: begin}, {sql: writeLimits, rows: db.noteStandbys}}}
}

// look asks one question, whose answer is one row, outside of a transaction.
func (db *DB) look(ctx context.Context, c class, into any, sql string) error {
	s := &session{db: db, ctx: ctx, class: c, started: time.Now()}
	defer s.end()
	_, err := s.one(ctx, []any{into}, sql)
	return err
}

// A statement is one of a pipeline.
type statement struct {
	sql  string
	args []any
	// rows reads what the statement returns; nil if that is not looked at.
	rows func(pgx.Rows) error
	// done is told what the server says that was done; nil if nobody asks.
	done func(pgconn.CommandTag)
}

// exec queues a statement.
func (s *session) exec(sql string, args ...any) {
	s.queue = append(s.queue, statement{sql: sql, args: args})
	s.writes++
}

// ask queues a question whose answer is read by rows when it is sent.
func (s *session) ask(rows func(pgx.Rows) error, sql string, args ...any) {
	s.queue = append(s.queue, statement{sql: sql, args: args, rows: rows})
}

// query sends what is queued and the question, and reads its answer: rows is called once, and
// goes through all of them.
func (s *session) query(ctx context.Context, rows func(pgx.Rows) error, sql string, args ...any) error {
	s.ask(rows, sql, args...)
	return s.send(ctx)
}

// each is query with a function that is called for each row.
func (s *session) each(ctx context.Context, row func(pgx.Rows) error, sql string, args ...any) error {
	return s.query(ctx, eachRow(row), sql, args...)
}

// eachRow returns what reads all rows with a function for each.
func eachRow(row func(pgx.Rows) error) func(pgx.Rows) error {
	return func(rows pgx.Rows) error {
		for rows.Next() {
			if err := row(rows); err != nil {
				return err
			}
		}
		return nil
	}
}

// one is query of one row at most. It reports whether there is one.
func (s *session) one(ctx context.Context, into []any, sql string, args ...any) (found bool, err error) {
	err = s.query(ctx, func(rows pgx.Rows) error {
		if found = rows.Next(); !found {
			return nil
		}
		return rows.Scan(into...)
	}, sql, args...)
	return found, err
}

// send sends what is queued in one round trip.
func (s *session) send(ctx context.Context) error {
	if s.err != nil {
		return s.err
	}
	if len(s.queue) == 0 {
		return nil
	}
	if s.gate != nil {
		if err := s.gate(); err != nil {
			s.queue = nil
			return err
		}
	}
	if s.shared {
		ctx = s.ctx
	}
	if s.before != nil { // what was put comes before what is asked
		asked := s.queue
		s.queue = nil
		err := s.before(ctx)
		if s.queue = append(s.queue, asked...); err != nil {
			return s.fail(err)
		}
	}
	if err := ctx.Err(); err != nil {
		return s.fail(err)
	}
	if s.most > 0 && time.Since(s.started) > s.most {
		return s.fail(&incident.Problem{Kind: incident.ErrInvalid, Text: fmt.Sprintf(
			"what is asked for takes longer than %s to read, and the database cannot clean up meanwhile: ask for less at a time, such as a shorter time span", s.most)})
	}
	queue := s.queue
	s.queue = nil
	if !s.began {
		queue = append(s.opening, queue...)
	}
	if err := s.catchUp(); err != nil {
		return err
	}
	if err := s.connect(ctx); err != nil {
		return s.fail(s.db.explain(ctx, err))
	}
	s.began = true // also if it fails: nobody knows how far it came
	_, err := s.pipeline(ctx, queue)
	var misread *misread
	if errors.As(err, &misread) && misread.at == len(queue)-1 {
		return misread.err // of the answer to what was asked just now: the transaction goes on
	}
	if err != nil {
		return s.fail(s.db.explain(ctx, err))
	}
	s.db.well(s.class, false)
	return nil
}

// ahead sends what is queued, if nothing of it is a question, and waits for no answer: that is for
// whoever sends next.
func (s *session) ahead() {
	if s.err != nil || s.under != nil || !s.began || slices.ContainsFunc(s.queue, func(q statement) bool { return q.rows != nil }) {
		return
	}
	queue, under := s.queue, make(chan error, 1)
	s.queue, s.under = nil, under
	go func() {
		_, err := s.pipeline(s.ctx, queue)
		under <- err
	}()
}

// catchUp waits for what was sent ahead.
func (s *session) catchUp() error {
	if s.under == nil {
		return nil
	}
	err := <-s.under
	if s.under = nil; err != nil {
		return s.fail(s.db.explain(s.ctx, err))
	}
	return nil
}

// A misread is what a function says of an answer that it read.
type misread struct {
	err error
	at  int // of the statement in the pipeline
}

func (m *misread) Error() string { return m.err.Error() }
func (m *misread) Unwrap() error { return m.err }

func (s *session) connect(ctx context.Context) (err error) {
	if s.conn != nil {
		return nil
	}
	s.conn, err = s.db.take(ctx)
	return err
}

// take takes a connection of the pool. Where the server takes no more of them, it waits for one
// that is given back.
func (db *DB) take(ctx context.Context) (conn *pgxpool.Conn, err error) {
	waits, cancel := context.WithTimeout(ctx, acquirePatience)
	defer cancel()
	var refused error
	for {
		if conn, err = db.acquire(waits); err == nil || ctx.Err() != nil {
			return conn, err
		}
		stat := db.pool.Stat()
		switch {
		case waits.Err() != nil && refused != nil:
			return nil, refused
		case waits.Err() != nil && stat.AcquiredConns() >= stat.MaxConns():
			return nil, errBusy
		case waits.Err() != nil:
			return nil, errUnreached
		case !tooMany(err) || stat.AcquiredConns() == 0:
			return conn, err
		}
		refused = err
		select {
		case <-waits.Done():
		case <-time.After(againAfter):
		}
	}
}

// pipeline sends statements and reads their answers, for as long as ctx and answerPatience allow.
// It returns of how many it has them.
func (s *session) pipeline(ctx context.Context, queue []statement) (answered int, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, answerPatience, errSilent)
	defer cancel()
	answered, err = s.exchange(ctx, queue)
	if err != nil && s.conn.Conn().IsClosed() && errors.Is(context.Cause(ctx), errSilent) {
		err = errSilent
	}
	return answered, err
}

func (s *session) exchange(ctx context.Context, queue []statement) (answered int, err error) {
	batch := &pgx.Batch{}
	for _, q := range queue {
		batch.Queue(q.sql, q.args...)
	}
	results := s.conn.SendBatch(ctx, batch)
	var first *misread
	for ; answered < len(queue); answered++ {
		takeWarning(s.conn.Conn().PgConn()) // of what was answered before
		said, err := queue[answered].answer(results)
		if err != nil {
			_ = results.Close()
			return answered, err
		}
		if said != nil && first == nil {
			first = &misread{said, answered}
		}
	}
	if err := results.Close(); err != nil || first == nil {
		return answered, err
	}
	return answered, first
}

// answer reads the answer to a statement. It returns what its function says of that, and the error
// of the database.
func (q *statement) answer(results pgx.BatchResults) (said, err error) {
	if q.rows == nil {
		tag, err := results.Exec()
		if err == nil && q.done != nil {
			q.done(tag)
		}
		return nil, err
	}
	rows, err := results.Query()
	if err != nil {
		return nil, err
	}
	said = q.rows(rows)
	rows.Close()
	if err := rows.Err(); err != nil && (said == nil || !errors.Is(err, said)) {
		return nil, err
	}
	return said, nil
}

// fail notes that the transaction is void.
func (s *session) fail(err error) error {
	if s.err == nil {
		s.err = err
	}
	return s.err
}

// commit ends the transaction with all that is queued. Once the commit was sent nobody who
// leaves is waited for any less: what became of it is asked to the end.
func (s *session) commit() error {
	if s.err != nil {
		return s.err
	}
	if !s.began && len(s.queue) == 0 {
		return nil
	}
	if err := s.ctx.Err(); err != nil {
		return s.fail(err)
	}
	if err := s.catchUp(); err != nil {
		return err
	}
	queue := s.queue
	s.queue = nil
	if !s.began {
		queue = append(s.opening, queue...)
	}
	if err := s.connect(s.ctx); err != nil {
		return s.fail(s.db.explain(s.ctx, err))
	}
	committed := ""
	queue = append(queue, statement{sql: commit, done: func(tag pgconn.CommandTag) { committed = tag.String() }})
	s.began = true
	done := s.db.committing()
	answered, err := s.pipeline(context.WithoutCancel(s.ctx), queue)
	warning := takeWarning(s.conn.Conn().PgConn())
	done()
	if committed == "COMMIT" { // it is, also if the connection was lost after that
		if warning != "" {
			return s.fail(s.db.ill(fmt.Errorf("%w: the server committed, and says: %s", storage.ErrUnknown, warning), true))
		}
		s.db.well(s.class, true)
		return nil
	}
	if err != nil {
		return s.fail(s.db.explainCommit(err, answered == len(queue)-1))
	}
	return s.fail(fmt.Errorf("commit: the server answered %q", committed))
}

// end gives the connection back, after a rollback if the transaction is open.
func (s *session) end() {
	_ = s.catchUp() // what it says is of a transaction that is given up
	s.db.metrics.observe(s)
	if s.conn == nil {
		return
	}
	conn := s.conn
	s.conn = nil
	if !conn.Conn().IsClosed() && conn.Conn().PgConn().TxStatus() != 'I' {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), rollbackPatience)
		defer cancel()
		if _, err := conn.Exec(ctx, rollback); err != nil {
			_ = conn.Conn().Close(ctx)
		}
	}
	giveBack(conn)
}

// giveBack gives a connection back to the pool, or lets it go if it was lost: what is left to do with
// one that was may take long, and needs no place in the pool.
func giveBack(conn *pgxpool.Conn) {
	if conn.Conn().IsClosed() {
		conn.Hijack()
		return
	}
	conn.Release()
}

// warningKey is where the last warning of the server is kept with a connection.
const warningKey = "sitrep warning"

// noteWarning keeps a warning of the server: a commit that was to wait for a standby and did not
// is told in no other way.
func noteWarning(c *pgconn.PgConn, n *pgconn.Notice) {
	if n.SeverityUnlocalized == "WARNING" {
		c.CustomData()[warningKey] = n.Message
	}
}

// takeWarning returns the last warning of the server since it was called last; empty if there was
// none.
func takeWarning(c *pgconn.PgConn) string {
	message, _ := c.CustomData()[warningKey].(string)
	delete(c.CustomData(), warningKey)
	return message
}
