package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/mux"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"sitrep/api"
	"sitrep/config"
	"sitrep/incident"
	"sitrep/intake"
	"sitrep/internal/access"
	"sitrep/receiver"
	"sitrep/router"
	"sitrep/storage"
	"sitrep/storage/bolt"
	"sitrep/web"
)

// options say what a service is made of.
type options struct {
	config   string
	storage  string
	external string   // URL, without a slash at the end
	hosts    []string // beside external, by which it is known, as access.Rules has them
	loopback error    // why it can be reached from elsewhere; nil if it cannot
	newStore bool     // an empty store may be made next to a key that sitrep made
	newKey   bool     // a key may go on that is not the last checkpoint's
	die      func()
}

// A service is all parts of sitrep, wired together.
type service struct {
	options
	log       *slog.Logger
	store     *bolt.DB
	registry  *prometheus.Registry
	reloader  *config.Reloader
	inForce   atomic.Pointer[inForce]
	guard     *access.Guard
	door      *storage.Door
	intake    *intake.Intake
	receiver  *receiver.Handler
	events    *eventMetrics
	scheduler *router.Scheduler
	notary    *notary
	startedAt time.Time
	actor     atomic.Value // incident.Actor: who reloads
	anew      bool         // the next configuration is a loading also if it is in force: a new key needs something to sign

	background sync.WaitGroup
	ctx        context.Context
	stop       context.CancelFunc
	stopping   atomic.Bool
}

// now is the time of a decision: UTC and whole microseconds.
func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

