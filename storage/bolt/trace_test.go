package bolt_test

import (
	"context"
	"fmt"
	"os"
	"sync"

	"sitrep/incident"
	"sitrep/storage"
	"sitrep/storage/bolt"
)

// traced names the file of a store that a process of a test writes to while its system
// calls are recorded.
const traced = "SITREP_TEST_TRACED_STORE"

// The process stores so many breaches, of so many goroutines.
const (
	tracedWriters = 4
	tracedWrites  = 15
)

// writeTraced stores breaches, and prints the fingerprint of each, in one write, once it is
// stored.
func writeTraced(ctx context.Context, path string) error {
	db, err := bolt.Open(ctx, path, bolt.Options{})
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	errs := make(chan error, tracedWriters*tracedWrites)
	for w := range tracedWriters {
		wg.Go(func() {
			for i := range tracedWrites {
				fp := fmt.Sprintf("fp-%d-%d", w, i)
				err := db.Write(context.Background(), func(tx storage.Tx) error {
					return tx.PutBreaches(ctx, []*incident.Breach{{Fingerprint: fp, StartsAt: noon, HeardAt: noon, State: incident.BreachFiring, Incident: int64(w + 1)}})
				})
				if err != nil {
					errs <- err
					return
				}
				_, _ = os.Stdout.WriteString(fp + "\n")
			}
		})
	}
	wg.Wait()
	select {
	case err := <-errs:
		return err
	default:
		return db.Close() // the power may go meanwhile, too
	}
}
