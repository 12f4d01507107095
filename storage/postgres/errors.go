package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"sitrep/storage"
)

const (
	// connectPatience is how long a host of the database is waited for, unless the URL says otherwise
	// by connect_timeout, and acquirePatience how long a connection is, whoever gives it back or
	// makes it.
	connectPatience = 3 * time.Second
	acquirePatience = 5 * time.Second
	// againAfter is when one is asked for again that the server refused, as it has too many.
	againAfter = 50 * time.Millisecond
)

var (
	// errBusy says nothing of the database.
	errBusy      = fmt.Errorf("%w: no connection became free within %s", storage.ErrUnavailable, acquirePatience)
	errUnreached = fmt.Errorf("the database cannot be reached within %s", acquirePatience)
	errSilent    = fmt.Errorf("the database did not answer within %s", answerPatience)
	// errTooLong is that of a transaction that the server ended, as it took too long.
	errTooLong = fmt.Errorf("%w", storage.ErrUnavailable)
	errClosed  = fmt.Errorf("the store is closed: %w", storage.ErrUnavailable)
)

// tooMany reports whether a connection was refused as the server has too many, or too many of the
// role or the database.
func tooMany(err error) bool {
	var server *pgconn.PgError
	return errors.As(err, &server) && server.Code == "53300"
}

// again is the error of a transaction that is to be run again: it met another that did the
// same at the same time.
type again struct{ err error }

func (a *again) Error() string { return a.err.Error() }
func (a *again) Unwrap() error { return a.err }

// unavailable is the error of a transaction that was surely not stored, as the database was
// not there for it.
func unavailable(err error) error {
	if errors.Is(err, storage.ErrUnavailable) {
		return err
	}
	return fmt.Errorf("%w: %w", storage.ErrUnavailable, plainly(err))
}

// plainly returns a failure of the connection without the address, the user and the database,
// which people who may see the failure need not know.
func plainly(err error) error {
	var connect *pgconn.ConnectError
	if !errors.As(err, &connect) {
		return err
	}
	var server *pgconn.PgError
	if errors.As(err, &server) {
		return fmt.Errorf("the database cannot be used: %s (SQLSTATE %s)", server.Message, server.Code)
	}
	for _, known := range []error{context.DeadlineExceeded, syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.ENOENT, syscall.EHOSTUNREACH, syscall.ENETUNREACH, io.EOF, io.ErrUnexpectedEOF} {
		if errors.Is(err, known) {
			return fmt.Errorf("the database cannot be reached: %w", known)
		}
	}
	var dns *net.DNSError
	if errors.As(err, &dns) {
		return fmt.Errorf("the database cannot be reached: its host %q is not found", dns.Name)
	}
	return errors.New("the database cannot be reached")
}

// explain says what a failure before the commit means.
func (db *DB) explain(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if db.closed.Load() {
		return errClosed
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if errors.Is(err, errBusy) {
		return err
	}
	var server *pgconn.PgError
	if errors.As(err, &server) {
		return db.explainServer(server)
	}
	if lostConnection(err) {
		return db.lost(unavailable(err), byAnswer)
	}
	return err
}

// explainCommit says what a failure means of a pipeline that ends with the commit. At the
// commit is set if all before it was answered. A commit that was not answered may be there for
// who reads and wait for a standby still, so only another commit shows that it lasts.
func (db *DB) explainCommit(err error, atCommit bool) error {
	var server *pgconn.PgError
	switch {
	case errors.As(err, &server):
		if fatal := server.SeverityUnlocalized; atCommit && (fatal == "FATAL" || fatal == "PANIC") {
			return db.lost(unknown(err), byWrite)
		}
		return db.explainServer(server)
	case pgconn.SafeToRetry(err):
		return db.lost(unavailable(err), byAnswer)
	case lostConnection(err):
		return db.lost(unknown(err), byWrite)
	}
	return err
}

// lost notes that a connection was lost, and that the others of the pool are too, as a rule.
func (db *DB) lost(err error, until proof) error {
	db.pool.Reset()
	return db.ill(err, until)
}

func unknown(err error) error {
	return fmt.Errorf("%w: the commit was sent and not answered: %w", storage.ErrUnknown, err)
}

// explainServer says what it means that the server refused a statement.
func (db *DB) explainServer(e *pgconn.PgError) error {
	err := fmt.Errorf("the database says: %s (SQLSTATE %s)", e.Message, e.Code)
	switch e.Code {
	case "40001", "40P01", "23505", "26000":
		// serialization_failure, deadlock_detected, unique_violation, invalid_sql_statement_name
		return &again{err}
	case "25006": // read_only_sql_transaction
		// Of several hosts another takes writes now, or this one will.
		db.pool.Reset()
		return db.ill(fmt.Errorf("%w: %w", storage.ErrUnavailable, err), byWrite)
	case "57P01", "57P02", "57P03", "3D000", "53300":
		// admin_shutdown, crash_shutdown, cannot_connect_now, invalid_catalog_name,
		// too_many_connections
		return db.ill(fmt.Errorf("%w: %w", storage.ErrUnavailable, err), byAnswer)
	case "42501": // insufficient_privilege
		return db.ill(fmt.Errorf("%w: %w", storage.ErrUnavailable, err), byWrite)
	case "53100": // disk_full
		return db.ill(fmt.Errorf("%w: %w", storage.ErrUnavailable, err), byProbe)
	case "55P03", "57014", "57P05", "25P03":
		// lock_not_available, query_canceled, idle_session_timeout,
		// idle_in_transaction_session_timeout
		return fmt.Errorf("%w: %w", errTooLong, err)
	case "XX001", "XX002": // data_corrupted, index_corrupted
		return fmt.Errorf("%w: %w", storage.ErrDamaged, err)
	}
	if e.Routine == "RevalidateCachedQuery" { // a plan is kept of what was changed since
		return &again{err}
	}
	switch e.Code[:min(2, len(e.Code))] {
	case "08", "28": // connection, authorization
		return db.ill(fmt.Errorf("%w: %w", storage.ErrUnavailable, err), byAnswer)
	case "53", "58": // resources, system
		return db.ill(fmt.Errorf("%w: %w", storage.ErrUnavailable, err), byWrite)
	}
	return err
}

// lostConnection reports whether an error is one of the connection, not of what was asked.
func lostConnection(err error) bool {
	if errors.Is(err, errSilent) || errors.Is(err, errUnreached) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) || pgconn.Timeout(err) {
		return true
	}
	var network net.Error
	var connect *pgconn.ConnectError
	var errno syscall.Errno
	return errors.As(err, &network) || errors.As(err, &connect) || errors.As(err, &errno) ||
		strings.Contains(err.Error(), "conn closed") || strings.Contains(err.Error(), "unexpected EOF")
}