// newService loads the configuration and opens the store. Nothing runs yet.
func newService(ctx context.Context, o options, log *slog.Logger) (_ *service, err error) {
	s := &service{options: o, log: log, registry: prometheus.NewRegistry(), startedAt: now()}
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	s.reloader = config.NewReloader(o.config, now)
	s.reloader.Validate(s.prepare)
	s.reloader.Subscribe(s.take)

	// What is wrong with the configuration is said before the store is touched.
	first, err := config.Load(o.config)
	if err != nil {
		return nil, err
	}
	if !o.newStore {
		if err := lostStore(o.storage, keyPath(first, o.storage)); err != nil {
			return nil, err
		}
	}
	m := newMetrics(s)
	s.store, err = openStore(ctx, o.storage, bolt.Options{Observe: m.commit, Fatal: func(err error) {
		log.Error("the store cannot say whether a commit was kept: ending at once, start again", slog.Any("err", err))
		o.die()
	}})
	if err != nil {
		return nil, err
	}
	s.events = newEventMetrics(s.registry)
	defer func() {
		if err != nil {
			err = errors.Join(err, s.store.Close())
		}
	}()
	latest, err := lastSigned(ctx, s.store)
	if err != nil {
		return nil, err
	}
	key, err := (&keyFile{path: keyPath(first, o.storage), store: o.storage, external: o.external, latest: latest, mayBeNew: o.newKey}).load(log)
	if err != nil {
		return nil, fmt.Errorf("key of the ledger: %w", err)
	}
	s.anew = !signedBy(latest, key)
	owner := rand.Text()
	s.notary = newNotary(&notary{
		store: s.store, owner: owner, key: key, log: log, tell: s.tellWitness, config: func() *config.Config { return s.inForce.Load().config },
	}, s.registry)
	if err := s.notary.begin(ctx); err != nil {
		return nil, err
	}
	s.door = &storage.Door{Store: s.store, Policy: s.policy, Wake: func() { s.scheduler.Wake() }, Observe: s.events.observe,
		HeldUntil: func(recipient string) time.Time { return s.scheduler.Dispatcher.HeldUntil(recipient) }}
	s.intake = &intake.Intake{Door: s.door, Catalog: func() intake.Catalog { return s.inForce.Load() }, Log: log}
	s.receiver = receiver.New(receiver.Options{
		Intake: s.intake, Refused: s.refused, Stored: s.store.Present, Logger: log, Registerer: s.registry,
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
		Door: s.door, Log: log, Metrics: routing, Started: now(), Steady: steadyClock(),
		Intake:    s.intake,
		Asker:     func() router.Asker { return s.inForce.Load().asker },
		Retention: func() router.Retention { return s.inForce.Load().retention },
		Dispatcher: &router.Dispatcher{
			Door: s.door, Owner: owner, Log: log, Metrics: routing,
			Sender: func(c incident.Channel) (router.Sender, bool) { return s.inForce.Load().sender(c) },
		},
	}
	if s.guard, err = access.New(log, access.Rules{Loopback: true}); err != nil {
		return nil, err
	}
	if err := s.reload(ctx, incident.Start, false); err != nil {
		return nil, err
	}
	return s, nil
}

// policy returns the policy in force.
func (s *service) policy() *incident.Policy { return s.inForce.Load().policy }

// reload puts the configuration in the files into force, all of it or nothing. What
// drops most of the SLOs is refused unless anyway is set.
func (s *service) reload(ctx context.Context, actor incident.Actor, anyway bool) error {
	s.actor.Store(actor)
	reload := s.reloader.Reload
	if anyway {
		reload = s.reloader.ReloadAnyway
	}
	err := reload(ctx)
	if err != nil {
		if s.inForce.Load() != nil {
			s.log.Error("configuration not loaded, the one before stays in force", slog.String("actor", string(actor)), slog.Any("err", err))
		}
		return err
	}
	c := s.reloader.Current()
	s.log.Info("configuration in force", slog.String("hash", c.Hash()), slog.String("actor", string(actor)))
	for _, w := range c.Warnings {
		s.log.Warn("configuration: " + w.String())
	}
	return nil
}

// prepare does all that can fail before a configuration comes into force.
func (s *service) prepare(ctx context.Context, c *config.Config) error {
	if c.Access == nil && s.loopback != nil {
		return s.loopback
	}
	if err := access.Check(accessRules(c, s.external, s.hosts)); err != nil {
		return fmt.Errorf("access: %w", err)
	}
	f, err := newInForce(c, s.external)
	if err != nil {
		return err
	}
	f.close()
	actor, _ := s.actor.Load().(incident.Actor)
	l := storage.Loading{Hash: c.Hash(), At: now(), Actor: actor, Public: c.PublicHash()}
	forms := []storage.Config{{Hash: c.Hash(), Body: c.Canonical()}, {Hash: c.PublicHash(), Body: c.Public()}}
	err = s.store.Write(ctx, func(tx storage.Tx) error {
		if s.anew {
			return tx.PutConfig(ctx, l, forms...)
		}
		_, err := storage.EnterConfig(ctx, tx, s.scheduler.Dispatcher.Owner, l, forms...)
		return err
	})
	if err == nil {
		s.anew = false
	}
	return err
}

// take puts a configuration into force.
func (s *service) take(c *config.Config) {
	f, err := newInForce(c, s.external)
	if err != nil {
		// Prepare has made the same a moment ago.
		s.log.Error("configuration not loaded", slog.Any("err", err))
		return
	}
	_ = s.guard.Set(accessRules(c, s.external, s.hosts)) // checked by prepare
	s.events.expect(f.policy)
	before := s.inForce.Swap(f)
	if before != nil {
		before.close()
		s.background.Go(s.remap)
	}
	s.scheduler.Wake()
}

// remap looks up the alerts that had no SLO again, after a reload.
func (s *service) remap() {
	if err := s.intake.Remap(s.ctx, now()); err != nil && s.ctx.Err() == nil {
		s.log.Warn("alerts without an SLO were not all looked up again; the next reload does", slog.Any("err", err))
	}
}

// refused keeps a refused post.
func (s *service) refused(ctx context.Context, r storage.Refusal) {
	if err := s.store.Write(ctx, func(tx storage.Tx) error { return tx.PutRefusal(ctx, r) }); err != nil {
		s.log.Warn("a refused post was not recorded", slog.Any("err", err))
	}
}

// start lets time do its part.
func (s *service) start() {
	s.background.Go(func() {
		if err := s.scheduler.Run(s.ctx); err != nil {
			s.log.Error("scheduler ended", slog.Any("err", err))
		}
	})
	s.background.Go(s.remap)
	s.background.Go(func() { s.watchStore(s.ctx) })
	s.background.Go(func() { s.notary.run(s.ctx) })
	s.background.Go(func() { s.notary.check(s.ctx, s.store.Check) })
}

// close stops what runs, signs what came of it, and closes the store last.
func (s *service) close() {
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

// handler returns what answers all requests.
func (s *service) handler() (http.Handler, error) {
	p, err := s.parts()
	if err != nil {
		return nil, err
	}
	return boundBodies(bodyWithin, receiver.Mount(s.posts(), p.router(s.guard.Require))), nil
}

// parts are those that answer requests, but for posts of alerts.
type parts struct {
	admin *api.Admin
	api   *api.Handler
	pages *web.Handler
}

func (s *service) parts() (p parts, err error) {
	p.admin = &api.Admin{
		Store: s.store, Gatherer: s.registry, Logger: s.log,
		Reload: s.reload, Backup: s.backup,
		Ready: func() error {
			if s.stopping.Load() {
				return errStopping
			}
			return nil
		},
	}
	p.api = api.New(api.Options{
		Door: s.door, Now: now, Service: s.describe, Logger: s.log,
		Beside: p.admin.Routes(), Export: s.notary.export,
	})
	p.pages, err = web.New(web.Options{Door: s.door, Now: now, Service: s.describePage, Logger: s.log})
	if err != nil {
		return p, fmt.Errorf("pages: %w", err)
	}
	return p, nil
}

// backup writes a copy of the store, signed first as far as that can be done.
func (s *service) backup(ctx context.Context, begin func(size int64, key string) (io.Writer, error)) error {
	_, _ = s.notary.seal(ctx) // logged there; what is there is to be saved all the same
	return s.store.Backup(ctx, func(r storage.Reader, size int64) (io.Writer, error) {
		signed, err := r.LastCheckpoint(ctx)
		if err != nil {
			return nil, err
		}
		key := s.notary.key.Public()
		if !signedBy(signed, s.notary.key) {
			key = signer(signed)
		}
		return begin(size, key)
	})
}

// router has the routes of all parts, each behind require.
func (p parts) router(require func(access.Role, http.Handler) http.Handler) *mux.Router {
	r := mux.NewRouter().SkipClean(true).UseEncodedPath()
	p.admin.Register(r, require)
	p.api.Register(r, require)
	p.pages.Register(r, require)
	return r
}

// posts lets those who may post alerts in, and counts those who are refused.
func (s *service) posts() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		passed := false
		rec := &statusWriter{ResponseWriter: w}
		s.guard.Require(access.Receiver, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			passed = true
			posted(r)
			s.receiver.ServeHTTP(w, r)
		})).ServeHTTP(rec, r)
		if !passed {
			s.receiver.Refused(r, rec.status, rec.detail())
		}
	})
}

