package app

import (
	"context"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sitrep/chain"
	"sitrep/chain/live"
	"sitrep/config"
	"sitrep/internal/coverage"
)

const (
	// coverageEvery is how often Prometheus and Alertmanager are asked whether the chains are whole.
	coverageEvery = 5 * time.Minute
	// maxBrokenNamed is how many SLOs whose chains are broken the metrics name.
	maxBrokenNamed = 100
)

// A lookout looks at the chains of the configuration in force every few minutes, and keeps what it
// found last. Each process does so for itself: what it finds is in its memory alone, and each says
// what it reaches.
type lookout struct {
	report  atomic.Pointer[coverage.Report]
	located located       // of the configuration that is being loaded
	changed chan struct{} // has one when another configuration is in force
	failed  *prometheus.CounterVec
}

// located is what the chains need to know of a configuration.
type located struct {
	config  *config.Config
	promise *chain.Promise
}

func newLookout(reg prometheus.Registerer) *lookout {
	l := &lookout{changed: make(chan struct{}, 1), failed: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "sitrep_chains_unanswered_total", Help: "Questions about chains that were not answered, by who was asked.",
	}, []string{"program"})}
	for _, program := range []string{"Prometheus", "Alertmanager"} {
		l.failed.WithLabelValues(program)
	}
	reg.MustRegister(l.failed)
	l.report.Store(&coverage.Report{})
	return l
}

// locate is told where a configuration stands while it is loaded.
func (l *lookout) locate(c *config.Config, at *config.Positions) {
	l.located = located{c, Promise(c, at)}
}

// watch makes what follows the chains of a configuration that comes into force.
func (l *lookout) watch(c *config.Config) (*chains, error) {
	out := &chains{prometheis: c.Prometheus, alertmanagers: c.Alertmanagers}
	if l.located.config == c {
		out.promise = l.located.promise
	}
	for i := range c.Prometheus {
		p := &c.Prometheus[i]
		client, err := p.HTTPConfig.New()
		if err != nil {
			return nil, fmt.Errorf("prometheus[%d]: %w", i, err)
		}
		out.askPrometheis = append(out.askPrometheis, live.Endpoint{URL: string(p.URL), Client: client})
	}
	for i := range c.Alertmanagers {
		am := &c.Alertmanagers[i]
		client, err := am.HTTPConfig.New()
		if err != nil {
			return nil, fmt.Errorf("alertmanagers[%d]: %w", i, err)
		}
		out.askAlertmanagers = append(out.askAlertmanagers, live.Endpoint{URL: string(am.URL), Client: client, Receiver: am.Receiver})
	}
	out.watcher = live.New(out.askPrometheis, out.askAlertmanagers, live.Files{}, config.Nearest)
	return out, nil
}

// chains are those of a configuration in force.
type chains struct {
	promise *chain.Promise
	watcher *live.Watcher
	// Who is asked, and how.
	prometheis    []config.Prometheus
	alertmanagers []config.Alertmanager

	askPrometheis, askAlertmanagers []live.Endpoint
}

// follow lets what was answered before count on where the same are asked in the same way.
func (c *chains) follow(before *inForce) {
	if before != nil && reflect.DeepEqual(before.chains.prometheis, c.prometheis) && reflect.DeepEqual(before.chains.alertmanagers, c.alertmanagers) {
		c.watcher = before.chains.watcher
	}
}

// wake says that another configuration is in force.
func (l *lookout) wake() {
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

// watchChains looks at the chains now, every few minutes and after each reload, until ctx is done.
func (s *Service) watchChains(ctx context.Context) {
	log := s.log.With(slog.String("component", "coverage"))
	ticker := time.NewTicker(coverageEvery)
	defer ticker.Stop()
	for {
		s.lookAtChains(ctx, log)
		select {
		case <-ticker.C:
		case <-s.lookout.changed:
		case <-ctx.Done():
			return
		}
	}
}

func (s *Service) lookAtChains(ctx context.Context, log *slog.Logger) {
	c := s.inForce.Load().chains
	if c.promise == nil {
		return
	}
	before := s.lookout.report.Load()
	r := c.watcher.Look(ctx, c.promise, now())
	if ctx.Err() != nil {
		return
	}
	report := coverage.New(r, len(c.prometheis) > 0, len(c.alertmanagers) > 0)
	s.lookout.report.Store(report)
	for _, from := range report.Sources {
		if from.Error == "" {
			continue
		}
		s.lookout.failed.WithLabelValues(from.Program).Inc()
		if !slices.ContainsFunc(before.Sources, func(b live.Source) bool { return b.Name == from.Name && b.Error == from.Error }) {
			log.Warn("chains are not known in full, and are looked at again within minutes", slog.String("program", from.Program), slog.String("url", from.Name), slog.String("err", from.Error))
		}
	}
	if broken, was := report.Counts[live.Broken], before.Counts[live.Broken]; broken != was {
		log.Info("chains looked at", slog.Int("broken", broken), slog.Int("doubtful", report.Counts[live.Doubtful]), slog.Int("whole", report.Counts[live.Whole]))
	}
}

// coverage returns what was found last.
func (s *Service) coverage() *coverage.Report { return s.lookout.report.Load() }
