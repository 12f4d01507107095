package postgres

// Connections is how many a process has at most.
const Connections = connections

// Trips returns how many round trips to the server there were.
func (db *DB) Trips() int64 { return db.trips.Load() }

// Still ends what the store does beside what it is asked for.
func Still(db *DB) {
	db.stop()
	db.wait.Wait()
}