// A statusWriter remembers the status and the text of an answer that refuses.
type statusWriter struct {
	http.ResponseWriter
	status int
	body   []byte
}

func (w *statusWriter) WriteHeader(code int) {
	w.status = code
	w.ResponseWriter.WriteHeader(code)
}

func (w *statusWriter) Write(b []byte) (int, error) {
	w.body = append(w.body, b...)
	return w.ResponseWriter.Write(b)
}

// detail says why, as the answer did.
func (w *statusWriter) detail() string {
	var problem struct {
		Detail string `json:"detail"`
	}
	if json.Unmarshal(w.body, &problem) != nil || problem.Detail == "" {
		return http.StatusText(w.status)
	}
	return problem.Detail
}

// describePage says what runs, for the page.
func (s *service) describePage() web.Service {
	d := s.describe()
	trouble := ""
	if info, err := s.store.Info(s.ctx); err == nil && info.Trouble != nil {
		trouble = info.Trouble.Error()
	}
	var servers []web.ServerState
	for _, st := range d.Servers {
		name := st.Name
		if name == "" {
			name = "the mail server"
		}
		servers = append(servers, web.ServerState{Name: name, Since: st.Since, RefusesAll: st.RefusesAll, Error: st.Error})
	}
	return web.Service{
		Servers:      servers,
		StorageError: trouble,
		Version:      d.Version, Revision: d.Revision, Go: d.Go, StartedAt: d.StartedAt, LoadedAt: d.Config.LoadedAt,
		ConfigError: d.Config.Error, Warnings: d.Config.Warnings, ConfigPlaces: d.Config.Places, WarningPlaces: d.Config.WarningPlaces, Ledger: d.Ledger,
	}
}

// describe says what runs, for the status.
func (s *service) describe() api.Service {
	v, revision, goVersion := build()
	state := s.reloader.State()
	out := api.Service{Version: v, Revision: revision, Go: goVersion, StartedAt: s.startedAt, Config: api.ConfigState{Hash: state.Hash, LoadedAt: state.LoadedAt}}
	if state.LastError != nil {
		out.Config.Error, out.Config.Places = state.LastError.Error(), config.Places(state.LastError)
	}
	for _, w := range s.reloader.Current().Warnings {
		out.Config.Warnings = append(out.Config.Warnings, w.String())
		out.Config.WarningPlaces = append(out.Config.WarningPlaces, w.Place())
	}
	out.Ledger = s.notary.describe()
	for _, st := range s.scheduler.Dispatcher.Servers() {
		out.Servers = append(out.Servers, api.ServerState{Channel: string(st.Channel), Name: st.Name, Since: st.FailingSince, RefusesAll: st.RefusesAll, Error: st.Error})
	}
	return out
}
