package postgres

import (
	"context"
	"errors"
)

// A reader reads in one transaction.
type reader struct {
	*session
	rest
}

func newReader(s *session) *reader { return &reader{session: s} }

// A tx reads and writes in one transaction. What it has locked it remembers, so that it is asked
// for once: nobody else changes that meanwhile.
type tx struct {
	reader
	restWrites
	alone bool // it holds the generation for itself

	places
	records []record // not written yet
	leaves  bool     // it wrote some
}

// errAlone ends a write that changes the configuration in force, which it has to hold alone from
// the beginning: it is run again so.
var errAlone = errors.New("it is to be run again, alone")

// newTx returns a tx whose first round trip takes the lock of the configuration in force, first
// of all locks: shared by all writes but those that change it.
func newTx(s *session, alone bool) *tx {
	lock := "select pg_advisory_xact_lock_shared($1)"
	if alone {
		lock = "select pg_advisory_xact_lock($1)"
	}
	s.opening = append(s.opening, statement{sql: lock, args: []any{int64(generationLock)}})
	return &tx{reader: reader{session: s}, alone: alone}
}

// finish queues what is written at the end.
func (t *tx) finish(context.Context) error {
	t.putRecords()
	t.moveAll()
	return nil
}
