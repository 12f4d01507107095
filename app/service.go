// Package app is the running service: its parts, wired together, and their life from the
// first look at the configuration to the last signature of the ledger.
//
// A [Service] is made by [New] and answers by its handler; [Serve] is all of that behind a
// socket, with reloads by signal, until a context ends. Whoever starts it, a command line
// or a test, brings [Options] and a logger. Nothing here knows flags or the terminal.
package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"sitrep/config"
	"sitrep/incident"
	"sitrep/intake"
	"sitrep/internal/access"
	"sitrep/receiver"
	"sitrep/router"
	"sitrep/storage"
	"sitrep/storage/postgres"
)

// Options say what a service is made of.
type Options struct {
	Config  string // the file of the configuration
	Storage string // the file of the store, made at the first start, or the URL of a PostgreSQL database
	// ExternalURL is where links in messages lead, without a slash at the end. For
	// [Serve], empty is the address at which it listens.
	ExternalURL string
	// Address is where the service listens; [Serve] sets it. It decides whether a
	// configuration without access may be loaded, and by which names browsers know the
	// service beside ExternalURL. Without one nothing is decided by it.
	Address net.Addr
	// Local is the name of who is on this machine, where the configuration has no access;
	// empty is local.
	Local string
	// NewStore allows an empty store to be made next to a key that sitrep made.
	NewStore bool
	// NewKey allows to go on with a key that is not the last checkpoint's.
	NewKey bool
	// GCPercent is how much garbage may lie until it is collected, in percent of what lives, as long
	// as that is little. Zero leaves it to the runtime.
	GCPercent int
	// Die ends the process at once. It is called when the store cannot say what is true.
	Die func()
}

// A Service is all parts of sitrep, wired together.
type Service struct {
	options   Options
	log       *slog.Logger
	store     *engine
	registry  *prometheus.Registry
	reloader  *config.Reloader
	inForce   atomic.Pointer[inForce]
	guard     *access.Guard
	repo      *storage.Repository
	intake    *intake.Intake
	receiver  *receiver.Handler
	events    *eventMetrics
	templates *prometheus.CounterVec // messages that a template of one's own failed for
	scheduler *router.Scheduler
	notary    *notary
	lookout   *lookout
	startedAt time.Time
	actor     atomic.Value // incident.Actor: who reloads
	anew      bool         // the next configuration is a loading also if it is in force: a new key needs something to sign

	background sync.WaitGroup
	ctx        context.Context
	stop       context.CancelFunc
	stopping   atomic.Bool
	testing    sync.Mutex // held while a test mail is sent
}

// now is the time of a decision: UTC and whole microseconds.
func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

// New loads the configuration and opens the store. Nothing runs and nothing is sent until
// [Service.Start]; what was opened is open until [Service.Close]. What is wrong with the
// configuration is the error as config.Load has it, before the store is touched.
func New(ctx context.Context, o Options, log *slog.Logger) (_ *Service, err error) {
	return newService(ctx, o, log, openEngine)
}

