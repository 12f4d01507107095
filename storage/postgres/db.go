// Package postgres keeps a store in a PostgreSQL database, 15 or later, that any number of equal
// processes have open at the same time.
package postgres

import (
	"context"
	crand "crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"sitrep/storage"
)

const (
	// connections is how many a process has at most, unless the URL says otherwise by
	// pool_max_conns.
	connections = 16
	// slowAfter is how long a commit may take until people are told.
	slowAfter = 8 * time.Second
	// attempts is how often a write is run that meets another.
	attempts = 5
	// sizeEvery is how often the size of the database is asked for at most.
	sizeEvery = time.Minute
)

// Name names the database of a URL for people: its host and its name, without who asks.
func Name(url string) string {
	config, err := parse(url)
	if err != nil {
		return "a PostgreSQL database"
	}
	return pathOf(config)
}

// Options are how a store is opened.
type Options struct {
	// Log is told what people may want to know; nil if nobody is.
	Log *slog.Logger
	// Migrate brings the schema up to date where the user may do that. Without it, and where
	// the user may not, Open waits for somebody else who does.
	Migrate bool
	// ReadOnly is for a user who may only select. It waits for nobody, and gives no leaf its
	// place in the log.
	ReadOnly bool
	// Unfinished opens a store to copy to it: one that is a copy and not whole yet, too.
	Unfinished bool
	// Observe is told of each commit of a write, and how long it took; nil if nobody is.
	Observe func(took time.Duration)
	// Trace is told of each round trip to the server of what statements it is; nil if nobody is.
	// Several goroutines call it.
	Trace func(statements []string)
	// Metrics are told of the rest; nil if nobody is.
	Metrics *Metrics
}

// IsURL reports whether what names a store is the URL of a PostgreSQL database.
func IsURL(s string) bool {
	return strings.HasPrefix(s, "postgres://") || strings.HasPrefix(s, "postgresql://")
}

// DB is a store in a PostgreSQL database.
type DB struct {
	pool   *pgxpool.Pool
	log    *slog.Logger
	path   string
	stored int  // version of the schema
	writes bool // not if it was opened to read
	told   func(took time.Duration)

	metrics  *Metrics
	gatherer gatherer

	pooled atomic.Bool // a pooler of connections is in between
	closed atomic.Bool
	// standbys is set if a commit waits for another machine, as the latest read found.
	standbys atomic.Bool
	last     confirmations
	stop     context.CancelFunc
	wait     sync.WaitGroup
	wake     chan struct{} // there are leaves without a place in the log

	mu      sync.Mutex
	trouble error
	until   proof                   // what it takes to show that the trouble is over
	commits map[*time.Time]struct{} // when those began that are under way
	size    int64
	durable string // the synchronous_commit that the server gives
	sizedAt time.Time
}

// A proof shows that a trouble is over. A greater one shows what a lesser one does, too.
type proof int

const (
	byAnswer proof = iota // the database answers
	byWrite               // it stored something
	byProbe               // it stored what Probe does: something small may find room where the next post finds none
)

