// Package storage keeps incidents and all that belongs to them. It defines what an
// engine must do ([Store]) and holds [Change], the one way in which an
// incident, its events and its subscriptions are written.
//
// Two engines are meant to fit: one file with one writer, and a database with many
// replicas. So nothing above this package may count on a single writer, walk all
// incidents inside a write, or keep in memory what a reader could see differently.
package storage

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sitrep/incident"
)

var (
	// ErrUnavailable is a write that surely was not stored and may be tried again:
	// the disk is full, the engine is stopping or does not answer in time.
	ErrUnavailable = errors.New("storage unavailable")
	// ErrUnknown is a write of which nobody can say whether it was stored. It is no
	// ErrUnavailable; what repeats it must find what is there.
	ErrUnknown = errors.New("outcome of the write unknown")
	// ErrDamaged is a store, or a part of it, whose bytes are not what was written.
	ErrDamaged = errors.New("storage damaged")
	// ErrNewer is a store that a newer sitrep wrote.
	ErrNewer = errors.New("written by a newer sitrep")
	// ErrLost is a lease that another took over, or that is over.
	ErrLost = errors.New("lease lost")
)

// NotFound is the error for a thing that is not there.
func NotFound(what, name string) error {
	return &incident.Problem{Kind: incident.ErrNotFound, Text: fmt.Sprintf("there is no %s %q", what, name)}
}

// A Store is an engine. All times are UTC and whole microseconds.
type Store interface {
	// Read runs fn on a consistent snapshot. While that is held, nothing that has changed since is
	// cleaned up: who reads much reads some of it at a time.
	Read(ctx context.Context, fn func(Snapshot) error) error
	// Write runs fn in a transaction of its own and returns once what it wrote is
	// durable; nothing of it is if fn or Write returns an error, unless the error of
	// Write says that the outcome is unknown. It may run fn more than once, so
	// fn only decides. If ctx is done before the commit begins, nothing is written.
	Write(ctx context.Context, fn func(Tx) error) error
	// Glance returns what a process looks for all the time, at as little cost as the engine can: a
	// Read is for what is due then.
	Glance(ctx context.Context) (Glance, error)
	// Clock says what time it is for all processes that have the store: by that clock an engine
	// compares leases and due times, whatever the clock of a process says. What is asked is
	// answered at once or not at all, as how long it took is how wrong the answer may be.
	Clock(ctx context.Context) (time.Time, error)
	// Present returns once all that was read before it was called lasts as what Write stored does:
	// where a store is kept on several machines a reader may see what only one has yet. Who
	// acknowledges something because it is there already, and so writes nothing, asks for it. The
	// error is ErrUnavailable or ErrUnknown if it may not last.
	Present(ctx context.Context) error
	// Info says what the engine is and how it fares.
	Info(ctx context.Context) (Info, error)
	Close() error
}

// A Glance is what a process has to know even where nothing is due.
type Glance struct {
	Generation Generation
	Pulses     incident.Pulses // of the watchdog, all
	NextDue    time.Time       // the earliest of all, see [QueueReader]; zero if there is none
	// Silent and ToAsk are the earliest times of breaches, see [BreachTime]; zero if there is none.
	Silent, ToAsk time.Time
}

// GlanceOf is a Glance at a snapshot.
func GlanceOf(ctx context.Context, r Snapshot) (g Glance, err error) {
	if g.Generation, err = r.Generation(ctx); err != nil {
		return g, err
	}
	if g.Pulses, err = r.Pulses(ctx); err != nil {
		return g, err
	}
	if g.NextDue, err = r.NextDue(ctx, time.Time{}); err != nil {
		return g, err
	}
	ever := time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
	silent, err := r.DueBreaches(ctx, BreachesSilent, ever, 1)
	if err != nil {
		return g, err
	}
	for i := range silent {
		if g.Silent = silent[i].QuietSince(); g.Silent.IsZero() {
			g.Silent = time.Unix(0, 0).UTC() // since ever
		}
	}
	asked, err := r.DueBreaches(ctx, BreachesToAsk, ever, 1)
	for i := range asked {
		g.ToAsk = asked[i].AskAt
	}
	return g, err
}

// Info is for people and metrics.
type Info struct {
	Engine  string // "bbolt", "postgres"
	Version int    // of the stored form
	Path    string // or host and database
	Bytes   int64  // size on disk; 0 if unknown
	// SynchronousCommit is how durable commits are as the server of a database is set for sitrep's
	// role: its setting of that name. Off is raised to on in each write. Empty if there is no such
	// setting, or it is not known.
	SynchronousCommit string
	// Shared is set if other processes may have the store open at the same time.
	Shared bool
	// Slow is set since when a commit has been under way for too long; zero if none.
	Slow time.Time
	// Trouble is why nothing can be stored now, such as that the disk is full; nil if
	// nothing is known to be wrong. It is ErrUnavailable, and ends by itself once its
	// cause does.
	Trouble error
}

// A Snapshot is the store at one moment. What is not there is incident.ErrNotFound, or left out of a set. Sets are
// asked for in any order, and may name a thing twice, or nothing. Cursors are opaque; "" is
// the start and, as next, the end. In a write it sees what the transaction wrote.
type Snapshot interface {
	IncidentReader
	BreachReader
	WatchdogReader
	SubscriptionReader
	QueueReader
	DeliveryReader
	ConfigReader
	LogReader
	JournalReader
	ReplicaReader
	LoginReader
	RetentionReader
}

// A Tx reads and writes. Changes of an incident go through [Change], not through here.
//
// A write of many processes takes its locks in one order: leases, keys, incidents, breaches,
// alerts that no SLO claims, answers, pulses, the next number, at which all who open an incident
// wait for each other, and deliveries; of each kind in the order of their names, in a set too. The
// queue an engine locks at the end. Jobs, who is alive and log-ins are for writes of their own.
// All are held until the transaction ends. A function asks in that order, and begins with what
// it holds of a lease and with [Locker.Lock]. Where it cannot, as only a read shows what is
// needed, two writers may come to wait for each other: the engine ends one of them, and runs
// it again. So it does with one that stored what another stored at the same time, such as a
// breach that both begin.
type Tx interface {
	Snapshot
	Locker
	IncidentWriter
	BreachWriter
	WatchdogWriter
	SubscriptionWriter
	QueueWriter
	DeliveryWriter
	ConfigWriter
	LogWriter
	JournalWriter
	JobWriter
	ReplicaWriter
	LoginWriter
	RetentionWriter
}
