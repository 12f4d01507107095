package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// The limits of a transaction, which the server keeps: how long one waits for a lock, how long
// a statement takes, and how long the transaction stays open when nobody asks it anything. No
// statement is worth being compiled.
const limits = `select set_config('lock_timeout', '4s', true), set_config('statement_timeout', '6s', true), set_config('idle_in_transaction_session_timeout', '15s', true), set_config('jit', 'off', true)`

const (
	// endPatience is how long the reply to the end of a transaction is waited for, whoever has
	// left meanwhile.
	endPatience = 8 * time.Second
	begin       = "begin isolation level read committed"
	beginRead   = "begin isolation level repeatable read, read only"
	commit      = "commit"
	rollback    = "rollback"
)

// A session is one transaction on a connection of its own. What is to be written is queued,
// and sent with the next question, or with the commit: each pipeline is one round trip. It is
// for one goroutine.
type session struct {
	db      *DB
	ctx     context.Context // of who asked for the transaction
	opening []statement     // what begins it, sent with the first pipeline
	queue   []statement
	conn    *pgxpool.Conn // nil until the first pipeline
	began   bool
	err     error // that made the transaction void
}

// A statement is one of a pipeline.
type statement struct {
	sql  string
	args []any
	// rows reads what the statement returns; nil if that is not looked at.
	rows func(pgx.Rows) error
	// done is told of how many rows the statement was; nil if nobody asks.
	done func(pgconn.CommandTag) error
}

// exec queues a statement.
func (s *session) exec(sql string, args ...any) {
	s.queue = append(s.queue, statement{sql: sql, args: args})
}

// execThen queues a statement, and has done told of how many rows it was when it is sent. The
// error of done makes the transaction void.
func (s *session) execThen(done func(pgconn.CommandTag) error, sql string, args ...any) {
	s.queue = append(s.queue, statement{sql: sql, args: args, done: done})
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
	if err := ctx.Err(); err != nil {
		return s.fail(err)
	}
	queue := s.queue
	s.queue = nil
	if !s.began {
		queue = append(s.opening, queue...)
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
	s.db.well()
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

// pipeline sends statements and reads their answers. It returns of how many it has them.
func (s *session) pipeline(ctx context.Context, queue []statement) (answered int, err error) {
	batch := &pgx.Batch{}
	for _, q := range queue {
		batch.Queue(q.sql, q.args...)
	}
	results := s.conn.SendBatch(ctx, batch)
	var first *misread
	for ; answered < len(queue); answered++ {
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
			said = q.done(tag)
		}
		return said, err
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
	queue := s.queue
	s.queue = nil
	if !s.began {
		queue = append(s.opening, queue...)
	}
	if err := s.connect(s.ctx); err != nil {
		return s.fail(s.db.explain(s.ctx, err))
	}
	committed := ""
	queue = append(queue, statement{sql: commit, done: func(tag pgconn.CommandTag) error {
		committed = tag.String()
		return nil
	}})
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), endPatience)
	defer cancel()
	s.began = true
	done := s.db.committing()
	answered, err := s.pipeline(ctx, queue)
	done()
	if committed == "COMMIT" { // it is, also if the connection was lost after that
		s.began = false
		s.db.well()
		return nil
	}
	if err != nil {
		return s.fail(s.db.explainCommit(ctx, err, answered == len(queue)-1))
	}
	return s.fail(fmt.Errorf("commit: the server answered %q", committed))
}

// end gives the connection back, after a rollback if the transaction is open.
func (s *session) end() {
	if s.conn == nil {
		return
	}
	conn := s.conn
	s.conn = nil
	if s.began && !conn.Conn().IsClosed() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), endPatience)
		defer cancel()
		if _, err := conn.Exec(ctx, rollback); err != nil {
			_ = conn.Conn().Close(ctx)
		}
	}
	conn.Release()
}