// Open opens the store in the database of a URL, or of the settings of libpq. The error is
// storage.ErrNewer if a newer sitrep changed its schema so that this one cannot use it, and
// storage.ErrUnavailable if the database cannot be reached. No error names a password.
func Open(ctx context.Context, url string, o Options) (*DB, error) {
	config, err := parse(url)
	if err != nil {
		return nil, err
	}
	db := &DB{log: o.Log, path: pathOf(config), writes: !o.ReadOnly, told: o.Observe, metrics: o.Metrics, wake: make(chan struct{}, 1), commits: map[*time.Time]struct{}{}}
	db.gatherer.db = db
	if db.log == nil {
		db.log = slog.New(slog.DiscardHandler)
	}
	config.ConnConfig.DialFunc = newDialer(config.ConnConfig.ConnectTimeout).DialContext
	if o.Trace != nil {
		config.ConnConfig.Tracer = &tracer{o.Trace}
	}
	config.AfterConnect = func(_ context.Context, conn *pgx.Conn) error {
		useArrays(conn.TypeMap())
		return nil
	}
	if !strings.Contains(url, "default_query_exec_mode") {
		db.suitPooler(config)
	}
	if db.pool, err = pgxpool.NewWithConfig(ctx, config); err != nil {
		return nil, fmt.Errorf("open %s: %w", db.path, plainly(err))
	}
	if db.stored, err = db.prepare(ctx, config.ConnConfig, o); err != nil {
		db.pool.Close()
		return nil, fmt.Errorf("open %s: %w", db.path, err)
	}
	if !o.Unfinished {
		if err := db.whole(ctx); err != nil {
			db.pool.Close()
			return nil, fmt.Errorf("open %s: %w", db.path, err)
		}
	}
	db.metrics.watch(db.pool)
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	db.stop = stop
	if db.writes {
		db.wait.Go(func() { db.sequence(background) })
	}
	return db, nil
}

// parse reads a URL. Its error does not repeat it, as a password may stand there.
func parse(url string) (*pgxpool.Config, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, errors.New("this is no URL of a PostgreSQL database, such as postgres://sitrep@db.example.org:5432/sitrep?sslmode=verify-full; the password can come from PGPASSWORD, a passfile, or a service file")
	}
	if !strings.Contains(url, "pool_max_conns") {
		config.MaxConns = connections
	}
	if config.ConnConfig.ConnectTimeout == 0 {
		config.ConnConfig.ConnectTimeout = connectPatience
	}
	if config.PingTimeout == 0 {
		config.PingTimeout = connectPatience
	}
	config.ConnConfig.OnNotice, config.ShouldPing = noteWarning, shouldPing
	if config.ConnConfig.RuntimeParams["application_name"] == "" {
		config.ConnConfig.RuntimeParams["application_name"] = "sitrep"
	}
	return config, nil
}

// pathOf names a database for people: its host and its name, and nothing of who asks.
func pathOf(c *pgxpool.Config) string {
	host := c.ConnConfig.Host
	if !strings.HasPrefix(host, "/") {
		host = net.JoinHostPort(host, fmt.Sprint(c.ConnConfig.Port))
	}
	return host + "/" + c.ConnConfig.Database
}

// Read implements storage.Store.
func (db *DB) Read(ctx context.Context, fn func(storage.Snapshot) error) error {
	if err := db.ready(ctx); err != nil {
		return err
	}
	s := db.newRead(ctx)
	defer s.end()
	err := fn(newReader(s))
	if s.err != nil {
		return s.err
	}
	return err
}

// Write implements storage.Store.
func (db *DB) Write(ctx context.Context, fn func(storage.Tx) error) error {
	if !storage.IsTogether(ctx) {
		return db.writeAlone(ctx, fn)
	}
	return db.gatherer.write(ctx, fn)
}

// writeAlone runs a write in a transaction of its own, again as long as it meets others.
func (db *DB) writeAlone(ctx context.Context, fn func(storage.Tx) error) error {
	alone := false
	for attempt := 1; ; attempt++ {
		if err := db.ready(ctx); err != nil {
			return err
		}
		err := db.write(ctx, alone, fn)
		var met *again
		if errors.Is(err, errAlone) {
			alone = true
			continue
		}
		if !errors.As(err, &met) {
			return err
		}
		if attempt == attempts {
			return fmt.Errorf("%w: it met another write %d times: %w", storage.ErrUnavailable, attempt, met.err)
		}
		pause := time.NewTimer(rand.N(10 * time.Millisecond << attempt))
		select {
		case <-ctx.Done():
			pause.Stop()
			return ctx.Err()
		case <-pause.C:
		}
	}
}

