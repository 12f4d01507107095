package postgres

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// confirm is a commit that changes nothing. The server writes it to its log all the same, and so waits
// for the standbys: those who have confirmed it have all that was committed before it.
const confirm = "select pg_logical_emit_message(true, 'sitrep', '')"

// confirmations are commits of confirm, one at a time: all who ask while one is under way share the
// next.
type confirmations struct {
	mu   sync.Mutex
	next *confirmation // that has not begun; nil if there is none
	turn sync.Mutex    // of the one that is under way
}

// A confirmation is a commit of confirm.
type confirmation struct {
	done chan struct{}
	err  error // once it is done
}

// Present implements storage.Store. A commit that waits for a standby and is told to wait no longer, as
// after the time that a statement may take, can be read by all processes, and only the one that made it
// knows that it may be lost in a failover. So where commits wait for others, each process makes one of
// its own before it says that it has seen something.
func (db *DB) Present(ctx context.Context) error {
	db.mu.Lock()
	until, trouble := db.until, db.trouble
	db.mu.Unlock()
	if until >= byWrite { // the latest writes could not be stored, or not on as many machines as they are to be
		return trouble
	}
	if err := db.ready(ctx); err != nil || !db.standbys.Load() {
		return err
	}
	c := db.last.join(db)
	select {
	case <-c.done:
		return c.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// noteStandbys reads what stands first in the answer to limits.
func (db *DB) noteStandbys(rows pgx.Rows) error {
	for rows.Next() {
		var waits bool
		if err := rows.Scan(append([]any{&waits}, make([]any, len(rows.FieldDescriptions())-1)...)...); err != nil {
			return err
		}
		db.standbys.Store(waits)
	}
	return nil
}

// join returns a confirmation that begins after it was called.
func (a *confirmations) join(db *DB) *confirmation {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.next == nil {
		c := &confirmation{done: make(chan struct{})}
		a.next = c
		go a.carryOut(db, c)
	}
	return a.next
}

func (a *confirmations) carryOut(db *DB, c *confirmation) {
	a.turn.Lock()
	defer a.turn.Unlock()
	a.mu.Lock()
	a.next = nil // who comes from now on may have seen more
	a.mu.Unlock()
	// Whoever asked may leave; the others are waited for.
	ctx, cancel := context.WithTimeout(context.Background(), acquirePatience+answerPatience+time.Second)
	defer cancel()
	s := db.newWrite(ctx, classConfirm)
	defer s.end()
	s.exec(confirm)
	c.err = s.commit()
	close(c.done)
}