// newService is New with another way to open the store.
func newService(ctx context.Context, o Options, log *slog.Logger, open func(context.Context, *Options, *metrics, *slog.Logger) (*engine, error)) (_ *Service, err error) {
	log = log.With(slog.String("instance", o.instance()))
	s := &Service{options: o, log: log, registry: prometheus.NewRegistry(), startedAt: now()}
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	s.reloader = config.NewReloader(o.Config, now)
	s.lookout = newLookout(s.registry)
	s.reloader.Locate(s.lookout.locate)
	s.reloader.Validate(s.prepare)
	s.reloader.Subscribe(s.take)

	// What is wrong with the configuration is said before the store is touched.
	o.collectSooner() // until the first is in force
	first, err := s.reloader.Ahead(ctx)
	if err != nil {
		return nil, err
	}
	if !o.NewStore && !postgres.IsURL(o.Storage) {
		if err := lostStore(o.Storage, keyPath(first, o.Storage)); err != nil {
			return nil, err
		}
	}
	m := newMetrics(s)
	s.store, err = open(ctx, &o, m, log)
	if err != nil {
		return nil, err
	}
	s.events = newEventMetrics(s.registry)
	s.templates = newTemplateFailures(s.registry)
	defer func() {
		if err != nil {
			err = errors.Join(err, s.store.Close())
		}
	}()
	latest, err := lastSigned(ctx, s.store)
	if err != nil {
		return nil, err
	}
	info, err := s.store.Info(ctx)
	if err != nil {
		return nil, err
	}
	key, err := (&keyFile{
		path: keyPath(first, o.Storage), store: info.Path, external: o.ExternalURL, latest: latest, mayBeNew: o.NewKey,
		shared: info.Shared, named: first.Evidence.KeyPath != "",
	}).load(log)
	if err != nil {
		return nil, fmt.Errorf("key of the ledger: %w", err)
	}
	s.anew = !SignedBy(latest, key)
	owner := rand.Text()
	s.notary = newNotary(&notary{
		store: s.store, owner: owner, key: key, log: log, tell: s.tellWitness, config: func() *config.Config { return s.inForce.Load().config },
		rests: func() bool { return s.scheduler.Skew().Rests },
	}, s.registry)
	s.notary.mayBeNew.Store(s.anew)
	if err := s.notary.begin(ctx); err != nil {
		return nil, err
	}
	s.repo = &storage.Repository{
		Store: s.store, Policy: s.policy, Wake: func() { s.scheduler.Wake() }, Observe: s.events.observe,
		ServerRetryAt: func(recipient string) time.Time { return s.scheduler.Dispatcher.ServerRetryAt(recipient) },
	}
	if info, err := s.store.Info(ctx); err == nil && !info.Shared {
		s.repo.Claim = func(ctx context.Context, tx storage.Tx, due []incident.Subscription) (func(bool), error) {
			return s.scheduler.Dispatcher.Claim(ctx, tx, due)
		}
	}
	s.intake = &intake.Intake{Repo: s.repo, Catalog: func() intake.Catalog { return Catalog{s.inForce.Load().config} }, Log: log}
	s.receiver = receiver.New(receiver.Options{
		Intake: s.intake, Refused: s.refused, Logger: log, Registerer: s.registry,
		Keep: func(label string) bool { return s.inForce.Load().config.LooksAt(label) },
		Client: func(r *http.Request) string {
			if id := access.From(r.Context()); id.Name != "" {
				return id.Name
			}
			return s.guard.Client(r)
		},
	})
	routing := router.NewMetrics(s.registry)
	s.scheduler = &router.Scheduler{
		Repo: s.repo, Log: log, Metrics: routing, Started: now(), Steady: steadyClock(), Self: s.self,
		Intake:    s.intake,
		Asker:     func() router.Asker { return s.inForce.Load().asker },
		Poster:    func() router.Poster { return s.inForce.Load().poster },
		Prober:    func() router.Prober { return s.inForce.Load().prober },
		Retention: func() router.Retention { return s.inForce.Load().retention },
		Dispatcher: &router.Dispatcher{
			Repo: s.repo, Owner: owner, Log: log, Metrics: routing,
			Sender: func(c incident.Channel) (router.Sender, bool) { return s.inForce.Load().sender(c) },
		},
	}
	if s.guard, err = access.New(log, access.Rules{Loopback: true}); err != nil {
		return nil, err
	}
	s.guard.Share(failures{s.store}, loginKey(key))
	if err := s.reload(ctx, incident.ActorStart, false); err != nil {
		return nil, err
	}
	return s, nil
}

// Start lets time do its part: what is due is sent, the ledger is signed, the store is
// watched. It is called once.
func (s *Service) Start() {
	s.background.Go(func() {
		if err := s.scheduler.Run(s.ctx); err != nil {
			s.log.Error("scheduler ended", slog.Any("err", err))
		}
	})
	s.background.Go(s.remap)
	s.background.Go(func() { s.watchStore(s.ctx) })
	s.background.Go(func() { s.watchChains(s.ctx) })
	s.background.Go(func() { s.notary.run(s.ctx) })
	if s.store.verify != nil {
		s.background.Go(func() { s.notary.check(s.ctx, s.store.verify) })
	}
}

// self is what this process says of itself to those who look who has the store.
func (s *Service) self() storage.Replica {
	v, _, _ := Build()
	f := s.inForce.Load()
	return storage.Replica{Instance: s.options.instance(), Version: v, StartedAt: s.startedAt, Config: f.policy.Hash, ConfigSince: f.since}
}

// Wait waits until all posts of alerts that came are answered, or ctx ends. It is for
// after the server that brought them took its last.
func (s *Service) Wait(ctx context.Context) error { return s.receiver.Wait(ctx) }

// Close stops what runs, signs what came of it, and closes the store last. It is called
// once, also without [Service.Start], after what the handler does has ended. What goes
// wrong is logged.
func (s *Service) Close() {
	s.stopping.Store(true)
	s.stop()
	s.background.Wait()
	s.notary.end()
	if f := s.inForce.Load(); f != nil {
		f.close()
	}
	if err := s.store.Close(); err != nil {
		s.log.Error("store not closed cleanly", slog.Any("err", err))
	}
}