// write runs a write once: alone, if it is to change the generation.
func (db *DB) write(ctx context.Context, alone bool, fn func(storage.Tx) error) error {
	s := db.newWrite(ctx, classWrite)
	defer s.end()
	t := newTx(s, alone)
	err := fn(t)
	if s.err != nil {
		return s.err
	}
	if err != nil {
		return err
	}
	if err := t.finish(); err != nil {
		return err
	}
	if err := s.commit(); err != nil {
		return err
	}
	if t.leaves {
		db.wakeSequencer()
	}
	return nil
}

func (db *DB) ready(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if db.closed.Load() {
		return errClosed
	}
	return nil
}

// Info implements storage.Store.
func (db *DB) Info(ctx context.Context) (storage.Info, error) {
	info := storage.Info{Engine: "postgres", Version: db.stored, Path: db.path, Shared: true}
	db.mu.Lock()
	stale := time.Since(db.sizedAt) > sizeEvery && db.trouble == nil
	if stale {
		db.sizedAt = time.Now() // once, whatever comes of it
	}
	db.mu.Unlock()
	if stale {
		var size int64
		var durable string
		s := db.newRead(ctx)
		if _, err := s.one(ctx, []any{&size, &durable}, "select pg_database_size(current_database()), current_setting('synchronous_commit')"); err == nil {
			db.mu.Lock()
			db.size, db.durable = size, durable
			db.mu.Unlock()
		}
		s.end()
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	info.Bytes, info.Trouble, info.SynchronousCommit = db.size, db.trouble, db.durable
	for began := range db.commits {
		if time.Since(*began) > slowAfter && (info.Slow.IsZero() || began.Before(info.Slow)) {
			info.Slow = *began
		}
	}
	return info, nil
}

// committing notes that a commit is under way, until the function is called.
func (db *DB) committing() (done func()) {
	began := time.Now()
	db.mu.Lock()
	defer db.mu.Unlock()
	db.commits[&began] = struct{}{}
	return func() {
		if db.told != nil {
			db.told(time.Since(began))
		}
		db.mu.Lock()
		defer db.mu.Unlock()
		delete(db.commits, &began)
	}
}

// ill notes why nothing can be stored now, until there is that proof that it can be, and returns it.
func (db *DB) ill(err error, until proof) error {
	trouble := err
	if !errors.Is(trouble, storage.ErrUnavailable) {
		trouble = fmt.Errorf("%w: %w", storage.ErrUnavailable, err)
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.trouble == nil {
		db.log.Error("the database does not work", "error", err)
	}
	db.trouble = trouble
	if db.writes {
		db.until = max(db.until, until)
	}
	return err
}

// well notes that the database works, as far as that proof goes.
func (db *DB) well(by proof) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.trouble != nil && by >= db.until {
		db.log.Info("the database works again")
		db.trouble, db.until = nil, byAnswer
	}
}

// probeBytes is how much is stored to find out whether there is room again.
const probeBytes = 64 << 10

// Probe finds out whether things can be stored again once they could not be, by storing something
// that is gone with the same transaction. It does nothing while they can. The error is why they
// cannot.
func (db *DB) Probe(ctx context.Context) error {
	db.mu.Lock()
	fine := db.trouble == nil
	db.mu.Unlock()
	if fine {
		return nil
	}
	if err := db.ready(ctx); err != nil {
		return err
	}
	body := make([]byte, probeBytes)
	for i := range body { // what can be compressed needs no room
		body[i] = byte(rand.Uint32())
	}
	s := db.newWrite(ctx, classProbe)
	defer s.end()
	key := "probe " + crand.Text()
	s.exec("insert into answers (key, body) values ($1, $2)", key, body)
	s.exec("delete from answers where key = $1", key)
	if err := s.commit(); err != nil {
		return err
	}
	db.well(byProbe)
	return nil
}

// Close implements storage.Store.
func (db *DB) Close() error {
	if db.closed.Swap(true) {
		return nil
	}
	db.stop()
	db.wait.Wait()
	db.pool.Close()
	return nil
}
