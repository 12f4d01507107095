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

// The process does so many writes, of so many goroutines, each with so many breaches: enough
// that the runs in which they are found are merged.
const (
	tracedWriters  = 4
	tracedWrites   = 15
	tracedBreaches = 25
)

// tracedFingerprints returns the fingerprints of a write.
func tracedFingerprints(name string) []string {
	all := make([]string, tracedBreaches)
	for i := range all {
		all[i] = fmt.Sprintf("%s.%d", name, i)
	}
	return all
}

// writeTraced stores breaches, and prints the name of each write, in one write, once it is
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
				name := fmt.Sprintf("fp-%d-%d", w, i)
				err := db.Write(context.Background(), func(tx storage.Tx) error {
					var all []*incident.Breach
					for _, fp := range tracedFingerprints(name) {
						all = append(all, &incident.Breach{Fingerprint: fp, StartsAt: noon, HeardAt: noon, State: incident.BreachFiring, Incident: int64(w + 1)})
					}
					return tx.PutBreaches(ctx, all)
				})
				if err != nil {
					errs <- err
					return
				}
				_, _ = os.Stdout.WriteString(name + "\n")
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
