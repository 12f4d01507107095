package ledger

import "time"

// A Status is what a running program knows of its ledger beside what the store holds.
type Status struct {
	PublicKey string
	// Witness is the one outside who is told checkpoints; empty if there is none.
	Witness string
	Every   time.Duration // how often the witness is told
	// WitnessedAt is when that was last done in this run, and WitnessError why it failed
	// last.
	WitnessedAt  time.Time
	WitnessError string
}
