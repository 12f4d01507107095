package postgres

import (
	"sitrep/storage"
)

// What of the contract is not there yet.
type (
	rest       struct{ storage.Snapshot }
	restWrites struct{ restOfTx }
	restOfTx   struct{ restInTx }
	restInTx   struct{ storage.Tx }
)

