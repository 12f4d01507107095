package postgres

import (
	"context"
)

// Still ends what the store does beside what it is asked for.
func Still(db *DB) {
	db.stop()
	db.wait.Wait()
}

// Places returns how many places of its pool are taken by connections, also by those that are let go.
func Places(db *DB) int { return int(db.pool.Stat().TotalConns()) }

// KeepsPlans reports whether the server has statements of a connection prepared.
func KeepsPlans(ctx context.Context, db *DB) (kept bool, err error) {
	conn, err := db.acquire(ctx)
	if err != nil {
		return false, err
	}
	defer conn.Release()
	err = conn.QueryRow(ctx, "select exists (select from pg_prepared_statements where not from_sql and statement not like '%pg_prepared_statements%')").Scan(&kept)
	return kept, err
}

// Gatherers is how many transactions that several writes share are under way at most.
const Gatherers = gatherers

// Waits reports whether so many writes wait to share one.
func Waits(db *DB, n int) bool {
	db.gatherer.mu.Lock()
	defer db.gatherer.mu.Unlock()
	return len(db.gatherer.waiting) >= n
}
