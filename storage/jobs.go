package storage

import (
	"context"
	"time"
)

// A Job is work that is done again and again, and of which one process is enough of all that
// have the store.
type Job struct {
	Name  string // at least one byte, at most 200
	Owner string // of the process, unlike that of any other; not empty
	// Lease is how long it is the owner's at most without being taken anew.
	Lease time.Duration
	// Every is how much later than it was done last it is due again. Zero: at once.
	Every time.Duration
	// For is what it is done for, such as a configuration: done for another it is due at
	// once. Empty if there is nothing to tell apart.
	For string
}

// A JobWriter gives out the jobs.
type JobWriter interface {
	// TakeJob gives the owner a job for as long as its Lease, by the clock of the store as with
	// TakeLeases, and reports whether it did: not while another has it, and not before Every has
	// passed since it was done for the same. An owner who has it gets it for as long anew. What
	// was done after now, by more than the clocks of two processes may differ that claim
	// anything, was done before the clock was set back, and counts for nothing. The job is locked
	// until the end of the transaction that takes it: of two who ask at once one gets it.
	//
	// An engine that only one process has open at a time may forget, when it is opened, all
	// jobs of those who had it before.
	TakeJob(ctx context.Context, j Job, now time.Time) (taken bool, err error)
	// EndJob gives the job back, and notes that it was done, for what the job says, at that
	// time. A job may be ended after its lease, unless another took it since: then the error is
	// ErrLost.
	EndJob(ctx context.Context, j Job, done time.Time) error
}

// DoJob takes a job at now if it is due and nobody has it, runs fn, and notes that it was
// done at now. It reports whether fn was run. If fn fails the owner keeps the job, and can go
// on with it at once; others only when its lease is over. What fn returns as more, that it did
// a part and wants to go on, keeps it too.
func DoJob(ctx context.Context, s Store, j Job, now time.Time, fn func() (more bool, err error)) (taken bool, err error) {
	err = s.Write(ctx, func(tx Tx) (err error) {
		taken, err = tx.TakeJob(ctx, j, now)
		return err
	})
	if err != nil || !taken {
		return false, err
	}
	more, err := fn()
	if err != nil || more {
		return true, err
	}
	return true, s.Write(ctx, func(tx Tx) error { return tx.EndJob(ctx, j, now) })
}
