package storage

import (
	"context"
	"time"

	"sitrep/incident"
)

// A BreachReader reads breaches, and the alerts that no SLO claims.
type BreachReader interface {
	// LatestBreaches returns of each fingerprint the breach with the highest ordinal. What is
	// returned belongs to the caller. In a write it is locked until the end. What was begun
	// meanwhile by others is there if the key or the incident was locked first, see [Locker].
	LatestBreaches(ctx context.Context, fingerprints []string) (map[string]*incident.Breach, error)
	// Breaches returns a page of an incident's breaches, in order of arrival.
	Breaches(ctx context.Context, number int64, limit int, cursor string) (page []incident.Breach, next string, err error)
	// FirstBreaches returns the first page, of up to limit, of the breaches of each incident; one
	// that has none is left out. Where it goes on is as Breaches says.
	FirstBreaches(ctx context.Context, numbers []int64, limit int) (map[int64]BreachPage, error)
	// DueBreaches returns up to limit breaches whose time of that kind is not after until, the
	// longest first.
	DueBreaches(ctx context.Context, by BreachTime, until time.Time, limit int) ([]incident.Breach, error)

	// Unmapped returns those alerts of the fingerprints that no SLO claims. In a write they are
	// locked until the end.
	Unmapped(ctx context.Context, fingerprints []string) (map[string]*incident.UnmappedAlert, error)
	// UnmappedAlerts returns a page, ordered by fingerprint.
	UnmappedAlerts(ctx context.Context, limit int, cursor string) (page []incident.UnmappedAlert, next string, err error)
}

// A BreachWriter writes breaches, and the alerts that no SLO claims.
type BreachWriter interface {
	// PutBreaches stores breaches, in that order: each a new one of its fingerprint, or the
	// latest as it is now. One before the latest is an error, as nothing happens to it any more.
	// No two have the same ordinal of a fingerprint: of two writers that begin one at the same
	// time, as where no key is locked, the later is run again and finds that of the other.
	PutBreaches(ctx context.Context, all []*incident.Breach) error
	// PutUnmapped stores alerts, and deletes those of the fingerprints that are gone.
	PutUnmapped(ctx context.Context, put []*incident.UnmappedAlert, gone []string) error
}

// A BreachPage is a page of an incident's breaches.
type BreachPage struct {
	Breaches []incident.Breach
	Next     string // empty if there are no more
}

// A BreachTime is a time by which breaches are found.
type BreachTime int

// The times of breaches.
const (
	BreachesSilent BreachTime = iota // QuietSince, of those of incidents that fire or are unknown
	BreachesToAsk                    // AskAt, of those that have it set
)

// A BreachID tells one breach from all others.
type BreachID struct {
	Fingerprint string
	Ordinal     int64
}

// LatestBreach returns the latest breach of one fingerprint, nil if there is none.
func LatestBreach(ctx context.Context, r BreachReader, fingerprint string) (*incident.Breach, error) {
	found, err := r.LatestBreaches(ctx, []string{fingerprint})
	return found[fingerprint], err
}

// breachPage is how many breaches EachBreach reads in one go.
const breachPage = 500

// EachBreach calls fn for each breach of the incident, and of those merged into it, until
// it returns an error, and returns that.
func EachBreach(ctx context.Context, r Snapshot, in *incident.Incident, fn func(*incident.Breach) error) error {
	for _, number := range append([]int64{in.Number}, in.MergedFrom...) {
		for cursor := ""; ; {
			page, next, err := r.Breaches(ctx, number, breachPage, cursor)
			if err != nil {
				return err
			}
			for i := range page {
				if err := fn(&page[i]); err != nil {
					return err
				}
			}
			if cursor = next; cursor == "" {
				break
			}
		}
	}
	return nil
}
